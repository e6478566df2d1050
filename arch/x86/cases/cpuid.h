/* The instruction cpuid. */
#ifndef XENPORT_X86_CPUID_H
#define XENPORT_X86_CPUID_H

#include <stdint.h>

#define SECOND_CPU 1               /* there in environments that provide "second-processor" */
#define NO_CPU 0x7000              /* a number that no processor has */

struct cpuid {
    uint32_t a, b, c, d;
};

static inline struct cpuid cpuid_sub(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid r;

    __asm__ volatile("cpuid"
                     : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d)
                     : "0"(leaf), "2"(subleaf));
    return r;
}

static inline struct cpuid cpuid(uint32_t leaf)
{
    return cpuid_sub(leaf, 0);
}

#endif
