/* x86: what the runtime and the tests use of the architecture. */
#ifndef XENPORT_ARCH_H
#define XENPORT_ARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <boot.h>
#include <version.h>
#include <xen.h>

#include "layout.h"

#ifdef __x86_64__
#include "x86_64/cpu.h"
#else
#include "x86_32/cpu.h"
#endif

#define PAGE_SIZE 4096

/* ---- Hypercalls ---- */

#define HYPERCALL_ENTRY_SIZE 32

extern const char hypercall_page[PAGE_SIZE];

/* Code that does any hypercall of this kind of guest; for numbers that the hypercall page has no room
 * for. Set by arch_init(). */
extern const void *hypercall_beyond_page;

static inline long arch_hypercall(unsigned long number, unsigned long a1, unsigned long a2,
                                  unsigned long a3, unsigned long a4, unsigned long a5)
{
    const void *entry = number < PAGE_SIZE / HYPERCALL_ENTRY_SIZE
                            ? hypercall_page + number * HYPERCALL_ENTRY_SIZE
                            : hypercall_beyond_page;

    return hypercall_by(entry, number, a1, a2, a3, a4, a5);
}

static inline unsigned long arch_guest_address(const volatile void *pointer)
{
    return (unsigned long)pointer;
}

/* ---- What hypercalls know of this guest ---- */

/* The frame number of a page of the kernel. A PV guest names the machine's frames. */
static inline unsigned long arch_frame(const volatile void *page)
{
    unsigned long frame = (unsigned long)page / PAGE_SIZE;

    if (boot_info.start_info)
        return ((const unsigned long *)boot_info.start_info->mfn_list)[frame];
    return frame;
}

/* ---- Time ---- */

static inline uint64_t arch_counter(void)
{
    uint32_t low, high;

    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

uint64_t arch_monotonic_ns(void);

static inline void arch_pause(void)
{
    __asm__ volatile("pause" : : : "memory");
}

/* ---- Upcalls: the mask byte of a PV guest, the interrupt flag of an HVM guest ---- */

#define RFLAGS_IF 0x200

static inline void arch_events_disable(void)
{
    if (!arch_is_pv())
        __asm__ volatile("cli" : : : "memory");
    else if (own_vcpu_info())
        __atomic_store_n(&own_vcpu_info()->evtchn_upcall_mask, 1, __ATOMIC_SEQ_CST);
}

static inline void arch_events_enable(void)
{
    if (!arch_is_pv()) {
        __asm__ volatile("sti" : : : "memory");
    } else if (own_vcpu_info()) {
        __atomic_store_n(&own_vcpu_info()->evtchn_upcall_mask, 0, __ATOMIC_SEQ_CST);
        /* Xen looks at the mask only on its way back to the guest; any hypercall brings that about. */
        if (__atomic_load_n(&own_vcpu_info()->evtchn_upcall_pending, __ATOMIC_SEQ_CST))
            arch_hypercall(__HYPERVISOR_xen_version, XENVER_version, 0, 0, 0, 0);
    }
}

static inline bool arch_events_enabled(void)
{
    unsigned long flags;

    if (arch_is_pv())
        return own_vcpu_info() &&
               !__atomic_load_n(&own_vcpu_info()->evtchn_upcall_mask, __ATOMIC_SEQ_CST);
    __asm__ volatile("pushf; pop %0" : "=r"(flags) : : "memory");
    return flags & RFLAGS_IF;
}

/* ---- Faults ---- */

static inline void arch_illegal_instruction(void)
{
    __asm__ volatile("ud2" : : : "memory");
}

int arch_jump_save(struct arch_jump *jump) __attribute__((returns_twice));
_Noreturn void arch_jump_to(struct arch_jump *jump, int value);

/* ---- Domains that tests make; see child.h ---- */

struct xen_domctl_createdomain;
struct ARCH_CHILD(vcpu_guest_context);
void arch_child_config(struct xen_domctl_createdomain *config);
long arch_child_prepare(domid_t child);
void arch_child_context(struct ARCH_CHILD(vcpu_guest_context) *context);
long arch_child_map(domid_t child, xen_pfn_t frame, void **page);
void arch_child_unmap(void);
#define arch_child_config arch_child_config
#define ARCH_CHILD_FRAME 0

/* ---- Power ---- */

/* Sends the machine to sleep with its memory kept; returns 0 when it was woken, or an error number. */
long arch_machine_sleep(void);
#define arch_machine_sleep arch_machine_sleep

/* ---- Start ---- */

void arch_init(void);

#endif
