/*
 * What the test kernel's runtime needs of an Arm architecture (conformance/kernel/README.md).
 */
#ifndef ARCH_H
#define ARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <xen.h>

#ifdef __aarch64__
#include "arm64/cpu.h"
#else
#include "arm32/cpu.h"
#endif

/* Hypercalls take guest virtual addresses, and the kernel runs identity-mapped. */
static inline unsigned long arch_guest_address(const volatile void *pointer)
{
    return (unsigned long)pointer;
}

/* The frame number of a page of the kernel. */
static inline unsigned long arch_frame(const volatile void *page)
{
    return (unsigned long)page / 4096;
}

/* Page 0 is not mapped. */
static inline void *arch_unmapped_pointer(void)
{
    return NULL;
}

static inline void arch_pause(void)
{
    __asm__ volatile("yield" ::: "memory");
}

int arch_jump_save(struct arch_jump *jump) __attribute__((returns_twice));
_Noreturn void arch_jump_to(struct arch_jump *jump, int value);

uint64_t arch_monotonic_ns(void);
void arch_init(void);

/* Domains that tests make; see child.h. */
struct xen_domctl_createdomain;
struct vcpu_guest_context;
void arch_child_config(struct xen_domctl_createdomain *config);
long arch_child_prepare(domid_t child);
void arch_child_context(struct vcpu_guest_context *context);
long arch_child_map(domid_t child, xen_pfn_t frame, void **page);
void arch_child_unmap(void);
#define arch_child_config arch_child_config
#define ARCH_CHILD_FRAME (GUEST_RAM0_BASE / 4096)

#endif
