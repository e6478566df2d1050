/* Event channels between two domains. */
#include <peer.h>
#include <timing.h>

#include "common.h"
#include "system_time.h"

/* A port bound to the other domain's echo; every event on it is counted. */
static evtchn_port_t echo_port(void)
{
    evtchn_port_t port = peer_bind(PEER_ECHO);

    CHECK_EQ(event_bind(port, NULL, NULL), 0);
    return port;
}

/*
 * Background: A port that waits for a domain is bound by that domain, which gets a port of its own for it.
 * Provoked by: binding to a port of the other domain.
 * Expected: the new port is connected, and says to which port of which domain.
 * Source: event_channel.h; common/event_channel.c, evtchn_bind_interdomain() and evtchn_status().
 */
TEST(evtchn_peer_bind, EVENTS, "a port is bound to one of another domain, and says so",
     .needs = "peer")
{
    struct evtchn_status status = port_status(peer_bind(PEER_ECHO));

    CHECK_EQ(status.status, EVTCHNSTAT_interdomain);
    CHECK_EQ(status.u.interdomain.dom, peer_domain());
    CHECK_EQ(status.u.interdomain.port, peer_port(PEER_ECHO));
}

/*
 * Background: What was sent before the ends were connected is lost, so the one that connects them gets an event.
 * Provoked by: binding to the other domain's port, which has sent nothing.
 * Expected: one event is pending.
 * Source: common/event_channel.c, evtchn_bind_interdomain().
 */
TEST(evtchn_peer_bind_raises, EVENTS, "a port that has just been bound has an event pending",
     .needs = "peer")
{
    evtchn_port_t port = peer_bind(PEER_ECHO);

    CHECK(event_is_pending(port));
    CHECK_EQ(event_bind(port, NULL, NULL), 0);
    CHECK(event_wait(port, 1, EVENT_LIMIT));
    CHECK_EQ(event_count(port), 1);
}

/*
 * Background: A send on a connected port is an event at the other end, in the other domain.
 * Provoked by: a send to the other domain, which sends one back.
 * Expected: the answer comes, a hundred times in a row.
 * Source: event_channel.h; common/event_channel.c, evtchn_send().
 */
TEST(evtchn_peer_send, EVENTS, "events go to another domain and come from it", .needs = "peer")
{
    evtchn_port_t port = echo_port();

    CHECK(event_wait(port, 1, EVENT_LIMIT));
    for (unsigned int round = 1; round <= 100; round++) {
        CHECK_EQ(event_send(port), 0);
        if (!event_wait(port, 1 + round, EVENT_LIMIT))
            FAIL("no answer to event %u", round);
    }
    CHECK_EQ(event_count(port), 101);
}

/*
 * Background: A masked port collects what others send; nothing interrupts the domain.
 * Provoked by: an event to the other domain, whose answer finds the port masked.
 * Expected: the answer is pending and makes no upcall, until the port is unmasked.
 * Source: event_channel.h; common/event_2l.c, evtchn_2l_set_pending() and evtchn_2l_unmask().
 */
TEST(evtchn_peer_masked, EVENTS, "what another domain sends to a masked port waits", .needs = "peer")
{
    struct evtchn_unmask unmask;
    evtchn_port_t port = echo_port();

    CHECK(event_wait(port, 1, EVENT_LIMIT));
    event_mask(port);
    CHECK_EQ(event_send(port), 0);
    CHECK(WAIT_UNTIL(event_is_pending(port), EVENT_LIMIT));
    CHECK_EQ(event_count(port), 1);
    unmask.port = port;
    CHECK_EQ(hypercall_event_channel_op(EVTCHNOP_unmask, &unmask), 0);
    CHECK(event_wait(port, 2, EVENT_LIMIT));
}

/*
 * Background: A vcpu that has nothing to do blocks until an event comes.
 * Provoked by: blocking after an event was sent to the other domain, until its answer was taken.
 * Expected: the answer ends the block; there is no other end to it. (An HVM guest has no such step in
 * which events are enabled and waited for.)
 * Source: sched.h; common/sched, vcpu_block(); common/event_channel.c, evtchn_send().
 */
TEST(evtchn_peer_wakes, EVENTS, "an event of another domain wakes a vcpu that blocks",
     .needs = "peer pv|arm")
{
    evtchn_port_t port = echo_port();

    CHECK(event_wait(port, 1, EVENT_LIMIT));
    arch_events_disable();
    CHECK_EQ(event_send(port), 0);
    for (unsigned int block = 0; event_count(port) < 2; block++) {
        CHECK(block < 100);
        CHECK_EQ(hypercall_sched_op(SCHEDOP_block, NULL), 0); /* turns upcalls on */
        arch_events_disable();
    }
    arch_events_enable();
}

/*
 * Background: Polling waits for ports that are masked, so it needs no upcalls.
 * Provoked by: a poll after an event was sent to the other domain, with a deadline that is far off.
 * Expected: the answer ends it, and waits to be delivered.
 * Source: sched.h (SCHEDOP_poll); common/event_channel.c, evtchn_check_pollers().
 */
TEST(evtchn_peer_ends_poll, EVENTS, "an event of another domain ends a poll", .needs = "peer")
{
    evtchn_port_t port = echo_port();
    uint64_t begin = arch_monotonic_ns();
    struct sched_poll poll = {.nr_ports = 1, .timeout = system_time() + 2 * EVENT_LIMIT};

    CHECK(event_wait(port, 1, EVENT_LIMIT));
    event_mask(port);
    handle_set(poll.ports, &port);
    CHECK_EQ(event_send(port), 0);
    while (!event_is_pending(port)) {
        CHECK(arch_monotonic_ns() - begin < EVENT_LIMIT);
        CHECK_EQ(hypercall_sched_op(SCHEDOP_poll, &poll), 0);
    }
    CHECK_EQ(event_count(port), 1);
}

/*
 * Background: A port that is connected waits for nobody any more.
 * Provoked by: binding twice to one port of the other domain.
 * Expected: -EINVAL the second time.
 * Source: event_channel.h; common/event_channel.c, evtchn_bind_interdomain().
 */
TEST(evtchn_peer_bind_again, EVENTS, "a port of another domain is bound once: EINVAL", .needs = "peer")
{
    evtchn_port_t port;

    peer_bind(PEER_ECHO);
    CHECK_ERRNO(event_bind_interdomain(peer_domain(), peer_port(PEER_ECHO), &port), EINVAL);
}

/*
 * Background: A port waits for the one domain that its owner named.
 * Provoked by: binding to a port of the other domain that waits for domain 0.
 * Expected: -EINVAL.
 * Source: event_channel.h; common/event_channel.c, evtchn_bind_interdomain().
 */
TEST(evtchn_peer_bind_foreign, EVENTS, "a port that waits for a third domain is not bound: EINVAL",
     .needs = "peer")
{
    evtchn_port_t port;

    peer_bind(PEER_ECHO);
    CHECK_ERRNO(event_bind_interdomain(peer_domain(), peer_port(PEER_FOREIGN), &port), EINVAL);
}

/*
 * Background: Closing one end of a connection leaves the other one waiting, for the domain it was connected with.
 * Provoked by: the other domain closes its end.
 * Expected: ours is unbound and waits for that domain; a send on it is accepted and goes nowhere; the other
 * domain's new port can be bound, and answers.
 * Source: event_channel.h; common/event_channel.c, evtchn_close() and evtchn_send().
 */
TEST(evtchn_peer_closes, EVENTS, "when another domain closes its end, ours waits for it", .needs = "peer")
{
    evtchn_port_t old = echo_port(), ask = peer_bind(PEER_RENEW);

    CHECK_EQ(event_bind(ask, NULL, NULL), 0);
    CHECK(event_wait(ask, 1, EVENT_LIMIT));
    CHECK_EQ(event_send(ask), 0);
    CHECK(event_wait(ask, 2, EVENT_LIMIT));

    struct evtchn_status status = port_status(old);
    CHECK_EQ(status.status, EVTCHNSTAT_unbound);
    CHECK_EQ(status.u.unbound.dom, peer_domain());
    CHECK_EQ(event_send(old), 0);

    evtchn_port_t port = echo_port();
    CHECK(event_wait(port, 1, EVENT_LIMIT));
    CHECK_EQ(event_send(port), 0);
    CHECK(event_wait(port, 2, EVENT_LIMIT));
    CHECK(event_count(old) <= 1);
}

/*
 * Background: A domain that closes its end of a connection makes the other one wait for it again.
 * Provoked by: closing a port that is bound to the other domain, and binding to that domain's port again.
 * Expected: both succeed, and events go to and fro on the new port.
 * Source: event_channel.h; common/event_channel.c, evtchn_close().
 */
TEST(evtchn_peer_reconnects, EVENTS, "after closing our end, another domain's port can be bound again",
     .needs = "peer")
{
    for (unsigned int round = 0; round < 3; round++) {
        evtchn_port_t port = echo_port();

        CHECK(event_wait(port, 1, EVENT_LIMIT));
        CHECK_EQ(event_send(port), 0);
        CHECK(event_wait(port, 2, EVENT_LIMIT));
        event_mask(port); /* for its next use */
        CHECK_EQ(event_close(port), 0);
        CHECK_EQ(port_status(port).status, EVTCHNSTAT_closed);
    }
}
