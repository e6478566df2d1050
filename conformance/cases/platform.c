/*
 * platform_op: what the control domain may do to the machine: set its clock. For its sleep see acpi_sleep.c.
 */
#include <platform.h>
#include <string.h>

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
#endif
