/*
 * Time: the virtual counter, and the virtual timer that compares with it.
 */
#include "timer.h"

#include <arch.h>

#define NS_PER_SECOND 1000000000ull

static volatile unsigned int count;

uint64_t arch_monotonic_ns(void)
{
    uint64_t frequency = counter_frequency();
    uint64_t ticks = arch_counter();

    /* In two parts: ticks * 10^9 does not fit into 64 bits. */
    return ticks / frequency * NS_PER_SECOND + ticks % frequency * NS_PER_SECOND / frequency;
}

void timer_start(uint64_t delay)
{
    uint64_t frequency = counter_frequency();

    count = 0;
    virtual_timer_set(arch_counter() + delay / NS_PER_SECOND * frequency +
                      delay % NS_PER_SECOND * frequency / NS_PER_SECOND);
}

void timer_stop(void)
{
    virtual_timer_stop();
}

unsigned int timer_count(void)
{
    return count;
}

void timer_interrupt(void)
{
    virtual_timer_stop(); /* the level stays high otherwise */
    count++;
}
