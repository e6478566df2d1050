/*
 * platform_op: what the control domain may do to the machine: set its clock, send it to sleep.
 */
#include <platform.h>
#include <string.h>
#include <timing.h>

#include "common.h"

#ifdef XENPF_settime64
static struct xen_platform_op request;

static long platform_op(unsigned int command)
{
    request.cmd = command;
    request.interface_version = XENPF_INTERFACE_VERSION;
    return arch_hypercall(__HYPERVISOR_platform_op, arch_guest_address(&request), 0, 0, 0, 0);
}

static long set_time(uint64_t seconds, uint32_t nanoseconds, uint32_t must_be_zero)
{
    memset(&request, 0, sizeof(request));
    request.u.settime64.secs = seconds;
    request.u.settime64.nsecs = nanoseconds;
    request.u.settime64.mbz = must_be_zero;
    return platform_op(XENPF_settime64);
}

/*
 * Background: dom0 sets the wallclock that all domains see, as the time at some system time.
 * Provoked by: a time set as that of system time 0, and the old one put back; a field that must be
 * zero.
 * Expected: the record in shared_info says so, under another, even version; -EINVAL. (A guest on
 * Arm sees seconds that its own start adds.)
 * Source: platform.h (XENPF_settime64); common/time.c, do_settime().
 */
TEST(platform_settime, TIME, "dom0 sets the wallclock", .needs = "pv|hvm|arm dom0")
{
    const volatile struct shared_info *shared = boot_info.shared_info;
    uint32_t version = shared->wc_version, before = shared->wc_sec, nanoseconds = shared->wc_nsec;

    CHECK_EQ(set_time(1600000000, 123456789, 0), 0);
    uint32_t seconds = shared->wc_sec;
    CHECK_EQ(shared->wc_nsec, 123456789);
    CHECK(shared->wc_version != version && shared->wc_version % 2 == 0);
    CHECK_EQ(set_time(before, nanoseconds, 0), 0);
    CHECK(seconds <= 1600000000 && seconds > 1600000000 - 1000);
    CHECK_EQ(shared->wc_nsec, nanoseconds);
    CHECK_ERRNO(set_time(1600000000, 0, 1), EINVAL);
}

#ifdef XENPF_settime32
/*
 * Background: The older form of the command has seconds that end in 2106.
 * Provoked by: a time set as that of system time 0, and the old one put back.
 * Expected: the record in shared_info says so.
 * Source: platform.h (XENPF_settime32); arch/x86/platform_hypercall.c.
 */
TEST(platform_settime32, TIME, "dom0 sets the wallclock in the older form", .needs = "pv|hvm dom0")
{
    const volatile struct shared_info *shared = boot_info.shared_info;
    uint32_t before = shared->wc_sec, nanoseconds = shared->wc_nsec;

    memset(&request, 0, sizeof(request));
    request.u.settime32.secs = 1600000000;
    request.u.settime32.nsecs = 987654321;
    CHECK_EQ(platform_op(XENPF_settime32), 0);
    uint32_t seconds = shared->wc_sec, rest = shared->wc_nsec;
    CHECK_EQ(set_time(before, nanoseconds, 0), 0);
    CHECK_EQ(seconds, 1600000000);
    CHECK_EQ(rest, 987654321);
}
#endif

/*
 * Background: The interface may change with a release; each call names the version it means.
 * Provoked by: an interface version that there never was; an argument at no address; a command that
 * does not exist.
 * Expected: -EACCES; -EFAULT; -ENOSYS.
 * Source: platform.h (XENPF_INTERFACE_VERSION); do_platform_op() of the architecture.
 */
TEST(platform_refused, CONTROL, "platform_op of another version: EACCES; unknown: ENOSYS",
     .needs = "pv|hvm|arm dom0")
{
    unsigned long nowhere = arch_guest_address(arch_unmapped_pointer());

    memset(&request, 0, sizeof(request));
    request.cmd = XENPF_settime64;
    request.interface_version = XENPF_INTERFACE_VERSION + 1;
    CHECK_ERRNO(arch_hypercall(__HYPERVISOR_platform_op, arch_guest_address(&request), 0, 0, 0, 0),
                EACCES);
    CHECK_ERRNO(arch_hypercall(__HYPERVISOR_platform_op, nowhere, 0, 0, 0, 0), EFAULT);
    CHECK_ERRNO(platform_op(9999), ENOSYS);
}

/*
 * Background: Only the control domain controls the machine.
 * Provoked by: a domU sets the wallclock.
 * Expected: -EPERM.
 * Source: xsm/dummy.h, xsm_platform_op().
 */
TEST(platform_denied, CONTROL, "platform_op from a domU is refused with EPERM",
     .needs = "pv|hvm|arm domu")
{
    CHECK_ERRNO(set_time(1600000000, 0, 0), EPERM);
}

#ifdef XENPF_enter_acpi_sleep
#define SLEEP_ENABLE (1u << 13)

static long acpi_sleep(uint32_t state, uint16_t first, uint16_t second, uint32_t flags)
{
    memset(&request, 0, sizeof(request));
    request.u.enter_acpi_sleep.sleep_state = state;
    request.u.enter_acpi_sleep.val_a = first;
    request.u.enter_acpi_sleep.val_b = second;
    request.u.enter_acpi_sleep.flags = flags;
    return platform_op(XENPF_enter_acpi_sleep);
}

/*
 * Background: Two registers start the sleep together, each with a bit for it.
 * Provoked by: two register values of which only one starts the sleep; a flag that does not exist.
 * Expected: -EINVAL for both, and the machine stays awake.
 * Source: platform.h (XENPF_enter_acpi_sleep); arch/x86/acpi/power.c, acpi_enter_sleep().
 */
TEST(acpi_sleep_refused, POWER, "a sleep that contradicts itself is refused with EINVAL",
     .needs = "pv|hvm dom0")
{
    CHECK_ERRNO(acpi_sleep(5, SLEEP_ENABLE, 1, 0), EINVAL);
    CHECK_ERRNO(acpi_sleep(5, SLEEP_ENABLE, 0, 2), EINVAL);
}

/*
 * Background: dom0 reads from the firmware what to write where to switch the machine off, and has
 * Xen do it.
 * Provoked by: state S5 with sleep type 0, which is what the firmware of emulated PCs says.
 * Expected: the machine is off.
 * Source: platform.h (XENPF_enter_acpi_sleep); arch/x86/acpi/power.c, enter_state().
 */
TEST(acpi_power_off, POWER, "dom0 switches the machine off by ACPI",
     .needs = "pv|hvm dom0 slow observed-end", .ends = "poweroff")
{
    long rc = acpi_sleep(5, SLEEP_ENABLE, 0, 0);

    wait_for(SECONDS(1));
    FAIL("the machine is still on, the call returned %ld", rc);
}
#endif
#endif
