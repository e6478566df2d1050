/*
 * Rung "power": a domain ends the way it asked to, and what only looks like ending it does not.
 *
 * A test with .ends is the last that its domain runs: whether it passed is seen from outside. Each
 * costs a boot, so all but the basic ones need "slow": they run when `xenport run --slow` asks for
 * them. So do some of the basic ones in HVM guests, whose boot costs most.
 */
#include <peer.h>
#include <sched.h>
#include <string.h>
#include <timing.h>
#include <vcpu.h>

#include "common.h"
#include "shutdown.h"

/* Xen has two watchdogs for each domain. */
#define WATCHDOGS 2

/*
 * Background: A guest that is done says so; the tools, or Xen for the hardware domain, do the rest.
 * Provoked by: SCHEDOP_shutdown with SHUTDOWN_poweroff.
 * Expected: the domain is off; if it was the hardware domain, so is the machine. The call does not
 * return.
 * Source: sched.h (SCHEDOP_shutdown, SHUTDOWN_poweroff); common/domain.c, domain_shutdown().
 */
TEST(shutdown_poweroff, POWER, "SHUTDOWN_poweroff ends the domain as powered off",
     .needs = "observed-end", .ends = "poweroff")
{
    long rc = shutdown_for(SHUTDOWN_poweroff);

    FAIL("the domain runs on, the call returned %ld", rc);
}

/*
 * Background: See shutdown_poweroff.
 * Provoked by: SCHEDOP_shutdown with SHUTDOWN_reboot.
 * Expected: the domain asks for a restart; if it was the hardware domain, the machine restarts.
 * Source: sched.h (SHUTDOWN_reboot); common/shutdown.c, hwdom_shutdown().
 */
TEST(shutdown_reboot, POWER, "SHUTDOWN_reboot ends the domain as to be restarted",
     .needs = "pv|arm|ppc|slow observed-end", .ends = "reboot")
{
    long rc = shutdown_for(SHUTDOWN_reboot);

    FAIL("the domain runs on, the call returned %ld", rc);
}

/*
 * Background: A kernel that cannot go on says so; the tools may keep its memory for a look.
 * Provoked by: SCHEDOP_shutdown with SHUTDOWN_crash.
 * Expected: the domain counts as crashed.
 * Source: sched.h (SHUTDOWN_crash); common/domain.c, domain_shutdown(); common/shutdown.c.
 */
TEST(shutdown_crash, POWER, "SHUTDOWN_crash ends the domain as crashed",
     .needs = "pv|arm|ppc|slow observed-end", .ends = "crash")
{
    long rc = shutdown_for(SHUTDOWN_crash);

    FAIL("the domain runs on, the call returned %ld", rc);
}

#ifdef SCHEDOP_shutdown_code
/*
 * Background: A kernel that is about to crash can say so before it is certain to get to say
 * anything else.
 * Provoked by: the code of a reboot, then the code of a crash, then a power-off.
 * Expected: the first code counts: a reboot.
 * Source: sched.h (SCHEDOP_shutdown_code); common/sched/core.c, do_sched_op().
 */
TEST(shutdown_code_first_counts, POWER,
     "the first SCHEDOP_shutdown_code counts, whatever comes later",
     .needs = "slow observed-end", .ends = "reboot")
{
    struct sched_shutdown code = {.reason = SHUTDOWN_reboot};

    CHECK_EQ(hypercall_sched_op(SCHEDOP_shutdown_code, &code), 0);
    code.reason = SHUTDOWN_crash;
    CHECK_EQ(hypercall_sched_op(SCHEDOP_shutdown_code, &code), 0);
    long rc = shutdown_for(SHUTDOWN_poweroff);
    FAIL("the domain runs on, the call returned %ld", rc);
}
#endif

/*
 * Background: A domain without a vcpu that is up would never do anything again, so Xen powers it
 * off.
 * Provoked by: VCPUOP_down for the only vcpu.
 * Expected: a power-off.
 * Source: vcpu.h (VCPUOP_down); common/domain.c, common_vcpu_op().
 */
TEST(vcpu_down_last, POWER, "a domain whose last vcpu goes down is powered off",
     .needs = "pv|hvm slow observed-end", .ends = "poweroff")
{
    long rc = hypercall_vcpu_op(VCPUOP_down, 0, NULL);

    FAIL("the domain runs on, the call returned %ld", rc);
}

static long remote_shutdown(domid_t domain, unsigned int reason)
{
    struct sched_remote_shutdown shutdown = {.domain_id = domain, .reason = reason};

    return hypercall_sched_op(SCHEDOP_remote_shutdown, &shutdown);
}

/*
 * Background: The control domain may shut down any domain, also itself.
 * Provoked by: a reboot of this domain, by its number.
 * Expected: a reboot.
 * Source: sched.h (SCHEDOP_remote_shutdown); common/sched/core.c, do_sched_op().
 */
TEST(remote_shutdown_of_self, POWER, "dom0 ends itself by SCHEDOP_remote_shutdown",
     .needs = "dom0 slow observed-end", .ends = "reboot")
{
    long rc = remote_shutdown(own_domain(), SHUTDOWN_reboot);

    FAIL("the domain runs on, the call returned %ld", rc);
}

/*
 * Background: See remote_shutdown_of_self.
 * Provoked by: dom0, asked by an event, shuts this domain down, as to be rebooted.
 * Expected: the domain ends with that code.
 * Source: sched.h (SCHEDOP_remote_shutdown); common/sched/core.c, do_sched_op().
 */
TEST(remote_shutdown_by_dom0, POWER, "dom0 ends another domain by SCHEDOP_remote_shutdown",
     .needs = "supervised peer slow", .ends = "reboot")
{
    evtchn_port_t port = peer_bind(PEER_REBOOT);

    CHECK_EQ(event_send(port), 0);
    wait_for(SECONDS(2));
    FAIL("the domain runs on");
}

/*
 * Background: The domain is given by its number, of which DOMID_SELF is none.
 * Provoked by: a domain that does not exist; DOMID_SELF.
 * Expected: -ESRCH for both.
 * Source: sched.h (SCHEDOP_remote_shutdown); common/sched/core.c, do_sched_op().
 */
TEST(remote_shutdown_no_domain, POWER, "SCHEDOP_remote_shutdown of no domain is refused with ESRCH",
     .needs = "dom0|pv|hvm|arm" TODAYS_PPC)
{
    CHECK_ERRNO(remote_shutdown(NO_DOMAIN, SHUTDOWN_poweroff), ESRCH);
    CHECK_ERRNO(remote_shutdown(DOMID_SELF, SHUTDOWN_poweroff), ESRCH);
}

/*
 * Background: Only the tools may end other domains.
 * Provoked by: a domU shuts down dom0.
 * Expected: -EPERM, and dom0 goes on, or the end of this very test would not be seen.
 * Source: sched.h (SCHEDOP_remote_shutdown); xsm/dummy.h, xsm_schedop_shutdown().
 */
TEST(remote_shutdown_denied, POWER, "a domU may not shut down dom0: EPERM", .needs = "domu")
{
    CHECK_ERRNO(remote_shutdown(0, SHUTDOWN_poweroff), EPERM);
}

#ifdef SCHEDOP_watchdog
static long watchdog(uint32_t id, uint32_t seconds)
{
    struct sched_watchdog watchdog = {.id = id, .timeout = seconds};

    return hypercall_sched_op(SCHEDOP_watchdog, &watchdog);
}

/*
 * Background: A watchdog ends the domain unless it is set again in time. They are numbered from 1;
 * number 0 asks for a free one.
 * Provoked by: all watchdogs taken with an hour each, one more, then each set again and stopped.
 * Expected: the numbers 1 and 2, -ENOSPC (as an int: Xen does not extend its sign), 0 for the rest.
 * Source: sched.h (SCHEDOP_watchdog); common/sched/core.c, domain_watchdog().
 */
TEST(watchdog_numbers, POWER, "there are two watchdogs; they can be set again and stopped")
{
    for (uint32_t id = 1; id <= WATCHDOGS; id++)
        CHECK_EQ(watchdog(0, 3600), id);
    CHECK_ERRNO((int)watchdog(0, 3600), ENOSPC);
    for (uint32_t id = 1; id <= WATCHDOGS; id++) {
        CHECK_EQ(watchdog(id, 7200), 0);
        CHECK_EQ(watchdog(id, 0), 0);
    }
}

/*
 * Background: A watchdog has to be asked for before it can be set or stopped.
 * Provoked by: a watchdog beyond the last one; one that is not in use.
 * Expected: -EINVAL for both.
 * Source: sched.h (SCHEDOP_watchdog); common/sched/core.c, domain_watchdog().
 */
TEST(watchdog_refused, POWER, "watchdogs that do not exist, or do not run, are refused with EINVAL")
{
    CHECK_ERRNO(watchdog(WATCHDOGS + 1, 3600), EINVAL);
    CHECK_ERRNO(watchdog(~0u, 3600), EINVAL);
    CHECK_ERRNO(watchdog(1, 3600), EINVAL);
    CHECK_ERRNO(watchdog(WATCHDOGS, 0), EINVAL);
}

/*
 * Background: A kernel that hangs does not set its watchdog again.
 * Provoked by: a watchdog of one second that is not set again.
 * Expected: the domain ends with SHUTDOWN_watchdog, not before the second is over; if it was the hardware
 * domain the machine restarts.
 * Source: sched.h (SHUTDOWN_watchdog); common/sched/core.c, domain_watchdog_timeout();
 * common/shutdown.c, hwdom_shutdown().
 */
TEST(watchdog_expires, POWER, "a watchdog that is not set again ends the domain",
     .needs = "slow observed-end", .ends = "watchdog")
{
    CHECK_EQ(watchdog(0, 1), 1);
    wait_for(SECONDS(5));
    FAIL("the domain runs on");
}

/*
 * Background: A domain may have one watchdog for each of two things that must not hang.
 * Provoked by: one watchdog that has an hour, and the other one at once.
 * Expected: the domain ends with SHUTDOWN_watchdog.
 * Source: sched.h (SCHEDOP_watchdog); common/sched/core.c, domain_watchdog().
 */
TEST(watchdog_second_expires, POWER, "either watchdog ends the domain; no time at all is none",
     .needs = "slow observed-end", .ends = "watchdog")
{
    CHECK_EQ(watchdog(0, 3600), 1);
    CHECK_EQ(watchdog(0, 0), 2);
    wait_for(SECONDS(5));
    FAIL("the domain runs on");
}

/*
 * Provoked by: a watchdog of one second, set again twice after more than half of one each time, and
 * stopped in the end.
 * Expected: the domain goes on, also when the second is over at last.
 * Source: sched.h (SCHEDOP_watchdog); common/sched/core.c, domain_watchdog().
 */
TEST(watchdog_set_again, POWER, "a watchdog that is set again in time does not end the domain",
     .needs = "slow")
{
    CHECK_EQ(watchdog(0, 1), 1);
    for (unsigned int round = 0; round < 2; round++) {
        wait_for(MILLISECONDS(600));
        CHECK_EQ(watchdog(1, 1), 0);
    }
    CHECK_EQ(watchdog(1, 0), 0);
    wait_for(MILLISECONDS(1100));
}
#endif

#ifdef SCHEDOP_pin_override
static long pin_override(int32_t cpu)
{
    struct sched_pin_override pin = {.pcpu = cpu};

    return hypercall_sched_op(SCHEDOP_pin_override, &pin);
}

/*
 * Background: Some firmware must be called on one processor only, so dom0 may tie itself to one for
 * a while.
 * Provoked by: untying without having tied; tying to processor 0, twice; untying, twice; processors
 * that cannot be.
 * Expected: -EINVAL; 0, then -EBUSY; 0, then -EINVAL; -EINVAL.
 * Source: sched.h (SCHEDOP_pin_override); common/sched/core.c, vcpu_temporary_affinity().
 */
TEST(pin_override, POWER, "dom0 ties itself to a processor and unties itself", .needs = "dom0")
{
    CHECK_ERRNO(pin_override(-1), EINVAL);
    CHECK_EQ(pin_override(0), 0);
    CHECK_ERRNO(pin_override(0), EBUSY);
    CHECK_EQ(pin_override(-1), 0);
    CHECK_ERRNO(pin_override(-1), EINVAL);
    CHECK_ERRNO(pin_override(0x7fffffff), EINVAL);
    CHECK_ERRNO(hypercall_sched_op(SCHEDOP_pin_override, arch_unmapped_pointer()), EFAULT);
}

/*
 * Background: Which processor runs a vcpu is not a domU's to choose.
 * Provoked by: the same from a domU.
 * Expected: -EPERM, whatever the argument.
 * Source: common/sched/core.c, do_sched_op().
 */
TEST(pin_override_denied, POWER, "a domU may not tie itself to a processor: EPERM",
     .needs = "domu")
{
    CHECK_ERRNO(pin_override(0), EPERM);
}
#endif
