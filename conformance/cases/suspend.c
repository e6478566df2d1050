/*
 * Rung "power": a domain that suspends, and that the supervisor resumes, goes on as if nothing had
 * happened.
 *
 * The supervisor resumes every domain that it sees shut down with SHUTDOWN_suspend; see supervise.c.
 * The domain stays where it is, so all that Xen keeps for it is there afterwards too.
 */
#include <peer.h>
#include <sched.h>
#include <string.h>
#include <timing.h>

#include "common.h"
#include "shutdown.h"
#include "system_time.h"

#ifdef GNTTABOP_copy
/* What the supervisor has told so far; it is the peer as well. */
static struct peer_page seen(void)
{
    static uint8_t page[PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));
    struct gnttab_copy copy = {
        .source = {.u.ref = PEER_REF_READONLY, .domid = peer_domain()},
        .dest = {.u.gmfn = arch_frame(page), .domid = DOMID_SELF},
        .len = sizeof(struct peer_page),
        .flags = GNTCOPY_source_gref,
    };

    CHECK_EQ(event_close(peer_bind(PEER_ECHO)), 0); /* it is there */
    CHECK_EQ(hypercall_grant_table_op(GNTTABOP_copy, &copy, 1), 0);
    CHECK_EQ(copy.status, GNTST_okay);
    struct peer_page told = *(volatile struct peer_page *)page;
    CHECK_EQ(told.mark, PEER_MARK);
    return told;
}

/*
 * Background: The tools learn from VIRQ_DOM_EXC that some domain has ended, and from its state which,
 * and why.
 * Provoked by: a suspension.
 * Expected: the supervisor has seen a shutdown with this code, after a VIRQ_DOM_EXC.
 * Source: domctl.h (XEN_DOMCTL_getdomaininfo, XEN_DOMCTL_resumedomain); common/domain.c,
 * __domain_finalise_shutdown().
 */
TEST(suspend_is_seen, POWER, "the supervisor sees a domain suspend, by VIRQ_DOM_EXC and its code",
     .needs = "supervised peer")
{
    struct peer_page before = seen(), after;

    CHECK_EQ(shutdown_for(SHUTDOWN_suspend), 0);
    after = seen();
    CHECK_EQ(after.shutdowns, before.shutdowns + 1);
    CHECK_EQ(after.code, SHUTDOWN_suspend);
    CHECK_EQ(after.events, before.events + 1);
}

#ifdef SCHEDOP_shutdown_code
/*
 * Background: A code that was stored for a shutdown to come is that of one shutdown.
 * Provoked by: SHUTDOWN_suspend stored, then a power-off; after that, a suspension.
 * Expected: the supervisor sees the stored code both times, which lets the domain go on: it is not
 * powered off.
 * Source: sched.h (SCHEDOP_shutdown_code); common/domain.c, domain_shutdown(), domain_resume().
 */
TEST(suspend_by_stored_code, POWER, "a stored shutdown code serves once, and instead of a later one",
     .needs = "supervised peer")
{
    struct sched_shutdown code = {.reason = SHUTDOWN_suspend};
    uint32_t before = seen().shutdowns;

    CHECK_EQ(hypercall_sched_op(SCHEDOP_shutdown_code, &code), 0);
    CHECK_EQ(shutdown_for(SHUTDOWN_poweroff), 0);
    CHECK_EQ(seen().code, SHUTDOWN_suspend);
    CHECK_EQ(shutdown_for(SHUTDOWN_suspend), 0);
    CHECK_EQ(seen().shutdowns, before + 2);
}
#endif

/*
 * Provoked by: a suspension while a channel to another domain is open.
 * Expected: the channel still leads there and back.
 * Source: common/domain.c, domain_resume(), which leaves channels alone.
 */
TEST(suspend_keeps_peer, POWER, "channels to another domain survive a suspension",
     .needs = "supervised peer")
{
    evtchn_port_t port = peer_bind(PEER_ECHO);

    CHECK_EQ(event_bind(port, NULL, NULL), 0);
    CHECK(event_wait(port, 1, EVENT_LIMIT)); /* of the binding */
    unsigned int before = event_count(port);
    CHECK_EQ(shutdown_for(SHUTDOWN_suspend), 0);
    CHECK_EQ(event_send(port), 0);
    CHECK(event_wait(port, before + 1, EVENT_LIMIT));
}
#endif

/*
 * Provoked by: ten suspensions in a row, with memory and a variable changed before each.
 * Expected: SCHEDOP_shutdown returns 0 each time, and memory is as it was left.
 * Source: sched.h (SHUTDOWN_suspend); common/domain.c, domain_shutdown(), domain_resume().
 */
TEST(suspend_returns, POWER, "a suspended domain goes on when it is resumed, as often as you like",
     .needs = "supervised")
{
    static volatile uint8_t page[PAGE_BYTES];

    for (unsigned int round = 1; round <= 10; round++) {
        volatile unsigned int local = round * 3;

        for (unsigned int i = 0; i < sizeof(page); i++)
            page[i] = (uint8_t)(i * round);
        CHECK_EQ(shutdown_for(SHUTDOWN_suspend), 0);
        CHECK_EQ(local, round * 3);
        for (unsigned int i = 0; i < sizeof(page); i++)
            CHECK_EQ(page[i], (uint8_t)(i * round));
    }
}

/*
 * Provoked by: a suspension while an event is pending on a masked port, and another one afterwards.
 * Expected: the port is bound, masked and pending as before; the event is delivered once it is
 * unmasked, and so is the next.
 * Source: common/domain.c, domain_resume(), which leaves channels and shared_info alone.
 */
TEST(suspend_keeps_events, POWER, "channels, and the events that wait, survive a suspension",
     .needs = "supervised")
{
    evtchn_port_t one, other;

    event_loopback(&one, &other);
    event_clear(one);
    CHECK_EQ(event_send(other), 0);
    CHECK(event_is_pending(one));
    CHECK_EQ(shutdown_for(SHUTDOWN_suspend), 0);
    CHECK(arch_events_enabled());
    CHECK(event_is_pending(one));
    CHECK(event_is_masked(one));
    CHECK_EQ(port_status(one).status, EVTCHNSTAT_interdomain);
    CHECK_EQ(port_status(one).u.interdomain.port, other);
    CHECK_EQ(event_bind(one, NULL, NULL), 0);
    CHECK(event_wait(one, 1, EVENT_LIMIT));
    CHECK_EQ(event_send(other), 0);
    CHECK(event_wait(one, 2, EVENT_LIMIT));
}

/*
 * Provoked by: suspensions with readings of the clock around them.
 * Expected: system time goes on, and never back; the wallclock's record is complete, and the same.
 * Source: xen.h (struct vcpu_time_info, wc_version); common/domain.c, domain_resume().
 */
TEST(suspend_keeps_time, POWER, "system time runs on through a suspension", .needs = "supervised")
{
    const volatile struct shared_info *shared = boot_info.shared_info;
    uint32_t version = shared->wc_version, seconds = shared->wc_sec;
    uint64_t last = system_time();

    for (unsigned int round = 0; round < 5; round++) {
        CHECK_EQ(shutdown_for(SHUTDOWN_suspend), 0);
        uint64_t now = system_time();
        CHECK(now > last);
        last = now;
    }
    CHECK_EQ(shared->wc_version, version);
    CHECK_EQ(shared->wc_sec, seconds);
}

/*
 * Background: Xen's own timers run on while the domain does not.
 * Provoked by: SCHEDOP_poll with a deadline after a suspension that a deadline before it has seen.
 * Expected: both polls end at their deadlines.
 * Source: sched.h (SCHEDOP_poll); common/sched/core.c, do_poll().
 */
TEST(suspend_keeps_polling, POWER, "waiting with a deadline works after a suspension",
     .needs = "supervised")
{
    for (unsigned int round = 0; round < 2; round++) {
        uint64_t deadline = system_time() + MILLISECONDS(2);
        struct sched_poll poll = {.nr_ports = 0, .timeout = deadline};

        if (round == 1)
            CHECK_EQ(shutdown_for(SHUTDOWN_suspend), 0);
        while (system_time() < deadline)
            CHECK_EQ(hypercall_sched_op(SCHEDOP_poll, &poll), 0);
    }
}

#ifdef SHUTDOWN_soft_reset
/*
 * Background: A kernel that starts another one in its place asks for a soft reset, which takes back
 * all that it shares with Xen. PV guests and those on Arm have none.
 * Provoked by: SCHEDOP_shutdown with SHUTDOWN_soft_reset.
 * Expected: the supervisor sees the code, its XEN_DOMCTL_soft_reset fails, and the domain stays shut
 * down with that code.
 * Source: sched.h (SHUTDOWN_soft_reset); common/domain.c, domain_soft_reset();
 * arch_domain_soft_reset() of the architecture.
 */
TEST(soft_reset_not_there, POWER, "a soft reset ends a domain whose kind has none",
     .needs = "pv|arm slow supervised", .ends = "soft_reset")
{
    FAIL("the domain runs on, the call returned %ld", shutdown_for(SHUTDOWN_soft_reset));
}
#endif
