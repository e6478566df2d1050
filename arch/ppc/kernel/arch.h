/*
 * ppc64, IBM's PowerPC port of Xen (releases up to 3.2), and the layouts of today's: what the runtime and
 * the tests need of it.
 *
 * The kernel runs in supervisor state, 64-bit, in the byte order of its release, with address translation
 * off: an effective address is a guest-physical one, and page 0, which holds the exception vectors, is
 * mapped.
 */
#ifndef XENPORT_ARCH_H
#define XENPORT_ARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <xen.h>

/* Numbers of Xen's hypercalls are told from those of PAPR by ones in bits 16 and up. */
#define ARCH_XEN_MARK (~0UL << 16)

/* Number in r3, arguments in r4 and up, result in r3. Xen gives every other register back, except
 * SRR0 and SRR1; the kernel relies only on those that a function call keeps. */
static inline long arch_hypercall(unsigned long number, unsigned long a1, unsigned long a2,
                                  unsigned long a3, unsigned long a4, unsigned long a5)
{
    register unsigned long r3 __asm__("r3") = number | ARCH_XEN_MARK;
    register unsigned long r4 __asm__("r4") = a1;
    register unsigned long r5 __asm__("r5") = a2;
    register unsigned long r6 __asm__("r6") = a3;
    register unsigned long r7 __asm__("r7") = a4;
    register unsigned long r8 __asm__("r8") = a5;

    __asm__ volatile("sc 1"
                     : "+r"(r3), "+r"(r4), "+r"(r5), "+r"(r6), "+r"(r7), "+r"(r8)
                     :
                     : "memory", "r0", "r9", "r10", "r11", "r12", "ctr", "xer", "cr0", "cr1", "cr5",
                       "cr6", "cr7");
    return (long)r3;
}

/* A physically contiguous area by its address, by IBM's ABI without a xencomm descriptor. Address 0 in that
 * form is a good one (the vectors are there), so NULL becomes a handle to no descriptor instead. */
static inline unsigned long arch_guest_address(const volatile void *pointer)
{
#ifdef XENCOMM_INLINE_FLAG
    return pointer ? (unsigned long)pointer | XENCOMM_INLINE_FLAG : 0;
#else
    return (unsigned long)pointer;
#endif
}

/* IBM's Xen stops when a domain other than domain 0 maps a grant for the processor. */
#ifdef XENCOMM_INLINE_FLAG
#define ARCH_GRANT_MAP GNTMAP_device_map
#endif

/* How the words of XENVER_capabilities name this architecture. */
#define ARCH_CAPABILITY "powerpc64"

/* The frame number of a page of the kernel. */
static inline unsigned long arch_frame(const volatile void *page)
{
    return (unsigned long)page / 4096;
}

static inline uint64_t arch_counter(void)
{
    uint64_t timebase;

    __asm__ volatile("mfspr %0, 268" : "=r"(timebase));
    return timebase;
}

/* From the timebase alone; this is Xen's system time too, which absolute deadlines are given in. */
uint64_t arch_monotonic_ns(void);

/* MSR[EE]. Xen looks for a pending upcall only when it returns to the guest, so enabling makes a
 * hypercall if one is pending. */
void arch_events_enable(void);

#define ARCH_MSR_EE 0x8000UL
#define ARCH_MSR_RI 0x0002UL

static inline void arch_events_disable(void)
{
    __asm__ volatile("mtmsrd %0, 1" : : "r"(ARCH_MSR_RI) : "memory");
}

static inline bool arch_events_enabled(void)
{
    unsigned long msr;

    __asm__ volatile("mfmsr %0" : "=r"(msr));
    return msr & ARCH_MSR_EE;
}

static inline void arch_pause(void)
{
    __asm__ volatile("or 1, 1, 1\n\t" /* low priority */
                     "or 2, 2, 2"     /* and back to medium */
                     :
                     :
                     : "memory");
}

static inline void arch_illegal_instruction(void)
{
    __asm__ volatile(".long 0" : : : "memory");
}

/* With translation off, addresses behind the real mode area fault. The largest that a PowerPC 970 can
 * have is 256 GiB. */
static inline void *arch_unmapped_pointer(void)
{
    return (void *)(1UL << 39);
}

struct arch_jump {
    unsigned long stack, toc, return_address, condition;
    unsigned long kept[18];     /* r14 to r31 */
};

int arch_jump_save(struct arch_jump *jump) __attribute__((returns_twice));
_Noreturn void arch_jump_to(struct arch_jump *jump, int value);

void arch_init(void);

/* Registers as they were at entry; head.S keeps them. */
struct arch_entry {
    const void *device_tree;    /* r3 */
    unsigned long r4, r5, msr;
};

extern struct arch_entry arch_entry;

/* Decrementer interrupts since the start. This is how timers reach a guest: IBM's port has no
 * VIRQ_TIMER, it makes the decrementer run out instead. The macro says so to tests of timers. */
unsigned long arch_timer_interrupts(void);
#define arch_timer_interrupts arch_timer_interrupts

/* For another vcpu than the first, when it starts: its number, which is kept in SPRG1, and the top of a stack for
 * its faults, in SPRG0. */
void arch_vcpu_begin(unsigned int vcpu, void *fault_stack);

/* What the vectors do on another vcpu than the first, whose matter the runtime is. */
struct arch_second_vcpu {
    void (*upcall)(void);
    void (*fault)(void);        /* does not return */
};

extern struct arch_second_vcpu arch_second_vcpu;

#endif
