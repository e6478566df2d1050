/*
 * The generic timers, which a guest on Arm has in place of VCPUOP_set_singleshot_timer and
 * VIRQ_TIMER.
 */
#include <secondary.h>
#include <test.h>
#include <timer.h>
#include <timing.h>

static void check_one_interrupt(enum timer timer)
{
    uint64_t begin = arch_monotonic_ns();

    timer_start(timer, MILLISECONDS(2));
    CHECK(WAIT_UNTIL(timer_count(timer) > 0, SECONDS(1)));
    CHECK(arch_monotonic_ns() - begin >= MILLISECONDS(2));
    wait_for(MILLISECONDS(1));
    CHECK_EQ(timer_count(timer), 1);
}

static void check_no_interrupt(enum timer timer)
{
    timer_start(timer, MILLISECONDS(1));
    timer_stop(timer);
    wait_for(MILLISECONDS(3));
    CHECK_EQ(timer_count(timer), 0);
}

/*
 * Background: the virtual timer raises a private interrupt (27 in Xen's device trees) when
 * CNTVCT_EL0 has reached CNTV_CVAL_EL0 and CNTV_CTL_EL0 enables it. The timer is the CPU's own; the
 * hypervisor takes its interrupt and passes it on, and has to go on counting while another vcpu
 * runs.
 * Provoked by: a deadline 2 ms ahead, and waiting for up to a second.
 * Expected: exactly one interrupt, and not before the deadline.
 * Source: Arm Architecture Reference Manual, Generic Timer; the device tree binding
 * arm,armv8-timer.
 */
TEST(arm_virtual_timer_interrupts, TIME, "the virtual timer interrupts once, at its deadline",
     .needs = "arm")
{
    check_one_interrupt(TIMER_VIRTUAL);
}

/*
 * Background: a timer whose CNTV_CTL_EL0 is cleared before the deadline is off.
 * Provoked by: a deadline 1 ms ahead that is taken back at once, and waiting for 3 ms.
 * Expected: no interrupt.
 * Source: Arm Architecture Reference Manual, CNTV_CTL_EL0.ENABLE.
 */
TEST(arm_virtual_timer_stopped, TIME, "a virtual timer that was stopped does not interrupt",
     .needs = "arm")
{
    check_no_interrupt(TIMER_VIRTUAL);
}

/*
 * Background: the physical timer is the hypervisor's. It emulates the registers CNTP_* for guests
 * and raises a private interrupt (30 in Xen's device trees).
 * Provoked by: a deadline 2 ms ahead, and waiting for up to a second.
 * Expected: exactly one interrupt, and not before the deadline.
 * Source: Arm Architecture Reference Manual, Generic Timer; arch/arm/vtimer.c.
 */
TEST(arm_physical_timer_interrupts, TIME, "the physical timer interrupts once, at its deadline",
     .needs = "arm")
{
    check_one_interrupt(TIMER_PHYSICAL);
}

/*
 * Provoked by: a physical timer 1 ms ahead that is taken back at once, and waiting for 3 ms.
 * Expected: no interrupt.
 * Source: Arm Architecture Reference Manual, CNTP_CTL_EL0.ENABLE.
 */
TEST(arm_physical_timer_stopped, TIME, "a physical timer that was stopped does not interrupt",
     .needs = "arm")
{
    check_no_interrupt(TIMER_PHYSICAL);
}

static volatile bool went_off_early;

/* On the second vcpu. */
static void wait_for_timer(void *argument)
{
    enum timer timer = *(const enum timer *)argument;
    uint64_t begin = arch_monotonic_ns();

    secondary_events_enable();
    timer_start(timer, MILLISECONDS(2));
    (void)WAIT_UNTIL(timer_count(timer) > 0, SECONDS(1));
    went_off_early = arch_monotonic_ns() - begin < MILLISECONDS(2);
}

/*
 * Background: each vcpu has its own timers, and their interrupts are its own.
 * Provoked by: a deadline of each timer 2 ms ahead on the second vcpu, which waits for it.
 * Expected: one interrupt, taken by that vcpu, and not before the deadline.
 * Source: Arm Architecture Reference Manual, Generic Timer; arch/arm/vtimer.c, virt_timer_save().
 */
TEST(arm_second_vcpu_timers, VCPUS, "the timers of a second vcpu interrupt that vcpu", .needs = "arm smp")
{
    for (enum timer timer = TIMER_VIRTUAL; timer < TIMERS; timer++) {
        CHECK(secondary_wait_off());
        timer_start(timer, MILLISECONDS(1));
        timer_stop(timer);
        CHECK_EQ(secondary_start(wait_for_timer, &timer), 0);
        CHECK(WAIT_UNTIL(timer_count(timer) > 0, SECONDS(1)));
        CHECK(secondary_wait_off());
        CHECK_EQ(timer_taker(timer), SECONDARY_VCPU);
        CHECK_EQ(timer_count(timer), 1);
        CHECK(!went_off_early);
    }
}
