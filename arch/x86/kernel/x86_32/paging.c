/* Paging; see paging.h. The first 4 MiB, which hold the kernel, are mapped in small pages. */
#include <string.h>

#include "x86.h"
#include "x86_32/paging.h"

#define TABLE __attribute__((aligned(PAGE_SIZE)))
#define SMALL_PAGES (0x400000 / PAGE_SIZE)

static uint32_t pse_directory[1024] TABLE;
static uint32_t pse_table[SMALL_PAGES] TABLE;

static uint64_t pae_pointers[4] __attribute__((aligned(32)));
static uint64_t pae_directories[4 * 512] TABLE;
static uint64_t pae_tables[SMALL_PAGES] TABLE;

static bool is_mapped(uint32_t page)
{
    return page != 0 && page != (uintptr_t)stack_guard / PAGE_SIZE;
}

static unsigned long pse_tables_make(void)
{
    for (uint32_t page = 0; page < SMALL_PAGES; page++)
        pse_table[page] = is_mapped(page) ? page * PAGE_SIZE | PTE_DATA : 0;
    for (uint32_t large = 0; large < 1024; large++)
        pse_directory[large] = large << 22 | PTE_LARGE;
    pse_directory[0] = (uintptr_t)pse_table | PTE_TABLE;
    return (uintptr_t)pse_directory;
}

static unsigned long pae_tables_make(void)
{
    for (uint32_t page = 0; page < SMALL_PAGES; page++)
        pae_tables[page] = is_mapped(page) ? page * PAGE_SIZE | PTE_DATA : 0;
    for (uint32_t large = 0; large < 4 * 512; large++)
        pae_directories[large] = large << 21 | PTE_LARGE;
    for (uint32_t i = 0; i < SMALL_PAGES / 512; i++)
        pae_directories[i] = (uintptr_t)&pae_tables[i * 512] | PTE_TABLE;
    for (uint32_t i = 0; i < 4; i++)
        pae_pointers[i] = (uintptr_t)&pae_directories[i * 512] | PTE_PRESENT;
    return (uintptr_t)pae_pointers;
}

static void turn_on(unsigned long cr3, unsigned long feature)
{
    unsigned long cr4, cr0;

    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    __asm__ volatile("mov %0, %%cr4" : : "r"(cr4 | feature) : "memory");
    use_page_tables(cr3);
    __asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
    __asm__ volatile("mov %0, %%cr0" : : "r"(cr0 | CR0_PG | CR0_WP) : "memory");
}

void start_paging(void)
{
    const char *kind = command_line_option("paging");

    if (!kind)
        return;
    if (starts_with(kind, "pse"))
        turn_on(pse_tables_make(), CR4_PSE);
    else if (starts_with(kind, "pae"))
        turn_on(pae_tables_make(), CR4_PAE);
    else
        boot_problem("no such paging: %s", kind);
}
