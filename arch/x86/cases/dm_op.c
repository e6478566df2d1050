/*
 * dm_op: what the device model of an HVM domain asks of Xen. Tests of ioreq servers are in dm_op_servers.c.
 */
#include <domctl.h>
#include <hvm/save.h>
#include <memory.h>
#include <sched.h>
#include <string.h>

#include "dm_op_request.h"

#define SPARE_FRAME (CHILD_FRAME + CHILD_PAGES)    /* nothing is there */

static struct xen_dm_op request;

struct xen_dm_op *dm_request(uint32_t command)
{
    memset(&request, 0, sizeof(request));
    request.op = command;
    return &request;
}

static long call(domid_t domain, unsigned int count, unsigned long size, void *second,
                 unsigned long second_size)
{
    xen_dm_op_buf_t buffers[2] = {{.size = size}, {.size = second_size}};

    handle_set(buffers[0].h, &request);
    handle_set(buffers[1].h, second);
    return hypercall_dm_op(domain, count, buffers);
}

long dm_call(void)
{
    return call(CHILD, 1, sizeof(request), NULL, 0);
}

long dm_call_with(void *buffer, unsigned long size)
{
    return call(CHILD, 2, sizeof(request), buffer, size);
}

unsigned int child_mem_type(xen_pfn_t frame)
{
    struct xen_hvm_get_mem_type type = {.domid = CHILD, .pfn = frame};

    CHECK_EQ(hypercall_hvm_op(HVMOP_get_mem_type, &type), 0);
    return type.mem_type;
}

/*
 * Background: A call has a list of buffers; the first has the command, and only what that needs is read.
 * Provoked by: a first buffer without a command, with a part of what it needs, with just that, and at no
 * address; a second one that nobody needs; padding; a command that there is not; a PV domain.
 * Expected: -EFAULT, -EFAULT, 0, -EFAULT; 0; -EINVAL; -EOPNOTSUPP; -EINVAL.
 * Source: hvm/dm_op.h; arch/x86/hvm/dm.c, dm_op().
 */
TEST(dmop_buffers, CONTROL, "a device model's request has to be long enough", .needs = "pv|hvm dom0")
{
    const unsigned long head = offsetof(struct xen_dm_op, u);
    const unsigned long needed = head + sizeof(request.u.set_isa_irq_level);
    xen_dm_op_buf_t buffer = {.size = sizeof(request)};

    child_create_pc(CHILD);
    dm_request(XEN_DMOP_set_isa_irq_level);
    CHECK_ERRNO(call(CHILD, 1, head - 1, NULL, 0), EFAULT);
    CHECK_ERRNO(call(CHILD, 1, needed - 1, NULL, 0), EFAULT);
    CHECK_EQ(call(CHILD, 1, needed, NULL, 0), 0);
    handle_set(buffer.h, nowhere());
    CHECK_ERRNO(hypercall_dm_op(CHILD, 1, &buffer), EFAULT);
    CHECK_EQ(call(CHILD, 2, needed, NULL, 8), 0);
    request.pad = 1;
    CHECK_ERRNO(dm_call(), EINVAL);
    dm_request(NO_COMMAND);
    CHECK_ERRNO(call(CHILD, 1, head, NULL, 0), EOPNOTSUPP);
    child_create_pv(CHILD);
    dm_request(XEN_DMOP_set_isa_irq_level);
    CHECK_ERRNO(dm_call(), EINVAL);
    child_destroy(CHILD);
}

#ifdef XEN_DMOP_nr_vcpus
/*
 * Background: A device model has a request of each vcpu to look at.
 * Provoked by: how many vcpus the guest may have.
 * Expected: as many as it was made with.
 * Source: hvm/dm_op.h (XEN_DMOP_nr_vcpus); arch/x86/hvm/dm.c.
 */
TEST(dmop_nr_vcpus, CONTROL, "a device model is told how many vcpus there are", .needs = "pv|hvm dom0")
{
    child_create(CHILD);
    dm_request(XEN_DMOP_nr_vcpus);
    CHECK_EQ(dm_call(), 0);
    CHECK_EQ(request.u.nr_vcpus.vcpus, CHILD_VCPUS);
    child_destroy(CHILD);
}
#endif

/*
 * Background: The device model notices that the guest wants to reboot before Xen does.
 * Provoked by: a shutdown.
 * Expected: the guest is shut down, for that reason.
 * Source: hvm/dm_op.h (XEN_DMOP_remote_shutdown); arch/x86/hvm/dm.c.
 */
TEST(dmop_remote_shutdown, CONTROL, "a device model shuts its guest down", .needs = "pv|hvm dom0")
{
    uint32_t flags;

    child_create_with_vcpus(CHILD);
    dm_request(XEN_DMOP_remote_shutdown)->u.remote_shutdown.reason = SHUTDOWN_reboot;
    CHECK_EQ(dm_call(), 0);
    flags = domain_info(CHILD)->flags;
    CHECK(flags & XEN_DOMINF_shutdown);
    CHECK_EQ(flags >> XEN_DOMINF_shutdownshift & XEN_DOMINF_shutdownmask, SHUTDOWN_reboot);
    child_destroy(CHILD);
}

/* ---- Interrupts ---- */

static void read_record(uint16_t type, void *buffer, uint64_t size)
{
    struct xen_domctl *partial = domctl_request(XEN_DOMCTL_gethvmcontext_partial, CHILD);

    partial->u.hvmcontext_partial.type = type;
    partial->u.hvmcontext_partial.bufsz = size;
    handle_set(partial->u.hvmcontext_partial.buffer, buffer);
    CHECK_EQ(hypercall_domctl(partial), 0);
}

static long set_isa_irq(uint8_t irq, uint8_t level)
{
    dm_request(XEN_DMOP_set_isa_irq_level);
    request.u.set_isa_irq_level.isa_irq = irq;
    request.u.set_isa_irq_level.level = level;
    return dm_call();
}

/*
 * Background: The device model raises the interrupts of a PC's old devices.
 * Provoked by: one asserted, and deasserted; a number and a level that there are not.
 * Expected: 0, and it is asserted, or not, in what the domain's state says; -EINVAL.
 * Source: hvm/dm_op.h (XEN_DMOP_set_isa_irq_level); arch/x86/hvm/dm.c, set_isa_irq_level().
 */
TEST(dmop_set_isa_irq_level, CONTROL, "a device model asserts an ISA interrupt", .needs = "pv|hvm dom0")
{
    struct hvm_hw_isa_irqs irqs;

    child_create_pc(CHILD);
    CHECK_EQ(set_isa_irq(5, 1), 0);
    read_record(HVM_SAVE_CODE(ISA_IRQ), &irqs, sizeof(irqs));
    CHECK_EQ(irqs.pad[0], 1u << 5);
    CHECK_EQ(set_isa_irq(15, 1), 0);
    CHECK_EQ(set_isa_irq(5, 0), 0);
    read_record(HVM_SAVE_CODE(ISA_IRQ), &irqs, sizeof(irqs));
    CHECK_EQ(irqs.pad[0], 1u << 15);
    CHECK_ERRNO(set_isa_irq(16, 1), EINVAL);
    CHECK_ERRNO(set_isa_irq(5, 2), EINVAL);
    child_destroy(CHILD);
}

static long set_pci_pin(uint8_t device, uint8_t pin, uint8_t level)
{
    dm_request(XEN_DMOP_set_pci_intx_level);
    request.u.set_pci_intx_level.device = device;
    request.u.set_pci_intx_level.intx = pin;
    request.u.set_pci_intx_level.level = level;
    return dm_call();
}

/*
 * Background: The devices on a PC's first PCI bus have four interrupt pins each.
 * Provoked by: a pin asserted, and deasserted; another segment and bus, a device, a pin and a level that there
 * are not.
 * Expected: 0, and it is asserted, or not, in what the domain's state says; -EINVAL.
 * Source: hvm/dm_op.h (XEN_DMOP_set_pci_intx_level); arch/x86/hvm/dm.c, set_pci_intx_level().
 */
TEST(dmop_set_pci_intx_level, CONTROL, "a device model asserts an interrupt pin of a PCI device",
     .needs = "pv|hvm dom0")
{
    struct hvm_hw_pci_irqs irqs;

    child_create_pc(CHILD);
    CHECK_EQ(set_pci_pin(3, 1, 1), 0);
    CHECK_EQ(set_pci_pin(31, 3, 1), 0);
    read_record(HVM_SAVE_CODE(PCI_IRQ), &irqs, sizeof(irqs));
    CHECK_EQ(irqs.pad[0], 1ull << (4 * 3 + 1));
    CHECK_EQ(irqs.pad[1], 1ull << 63);
    CHECK_EQ(set_pci_pin(3, 1, 0), 0);
    read_record(HVM_SAVE_CODE(PCI_IRQ), &irqs, sizeof(irqs));
    CHECK_EQ(irqs.pad[0], 0);
    CHECK_ERRNO(set_pci_pin(32, 0, 1), EINVAL);
    CHECK_ERRNO(set_pci_pin(3, 4, 1), EINVAL);
    CHECK_ERRNO(set_pci_pin(3, 0, 2), EINVAL);
    dm_request(XEN_DMOP_set_pci_intx_level)->u.set_pci_intx_level.domain = 1;
    CHECK_ERRNO(dm_call(), EINVAL);
    dm_request(XEN_DMOP_set_pci_intx_level)->u.set_pci_intx_level.bus = 1;
    CHECK_ERRNO(dm_call(), EINVAL);
    child_destroy(CHILD);
}

static long set_link(uint8_t link, uint8_t irq)
{
    dm_request(XEN_DMOP_set_pci_link_route);
    request.u.set_pci_link_route.link = link;
    request.u.set_pci_link_route.isa_irq = irq;
    return dm_call();
}

/*
 * Background: A router brings the pins of PCI devices, over four links, to ISA interrupts.
 * Provoked by: a link connected; a link and an interrupt that there are not.
 * Expected: 0, and the domain's state says so; -EINVAL.
 * Source: hvm/dm_op.h (XEN_DMOP_set_pci_link_route); arch/x86/hvm/irq.c, hvm_set_pci_link_route().
 */
TEST(dmop_set_pci_link_route, CONTROL, "a device model routes a PCI interrupt link",
     .needs = "pv|hvm dom0")
{
    struct hvm_hw_pci_link links;

    child_create_pc(CHILD);
    CHECK_EQ(set_link(2, 11), 0);
    read_record(HVM_SAVE_CODE(PCI_LINK), &links, sizeof(links));
    CHECK_EQ(links.route[2], 11);
    CHECK_EQ(links.route[1], 0);
    CHECK_EQ(set_link(2, 0), 0);
    read_record(HVM_SAVE_CODE(PCI_LINK), &links, sizeof(links));
    CHECK_EQ(links.route[2], 0);
    CHECK_ERRNO(set_link(4, 11), EINVAL);
    CHECK_ERRNO(set_link(2, 16), EINVAL);
    child_destroy(CHILD);
}

/*
 * Background: An exception that the device model raises waits until the vcpu runs.
 * Provoked by: a page fault for a vcpu that does not run; another for it, and for the other vcpu; padding; a
 * vcpu that does not exist.
 * Expected: 0; -EBUSY, 0; -EINVAL; -EINVAL.
 * Source: hvm/dm_op.h (XEN_DMOP_inject_event); arch/x86/hvm/dm.c, inject_event().
 */
TEST(dmop_inject_event, CONTROL, "an exception waits for the vcpu to run", .needs = "pv|hvm dom0")
{
    child_create_with_vcpus(CHILD);
    dm_request(XEN_DMOP_inject_event);
    request.u.inject_event.vector = 14;
    request.u.inject_event.type = XEN_DMOP_EVENT_hw_exc;
    CHECK_EQ(dm_call(), 0);
    CHECK_ERRNO(dm_call(), EBUSY);
    request.u.inject_event.vcpuid = 1;
    CHECK_EQ(dm_call(), 0);
    request.u.inject_event.vcpuid = CHILD_VCPUS;
    CHECK_ERRNO(dm_call(), EINVAL);
    request.u.inject_event.vcpuid = 0;
    request.u.inject_event.pad0 = 1;
    CHECK_ERRNO(dm_call(), EINVAL);
    request.u.inject_event.pad0 = 0;
    request.u.inject_event.pad1 = 1;
    CHECK_ERRNO(dm_call(), EINVAL);
    child_destroy(CHILD);
}

static long send_message(uint64_t address, uint32_t data)
{
    dm_request(XEN_DMOP_inject_msi);
    request.u.inject_msi.addr = address;
    request.u.inject_msi.data = data;
    return dm_call();
}

#define MESSAGES 0xfee00000u       /* where devices write those to the local APIC of number 0 */
#define LOWEST_PRIORITY (1u << 8)
#define SMI (2u << 8)
#define TO_PIRQ(number) (MESSAGES | (number) << 12)

/*
 * Background: A message signalled interrupt goes to the local APICs that its address names; or, with vector 0,
 * to the event channel of a pirq.
 * Provoked by: one for an APIC that is off, with fixed delivery, with that to the one of lowest priority, and
 * with another one; for a pirq, for none and for one of too high a number; padding.
 * Expected: 0 (nobody hears it), -ESRCH, -EINVAL; 0, -ERANGE, -EINVAL; -EINVAL.
 * Source: hvm/dm_op.h (XEN_DMOP_inject_msi); arch/x86/hvm/irq.c, hvm_inject_msi(); arch/x86/hvm/vmsi.c.
 */
TEST(dmop_inject_msi, CONTROL, "a device model sends a message signalled interrupt",
     .needs = "pv|hvm dom0")
{
    child_create_pc(CHILD);
    CHECK_EQ(send_message(MESSAGES, 0x40), 0);
    CHECK_ERRNO(send_message(MESSAGES, LOWEST_PRIORITY | 0x40), ESRCH);
    CHECK_ERRNO(send_message(MESSAGES, SMI | 0x40), EINVAL);
    CHECK_EQ(send_message(TO_PIRQ(16), 0), 0);
    CHECK_ERRNO(send_message(TO_PIRQ(0), 0), ERANGE);
    CHECK_ERRNO(send_message(0x100000000000ull | MESSAGES, 0), EINVAL);
    dm_request(XEN_DMOP_inject_msi)->u.inject_msi.pad = 1;
    CHECK_ERRNO(dm_call(), EINVAL);
    child_destroy(CHILD);
}

/* ---- Memory ---- */

static long set_type(xen_pfn_t first, uint32_t pages, uint16_t type)
{
    dm_request(XEN_DMOP_set_mem_type);
    request.u.set_mem_type.first_pfn = first;
    request.u.set_mem_type.nr = pages;
    request.u.set_mem_type.mem_type = type;
    return dm_call();
}

/*
 * Background: A page can be RAM, RAM that is not written, or a device's.
 * Provoked by: pages made each of these and asked about; a frame without memory made a device's, and RAM; no
 * pages; a type that there is not, and one that is not given any more; padding; frames above the guest's last
 * one.
 * Expected: they are what they were made; 0, -EINVAL; -EINVAL for all others.
 * Source: hvm/dm_op.h (XEN_DMOP_set_mem_type), hvm/hvm_op.h (HVMOP_get_mem_type); arch/x86/hvm/dm.c,
 * set_mem_type().
 */
TEST(dmop_set_mem_type, CONTROL, "a device model says what a page is", .needs = "pv|hvm dom0")
{
    xen_pfn_t hole = CHILD_FRAME + 7;
    struct xen_memory_reservation release = {.nr_extents = 1, .domid = CHILD};

    child_create_with_memory(CHILD);
    CHECK_EQ(child_mem_type(CHILD_FRAME + 1), HVMMEM_ram_rw);
    CHECK_EQ(set_type(CHILD_FRAME, 2, HVMMEM_ram_ro), 0);
    CHECK_EQ(request.u.set_mem_type.first_pfn, CHILD_FRAME);
    CHECK_EQ(request.u.set_mem_type.nr, 2);
    CHECK_EQ(child_mem_type(CHILD_FRAME), HVMMEM_ram_ro);
    CHECK_EQ(child_mem_type(CHILD_FRAME + 1), HVMMEM_ram_ro);
    CHECK_EQ(child_mem_type(CHILD_FRAME + 2), HVMMEM_ram_rw);
    CHECK_EQ(set_type(CHILD_FRAME + 1, 1, HVMMEM_ram_rw), 0);
    CHECK_EQ(child_mem_type(CHILD_FRAME + 1), HVMMEM_ram_rw);
    CHECK_EQ(set_type(CHILD_FRAME + 3, 1, HVMMEM_mmio_dm), 0);
    CHECK_EQ(child_mem_type(CHILD_FRAME + 3), HVMMEM_mmio_dm);

    handle_set(release.extent_start, &hole);
    CHECK_EQ(hypercall_memory_op(XENMEM_decrease_reservation, &release), 1);
    CHECK_ERRNO(set_type(hole, 1, HVMMEM_ram_rw), EINVAL);
    CHECK_EQ(set_type(hole, 1, HVMMEM_mmio_dm), 0);
    CHECK_EQ(child_mem_type(hole), HVMMEM_mmio_dm);
    CHECK_ERRNO(set_type(CHILD_FRAME, 0, HVMMEM_ram_rw), EINVAL);
    CHECK_ERRNO(set_type(CHILD_FRAME, 1, HVMMEM_unused), EINVAL);
    CHECK_ERRNO(set_type(CHILD_FRAME, 1, 5), EINVAL);
    CHECK_ERRNO(set_type(SPARE_FRAME, 1, HVMMEM_ram_ro), EINVAL);
    dm_request(XEN_DMOP_set_mem_type);
    request.u.set_mem_type.first_pfn = CHILD_FRAME;
    request.u.set_mem_type.nr = 1;
    request.u.set_mem_type.pad = 1;
    CHECK_ERRNO(dm_call(), EINVAL);
    child_destroy(CHILD);
}

static long track(xen_pfn_t first, uint32_t pages, void *bits, unsigned long size)
{
    dm_request(XEN_DMOP_track_dirty_vram);
    request.u.track_dirty_vram.first_pfn = first;
    request.u.track_dirty_vram.nr = pages;
    return dm_call_with(bits, size);
}

/*
 * Background: A device model asks which pages of a display's memory it has to draw again.
 * Provoked by: a run of pages, again, and after one of them was taken away and another one put there; another
 * run; no pages. No second buffer, one that is too short, and one at no address; more than 1 GiB; padding; a
 * domain without vcpus.
 * Expected: at first all, then none, then that page; all; 0. -EINVAL, -EINVAL, -EFAULT; -EINVAL; -EINVAL; -EINVAL.
 * Source: hvm/dm_op.h (XEN_DMOP_track_dirty_vram); arch/x86/hvm/dm.c, track_dirty_vram(); arch/x86/mm/hap/hap.c.
 */
TEST(dmop_track_dirty_vram, CONTROL, "a device model learns which pages were written",
     .needs = "pv|hvm dom0")
{
    xen_pfn_t changed = CHILD_FRAME + 3;
    struct xen_memory_reservation release = {.nr_extents = 1, .domid = CHILD};
    uint8_t bits[2] = {0};

    child_create_with_memory(CHILD);
    CHECK_EQ(track(CHILD_FRAME, 10, bits, sizeof(bits)), 0);
    CHECK_EQ(bits[0], 0xff);
    CHECK_EQ(bits[1] & 3, 3);
    CHECK_EQ(track(CHILD_FRAME, 10, bits, sizeof(bits)), 0);
    CHECK_EQ(bits[0], 0);
    CHECK_EQ(bits[1] & 3, 0);
    handle_set(release.extent_start, &changed);
    CHECK_EQ(hypercall_memory_op(XENMEM_decrease_reservation, &release), 1);
    CHECK_EQ(child_populate(CHILD, changed, 1), 1);
    CHECK_EQ(track(CHILD_FRAME, 10, bits, sizeof(bits)), 0);
    CHECK_EQ(bits[0], 1u << 3);
    CHECK_EQ(bits[1] & 3, 0);
    CHECK_EQ(track(CHILD_FRAME, 8, bits, 1), 0);
    CHECK_EQ(bits[0], 0xff);

    CHECK_ERRNO(track(CHILD_FRAME, 9, bits, 1), EINVAL);
    CHECK_ERRNO(track(CHILD_FRAME, 8, nowhere(), 1), EFAULT);
    CHECK_ERRNO(track(CHILD_FRAME, 262145, bits, sizeof(bits)), EINVAL);
    CHECK_EQ(track(0, 0, NULL, 0), 0);
    CHECK_ERRNO(dm_call(), EINVAL);
    dm_request(XEN_DMOP_track_dirty_vram)->u.track_dirty_vram.pad = 1;
    CHECK_ERRNO(dm_call_with(bits, sizeof(bits)), EINVAL);
    child_create(CHILD);
    CHECK_ERRNO(track(CHILD_FRAME, 8, bits, sizeof(bits)), EINVAL);
    child_destroy(CHILD);
}

static long modified(struct xen_dm_op_modified_memory_extent *extents, uint32_t count, unsigned long size)
{
    dm_request(XEN_DMOP_modified_memory)->u.modified_memory.nr_extents = count;
    return dm_call_with(extents, size);
}

static uint8_t dirty_bits(xen_pfn_t first)
{
    static uint8_t bits[(CHILD_FRAME + CHILD_PAGES) / 8 + 1];
    struct xen_domctl *log = domctl_request(XEN_DOMCTL_shadow_op, CHILD);

    log->u.shadow_op.op = XEN_DOMCTL_SHADOW_OP_CLEAN;
    log->u.shadow_op.pages = 8 * sizeof(bits);
    handle_set(log->u.shadow_op.dirty_bitmap, bits);
    CHECK_EQ(hypercall_domctl(log), 0);
    return bits[first / 8];
}

/*
 * Background: While a guest is copied to another machine, its device model tells what it wrote itself.
 * Provoked by: two runs of pages told, without the log of written pages, and with it. Then one buffer, one that is
 * too short, and one at no address; padding; no pages; pages above the guest's last one; a start within the
 * run that is beyond it.
 * Expected: 0; 0, and just these are in the log; -EINVAL (until 4.16 not looked for), -EINVAL, -EFAULT; -EINVAL
 * for all others.
 * Source: hvm/dm_op.h (XEN_DMOP_modified_memory); arch/x86/hvm/dm.c, modified_memory().
 */
TEST(dmop_modified_memory, CONTROL, "a device model tells which pages it wrote", .needs = "pv|hvm dom0")
{
    struct xen_dm_op_modified_memory_extent extents[2] = {
        {.nr = 2, .first_pfn = CHILD_FRAME + 1}, {.nr = 1, .first_pfn = CHILD_FRAME + 6}};
    struct xen_domctl *log;

    child_create_with_memory(CHILD);
    CHECK_EQ(modified(extents, 2, sizeof(extents)), 0);
    log = domctl_request(XEN_DOMCTL_shadow_op, CHILD);
    log->u.shadow_op.op = XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY;
    CHECK_EQ(hypercall_domctl(log), 0);
    (void)dirty_bits(CHILD_FRAME);
    CHECK_EQ(modified(extents, 2, sizeof(extents)), 0);
    CHECK_EQ(request.u.modified_memory.nr_extents, 2);
    CHECK_EQ(request.u.modified_memory.opaque, 0);
    CHECK_EQ(dirty_bits(CHILD_FRAME), 0x46);
    CHECK_EQ(dirty_bits(CHILD_FRAME), 0);

    if (RELEASE_IS_AT_LEAST(4, 17))
        CHECK_ERRNO(dm_call(), EINVAL);
    CHECK_ERRNO(modified(extents, 2, sizeof(extents) - 1), EINVAL);
    CHECK_ERRNO(modified(nowhere(), 2, sizeof(extents)), EFAULT);
    extents[0].nr = 0;
    CHECK_ERRNO(modified(extents, 1, sizeof(extents)), EINVAL);
    extents[0].nr = 2 * CHILD_PAGES;
    CHECK_ERRNO(modified(extents, 1, sizeof(extents)), EINVAL);
    extents[0].nr = 1;
    dm_request(XEN_DMOP_modified_memory);
    request.u.modified_memory.nr_extents = 1;
    request.u.modified_memory.opaque = 1;
    CHECK_ERRNO(dm_call_with(extents, sizeof(extents)), EINVAL);
    extents[0].pad = 1;
    CHECK_ERRNO(modified(extents, 1, sizeof(extents)), EINVAL);
    child_destroy(CHILD);
}

static long relocate(uint64_t from, uint64_t to, uint32_t pages)
{
    dm_request(XEN_DMOP_relocate_memory);
    request.u.relocate_memory.src_gfn = from;
    request.u.relocate_memory.dst_gfn = to;
    request.u.relocate_memory.size = pages;
    return dm_call();
}

/*
 * Background: A device model moves pages, such as an option ROM's, to where the guest wants them.
 * Provoked by: two pages moved to frames without memory; a frame without memory moved; the last frame that there
 * could be; padding.
 * Expected: 0, and they are there and nowhere else; -EINVAL, from 4.19 on -EACCES; -EOVERFLOW from 4.17 on;
 * -EINVAL.
 * Source: hvm/dm_op.h (XEN_DMOP_relocate_memory); arch/x86/hvm/dm.c; common/memory.c, xenmem_add_to_physmap().
 */
TEST(dmop_relocate_memory, CONTROL, "a device model moves pages of its guest", .needs = "pv|hvm dom0")
{
    child_create_with_memory(CHILD);
    CHECK_EQ(relocate(CHILD_FRAME + 2, SPARE_FRAME, 2), 0);
    /* Where it was interrupted last; the rest is the same. */
    CHECK(request.u.relocate_memory.size > 0);
    CHECK_EQ(request.u.relocate_memory.src_gfn + request.u.relocate_memory.size, CHILD_FRAME + 4);
    CHECK_EQ(request.u.relocate_memory.dst_gfn + request.u.relocate_memory.size, SPARE_FRAME + 2);
    CHECK_EQ(child_mem_type(SPARE_FRAME), HVMMEM_ram_rw);
    CHECK_EQ(child_mem_type(SPARE_FRAME + 1), HVMMEM_ram_rw);
    CHECK_EQ(child_mem_type(CHILD_FRAME + 2), HVMMEM_mmio_dm);
    CHECK_EQ(child_mem_type(CHILD_FRAME + 3), HVMMEM_mmio_dm);
    CHECK_EQ(child_mem_type(CHILD_FRAME + 4), HVMMEM_ram_rw);
    if (RELEASE_IS_AT_LEAST(4, 19))
        CHECK_ERRNO(relocate(CHILD_FRAME + 2, SPARE_FRAME, 1), EACCES);
    else
        CHECK_ERRNO(relocate(CHILD_FRAME + 2, SPARE_FRAME, 1), EINVAL);
    if (RELEASE_IS_AT_LEAST(4, 17))
        CHECK_ERRNO(relocate(CHILD_FRAME, ~0ull - 1, 4), EOVERFLOW);
    dm_request(XEN_DMOP_relocate_memory)->u.relocate_memory.pad = 1;
    CHECK_ERRNO(dm_call(), EINVAL);
    child_destroy(CHILD);
}

static long pin(uint64_t first, uint64_t last, uint32_t type)
{
    dm_request(XEN_DMOP_pin_memory_cacheattr);
    request.u.pin_memory_cacheattr.start = first;
    request.u.pin_memory_cacheattr.end = last;
    request.u.pin_memory_cacheattr.type = type;
    return dm_call();
}

/*
 * Background: A device model says how the memory of a device is cached, whatever the guest says.
 * Provoked by: a run pinned, and again; one that has a part of it; unpinned, and again; a run that ends before it
 * starts, or beyond all memory; a way to cache that there is not; more than 64 runs; padding.
 * Expected: 0, 0; -EBUSY; 0, -ENOENT; -EINVAL; -EINVAL; -ENOSPC; -EINVAL.
 * Source: hvm/dm_op.h (XEN_DMOP_pin_memory_cacheattr); arch/x86/hvm/mtrr.c, hvm_set_mem_pinned_cacheattr().
 */
TEST(dmop_pin_memory_cacheattr, CONTROL, "a device model pins how memory is cached",
     .needs = "pv|hvm dom0")
{
    child_create_with_memory(CHILD);
    CHECK_EQ(pin(0x20, 0x2f, XEN_DMOP_MEM_CACHEATTR_WB), 0);
    CHECK_EQ(pin(0x20, 0x2f, XEN_DMOP_MEM_CACHEATTR_WT), 0);
    CHECK_ERRNO(pin(0x2f, 0x30, XEN_DMOP_MEM_CACHEATTR_WB), EBUSY);
    CHECK_ERRNO(pin(0x20, 0x2e, XEN_DMOP_DELETE_MEM_CACHEATTR), ENOENT);
    CHECK_EQ(pin(0x20, 0x2f, XEN_DMOP_DELETE_MEM_CACHEATTR), 0);
    CHECK_ERRNO(pin(0x20, 0x2f, XEN_DMOP_DELETE_MEM_CACHEATTR), ENOENT);
    CHECK_ERRNO(pin(0x21, 0x20, XEN_DMOP_MEM_CACHEATTR_WB), EINVAL);
    CHECK_ERRNO(pin(0x20, ~0ull, XEN_DMOP_MEM_CACHEATTR_WB), EINVAL);
    CHECK_ERRNO(pin(0x20, 0x2f, 2), EINVAL);
    for (uint64_t frame = 0; frame < 64; frame++)
        CHECK_EQ(pin(frame, frame, XEN_DMOP_MEM_CACHEATTR_WB), 0);
    CHECK_ERRNO(pin(64, 64, XEN_DMOP_MEM_CACHEATTR_WB), ENOSPC);
    dm_request(XEN_DMOP_pin_memory_cacheattr)->u.pin_memory_cacheattr.pad = 1;
    CHECK_ERRNO(dm_call(), EINVAL);
    child_destroy(CHILD);
}
