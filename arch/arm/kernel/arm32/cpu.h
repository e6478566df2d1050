/*
 * What the shared code of the Arm kernels needs of an arm32 CPU: system registers, hypercall,
 * firmware call, barriers, address translation.
 */
#ifndef ARM32_CPU_H
#define ARM32_CPU_H

#include <stdbool.h>
#include <stdint.h>

/* How the words of XENVER_capabilities name this architecture. */
#define ARCH_CAPABILITY "armv7l"

/* Registers of coprocessor 15, by the numbers in MRC and MCR, and the 64-bit ones of MRRC, MCRR. */
#define read_cp15(opc1, crn, crm, opc2)                                                           \
    ({                                                                                             \
        uint32_t value_;                                                                           \
        __asm__ volatile("mrc p15, " #opc1 ", %0, " #crn ", " #crm ", " #opc2                     \
                         : "=r"(value_)::"memory");                                                \
        value_;                                                                                    \
    })

#define write_cp15(opc1, crn, crm, opc2, value)                                                   \
    do {                                                                                           \
        uint32_t value_ = (value);                                                                 \
        __asm__ volatile("mcr p15, " #opc1 ", %0, " #crn ", " #crm ", " #opc2 "\n\tisb" ::"r"(     \
                             value_)                                                               \
                         : "memory");                                                              \
    } while (0)

#define read_cp15_wide(opc1, crm)                                                                 \
    ({                                                                                             \
        uint64_t value_;                                                                           \
        __asm__ volatile("mrrc p15, " #opc1 ", %Q0, %R0, " #crm : "=r"(value_)::"memory");        \
        value_;                                                                                    \
    })

#define write_cp15_wide(opc1, crm, value)                                                         \
    do {                                                                                           \
        uint64_t value_ = (value);                                                                 \
        __asm__ volatile("mcrr p15, " #opc1 ", %Q0, %R0, " #crm "\n\tisb" ::"r"(value_)           \
                         : "memory");                                                              \
    } while (0)

/* r4 to r11, sp, CPSR, lr: see jump.S. */
struct arch_jump {
    uint32_t saved[11];
};

/* The immediate of the HVC instruction tells Xen's hypercalls from firmware calls. */
#define HYPERCALL_TAG "0xEA1"
#define HVC           ".arch_extension virt\n\thvc #"

static inline long arch_hypercall(unsigned long number, unsigned long a1, unsigned long a2,
                                  unsigned long a3, unsigned long a4, unsigned long a5)
{
    register unsigned long r0 __asm__("r0") = a1;
    register unsigned long r1 __asm__("r1") = a2;
    register unsigned long r2 __asm__("r2") = a3;
    register unsigned long r3 __asm__("r3") = a4;
    register unsigned long r4 __asm__("r4") = a5;
    register unsigned long r12 __asm__("r12") = number;

    __asm__ volatile(HVC HYPERCALL_TAG
                     : "+r"(r0), "+r"(r1), "+r"(r2), "+r"(r3), "+r"(r4), "+r"(r12)
                     :
                     : "memory");
    return (long)r0;
}

/* A call by the SMC calling convention through HVC, as Xen's device tree asks for: PSCI. */
static inline long arch_firmware_call(unsigned long function, unsigned long a1, unsigned long a2,
                                      unsigned long a3)
{
    register unsigned long r0 __asm__("r0") = function;
    register unsigned long r1 __asm__("r1") = a1;
    register unsigned long r2 __asm__("r2") = a2;
    register unsigned long r3 __asm__("r3") = a3;

    __asm__ volatile(HVC "0"
                     : "+r"(r0), "+r"(r1), "+r"(r2), "+r"(r3)
                     :
                     : "r12", "memory");
    return (long)r0;
}

/* A call without arguments by the other instruction. */
static inline long arch_secure_call(unsigned long function)
{
    register unsigned long r0 __asm__("r0") = function;

    __asm__ volatile(".arch_extension sec\n\tsmc #0"
                     : "+r"(r0)
                     :
                     : "r1", "r2", "r3", "r12", "memory");
    return (long)r0;
}

/* A call that is neither. */
static inline void arch_unknown_call(void)
{
    __asm__ volatile(HVC "0xEA2" ::: "r0", "r12", "memory");
}

static inline void arch_illegal_instruction(void)
{
    __asm__ volatile("udf #0");
}

#define CPSR_IRQ (1u << 7)

static inline void arch_events_enable(void)
{
    __asm__ volatile("cpsie i" ::: "memory");
}

static inline void arch_events_disable(void)
{
    __asm__ volatile("cpsid i" ::: "memory");
}

static inline bool arch_events_enabled(void)
{
    uint32_t cpsr;

    __asm__ volatile("mrs %0, cpsr" : "=r"(cpsr)::"memory");
    return !(cpsr & CPSR_IRQ);
}

/* The number of the vcpu that this runs on; Xen numbers the first few by their lowest affinity. */
static inline unsigned int arch_vcpu(void)
{
    return read_cp15(0, c0, c0, 5) & 0xf; /* MPIDR */
}
#define arch_vcpu arch_vcpu

/* The barrier keeps the counter from being read early. */
static inline uint64_t arch_counter(void)
{
    __asm__ volatile("isb" ::: "memory");
    return read_cp15_wide(1, c14); /* CNTVCT */
}

static inline uint64_t counter_frequency(void)
{
    return read_cp15(0, c14, c0, 0); /* CNTFRQ */
}

static inline void virtual_timer_set(uint32_t ticks)
{
    write_cp15(0, c14, c3, 0, ticks); /* CNTV_TVAL */
    write_cp15(0, c14, c3, 1, 1);     /* CNTV_CTL */
}

static inline void virtual_timer_stop(void)
{
    write_cp15(0, c14, c3, 1, 0);
}

static inline void physical_timer_set(uint32_t ticks)
{
    write_cp15(0, c14, c2, 0, ticks); /* CNTP_TVAL */
    write_cp15(0, c14, c2, 1, 1);     /* CNTP_CTL */
}

static inline void physical_timer_stop(void)
{
    write_cp15(0, c14, c2, 1, 0);
}

/* The GICv3's CPU interface, which a 32-bit guest of 64-bit Xen may have. */
static inline void gicv3_interface_enable(void)
{
    write_cp15(0, c12, c12, 5, read_cp15(0, c12, c12, 5) | 1); /* ICC_SRE.SRE */
    write_cp15(0, c4, c6, 0, 0xff);                            /* ICC_PMR */
    write_cp15(0, c12, c12, 7, 1);                             /* ICC_IGRPEN1 */
}

static inline uint32_t gicv3_interface_acknowledge(void)
{
    return read_cp15(0, c12, c12, 0); /* ICC_IAR1 */
}

static inline void gicv3_interface_end(uint32_t acknowledged)
{
    write_cp15(0, c12, c12, 1, acknowledged); /* ICC_EOIR1 */
}

/* Address translation with the long descriptors, which arm64 has too. */
#define MMU_ADDRESS_BITS 32

/* TTBCR: write-back walks, inner shareable, TTBR0 for all addresses, long descriptors. */
#define TTBCR_VALUE (1u << 8 | 1u << 10 | 3u << 12 | 1u << 31)

#define SCTLR_MMU               (1u << 0)
#define SCTLR_DATA_CACHE        (1u << 2)
#define SCTLR_INSTRUCTION_CACHE (1u << 12)

/* Bytes in the smallest line of a data cache. */
static inline uint32_t cache_line(void)
{
    return 4u << (read_cp15(0, c0, c0, 1) >> 16 & 0xf); /* CTR */
}

/* Forgets the line at an address, which is not written back. */
static inline void cache_forget(uintptr_t address)
{
    __asm__ volatile("mcr p15, 0, %0, c7, c6, 1" ::"r"(address) : "memory"); /* DCIMVAC */
}

/* Writes the line at an address back. */
static inline void cache_clean(uintptr_t address)
{
    __asm__ volatile("mcr p15, 0, %0, c7, c10, 1" ::"r"(address) : "memory"); /* DCCMVAC */
}

/* The registers of address translation: MAIR0, TTBCR, TTBR0, SCTLR. */
static inline void translation_read(uint64_t *attributes, uint64_t *translation, uint64_t *tables,
                                    uint64_t *control)
{
    *attributes = read_cp15(0, c10, c2, 0);
    *translation = read_cp15(0, c2, c0, 2);
    *tables = read_cp15_wide(0, c2);
    *control = read_cp15(0, c1, c0, 0);
}

/* Turns address translation and the caches on; `attributes` are those of MAIR. */
static inline void translation_enable(const uint64_t *tables, uint32_t attributes)
{
    write_cp15(0, c10, c2, 0, attributes); /* MAIR0 */
    write_cp15(0, c2, c0, 2, TTBCR_VALUE);
    write_cp15_wide(0, c2, (uintptr_t)tables); /* TTBR0 */
    __asm__ volatile("mcr p15, 0, %0, c8, c7, 0\n\tdsb sy\n\tisb" ::"r"(0) : "memory"); /* TLBIALL */
    write_cp15(0, c1, c0, 0, read_cp15(0, c1, c0, 0) | SCTLR_MMU | SCTLR_DATA_CACHE |
                                 SCTLR_INSTRUCTION_CACHE);
}

/* Single loads and stores: a hypervisor cannot emulate the forms that leave no syndrome. */
static inline uint32_t mmio_read32(uintptr_t address)
{
    uint32_t value;

    __asm__ volatile("ldr %0, [%1]" : "=r"(value) : "r"(address) : "memory");
    return value;
}

static inline void mmio_write32(uintptr_t address, uint32_t value)
{
    __asm__ volatile("dsb sy\n\tstr %0, [%1]" ::"r"(value), "r"(address) : "memory");
}

#endif
