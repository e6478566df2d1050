/* Xen's system time where it is told, and where it has to be found out. */
#include <sched.h>
#include <vcpu.h>

#include "common.h"
#include "system_time.h"

/* Far more steps than it takes; a hypervisor that never writes the area must not hang the run. */
#define STEPS 10000

/* Xen goes on writing to it. */
static volatile struct vcpu_runstate_info runstate;

static long register_runstate(void)
{
#ifdef VCPUOP_register_runstate_memory_area
    struct vcpu_register_runstate_memory_area area = {.addr.p = 0};

    handle_set(area.addr.h, (struct vcpu_runstate_info *)&runstate);
    return hypercall_vcpu_op(VCPUOP_register_runstate_memory_area, 0, &area);
#else
    return -XEN_ENOSYS;
#endif
}

/*
 * A guest on Arm has a counter that starts with the domain, and is never told Xen's time, but for
 * one place: the runstate area says when the vcpu was last switched to. So it waits for a deadline
 * that Xen finds to be ahead, which switches away from the vcpu and back, and compares then. All
 * this waits for one step too long at most.
 */
static uint64_t find_offset(void)
{
    struct sched_poll poll = {.nr_ports = 0};
    long rc = register_runstate();
    uint64_t entered;

    if (rc != 0) { /* only where there is no such area */
        CHECK_ERRNO(rc, ENOSYS);
        return 0;
    }
    entered = runstate.state_entry_time;
    poll.timeout = entered;
    for (unsigned int step = 0; step < STEPS && runstate.state_entry_time == entered; step++) {
        poll.timeout += MILLISECONDS(1);
        hypercall_sched_op(SCHEDOP_poll, &poll);
    }
    return runstate.state_entry_time - arch_monotonic_ns();
}

/* Whether vcpu_info tells the time; the version counts the updates. */
static bool is_told(void)
{
    return boot_info.vcpu_info && boot_info.vcpu_info->time.version != 0;
}

uint64_t system_time(void)
{
    static uint64_t offset;
    static bool known;

    if (!known && !is_told())
        offset = find_offset();
    known = true;
    return arch_monotonic_ns() + offset;
}
