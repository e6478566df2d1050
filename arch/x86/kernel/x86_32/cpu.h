/* 32-bit protected mode: hypercalls, registers, frames. Every guest of this kernel is an HVM guest. */
#ifndef XENPORT_X86_32_CPU_H
#define XENPORT_X86_32_CPU_H

#include <stdbool.h>
#include <stddef.h>

#include <foreign/x86_64.h>

/* How the words of XENVER_capabilities name this architecture. */
#define ARCH_CAPABILITY "x86_32"

#define ARCH_COMPAT true

#define STACK_POINTER "esp"

/* To Xen a new domain is a 64-bit one, whoever makes it. */
#define ARCH_CHILD(tag) tag##_x86_64

/* A hypercall by `entry`, code that takes its number in eax. */
static inline long hypercall_by(const void *entry, unsigned long number, unsigned long a1,
                                unsigned long a2, unsigned long a3, unsigned long a4,
                                unsigned long a5)
{
    long result = (long)number;

    __asm__ volatile("call *%[entry]"
                     : "+a"(result), "+b"(a1), "+c"(a2), "+d"(a3), "+S"(a4), "+D"(a5)
                     : [entry] "m"(entry)
                     : "cc", "memory");
    return result;
}

static inline bool arch_is_pv(void)
{
    return false;
}

/* With paging, page 0 is not mapped. Without, the processor reaches all addresses; here is no memory. */
#define BEYOND_MEMORY 0x80000000ul

static inline bool is_paging(void)
{
    unsigned long cr0;

    __asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
    return cr0 >> 31;
}

static inline void *arch_unmapped_pointer(void)
{
    return is_paging() ? NULL : (void *)BEYOND_MEMORY;
}

struct arch_jump {
    unsigned long ebx, esi, edi, ebp, esp, eip;
};

/* What vectors.S leaves on the stack. */
struct registers {
    unsigned long edi, esi, ebp, esp, ebx, edx, ecx, eax;
    unsigned long vector, error;
    unsigned long eip, cs, eflags;
};

static inline unsigned long registers_pc(const struct registers *registers)
{
    return registers->eip;
}

#endif
