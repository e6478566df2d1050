/*
 * What the shim does with a POWER9 in hypervisor state: it enters guests, tells the model why one was
 * left, and keeps the tables that say what memory a guest has.
 *
 * It knows the processor and nothing of a guest: what a call means, where an event goes and what a
 * fault becomes is all the model's to say, which has every register of the guest in its hands.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mailbox.h"

#define read_spr(number) ({                                                                        \
    uint64_t value_;                                                                               \
    __asm__ volatile("mfspr %0, %1" : "=r"(value_) : "i"(number));                                 \
    value_;                                                                                        \
})

#define write_spr(number, value)                                                                   \
    __asm__ volatile("mtspr %0, %1" : : "i"(number), "r"((uint64_t)(value)) : "memory")

enum {
    SPR_DECREMENTER = 22,
    SPR_PID = 48,
    SPR_TIMEBASE = 268,
    SPR_HDSISR = 306,
    SPR_HDAR = 307,
    SPR_HYPERVISOR_DECREMENTER = 310,
    SPR_LPCR = 318,
    SPR_LPID = 319,
    SPR_PARTITION_TABLE = 464,
    SPR_STOP_STATUS = 855,
};

#define MSR_HV (1ul << 60)

/* Logical partitioning control. */
#define LPCR_HDICE (1ul << 0)           /* the hypervisor decrementer interrupts */
#define LPCR_LPES0 (1ul << 3)           /* external interrupts are the guest's */
#define LPCR_HOST_RADIX (1ul << 20)
#define LPCR_UPRT (1ul << 22)           /* guests have radix tables too */
#define LPCR_AIL (3ul << 23)            /* guests take interrupts without translation */
#define LPCR_ILE (1ul << 25)            /* … and in little endian */
#define LPCR_LD (1ul << 17)             /* decrementers of more than 32 bits */

/* Radix tables of 52 bits: 13 in the first level, 9 in each of the three others, pages of 4 KiB. */
#define LEVELS 4
#define ROOT_BITS 13
#define TABLE_BITS 9
#define PAGE_BITS 12
#define BIG_PAGE_LEVEL 2
#define BIG_PAGE_SIZE (1ul << (PAGE_BITS + TABLE_BITS))
#define ENTRY_VALID (1ul << 63)
#define ENTRY_LEAF (1ul << 62)
#define ENTRY_ADDRESS 0x01fffffffffff000ul
#define LEAF (ENTRY_VALID | ENTRY_LEAF | 0x185)  /* used, changed; read, execute */
#define LEAF_WRITE 2ul

#define PARTITION_RADIX (1ul << 63 | 2ul << 61 | 5ul << 5 | ROOT_BITS)

#define PARTITIONS_64K 4ul              /* the size of the table of partitions */

#define HDSISR_STORE 0x02000000ul

struct partition {
    uint64_t partition_scoped, process_scoped;
};

struct mailbox mailbox __attribute__((aligned(4096)));

static struct partition partitions[4096] __attribute__((aligned(65536)));
static uint64_t roots[SPACES][1 << ROOT_BITS] __attribute__((aligned(65536)));
static uint64_t tables[1024][1 << TABLE_BITS] __attribute__((aligned(4096)));
static unsigned int tables_used;
static uint64_t lpcr;

struct registers *start(void);
struct registers *guest_left(uint64_t vector, struct registers *registers);

/* ---- Memory of guests ---- */

static uint64_t *new_table(void)
{
    return tables_used < sizeof(tables) / sizeof(tables[0]) ? tables[tables_used++] : NULL;
}

static unsigned int shift_of(unsigned int level)
{
    return PAGE_BITS + TABLE_BITS * (LEVELS - 1 - level);
}

/* The entry for address in the table at level (0 is the root), made on the way; NULL if there is no
 * room. A large page on the way becomes a table of small ones. */
static uint64_t *entry_of(uint64_t space, uint64_t address, unsigned int level)
{
    uint64_t *table = roots[space];

    for (unsigned int at = 0;; at++) {
        unsigned int bits = at == 0 ? ROOT_BITS : TABLE_BITS;
        uint64_t *entry = &table[address >> shift_of(at) & ((1ul << bits) - 1)];

        if (at == level)
            return entry;
        if (!(*entry & ENTRY_VALID) || *entry & ENTRY_LEAF) {
            uint64_t *below = new_table();

            if (!below)
                return NULL;
            for (unsigned int i = 0; *entry & ENTRY_LEAF && i < 1u << TABLE_BITS; i++)
                below[i] = *entry + ((uint64_t)i << shift_of(at + 1));
            *entry = ENTRY_VALID | (uint64_t)below | TABLE_BITS;
        }
        table = (uint64_t *)(*entry & ENTRY_ADDRESS & ~0xffful);
    }
}

/* Gives size bytes at address the memory at target, or, if there is none, takes away what is there. */
static uint64_t map(uint64_t space, uint64_t address, uint64_t target, uint64_t size, uint64_t leaf)
{
    while (size) {
        bool big = !((address | target) & (BIG_PAGE_SIZE - 1)) && size >= BIG_PAGE_SIZE;
        uint64_t step = big ? BIG_PAGE_SIZE : 1ul << PAGE_BITS;
        uint64_t *entry = entry_of(space, address, big ? BIG_PAGE_LEVEL : LEVELS - 1);

        if (!entry)
            return RESULT_NO_ROOM;
        *entry = leaf ? target | leaf : 0;
        address += step;
        target += step;
        size -= step;
    }
    return RESULT_DONE;
}

/* Forgets what the processor keeps of the tables of a guest. */
static void forget(uint64_t space)
{
    register uint64_t what __asm__("r3") = 2ul << 10; /* all of the partition in the other register */
    register uint64_t partition __asm__("r4") = space + 1;

    __asm__ volatile("ptesync\n\t"
                     ".long 0x7c891a64\n\t" /* tlbie r3, r4, 2, 0, 1 */
                     "eieio\n\t"
                     "tlbsync\n\t"
                     "ptesync"
                     :
                     : "r"(what), "r"(partition)
                     : "memory");
}

/* ---- Waiting for the model ---- */

#define LOOKS 64                /* between two looks at the clock */
#define PATIENCE 102400         /* ticks: 200 µs */
#define NAP 25600               /* 50 µs */

/* What the clocks of the processor are set to, so that they are not set again for nothing. */
static uint64_t deadline_set;
static const struct registers *decrementer_of;
static uint64_t decrementer_end_set;

/* The model answers within microseconds if it has a processor of the host's. So as not to keep it from
 * one, a long wait goes on asleep. */
static void wait_for_model(void)
{
    uint64_t begun = read_spr(SPR_TIMEBASE);

    for (;;) {
        for (unsigned int look = 0; look < LOOKS; look++)
            if (mailbox.owner == OWNER_SHIM) {
                __asm__ volatile("lwsync" : : : "memory");
                return;
            }
        if (read_spr(SPR_TIMEBASE) - begun > PATIENCE) {
            deadline_set = 0;
            decrementer_of = NULL;
            write_spr(SPR_DECREMENTER, INT32_MAX);
            write_spr(SPR_HYPERVISOR_DECREMENTER, NAP);
            write_spr(SPR_STOP_STATUS, 0); /* go on here; guests can write it */
            __asm__ volatile(".long 0x4c0002e4" : : : "memory"); /* stop */
        }
    }
}

static void hand_over(void)
{
    mailbox.counter = read_spr(SPR_TIMEBASE);
    __asm__ volatile("lwsync" : : : "memory");
    mailbox.owner = OWNER_MODEL;
}

/* ---- Entering and leaving guests ---- */

/* Of a decrementer that has run out: it stays negative for two seconds, and with it the interrupt. */
#define LONG_PAST (-(1l << 30))

static int64_t between(int64_t low, int64_t value, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

static void set_clocks(const struct registers *registers)
{
    int64_t now = (int64_t)read_spr(SPR_TIMEBASE);

    if (decrementer_of != registers || decrementer_end_set != registers->decrementer_end) {
        decrementer_of = registers;
        decrementer_end_set = registers->decrementer_end;
        write_spr(SPR_DECREMENTER, between(LONG_PAST, (int64_t)decrementer_end_set - now, INT32_MAX));
    }
    if (deadline_set != mailbox.deadline) {
        deadline_set = mailbox.deadline;
        write_spr(SPR_HYPERVISOR_DECREMENTER, between(1, (int64_t)deadline_set - now, INT32_MAX));
    }
}

/* Does what the model asks for until that is to run a guest; returns its registers. */
static struct registers *serve(void)
{
    for (;;) {
        struct registers *registers;
        uint64_t space;

        hand_over();
        wait_for_model();
        registers = (struct registers *)mailbox.registers;
        space = mailbox.space;
        switch (mailbox.command) {
        case COMMAND_RUN:
            write_spr(SPR_LPID, space + 1);
            write_spr(SPR_LPCR, mailbox.little_endian ? lpcr | LPCR_ILE : lpcr);
            __asm__ volatile("isync" : : : "memory");
            set_clocks(registers);
            return registers;
        case COMMAND_MAP:
            mailbox.result = map(space, mailbox.address, mailbox.target, mailbox.size,
                                 mailbox.writable ? LEAF | LEAF_WRITE : LEAF);
            forget(space);
            break;
        case COMMAND_UNMAP:
            mailbox.result = map(space, mailbox.address, 0, mailbox.size, 0);
            forget(space);
            break;
        default:
            mailbox.result = RESULT_UNKNOWN;
        }
    }
}

static enum exit_reason reason_of(uint64_t vector, const struct registers *registers)
{
    if (registers->msr & MSR_HV)
        return EXIT_FAILED;
    switch (vector) {
    case 0x980:
        deadline_set = 0;
        return EXIT_DEADLINE;
    case 0xc00:
        return EXIT_CALL;
    case 0xe00:
        mailbox.address = read_spr(SPR_HDAR);
        mailbox.access = read_spr(SPR_HDSISR) & HDSISR_STORE ? ACCESS_WRITE : ACCESS_READ;
        return EXIT_MEMORY;
    case 0xe20:
        mailbox.address = registers->pc;
        mailbox.access = ACCESS_EXECUTE;
        return EXIT_MEMORY;
    case 0xe40:
        return EXIT_ILLEGAL;
    default:
        return EXIT_UNKNOWN;
    }
}

/* An interrupt that hypervisor state takes; returns the registers of the vcpu that runs next. */
struct registers *guest_left(uint64_t vector, struct registers *registers)
{
    registers->decrementer_end = read_spr(SPR_TIMEBASE) + (uint64_t)(int32_t)read_spr(SPR_DECREMENTER);
    decrementer_of = registers;
    decrementer_end_set = registers->decrementer_end;
    mailbox.exit = reason_of(vector, registers);
    mailbox.cause = vector;
    return serve();
}

/* The machine has started; returns the registers of the first vcpu that runs. */
struct registers *start(void)
{
    for (unsigned int space = 0; space < SPACES; space++)
        partitions[space + 1].partition_scoped = PARTITION_RADIX | (uint64_t)roots[space];
    write_spr(SPR_PARTITION_TABLE, (uint64_t)partitions | PARTITIONS_64K);
    write_spr(SPR_PID, 0);
    lpcr = read_spr(SPR_LPCR) & ~(LPCR_AIL | LPCR_LD | LPCR_ILE);
    lpcr |= LPCR_HOST_RADIX | LPCR_UPRT | LPCR_HDICE | LPCR_LPES0;
    write_spr(SPR_LPCR, lpcr);
    mailbox.exit = EXIT_READY;
    return serve();
}
