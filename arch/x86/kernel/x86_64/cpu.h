/* 64-bit mode: hypercalls, registers, frames. */
#ifndef XENPORT_X86_64_CPU_H
#define XENPORT_X86_64_CPU_H

#include <stdbool.h>
#include <stddef.h>

#include <boot.h>

/* How the words of XENVER_capabilities name this architecture. */
#define ARCH_CAPABILITY "x86_64"

#define STACK_POINTER "rsp"

#define ARCH_CHILD(tag) tag

/* A hypercall by `entry`, code that takes its number in rax. */
static inline long hypercall_by(const void *entry, unsigned long number, unsigned long a1,
                                unsigned long a2, unsigned long a3, unsigned long a4,
                                unsigned long a5)
{
    register unsigned long r10 __asm__("r10") = a4;
    register unsigned long r8 __asm__("r8") = a5;
    long result = (long)number;

    __asm__ volatile("call *%[entry]"
                     : "+a"(result), "+D"(a1), "+S"(a2), "+d"(a3), "+r"(r10), "+r"(r8)
                     : [entry] "r"(entry)
                     : "rcx", "r9", "r11", "cc", "memory");
    return result;
}

static inline bool arch_is_pv(void)
{
    return boot_info.start_info != NULL;
}

/* Page 0 is not mapped: see head.S. */
static inline void *arch_unmapped_pointer(void)
{
    return NULL;
}

struct arch_jump {
    unsigned long rbx, rbp, r12, r13, r14, r15, rsp, rip;
};

/* Each vcpu has its stack; see secondary.h. */
extern char secondary_stack_top[];

static inline unsigned int arch_vcpu(void)
{
    return (unsigned long)secondary_stack_top - (unsigned long)__builtin_frame_address(0) <= STACK_SIZE;
}
#define arch_vcpu arch_vcpu

/* What vectors.S leaves on the stack. */
struct registers {
    unsigned long r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
    unsigned long vector, error;
    unsigned long rip, cs, rflags, rsp, ss;
};

static inline unsigned long registers_pc(const struct registers *registers)
{
    return registers->rip;
}

/* ---- Domains that this kernel builds; see builder.c ---- */

struct xencons_interface;
const char *arch_domain_module(size_t *size);
struct xencons_interface *arch_domain_build(domid_t id, const char *words, const char *kernel,
                                            size_t size);
void arch_domain_release(void);
#define arch_domain_build arch_domain_build

#endif
