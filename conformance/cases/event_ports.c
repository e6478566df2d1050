/*
 * Rung "events", first half: making, naming, asking about and closing event channels. What is
 * checked here is the state of ports; event_delivery.c checks that events arrive.
 */
#include <string.h>
#include <timing.h>

#include "common.h"

/* A virq of one vcpu and a virq of the whole domain that nothing in these kernels uses. */
#define VCPU_VIRQ VIRQ_DEBUG
#define GLOBAL_VIRQ VIRQ_CONSOLE

static evtchn_port_t unbound_port(void)
{
    evtchn_port_t port = 0;

    CHECK_EQ(event_alloc_unbound(DOMID_SELF, &port), 0);
    return port;
}

static evtchn_port_t virq_port(void)
{
    evtchn_port_t port = 0;

    CHECK_EQ(event_bind_virq(VCPU_VIRQ, &port), 0);
    return port;
}

static evtchn_port_t ipi_port(void)
{
    evtchn_port_t port = 0;

    CHECK_EQ(event_bind_ipi(&port), 0);
    return port;
}

/* A port that was open a moment ago. */
static evtchn_port_t closed_port(void)
{
    evtchn_port_t port = unbound_port();

    CHECK_EQ(event_close(port), 0);
    return port;
}

/*
 * Background: A channel begins as a port that one domain opens for another, here for itself.
 * Provoked by: two allocations.
 * Expected: two different ports, neither of them 0 (which is never given out), both unbound,
 * waiting for this domain, with events going to vcpu 0.
 * Source: event_channel.h (EVTCHNOP_alloc_unbound); common/event_channel.c, evtchn_alloc_unbound().
 */
TEST(evtchn_alloc_unbound, EVENTS, "allocated ports are distinct and unbound")
{
    evtchn_port_t one = unbound_port(), other = unbound_port();

    CHECK(one != 0 && other != 0 && one != other);
    struct evtchn_status first = port_status(one), second = port_status(other);
    CHECK_EQ(first.status, EVTCHNSTAT_unbound);
    CHECK_EQ(second.status, EVTCHNSTAT_unbound);
    CHECK_EQ(first.u.unbound.dom, second.u.unbound.dom);
    CHECK_EQ(first.vcpu, 0);
}

/*
 * Background: A tool stack opens ports in other domains, which may be gone by then.
 * Provoked by: a port in a domain that does not exist.
 * Expected: -ESRCH.
 * Source: event_channel.h; common/event_channel.c, evtchn_alloc_unbound().
 */
TEST(evtchn_alloc_unbound_no_domain, EVENTS, "a port in no domain is refused with ESRCH")
{
    struct evtchn_alloc_unbound alloc = {.dom = NO_DOMAIN, .remote_dom = DOMID_SELF};

    CHECK_ERRNO(hypercall_event_channel_op(EVTCHNOP_alloc_unbound, &alloc), ESRCH);
}

/*
 * Background: Only a control domain may open, ask about or reset the ports of another domain.
 * Provoked by: all three in domain 0, from a domU.
 * Expected: -EPERM.
 * Source: event_channel.h (rules of each command); xsm/dummy.h, XSM_TARGET.
 */
TEST(evtchn_of_another_domain, EVENTS, "a domU is refused the ports of dom0 with EPERM",
     .needs = "domu")
{
    struct evtchn_alloc_unbound alloc = {.dom = 0, .remote_dom = DOMID_SELF};
    struct evtchn_status status = {.dom = 0, .port = 1};
    struct evtchn_reset reset = {.dom = 0};

    CHECK_ERRNO(hypercall_event_channel_op(EVTCHNOP_alloc_unbound, &alloc), EPERM);
    CHECK_ERRNO(hypercall_event_channel_op(EVTCHNOP_status, &status), EPERM);
    CHECK_ERRNO(hypercall_event_channel_op(EVTCHNOP_reset, &reset), EPERM);
}

/*
 * Background: Binding to an unbound port makes a channel of two ends.
 * Provoked by: a port of this domain bound to another one of its own.
 * Expected: both ports name each other as their end, and this domain.
 * Source: event_channel.h (EVTCHNOP_bind_interdomain); common/event_channel.c,
 * evtchn_bind_interdomain().
 */
TEST(evtchn_bind_interdomain, EVENTS, "two ports bound to each other name each other")
{
    domid_t self = own_domain();
    evtchn_port_t remote = unbound_port(), local = 0;

    CHECK_EQ(event_bind_interdomain(DOMID_SELF, remote, &local), 0);
    CHECK(local != 0 && local != remote);

    struct evtchn_status status = port_status(local);
    CHECK_EQ(status.status, EVTCHNSTAT_interdomain);
    CHECK_EQ(status.u.interdomain.dom, self);
    CHECK_EQ(status.u.interdomain.port, remote);

    status = port_status(remote);
    CHECK_EQ(status.status, EVTCHNSTAT_interdomain);
    CHECK_EQ(status.u.interdomain.dom, self);
    CHECK_EQ(status.u.interdomain.port, local);
}

/*
 * Background: Only a port that waits for this domain can be bound to.
 * Provoked by: binding to a port that is already bound, to one that was closed, to one that is no
 * channel between domains, to port 0, and to one beyond all ports.
 * Expected: -EINVAL each time.
 * Source: event_channel.h; common/event_channel.c, evtchn_bind_interdomain().
 */
TEST(evtchn_bind_interdomain_not_unbound, EVENTS,
     "binding to a port not unbound is refused: EINVAL")
{
    evtchn_port_t one, other, port;

    event_loopback(&one, &other);
    CHECK_ERRNO(event_bind_interdomain(DOMID_SELF, one, &port), EINVAL);
    CHECK_ERRNO(event_bind_interdomain(DOMID_SELF, closed_port(), &port), EINVAL);
    CHECK_ERRNO(event_bind_interdomain(DOMID_SELF, ipi_port(), &port), EINVAL);
    CHECK_ERRNO(event_bind_interdomain(DOMID_SELF, 0, &port), EINVAL);
    CHECK_ERRNO(event_bind_interdomain(DOMID_SELF, NO_PORT, &port), EINVAL);
}

/*
 * Background: The other domain may be gone by the time a guest binds.
 * Provoked by: binding to a port of a domain that does not exist.
 * Expected: -ESRCH.
 * Source: event_channel.h; common/event_channel.c, evtchn_bind_interdomain().
 */
TEST(evtchn_bind_interdomain_no_domain, EVENTS, "binding to a port of no domain: ESRCH")
{
    evtchn_port_t port;

    CHECK_ERRNO(event_bind_interdomain(NO_DOMAIN, 1, &port), ESRCH);
}

/*
 * Background: A port waits for one domain, and no other may bind to it.
 * Provoked by: a port for domain 0, to which this domain then binds itself.
 * Expected: -EINVAL, and the port goes on waiting.
 * Source: event_channel.h; common/event_channel.c, evtchn_bind_interdomain().
 */
TEST(evtchn_bind_interdomain_for_another, EVENTS,
     "binding to a port meant for another domain: EINVAL",
     .needs = "domu")
{
    evtchn_port_t waiting = 0, port;

    CHECK_EQ(event_alloc_unbound(0, &waiting), 0);
    CHECK_ERRNO(event_bind_interdomain(DOMID_SELF, waiting, &port), EINVAL);
    CHECK_EQ(port_status(waiting).status, EVTCHNSTAT_unbound);
    CHECK_EQ(port_status(waiting).u.unbound.dom, 0);
}

/*
 * Background: A virq is bound once for each vcpu (or domain), to a port of which it is the only
 * source.
 * Provoked by: one virq bound, bound again, closed, and bound again.
 * Expected: a port that says which virq it is; -EEXIST while it is bound; success after it was
 * closed.
 * Source: event_channel.h (EVTCHNOP_bind_virq); common/event_channel.c, evtchn_bind_virq().
 */
TEST(evtchn_bind_virq, EVENTS, "a virq is bound once until it is closed")
{
    evtchn_port_t port = virq_port(), again;

    CHECK_EQ(port_status(port).status, EVTCHNSTAT_virq);
    CHECK_EQ(port_status(port).u.virq, VCPU_VIRQ);
    CHECK_EQ(port_status(port).vcpu, 0);
    CHECK_ERRNO(event_bind_virq(VCPU_VIRQ, &again), EEXIST);
    CHECK_EQ(event_close(port), 0);
    virq_port();
}

/*
 * Background: Virqs are numbered from 0; some belong to a vcpu, the others to the domain and start
 * at vcpu 0.
 * Provoked by: virqs beyond the last; a virq of the domain on a vcpu other than 0; a virq on a vcpu
 * that does not exist.
 * Expected: -EINVAL, -EINVAL, -ENOENT.
 * Source: event_channel.h; common/event_channel.c, evtchn_bind_virq(); xen.h (NR_VIRQS).
 */
TEST(evtchn_bind_virq_refused, EVENTS, "virqs that do not exist, or not there, are refused")
{
    struct evtchn_bind_virq bind = {.virq = NR_VIRQS, .vcpu = 0};

    CHECK_ERRNO(hypercall_event_channel_op(EVTCHNOP_bind_virq, &bind), EINVAL);
    bind = (struct evtchn_bind_virq){.virq = ~0u, .vcpu = 0};
    CHECK_ERRNO(hypercall_event_channel_op(EVTCHNOP_bind_virq, &bind), EINVAL);
    bind = (struct evtchn_bind_virq){.virq = GLOBAL_VIRQ, .vcpu = 1};
    CHECK_ERRNO(hypercall_event_channel_op(EVTCHNOP_bind_virq, &bind), EINVAL);
    bind = (struct evtchn_bind_virq){.virq = VCPU_VIRQ, .vcpu = NO_VCPU};
    CHECK_ERRNO(hypercall_event_channel_op(EVTCHNOP_bind_virq, &bind), ENOENT);
}

/*
 * Background: By an IPI the vcpus of a domain signal each other.
 * Provoked by: an IPI port for vcpu 0, and one for a vcpu that does not exist.
 * Expected: a port that is an IPI; -ENOENT.
 * Source: event_channel.h (EVTCHNOP_bind_ipi); common/event_channel.c, evtchn_bind_ipi().
 */
TEST(evtchn_bind_ipi, EVENTS, "an IPI is bound to a vcpu that exists")
{
    struct evtchn_bind_ipi bind = {.vcpu = NO_VCPU};
    evtchn_port_t port = ipi_port();

    CHECK_EQ(port_status(port).status, EVTCHNSTAT_ipi);
    CHECK_EQ(port_status(port).vcpu, 0);
    CHECK_ERRNO(hypercall_event_channel_op(EVTCHNOP_bind_ipi, &bind), ENOENT);
}

/*
 * Background: Interrupts of devices come as events too, to the domain that may have them. An HVM
 * guest may bind any of its interrupt lines, whether or not a device uses it.
 * Provoked by: an interrupt line that no device here uses, twice; closed, and again.
 * Expected: a port that says which interrupt it is; -EEXIST the second time; after closing,
 * success.
 * Source: event_channel.h (EVTCHNOP_bind_pirq); common/event_channel.c, evtchn_bind_pirq().
 */
TEST(evtchn_bind_pirq, EVENTS, "an HVM guest binds an interrupt line, once", .needs = "hvm")
{
    struct evtchn_bind_pirq bind = {.pirq = 5, .flags = BIND_PIRQ__WILL_SHARE};
    struct evtchn_bind_pirq again = bind;

    CHECK_EQ(hypercall_event_channel_op(EVTCHNOP_bind_pirq, &bind), 0);
    CHECK_EQ(port_status(bind.port).status, EVTCHNSTAT_pirq);
    CHECK_EQ(port_status(bind.port).u.pirq, 5);
    CHECK_ERRNO(hypercall_event_channel_op(EVTCHNOP_bind_pirq, &again), EEXIST);
    CHECK_EQ(event_close(bind.port), 0);
    CHECK_EQ(port_status(bind.port).status, EVTCHNSTAT_closed);
    CHECK_EQ(hypercall_event_channel_op(EVTCHNOP_bind_pirq, &again), 0);
}

/*
 * Background: A PV domain has those interrupts that it was given.
 * Provoked by: interrupt 0, the timer that Xen keeps for itself.
 * Expected: -EPERM.
 * Source: event_channel.h; common/event_channel.c, evtchn_bind_pirq(): pirq_access_permitted().
 */
TEST(evtchn_bind_pirq_not_given, EVENTS, "an interrupt that the domain was not given: EPERM",
     .needs = "pv|ppc")
{
    struct evtchn_bind_pirq bind = {.pirq = 0};

    CHECK_ERRNO(hypercall_event_channel_op(EVTCHNOP_bind_pirq, &bind), EPERM);
}

/*
 * Background: Every domain has a limit to the numbers of its physical interrupts. Arm's domains never
 * had any.
 * Provoked by: an interrupt beyond all that a domain can have.
 * Expected: -EINVAL; on Arm since 4.19 -EOPNOTSUPP, as for any interrupt.
 * Source: event_channel.h; common/event_channel.c, evtchn_bind_pirq(): CONFIG_HAS_PIRQ.
 */
TEST(evtchn_bind_pirq_refused, EVENTS, "a physical interrupt that does not exist is refused")
{
    struct evtchn_bind_pirq bind = {.pirq = 0x7fffffff};
    long rc = hypercall_event_channel_op(EVTCHNOP_bind_pirq, &bind);

    if (strcmp(boot_info.guest, "arm") == 0 && RELEASE_IS_AT_LEAST(4, 19))
        CHECK_ERRNO(rc, EOPNOTSUPP);
    else
        CHECK_ERRNO(rc, EINVAL);
}

/*
 * Background: Closing one end of a channel leaves the other end unbound, waiting for the same
 * domain.
 * Provoked by: one of two connected ports closed, then the other.
 * Expected: the states just said.
 * Source: event_channel.h (EVTCHNOP_close); common/event_channel.c, evtchn_close().
 */
TEST(evtchn_close, EVENTS, "closing one end leaves the other unbound")
{
    evtchn_port_t one, other;
    domid_t self = own_domain();

    event_loopback(&one, &other);
    CHECK_EQ(event_close(one), 0);
    CHECK_EQ(port_status(one).status, EVTCHNSTAT_closed);
    CHECK_EQ(port_status(other).status, EVTCHNSTAT_unbound);
    CHECK_EQ(port_status(other).u.unbound.dom, self);
    CHECK_EQ(event_close(other), 0);
    CHECK_EQ(port_status(other).status, EVTCHNSTAT_closed);
}

/*
 * Background: A port is closed once, and only by the domain that has it.
 * Provoked by: closing a port twice, port 0, which Xen keeps for itself, and one beyond all ports.
 * Expected: -EINVAL each time.
 * Source: event_channel.h; common/event_channel.c, evtchn_close().
 */
TEST(evtchn_close_refused, EVENTS, "closing a port that is not open is refused with EINVAL")
{
    CHECK_ERRNO(event_close(closed_port()), EINVAL);
    CHECK_ERRNO(event_close(0), EINVAL);
    CHECK_ERRNO(event_close(NO_PORT), EINVAL);
}

/*
 * Background: An event that nobody took must not appear on the port's next use.
 * Provoked by: an event on a masked port, which is then closed.
 * Expected: the pending bit is gone.
 * Source: common/event_channel.c, evtchn_free(). (Releases up to 3.2 left it.)
 */
TEST(evtchn_close_clears_pending, EVENTS, "closing a port takes back its pending event",
     .needs = "pv|hvm|arm")
{
    evtchn_port_t port = ipi_port();

    CHECK_EQ(event_send(port), 0);
    CHECK(event_is_pending(port));
    CHECK_EQ(event_close(port), 0);
    CHECK(!event_is_pending(port));
}

/*
 * Background: Sending needs something that can be told: not a port that is closed, nor a virq,
 * which only Xen raises. A port that is still unbound has nobody to tell, which is no mistake of
 * the sender.
 * Provoked by: a send on each.
 * Expected: -EINVAL; 0 for the unbound one.
 * Source: event_channel.h (EVTCHNOP_send); common/event_channel.c, evtchn_send().
 */
TEST(evtchn_send_refused, EVENTS, "sending on a closed port or a virq is refused with EINVAL")
{
    CHECK_ERRNO(event_send(closed_port()), EINVAL);
    CHECK_ERRNO(event_send(virq_port()), EINVAL);
    CHECK_ERRNO(event_send(0), EINVAL);
    CHECK_ERRNO(event_send(NO_PORT), EINVAL);
    CHECK_EQ(event_send(unbound_port()), 0);
}

/*
 * Background: Any port can be asked about, also one that is closed; but it has to be a port.
 * Provoked by: the state of a port of no domain; of a port beyond all ports; of port 0, which is
 * reserved.
 * Expected: -ESRCH; -EINVAL; closed.
 * Source: event_channel.h (EVTCHNOP_status); common/event_channel.c, evtchn_status().
 */
TEST(evtchn_status_refused, EVENTS, "the state of a port that cannot be: ESRCH, EINVAL")
{
    struct evtchn_status status = {.dom = NO_DOMAIN, .port = 1};

    CHECK_ERRNO(hypercall_event_channel_op(EVTCHNOP_status, &status), ESRCH);
    status = (struct evtchn_status){.dom = DOMID_SELF, .port = NO_PORT};
    CHECK_ERRNO(hypercall_event_channel_op(EVTCHNOP_status, &status), EINVAL);
    CHECK_EQ(port_status(0).status, EVTCHNSTAT_closed);
    CHECK_EQ(port_status(closed_port()).status, EVTCHNSTAT_closed);
}

static long bind_vcpu(evtchn_port_t port, uint32_t vcpu)
{
    struct evtchn_bind_vcpu bind = {.port = port, .vcpu = vcpu};

    return hypercall_event_channel_op(EVTCHNOP_bind_vcpu, &bind);
}

/*
 * Background: Events of a channel, and of a virq of the domain, may go to any vcpu of the domain.
 * What belongs to one vcpu stays with it.
 * Provoked by: one of each kind of port moved to vcpu 0, where it is already.
 * Expected: 0 for channels and virqs of the domain; -EINVAL for virqs of a vcpu and IPIs.
 * Source: event_channel.h (EVTCHNOP_bind_vcpu); common/event_channel.c, evtchn_bind_vcpu().
 */
TEST(evtchn_bind_vcpu, EVENTS, "channels may change their vcpu, virqs of a vcpu and IPIs may not")
{
    evtchn_port_t one, other, global = 0;

    event_loopback(&one, &other);
    CHECK_EQ(bind_vcpu(one, 0), 0);
    CHECK_EQ(port_status(one).vcpu, 0);
    CHECK_EQ(bind_vcpu(unbound_port(), 0), 0);
    CHECK_EQ(event_bind_virq(GLOBAL_VIRQ, &global), 0);
    CHECK_EQ(bind_vcpu(global, 0), 0);
    CHECK_ERRNO(bind_vcpu(virq_port(), 0), EINVAL);
    CHECK_ERRNO(bind_vcpu(ipi_port(), 0), EINVAL);
}

/*
 * Background: Both the vcpu and the port are looked up before anything is changed.
 * Provoked by: a vcpu that does not exist; ports that are closed, reserved, and beyond all ports.
 * Expected: -ENOENT; -EINVAL for the ports.
 * Source: event_channel.h; common/event_channel.c, evtchn_bind_vcpu().
 */
TEST(evtchn_bind_vcpu_refused, EVENTS, "no such vcpu: ENOENT; no such port: EINVAL")
{
    CHECK_ERRNO(bind_vcpu(unbound_port(), NO_VCPU), ENOENT);
    CHECK_ERRNO(bind_vcpu(closed_port(), 0), EINVAL);
    CHECK_ERRNO(bind_vcpu(0, 0), EINVAL);
    CHECK_ERRNO(bind_vcpu(NO_PORT, 0), EINVAL);
}

/*
 * Background: A port that does not exist has no mask.
 * Provoked by: unmasking a port beyond all ports.
 * Expected: -EINVAL. (That unmasking delivers is checked in event_delivery.c.)
 * Source: event_channel.h (EVTCHNOP_unmask); common/event_channel.c, evtchn_unmask().
 */
TEST(evtchn_unmask_refused, EVENTS, "unmasking a port that does not exist is refused with EINVAL")
{
    struct evtchn_unmask unmask = {.port = NO_PORT};

    CHECK_ERRNO(hypercall_event_channel_op(EVTCHNOP_unmask, &unmask), EINVAL);
}

#ifdef EVTCHNOP_reset
/*
 * Background: A kernel that replaces another (kexec) starts without the other's channels.
 * Provoked by: ports of every kind, then a reset of this domain; a reset of a domain that does not
 * exist.
 * Expected: all ports closed, and the virq can be bound again; -ESRCH.
 * Source: event_channel.h (EVTCHNOP_reset); common/event_channel.c, evtchn_reset().
 */
TEST(evtchn_reset, EVENTS, "a reset closes all ports of the domain")
{
    struct evtchn_reset reset = {.dom = NO_DOMAIN};
    evtchn_port_t one, other, unbound, virq, ipi;

    CHECK_ERRNO(hypercall_event_channel_op(EVTCHNOP_reset, &reset), ESRCH);

    event_loopback(&one, &other);
    unbound = unbound_port();
    virq = virq_port();
    ipi = ipi_port();
    reset.dom = DOMID_SELF;
    CHECK_EQ(hypercall_event_channel_op(EVTCHNOP_reset, &reset), 0);
    CHECK_EQ(port_status(one).status, EVTCHNSTAT_closed);
    CHECK_EQ(port_status(other).status, EVTCHNSTAT_closed);
    CHECK_EQ(port_status(unbound).status, EVTCHNSTAT_closed);
    CHECK_EQ(port_status(virq).status, EVTCHNSTAT_closed);
    CHECK_EQ(port_status(ipi).status, EVTCHNSTAT_closed);
    virq_port();
}
#endif

#ifdef EVTCHNOP_reset_cont
/*
 * Background: A reset that takes long is interrupted and gone on with by this command, which Xen
 * puts into the guest's registers itself.
 * Provoked by: the command without any reset to go on with; and for a domain that does not exist.
 * Expected: -EBUSY; -ESRCH.
 * Source: event_channel.h (EVTCHNOP_reset_cont); common/event_channel.c, evtchn_reset().
 */
TEST(evtchn_reset_cont, EVENTS, "going on with a reset that was not begun is refused with EBUSY")
{
    struct evtchn_reset reset = {.dom = DOMID_SELF};

    CHECK_ERRNO(hypercall_event_channel_op(EVTCHNOP_reset_cont, &reset), EBUSY);
    reset.dom = NO_DOMAIN;
    CHECK_ERRNO(hypercall_event_channel_op(EVTCHNOP_reset_cont, &reset), ESRCH);
}
#endif

/*
 * Background: There is a last port.
 * Provoked by: allocations until one is refused. In a domU, which has fewer ports than dom0. Where it has as many, Xen
 * needs seconds, since it looks for each from the first one on.
 * Expected: at least 63 ports, then -ENOSPC; after one of them was closed, exactly one more.
 * Source: event_channel.h; common/event_channel.c, get_free_port(); domctl.h (max_evtchn_port).
 */
TEST(evtchn_ports_run_out, EVENTS, "when all ports are in use, ENOSPC; a closed one is free again",
     .needs = "arm|ppc domu slow|!no-portlimit")
{
    evtchn_port_t last = 0, port;
    unsigned int count = 0;
    long rc;

    while ((rc = event_alloc_unbound(DOMID_SELF, &port)) == 0 && count < EVENT_PORTS) {
        last = port;
        count++;
    }
    CHECK_ERRNO(rc, ENOSPC);
    CHECK(count >= 63);
    CHECK_EQ(event_close(last), 0);
    CHECK_EQ(event_alloc_unbound(DOMID_SELF, &port), 0);
    CHECK_EQ(port, last);
    CHECK_ERRNO(event_alloc_unbound(DOMID_SELF, &port), ENOSPC);
}

#ifdef EVTCHNOP_init_control
static uint8_t control_page[PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));
static uint8_t array_page[PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));

static long init_control(uint64_t gfn, uint32_t offset, uint32_t vcpu)
{
    struct evtchn_init_control init = {.control_gfn = gfn, .offset = offset, .vcpu = vcpu};

    return hypercall_event_channel_op(EVTCHNOP_init_control, &init);
}

static long expand_array(void)
{
    struct evtchn_expand_array expand = {.array_gfn = arch_frame(array_page)};

    return hypercall_event_channel_op(EVTCHNOP_expand_array, &expand);
}

static long set_priority(evtchn_port_t port, uint32_t priority)
{
    struct evtchn_set_priority set = {.port = port, .priority = priority};

    return hypercall_event_channel_op(EVTCHNOP_set_priority, &set);
}

/*
 * Background: The FIFO interface begins with a control block for each vcpu: 72 bytes, 8-byte
 * aligned, in a page of the guest.
 * Provoked by: a vcpu that does not exist; a block over the end of the page; a block not aligned; a
 * page that the guest does not have.
 * Expected: -ENOENT; -EINVAL; -EINVAL; -EINVAL; and the interface stays the two-level one.
 * Source: event_channel.h (EVTCHNOP_init_control); common/event_fifo.c, evtchn_fifo_init_control().
 */
TEST(evtchn_init_control_refused, EVENTS, "a FIFO control block that cannot be: ENOENT, EINVAL",
     .needs = "pv|hvm|arm")
{
    uint64_t gfn = arch_frame(control_page);

    CHECK_ERRNO(init_control(gfn, 0, NO_VCPU), ENOENT);
    CHECK_ERRNO(init_control(gfn, PAGE_BYTES - sizeof(struct evtchn_fifo_control_block) + 8, 0),
                EINVAL);
    CHECK_ERRNO(init_control(gfn, 4, 0), EINVAL);
    CHECK_ERRNO(init_control(~0ull >> 12, 0, 0), EINVAL);
    CHECK_ERRNO(expand_array(), EOPNOTSUPP);
}

/*
 * Background: The two-level interface has no event array and no priorities.
 * Provoked by: the commands for both, and a priority for a port that does not exist.
 * Expected: -EOPNOTSUPP for the array, -ENOSYS for the priority, -EINVAL for the port.
 * Source: event_channel.h; common/event_fifo.c, evtchn_fifo_expand_array(); xen/event.h,
 * evtchn_port_set_priority().
 */
TEST(evtchn_fifo_commands_without_fifo, EVENTS, "FIFO commands without FIFO: EOPNOTSUPP, ENOSYS",
     .needs = "pv|hvm|arm")
{
    CHECK_ERRNO(expand_array(), EOPNOTSUPP);
    CHECK_ERRNO(set_priority(unbound_port(), EVTCHN_FIFO_PRIORITY_MAX), ENOSYS);
    CHECK_ERRNO(set_priority(NO_PORT, EVTCHN_FIFO_PRIORITY_MAX), EINVAL);
}

/* What is wrong with the FIFO interface, or NULL. Upcalls are disabled, and a reset comes after. */
static const char *fifo_problem(void)
{
    struct evtchn_init_control init = {.control_gfn = arch_frame(control_page)};
    const volatile struct evtchn_fifo_control_block *control = (void *)control_page;
    volatile event_word_t *words = (void *)array_page;
    struct evtchn_unmask unmask;
    evtchn_port_t port, high;

    HOLDS(hypercall_event_channel_op(EVTCHNOP_init_control, &init) == 0);
    HOLDS(init.link_bits == EVTCHN_FIFO_LINK_BITS);
    HOLDS(hypercall_event_channel_op(EVTCHNOP_init_control, &init) == -XEN_EINVAL);
    HOLDS(expand_array() == 0);

    HOLDS(event_bind_ipi(&port) == 0);
    HOLDS(event_send(port) == 0);
    HOLDS(words[port] & 1u << EVTCHN_FIFO_PENDING);
    HOLDS(words[port] & 1u << EVTCHN_FIFO_LINKED);
    HOLDS(control->ready & 1u << EVTCHN_FIFO_PRIORITY_DEFAULT);
    HOLDS(control->head[EVTCHN_FIFO_PRIORITY_DEFAULT] == port);

    HOLDS(event_bind_ipi(&high) == 0);
    HOLDS(set_priority(high, EVTCHN_FIFO_PRIORITY_MIN + 1) == -XEN_EINVAL);
    HOLDS(set_priority(high + 1, EVTCHN_FIFO_PRIORITY_MAX) == -XEN_EACCES);
    HOLDS(set_priority(high, EVTCHN_FIFO_PRIORITY_MAX) == 0);
    words[high] |= 1u << EVTCHN_FIFO_MASKED;
    HOLDS(event_send(high) == 0);
    HOLDS(words[high] & 1u << EVTCHN_FIFO_PENDING);
    HOLDS(!(words[high] & 1u << EVTCHN_FIFO_LINKED));
    HOLDS(!(control->ready & 1u << EVTCHN_FIFO_PRIORITY_MAX));
    unmask.port = high;
    HOLDS(hypercall_event_channel_op(EVTCHNOP_unmask, &unmask) == 0);
    HOLDS(!(words[high] & 1u << EVTCHN_FIFO_MASKED));
    HOLDS(control->ready & 1u << EVTCHN_FIFO_PRIORITY_MAX);
    HOLDS(control->head[EVTCHN_FIFO_PRIORITY_MAX] == high);
    return NULL;
}

/*
 * Background: The FIFO interface replaces the bitmaps by queues, one for each priority, linked
 * through an array of words in the guest's memory. A reset of the domain's channels goes back to
 * the bitmaps.
 * Provoked by: the switch; an event of normal priority; a masked event of the highest one, unmasked
 * later; a second control block for the vcpu; priorities that do not exist, or of no port; the way
 * back.
 * Expected: pending and linked words, queues with the right heads and their ready bits; no event
 * queued while masked; -EINVAL and -EACCES for what cannot be; after the reset, no array any more
 * and events in the bitmaps.
 * Source: event_channel.h (EVTCHNOP_init_control, _expand_array, _set_priority, struct
 * evtchn_fifo_control_block); common/event_fifo.c; common/event_channel.c, evtchn_reset().
 */
TEST(evtchn_fifo, EVENTS, "the FIFO interface queues events by priority, and can be left again",
     .needs = "pv|hvm|arm")
{
    struct evtchn_reset reset = {.dom = DOMID_SELF};

    memset(control_page, 0, sizeof(control_page));
    memset(array_page, 0, sizeof(array_page));
    arch_events_disable();
    const char *problem = fifo_problem();
    long rc = hypercall_event_channel_op(EVTCHNOP_reset, &reset);
    arch_events_enable();
    if (problem)
        FAIL("%s does not hold", problem);
    CHECK_EQ(rc, 0);

    CHECK_ERRNO(expand_array(), EOPNOTSUPP);
    evtchn_port_t port = ipi_port();
    CHECK_EQ(event_send(port), 0);
    CHECK(event_is_pending(port));
}
#endif

/*
 * Background: Xen copies every argument with a check, and says so when it cannot.
 * Provoked by: every command with its argument at an address where nothing is.
 * Expected: -EFAULT each time.
 * Source: common/event_channel.c, do_event_channel_op().
 */
TEST(evtchn_bad_pointers, EVENTS, "every event_channel_op argument at no address: EFAULT")
{
    static const unsigned int commands[] = {
        EVTCHNOP_alloc_unbound, EVTCHNOP_bind_interdomain, EVTCHNOP_bind_virq,
        EVTCHNOP_bind_ipi,      EVTCHNOP_bind_pirq,        EVTCHNOP_close,
        EVTCHNOP_send,          EVTCHNOP_status,           EVTCHNOP_bind_vcpu,
        EVTCHNOP_unmask,
#ifdef EVTCHNOP_reset
        EVTCHNOP_reset,
#endif
#ifdef EVTCHNOP_reset_cont
        EVTCHNOP_reset_cont,
#endif
#ifdef EVTCHNOP_init_control
        EVTCHNOP_init_control,  EVTCHNOP_expand_array,     EVTCHNOP_set_priority,
#endif
    };

    for (unsigned int i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        long rc = hypercall_event_channel_op(commands[i], arch_unmapped_pointer());

        if (rc != -XEN_EFAULT)
            FAIL("command %u returned %ld", commands[i], rc);
    }
}

/*
 * Background: A caller finds out what a release has by trying, so what is not there must be refused
 * in a way it knows.
 * Provoked by: a command that event_channel_op does not have.
 * Expected: -ENOSYS.
 * Source: common/event_channel.c, do_event_channel_op().
 */
TEST(evtchn_unknown_command, EVENTS, "an unknown event_channel_op command is refused with ENOSYS")
{
    CHECK_ERRNO(hypercall_event_channel_op(NO_COMMAND, NULL), ENOSYS);
}
