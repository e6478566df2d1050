/*
 * Rung "events", second half: an event that was sent sets its bits, raises an upcall when nothing
 * masks it, and wakes a vcpu that waits for it.
 */
#include <sched.h>
#include <string.h>
#include <timing.h>

#include "common.h"
#include "system_time.h"

#define WORD_BITS (sizeof(xen_ulong_t) * 8)

static bool upcall_is_pending(void)
{
    return __atomic_load_n(&boot_info.vcpu_info->evtchn_upcall_pending, __ATOMIC_SEQ_CST) != 0;
}

static bool word_is_selected(evtchn_port_t port)
{
    xen_ulong_t selected =
        __atomic_load_n(&boot_info.vcpu_info->evtchn_pending_sel, __ATOMIC_SEQ_CST);

    return selected >> port / WORD_BITS & 1;
}

/* What the guest does when it has seen an upcall, without looking at any port. */
static void forget_upcall(void)
{
    __atomic_store_n(&boot_info.vcpu_info->evtchn_upcall_pending, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&boot_info.vcpu_info->evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);
}

static long unmask(evtchn_port_t port)
{
    struct evtchn_unmask unmask = {.port = port};

    return hypercall_event_channel_op(EVTCHNOP_unmask, &unmask);
}

/* A channel of this domain to itself without any event on it; both ends are masked. */
static void quiet_loopback(evtchn_port_t *one, evtchn_port_t *other)
{
    event_loopback(one, other);
    event_clear(*one);
    event_clear(*other);
    forget_upcall();
}

/*
 * Background: This is what event channels are for.
 * Provoked by: an event on one end of a channel, whose other end is unmasked, with upcalls enabled.
 * Expected: one upcall that finds exactly the other end pending.
 * Source: xen.h (struct vcpu_info, struct shared_info); common/event_2l.c, evtchn_2l_set_pending().
 */
TEST(event_is_delivered, EVENTS, "an event on one end makes an upcall for the other end")
{
    evtchn_port_t one, other;

    quiet_loopback(&one, &other);
    CHECK_EQ(event_bind(one, NULL, NULL), 0);
    CHECK_EQ(event_bind(other, NULL, NULL), 0);
    CHECK_EQ(event_send(one), 0);
    CHECK(event_wait(other, 1, EVENT_LIMIT));
    CHECK_EQ(event_count(other), 1);
    CHECK_EQ(event_count(one), 0);
    CHECK(!event_is_pending(other));

    CHECK_EQ(event_send(other), 0);
    CHECK(event_wait(one, 1, EVENT_LIMIT));
    CHECK_EQ(event_count(other), 1);
}

/*
 * Background: One event more than one would be a bug of the port's that only shows under load.
 * Provoked by: a hundred events, each sent after the one before it was taken.
 * Expected: a hundred deliveries.
 * Source: common/event_2l.c, evtchn_2l_set_pending().
 */
TEST(event_is_delivered_every_time, EVENTS, "a hundred events are delivered a hundred times")
{
    evtchn_port_t one, other;

    quiet_loopback(&one, &other);
    CHECK_EQ(event_bind(other, NULL, NULL), 0);
    for (unsigned int sent = 1; sent <= 100; sent++) {
        CHECK_EQ(event_send(one), 0);
        CHECK(event_wait(other, sent, EVENT_LIMIT));
        CHECK_EQ(event_count(other), sent);
    }
}

/*
 * Background: Binding may come after the other side's first event, which would be lost if binding
 * did not raise it.
 * Provoked by: a channel made, nothing sent.
 * Expected: the port that was bound last is pending, the other one is not.
 * Source: common/event_channel.c, evtchn_bind_interdomain().
 */
TEST(event_after_binding, EVENTS, "the end that binds finds an event waiting")
{
    evtchn_port_t first, last;

    event_loopback(&first, &last);
    CHECK(event_is_pending(last));
    CHECK(!event_is_pending(first));
}

/*
 * Background: A masked port collects its event without an upcall.
 * Provoked by: an event on a masked port.
 * Expected: the pending bit and no upcall; after EVTCHNOP_unmask, the mask bit is clear and the
 * event is delivered once.
 * Source: event_channel.h (EVTCHNOP_unmask); common/event_2l.c, evtchn_2l_unmask().
 */
TEST(event_on_masked_port, EVENTS, "a masked port keeps its event until EVTCHNOP_unmask")
{
    evtchn_port_t one, other;

    quiet_loopback(&one, &other);
    unsigned long upcalls = events_upcalls();
    CHECK_EQ(event_send(one), 0);
    CHECK(event_is_pending(other));
    CHECK(event_is_masked(other));
    CHECK_EQ(events_upcalls(), upcalls);

    CHECK_EQ(event_bind(other, NULL, NULL), 0);
    CHECK(event_wait(other, 1, EVENT_LIMIT));
    CHECK(!event_is_masked(other));
    CHECK_EQ(event_count(other), 1);
}

/*
 * Background: Unmasking raises an event again only if there is one.
 * Provoked by: EVTCHNOP_unmask on a port without an event.
 * Expected: the mask bit is cleared, and there is no upcall.
 * Source: common/event_2l.c, evtchn_2l_unmask().
 */
TEST(event_unmask_without_event, EVENTS, "unmasking a port without an event raises nothing")
{
    evtchn_port_t one, other;

    quiet_loopback(&one, &other);
    unsigned long upcalls = events_upcalls();
    CHECK_EQ(unmask(other), 0);
    CHECK(!event_is_masked(other));
    CHECK_EQ(events_upcalls(), upcalls);
}

/*
 * Background: The two levels: a bit for the port, a bit for the word that holds it, a byte for the
 * vcpu.
 * Provoked by: an event while upcalls are disabled.
 * Expected: all three set and nothing taken; once upcalls are enabled, the event is delivered.
 * Source: xen.h (evtchn_pending, evtchn_pending_sel, evtchn_upcall_pending); common/event_2l.c.
 */
TEST(event_while_upcalls_are_disabled, EVENTS,
     "an event waits at all levels for upcalls to be enabled")
{
    evtchn_port_t one, other;

    quiet_loopback(&one, &other);
    arch_events_disable();
    CHECK_EQ(event_bind(other, NULL, NULL), 0);
    CHECK_EQ(event_send(one), 0);
    CHECK(event_is_pending(other));
    CHECK(word_is_selected(other));
    CHECK(upcall_is_pending());
    CHECK_EQ(event_count(other), 0);

    arch_events_enable();
    CHECK(event_wait(other, 1, EVENT_LIMIT));
    CHECK_EQ(event_count(other), 1);
    CHECK(!upcall_is_pending());
}

/*
 * Background: Events of a port that is pending already are one event: nothing is raised again until
 * the guest has cleared the port's bit.
 * Provoked by: an event; the guest clears the upper levels but not the port's bit; a second event;
 * the guest clears that bit too; a third event. Upcalls are disabled all the while.
 * Expected: an upcall pending after the first and the third event, and not after the second.
 * Source: common/event_2l.c, evtchn_2l_set_pending().
 */
TEST(event_while_pending, EVENTS, "an event on a port that is pending already raises nothing")
{
    evtchn_port_t one, other;

    quiet_loopback(&one, &other);
    arch_events_disable();
    CHECK_EQ(unmask(other), 0);
    CHECK_EQ(event_send(one), 0);
    CHECK(upcall_is_pending());

    forget_upcall();
    CHECK_EQ(event_send(one), 0);
    CHECK(!word_is_selected(other));
    CHECK(!upcall_is_pending());

    event_clear(other);
    CHECK_EQ(event_send(one), 0);
    CHECK(word_is_selected(other));
    CHECK(upcall_is_pending());
}

/*
 * Background: Several events may wait for one upcall.
 * Provoked by: events on two channels while upcalls are disabled.
 * Expected: both delivered, once each, when upcalls are enabled.
 * Source: xen.h (struct vcpu_info); common/event_2l.c.
 */
TEST(event_on_two_ports, EVENTS, "events of two ports are delivered together")
{
    evtchn_port_t one, other, third, fourth;

    quiet_loopback(&one, &other);
    quiet_loopback(&third, &fourth);
    arch_events_disable();
    CHECK_EQ(event_bind(other, NULL, NULL), 0);
    CHECK_EQ(event_bind(fourth, NULL, NULL), 0);
    CHECK_EQ(event_send(one), 0);
    CHECK_EQ(event_send(third), 0);
    arch_events_enable();
    CHECK(event_wait(other, 1, EVENT_LIMIT));
    CHECK(event_wait(fourth, 1, EVENT_LIMIT));
    CHECK_EQ(event_count(other), 1);
    CHECK_EQ(event_count(fourth), 1);
}

/*
 * Background: Ports beyond the first word of the bitmaps have their own bit in the selector.
 * Provoked by: ports opened until one of them is in the second word, and an event there.
 * Expected: the second bit of the selector and not the first; the event is delivered.
 * Source: xen.h (evtchn_pending_sel); common/event_2l.c.
 */
TEST(event_in_the_second_word, EVENTS, "an event in the second word of the bitmap is found there")
{
    evtchn_port_t port = 0;

    while (port < WORD_BITS)
        CHECK_EQ(event_bind_ipi(&port), 0);
    arch_events_disable();
    forget_upcall();
    CHECK_EQ(event_bind(port, NULL, NULL), 0);
    CHECK_EQ(event_send(port), 0);
    CHECK(word_is_selected(port));
    CHECK(!word_is_selected(0));
    arch_events_enable();
    CHECK(event_wait(port, 1, EVENT_LIMIT));
    CHECK_EQ(event_count(port), 1);
}

/*
 * Background: An IPI port has no other end: an event sent on it arrives at it.
 * Provoked by: an event on an IPI port of this vcpu.
 * Expected: one delivery.
 * Source: event_channel.h (EVTCHNOP_bind_ipi); common/event_channel.c, evtchn_send().
 */
TEST(event_of_ipi, EVENTS, "an event on an IPI port arrives at that port")
{
    evtchn_port_t port = 0;

    CHECK_EQ(event_bind_ipi(&port), 0);
    CHECK_EQ(event_bind(port, NULL, NULL), 0);
    CHECK_EQ(event_send(port), 0);
    CHECK(event_wait(port, 1, EVENT_LIMIT));
    CHECK_EQ(event_count(port), 1);
}

/*
 * Background: Moving a channel to the vcpu that it has must not lose it.
 * Provoked by: EVTCHNOP_bind_vcpu to vcpu 0, then an event.
 * Expected: one delivery.
 * Source: event_channel.h (EVTCHNOP_bind_vcpu); common/event_channel.c, evtchn_bind_vcpu().
 */
TEST(event_after_bind_vcpu, EVENTS, "a channel bound to this vcpu delivers here")
{
    evtchn_port_t one, other;

    quiet_loopback(&one, &other);
    struct evtchn_bind_vcpu bind = {.port = other, .vcpu = 0};
    CHECK_EQ(hypercall_event_channel_op(EVTCHNOP_bind_vcpu, &bind), 0);
    CHECK_EQ(event_bind(other, NULL, NULL), 0);
    CHECK_EQ(event_send(one), 0);
    CHECK(event_wait(other, 1, EVENT_LIMIT));
}

/*
 * Background: A vcpu that waits for another lets it run, and is given the processor again.
 * Provoked by: SCHEDOP_yield, once and many times.
 * Expected: 0 each time.
 * Source: sched.h (SCHEDOP_yield); common/sched/core.c, vcpu_yield().
 */
TEST(sched_yield, EVENTS, "SCHEDOP_yield returns")
{
    for (unsigned int i = 0; i < 50; i++)
        CHECK_EQ(hypercall_sched_op(SCHEDOP_yield, NULL), 0);
}

/*
 * Background: SCHEDOP_block enables upcalls and waits, in one step. If there is an event already,
 * there is nothing to wait for. (An HVM guest enables its interrupts itself, so it has no such
 * step.)
 * Provoked by: an event while upcalls are disabled, then the call.
 * Expected: 0, upcalls enabled, and the event was delivered.
 * Source: sched.h (SCHEDOP_block); common/sched/core.c, vcpu_block_enable_events().
 */
TEST(sched_block_with_event, EVENTS,
     "SCHEDOP_block with an event waiting enables upcalls and returns",
     .needs = "pv|arm|ppc")
{
    evtchn_port_t one, other;

    quiet_loopback(&one, &other);
    arch_events_disable();
    CHECK_EQ(event_bind(other, NULL, NULL), 0);
    CHECK_EQ(event_send(one), 0);
    CHECK_EQ(hypercall_sched_op(SCHEDOP_block, NULL), 0);
    CHECK(arch_events_enabled());
    CHECK(event_wait(other, 1, EVENT_LIMIT));
    CHECK_EQ(event_count(other), 1);
}

static long poll(evtchn_port_t *ports, unsigned int count, uint64_t timeout)
{
    struct sched_poll poll = {.nr_ports = count, .timeout = timeout};

    handle_set(poll.ports, ports);
    return hypercall_sched_op(SCHEDOP_poll, &poll);
}

/*
 * Background: SCHEDOP_poll waits for one of a list of ports without an upcall, which is how boot
 * code waits.
 * Provoked by: a list whose second port is pending and masked, and a deadline far away.
 * Expected: 0 at once, no upcall, and the port stays pending.
 * Source: sched.h (SCHEDOP_poll); common/sched/core.c, do_poll().
 */
TEST(sched_poll_ready, EVENTS, "SCHEDOP_poll returns at once when a port is pending")
{
    evtchn_port_t ports[2], one;

    quiet_loopback(&one, &ports[1]);
    CHECK_EQ(event_bind_ipi(&ports[0]), 0);
    CHECK_EQ(event_send(one), 0);

    unsigned long upcalls = events_upcalls();
    uint64_t begin = system_time();
    CHECK_EQ(poll(ports, 2, begin + SECONDS(5)), 0);
    CHECK(system_time() - begin < SECONDS(4));
    CHECK_EQ(events_upcalls(), upcalls);
    CHECK(event_is_pending(ports[1]));
}

/*
 * Background: A wait with a deadline ends without any event.
 * Provoked by: a port without an event and a deadline 5 ms ahead; no port at all and the same.
 * Expected: 0, not before the deadline and not long after it.
 * Source: sched.h (SCHEDOP_poll); common/sched/core.c, do_poll(), poll_timer_fn().
 */
TEST(sched_poll_timeout, EVENTS, "SCHEDOP_poll returns when its deadline is reached, not before")
{
    evtchn_port_t one, other;

    quiet_loopback(&one, &other);
    uint64_t deadline = system_time() + MILLISECONDS(5);
    CHECK_EQ(poll(&other, 1, deadline), 0);
    uint64_t now = system_time();
    CHECK(now + CLOCK_SLACK >= deadline);
    CHECK(now < deadline + EVENT_LIMIT);

    deadline = system_time() + MILLISECONDS(5);
    CHECK_EQ(poll(&other, 0, deadline), 0);
    now = system_time();
    CHECK(now + CLOCK_SLACK >= deadline);
    CHECK(now < deadline + EVENT_LIMIT);
}

/*
 * Background: The list of ports is read by Xen, which looks at no more than 128.
 * Provoked by: 129 ports; a port beyond all ports; a list at an address where nothing is.
 * Expected: -EINVAL, -EINVAL, -EFAULT.
 * Source: sched.h (SCHEDOP_poll); common/sched/core.c, do_poll().
 */
TEST(sched_poll_refused, EVENTS, "SCHEDOP_poll of too many, or of no ports at all, is refused")
{
    static evtchn_port_t ports[129];
    uint64_t deadline = system_time() + MILLISECONDS(1);

    CHECK_ERRNO(poll(ports, 129, deadline), EINVAL);
    ports[0] = NO_PORT;
    CHECK_ERRNO(poll(ports, 1, deadline), EINVAL);
    CHECK_ERRNO(poll(arch_unmapped_pointer(), 1, deadline), EFAULT);
}

/*
 * Background: Xen copies every argument with a check, and says so when it cannot.
 * Provoked by: every command of sched_op that reads an argument, with an address where nothing is.
 * Expected: -EFAULT each time. (A domU is refused the last one whatever its argument.)
 * Source: common/sched/core.c, do_sched_op().
 */
TEST(sched_bad_pointers, EVENTS, "every sched_op argument at no address is refused with EFAULT")
{
    static const unsigned int commands[] = {
        SCHEDOP_shutdown,
        SCHEDOP_poll,
#if RELEASE_IS_AT_LEAST(4, 3)
        SCHEDOP_remote_shutdown,
#endif
#ifdef SCHEDOP_shutdown_code
        SCHEDOP_shutdown_code,
#endif
#ifdef SCHEDOP_watchdog
        SCHEDOP_watchdog,
#endif
    };

    for (unsigned int i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        long rc = hypercall_sched_op(commands[i], arch_unmapped_pointer());

        if (rc != -XEN_EFAULT)
            FAIL("command %u returned %ld", commands[i], rc);
    }
}

/*
 * Background: A caller finds out what a release has by trying, so what is not there must be refused
 * in a way it knows.
 * Provoked by: a command that sched_op does not have.
 * Expected: -ENOSYS.
 * Source: common/sched/core.c, do_sched_op().
 */
TEST(sched_unknown_command, EVENTS, "an unknown sched_op command is refused with ENOSYS")
{
    CHECK_ERRNO(hypercall_sched_op(NO_COMMAND, NULL), ENOSYS);
}
