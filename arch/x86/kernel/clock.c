/* System time: what Xen says in vcpu_info, carried on with the TSC. */
#include "x86.h"

/* ns in so many ticks: shifted, then multiplied by a fraction of 2^32. */
static uint64_t ticks_to_ns(uint64_t ticks, const struct vcpu_time_info *time)
{
    if (time->tsc_shift >= 0)
        ticks <<= time->tsc_shift;
    else
        ticks >>= -time->tsc_shift;
    return (ticks >> 32) * time->tsc_to_system_mul +
           ((ticks & 0xffffffff) * time->tsc_to_system_mul >> 32);
}

uint64_t arch_monotonic_ns(void)
{
    const volatile struct vcpu_time_info *shared;
    struct vcpu_time_info time;
    uint64_t counter;

    if (!boot_info.vcpu_info)
        return arch_counter();
    shared = &boot_info.vcpu_info->time;
    /* The version is odd while Xen writes, and another one afterwards. */
    do {
        time.version = shared->version;
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        time.tsc_timestamp = shared->tsc_timestamp;
        time.system_time = shared->system_time;
        time.tsc_to_system_mul = shared->tsc_to_system_mul;
        time.tsc_shift = shared->tsc_shift;
        counter = arch_counter();
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
    } while (time.version & 1 || time.version != shared->version);
    return time.system_time + ticks_to_ns(counter - time.tsc_timestamp, &time);
}
