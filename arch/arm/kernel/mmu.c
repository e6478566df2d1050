/*
 * Identity map: 4 KiB pages, three levels of tables, each with 512 entries. 64-bit Arm and 32-bit Arm
 * with long descriptors have the same tables; of the latter's top there are four entries.
 *
 * Xen requires what a hypercall points to in memory that is mapped as Normal, Inner Write-Back,
 * Inner Shareable.
 */
#include "mmu.h"

#include <arch.h>
#include <boot.h>
#include <stddef.h>

#include "machine.h"

#define PAGE_SHIFT   12
#define PAGE_SIZE    (1ull << PAGE_SHIFT)
#define TABLE_BITS   9
#define TABLE_SIZE   (1u << TABLE_BITS)
#define TOP_LEVEL    1 /* of addresses of 31 to 39 bits */
#define LAST_LEVEL   3
#define ADDRESS_END  (1ull << MMU_ADDRESS_BITS)

/* Descriptors. */
#define VALID         (1ull << 0)
#define TABLE_OR_PAGE (1ull << 1)  /* a page at the last level, a table above; else a block */
#define ATTRIBUTES(i) ((uint64_t)(i) << 2)
#define READ_ONLY     (1ull << 7)
#define SHARED_INNER  (3ull << 8)
#define ACCESSED      (1ull << 10)
#define NEVER_EXECUTE (3ull << 53)
#define ADDRESS_MASK  0x0000fffffffff000ull

/* Attributes by index in MAIR. */
#define MAIR_DEVICE 0x04u /* 0: Device-nGnRE */
#define MAIR_NORMAL 0xffu /* 1: Normal, write-back, allocating */
#define DEVICE      (ATTRIBUTES(0) | NEVER_EXECUTE)
#define NORMAL      (ATTRIBUTES(1) | SHARED_INNER)

/* One for the top, a few for each region that does not fill its GiB and its 2 MiB. */
#define TABLES 32

typedef uint64_t table_t[TABLE_SIZE];

static table_t tables[TABLES] __attribute__((aligned(PAGE_SIZE)));
static unsigned int tables_used = 1; /* tables[0] is the top */

extern char _start[], _text_end[], _end[], stack_guard[];

/*
 * The table below an entry, which is not one of the last level; NULL if there is none and none can
 * be made.
 */
static uint64_t *next_table(uint64_t *entry)
{
    if (!(*entry & VALID) && tables_used < TABLES)
        *entry = (uintptr_t)tables[tables_used++] | VALID | TABLE_OR_PAGE;
    if ((*entry & (VALID | TABLE_OR_PAGE)) != (VALID | TABLE_OR_PAGE))
        return NULL;
    return (uint64_t *)(uintptr_t)(*entry & ADDRESS_MASK);
}

/* Maps the pages from start to end, with the largest blocks that fit. */
static void map(uint64_t start, uint64_t end, uint64_t attributes)
{
    if (end > ADDRESS_END)
        end = ADDRESS_END;
    while (start < end) {
        uint64_t *table = tables[0];

        for (unsigned int level = TOP_LEVEL;; level++) {
            unsigned int shift = PAGE_SHIFT + TABLE_BITS * (LAST_LEVEL - level);
            uint64_t size = 1ull << shift;
            uint64_t *entry = &table[start >> shift & (TABLE_SIZE - 1)];

            if (start % size == 0 && end - start >= size && !(*entry & VALID)) {
                *entry = start | attributes | ACCESSED | VALID |
                         (level == LAST_LEVEL ? TABLE_OR_PAGE : 0);
                start += size;
                break;
            }
            table = level == LAST_LEVEL ? NULL : next_table(entry);
            if (!table) {
                boot_problem("0x%llx to 0x%llx cannot be mapped", (unsigned long long)start,
                             (unsigned long long)end);
                return;
            }
        }
    }
}

/* RAM: the kernel's code read-only, the guard page not at all. */
static void map_ram(uint64_t start, uint64_t end)
{
    uint64_t code = (uintptr_t)_start, code_end = (uintptr_t)_text_end;
    uint64_t guard = (uintptr_t)stack_guard;

    if (code < start || code >= end) {
        map(start, end, NORMAL);
        return;
    }
    map(start, code, NORMAL);
    map(code, code_end, NORMAL | READ_ONLY);
    map(code_end, guard, NORMAL);
    map(guard + PAGE_SIZE, end, NORMAL);
}

static void map_region(const struct region *region, uint64_t attributes)
{
    uint64_t end = (region->start + region->size + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);

    map(region->start & ~(PAGE_SIZE - 1), end, attributes);
}

/*
 * Lines that were fetched ahead of what the MMU-less code wrote would hide it once the cache is on.
 */
static void forget_cached(void)
{
    uintptr_t line = cache_line();

    for (uintptr_t at = (uintptr_t)_start & ~(line - 1); at < (uintptr_t)_end; at += line)
        cache_forget(at);
}

void mmu_enable(void)
{
    for (unsigned int i = 0; i < MACHINE_REGIONS; i++) {
        map_ram(machine.ram[i].start, machine.ram[i].start + machine.ram[i].size);
        map_region(&machine.foreign[i], NORMAL);
    }
    map_region(&machine.gic_distributor, DEVICE);
    map_region(&machine.gic_cpu, DEVICE);

    __asm__ volatile("dsb sy" ::: "memory");
    forget_cached();
    translation_enable(tables[0], MAIR_DEVICE | MAIR_NORMAL << 8);
}
