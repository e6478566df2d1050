/* Descriptor tables in 32-bit mode. */
#include "x86.h"
#include "x86_32/paging.h"

#define GATE_INTERRUPT 0x8e      /* present, 32-bit, interrupts off */
#define GATE_TASK 0x85
#define DESCRIPTOR_TSS 0x89      /* present, available 32-bit TSS */
#define EFLAGS_RESERVED 0x2
#define EFLAGS_NT 0x4000

struct gate {
    uint16_t offset_low;
    uint16_t selector;
    uint8_t reserved;
    uint8_t type;
    uint16_t offset_high;
};

struct task_state {
    uint32_t link;
    struct {
        uint32_t esp, ss;
    } privilege_stacks[3];
    uint32_t cr3, eip, eflags;
    uint32_t eax, ecx, edx, ebx, esp, ebp, esi, edi;
    uint32_t es, cs, ss, ds, fs, gs, ldt;
    uint16_t trap, io_map;
};

struct __attribute__((packed)) table_pointer {
    uint16_t limit;
    uint32_t base;
};

extern const char double_fault[];          /* vectors.S */

static struct gate idt[EVENT_VECTOR + 1];
/* The one task of the kernel, of which the processor needs nothing until a double fault is another. */
static struct task_state task_state;
static struct task_state double_fault_state;
static char double_fault_stack[PAGE_SIZE] __attribute__((aligned(16)));

static void set_gate(unsigned int vector, const char *entry)
{
    uintptr_t address = (uintptr_t)entry;

    idt[vector] = (struct gate){
        .offset_low = (uint16_t)address,
        .selector = SELECTOR_CODE,
        .type = GATE_INTERRUPT,
        .offset_high = (uint16_t)(address >> 16),
    };
}

/* Makes a task one that can be entered, which it is not while it runs. */
static void set_task(unsigned int selector, struct task_state *state)
{
    uint64_t address = (uintptr_t)state;

    state->io_map = sizeof(*state);
    gdt[selector / 8] = (sizeof(*state) - 1) | (address & 0xffffff) << 16 |
                        (uint64_t)DESCRIPTOR_TSS << 40 | (address >> 24) << 56;
}

static void load_task_states(void)
{
    double_fault_state = (struct task_state){
        .cr3 = double_fault_state.cr3,
        .eip = (uintptr_t)double_fault,
        .eflags = EFLAGS_RESERVED,
        .esp = (uintptr_t)double_fault_stack + sizeof(double_fault_stack),
        .cs = SELECTOR_CODE,
        .ds = SELECTOR_DATA,
        .es = SELECTOR_DATA,
        .ss = SELECTOR_DATA,
    };
    set_task(SELECTOR_DOUBLE_FAULT, &double_fault_state);
    set_task(SELECTOR_TSS, &task_state);
    __asm__ volatile("ltr %w0" : : "r"(SELECTOR_TSS) : "memory");
}

void load_vectors(void)
{
    struct table_pointer pointer = {.limit = sizeof(idt) - 1, .base = (uintptr_t)idt};

    load_task_states();
    for (unsigned int vector = 0; vector < EXCEPTIONS; vector++)
        set_gate(vector, exception_entries[vector]);
    idt[VECTOR_DF] = (struct gate){.selector = SELECTOR_DOUBLE_FAULT, .type = GATE_TASK};
    set_gate(EVENT_VECTOR, hvm_event);
    __asm__ volatile("lidt %0" : : "m"(pointer) : "memory");
}

void use_page_tables(unsigned long cr3)
{
    double_fault_state.cr3 = cr3;
    __asm__ volatile("mov %0, %%cr3" : : "r"(cr3) : "memory");
}

_Noreturn void double_fault_taken(void);
_Noreturn void exception_taken(const struct registers *registers);

/* Goes on as the kernel's own task, so that the next double fault can be taken. */
void double_fault_taken(void)
{
    struct registers registers = {
        .eax = task_state.eax,
        .ecx = task_state.ecx,
        .edx = task_state.edx,
        .ebx = task_state.ebx,
        .esp = task_state.esp,
        .ebp = task_state.ebp,
        .esi = task_state.esi,
        .edi = task_state.edi,
        .vector = VECTOR_DF,
        .eip = task_state.eip,
        .cs = task_state.cs,
        .eflags = task_state.eflags,
    };

    load_task_states();
    __asm__ volatile("pushf; andl %0, (%%esp); popf" : : "i"(~EFLAGS_NT) : "cc", "memory");
    exception_taken(&registers);
}
