/*
 * vcpu_op: what a domain can ask about its vcpus and register for them. Timers and accounting are
 * in time.c. Guests on Arm have only two of the commands.
 */
#include <fault.h>
#include <string.h>
#include <timing.h>
#include <vcpu.h>

#include "common.h"

/*
 * Background: Vcpus are up or down; a guest asks before it starts one.
 * Provoked by: the question for vcpu 0, which is asking.
 * Expected: 1.
 * Source: vcpu.h (VCPUOP_is_up); common/domain.c, common_vcpu_op().
 */
TEST(vcpu_is_up, IDENTIFY, "the vcpu that asks is up", .needs = "pv|hvm|ppc")
{
    CHECK_EQ(hypercall_vcpu_op(VCPUOP_is_up, 0, NULL), 1);
}

/*
 * Background: Starting a vcpu twice must not start it twice.
 * Provoked by: VCPUOP_up for a vcpu that is up.
 * Expected: 0, and nothing else.
 * Source: vcpu.h (VCPUOP_up); common/domain.c, common_vcpu_op().
 */
TEST(vcpu_up_again, IDENTIFY, "bringing up a vcpu that is up does nothing", .needs = "pv|hvm|ppc")
{
    CHECK_EQ(hypercall_vcpu_op(VCPUOP_up, 0, NULL), 0);
    CHECK_EQ(hypercall_vcpu_op(VCPUOP_is_up, 0, NULL), 1);
}

/*
 * Background: A vcpu gets its first registers once.
 * Provoked by: registers (all zero) for the running vcpu.
 * Expected: -EEXIST.
 * Source: vcpu.h (VCPUOP_initialise); common/domain.c, default_initialise_vcpu().
 */
TEST(vcpu_initialise_again, IDENTIFY, "a vcpu that has registers is not given others: EEXIST",
     .needs = "pv|hvm|ppc")
{
    /* More than the largest context, that of a PV guest on x86. */
    static uint64_t context[1024];

    CHECK_ERRNO(hypercall_vcpu_op(VCPUOP_initialise, 0, context), EEXIST);
}

/* Whether a command gets as far as the question which vcpu it is about. */
static bool is_known_first(unsigned int command)
{
    if (RELEASE_IS_AT_LEAST(4, 17) || strcmp(boot_info.guest, "arm") != 0)
        return true;
    return command == VCPUOP_register_vcpu_info || command == VCPUOP_register_runstate_memory_area;
}

/*
 * Background: The vcpu is looked up before the command.
 * Provoked by: every command, for a vcpu that the domain does not have.
 * Expected: -ENOENT, whatever the rest of the arguments. Up to 4.16, Arm looks at the command first:
 * -EINVAL for those that it does not have.
 * Source: vcpu.h; do_vcpu_op() of the architecture, do_arm_vcpu_op() up to 4.16.
 */
TEST(vcpu_does_not_exist, IDENTIFY, "vcpu_op for a vcpu that does not exist is refused with ENOENT")
{
    for (unsigned int command = 0; command <= NO_COMMAND; command++) {
        long rc = hypercall_vcpu_op(command, NO_VCPU, NULL);

        if (rc != (is_known_first(command) ? -XEN_ENOENT : -XEN_EINVAL))
            FAIL("command %u returned %ld", command, rc);
    }
}

/*
 * Background: Up to release 3.2, numbers that could be no vcpu's were told from those that are not
 * in use.
 * Provoked by: such a number.
 * Expected: -EINVAL there, -ENOENT since.
 * Source: common/domain.c, do_vcpu_op() of 3.2; domain_vcpu() since.
 */
TEST(vcpu_number_too_large, IDENTIFY, "vcpu_op for a number beyond all vcpus: by release")
{
    long rc = hypercall_vcpu_op(VCPUOP_register_vcpu_info, 1u << 20, NULL);

    if (RELEASE_IS_AT_LEAST(4, 0))
        CHECK_ERRNO(rc, ENOENT);
    else
        CHECK_ERRNO(rc, EINVAL);
}

/*
 * Background: A caller finds out what a release has by trying, so what is not there must be refused
 * in a way it knows.
 * Provoked by: a command that vcpu_op does not have.
 * Expected: -ENOSYS, on Arm -EINVAL.
 * Source: common/domain.c, common_vcpu_op(); arch/arm/domain.c, do_vcpu_op().
 */
TEST(vcpu_unknown_command, IDENTIFY, "an unknown vcpu_op command is refused")
{
    long rc = hypercall_vcpu_op(NO_COMMAND, 0, NULL);

    if (strcmp(boot_info.guest, "arm") == 0)
        CHECK_ERRNO(rc, EINVAL);
    else
        CHECK_ERRNO(rc, ENOSYS);
}

/*
 * Background: Guests on Arm start and stop vcpus by PSCI and have their own timers.
 * Provoked by: the commands that other guests have for it.
 * Expected: -EINVAL each time.
 * Source: arch/arm/domain.c, do_vcpu_op().
 */
TEST(vcpu_commands_not_on_arm, IDENTIFY, "vcpu_op commands that Arm does not have: EINVAL",
     .needs = "arm")
{
    static const unsigned int commands[] = {
        VCPUOP_initialise,         VCPUOP_up,
        VCPUOP_down,               VCPUOP_is_up,
        VCPUOP_get_runstate_info,  VCPUOP_set_periodic_timer,
        VCPUOP_stop_periodic_timer, VCPUOP_set_singleshot_timer,
        VCPUOP_stop_singleshot_timer, VCPUOP_send_nmi,
        VCPUOP_get_physid,
#ifdef VCPUOP_register_vcpu_time_memory_area
        VCPUOP_register_vcpu_time_memory_area,
#endif
    };

    for (unsigned int i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        long rc = hypercall_vcpu_op(commands[i], 0, NULL);

        if (rc != -XEN_EINVAL)
            FAIL("command %u returned %ld", commands[i], rc);
    }
}

/*
 * Background: IBM's port never had the commands that register memory.
 * Provoked by: each of them.
 * Expected: -ENOSYS.
 * Source: arch_do_vcpu_op() of 3.2's arch/powerpc.
 */
TEST(vcpu_commands_not_on_ppc, IDENTIFY, "vcpu_op commands that IBM's port does not have: ENOSYS",
     .needs = "ppc")
{
    CHECK_ERRNO(hypercall_vcpu_op(VCPUOP_register_runstate_memory_area, 0, NULL), ENOSYS);
    CHECK_ERRNO(hypercall_vcpu_op(VCPUOP_register_vcpu_info, 0, NULL), ENOSYS);
    CHECK_ERRNO(hypercall_vcpu_op(VCPUOP_get_physid, 0, NULL), ENOSYS);
}

/*
 * Background: Xen copies every argument with a check, and says so when it cannot.
 * Provoked by: every command that reads an argument or writes a result, at an address where nothing
 * is.
 * Expected: -EFAULT each time.
 * Source: common/domain.c, common_vcpu_op(); arch/x86/domain.c, do_vcpu_op().
 */
TEST(vcpu_bad_pointers, IDENTIFY, "every vcpu_op argument at no address is refused with EFAULT",
     .needs = "pv|hvm|ppc")
{
    static const unsigned int commands[] = {
        VCPUOP_initialise,
        VCPUOP_get_runstate_info,
        VCPUOP_set_periodic_timer,
        VCPUOP_set_singleshot_timer,
    };

    for (unsigned int i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        long rc = hypercall_vcpu_op(commands[i], 0, arch_unmapped_pointer());

        if (rc != -XEN_EFAULT)
            FAIL("command %u returned %ld", commands[i], rc);
    }
}

/*
 * Background: Xen copies every argument with a check, and says so when it cannot.
 * Provoked by: the same for the commands that register memory. (For the time area, see time.c.)
 * Expected: -EFAULT each time.
 * Source: common/domain.c, common_vcpu_op(); arch/x86/domain.c, do_vcpu_op().
 */
TEST(vcpu_register_bad_pointers, IDENTIFY, "registrations at no address are refused with EFAULT",
     .needs = "pv|hvm|arm")
{
    static const unsigned int commands[] = {
        VCPUOP_register_vcpu_info,
        VCPUOP_register_runstate_memory_area,
    };

    for (unsigned int i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        long rc = hypercall_vcpu_op(commands[i], 0, arch_unmapped_pointer());

        if (rc != -XEN_EFAULT)
            FAIL("command %u returned %ld", commands[i], rc);
    }
}

/*
 * Background: dom0 may ask for the processor behind a vcpu, if the vcpu can only run on that one.
 * On a machine with a single processor it always can.
 * Provoked by: the question; if it is answered, again with the answer to go to no address.
 * Expected: an answer, then -EFAULT; or -EINVAL.
 * Source: vcpu.h (VCPUOP_get_physid); arch/x86/domain.c, do_vcpu_op(): is_hwdom_pinned_vcpu().
 */
TEST(vcpu_physical_id, IDENTIFY, "the processor of a vcpu is told if there is only one: or EINVAL",
     .needs = "pv|hvm")
{
    struct vcpu_get_physid id = {.phys_id = ~0ull};
    long rc = hypercall_vcpu_op(VCPUOP_get_physid, 0, &id);

    if (rc == 0) {
        CHECK(id.phys_id != ~0ull);
        CHECK_ERRNO(hypercall_vcpu_op(VCPUOP_get_physid, 0, arch_unmapped_pointer()), EFAULT);
    } else {
        CHECK_ERRNO(rc, EINVAL);
    }
}

static void send_nmi(void *result)
{
    *(long *)result = hypercall_vcpu_op(VCPUOP_send_nmi, 0, NULL);
    wait_for(MILLISECONDS(1));
}

/*
 * Background: An NMI comes through whether or not upcalls are enabled.
 * Provoked by: an argument, which the command does not take; an NMI for this vcpu, upcalls
 * disabled.
 * Expected: -EINVAL; the vector for NMIs is taken.
 * Source: vcpu.h (VCPUOP_send_nmi); arch/x86/domain.c, do_vcpu_op(); nmi.h.
 */
TEST(vcpu_send_nmi, EVENTS, "an NMI is delivered even while upcalls are disabled",
     .needs = "pv|hvm")
{
    struct fault fault = {.text = ""};
    long rc = 1;

    CHECK_ERRNO(hypercall_vcpu_op(VCPUOP_send_nmi, 0, &rc), EINVAL);
    arch_events_disable();
    CHECK(fault_expected(send_nmi, &rc, &fault));
    CHECK(strcmp(fault.text, "NMI") == 0);
}

/* Room for a vcpu_info anywhere in a page of its own. */
static uint8_t vcpu_info_page[PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));

static long register_vcpu_info(uint64_t frame, uint32_t offset)
{
    struct vcpu_register_vcpu_info info = {.mfn = frame, .offset = offset};

    return hypercall_vcpu_op(VCPUOP_register_vcpu_info, 0, &info);
}

/*
 * Background: A vcpu_info lies within one page of the guest, aligned as its longest field.
 * Provoked by: a vcpu_info over the end of its page; one behind it; one that is not aligned; one in a
 * frame that the guest does not have.
 * Expected: -ENXIO, -ENXIO (since 4.18 -EINVAL), -ENXIO, all of them -EINVAL before 4.16; -EINVAL.
 * Source: vcpu.h (VCPUOP_register_vcpu_info); common/domain.c, map_vcpu_info().
 */
TEST(vcpu_register_info_refused, EVENTS, "a vcpu_info that cannot be there: ENXIO, EINVAL",
     .needs = "pv|hvm|arm")
{
    uint64_t frame = arch_frame(vcpu_info_page);

    long over_end = register_vcpu_info(frame, PAGE_BYTES - sizeof(struct vcpu_info) + 8);
    long behind = register_vcpu_info(frame, PAGE_BYTES);
    long not_aligned = register_vcpu_info(frame, 1);

    if (RELEASE_IS_AT_LEAST(4, 16)) {
        CHECK_ERRNO(over_end, ENXIO);
        CHECK_ERRNO(not_aligned, ENXIO);
    } else {
        CHECK_ERRNO(over_end, EINVAL);
        CHECK_ERRNO(not_aligned, EINVAL);
    }
    if (RELEASE_IS_AT_LEAST(4, 16) && !RELEASE_IS_AT_LEAST(4, 18))
        CHECK_ERRNO(behind, ENXIO);
    else
        CHECK_ERRNO(behind, EINVAL);
    CHECK_ERRNO(register_vcpu_info(~0ull >> 12, 0), EINVAL);
}

/*
 * Background: A vcpu_info may move out of shared_info once. What was in it moves along, and
 * everything is marked as pending, so that no event gets lost on the way.
 * Provoked by: the move; an event afterwards; a second move.
 * Expected: an upcall pending in the new place, with all words selected; the event arrives by the
 * new place and leaves the old one alone; -EINVAL (since 4.18 -EBUSY). The kernel uses the new place from then on.
 * Source: vcpu.h (VCPUOP_register_vcpu_info); common/domain.c, map_vcpu_info().
 */
TEST(vcpu_register_info, EVENTS, "vcpu_info can be moved once, and events follow it",
     .needs = "pv|hvm|arm")
{
    struct vcpu_info *moved = (struct vcpu_info *)(vcpu_info_page + 256);
    struct vcpu_info *left = boot_info.vcpu_info;
    evtchn_port_t one, other;

    event_loopback(&one, &other);
    arch_events_disable();
    memset(vcpu_info_page, 0xff, sizeof(vcpu_info_page));
    CHECK_EQ(register_vcpu_info(arch_frame(vcpu_info_page), 256), 0);
    boot_info.vcpu_info = moved;
    CHECK(*(volatile uint8_t *)&moved->evtchn_upcall_pending != 0);
    CHECK_EQ(*(volatile xen_ulong_t *)&moved->evtchn_pending_sel, ~(xen_ulong_t)0);
    CHECK(!arch_events_enabled());
    arch_events_enable();

    *(volatile xen_ulong_t *)&left->evtchn_pending_sel = 0;
    CHECK_EQ(event_bind(one, NULL, NULL), 0);
    CHECK_EQ(event_send(other), 0);
    CHECK(event_wait(one, 1, EVENT_LIMIT));
    CHECK_EQ(*(volatile xen_ulong_t *)&left->evtchn_pending_sel, 0);

    if (RELEASE_IS_AT_LEAST(4, 18))
        CHECK_ERRNO(register_vcpu_info(arch_frame(vcpu_info_page), 0), EBUSY);
    else
        CHECK_ERRNO(register_vcpu_info(arch_frame(vcpu_info_page), 0), EINVAL);
}
