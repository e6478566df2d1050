/*
 * Rung "time": clocks advance and agree, timers go off when they should, and Xen accounts for the
 * time of a vcpu.
 *
 * Nothing here counts on how fast the machine is: waits have limits of seconds, and what must not
 * have happened yet is only checked while there is certainly time left.
 */
#include <sched.h>
#include <string.h>
#include <vcpu.h>

#include "common.h"
#include "system_time.h"

/* Tries of what a busy machine may spoil by stopping the guest in the wrong place. */
#define TRIES 5

/*
 * ---- Clocks ----
 */

/*
 * Background: Nothing upsets a kernel like a clock that goes back.
 * Provoked by: hundreds of readings of the clock in a row, and hypercalls between some of them.
 * Expected: no reading is less than the one before, and the last one is greater than the first.
 * Source: xen.h (struct vcpu_time_info); the counters of the architecture manuals.
 */
TEST(clock_is_monotonic, TIME, "the clock never goes back, and advances")
{
    uint64_t first = arch_monotonic_ns(), last = first;

    for (unsigned int i = 0; i < 400; i++) {
        if (i % 64 == 0)
            hypercall_sched_op(SCHEDOP_yield, NULL);
        uint64_t now = arch_monotonic_ns();
        if (now < last)
            FAIL("%llu ns after %llu ns", (unsigned long long)now, (unsigned long long)last);
        last = now;
    }
    CHECK(last > first);
}

/*
 * Background: An x86 guest computes the time from its counter with what Xen writes into vcpu_info.
 * The version is odd while Xen is writing.
 * Provoked by: the record read twice, until Xen did not write in between.
 * Expected: an even version, since Xen is not running, that has been counted; a scale; and, as long
 * as the version stays the same, the same time.
 * Source: xen.h (struct vcpu_time_info); arch/x86/time.c, __update_vcpu_system_time().
 */
TEST(clock_in_vcpu_info, TIME, "vcpu_info holds a complete record of the time", .needs = "pv|hvm")
{
    const volatile struct vcpu_time_info *time = &boot_info.vcpu_info->time;
    bool compared = false;

    for (unsigned int try = 0; try < TRIES && !compared; try++) {
        uint32_t version = time->version;
        uint64_t system = time->system_time, counter = time->tsc_timestamp;

        CHECK(version != 0 && version % 2 == 0);
        CHECK(time->tsc_to_system_mul != 0);
        CHECK(system != 0 || counter != 0);
        compared = time->system_time == system && time->tsc_timestamp == counter;
        if (time->version == version)
            CHECK(compared);
    }
    CHECK(compared);
}

struct wallclock {
    uint32_t version;
    uint64_t seconds;
    uint32_t nanoseconds;
};

/* The wallclock at system time 0. */
static struct wallclock read_wallclock(void)
{
    const volatile struct shared_info *shared = boot_info.shared_info;
    struct wallclock clock;

    do {
        clock.version = shared->wc_version;
        clock.seconds = shared->wc_sec;
        clock.nanoseconds = shared->wc_nsec;
    } while (clock.version % 2 != 0 || clock.version != shared->wc_version);
    return clock;
}

/*
 * Background: shared_info says what the wallclock was when system time began; the guest adds the
 * system time.
 * Provoked by: the record read as a guest does.
 * Expected: a complete record, and less than a second of nanoseconds.
 * Source: xen.h (wc_version, wc_sec, wc_nsec); common/time.c, update_domain_wallclock_time().
 */
TEST(wallclock_record, TIME, "the wallclock record in shared_info is complete")
{
    CHECK(WAIT_UNTIL(boot_info.shared_info->wc_version % 2 == 0, EVENT_LIMIT));
    CHECK(read_wallclock().nanoseconds < 1000000000);
}

/*
 * Background: The time of day is the wallclock record plus the system time.
 * Provoked by: the time of day now, and again after 5 ms. (A guest on Arm is only told where system
 * time began.)
 * Expected: a time after 1 January 2000 and before 2100, which advances with the clock.
 * Source: xen.h; common/time.c, update_domain_wallclock_time().
 */
TEST(wallclock_plausible, TIME, "the wallclock shows a day of this century and advances",
     .needs = "pv|hvm|ppc")
{
    struct wallclock clock = read_wallclock();
    uint64_t first = SECONDS(clock.seconds) + clock.nanoseconds + system_time();

    CHECK(first > SECONDS(946684800ull));
    CHECK(first < SECONDS(4102444800ull));

    wait_for(MILLISECONDS(5));
    clock = read_wallclock();
    uint64_t second = SECONDS(clock.seconds) + clock.nanoseconds + system_time();
    CHECK(second + CLOCK_SLACK >= first + MILLISECONDS(5));
    CHECK(second < first + SECONDS(60));
}

/*
 * ---- Timers ----
 *
 * They arrive as events of VIRQ_TIMER; on PowerPC as interrupts of the decrementer. A guest on Arm
 * has the timer of its processor instead, and none of these commands.
 */

static evtchn_port_t timer_port;
static unsigned long timer_base;

static unsigned long timer_count(void)
{
#ifdef arch_timer_interrupts
    return arch_timer_interrupts() - timer_base;
#else
    return event_count(timer_port) - timer_base;
#endif
}

/* No timer runs, and none has gone off. */
static void timer_prepare(void)
{
    CHECK_EQ(hypercall_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL), 0);
    CHECK_EQ(hypercall_vcpu_op(VCPUOP_stop_singleshot_timer, 0, NULL), 0);
#ifdef arch_timer_interrupts
    timer_base = arch_timer_interrupts();
#else
    CHECK_EQ(event_bind_virq(VIRQ_TIMER, &timer_port), 0);
    event_clear(timer_port);
    CHECK_EQ(event_bind(timer_port, NULL, NULL), 0);
    timer_base = 0;
#endif
    CHECK_EQ(timer_count(), 0);
}

static long set_singleshot(uint64_t deadline, uint32_t flags)
{
    struct vcpu_set_singleshot_timer set = {.timeout_abs_ns = deadline, .flags = flags};

    return hypercall_vcpu_op(VCPUOP_set_singleshot_timer, 0, &set);
}

static long set_periodic(uint64_t period)
{
    struct vcpu_set_periodic_timer set = {.period_ns = period};

    return hypercall_vcpu_op(VCPUOP_set_periodic_timer, 0, &set);
}

/* Waits for the timer, which must go off once, and not before its deadline. */
static void check_goes_off(uint64_t deadline)
{
    CHECK(WAIT_UNTIL(timer_count() > 0, EVENT_LIMIT));
    CHECK(system_time() + CLOCK_SLACK >= deadline);
    wait_for(MILLISECONDS(2));
    CHECK_EQ(timer_count(), 1);
}

/*
 * Background: A kernel without a periodic tick sets this timer to its next deadline.
 * Provoked by: a deadline 5 ms ahead.
 * Expected: the timer goes off once, not before its deadline, and not seconds after it.
 * Source: vcpu.h (VCPUOP_set_singleshot_timer); common/domain.c, common_vcpu_op().
 */
TEST(timer_singleshot, TIME, "a one-shot timer goes off once, at its deadline",
     .needs = "pv|hvm|ppc")
{
    timer_prepare();
    uint64_t deadline = system_time() + MILLISECONDS(5);
    CHECK_EQ(set_singleshot(deadline, 0), 0);
    check_goes_off(deadline);
}

/*
 * Background: A deadline may have passed before the call gets to it; the guest must not wait for
 * ever.
 * Provoked by: a deadline that is past already.
 * Expected: the timer goes off at once.
 * Source: vcpu.h (VCPUOP_set_singleshot_timer); common/domain.c, common_vcpu_op().
 */
TEST(timer_singleshot_past, TIME, "a one-shot timer whose deadline is past goes off at once",
     .needs = "pv|hvm|ppc")
{
    timer_prepare();
    CHECK_EQ(set_singleshot(1, 0), 0);
    check_goes_off(1);
}

/*
 * Background: Releases up to 4.16 could be asked to refuse a deadline that is past; newer ones take
 * it all the same.
 * Provoked by: the flag for that, with a deadline that is past.
 * Expected: -ETIME and no timer, or the timer goes off, as the release has it.
 * Source: vcpu.h (VCPU_SSHOTTMR_future); common/domain.c, common_vcpu_op().
 */
TEST(timer_singleshot_future, TIME, "a past deadline where only the future will do: by release",
     .needs = "pv|hvm|ppc")
{
    timer_prepare();
    if (RELEASE_IS_AT_LEAST(4, 17)) {
        CHECK_EQ(set_singleshot(1, VCPU_SSHOTTMR_future), 0);
        check_goes_off(1);
    } else {
        CHECK_ERRNO(set_singleshot(1, VCPU_SSHOTTMR_future), ETIME);
        wait_for(MILLISECONDS(2));
        CHECK_EQ(timer_count(), 0);
        CHECK_EQ(set_singleshot(system_time() + MILLISECONDS(50), VCPU_SSHOTTMR_future), 0);
        CHECK(WAIT_UNTIL(timer_count() == 1, EVENT_LIMIT));
    }
}

/*
 * Background: A deadline that is no longer needed is taken back.
 * Provoked by: a deadline 10 ms ahead, taken back.
 * Expected: the timer has not gone off 5 ms after the deadline.
 * Source: vcpu.h (VCPUOP_stop_singleshot_timer); common/domain.c, common_vcpu_op().
 */
TEST(timer_singleshot_stopped, TIME, "a one-shot timer that was stopped does not go off",
     .needs = "pv|hvm|ppc")
{
    timer_prepare();
    for (unsigned int try = 0; try < TRIES; try++) {
        unsigned long before = timer_count();
        uint64_t deadline = system_time() + MILLISECONDS(10);

        CHECK_EQ(set_singleshot(deadline, 0), 0);
        CHECK_EQ(hypercall_vcpu_op(VCPUOP_stop_singleshot_timer, 0, NULL), 0);
        if (system_time() >= deadline)
            continue;
        wait_for(MILLISECONDS(15));
        CHECK_EQ(timer_count(), before);
        return;
    }
    SKIP("the machine is too busy to stop a timer in time");
}

/*
 * Background: A simple kernel has a tick. It stands still while the vcpu is blocked.
 * Provoked by: a period of 5 ms, which is then stopped.
 * Expected: four ticks take three periods or more and not seconds; no tick after the stop.
 * Source: vcpu.h (VCPUOP_set_periodic_timer, VCPUOP_stop_periodic_timer); common/sched/core.c,
 * vcpu_periodic_timer_work().
 */
TEST(timer_periodic, TIME, "a periodic timer goes off at its period until it is stopped",
     .needs = "pv|hvm|ppc")
{
    timer_prepare();
    uint64_t begin = system_time();
    CHECK_EQ(set_periodic(MILLISECONDS(5)), 0);
    CHECK(WAIT_UNTIL(timer_count() >= 4, EVENT_LIMIT));
    CHECK(system_time() + CLOCK_SLACK >= begin + 3 * MILLISECONDS(5));

    CHECK_EQ(hypercall_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL), 0);
    unsigned long count = timer_count();
    wait_for(MILLISECONDS(15));
    CHECK_EQ(timer_count(), count);
}

/*
 * Background: A short period would keep Xen busy with one guest.
 * Provoked by: a period of a nanosecond less than a millisecond.
 * Expected: -EINVAL.
 * Source: vcpu.h (VCPUOP_set_periodic_timer); common/domain.c, common_vcpu_op().
 */
TEST(timer_periodic_too_short, TIME, "a period of less than 1 ms is refused with EINVAL",
     .needs = "pv|hvm|ppc")
{
    CHECK_ERRNO(set_periodic(MILLISECONDS(1) - 1), EINVAL);
    CHECK_ERRNO(set_periodic(0), EINVAL);
}

/*
 * Background: Times are signed numbers of nanoseconds; a long period would overflow when it is
 * added.
 * Provoked by: a period of centuries.
 * Expected: -EINVAL. (Releases up to 3.2 took it.)
 * Source: common/domain.c, common_vcpu_op(): STIME_DELTA_MAX.
 */
TEST(timer_periodic_too_long, TIME, "a period that overflows is refused with EINVAL",
     .needs = "pv|hvm")
{
    CHECK_ERRNO(set_periodic(~0ull), EINVAL);
}

/*
 * Background: set_timer_op is the older way to set the one-shot timer.
 * Provoked by: a deadline 5 ms ahead.
 * Expected: the timer goes off once, not before its deadline.
 * Source: xen.h (__HYPERVISOR_set_timer_op); common/sched/core.c, do_set_timer_op().
 */
TEST(set_timer_op, TIME, "set_timer_op sets the one-shot timer", .needs = "pv|hvm|ppc")
{
    timer_prepare();
    uint64_t deadline = system_time() + MILLISECONDS(5);
    CHECK_EQ(hypercall_set_timer_op(deadline), 0);
    check_goes_off(deadline);
}

/*
 * Background: A deadline of 0 takes the timer back.
 * Provoked by: a deadline 10 ms ahead, then deadline 0.
 * Expected: the timer has not gone off 5 ms after the deadline.
 * Source: common/sched/core.c, do_set_timer_op().
 */
TEST(set_timer_op_stops, TIME, "set_timer_op with deadline 0 stops the timer",
     .needs = "pv|hvm|ppc")
{
    timer_prepare();
    for (unsigned int try = 0; try < TRIES; try++) {
        unsigned long before = timer_count();
        uint64_t deadline = system_time() + MILLISECONDS(10);

        CHECK_EQ(hypercall_set_timer_op(deadline), 0);
        CHECK_EQ(hypercall_set_timer_op(0), 0);
        if (system_time() >= deadline)
            continue;
        wait_for(MILLISECONDS(15));
        CHECK_EQ(timer_count(), before);
        return;
    }
    SKIP("the machine is too busy to stop a timer in time");
}

/*
 * Background: Guests on Arm use the processor's timer.
 * Provoked by: set_timer_op.
 * Expected: -ENOSYS.
 * Source: the table in include/hypercall-defs.c.
 */
TEST(set_timer_op_not_on_arm, TIME, "set_timer_op does not exist on Arm", .needs = "arm")
{
    CHECK_ERRNO(hypercall_set_timer_op(0), ENOSYS);
}

/*
 * Background: A vcpu with nothing to do blocks until the next event. (Not until the next tick of
 * the periodic timer, which stands still while the vcpu is blocked.)
 * Provoked by: a deadline 5 ms ahead and SCHEDOP_block with upcalls disabled, so that the event
 * cannot be taken in between: blocking enables them.
 * Expected: 0 not before the deadline, and the event was delivered.
 * Source: sched.h (SCHEDOP_block); common/sched/core.c, vcpu_block_enable_events(), vcpu_unblock().
 */
TEST(sched_block_until_timer, TIME, "SCHEDOP_block returns when a timer goes off",
     .needs = "pv")
{
    timer_prepare();
    arch_events_disable();
    uint64_t deadline = system_time() + MILLISECONDS(5);
    CHECK_EQ(set_singleshot(deadline, 0), 0);
    CHECK_EQ(hypercall_sched_op(SCHEDOP_block, NULL), 0);
    CHECK(system_time() + CLOCK_SLACK >= deadline);
    CHECK(arch_events_enabled());
    CHECK_EQ(timer_count(), 1);
}

/*
 * Background: An HVM guest that blocks has its interrupts enabled, and on PowerPC a timer makes the
 * decrementer run out, which Xen does not look at: the guest must be sure that there is an event still
 * to come.
 * Provoked by: a deadline 50 ms ahead, which is enough to get to the call even if the machine stops
 * the guest for a while; blocking.
 * Expected: as above.
 * Source: sched.h (SCHEDOP_block); common/sched/core.c, vcpu_block().
 */
TEST(sched_block_until_timer_hvm, TIME,
     "SCHEDOP_block of a guest without VIRQ_TIMER or mask returns when a timer goes off",
     .needs = "hvm|ppc")
{
    timer_prepare();
    uint64_t deadline = system_time() + MILLISECONDS(50);
    CHECK_EQ(set_singleshot(deadline, 0), 0);
    CHECK_EQ(hypercall_sched_op(SCHEDOP_block, NULL), 0);
    CHECK(system_time() + CLOCK_SLACK >= deadline);
    CHECK(WAIT_UNTIL(timer_count() == 1, EVENT_LIMIT));
}

/*
 * Background: SCHEDOP_poll also ends when the port it waits for gets its event, here from the
 * timer.
 * Provoked by: the timer's port masked, a one-shot timer 5 ms ahead, and a poll with a deadline
 * much later.
 * Expected: 0 before the poll's own deadline, with the port pending and no upcall.
 * Source: sched.h (SCHEDOP_poll); common/event_channel.c, evtchn_check_pollers().
 */
TEST(sched_poll_until_timer, TIME, "SCHEDOP_poll returns when its port gets an event",
     .needs = "pv|hvm")
{
    timer_prepare();
    event_mask(timer_port);
    uint64_t deadline = system_time() + MILLISECONDS(5);
    struct sched_poll poll = {.nr_ports = 1, .timeout = deadline + SECONDS(5)};
    handle_set(poll.ports, &timer_port);

    CHECK_EQ(set_singleshot(deadline, 0), 0);
    CHECK_EQ(hypercall_sched_op(SCHEDOP_poll, &poll), 0);
    CHECK(system_time() + CLOCK_SLACK >= deadline);
    CHECK(system_time() < deadline + SECONDS(4));
    CHECK(event_is_pending(timer_port));
    CHECK_EQ(timer_count(), 0);
}

/*
 * ---- Accounting ----
 */

static uint64_t runstate_sum(const struct vcpu_runstate_info *info)
{
    return info->time[RUNSTATE_running] + info->time[RUNSTATE_runnable] +
           info->time[RUNSTATE_blocked] + info->time[RUNSTATE_offline];
}

/*
 * Background: At each moment a vcpu is in one of four states, and Xen adds up the time it spends in
 * each.
 * Provoked by: the state now, and again after 3 ms.
 * Expected: running; no time shrinks; the four together advance as the clock does.
 * Source: vcpu.h (VCPUOP_get_runstate_info); common/sched/core.c, vcpu_runstate_get().
 */
TEST(runstate_advances, TIME, "the times of a vcpu's states add up to the time that passes",
     .needs = "pv|hvm|ppc")
{
    struct vcpu_runstate_info first, second;
    uint64_t before_first = system_time();
    CHECK_EQ(hypercall_vcpu_op(VCPUOP_get_runstate_info, 0, &first), 0);
    uint64_t after_first = system_time();
    wait_for(MILLISECONDS(3));
    uint64_t before_second = system_time();
    CHECK_EQ(hypercall_vcpu_op(VCPUOP_get_runstate_info, 0, &second), 0);
    uint64_t after_second = system_time();

    CHECK_EQ(first.state, RUNSTATE_running);
    CHECK_EQ(second.state, RUNSTATE_running);
    CHECK(second.state_entry_time <= after_second + CLOCK_SLACK);
    for (unsigned int state = RUNSTATE_running; state <= RUNSTATE_offline; state++)
        CHECK(second.time[state] >= first.time[state]);

    uint64_t passed = runstate_sum(&second) - runstate_sum(&first);
    CHECK(passed + CLOCK_SLACK >= before_second - after_first);
    CHECK(passed <= after_second - before_first + CLOCK_SLACK);
}

#ifdef VCPUOP_register_runstate_memory_area
static struct vcpu_runstate_info runstate_area;

static long register_runstate(struct vcpu_runstate_info *at)
{
    struct vcpu_register_runstate_memory_area area = {.addr.p = 0};

    handle_set(area.addr.h, at);
    return hypercall_vcpu_op(VCPUOP_register_runstate_memory_area, 0, &area);
}

/*
 * Background: A guest can have Xen keep the same account in its memory, up to date whenever the
 * vcpu is switched to.
 * Provoked by: an area registered; the vcpu blocks for 10 ms.
 * Expected: a running vcpu at once; after it has blocked, that time was added to the blocked state
 * and the entry time is later.
 * Source: vcpu.h (VCPUOP_register_runstate_memory_area); common/domain.c, update_runstate_area().
 */
TEST(runstate_area, TIME, "the runstate area shows the time for which the vcpu blocked",
     .needs = "pv|hvm|arm")
{
    const volatile struct vcpu_runstate_info *area = &runstate_area;

    memset(&runstate_area, 0xff, sizeof(runstate_area));
    CHECK_EQ(register_runstate(&runstate_area), 0);
    CHECK_EQ(area->state, RUNSTATE_running);

    for (unsigned int try = 0; try < TRIES; try++) {
        uint64_t blocked = area->time[RUNSTATE_blocked], entered = area->state_entry_time;
        uint64_t before = system_time();
        struct sched_poll poll = {.nr_ports = 0, .timeout = before + MILLISECONDS(10)};

        CHECK_EQ(hypercall_sched_op(SCHEDOP_poll, &poll), 0);
        CHECK_EQ(area->state, RUNSTATE_running);
        blocked = area->time[RUNSTATE_blocked] - blocked;
        CHECK(blocked <= system_time() - before + CLOCK_SLACK);
        if (blocked < MILLISECONDS(5))
            continue;
        CHECK(area->state_entry_time > entered);
        return;
    }
    FAIL("no time was added to the blocked state");
}
#endif

#ifdef VCPUOP_register_vcpu_time_memory_area
static struct vcpu_time_info time_area;

/* The command is new to 32-bit guests on x86 with 4.15. */
#define HAS_TIME_AREA (!ARCH_COMPAT || RELEASE_IS_AT_LEAST(4, 15))

/*
 * Background: A guest can have a copy of the time record where its own processes can read it.
 * Provoked by: an area registered.
 * Expected: a complete record there at once, with the scale of the one in vcpu_info and a time that
 * is not ahead of the clock. -ENOSYS where there is no such command.
 * Source: vcpu.h (VCPUOP_register_vcpu_time_memory_area); arch/x86/time.c,
 * update_secondary_system_time(); arch/x86/x86_64/domain.c, compat_vcpu_op().
 */
TEST(time_area, TIME, "a second time record is kept in the memory registered for it",
     .needs = "pv|hvm")
{
    const volatile struct vcpu_time_info *copy = &time_area;
    struct vcpu_register_time_memory_area area = {.addr.p = 0};

    memset(&time_area, 0xff, sizeof(time_area));
    handle_set(area.addr.h, &time_area);
    long rc = hypercall_vcpu_op(VCPUOP_register_vcpu_time_memory_area, 0, &area);

    if (!HAS_TIME_AREA) {
        CHECK_ERRNO(rc, ENOSYS);
        return;
    }
    CHECK_EQ(rc, 0);
    CHECK(copy->version != 0 && copy->version % 2 == 0);
    CHECK_EQ(copy->tsc_to_system_mul, boot_info.vcpu_info->time.tsc_to_system_mul);
    CHECK_EQ(copy->tsc_shift, boot_info.vcpu_info->time.tsc_shift);
    CHECK(copy->system_time <= system_time() + CLOCK_SLACK);
}

/*
 * Background: Xen copies every argument with a check, and says so when it cannot.
 * Provoked by: the registration itself at an address where nothing is.
 * Expected: -EFAULT. -ENOSYS where there is no such command.
 * Source: arch/x86/domain.c, do_vcpu_op(); arch/x86/x86_64/domain.c, compat_vcpu_op().
 */
TEST(time_area_bad_pointer, TIME, "a time area that cannot be read where it is: EFAULT",
     .needs = "pv|hvm")
{
    long rc =
        hypercall_vcpu_op(VCPUOP_register_vcpu_time_memory_area, 0, arch_unmapped_pointer());

    if (HAS_TIME_AREA)
        CHECK_ERRNO(rc, EFAULT);
    else
        CHECK_ERRNO(rc, ENOSYS);
}
#endif

#if defined(VCPUOP_register_runstate_phys_area) && defined(VCPUOP_register_vcpu_time_phys_area)
static uint8_t areas[2 * PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));

static long register_physical(unsigned int command, uint64_t address)
{
    struct vcpu_register_runstate_memory_area area = {.addr.p = address};

    return hypercall_vcpu_op(command, 0, &area);
}

static uint64_t physical_address(const volatile void *at)
{
    return (uint64_t)arch_frame(at) * PAGE_BYTES + (uintptr_t)at % PAGE_BYTES;
}

static void check_physical_refused(unsigned int command)
{
    CHECK_ERRNO(register_physical(command, physical_address(&areas[PAGE_BYTES - 8])), ENXIO);
    CHECK_ERRNO(register_physical(command, physical_address(&areas[1])), ENXIO);
    CHECK_ERRNO(register_physical(command, ~0ull << 24 >> 12), EINVAL);
    CHECK_ERRNO(hypercall_vcpu_op(command, 0, arch_unmapped_pointer()), EFAULT);
}

/*
 * Background: Since 4.18 the account of a vcpu's time can be kept at a physical address.
 * Provoked by: an area registered; over the end of a page; not aligned; at a frame that the guest
 * does not have; the registration itself at no address; the end of the registration.
 * Expected: a running vcpu at once; -ENXIO; -ENXIO; -EINVAL; -EFAULT; 0.
 * Source: vcpu.h (VCPUOP_register_runstate_phys_area); common/domain.c, map_guest_area().
 */
TEST(runstate_area_physical, TIME, "the runstate area can be given by its physical address",
     .needs = "pv|hvm")
{
    const volatile struct vcpu_runstate_info *area = (void *)areas;

    memset(areas, 0xff, sizeof(areas));
    CHECK_EQ(register_physical(VCPUOP_register_runstate_phys_area, physical_address(areas)), 0);
    CHECK_EQ(area->state, RUNSTATE_running);
    check_physical_refused(VCPUOP_register_runstate_phys_area);
    CHECK_EQ(register_physical(VCPUOP_register_runstate_phys_area, ~0ull), 0);
}

/*
 * Background: The same holds for the copy of the time record.
 * Provoked by: as above.
 * Expected: a complete record at once, with the scale of the one in vcpu_info and an even version of
 * its own, the first of which is 0; the errors as above.
 * Source: vcpu.h (VCPUOP_register_vcpu_time_phys_area); arch/x86/domain.c, do_vcpu_op();
 * arch/x86/time.c, force_update_secondary_system_time().
 */
TEST(time_area_physical, TIME, "the time record's copy can be given by its physical address",
     .needs = "pv|hvm")
{
    const volatile struct vcpu_time_info *copy = (void *)areas;

    memset(areas, 0xff, sizeof(areas));
    CHECK_EQ(register_physical(VCPUOP_register_vcpu_time_phys_area, physical_address(areas)), 0);
    CHECK_EQ(copy->version % 2, 0);
    CHECK_EQ(copy->tsc_to_system_mul, boot_info.vcpu_info->time.tsc_to_system_mul);
    CHECK_EQ(copy->tsc_shift, boot_info.vcpu_info->time.tsc_shift);
    check_physical_refused(VCPUOP_register_vcpu_time_phys_area);
    CHECK_EQ(register_physical(VCPUOP_register_vcpu_time_phys_area, ~0ull), 0);
}
#endif
