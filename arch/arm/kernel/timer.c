/*
 * Time: the virtual counter, and the timers.
 */
#include "timer.h"

#include <arch.h>

#define NS_PER_SECOND 1000000000ull

static volatile unsigned int counts[TIMERS], takers[TIMERS];

uint64_t arch_monotonic_ns(void)
{
    uint64_t frequency = counter_frequency();
    uint64_t ticks = arch_counter();

    /* In two parts: ticks * 10^9 does not fit into 64 bits. */
    return ticks / frequency * NS_PER_SECOND + ticks % frequency * NS_PER_SECOND / frequency;
}

void timer_start(enum timer timer, uint64_t delay)
{
    /* 30 s in ns, times any frequency, fit. One more: part of the present tick is over. */
    uint32_t ticks = (uint32_t)(delay * (counter_frequency() / 1000) / (NS_PER_SECOND / 1000)) + 1;

    counts[timer] = 0;
    if (timer == TIMER_PHYSICAL)
        physical_timer_set(ticks);
    else
        virtual_timer_set(ticks);
}

void timer_stop(enum timer timer)
{
    if (timer == TIMER_PHYSICAL)
        physical_timer_stop();
    else
        virtual_timer_stop();
}

unsigned int timer_count(enum timer timer)
{
    return counts[timer];
}

unsigned int timer_taker(enum timer timer)
{
    return takers[timer];
}

void timer_interrupt(enum timer timer)
{
    timer_stop(timer); /* the level stays high otherwise */
    takers[timer] = arch_vcpu();
    counts[timer]++;
}
