/* Descriptor tables of an HVM guest in 64-bit mode. */
#include "x86.h"

#define GATE_INTERRUPT 0x8e      /* present, 64-bit, interrupts off */
#define DESCRIPTOR_TSS 0x89      /* present, available 64-bit TSS */

struct gate {
    uint16_t offset_low;
    uint16_t selector;
    uint8_t stack;               /* index in the TSS, 0: the current one */
    uint8_t type;
    uint16_t offset_middle;
    uint32_t offset_high;
    uint32_t reserved;
};

struct __attribute__((packed)) task_state {
    uint32_t reserved0;
    uint64_t privilege_stacks[3];
    uint64_t reserved1;
    uint64_t stacks[7];
    uint64_t reserved2;
    uint16_t reserved3;
    uint16_t io_map;
};

struct __attribute__((packed)) table_pointer {
    uint16_t limit;
    uint64_t base;
};

extern uint64_t page_l1[];       /* head.S */

static struct gate idt[EVENT_VECTOR + 1], second_idt[EVENT_VECTOR + 1];
static struct task_state task_state;
static char double_fault_stack[PAGE_SIZE] __attribute__((aligned(16)));

static void set_gate(struct gate *gate, const char *entry, unsigned int stack)
{
    uintptr_t address = (uintptr_t)entry;

    *gate = (struct gate){
        .offset_low = (uint16_t)address,
        .selector = SELECTOR_CODE,
        .stack = (uint8_t)stack,
        .type = GATE_INTERRUPT,
        .offset_middle = (uint16_t)(address >> 16),
        .offset_high = (uint32_t)(address >> 32),
    };
}

/* The descriptor of the TSS is two entries long. */
static void load_task_state(void)
{
    uint64_t address = (uintptr_t)&task_state;

    task_state.stacks[0] = (uintptr_t)double_fault_stack + sizeof(double_fault_stack);
    task_state.io_map = sizeof(task_state);
    gdt[SELECTOR_TSS / 8] = (sizeof(task_state) - 1) | (address & 0xffffff) << 16 |
                            (uint64_t)DESCRIPTOR_TSS << 40 | (address >> 24 & 0xff) << 56;
    gdt[SELECTOR_TSS / 8 + 1] = address >> 32;
    __asm__ volatile("ltr %w0" : : "r"(SELECTOR_TSS) : "memory");
}

/* Without the page below the stack, an overflow ends as a double fault, which has its own stack. */
static void unmap_stack_guard(void)
{
    page_l1[(uintptr_t)stack_guard / PAGE_SIZE] = 0;
    __asm__ volatile("invlpg %0" : : "m"(*stack_guard) : "memory");
}

static void load_idt(const struct gate *table)
{
    struct table_pointer pointer = {.limit = sizeof(idt) - 1, .base = (uintptr_t)table};

    __asm__ volatile("lidt %0" : : "m"(pointer) : "memory");
}

void load_vectors(void)
{
    load_task_state();
    for (unsigned int vector = 0; vector < EXCEPTIONS; vector++)
        set_gate(&idt[vector], exception_entries[vector] + ENTRY_HVM, vector == VECTOR_DF ? 1 : 0);
    set_gate(&idt[EVENT_VECTOR], hvm_event, 0);
    load_idt(idt);
    unmap_stack_guard();
}

void load_event_vector(void)
{
    set_gate(&second_idt[EVENT_VECTOR], hvm_event, 0);
    load_idt(second_idt);
}
