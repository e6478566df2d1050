/*
 * xenpmu_op and xenoprof_op: performance counters of the processor.
 */
#include <pmu.h>
#include <string.h>
#include <vcpu.h>
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
 * -EINVAL.
 * Source: xenoprof.h; common/xenoprof.c, do_xenoprof_op().
 */
TEST(xenoprof_commands, CONTROL, "profiling, or a processor that cannot: ENODEV",
     .needs = "pv !no-profiling")
{
    static struct xenoprof_init init;
    long rc = profile(XENOPROF_init, &init);

    if (rc == 0) {
        CHECK(init.num_events > 0);
        return;
    }
    CHECK_ERRNO(rc, ENODEV);
    for (int command = XENOPROF_init + 1; command <= XENOPROF_ibs_counter; command++)
        if (command != XENOPROF_get_buffer)
            CHECK_ERRNO(profile(command, nowhere()), EPERM);
    CHECK_ERRNO(profile(99, nowhere()), EINVAL);
}

static int32_t count_vcpus(void)
{
    int32_t count = 0;
    long rc;

    while ((rc = hypercall_vcpu_op(VCPUOP_is_up, (unsigned int)count, NULL)) >= 0)
        count++;
    CHECK_ERRNO(rc, ENOENT);
    return count;
}

/*
 * Background: Each domain that is profiled has buffers for its samples.
 * Provoked by: the buffers of this domain, for ten samples.
 * Expected: one for each vcpu, as large as that needs, somewhere.
 * Source: xenoprof.h (XENOPROF_get_buffer); common/xenoprof.c, xenoprof_op_get_buffer(), alloc_xenoprof_struct().
 */
TEST(xenoprof_buffers, CONTROL, "a PV guest gets buffers for samples", .needs = "pv !no-profiling")
{
    struct xenoprof_get_buffer buffer = {.max_samples = 10};

    CHECK_EQ(profile(XENOPROF_get_buffer, &buffer), 0);
    CHECK_EQ(buffer.nbuf, count_vcpus());
    CHECK_EQ(buffer.bufsize, (int)(sizeof(struct xenoprof_buf) + 9 * sizeof(struct event_log)));
    CHECK(buffer.buf_gmaddr != 0);
}

/*
 * Background: See xenoprof_buffers.
 * Provoked by: an argument at no address.
 * Expected: -EFAULT; -ENOSYS where Xen is built without profiling.
 * Source: common/xenoprof.c, xenoprof_op_get_buffer().
 */
TEST(xenoprof_buffers_refused, CONTROL, "buffers for samples are told where nothing is: EFAULT",
     .needs = "pv")
{
    long rc = profile(XENOPROF_get_buffer, nowhere());

    if (rc != -XEN_ENOSYS)
        CHECK_ERRNO(rc, EFAULT);
}
#endif
