/*
 * physdev_op about interrupts of devices: the numbers (pirqs) that a domain has for them, and the I/O
 * APICs that they come through.
 */
#include "physdev_request.h"

/* An interrupt of no device here, and a pin of the same kind. */
#define UNUSED_GSI 11
#define OTHER_GSI 21

/* Where PCs have their I/O APIC. */
#define IO_APIC 0xfec00000
#define IO_APIC_ID 0
#define IO_APIC_VERSION 1
#define IO_APIC_ENTRY(pin) (0x10u + 2 * (pin))

/* Parts of the lower half of an entry. */
#define ENTRY_EXTERNAL (7u << 8)
#define ENTRY_LOW (1u << 13)
#define ENTRY_LEVEL (1u << 15)
#define ENTRY_MASKED (1u << 16)

static int pirq;

static long map_gsi_at(domid_t domain, int type, int gsi, int number)
{
    struct physdev_map_pirq map = {.domid = domain, .type = type, .index = gsi, .pirq = number};
    long rc = physdev_op(PHYSDEVOP_map_pirq, &map);

    CHECK_EQ(map.index, gsi);
    CHECK_EQ(map.entry_nr, 0);
    pirq = map.pirq;
    return rc;
}

static long map_gsi(domid_t domain, int type, int gsi)
{
    return map_gsi_at(domain, type, gsi, -1);
}

static long unmap(domid_t domain, int number)
{
    struct physdev_unmap_pirq gone = {.domid = domain, .pirq = number};

    return physdev_op(PHYSDEVOP_unmap_pirq, &gone);
}

static long end(uint32_t number)
{
    struct physdev_eoi eoi = {.irq = number};

    return physdev_op(PHYSDEVOP_eoi, &eoi);
}

/*
 * Background: A domain has a number of its own, a pirq, for an interrupt of the machine.
 * Provoked by: a pirq for an interrupt that no device has; its end told, and its state asked for; taken
 * away, twice.
 * Expected: a number; 0; 0, -EINVAL.
 * Source: physdev.h (PHYSDEVOP_map_pirq); arch/x86/irq.c, map_domain_pirq().
 */
TEST(pv_map_pirq, EVENTS, "dom0 has a pirq for an interrupt, and gives it back", .needs = "pv dom0")
{
    struct physdev_irq_status_query query;

    CHECK_EQ(map_gsi(DOMID_SELF, MAP_PIRQ_TYPE_GSI, UNUSED_GSI), 0);
    CHECK(pirq >= 0);
    query.irq = (uint32_t)pirq;
    CHECK_EQ(end(query.irq), 0);
    CHECK_EQ(physdev_op(PHYSDEVOP_irq_status_query, &query), 0);
    CHECK_EQ(unmap(DOMID_SELF, pirq), 0);
    CHECK_ERRNO(unmap(DOMID_SELF, pirq), EINVAL);
}

/* Of the interrupts that a PC had before it had I/O APICs. */
#define UNUSED_LINE 5
#define SERIAL_LINE 4              /* of the UART that Xen has its console on */
#define NOTHING_BEHIND 200         /* a number that has no interrupt yet */

/* The number of a line is the line's. */
static long map_line(int line)
{
    return map_gsi_at(DOMID_SELF, MAP_PIRQ_TYPE_GSI, line, line);
}

static long bind(uint32_t number, uint32_t flags, evtchn_port_t *port)
{
    struct evtchn_bind_pirq bind = {.pirq = number, .flags = flags};
    long rc = hypercall_event_channel_op(EVTCHNOP_bind_pirq, &bind);

    *port = bind.port;
    return rc;
}

/*
 * Background: A PV domain gets the interrupts of its devices as events, once it has numbers for them.
 * Provoked by: an interrupt that no device has, before it has a number; with one, bound, bound again, its port
 * closed, bound by itself, and given back; one that Xen uses itself; a number without an interrupt.
 * Expected: -EPERM; a port that says which interrupt it is, -EEXIST, 0, 0; -EBUSY; -EPERM.
 * Source: event_channel.h (EVTCHNOP_bind_pirq); common/event_channel.c, evtchn_bind_pirq(); arch/x86/irq.c,
 * pirq_guest_bind().
 */
TEST(pv_bind_pirq, EVENTS, "dom0 binds an interrupt of the machine, once", .needs = "pv dom0")
{
    struct evtchn_status status = {.dom = DOMID_SELF};
    evtchn_port_t port;

    CHECK_ERRNO(bind(UNUSED_LINE, BIND_PIRQ__WILL_SHARE, &port), EPERM);
    CHECK_EQ(map_line(UNUSED_LINE), 0);
    CHECK_EQ(bind(UNUSED_LINE, BIND_PIRQ__WILL_SHARE, &status.port), 0);
    CHECK_EQ(hypercall_event_channel_op(EVTCHNOP_status, &status), 0);
    CHECK_EQ(status.status, EVTCHNSTAT_pirq);
    CHECK_EQ(status.u.pirq, UNUSED_LINE);
    CHECK_ERRNO(bind(UNUSED_LINE, BIND_PIRQ__WILL_SHARE, &port), EEXIST);
    CHECK_EQ(event_close(status.port), 0);
    CHECK_EQ(bind(UNUSED_LINE, 0, &port), 0);
    CHECK_EQ(event_close(port), 0);
    CHECK_EQ(unmap(DOMID_SELF, UNUSED_LINE), 0);
    CHECK_EQ(map_line(SERIAL_LINE), 0);
    CHECK_ERRNO(bind(SERIAL_LINE, BIND_PIRQ__WILL_SHARE, &port), EBUSY);
    CHECK_ERRNO(bind(NOTHING_BEHIND, 0, &port), EPERM);
}

/*
 * Background: Interrupts belong to the machine, and pirqs to a domain.
 * Provoked by: a kind of interrupt that does not exist; one that the machine has not; a domain that
 * does not exist; arguments at no address; pirqs that the domain has not.
 * Expected: -EINVAL; -EINVAL; -ESRCH; -EFAULT; -EINVAL.
 * Source: physdev.h (PHYSDEVOP_map_pirq); arch/x86/physdev.c, do_physdev_op().
 */
TEST(pv_map_pirq_refused, EVENTS, "pirqs for what there is not are refused", .needs = "pv dom0")
{
    CHECK_ERRNO(map_gsi(DOMID_SELF, 99, UNUSED_GSI), EINVAL);
    CHECK_ERRNO(map_gsi(DOMID_SELF, MAP_PIRQ_TYPE_GSI, -1), EINVAL);
    CHECK_ERRNO(map_gsi(DOMID_SELF, MAP_PIRQ_TYPE_GSI, 0x7000), EINVAL);
    CHECK_ERRNO(map_gsi(NO_DOMAIN, MAP_PIRQ_TYPE_GSI, UNUSED_GSI), ESRCH);
    CHECK_ERRNO(unmap(NO_DOMAIN, 1), ESRCH);
    CHECK_ERRNO(unmap(DOMID_SELF, NO_PORT), EINVAL);
    CHECK_ERRNO(end(NO_PORT), EINVAL);
    CHECK_ERRNO(physdev_op(PHYSDEVOP_map_pirq, arch_unmapped_pointer()), EFAULT);
    CHECK_ERRNO(physdev_op(PHYSDEVOP_unmap_pirq, arch_unmapped_pointer()), EFAULT);
    CHECK_ERRNO(physdev_op(PHYSDEVOP_eoi, arch_unmapped_pointer()), EFAULT);
}

/*
 * Background: Only who controls devices gives interrupts to domains.
 * Provoked by: a PV domU maps an interrupt for itself and for domain 0, and takes one away.
 * Expected: -EPERM.
 * Source: xsm/dummy.h, xsm_map_domain_pirq(), xsm_unmap_domain_pirq().
 */
TEST(pv_map_pirq_denied, EVENTS, "a domU gets no interrupts of the machine: EPERM",
     .needs = "pv domu")
{
    CHECK_ERRNO(map_gsi(DOMID_SELF, MAP_PIRQ_TYPE_GSI, UNUSED_GSI), EPERM);
    CHECK_ERRNO(map_gsi(0, MAP_PIRQ_TYPE_GSI, UNUSED_GSI), EPERM);
    CHECK_ERRNO(unmap(DOMID_SELF, 1), EPERM);
    CHECK_ERRNO(unmap(0, 1), EPERM);
}

static uint32_t reserve(int type)
{
    struct physdev_get_free_pirq reserved = {.type = type};

    CHECK_EQ(physdev_op(PHYSDEVOP_get_free_pirq, &reserved), 0);
    return reserved.pirq;
}

static long query(uint32_t number)
{
    struct physdev_irq_status_query query = {.irq = number};

    return physdev_op(PHYSDEVOP_irq_status_query, &query);
}

/*
 * Background: A domain may choose the number before there is an interrupt for it.
 * Provoked by: two free numbers for messages, and one for a GSI; the state of each; an argument at no address.
 * Expected: messages have the largest numbers that there are, from the end; a GSI has one of those of GSIs; 0; -EFAULT.
 * Source: physdev.h (PHYSDEVOP_get_free_pirq); arch/x86/irq.c, get_free_pirq().
 */
TEST(pv_free_pirq, EVENTS, "a PV guest reserves numbers for interrupts", .needs = "pv")
{
    uint32_t first = reserve(MAP_PIRQ_TYPE_MSI), second = reserve(MAP_PIRQ_TYPE_MSI);
    uint32_t gsi = reserve(MAP_PIRQ_TYPE_GSI);

    CHECK(second < first);
    CHECK(gsi >= 16 && gsi < second);
    CHECK_EQ(query(first), 0);
    CHECK_EQ(query(second), 0);
    CHECK_EQ(query(gsi), 0);
    CHECK_ERRNO(query(first + 1), EINVAL);
    CHECK_ERRNO(physdev_op(PHYSDEVOP_get_free_pirq, arch_unmapped_pointer()), EFAULT);
}

/*
 * Background: The first form of PHYSDEVOP_eoi was for all interrupts at once.
 * Provoked by: it, while no interrupt of a device waits.
 * Expected: 0.
 * Source: physdev.h (PHYSDEVOP_IRQ_UNMASK_NOTIFY); arch/x86/irq.c, pirq_guest_unmask().
 */
TEST(pv_irq_unmask_notify, EVENTS, "a PV guest ends all interrupts at once", .needs = "pv")
{
    CHECK_EQ(physdev_op(PHYSDEVOP_IRQ_UNMASK_NOTIFY, NULL), 0);
}

/*
 * Background: Vectors were once allocated and freed by hypercall.
 * Provoked by: a vector for an interrupt; the same with the argument at no address; the vector freed.
 * Expected: the vector is the interrupt's number; -EFAULT; -ENOSYS.
 * Source: physdev.h (PHYSDEVOP_alloc_irq_vector); arch/x86/physdev.c.
 */
TEST(pv_old_irq_commands, EVENTS, "commands for interrupts of long ago", .needs = "pv dom0")
{
    struct physdev_irq irq = {.irq = 77};

    CHECK_EQ(physdev_op(PHYSDEVOP_alloc_irq_vector, &irq), 0);
    CHECK_EQ(irq.vector, 77);
    CHECK_ERRNO(physdev_op(PHYSDEVOP_alloc_irq_vector, arch_unmapped_pointer()), EFAULT);
    CHECK_ERRNO(physdev_op(PHYSDEVOP_free_irq_vector, &irq), ENOSYS);
}

/* Every page of it has all bits that Xen may write. */
static uint8_t eoi_bits[PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));

/*
 * Background: A page says which interrupts must be ended by hypercall. There are two commands for it,
 * of which a domain may use one, once.
 * Provoked by: a frame that does not exist; a page of this domain, by one command (dom0: the first
 * one, others: the second); by both again; an argument at no address.
 * Expected: -EINVAL; 0; -EBUSY; -EFAULT.
 * Source: physdev.h (PHYSDEVOP_pirq_eoi_gmfn_v2); arch/x86/physdev.c, do_physdev_op().
 */
TEST(pv_pirq_eoi_page, EVENTS, "a PV guest gives Xen a page for what interrupts need, once",
     .needs = "pv")
{
    struct physdev_pirq_eoi_gmfn page = {.gmfn = ~0ul >> 28};
    unsigned int command = own_domain() == 0 ? PHYSDEVOP_pirq_eoi_gmfn_v1
                                             : PHYSDEVOP_pirq_eoi_gmfn_v2;

    CHECK_ERRNO(physdev_op(PHYSDEVOP_pirq_eoi_gmfn_v1, &page), EINVAL);
    CHECK_ERRNO(physdev_op(PHYSDEVOP_pirq_eoi_gmfn_v2, &page), EINVAL);
    page.gmfn = arch_frame(eoi_bits);
    CHECK_EQ(physdev_op(command, &page), 0);
    CHECK_ERRNO(physdev_op(PHYSDEVOP_pirq_eoi_gmfn_v1, &page), EBUSY);
    CHECK_ERRNO(physdev_op(PHYSDEVOP_pirq_eoi_gmfn_v2, &page), EBUSY);
    CHECK_ERRNO(physdev_op(command, arch_unmapped_pointer()), EFAULT);
}

/* ---- I/O APICs ---- */

static long io_apic(unsigned int command, unsigned long base, uint32_t number, uint32_t *value)
{
    struct physdev_apic apic = {.apic_physbase = base, .reg = number, .value = *value};
    long rc = physdev_op(command, &apic);

    *value = apic.value;
    return rc;
}

/*
 * Background: dom0 reads from ACPI how interrupts are wired, and looks at the I/O APIC through Xen.
 * Provoked by: the version of the one that PCs have, and its identity; a write to the version; to an entry, a kind of
 * interrupt that Xen has no use for, with the last vector, and the same to the upper half; the first at another
 * address; arguments at no address.
 * Expected: a version of such a device, and no more than an identity; 0, and nothing happens; -EINVAL, 0; -EINVAL; -EFAULT.
 * Source: physdev.h (PHYSDEVOP_apic_read); arch/x86/io_apic.c, ioapic_guest_read(),
 * ioapic_guest_write().
 */
TEST(pv_io_apic, EVENTS, "dom0 reads the version of the I/O APIC", .needs = "pv dom0")
{
    uint32_t value = ~0u, again = ~0u, identity = ~0u, zero = 0;
    uint32_t external = ENTRY_MASKED | ENTRY_EXTERNAL | 0xff;

    CHECK_EQ(io_apic(PHYSDEVOP_apic_read, IO_APIC, IO_APIC_VERSION, &value), 0);
    CHECK((value & 0xff) >= 0x10 && (value & 0xff) < 0x30);
    CHECK((value >> 16 & 0xff) >= 15);
    CHECK_EQ(io_apic(PHYSDEVOP_apic_read, IO_APIC, IO_APIC_ID, &identity), 0);
    CHECK_EQ(identity & 0xff, 0);
    CHECK_EQ(io_apic(PHYSDEVOP_apic_write, IO_APIC, IO_APIC_VERSION, &zero), 0);
    CHECK_EQ(zero, 0);
    CHECK_EQ(io_apic(PHYSDEVOP_apic_read, IO_APIC, IO_APIC_VERSION, &again), 0);
    CHECK_EQ(again, value);
    CHECK_ERRNO(io_apic(PHYSDEVOP_apic_write, IO_APIC, IO_APIC_ENTRY(UNUSED_GSI), &external), EINVAL);
    CHECK_EQ(io_apic(PHYSDEVOP_apic_write, IO_APIC, IO_APIC_ENTRY(UNUSED_GSI) + 1, &external), 0);
    CHECK_ERRNO(io_apic(PHYSDEVOP_apic_read, PAGE_BYTES, IO_APIC_VERSION, &value), EINVAL);
    CHECK_ERRNO(io_apic(PHYSDEVOP_apic_write, PAGE_BYTES, IO_APIC_VERSION, &zero), EINVAL);
    CHECK_ERRNO(physdev_op(PHYSDEVOP_apic_read, arch_unmapped_pointer()), EFAULT);
    CHECK_ERRNO(physdev_op(PHYSDEVOP_apic_write, arch_unmapped_pointer()), EFAULT);
}

/*
 * Background: The wiring of the machine is dom0's business.
 * Provoked by: the I/O APIC read and written from a domU; a vector; an interrupt set up.
 * Expected: -EPERM.
 * Source: xsm/dummy.h, xsm_apic(), xsm_resource_setup_gsi().
 */
TEST(pv_io_apic_denied, EVENTS, "a domU does not reach the I/O APIC: EPERM", .needs = "pv domu")
{
    struct physdev_irq irq = {.irq = 77};
    struct physdev_setup_gsi setup = {.gsi = UNUSED_GSI};
    uint32_t value = 0;

    CHECK_ERRNO(io_apic(PHYSDEVOP_apic_read, IO_APIC, IO_APIC_VERSION, &value), EPERM);
    CHECK_ERRNO(io_apic(PHYSDEVOP_apic_write, IO_APIC, IO_APIC_VERSION, &value), EPERM);
    CHECK_ERRNO(physdev_op(PHYSDEVOP_alloc_irq_vector, &irq), EPERM);
    CHECK_ERRNO(physdev_op(PHYSDEVOP_setup_gsi, &setup), EPERM);
}

/*
 * Background: dom0 tells Xen how an interrupt is triggered, as ACPI says.
 * Provoked by: one set up as PCI's are, twice; one that the machine has not; an argument at no address.
 * Expected: 0, and the I/O APIC's entry says so, -EEXIST; -EINVAL; -EFAULT.
 * Source: physdev.h (PHYSDEVOP_setup_gsi); arch/x86/mpparse.c, mp_register_gsi().
 */
TEST(pv_setup_gsi, EVENTS, "dom0 sets an interrupt of the machine up, once", .needs = "pv dom0")
{
    struct physdev_setup_gsi setup = {.gsi = OTHER_GSI, .triggering = 1, .polarity = 1};
    uint32_t entry = 0, both = ENTRY_LEVEL | ENTRY_LOW;

    CHECK_EQ(physdev_op(PHYSDEVOP_setup_gsi, &setup), 0);
    CHECK_EQ(io_apic(PHYSDEVOP_apic_read, IO_APIC, IO_APIC_ENTRY(OTHER_GSI), &entry), 0);
    CHECK_EQ(entry & both, both);
    CHECK_ERRNO(physdev_op(PHYSDEVOP_setup_gsi, &setup), EEXIST);
    setup.gsi = -1;
    CHECK_ERRNO(physdev_op(PHYSDEVOP_setup_gsi, &setup), EINVAL);
    setup.gsi = 0x7000;
    CHECK_ERRNO(physdev_op(PHYSDEVOP_setup_gsi, &setup), EINVAL);
    CHECK_ERRNO(physdev_op(PHYSDEVOP_setup_gsi, arch_unmapped_pointer()), EFAULT);
}

#if RELEASE_IS_AT_LEAST(4, 20)
/*
 * Background: See pv_setup_gsi. Since 4.20 a PVH dom0 can too.
 * Provoked by: an interrupt set up, twice.
 * Expected: 0, -EEXIST.
 * Source: physdev.h (PHYSDEVOP_setup_gsi); arch/x86/hvm/hypercall.c, hvm_physdev_op().
 */
TEST(hvm_setup_gsi, EVENTS, "a PVH dom0 sets an interrupt of the machine up, once", .needs = "hvm dom0")
{
    struct physdev_setup_gsi setup = {.gsi = OTHER_GSI, .triggering = 1, .polarity = 1};

    CHECK_EQ(physdev_op(PHYSDEVOP_setup_gsi, &setup), 0);
    CHECK_ERRNO(physdev_op(PHYSDEVOP_setup_gsi, &setup), EEXIST);
}
#endif

/* ---- Guests with interrupt controllers of their own ---- */

/*
 * Background: An HVM guest has pirqs only if a feature says so.
 * Provoked by: an interrupt that is none ended; a number reserved; a pirq taken away that is none.
 * Expected: -EINVAL, 0, and 0 or an error number with the feature; -ENOSYS each time without it (since 4.20 the
 * last is treated as a PV guest's: -EPERM in a domU, -EINVAL in dom0).
 * Source: physdev.h; arch/x86/hvm/hypercall.c, hvm_physdev_op().
 */
TEST(hvm_pirqs, EVENTS, "pirqs of an HVM guest: with the feature, or ENOSYS", .needs = "hvm")
{
    struct physdev_get_free_pirq reserved = {.type = MAP_PIRQ_TYPE_GSI};

    if (has_feature(XENFEAT_hvm_pirqs)) {
        CHECK_ERRNO(end(NO_PORT), EINVAL);
        CHECK_EQ(physdev_op(PHYSDEVOP_get_free_pirq, &reserved), 0);
        CHECK_ERRNO(physdev_op(PHYSDEVOP_map_pirq, arch_unmapped_pointer()), EFAULT);
        return;
    }
    CHECK_ERRNO(end(1), ENOSYS);
    CHECK_ERRNO(physdev_op(PHYSDEVOP_get_free_pirq, &reserved), ENOSYS);
    if (!RELEASE_IS_AT_LEAST(4, 20)) {
        CHECK_ERRNO(map_gsi(DOMID_SELF, MAP_PIRQ_TYPE_GSI, UNUSED_GSI), ENOSYS);
        CHECK_ERRNO(unmap(DOMID_SELF, 1), ENOSYS);
    } else {
        CHECK_ERRNO(map_gsi(NO_DOMAIN, MAP_PIRQ_TYPE_GSI, UNUSED_GSI), ESRCH);
        CHECK_ERRNO(unmap(NO_DOMAIN, 1), ESRCH);
    }
}

/*
 * Background: An interrupt of a device that Xen emulates may come as an event instead.
 * Provoked by: a pirq for an emulated interrupt, whatever number is free; its end told, its state asked for; taken
 * away, twice; kinds and interrupts that there are not.
 * Expected: 0 each time, and the pirq wants its end told; -EINVAL about one that is gone, and for what is not there.
 * Source: physdev.h (PHYSDEVOP_map_pirq); arch/x86/physdev.c, physdev_hvm_map_pirq().
 */
TEST(hvm_emulated_pirq, EVENTS, "an HVM guest with a PC's devices has their interrupts as pirqs",
     .needs = "hvm domu")
{
    struct physdev_irq_status_query query = {.flags = 0};

    if (!has_feature(XENFEAT_hvm_pirqs))
        return;
    CHECK_EQ(map_gsi(DOMID_SELF, MAP_PIRQ_TYPE_GSI, UNUSED_GSI), 0);
    CHECK(pirq >= 0);
    query.irq = (uint32_t)pirq;
    CHECK_EQ(end(query.irq), 0);
    CHECK_EQ(physdev_op(PHYSDEVOP_irq_status_query, &query), 0);
    CHECK(query.flags & XENIRQSTAT_needs_eoi);
    CHECK_EQ(unmap(DOMID_SELF, pirq), 0);
    CHECK_ERRNO(physdev_op(PHYSDEVOP_irq_status_query, &query), EINVAL);
    CHECK_EQ(unmap(DOMID_SELF, pirq), 0);
    CHECK_ERRNO(map_gsi(DOMID_SELF, MAP_PIRQ_TYPE_MSI, UNUSED_GSI), EINVAL);
    CHECK_ERRNO(map_gsi(DOMID_SELF, MAP_PIRQ_TYPE_GSI, 0x7000), EINVAL);
    CHECK_ERRNO(map_gsi(0, MAP_PIRQ_TYPE_GSI, UNUSED_GSI), EPERM);
    query.irq = NO_PORT;
    CHECK_ERRNO(physdev_op(PHYSDEVOP_irq_status_query, &query), EINVAL);
    CHECK_ERRNO(physdev_op(PHYSDEVOP_irq_status_query, arch_unmapped_pointer()), EFAULT);
}
