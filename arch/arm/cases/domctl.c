/*
 * domctl on Arm: the width of a domain, its registers, interrupts of the machine, caches, an emulated UART.
 */
#include <domctl.h>
#include <fdt.h>
#include <hvm/dm_op.h>
#include <sched.h>
#include <string.h>

#include "child.h"

#define OTHER_WIDTH (8 * sizeof(long) == 64 ? 32 : 64)

static long set_width(uint32_t bits)
{
    struct xen_domctl *request = domctl_request(XEN_DOMCTL_set_address_size, CHILD);

    request->u.address_size.size = bits;
    return domctl_unanswered(request);
}

#define MOST_SHARED_INTERRUPTS 960     /* of 1020 less those of each CPU, a multiple of 32 */

/*
 * Background: A domain's interrupt controller is like the machine's.
 * Provoked by: a domain with the machine's controller, whatever it is; with the one that Xen says this is, and as
 * many interrupts as it can have; with one more; with a controller that there is not.
 * Expected: 0; 0; -EINVAL; -EINVAL. What Xen tells of a domain has nothing of it.
 * Source: domctl.h (XEN_DOMCTL_createdomain, XEN_DOMCTL_getdomaininfo); arch/arm/domain.c,
 * arch_sanitise_domain_config(); arch/arm/vgic.c, domain_vgic_init().
 */
TEST(domctl_createdomain_gic, CONTROL, "a domain's interrupt controller is like the machine's",
     .needs = "dom0")
{
    struct xen_arch_domainconfig told = {0};
    const struct xen_domctl_getdomaininfo *info;
    struct xen_domctl *request = child_request(CHILD);
    uint8_t version;

    CHECK_EQ(hypercall_domctl(request), 0);
    version = request->u.createdomain.arch.gic_version;
    CHECK(version != XEN_DOMCTL_CONFIG_GIC_NATIVE);
    child_destroy(CHILD);
    request = child_request(CHILD);
    request->u.createdomain.arch.gic_version = version;
    request->u.createdomain.arch.nr_spis = MOST_SHARED_INTERRUPTS;
    CHECK_EQ(hypercall_domctl(request), 0);
    info = domain_info(CHILD);
    if (RELEASE_IS_AT_LEAST(4, 20))
        told.gic_version = version;
    CHECK_EQ(memcmp(&info->arch_config, &told, sizeof(told)), 0);
    child_destroy(CHILD);

    request = child_request(CHILD);
    request->u.createdomain.arch.nr_spis = MOST_SHARED_INTERRUPTS + 1;
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);
    request = child_request(CHILD);
    request->u.createdomain.arch.gic_version = 99;
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);
}

#if RELEASE_IS_AT_LEAST(4, 16)
/*
 * Provoked by: the width of a domain's guest-physical addresses.
 * Expected: one of those that a processor can translate to.
 * Source: domctl.h (XEN_DOMCTL_getdomaininfo); arch/arm/domctl.c, arch_get_domain_info().
 */
TEST(domctl_gpaddr_bits, CONTROL, "a domain's addresses have one of Arm's widths", .needs = "dom0")
{
    static const uint8_t widths[] = {32, 36, 40, 42, 44, 48, 52};
    const struct xen_domctl_getdomaininfo *info;
    bool known = false;

    child_create(CHILD);
    info = domain_info(CHILD);
    for (unsigned int i = 0; i < sizeof(widths); i++)
        known |= info->gpaddr_bits == widths[i];
    CHECK(known);
    CHECK_EQ(info->pad1, 0);
    child_destroy(CHILD);
}
#endif

/*
 * Background: A new domain is a 32-bit one. Where the processor can, it may be made a 64-bit one, before it
 * has memory.
 * Provoked by: both widths, one that no processor has, and a width for a domain with memory.
 * Expected: 0 for those that Xen has, -EINVAL for others; -EBUSY in a 64-bit Xen, which has both.
 * Source: domctl.h (XEN_DOMCTL_set_address_size); arch/arm/arm64/domctl.c, arch/arm/arm32/domctl.c.
 */
TEST(domctl_set_address_size, CONTROL, "the width of a new domain can be chosen", .needs = "dom0")
{
    const bool wide = sizeof(long) == 8;

    child_create(CHILD);
    CHECK_EQ(set_width(8 * sizeof(long)), 0);
    CHECK_EQ(set_width(OTHER_WIDTH), wide ? 0 : -XEN_EINVAL);
    CHECK_ERRNO(set_width(33), EINVAL);
    child_create_with_memory(CHILD);
    CHECK_EQ(set_width(8 * sizeof(long)), wide ? -XEN_EBUSY : 0);
    child_destroy(CHILD);
}

/*
 * Background: A vcpu's registers can be looked at from outside.
 * Provoked by: the registers of a vcpu that was given some; registers in a mode that a guest cannot be in.
 * Expected: what was given; -EINVAL.
 * Source: domctl.h (XEN_DOMCTL_getvcpucontext); arch/arm/domain.c, arch_set_info_guest(), and domctl.c,
 * arch_get_info_guest().
 */
TEST(domctl_vcpu_registers, CONTROL, "the registers of a vcpu are those that it was given",
     .needs = "dom0")
{
    static struct vcpu_guest_context context, given;
    struct xen_domctl *request;

    child_create_with_memory(CHILD);
    CHECK_EQ(child_set_registers(CHILD, 1, true), 0);
    arch_child_context(&given);
    request = domctl_request(XEN_DOMCTL_getvcpucontext, CHILD);
    request->u.vcpucontext.vcpu = 1;
    handle_set(request->u.vcpucontext.ctxt, &context);
    CHECK_EQ(hypercall_domctl(request), 0);
    CHECK_EQ(context.flags & VGCF_online, VGCF_online);
    CHECK_EQ(context.user_regs.pc64, given.user_regs.pc64);
    CHECK_EQ(context.user_regs.cpsr, given.user_regs.cpsr);
    CHECK_EQ(context.sctlr, given.sctlr);

    given.user_regs.cpsr = 0x1a;          /* the mode of a hypervisor */
    request = domctl_request(XEN_DOMCTL_setvcpucontext, CHILD);
    handle_set(request->u.vcpucontext.ctxt, &given);
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);
    child_destroy(CHILD);
}

/* The frame of the machine's clock of the day, a device that Xen leaves to the control domain; it asks the
 * device tree, where addresses have two cells. */
static uint64_t clock_frame(void)
{
    fdt_node_t clock = fdt_find_with(boot_info.fdt, "compatible", "arm,pl031");
    uint64_t address = fdt_number(boot_info.fdt, clock, "reg", 0, 2, 0);

    CHECK(address != 0);
    return address / PAGE_BYTES;
}

static long map_frame(uint64_t frame, bool add)
{
    return child_map_device(CHILD, CHILD_FRAME + CHILD_PAGES, frame, 1, add);
}

/*
 * Background: Memory of a device is mapped for a domain that was allowed it.
 * Provoked by: a device's frame mapped that the domain may not use; that it may use; unmapped; forbidden again.
 * Expected: -EPERM; 0; 0; 0, and -EPERM for another mapping.
 * Source: domctl.h (XEN_DOMCTL_iomem_permission, XEN_DOMCTL_memory_mapping); common/domctl.c;
 * arch/arm/domain_build.c, map_range_to_domain().
 */
TEST(domctl_memory_mapping, CONTROL, "memory of a device is mapped for a domain", .needs = "dom0")
{
    uint64_t frame = clock_frame();

    child_create_with_memory(CHILD);
    CHECK_ERRNO(map_frame(frame, true), EPERM);
    CHECK_EQ(child_allow_device(CHILD, frame, 1, true), 0);
    CHECK_EQ(map_frame(frame, true), 0);
    CHECK_EQ(map_frame(frame, false), 0);
    CHECK_EQ(child_allow_device(CHILD, frame, 1, false), 0);
    CHECK_ERRNO(map_frame(frame, true), EPERM);
    child_destroy(CHILD);
}

static long flush(xen_pfn_t first, xen_pfn_t count)
{
    struct xen_domctl *request = domctl_request(XEN_DOMCTL_cacheflush, CHILD);

    request->u.cacheflush.start_pfn = first;
    request->u.cacheflush.nr_pfns = count;
    return hypercall_domctl(request);
}

#define MOST_FLUSHED 0x40000

/*
 * Background: A kernel starts with its caches off, and must find in memory what the builder wrote.
 * Provoked by: a domain's memory flushed; as many frames as Xen does at once, and more; the last frame but one
 * of all numbers, and frames beyond.
 * Expected: 0; 0, -EINVAL; 0, -EINVAL.
 * Source: domctl.h (XEN_DOMCTL_cacheflush); arch/arm/domctl.c.
 */
TEST(domctl_cacheflush, CONTROL, "a domain's memory is written back from the caches", .needs = "dom0")
{
    child_create_with_memory(CHILD);
    CHECK_EQ(flush(CHILD_FRAME, CHILD_PAGES), 0);
    CHECK_EQ(flush(CHILD_FRAME, MOST_FLUSHED), 0);
    CHECK_ERRNO(flush(CHILD_FRAME, MOST_FLUSHED + 1), EINVAL);
    CHECK_EQ(flush(~(xen_pfn_t)1, 1), 0);
    CHECK_ERRNO(flush(~(xen_pfn_t)0, 2), EINVAL);
    child_destroy(CHILD);
}

static struct xen_domctl *uart_request(void)
{
    struct xen_domctl *request = domctl_request(XEN_DOMCTL_vuart_op, CHILD);

    request->u.vuart_op.cmd = XEN_DOMCTL_VUART_OP_INIT;
    request->u.vuart_op.type = XEN_DOMCTL_VUART_TYPE_VPL011;
    request->u.vuart_op.gfn = CHILD_FRAME + CHILD_PAGES - 1;
    request->u.vuart_op.console_domid = 0;
    return request;
}

/*
 * Background: Xen emulates a UART for a domain; what is written there goes through a ring to the console's
 * domain.
 * Provoked by: a UART for a new domain, whose port is bound to; another one; unknown types and commands,
 * padding; a ring where there is no memory; a domain whose building is over.
 * Expected: 0; -EINVAL; -EOPNOTSUPP, -EINVAL, -EINVAL; -EINVAL; -EPERM.
 * Source: domctl.h (XEN_DOMCTL_vuart_op); arch/arm/domctl.c, handle_vuart_init(); arch/arm/vpl011.c.
 */
TEST(domctl_vuart_op, CONTROL, "a domain gets a UART that Xen emulates", .needs = "dom0")
{
    struct xen_domctl *request;

    child_create_with_memory(CHILD);
    request = uart_request();
    request->u.vuart_op.pad[1] = 1;
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);
    request = uart_request();
    request->u.vuart_op.cmd = 1;
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);
    request = uart_request();
    request->u.vuart_op.type = 1;
    CHECK_ERRNO(hypercall_domctl(request), EOPNOTSUPP);
    request = uart_request();
    request->u.vuart_op.gfn = CHILD_FRAME + CHILD_PAGES;
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);

    request = uart_request();
    CHECK_EQ(hypercall_domctl(request), 0);
    struct evtchn_bind_interdomain bind = {
        .remote_dom = CHILD, .remote_port = request->u.vuart_op.evtchn};
    CHECK_EQ(hypercall_event_channel_op(EVTCHNOP_bind_interdomain, &bind), 0);
    CHECK_ERRNO(hypercall_domctl(uart_request()), EINVAL);
    CHECK_EQ(event_close(bind.local_port), 0);

    child_create_with_memory(CHILD);
    CHECK_EQ(domctl(XEN_DOMCTL_unpausedomain, CHILD), 0);
    CHECK_ERRNO(hypercall_domctl(uart_request()), EPERM);
    child_destroy(CHILD);
}

/*
 * Background: Interrupts of the machine go to a domain under the number they have there.
 * Provoked by: another type of interrupt than the shared ones; a number that differs from the machine's; an
 * interrupt that this domain may not use; the same when it is taken back.
 * Expected: -EOPNOTSUPP; -EINVAL; -EPERM.
 * Source: domctl.h (XEN_DOMCTL_bind_pt_irq); arch/arm/domctl.c.
 */
TEST(domctl_bind_pt_irq_refused, CONTROL, "an interrupt that dom0 may not use is not passed on: EPERM",
     .needs = "dom0")
{
    static const uint32_t commands[] = {XEN_DOMCTL_bind_pt_irq, XEN_DOMCTL_unbind_pt_irq};
    struct xen_domctl *request;

    child_create(CHILD);
    for (unsigned int i = 0; i < 2; i++) {
        request = domctl_request(commands[i], CHILD);
        request->u.bind_pt_irq.irq_type = PT_IRQ_TYPE_MSI;
        CHECK_ERRNO(hypercall_domctl(request), EOPNOTSUPP);
        request->u.bind_pt_irq.irq_type = PT_IRQ_TYPE_SPI;
        request->u.bind_pt_irq.machine_irq = 40;
        CHECK_ERRNO(hypercall_domctl(request), EINVAL);
        request->u.bind_pt_irq.machine_irq = 27;
        request->u.bind_pt_irq.u.spi.spi = 27;
        CHECK_ERRNO(hypercall_domctl(request), EPERM);
    }
    child_destroy(CHILD);
}

/*
 * Background: A soft reset needs what only x86 has.
 * Provoked by: one, of a domain that has shut down for it.
 * Expected: -ENOSYS, and the domain has crashed (-EOPNOTSUPP from 4.22 on).
 * Source: domctl.h (XEN_DOMCTL_soft_reset); common/domain.c; arch/arm/domain.c, arch_domain_soft_reset().
 */
TEST(domctl_soft_reset_not_on_arm, CONTROL, "Arm has no soft reset: ENOSYS", .needs = "dom0")
{
    struct sched_remote_shutdown shutdown = {.domain_id = CHILD, .reason = SHUTDOWN_soft_reset};

    child_create_with_vcpus(CHILD);
    CHECK_EQ(hypercall_sched_op(SCHEDOP_remote_shutdown, &shutdown), 0);
    CHECK_ERRNO(domctl(XEN_DOMCTL_soft_reset, CHILD), ENOSYS);
    child_destroy(CHILD);
}

#ifdef XEN_DOMCTL_dt_overlay
/*
 * Background: Devices that were added to the machine's device tree can be given to a domain.
 * Provoked by: an overlay.
 * Expected: -EOPNOTSUPP: Xen is built without it unless somebody asked for it.
 * Source: domctl.h (XEN_DOMCTL_dt_overlay); asm/dt-overlay.h.
 */
TEST(domctl_dt_overlay_refused, CONTROL, "Xen knows no overlays of the device tree: EOPNOTSUPP",
     .needs = "dom0")
{
    struct xen_domctl *request;

    child_create(CHILD);
    request = domctl_request(XEN_DOMCTL_dt_overlay, CHILD);
    request->u.dt_overlay.overlay_op = XEN_DOMCTL_DT_OVERLAY_ATTACH;
    CHECK_ERRNO(hypercall_domctl(request), EOPNOTSUPP);
    child_destroy(CHILD);
}
#endif

#ifdef XEN_DOMCTL_shadow_op
#ifndef XEN_DOMCTL_set_paging_mempool_size
/*
 * Background: Until it had a command of its own, the pool for page tables was set as on x86.
 * Provoked by: a size; the size asked for; another operation; this domain.
 * Expected: 0; 0; -EINVAL; -EINVAL.
 * Source: domctl.h (XEN_DOMCTL_shadow_op); arch/arm/p2m.c, p2m_domctl().
 */
TEST(domctl_shadow_op, CONTROL, "the pool for a domain's page tables has its size set", .needs = "dom0")
{
    struct xen_domctl *request;

    child_create_with_vcpus(CHILD);
    request = domctl_request(XEN_DOMCTL_shadow_op, CHILD);
    request->u.shadow_op.op = XEN_DOMCTL_SHADOW_OP_SET_ALLOCATION;
    request->u.shadow_op.mb = 2;
    CHECK_EQ(hypercall_domctl(request), 0);
    request->u.shadow_op.op = XEN_DOMCTL_SHADOW_OP_GET_ALLOCATION;
    CHECK_EQ(hypercall_domctl(request), 0);
    request->u.shadow_op.op = XEN_DOMCTL_SHADOW_OP_ENABLE;
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);
    request->domain = own_domain();
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);
    child_destroy(CHILD);
}
#endif
#endif
