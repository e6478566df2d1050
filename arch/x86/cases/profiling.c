/*
 * xenpmu_op and xenoprof_op: performance counters of the processor.
 */
#include <pmu.h>
#include <string.h>
#include <xenoprof.h>

#include "common.h"

static long pmu_op(unsigned int command, void *argument)
{
    return arch_hypercall(__HYPERVISOR_xenpmu_op, command, arch_guest_address(argument), 0, 0, 0);
}

/*
 * Background: Guests may have counters if Xen's command line says so and Xen knows the processor's.
 * Provoked by: every command.
 * Expected: -EOPNOTSUPP each time; with counters, the control domain is told the mode, and others -EPERM.
 * Source: pmu.h; arch/x86/cpu/vpmu.c, do_xenpmu_op().
 */
TEST(pmu_commands, CONTROL, "performance counters are told, or not in use: EOPNOTSUPP")
{
    static struct xen_pmu_params params;
    long rc = pmu_op(XENPMU_mode_get, &params);

    if (rc == 0)
        CHECK_EQ(params.version.maj, XENPMU_VER_MAJ);
    if (rc == 0 || rc == -XEN_EPERM)
        return;
    for (unsigned int command = XENPMU_mode_get; command <= XENPMU_flush; command++) {
        memset(&params, 0, sizeof(params));
        CHECK_ERRNO(pmu_op(command, &params), EOPNOTSUPP);
    }
}

#ifdef XENOPROF_init
static long profile(int command, void *argument)
{
    return arch_hypercall(__HYPERVISOR_xenoprof_op, (unsigned long)command,
                          arch_guest_address(argument), 0, 0, 0);
}

/*
 * Background: OProfile once profiled Xen by the counters of the processor.
 * Provoked by: counters and control asked for; every other command but the one for buffers; a command that does not
 * exist.
 * Expected: 0, or -ENODEV where Xen does not know the processor's counters; then nobody has control: -EPERM;
 * -EINVAL. Where it is not built -ENOSYS each time.
 * Source: xenoprof.h; common/xenoprof.c, do_xenoprof_op().
 */
TEST(xenoprof_commands, CONTROL, "profiling, or a processor that cannot: ENODEV", .needs = "pv")
{
    static struct xenoprof_init init;
    long rc = profile(XENOPROF_init, &init);

    if (rc == 0) {
        CHECK(init.num_events > 0);
        return;
    }
    if (rc != -XEN_ENOSYS)
        CHECK_ERRNO(rc, ENODEV);
    for (int command = XENOPROF_init + 1; command <= XENOPROF_ibs_counter; command++)
        if (command != XENOPROF_get_buffer)
            CHECK_EQ(profile(command, nowhere()), rc == -XEN_ENOSYS ? rc : -XEN_EPERM);
    CHECK_EQ(profile(99, nowhere()), rc == -XEN_ENOSYS ? rc : -XEN_EINVAL);
}

/*
 * Background: Each domain that is profiled has buffers for its samples.
 * Provoked by: the buffers of this domain, for ten samples; an argument at no address.
 * Expected: one for each vcpu, with a size, somewhere; -EFAULT. Where it is not built -ENOSYS.
 * Source: xenoprof.h (XENOPROF_get_buffer); common/xenoprof.c, xenoprof_op_get_buffer().
 */
TEST(xenoprof_buffers, CONTROL, "a PV guest gets buffers for samples", .needs = "pv")
{
    static struct xenoprof_get_buffer buffer;
    long rc;

    buffer.max_samples = 10;
    rc = profile(XENOPROF_get_buffer, &buffer);
    if (rc == -XEN_ENOSYS)
        return;
    CHECK_EQ(rc, 0);
    CHECK(buffer.nbuf >= 1);
    CHECK(buffer.bufsize > 0);
    CHECK(buffer.buf_gmaddr != 0);
    CHECK_ERRNO(profile(XENOPROF_get_buffer, nowhere()), EFAULT);
}
#endif
