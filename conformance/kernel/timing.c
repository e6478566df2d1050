/* Waiting; see timing.h. */
#include <hypercall.h>
#include <timing.h>

/* Steps without any movement of the clock after which it counts as stopped: far more than a working
 * clock, which is read with every step, ever needs. */
#define STALLED_STEPS 100000

struct wait wait_begin(uint64_t limit)
{
    uint64_t now = arch_monotonic_ns();

    return (struct wait){.end = now + limit, .last = now};
}

bool wait_step(struct wait *wait)
{
    uint64_t now;

    arch_pause();
    hypercall_sched_op(SCHEDOP_yield, NULL);
    now = arch_monotonic_ns();
    if (now != wait->last) {
        wait->last = now;
        wait->stalled = 0;
    } else if (++wait->stalled >= STALLED_STEPS) {
        return false;
    }
    return (int64_t)(now - wait->end) < 0;
}

void wait_for(uint64_t ns)
{
    struct wait wait = wait_begin(ns);

    while (wait_step(&wait)) {
    }
}
