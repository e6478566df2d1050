/* Time and waiting. Nothing in a test kernel waits without a limit. */
#ifndef XENPORT_TIMING_H
#define XENPORT_TIMING_H

#include <stdbool.h>
#include <stdint.h>

#include <arch.h>

#define MICROSECONDS(n) ((uint64_t)(n) * 1000)
#define MILLISECONDS(n) ((uint64_t)(n) * 1000000)
#define SECONDS(n) ((uint64_t)(n) * 1000000000)

/* A wait that is under way. */
struct wait {
    uint64_t end;          /* arch_monotonic_ns() at which it is over */
    uint64_t last;         /* the clock at the last step */
    unsigned int stalled;  /* steps in which the clock did not move */
};

struct wait wait_begin(uint64_t limit);

/*
 * Lets time pass (arch_pause(), SCHEDOP_yield). False when the limit is over, or when the clock stands
 * still: a port whose clock does not run must not hang the run.
 */
bool wait_step(struct wait *wait);

/* Waits until condition holds; false if it did not within limit ns. The condition is looked at once
 * more after the limit. */
#define WAIT_UNTIL(condition, limit)                                                               \
    ({                                                                                             \
        struct wait wait_ = wait_begin(limit);                                                     \
        bool held_;                                                                                \
        while (!(held_ = (condition)) && wait_step(&wait_)) {                                      \
        }                                                                                          \
        held_ || (condition);                                                                      \
    })

/* Lets at least ns pass. */
void wait_for(uint64_t ns);

#endif
