/*
 * Rung "control": the parameters of a domain in the scheduler.
 */
#include <domctl.h>

#include "child.h"

#ifdef arch_child_config

static struct xen_domctl *scheduler_request(uint32_t scheduler, uint32_t command)
{
    struct xen_domctl *request = domctl_request(XEN_DOMCTL_scheduler_op, CHILD);

    request->u.scheduler_op.sched_id = scheduler;
    request->u.scheduler_op.cmd = command;
    return request;
}

/* The scheduler that runs: the one that knows domains; 0: none does. */
static uint32_t find_scheduler(void)
{
    uint32_t found = 0;

    for (uint32_t id = XEN_SCHEDULER_CREDIT; id <= XEN_SCHEDULER_NULL; id++) {
        long rc = hypercall_domctl(scheduler_request(id, XEN_DOMCTL_SCHEDOP_getinfo));

        if (rc == 0 && !found)
            found = id;
        else
            CHECK_ERRNO(rc, EINVAL);
    }
    return found;
}

static void check_credit(void)
{
    struct xen_domctl *request = scheduler_request(XEN_SCHEDULER_CREDIT, XEN_DOMCTL_SCHEDOP_putinfo);

    request->u.scheduler_op.u.credit.weight = 512;
    request->u.scheduler_op.u.credit.cap = 50;
    CHECK_EQ(hypercall_domctl(request), 0);
    request = scheduler_request(XEN_SCHEDULER_CREDIT, XEN_DOMCTL_SCHEDOP_putinfo);
    request->u.scheduler_op.u.credit.cap = 0xffff;       /* neither is changed */
    CHECK_EQ(hypercall_domctl(request), 0);
    request = scheduler_request(XEN_SCHEDULER_CREDIT, XEN_DOMCTL_SCHEDOP_getinfo);
    CHECK_EQ(hypercall_domctl(request), 0);
    CHECK_EQ(request->u.scheduler_op.u.credit.weight, 512);
    CHECK_EQ(request->u.scheduler_op.u.credit.cap, 50);
}

static void check_credit2(void)
{
    struct xen_domctl *request = scheduler_request(XEN_SCHEDULER_CREDIT2, XEN_DOMCTL_SCHEDOP_putinfo);

    request->u.scheduler_op.u.credit2.weight = 512;
    request->u.scheduler_op.u.credit2.cap = 50;
    CHECK_EQ(hypercall_domctl(request), 0);
    request = scheduler_request(XEN_SCHEDULER_CREDIT2, XEN_DOMCTL_SCHEDOP_getinfo);
    CHECK_EQ(hypercall_domctl(request), 0);
    CHECK_EQ(request->u.scheduler_op.u.credit2.weight, 512);
    CHECK_EQ(request->u.scheduler_op.u.credit2.cap, 50);
    /* More than both vcpus can use. */
    request = scheduler_request(XEN_SCHEDULER_CREDIT2, XEN_DOMCTL_SCHEDOP_putinfo);
    request->u.scheduler_op.u.credit2.cap = 100 * CHILD_VCPUS + 1;
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);
}

static void check_rtds(void)
{
    struct xen_domctl *request = scheduler_request(XEN_SCHEDULER_RTDS, XEN_DOMCTL_SCHEDOP_putinfo);

    request->u.scheduler_op.u.rtds.period = 20000;
    request->u.scheduler_op.u.rtds.budget = 5000;
    CHECK_EQ(hypercall_domctl(request), 0);
    request->u.scheduler_op.u.rtds.budget = 0;
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);

    struct xen_domctl_schedparam_vcpu vcpu = {.vcpuid = 1};
    request = scheduler_request(XEN_SCHEDULER_RTDS, XEN_DOMCTL_SCHEDOP_getvcpuinfo);
    request->u.scheduler_op.u.v.nr_vcpus = 1;
    handle_set(request->u.scheduler_op.u.v.vcpus, &vcpu);
    CHECK_EQ(hypercall_domctl(request), 0);
    CHECK_EQ(vcpu.u.rtds.period, 20000);
    CHECK_EQ(vcpu.u.rtds.budget, 5000);
}

/*
 * Background: A domain's share of the CPUs is the scheduler's business; each has parameters of its own.
 * Provoked by: the scheduler that runs, found out; its parameters set, and asked for; another scheduler; a
 * command that does not exist; a domain that does not exist.
 * Expected: what was set; -EINVAL; -EINVAL; -ESRCH.
 * Source: domctl.h (XEN_DOMCTL_scheduler_op); common/sched/core.c, sched_adjust(), and the schedulers.
 */
TEST(sched_parameters_of_domain, CONTROL, "a domain has the share of the CPUs that it was given",
     .needs = "dom0")
{
    struct xen_domctl *request;
    uint32_t scheduler;

    child_create_with_vcpus(CHILD);
    scheduler = find_scheduler();
    CHECK(scheduler != 0);
    if (scheduler == XEN_SCHEDULER_CREDIT)
        check_credit();
    if (scheduler == XEN_SCHEDULER_CREDIT2)
        check_credit2();
    if (scheduler == XEN_SCHEDULER_RTDS)
        check_rtds();

    request = scheduler_request(scheduler, XEN_DOMCTL_SCHEDOP_getvcpuinfo + 1);
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);
    if (scheduler == XEN_SCHEDULER_CREDIT || scheduler == XEN_SCHEDULER_CREDIT2) {
        request = scheduler_request(scheduler, XEN_DOMCTL_SCHEDOP_getvcpuinfo);
        CHECK_ERRNO(hypercall_domctl(request), EINVAL);
    }
    child_destroy(CHILD);
    CHECK_ERRNO(hypercall_domctl(scheduler_request(scheduler, XEN_DOMCTL_SCHEDOP_getinfo)), ESRCH);
}

#endif
