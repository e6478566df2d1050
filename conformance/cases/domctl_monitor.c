/*
 * Rung "control": a domain is watched from outside: the ring that events go to, and which events.
 */
#include "child.h"

#ifdef arch_child_config

#include <domctl.h>
#include <hvm/params.h>
#include <vm_event.h>

static struct xen_domctl *ring_request(uint32_t op, uint32_t mode)
{
    struct xen_domctl *request = domctl_request(XEN_DOMCTL_vm_event_op, CHILD);

    request->u.vm_event_op.op = op;
    request->u.vm_event_op.mode = mode;
    return request;
}

static long ring(uint32_t op)
{
    return hypercall_domctl(ring_request(op, XEN_DOMCTL_VM_EVENT_OP_MONITOR));
}

/*
 * Background: A monitor gets the events of a domain by a ring in a page of that domain, which a parameter
 * names.
 * Provoked by: a ring where no frame is named; in a page of the domain; once more; its responses read; its
 * end, twice; an unknown operation, and an unknown ring; this domain, and one without vcpus.
 * Expected: -EOPNOTSUPP; 0, and a port; -EBUSY; 0; 0, then -EINVAL; -ENOSYS; -ENOSYS; -EINVAL; -EINVAL.
 * Source: domctl.h (XEN_DOMCTL_vm_event_op); common/vm_event.c.
 */
TEST(domctl_vm_event_op, CONTROL, "a domain's events go to a ring", .needs = "dom0")
{
    struct xen_hvm_param param = {
        .domid = CHILD, .index = HVM_PARAM_MONITOR_RING_PFN, .value = CHILD_FRAME + 1};
    struct xen_domctl *request;

    child_create(CHILD);
    CHECK_ERRNO(ring(XEN_VM_EVENT_RESUME), EINVAL);
    child_create_with_memory(CHILD);
    CHECK_ERRNO(ring(XEN_VM_EVENT_ENABLE), EOPNOTSUPP);
    CHECK_ERRNO(ring(XEN_VM_EVENT_RESUME), ENODEV);
    CHECK_EQ(hypercall_hvm_op(HVMOP_set_param, &param), 0);
    request = ring_request(XEN_VM_EVENT_ENABLE, XEN_DOMCTL_VM_EVENT_OP_MONITOR);
    CHECK_EQ(hypercall_domctl(request), 0);
    CHECK(request->u.vm_event_op.u.enable.port != 0);
    CHECK_ERRNO(ring(XEN_VM_EVENT_ENABLE), EBUSY);
    CHECK_EQ(ring(XEN_VM_EVENT_RESUME), 0);
    CHECK_EQ(ring(XEN_VM_EVENT_DISABLE), 0);
    CHECK_ERRNO(ring(XEN_VM_EVENT_DISABLE), EINVAL);
    CHECK_ERRNO(ring(99), ENOSYS);
    CHECK_ERRNO(hypercall_domctl(ring_request(XEN_VM_EVENT_ENABLE, 99)), ENOSYS);
    child_destroy(CHILD);
    request = ring_request(XEN_VM_EVENT_ENABLE, XEN_DOMCTL_VM_EVENT_OP_MONITOR);
    request->domain = own_domain();
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);
}

/*
 * Background: Whoever reads a ring must know its format.
 * Provoked by: the version of the format, of no domain.
 * Expected: the one of the headers.
 * Source: domctl.h (XEN_VM_EVENT_GET_VERSION); common/vm_event.c.
 */
TEST(domctl_vm_event_version, CONTROL, "the format of the events has the version of the headers",
     .needs = "dom0")
{
    struct xen_domctl *request = ring_request(XEN_VM_EVENT_GET_VERSION, 0);

    request->domain = DOMID_INVALID;
    CHECK_EQ(hypercall_domctl(request), 0);
    CHECK_EQ(request->u.vm_event_op.u.version, VM_EVENT_INTERFACE_VERSION);
}

static struct xen_domctl *monitor_request(uint32_t op, uint32_t event)
{
    struct xen_domctl *request = domctl_request(XEN_DOMCTL_monitor_op, CHILD);

    request->u.monitor_op.op = op;
    request->u.monitor_op.event = event;
    return request;
}

/*
 * Background: A monitor says which events it wants; what there is depends on the processor.
 * Provoked by: the events that there are; a guest's own requests turned on, and again, and off, and again;
 * an event beyond all; an unknown operation; this domain.
 * Expected: guests' requests are among them; 0, -EEXIST, 0, -EEXIST; -EINVAL; -EOPNOTSUPP; -EPERM.
 * Source: domctl.h (XEN_DOMCTL_monitor_op); common/monitor.c, monitor_domctl().
 */
TEST(domctl_monitor_op, CONTROL, "events of a domain are turned on and off", .needs = "dom0")
{
    const uint32_t requests = XEN_DOMCTL_MONITOR_EVENT_GUEST_REQUEST;
    struct xen_domctl *request;

    child_create_with_vcpus(CHILD);
    request = monitor_request(XEN_DOMCTL_MONITOR_OP_GET_CAPABILITIES, 0);
    CHECK_EQ(hypercall_domctl(request), 0);
    CHECK(request->u.monitor_op.event & 1u << requests);
    CHECK_EQ(hypercall_domctl(monitor_request(XEN_DOMCTL_MONITOR_OP_ENABLE, requests)), 0);
    CHECK_ERRNO(hypercall_domctl(monitor_request(XEN_DOMCTL_MONITOR_OP_ENABLE, requests)), EEXIST);
    CHECK_EQ(hypercall_domctl(monitor_request(XEN_DOMCTL_MONITOR_OP_DISABLE, requests)), 0);
    CHECK_ERRNO(hypercall_domctl(monitor_request(XEN_DOMCTL_MONITOR_OP_DISABLE, requests)), EEXIST);
    CHECK_ERRNO(hypercall_domctl(monitor_request(XEN_DOMCTL_MONITOR_OP_ENABLE, 32)), EINVAL);
    CHECK_ERRNO(hypercall_domctl(monitor_request(XEN_DOMCTL_MONITOR_OP_ENABLE, 31)), EOPNOTSUPP);
    CHECK_ERRNO(hypercall_domctl(monitor_request(99, 0)), EOPNOTSUPP);
    child_destroy(CHILD);
    request = monitor_request(XEN_DOMCTL_MONITOR_OP_GET_CAPABILITIES, 0);
    request->domain = own_domain();
    CHECK_ERRNO(hypercall_domctl(request), EPERM);
}

#endif
