/*
 * What the shared code of the Arm kernels needs of an arm64 CPU: system registers, hypercall,
 * firmware call, barriers, address translation.
 */
#ifndef ARM64_CPU_H
#define ARM64_CPU_H

#include <stdbool.h>
#include <stdint.h>

/* How the words of XENVER_capabilities name this architecture. */
#define ARCH_CAPABILITY "aarch64"

#define read_register(name)                                                                       \
    ({                                                                                             \
        uint64_t value_;                                                                           \
        __asm__ volatile("mrs %0, " name : "=r"(value_)::"memory");                                \
        value_;                                                                                    \
    })

#define write_register(name, value)                                                               \
    do {                                                                                           \
        uint64_t value_ = (value);                                                                 \
        __asm__ volatile("msr " name ", %0\n\tisb" ::"r"(value_) : "memory");                      \
    } while (0)

/* x19 to x30, sp, exception stack pointer, DAIF: see jump.S. */
struct arch_jump {
    uint64_t saved[15];
};

/* The immediate of the HVC instruction tells Xen's hypercalls from firmware calls. */
#define HYPERCALL_TAG "0xEA1"

static inline long arch_hypercall(unsigned long number, unsigned long a1, unsigned long a2,
                                  unsigned long a3, unsigned long a4, unsigned long a5)
{
    register unsigned long x0 __asm__("x0") = a1;
    register unsigned long x1 __asm__("x1") = a2;
    register unsigned long x2 __asm__("x2") = a3;
    register unsigned long x3 __asm__("x3") = a4;
    register unsigned long x4 __asm__("x4") = a5;
    register unsigned long x16 __asm__("x16") = number;

    __asm__ volatile("hvc #" HYPERCALL_TAG
                     : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3), "+r"(x4), "+r"(x16)
                     :
                     : "memory");
    return (long)x0;
}

/* A call by the SMC calling convention through HVC, as Xen's device tree asks for: PSCI. */
static inline long arch_firmware_call(unsigned long function, unsigned long a1, unsigned long a2,
                                      unsigned long a3)
{
    register unsigned long x0 __asm__("x0") = function;
    register unsigned long x1 __asm__("x1") = a1;
    register unsigned long x2 __asm__("x2") = a2;
    register unsigned long x3 __asm__("x3") = a3;

    __asm__ volatile("hvc #0"
                     : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)
                     :
                     : "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14",
                       "x15", "x16", "x17", "memory");
    return (long)x0;
}

/* A call without arguments by the other instruction. */
static inline long arch_secure_call(unsigned long function)
{
    register unsigned long x0 __asm__("x0") = function;

    __asm__ volatile(".inst 0xd4000003" /* smc #0, which assemblers take for EL3 only */
                     : "+r"(x0)
                     :
                     : "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12",
                       "x13", "x14", "x15", "x16", "x17", "memory");
    return (long)x0;
}

/* A call that is neither. */
static inline void arch_unknown_call(void)
{
    __asm__ volatile("hvc #0xEA2" ::: "x0", "x16", "memory");
}

static inline void arch_illegal_instruction(void)
{
    __asm__ volatile("udf #0");
}

#define DAIF_IRQ (1u << 7)

static inline void arch_events_enable(void)
{
    __asm__ volatile("msr daifclr, #2" ::: "memory");
}

static inline void arch_events_disable(void)
{
    __asm__ volatile("msr daifset, #2" ::: "memory");
}

static inline bool arch_events_enabled(void)
{
    return !(read_register("daif") & DAIF_IRQ);
}

/* The number of the vcpu that this runs on; Xen numbers the first few by their lowest affinity. */
static inline unsigned int arch_vcpu(void)
{
    return read_register("mpidr_el1") & 0xf;
}
#define arch_vcpu arch_vcpu

/* The barriers keep the counter from being read early. */
static inline uint64_t arch_counter(void)
{
    __asm__ volatile("isb" ::: "memory");
    return read_register("cntvct_el0");
}

static inline uint64_t counter_frequency(void)
{
    return read_register("cntfrq_el0");
}

static inline void virtual_timer_set(uint32_t ticks)
{
    write_register("cntv_tval_el0", ticks);
    write_register("cntv_ctl_el0", 1);
}

static inline void virtual_timer_stop(void)
{
    write_register("cntv_ctl_el0", 0);
}

static inline void physical_timer_set(uint32_t ticks)
{
    write_register("cntp_tval_el0", ticks);
    write_register("cntp_ctl_el0", 1);
}

static inline void physical_timer_stop(void)
{
    write_register("cntp_ctl_el0", 0);
}

/* The GICv3's CPU interface; the register names are the architecture's. */
static inline void gicv3_interface_enable(void)
{
    write_register("S3_0_C12_C12_5", read_register("S3_0_C12_C12_5") | 1); /* ICC_SRE_EL1.SRE */
    write_register("S3_0_C4_C6_0", 0xff);                                  /* ICC_PMR_EL1 */
    write_register("S3_0_C12_C12_7", 1);                                   /* ICC_IGRPEN1_EL1 */
}

static inline uint32_t gicv3_interface_acknowledge(void)
{
    return (uint32_t)read_register("S3_0_C12_C12_0"); /* ICC_IAR1_EL1 */
}

static inline void gicv3_interface_end(uint32_t acknowledged)
{
    write_register("S3_0_C12_C12_1", acknowledged); /* ICC_EOIR1_EL1 */
}

/* Address translation. */
#define MMU_ADDRESS_BITS 39

/*
 * TCR_EL1: T0SZ, write-back walks, inner shareable, 4 KiB granule, TTBR1 off, 40-bit physical
 * addresses.
 */
#define TCR_VALUE                                                                                 \
    (64 - MMU_ADDRESS_BITS | 1ull << 8 | 1ull << 10 | 3ull << 12 | 1ull << 23 | 2ull << 32)

#define SCTLR_MMU               (1ull << 0)
#define SCTLR_DATA_CACHE        (1ull << 2)
#define SCTLR_SP_ALIGNMENT      (1ull << 3)
#define SCTLR_INSTRUCTION_CACHE (1ull << 12)

/* Bytes in the smallest line of a data cache. */
static inline uint64_t cache_line(void)
{
    return 4ull << (read_register("ctr_el0") >> 16 & 0xf);
}

/* Forgets the line at an address, which is not written back. */
static inline void cache_forget(uintptr_t address)
{
    __asm__ volatile("dc ivac, %0" ::"r"(address) : "memory");
}

/* Writes the line at an address back. */
static inline void cache_clean(uintptr_t address)
{
    __asm__ volatile("dc cvac, %0" ::"r"(address) : "memory");
}

/* The registers of address translation: MAIR, TCR, TTBR0, SCTLR. */
static inline void translation_read(uint64_t *attributes, uint64_t *translation, uint64_t *tables,
                                    uint64_t *control)
{
    *attributes = read_register("mair_el1");
    *translation = read_register("tcr_el1");
    *tables = read_register("ttbr0_el1");
    *control = read_register("sctlr_el1");
}

/* Turns address translation and the caches on; `attributes` are those of MAIR_EL1. */
static inline void translation_enable(const uint64_t *tables, uint64_t attributes)
{
    write_register("mair_el1", attributes);
    write_register("tcr_el1", TCR_VALUE);
    write_register("ttbr0_el1", (uintptr_t)tables);
    __asm__ volatile("tlbi vmalle1\n\tdsb sy\n\tisb" ::: "memory");
    write_register("sctlr_el1", read_register("sctlr_el1") | SCTLR_MMU | SCTLR_DATA_CACHE |
                                    SCTLR_SP_ALIGNMENT | SCTLR_INSTRUCTION_CACHE);
}

/* Single loads and stores: a hypervisor cannot emulate the forms that leave no syndrome. */
static inline uint32_t mmio_read32(uintptr_t address)
{
    uint32_t value;

    __asm__ volatile("ldr %w0, [%1]" : "=r"(value) : "r"(address) : "memory");
    return value;
}

static inline void mmio_write32(uintptr_t address, uint32_t value)
{
    __asm__ volatile("dsb sy\n\tstr %w0, [%1]" ::"r"(value), "r"(address) : "memory");
}

#endif
