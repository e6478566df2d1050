/*
 * Rung "vcpus": a second vcpu is given registers, taken up and down.
 *
 * A vcpu gets its registers once, from VCPUOP_initialise. VCPUOP_up lets it run from there, or from where it
 * was when VCPUOP_down stopped it.
 */
#include <hvm/hvm_vcpu.h>
#include <string.h>
#include <timing.h>
#include <vcpu.h>

#include "common.h"
#include "secondary.h"
#include "shutdown.h"

#define ROUNDS 20

static volatile unsigned int rounds, stop, found_up;
static volatile long result;

static long second(unsigned int command, void *argument)
{
    return hypercall_vcpu_op(command, SECONDARY_VCPU, argument);
}

static void prepare(void)
{
    rounds = stop = found_up = 0;
    result = 1;
    CHECK(secondary_wait_off());
}

static void count_one(void *unused)
{
    (void)unused;
    rounds++;
}

static void count_until_stopped(void *unused)
{
    struct wait wait = wait_begin(SECONDS(5));

    (void)unused;
    while (!stop && wait_step(&wait))
        rounds++;
}

/* Refused with one word of the right argument changed, which is put back. */
static void check_refused(struct vcpu_guest_context *context, unsigned long *word, unsigned long wrong)
{
    unsigned long right = *word;

    *word = wrong;
    CHECK_ERRNO(second(VCPUOP_initialise, context), EINVAL);
    *word = right;
}

static void check_pv_refused(struct vcpu_guest_context *context)
{
    unsigned long *addresses[] = {
        &context->user_regs.rip, &context->user_regs.rsp,
        &context->kernel_sp, &context->ldt_base,
        &context->fs_base, &context->gs_base_kernel, &context->gs_base_user,
        &context->event_callback_eip, &context->failsafe_callback_eip, &context->syscall_callback_eip,
        &context->trap_ctxt[3].address,
    };

    for (unsigned int i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++)
        check_refused(context, addresses[i], 1ul << 47);
    check_refused(context, &context->ldt_base, context->ldt_base + 8);
    check_refused(context, &context->ldt_ents, context->ldt_ents + 1);
    check_refused(context, &context->gdt_ents, FIRST_RESERVED_GDT_ENTRY + 1);
    check_refused(context, &context->gdt_ents, context->gdt_ents + 1);
    check_refused(context, &context->flags, 0);
    check_refused(context, &context->ctrlreg[3], xen_pfn_to_cr3(~0ul >> 12));
}

/*
 * Background: A vcpu without registers has nowhere to run.
 * Provoked by: VCPUOP_up before VCPUOP_initialise; VCPUOP_initialise with no argument, and with registers that
 * cannot be. PV: an address that is none; local descriptors that are not aligned, or more than there can be;
 * more descriptors than there may be, or than frames for them; user mode without page tables for it; page
 * tables that are none. HVM: a mode that there is not.
 * Expected: -EINVAL; -EFAULT; -EINVAL. The vcpu stays down.
 * Source: vcpu.h (VCPUOP_initialise, VCPUOP_up); common/domain.c, common_vcpu_op(); arch/x86/domain.c,
 * arch_set_info_guest(); arch/x86/hvm/domain.c, arch_set_info_hvm_guest().
 */
TEST(vcpu_up_refused, VCPUS, "a vcpu without registers cannot be taken up: EINVAL",
     .needs = "pv|hvm smp")
{
    static struct vcpu_hvm_context hvm_context;

    CHECK_ERRNO(second(VCPUOP_up, NULL), EINVAL);
    CHECK_ERRNO(second(VCPUOP_initialise, arch_unmapped_pointer()), EFAULT);
    if (arch_is_pv()) {
        check_pv_refused(secondary_pv_context());
    } else {
        hvm_context.mode = 99;
        CHECK_ERRNO(second(VCPUOP_initialise, &hvm_context), EINVAL);
    }
    CHECK_EQ(second(VCPUOP_is_up, NULL), 0);
}

static void check_registers(const struct secondary_registers *found, const struct secondary_registers *given)
{
    for (unsigned int i = 0; i < (arch_is_pv() ? 16 : 8); i++)
        CHECK_EQ(found->general[i], given->general[i]);
    CHECK_EQ(found->flags, given->flags);
    CHECK_EQ(found->cs, given->cs);
    CHECK_EQ(found->ss, given->ss);
    CHECK_EQ(found->ds, given->ds);
    CHECK_EQ(found->es, given->es);
    CHECK_EQ(found->fs, given->fs);
    CHECK_EQ(found->gs, given->gs);
    CHECK_EQ(found->at_fs, given->at_fs);
    CHECK_EQ(found->at_gs, given->at_gs);
    CHECK_EQ(found->gs_base_user, given->gs_base_user);
    CHECK_EQ(found->fpu_control, given->fpu_control);
}

/*
 * Background: The second vcpu keeps the registers that it finds when it begins. Each is given its own value; in a
 * PV guest FS and GS have bases and no selectors, and addresses that it has no use for are the highest there are.
 * Provoked by: VCPUOP_initialise and VCPUOP_up of the second vcpu; VCPUOP_initialise once more.
 * Expected: it is down at first, and after the registers too; it runs from where they say, and has them;
 * -EEXIST.
 * Source: vcpu.h (VCPUOP_initialise, VCPUOP_up, VCPUOP_is_up); common/domain.c, common_vcpu_op();
 * arch/x86/domain.c, arch_set_info_guest(), load_segments(); arch/x86/hvm/domain.c, arch_set_info_hvm_guest().
 */
TEST(vcpu_up_runs, VCPUS, "a second vcpu runs from where its registers say, and has them",
     .needs = "pv|hvm smp")
{
    static uint64_t context[1024]; /* more than the largest one */

    prepare();
    CHECK_EQ(second(VCPUOP_is_up, NULL), 0);
    CHECK_EQ(secondary_initialise(), 0);
    CHECK_EQ(second(VCPUOP_is_up, NULL), 0);
    CHECK_EQ(rounds, 0);
    CHECK_EQ(secondary_start(count_one, NULL), 0);
    CHECK(WAIT_UNTIL(rounds == 1, EVENT_LIMIT));
    CHECK(secondary_wait_off());
    check_registers(&secondary_found, &secondary_given);
    CHECK_ERRNO(second(VCPUOP_initialise, context), EEXIST);
}

/*
 * Provoked by: the second vcpu taken up and down twenty times, by itself.
 * Expected: it runs once each time, from behind its VCPUOP_down.
 * Source: vcpu.h (VCPUOP_up, VCPUOP_down); common/domain.c, common_vcpu_op().
 */
TEST(vcpu_up_repeatedly, VCPUS, "a vcpu can be taken down and up as often as you like",
     .needs = "pv|hvm smp")
{
    prepare();
    for (unsigned int round = 1; round <= ROUNDS; round++) {
        CHECK_EQ(secondary_start(count_one, NULL), 0);
        CHECK(WAIT_UNTIL(rounds == round, EVENT_LIMIT));
        CHECK(secondary_wait_off());
    }
    CHECK_EQ(rounds, ROUNDS);
}

static void look_at_itself(void *unused)
{
    (void)unused;
    found_up = (unsigned int)hypercall_vcpu_op(VCPUOP_is_up, SECONDARY_VCPU, NULL);
    result = hypercall_vcpu_op(VCPUOP_up, SECONDARY_VCPU, NULL);
    rounds++;
    count_until_stopped(NULL);
}

/*
 * Provoked by: both vcpus ask whether the second one is up while it runs, and take it up again.
 * Expected: 1 both times; 0, and nothing happens; both vcpus are up.
 * Source: vcpu.h (VCPUOP_is_up, VCPUOP_up); common/domain.c, common_vcpu_op().
 */
TEST(vcpu_up_is_seen, VCPUS, "both vcpus see that the second one is up", .needs = "pv|hvm smp")
{
    prepare();
    CHECK_EQ(secondary_start(look_at_itself, NULL), 0);
    CHECK(WAIT_UNTIL(rounds > 0, EVENT_LIMIT));
    CHECK_EQ(found_up, 1);
    CHECK_EQ(result, 0);
    CHECK_EQ(second(VCPUOP_is_up, NULL), 1);
    CHECK_EQ(second(VCPUOP_up, NULL), 0);
    CHECK_EQ(hypercall_vcpu_op(VCPUOP_is_up, 0, NULL), 1);
    stop = 1;
    CHECK(secondary_wait_off());
    CHECK_EQ(second(VCPUOP_is_up, NULL), 0);
}

/*
 * Background: A vcpu may be taken down by another one, wherever it is.
 * Provoked by: the second vcpu, which counts, taken down and up by the first one, ten times.
 * Expected: while it is down it does not count; afterwards it goes on from where it was.
 * Source: vcpu.h (VCPUOP_down); common/domain.c, common_vcpu_op(); vcpu_sleep_nosync().
 */
TEST(vcpu_down_by_other, VCPUS, "a vcpu that another one takes down stops, and goes on when it is up",
     .needs = "pv|hvm smp")
{
    prepare();
    CHECK_EQ(secondary_start(count_until_stopped, NULL), 0);
    for (unsigned int round = 0; round < 10; round++) {
        unsigned int before = rounds;

        CHECK(WAIT_UNTIL(rounds > before, EVENT_LIMIT));
        CHECK_EQ(second(VCPUOP_down, NULL), 0);
        CHECK_EQ(second(VCPUOP_is_up, NULL), 0);
        before = rounds;
        wait_for(MICROSECONDS(200));
        CHECK_EQ(rounds, before);
        CHECK_EQ(second(VCPUOP_up, NULL), 0);
    }
    stop = 1;
    CHECK(secondary_wait_off());
}

/* Whether the second vcpu is in a state, as `now` says, and has been so for longer than `before` says. */
static bool has_been(int state, struct vcpu_runstate_info *now,
                     const struct vcpu_runstate_info *before)
{
    CHECK_EQ(second(VCPUOP_get_runstate_info, now), 0);
    return now->state == state && now->time[state] > before->time[state];
}

static bool has_run(struct vcpu_runstate_info *now, const struct vcpu_runstate_info *before)
{
    CHECK_EQ(second(VCPUOP_get_runstate_info, now), 0);
    CHECK(now->state != RUNSTATE_offline);
    return now->time[RUNSTATE_running] > before->time[RUNSTATE_running];
}

/*
 * Background: Xen accounts for the time that a vcpu is down. On a processor of its own one that is down may
 * still be on its way out, and two processors' clocks agree only so far.
 * Provoked by: the runstate of the second vcpu while it is down, while it is up, and down again.
 * Expected: offline, not offline, offline; the time that it was offline grows only while it is.
 * Source: vcpu.h (VCPUOP_get_runstate_info, RUNSTATE_offline); common/sched/core.c,
 * vcpu_runstate_change().
 */
TEST(vcpu_down_runstate, VCPUS, "a vcpu that is down counts as offline", .needs = "pv|hvm smp")
{
    static const struct vcpu_runstate_info never;
    struct vcpu_runstate_info down, up, later, again;

    prepare();
    CHECK(WAIT_UNTIL(has_been(RUNSTATE_offline, &down, &never), EVENT_LIMIT));
    CHECK_EQ(secondary_start(count_until_stopped, NULL), 0);
    CHECK(WAIT_UNTIL(rounds > 0, EVENT_LIMIT));
    CHECK_EQ(second(VCPUOP_get_runstate_info, &up), 0);
    CHECK(up.time[RUNSTATE_offline] >= down.time[RUNSTATE_offline]);
    CHECK(WAIT_UNTIL(has_run(&later, &down), EVENT_LIMIT));
    CHECK_EQ(later.time[RUNSTATE_offline], up.time[RUNSTATE_offline]);
    stop = 1;
    CHECK(secondary_wait_off());
    CHECK(WAIT_UNTIL(has_been(RUNSTATE_offline, &again, &later), EVENT_LIMIT));
}

/*
 * Background: A domain suspends with all its vcpus, wherever they are.
 * Provoked by: suspensions while the second vcpu counts.
 * Expected: after each it goes on counting, and is up.
 * Source: sched.h (SHUTDOWN_suspend); common/domain.c, domain_shutdown(), domain_resume().
 */
TEST(suspend_keeps_second, POWER, "a second vcpu goes on after a suspension",
     .needs = "pv|hvm smp supervised")
{
    prepare();
    CHECK_EQ(secondary_start(count_until_stopped, NULL), 0);
    CHECK(WAIT_UNTIL(rounds > 0, EVENT_LIMIT));
    for (unsigned int round = 0; round < 5; round++) {
        CHECK_EQ(shutdown_for(SHUTDOWN_suspend), 0);
        unsigned int before = rounds;

        CHECK(WAIT_UNTIL(rounds > before, EVENT_LIMIT));
        CHECK_EQ(second(VCPUOP_is_up, NULL), 1);
    }
    stop = 1;
    CHECK(secondary_wait_off());
}
