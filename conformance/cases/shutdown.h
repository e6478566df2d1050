/* How a domain ends itself. */
#ifndef XENPORT_CASES_SHUTDOWN_H
#define XENPORT_CASES_SHUTDOWN_H

#include <hypercall.h>
#include <sched.h>

/* SCHEDOP_shutdown; returns if the domain is resumed afterwards, or the call is refused. */
static inline long shutdown_for(unsigned int reason)
{
    struct sched_shutdown shutdown = {.reason = reason};

    return hypercall_sched_op(SCHEDOP_shutdown, &shutdown);
}

#endif
