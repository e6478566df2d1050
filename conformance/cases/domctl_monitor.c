/*
 * Rung "control": a domain is watched from outside: the ring that events go to, and which events.
 */
#include "child.h"

#ifdef arch_child_config

#include <domctl.h>
#include <hvm/params.h>
#include <memory.h>
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

static long access(uint8_t op, uint64_t frame, uint32_t count, uint8_t *rights)
{
    struct xen_mem_access_op request = {
        .op = op, .access = *rights, .domid = CHILD, .nr = count, .pfn = frame};
    long rc = hypercall_memory_op(XENMEM_access_op, &request);

    *rights = request.access;
    return rc;
}

static long set_access(uint64_t frame, uint32_t count, uint8_t rights)
{
    return access(XENMEM_access_op_set_access, frame, count, &rights);
}

static uint8_t access_to(uint64_t frame)
{
    uint8_t rights = 0xff;

    CHECK_EQ(access(XENMEM_access_op_get_access, frame, 1, &rights), 0);
    return rights;
}

/*
 * Background: A monitor restricts what a guest may do with its pages, and is told when it does more.
 * Provoked by: the rights of pages, before they are set and after; rights for pages to come, and a page that gets these; a
 * frame without memory, frames past the last one; rights and an operation that there are not; a list of pages.
 * Expected: all rights, and those that were set; the same; -ESRCH, -EINVAL; -EINVAL, -ENOSYS; -EOPNOTSUPP.
 * Source: memory.h (XENMEM_access_op); common/mem_access.c; arch/arm/mem_access.c.
 */
TEST(memory_access, CONTROL, "a monitor restricts what a guest may do with its pages",
     .needs = "arm dom0 !no-memaccess")
{
    struct xen_hvm_param param = {
        .domid = CHILD, .index = HVM_PARAM_MONITOR_RING_PFN, .value = CHILD_FRAME + 1};
    struct xen_remove_from_physmap remove = {.domid = CHILD, .gpfn = CHILD_FRAME + 8};
    uint8_t rights = XENMEM_access_rwx;

    child_create_with_memory(CHILD);
    CHECK_EQ(hypercall_hvm_op(HVMOP_set_param, &param), 0);
    CHECK_EQ(ring(XEN_VM_EVENT_ENABLE), 0);
    CHECK_EQ(access_to(CHILD_FRAME + 4), XENMEM_access_rwx);
    CHECK_EQ(set_access(CHILD_FRAME + 4, 2, XENMEM_access_rx), 0);
    CHECK_EQ(access_to(CHILD_FRAME + 3), XENMEM_access_rwx);
    CHECK_EQ(access_to(CHILD_FRAME + 4), XENMEM_access_rx);
    CHECK_EQ(access_to(CHILD_FRAME + 5), XENMEM_access_rx);
    CHECK_EQ(access_to(CHILD_FRAME + 6), XENMEM_access_rwx);
    CHECK_EQ(access_to(~0ull), XENMEM_access_rwx);
    CHECK_EQ(set_access(~0ull, 0, XENMEM_access_rw), 0);
    CHECK_EQ(access_to(~0ull), XENMEM_access_rw);
    CHECK_EQ(set_access(CHILD_FRAME + 5, 1, XENMEM_access_default), 0);
    CHECK_EQ(access_to(CHILD_FRAME + 5), XENMEM_access_rw);
    CHECK_EQ(set_access(CHILD_FRAME + 4, 1, XENMEM_access_rwx), 0);
    CHECK_EQ(access_to(CHILD_FRAME + 4), XENMEM_access_rwx);

    CHECK_EQ(hypercall_memory_op(XENMEM_remove_from_physmap, &remove), 0);
    CHECK_ERRNO(access(XENMEM_access_op_get_access, CHILD_FRAME + 8, 1, &rights), ESRCH);
    CHECK_ERRNO(access(XENMEM_access_op_get_access, CHILD_FRAME + CHILD_PAGES, 1, &rights), EINVAL);
    CHECK_ERRNO(set_access(CHILD_FRAME, CHILD_PAGES + 1, XENMEM_access_rw), EINVAL);
    CHECK_ERRNO(set_access(CHILD_FRAME, 1, XENMEM_access_default + 1), EINVAL);
    CHECK_ERRNO(access(99, CHILD_FRAME, 1, &rights), ENOSYS);
    CHECK_ERRNO(access(XENMEM_access_op_set_access_multi, CHILD_FRAME, 0, &rights), EOPNOTSUPP);
    child_destroy(CHILD);
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
    CHECK_EQ(domctl_unanswered(monitor_request(XEN_DOMCTL_MONITOR_OP_ENABLE, requests)), 0);
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

/*
 * Background: An access that a monitor should be told of may go on, or wait, while there is none.
 * Provoked by: both; this domain.
 * Expected: 0; -EPERM.
 * Source: domctl.h (XEN_DOMCTL_set_access_required); common/domctl.c.
 */
TEST(domctl_set_access_required, CONTROL, "accesses wait for a monitor, or do not",
     .needs = "dom0 !no-memaccess")
{
    struct xen_domctl *request;

    child_create_with_vcpus(CHILD);
    request = domctl_request(XEN_DOMCTL_set_access_required, CHILD);
    request->u.access_required.access_required = 1;
    CHECK_EQ(hypercall_domctl(request), 0);
    CHECK_EQ(domctl(XEN_DOMCTL_set_access_required, CHILD), 0);
    child_destroy(CHILD);
    CHECK_ERRNO(domctl(XEN_DOMCTL_set_access_required, own_domain()), EPERM);
}

#endif
