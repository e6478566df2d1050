/*
 * Rung "control": a domain's life as the control domain sees it: made, paused, shut down, resumed, taken
 * apart.
 */
#include <domctl.h>
#include <event_channel.h>
#include <sched.h>
#include <string.h>
#include <timing.h>

#include "child.h"

#ifdef arch_child_config

static uint32_t shutdown_code(uint32_t flags)
{
    return flags >> XEN_DOMINF_shutdownshift & XEN_DOMINF_shutdownmask;
}

static long shut_down(domid_t domain, unsigned int reason)
{
    struct sched_remote_shutdown shutdown = {.domain_id = domain, .reason = reason};

    return hypercall_sched_op(SCHEDOP_remote_shutdown, &shutdown);
}

static long port_of_child(void)
{
    struct evtchn_alloc_unbound unbound = {.dom = CHILD, .remote_dom = DOMID_SELF};

    return hypercall_event_channel_op(EVTCHNOP_alloc_unbound, &unbound);
}

/*
 * Background: A new domain is a number and settings; vcpus and memory come later.
 * Provoked by: a domain made under a number, and one for which Xen chooses; their state; all its ports used.
 * Expected: the number that was asked for, or another than 0; the flags that were asked for; paused, not shut
 * down, no vcpu, no memory, and the handle that it was given; as many ports as it was given, and then -ENOSPC.
 * Source: domctl.h (XEN_DOMCTL_createdomain); common/domain.c, domain_create(); common/domctl.c,
 * getdomaininfo().
 */
TEST(domctl_createdomain, CONTROL, "a new domain is paused and has neither vcpus nor memory",
     .needs = "dom0")
{
    const struct xen_domctl_getdomaininfo *info;
    struct xen_domctl *request;
    uint32_t flags;
    domid_t chosen;

    child_create(CHILD);
    info = domain_info(CHILD);
    CHECK_EQ(info->flags & (XEN_DOMINF_dying | XEN_DOMINF_shutdown | XEN_DOMINF_debugged), 0);
    CHECK(info->flags & XEN_DOMINF_paused);
    CHECK_EQ(shutdown_code(info->flags), 255);
    CHECK_EQ(info->tot_pages, 0);
    CHECK_EQ(info->nr_online_vcpus, 0);
    CHECK_EQ(info->max_vcpu_id, XEN_INVALID_MAX_VCPU_ID);
    CHECK_EQ(info->cpu_time, 0);
    CHECK_EQ(info->cpupool, 0);
    CHECK_EQ(info->ssidref, 0);
    CHECK(info->handle[0] == 0xc0 && info->handle[1] == 0xff && info->handle[2] == 0xee);
    for (unsigned int port = 1; port < CHILD_PORTS; port++)
        CHECK_EQ(port_of_child(), 0);
    CHECK_ERRNO(port_of_child(), ENOSPC);
    child_destroy(CHILD);

    request = child_request(0);
    flags = request->u.createdomain.flags;
    CHECK_EQ(hypercall_domctl(request), 0);
    CHECK_EQ(request->u.createdomain.flags, flags);
    chosen = request->domain;
    CHECK(chosen > 0 && chosen < DOMID_FIRST_RESERVED);
    child_destroy(chosen);
}

#define MOST_MAPTRACK_FRAMES 1024      /* unless Xen's command line says otherwise */

/*
 * Background: Xen checks the settings of a new domain before it makes anything.
 * Provoked by: a number that is in use; an unknown flag; no vcpus; nested paging of a PV guest; options
 * of an IOMMU for a domain without one, and an unknown one; no grant table; more of what Xen notes of mapped
 * grants than it may (until 4.17), and as much; a CPU pool that there is not; a processor trace in buffers of a byte; a grant
 * table of no version.
 * Expected: -EEXIST; 0 for as much as it may; -ESRCH for the pool; -EINVAL for all others.
 * Source: domctl.h (XEN_DOMCTL_createdomain); common/domctl.c, do_domctl(); common/domain.c,
 * sanitise_domain_config(); common/grant_table.c, grant_table_init().
 */
TEST(domctl_createdomain_refused, CONTROL, "a domain cannot be made with settings that make no sense",
     .needs = "dom0")
{
    struct xen_domctl *request;

    child_create(CHILD);
    CHECK_ERRNO(hypercall_domctl(child_request(CHILD)), EEXIST);

    request = child_request(OTHER_CHILD);
    request->u.createdomain.flags |= 2 * XEN_DOMCTL_CDF_MAX;
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);
    request = child_request(OTHER_CHILD);
    request->u.createdomain.max_vcpus = 0;
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);
    request = child_request(OTHER_CHILD);
    request->u.createdomain.flags = XEN_DOMCTL_CDF_hap;
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);
    request = child_request(OTHER_CHILD);
    request->u.createdomain.iommu_opts = XEN_DOMCTL_IOMMU_no_sharept;
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);
    request = child_request(OTHER_CHILD);
    request->u.createdomain.iommu_opts = 2 * XEN_DOMCTL_IOMMU_MAX;
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);
    request = child_request(OTHER_CHILD);
    request->u.createdomain.max_grant_frames = 0;
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);
    if (!RELEASE_IS_AT_LEAST(4, 18)) {
        request = child_request(OTHER_CHILD);
        request->u.createdomain.max_maptrack_frames = MOST_MAPTRACK_FRAMES + 1;
        CHECK_ERRNO(hypercall_domctl(request), EINVAL);
    }
    request = child_request(OTHER_CHILD);
    request->u.createdomain.max_maptrack_frames = MOST_MAPTRACK_FRAMES;
    CHECK_EQ(hypercall_domctl(request), 0);
    child_destroy(OTHER_CHILD);
#if RELEASE_IS_AT_LEAST(4, 17)
    request = child_request(OTHER_CHILD);
    request->u.createdomain.cpupool_id = 99;
    CHECK_ERRNO(hypercall_domctl(request), ESRCH);
    request = child_request(OTHER_CHILD);
    request->u.createdomain.vmtrace_size = 1;
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);
#endif
#ifdef XEN_DOMCTL_GRANT_version
    request = child_request(OTHER_CHILD);
    request->u.createdomain.grant_opts = 0;
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);
    request = child_request(OTHER_CHILD);
    request->u.createdomain.grant_opts = XEN_DOMCTL_GRANT_version_mask + 1;
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);
#endif
    child_destroy(CHILD);
}

/*
 * Background: Whoever ends a domain says so by its number; the end of the control domain comes another way.
 * Provoked by: the end of a domain, its state, and its end once more; the end of this domain.
 * Expected: 0; then there is no such domain (-ESRCH); -EINVAL.
 * Source: domctl.h (XEN_DOMCTL_destroydomain); common/domain.c, domain_kill().
 */
TEST(domctl_destroydomain, CONTROL, "a destroyed domain is gone", .needs = "dom0")
{
    child_create_with_memory(CHILD);
    child_destroy(CHILD);
    CHECK_ERRNO(domctl(XEN_DOMCTL_pausedomain, CHILD), ESRCH);
    CHECK_ERRNO(domctl(XEN_DOMCTL_destroydomain, CHILD), ESRCH);
    CHECK_ERRNO(domctl(XEN_DOMCTL_destroydomain, own_domain()), EINVAL);
}

/*
 * Background: Pauses are counted, so that tools need not know of each other.
 * Provoked by: a new domain, which is paused once, paused and unpaused; unpaused once too often; paused as
 * often as Xen counts, and once more.
 * Expected: paused until the last of the pauses is undone; -EINVAL; -EOVERFLOW.
 * Source: domctl.h (XEN_DOMCTL_pausedomain, XEN_DOMCTL_unpausedomain); common/domain.c,
 * domain_pause_by_systemcontroller().
 */
TEST(domctl_pause, CONTROL, "a domain is paused until every pause is undone", .needs = "dom0")
{
    child_create_with_vcpus(CHILD);
    CHECK_EQ(domctl(XEN_DOMCTL_pausedomain, CHILD), 0);
    CHECK_EQ(domctl(XEN_DOMCTL_unpausedomain, CHILD), 0);
    CHECK(domain_info(CHILD)->flags & XEN_DOMINF_paused);
    CHECK_EQ(domctl(XEN_DOMCTL_unpausedomain, CHILD), 0);
    CHECK_EQ(domain_info(CHILD)->flags & XEN_DOMINF_paused, 0);
    CHECK_ERRNO(domctl(XEN_DOMCTL_unpausedomain, CHILD), EINVAL);

    for (unsigned int i = 0; i < 255; i++)
        CHECK_EQ(domctl(XEN_DOMCTL_pausedomain, CHILD), 0);
    CHECK_ERRNO(domctl(XEN_DOMCTL_pausedomain, CHILD), EOVERFLOW);
    child_destroy(CHILD);
}

/*
 * Background: The tools name domains by UUIDs.
 * Provoked by: another handle for a domain; for one that does not exist.
 * Expected: its state has the new one; -ESRCH.
 * Source: domctl.h (XEN_DOMCTL_setdomainhandle); common/domctl.c.
 */
TEST(domctl_setdomainhandle, CONTROL, "a domain's handle can be changed", .needs = "dom0")
{
    struct xen_domctl *request;
    xen_domain_handle_t handle;

    for (unsigned int i = 0; i < sizeof(handle); i++)
        handle[i] = (uint8_t)(0x30 + i);
    child_create(CHILD);
    request = domctl_request(XEN_DOMCTL_setdomainhandle, CHILD);
    memcpy(request->u.setdomainhandle.handle, handle, sizeof(handle));
    CHECK_EQ(hypercall_domctl(request), 0);
    CHECK_EQ(memcmp(domain_info(CHILD)->handle, handle, sizeof(handle)), 0);
    child_destroy(CHILD);
    CHECK_ERRNO(domctl(XEN_DOMCTL_setdomainhandle, NO_DOMAIN), ESRCH);
}

/*
 * Background: A domain's wall clock may differ from the machine's. Arm shows nothing of it yet.
 * Provoked by: a difference; one for a domain that does not exist.
 * Expected: 0; -ESRCH.
 * Source: domctl.h (XEN_DOMCTL_settimeoffset); common/domctl.c.
 */
TEST(domctl_settimeoffset, CONTROL, "the wall clock of a domain is set apart from the machine's",
     .needs = "dom0")
{
    struct xen_domctl *request;

    child_create(CHILD);
    request = domctl_request(XEN_DOMCTL_settimeoffset, CHILD);
    request->u.settimeoffset.time_offset_seconds = -3600;
    CHECK_EQ(hypercall_domctl(request), 0);
    child_destroy(CHILD);
    CHECK_ERRNO(domctl(XEN_DOMCTL_settimeoffset, NO_DOMAIN), ESRCH);
}

/*
 * Background: With a debugger attached, debug events of the domain stop it.
 * Provoked by: a debugger for a domain, and none; for this domain.
 * Expected: the state of the domain says so; -EINVAL.
 * Source: domctl.h (XEN_DOMCTL_setdebugging); common/domctl.c.
 */
TEST(domctl_setdebugging, CONTROL, "a domain says whether it has a debugger", .needs = "dom0")
{
    struct xen_domctl *request;

    child_create(CHILD);
    request = domctl_request(XEN_DOMCTL_setdebugging, CHILD);
    request->u.setdebugging.enable = 1;
    CHECK_EQ(hypercall_domctl(request), 0);
    CHECK(domain_info(CHILD)->flags & XEN_DOMINF_debugged);
    CHECK_EQ(domctl(XEN_DOMCTL_setdebugging, CHILD), 0);
    CHECK_EQ(domain_info(CHILD)->flags & XEN_DOMINF_debugged, 0);
    child_destroy(CHILD);
    CHECK_ERRNO(domctl(XEN_DOMCTL_setdebugging, own_domain()), EINVAL);
}

/*
 * Background: A suspended domain goes on when its image has been saved.
 * Provoked by: a domain that is shut down as suspended, and resumed; this domain.
 * Expected: shut down with that code; then not shut down, and without a code; -EINVAL.
 * Source: domctl.h (XEN_DOMCTL_resumedomain); common/domain.c, domain_shutdown(), domain_resume().
 */
TEST(domctl_resumedomain, CONTROL, "a domain that was shut down can be resumed", .needs = "dom0")
{
    uint32_t flags;

    child_create_with_vcpus(CHILD);
    CHECK_EQ(shut_down(CHILD, SHUTDOWN_suspend), 0);
    flags = domain_info(CHILD)->flags;
    CHECK(flags & XEN_DOMINF_shutdown);
    CHECK_EQ(shutdown_code(flags), SHUTDOWN_suspend);
    CHECK_EQ(domctl(XEN_DOMCTL_resumedomain, CHILD), 0);
    flags = domain_info(CHILD)->flags;
    CHECK_EQ(flags & XEN_DOMINF_shutdown, 0);
    CHECK_EQ(shutdown_code(flags), 255);
    child_destroy(CHILD);
    CHECK_ERRNO(domctl(XEN_DOMCTL_resumedomain, own_domain()), EINVAL);
}

/*
 * Background: Who saves a domain waits for the event that it has suspended.
 * Provoked by: a port of a domain for that event, which this domain bound to; the domain suspends; it is
 * resumed, and suspends without such a port.
 * Expected: an event; none.
 * Source: domctl.h (XEN_DOMCTL_subscribe); common/domain.c, __domain_finalise_shutdown().
 */
TEST(domctl_subscribe, CONTROL, "an event tells that a domain has suspended", .needs = "dom0")
{
    struct evtchn_alloc_unbound unbound = {.dom = CHILD, .remote_dom = own_domain()};
    evtchn_port_t port;
    struct xen_domctl *request;

    child_create_with_vcpus(CHILD);
    CHECK_EQ(hypercall_event_channel_op(EVTCHNOP_alloc_unbound, &unbound), 0);
    struct evtchn_bind_interdomain bind = {.remote_dom = CHILD, .remote_port = unbound.port};
    CHECK_EQ(hypercall_event_channel_op(EVTCHNOP_bind_interdomain, &bind), 0);
    port = bind.local_port;
    CHECK_EQ(event_bind(port, NULL, NULL), 0);
    event_wait(port, 1, MILLISECONDS(1));          /* one may be there from the binding */
    unsigned int before = event_count(port);

    request = domctl_request(XEN_DOMCTL_subscribe, CHILD);
    request->u.subscribe.port = unbound.port;
    CHECK_EQ(hypercall_domctl(request), 0);
    CHECK_EQ(shut_down(CHILD, SHUTDOWN_suspend), 0);
    CHECK(event_wait(port, before + 1, EVENT_LIMIT));

    CHECK_EQ(domctl(XEN_DOMCTL_resumedomain, CHILD), 0);
    CHECK_EQ(domctl(XEN_DOMCTL_subscribe, CHILD), 0);
    CHECK_EQ(shut_down(CHILD, SHUTDOWN_suspend), 0);
    wait_for(MILLISECONDS(1));
    CHECK_EQ(event_count(port), before + 1);
    child_destroy(CHILD);
    CHECK_ERRNO(domctl(XEN_DOMCTL_subscribe, NO_DOMAIN), ESRCH);
}

/*
 * Background: A soft reset starts a guest anew in its memory, when it has shut down and is paused.
 * Provoked by: a domain that runs; this domain; one that does not exist.
 * Expected: -EINVAL, since no vcpu has shut down; -EINVAL; -ESRCH.
 * Source: domctl.h (XEN_DOMCTL_soft_reset); common/domain.c, domain_soft_reset().
 */
TEST(domctl_soft_reset_refused, CONTROL, "a domain that runs cannot be reset: EINVAL", .needs = "dom0")
{
    child_create_with_vcpus(CHILD);
    CHECK_ERRNO(domctl(XEN_DOMCTL_soft_reset, CHILD), EINVAL);
    CHECK_ERRNO(domctl(XEN_DOMCTL_soft_reset, own_domain()), EINVAL);
    CHECK_ERRNO(domctl(XEN_DOMCTL_soft_reset, NO_DOMAIN), ESRCH);
    child_destroy(CHILD);
}

/*
 * Background: Xen goes on with a long reset by a command of its own, which nobody else needs.
 * Provoked by: it, for a domain that has shut down, and for one that runs.
 * Expected: -EBUSY, since no reset has been interrupted; -EINVAL.
 * Source: domctl.h (XEN_DOMCTL_soft_reset_cont); common/event_channel.c, evtchn_reset().
 */
TEST(domctl_soft_reset_cont, CONTROL, "no reset goes on that was not begun: EBUSY", .needs = "dom0")
{
    child_create_with_vcpus(CHILD);
    CHECK_ERRNO(domctl(XEN_DOMCTL_soft_reset_cont, CHILD), EINVAL);
    CHECK_EQ(shut_down(CHILD, SHUTDOWN_soft_reset), 0);
    CHECK_ERRNO(domctl(XEN_DOMCTL_soft_reset_cont, CHILD), EBUSY);
    child_destroy(CHILD);
}

/*
 * Background: Events of the machine go to the control domain, unless it names another one.
 * Provoked by: the virtual interrupt of a full trace buffer given to a domain, and taken back; a virtual
 * interrupt that each vcpu has for itself; one that does not exist.
 * Expected: 0; 0; -EINVAL; -EINVAL.
 * Source: domctl.h (XEN_DOMCTL_set_virq_handler); common/event_channel.c, set_global_virq_handler().
 */
TEST(domctl_set_virq_handler, CONTROL, "a global virtual interrupt can be given to a domain",
     .needs = "dom0")
{
    struct xen_domctl *request;

    child_create(CHILD);
    request = domctl_request(XEN_DOMCTL_set_virq_handler, CHILD);
    request->u.set_virq_handler.virq = VIRQ_TBUF;
    CHECK_EQ(hypercall_domctl(request), 0);
    request->domain = own_domain();
    CHECK_EQ(hypercall_domctl(request), 0);
    request->u.set_virq_handler.virq = VIRQ_TIMER;
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);
    request->u.set_virq_handler.virq = NR_VIRQS;
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);
    child_destroy(CHILD);
}

/*
 * Background: A device model may be a domain of its own.
 * Provoked by: a domain made the device model of another; of a second one; of itself; of none.
 * Expected: 0; -EINVAL, since it has one; -EINVAL; -ESRCH.
 * Source: domctl.h (XEN_DOMCTL_set_target); common/domctl.c.
 */
TEST(domctl_set_target, CONTROL, "a domain becomes the device model of one other", .needs = "dom0")
{
    struct xen_domctl *request;

    child_create(OTHER_CHILD);
    child_create(CHILD);
    request = domctl_request(XEN_DOMCTL_set_target, OTHER_CHILD);
    request->u.set_target.target = NO_DOMAIN;
    CHECK_ERRNO(hypercall_domctl(request), ESRCH);
    request->u.set_target.target = OTHER_CHILD;
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);
    request->u.set_target.target = CHILD;
    CHECK_EQ(hypercall_domctl(request), 0);
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);
    /* Until then the number of its target is not free: the device model refers to it. */
    child_destroy(OTHER_CHILD);
    child_destroy(CHILD);
}

#ifdef XEN_DOMCTL_disable_migrate
/*
 * Background: A domain that stays on its machine may be shown all that this has.
 * Provoked by: such a domain, and the opposite; one that does not exist.
 * Expected: 0; 0; -ESRCH.
 * Source: domctl.h (XEN_DOMCTL_disable_migrate); common/domctl.c.
 */
TEST(domctl_disable_migrate, CONTROL, "a domain can be tied to its machine", .needs = "dom0")
{
    struct xen_domctl *request;

    child_create(CHILD);
    request = domctl_request(XEN_DOMCTL_disable_migrate, CHILD);
    request->u.disable_migrate.disable = 1;
    CHECK_EQ(hypercall_domctl(request), 0);
    CHECK_EQ(domctl(XEN_DOMCTL_disable_migrate, CHILD), 0);
    child_destroy(CHILD);
    CHECK_ERRNO(domctl(XEN_DOMCTL_disable_migrate, NO_DOMAIN), ESRCH);
}
#endif

#endif
