/*
 * domctl on x86: what of the machine a domain may use: ports, memory of devices, interrupts, caches.
 */
#include <domctl.h>

#include "children.h"
#include "physdev_request.h"
#include "x86.h"

#define HARMLESS_PORT 0x80         /* firmware writes its progress there */
#define XEN_CONSOLE_PORT 0x3f8     /* of the UART that Xen keeps for itself */
#define DISPLAY_FRAME 0xa0         /* memory of a PC's display */
#define SPARE_FRAME (CHILD_FRAME + CHILD_PAGES)

static long ports(uint32_t first, uint32_t count, bool allow)
{
    struct xen_domctl *request = domctl_request(XEN_DOMCTL_ioport_permission, CHILD);

    request->u.ioport_permission.first_port = first;
    request->u.ioport_permission.nr_ports = count;
    request->u.ioport_permission.allow_access = allow;
    return hypercall_domctl(request);
}

/*
 * Background: The control domain gives I/O ports to domains, but none that Xen keeps.
 * Provoked by: a port, and the last one, allowed and forbidden; none; one beyond all; Xen's own.
 * Expected: 0, 0; -EINVAL; -EINVAL; -EPERM.
 * Source: domctl.h (XEN_DOMCTL_ioport_permission); arch/x86/domctl.c.
 */
TEST(domctl_ioport_permission, CONTROL, "a domain is allowed an I/O port", .needs = "pv|hvm dom0")
{
    child_create(CHILD);
    CHECK_EQ(ports(HARMLESS_PORT, 1, true), 0);
    CHECK_EQ(ports(HARMLESS_PORT, 1, false), 0);
    CHECK_EQ(ports(0xffff, 1, true), 0);
    CHECK_EQ(ports(0xffff, 1, false), 0);
    CHECK_ERRNO(ports(HARMLESS_PORT, 0, true), EINVAL);
    CHECK_ERRNO(ports(0xffff, 2, true), EINVAL);
    CHECK_ERRNO(ports(XEN_CONSOLE_PORT, 8, true), EPERM);
    child_destroy(CHILD);
}

static struct xen_domctl *port_request(uint32_t guest, uint32_t machine, uint32_t count, bool add)
{
    struct xen_domctl *request = domctl_request(XEN_DOMCTL_ioport_mapping, CHILD);

    request->u.ioport_mapping.first_gport = guest;
    request->u.ioport_mapping.first_mport = machine;
    request->u.ioport_mapping.nr_ports = count;
    request->u.ioport_mapping.add_mapping = add ? DPCI_ADD_MAPPING : DPCI_REMOVE_MAPPING;
    return request;
}

/*
 * Background: An HVM domain sees ports of a device at numbers of its own.
 * Provoked by: a port, and the last one, mapped and unmapped; none; one beyond all; Xen's own; a PV domain.
 * Expected: 0, 0; -EINVAL; -EINVAL; -EPERM; -EOPNOTSUPP.
 * Source: domctl.h (XEN_DOMCTL_ioport_mapping); arch/x86/domctl.c.
 */
TEST(domctl_ioport_mapping, CONTROL, "an HVM domain sees an I/O port of the machine",
     .needs = "pv|hvm dom0")
{
    child_create_with_memory(CHILD);
    CHECK_EQ(hypercall_domctl(port_request(0x180, HARMLESS_PORT, 1, true)), 0);
    CHECK_EQ(hypercall_domctl(port_request(0x180, HARMLESS_PORT, 1, false)), 0);
    CHECK_EQ(hypercall_domctl(port_request(0xffff, 0xffff, 1, true)), 0);
    CHECK_EQ(hypercall_domctl(port_request(0xffff, 0xffff, 1, false)), 0);
    CHECK_ERRNO(hypercall_domctl(port_request(0x180, HARMLESS_PORT, 0, true)), EINVAL);
    CHECK_ERRNO(hypercall_domctl(port_request(0x180, 0xffff, 2, true)), EINVAL);
    CHECK_ERRNO(hypercall_domctl(port_request(0x180, XEN_CONSOLE_PORT, 8, true)), EPERM);
    child_create_pv(CHILD);
    CHECK_ERRNO(hypercall_domctl(port_request(0x180, HARMLESS_PORT, 1, true)), EOPNOTSUPP);
    child_destroy(CHILD);
}

static long map_frames_at(uint64_t guest_frame, bool add)
{
    return child_map_device(CHILD, guest_frame, DISPLAY_FRAME, 2, add);
}

static long map_frames(bool add)
{
    return map_frames_at(SPARE_FRAME, add);
}

/*
 * Background: Memory of a device is mapped for a domain that was allowed it.
 * Provoked by: frames mapped that the domain may not use, at the highest numbers and beyond; that it may use;
 * unmapped, twice; forbidden again.
 * Expected: -EPERM, -EINVAL; 0; 0, -EINVAL; 0, and -EPERM for another mapping.
 * Source: domctl.h (XEN_DOMCTL_memory_mapping); common/domctl.c; arch/x86/mm/p2m.c, map_mmio_regions().
 */
TEST(domctl_memory_mapping, CONTROL, "memory of a device is mapped for a domain",
     .needs = "pv|hvm dom0")
{
    child_create_with_memory(CHILD);
    CHECK_ERRNO(map_frames(true), EPERM);
    CHECK_ERRNO(map_frames_at(~0ull - 1, true), EPERM);
    CHECK_ERRNO(map_frames_at(~0ull, true), EINVAL);
    CHECK_EQ(child_allow_device(CHILD, DISPLAY_FRAME, 2, true), 0);
    CHECK_EQ(map_frames(true), 0);
    CHECK_EQ(map_frames(false), 0);
    CHECK_ERRNO(map_frames(false), EINVAL);
    CHECK_EQ(child_allow_device(CHILD, DISPLAY_FRAME, 2, false), 0);
    CHECK_ERRNO(map_frames(true), EPERM);
    child_destroy(CHILD);
}

static struct xen_domctl *interrupt_request(uint32_t pirq, bool allow)
{
    struct xen_domctl *request = domctl_request(XEN_DOMCTL_irq_permission, CHILD);

    request->u.irq_permission.pirq = pirq;
    request->u.irq_permission.allow_access = allow;
    return request;
}

#define LAST_LINE 23               /* of a PC's I/O APIC */
#define SPARE_LINE 10              /* an interrupt of a PC with nothing on it that Xen uses */
#define SECOND_SERIAL_LINE 3       /* another one, which dom0 may use no more when it has given it back */

/*
 * Background: A PV dom0 has the machine's interrupts, and allows a domain those that it is to have.
 * Provoked by: an interrupt that dom0 has no number for yet; that it has, allowed, and forbidden.
 * Expected: -EPERM; 0, 0.
 * Source: domctl.h (XEN_DOMCTL_irq_permission); common/domctl.c.
 */
TEST(domctl_irq_permission, CONTROL, "a domain is allowed an interrupt", .needs = "pv dom0")
{
    struct physdev_map_pirq map = {
        .domid = DOMID_SELF, .type = MAP_PIRQ_TYPE_GSI, .index = SECOND_SERIAL_LINE, .pirq = SECOND_SERIAL_LINE};
    struct physdev_unmap_pirq gone = {.domid = DOMID_SELF, .pirq = SECOND_SERIAL_LINE};

    child_create(CHILD);
    CHECK_ERRNO(hypercall_domctl(interrupt_request(SECOND_SERIAL_LINE, true)), EPERM);
    CHECK_EQ(physdev_op(PHYSDEVOP_map_pirq, &map), 0);
    CHECK_EQ(hypercall_domctl(interrupt_request(SECOND_SERIAL_LINE, true)), 0);
    CHECK_EQ(hypercall_domctl(interrupt_request(SECOND_SERIAL_LINE, false)), 0);
    CHECK_EQ(physdev_op(PHYSDEVOP_unmap_pirq, &gone), 0);
    child_destroy(CHILD);
}

/*
 * Background: A domain is allowed an interrupt by the number that the control domain has it by.
 * Provoked by: one that the control domain does not have; a number beyond all.
 * Expected: -EPERM; -EINVAL.
 * Source: domctl.h (XEN_DOMCTL_irq_permission); common/domctl.c.
 */
TEST(domctl_irq_permission_refused, CONTROL, "an interrupt that dom0 does not have: EPERM",
     .needs = "pv|hvm dom0")
{
    child_create(CHILD);
    CHECK_ERRNO(hypercall_domctl(interrupt_request(200, true)), EPERM);
    if (RELEASE_IS_AT_LEAST(4, 16))        /* the number has 8 bits before */
        CHECK_ERRNO(hypercall_domctl(interrupt_request(0x7fffffff, true)), EINVAL);
    child_destroy(CHILD);
}

/*
 * Background: An interrupt that is passed on must have been mapped for the domain.
 * Provoked by: one that was not, bound and unbound; for a PV domain; a domain that does not exist.
 * Expected: -EPERM; -EINVAL; -ESRCH.
 * Source: domctl.h (XEN_DOMCTL_bind_pt_irq); arch/x86/domctl.c.
 */
TEST(domctl_bind_pt_irq_refused, CONTROL, "an interrupt that is not mapped is not passed on: EPERM",
     .needs = "pv|hvm dom0")
{
    static const uint32_t commands[] = {XEN_DOMCTL_bind_pt_irq, XEN_DOMCTL_unbind_pt_irq};

    for (unsigned int i = 0; i < 2; i++) {
        child_create_with_vcpus(CHILD);
        CHECK_ERRNO(domctl(commands[i], CHILD), EPERM);
        child_create_pv(CHILD);
        CHECK_ERRNO(domctl(commands[i], CHILD), EINVAL);
        CHECK_ERRNO(domctl(commands[i], NO_DOMAIN), ESRCH);
    }
    child_destroy(CHILD);
}

#ifdef XEN_DOMCTL_gsi_permission
/*
 * Background: A dom0 that has no numbers of its own for interrupts uses the machine's.
 * Provoked by: an interrupt allowed and forbidden; unknown flags; the last input of the interrupt controller, and the
 * next number.
 * Expected: 0, 0; -EINVAL; 0, -ERANGE.
 * Source: domctl.h (XEN_DOMCTL_gsi_permission); arch/x86/domctl.c.
 */
TEST(domctl_gsi_permission, CONTROL, "a domain is allowed an interrupt by the machine's number",
     .needs = "pv|hvm dom0")
{
    struct xen_domctl *request;

    child_create(CHILD);
    request = domctl_request(XEN_DOMCTL_gsi_permission, CHILD);
    request->u.gsi_permission.gsi = SPARE_LINE;
    request->u.gsi_permission.flags = XEN_DOMCTL_GSI_GRANT;
    CHECK_EQ(hypercall_domctl(request), 0);
    request->u.gsi_permission.flags = XEN_DOMCTL_GSI_REVOKE;
    CHECK_EQ(hypercall_domctl(request), 0);
    request->u.gsi_permission.flags = XEN_DOMCTL_GSI_ACTION_MASK + 1;
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);
    request->u.gsi_permission.flags = XEN_DOMCTL_GSI_GRANT;
    request->u.gsi_permission.gsi = LAST_LINE;
    CHECK_EQ(hypercall_domctl(request), 0);
    request->u.gsi_permission.gsi = LAST_LINE + 1;
    CHECK_ERRNO(hypercall_domctl(request), ERANGE);
    child_destroy(CHILD);
}
#endif

/*
 * Background: Some processors of Intel's divide their caches between domains, and tell who uses how much.
 * Provoked by: the monitoring of a domain, and its part of the cache; an unknown command of the latter.
 * Expected: -ENODEV, since nobody told Xen to do that; -EOPNOTSUPP.
 * Source: domctl.h (XEN_DOMCTL_psr_cmt_op, XEN_DOMCTL_psr_alloc); arch/x86/domctl.c; arch/x86/psr.c.
 */
TEST(domctl_psr_refused, CONTROL, "caches are neither watched nor divided: ENODEV",
     .needs = "pv|hvm dom0")
{
    struct xen_domctl *request;

    child_create(CHILD);
    request = domctl_request(XEN_DOMCTL_psr_cmt_op, CHILD);
    request->u.psr_cmt_op.cmd = XEN_DOMCTL_PSR_CMT_OP_ATTACH;
    CHECK_ERRNO(hypercall_domctl(request), ENODEV);
    request = domctl_request(XEN_DOMCTL_psr_alloc, CHILD);
    request->u.psr_alloc.cmd = XEN_DOMCTL_PSR_GET_L3_CBM;
    CHECK_ERRNO(hypercall_domctl(request), ENODEV);
    request->u.psr_alloc.cmd = 99;
    CHECK_ERRNO(hypercall_domctl(request), EOPNOTSUPP);
    child_destroy(CHILD);
}
