/*
 * mca: errors that the hardware reports.
 */
#include <arch-x86/xen-mca.h>
#include <string.h>

#include "common.h"
#include "instructions.h"
#include "processors.h"

static struct xen_mc request;
static struct mc_info records;

static void prepare(void)
{
    memset(&request, 0, sizeof(request));
}

static long mca(uint32_t command)
{
    request.cmd = command;
    request.interface_version = XEN_MCA_INTERFACE_VERSION;
    return arch_hypercall(__HYPERVISOR_mca, arch_guest_address(&request), 0, 0, 0, 0);
}

static long mca_plain(uint32_t command)
{
    prepare();
    return mca(command);
}

static long fetch(uint32_t flags, void *data)
{
    prepare();
    request.u.mc_fetch.flags = flags;
    handle_set(request.u.mc_fetch.data, data);
    return mca(XEN_MC_fetch);
}

/*
 * Background: dom0 fetches the errors that Xen has collected. Here none happens.
 * Provoked by: the oldest error of both kinds; neither kind, both kinds; no room for it.
 * Expected: none; -EINVAL; -EINVAL.
 * Source: arch-x86/xen-mca.h (XEN_MC_fetch); arch/x86/cpu/mcheck/mce.c, do_mca().
 */
TEST(mca_fetch, CONTROL, "dom0 fetches errors of the hardware, of which there are none",
     .needs = "pv dom0")
{
    CHECK_EQ(fetch(XEN_MC_NONURGENT, &records), 0);
    CHECK_EQ(request.u.mc_fetch.flags, XEN_MC_NODATA);
    CHECK_EQ(fetch(XEN_MC_URGENT, &records), 0);
    CHECK_EQ(request.u.mc_fetch.flags, XEN_MC_NODATA);
    CHECK_ERRNO(fetch(0, &records), EINVAL);
    CHECK_ERRNO(fetch(XEN_MC_NONURGENT | XEN_MC_URGENT, &records), EINVAL);
    CHECK_ERRNO(fetch(XEN_MC_NONURGENT, NULL), EINVAL);
}

/*
 * Background: An error names the processor by numbers that dom0 has to know.
 * Provoked by: how many processors there are; their numbers; room for one; room for none; a list at no address.
 * Expected: some; processor 0 first, with the maker that CPUID gives; one; -EINVAL; -EFAULT.
 * Source: arch-x86/xen-mca.h (XEN_MC_physcpuinfo); arch/x86/cpu/mcheck/mce.c, do_mca().
 */
TEST(mca_processors, CONTROL, "dom0 is told the processors that errors name", .needs = "pv dom0")
{
    static struct mcinfo_logical_cpu cpus[8];
    struct cpuid vendor = cpuid(0);
    uint32_t name[] = {vendor.b, vendor.d, vendor.c}, count;

    CHECK_EQ(mca_plain(XEN_MC_physcpuinfo), 0);
    count = request.u.mc_physcpuinfo.ncpus;
    CHECK(count >= 1 && count <= 8);
    prepare();
    request.u.mc_physcpuinfo.ncpus = 8;
    handle_set(request.u.mc_physcpuinfo.info, cpus);
    CHECK_EQ(mca(XEN_MC_physcpuinfo), 0);
    CHECK_EQ(request.u.mc_physcpuinfo.ncpus, count);
    CHECK_EQ(cpus[0].mc_cpunr, 0);
    CHECK_EQ(memcmp(cpus[0].mc_vendorid, name, sizeof(name)), 0);
    request.u.mc_physcpuinfo.ncpus = 1;
    CHECK_EQ(mca(XEN_MC_physcpuinfo), 0);
    CHECK_EQ(request.u.mc_physcpuinfo.ncpus, 1);
    request.u.mc_physcpuinfo.ncpus = 0;
    CHECK_ERRNO(mca(XEN_MC_physcpuinfo), EINVAL);
    request.u.mc_physcpuinfo.ncpus = 8;
    handle_set(request.u.mc_physcpuinfo.info, nowhere());
    CHECK_ERRNO(mca(XEN_MC_physcpuinfo), EFAULT);
}

/*
 * Background: Errors can be provoked, to try what happens.
 * Provoked by: errors on processors that do not exist, in each way; a command that was never served, and one that does not
 * exist; another version of the interface; an argument at no address.
 * Expected: -EINVAL, or -ENODEV where Xen does not use machine checks; -EINVAL; -EACCES; -EFAULT.
 * Source: arch-x86/xen-mca.h; arch/x86/cpu/mcheck/mce.c, do_mca().
 */
TEST(mca_refused, CONTROL, "errors on processors that there are not: EINVAL", .needs = "pv dom0")
{
    long rc;

    prepare();
    request.u.mc_msrinject.mcinj_cpunr = NO_CPU;
    rc = mca(XEN_MC_msrinject);
    if (rc != -XEN_ENODEV)
        CHECK_ERRNO(rc, EINVAL);
    prepare();
    request.u.mc_mceinject.mceinj_cpunr = NO_CPU;
    CHECK_EQ(mca(XEN_MC_mceinject), rc);
    CHECK_EQ(mca_plain(XEN_MC_inject_v2), rc);
    CHECK_ERRNO(mca_plain(XEN_MC_notifydomain), EINVAL);
    CHECK_ERRNO(mca_plain(99), EINVAL);
    request.cmd = XEN_MC_physcpuinfo;
    request.interface_version = XEN_MCA_INTERFACE_VERSION + 1;
    CHECK_ERRNO(arch_hypercall(__HYPERVISOR_mca, arch_guest_address(&request), 0, 0, 0, 0), EACCES);
    CHECK_ERRNO(arch_hypercall(__HYPERVISOR_mca, arch_guest_address(arch_unmapped_pointer()), 0, 0, 0,
                               0), EFAULT);
}

static long inject(uint32_t flags, uint64_t processors)
{
    static uint64_t bitmap;

    bitmap = processors;
    prepare();
    request.u.mc_inject_v2.flags = flags;
    request.u.mc_inject_v2.cpumap.nr_bits = 64;
    handle_set(request.u.mc_inject_v2.cpumap.bitmap, &bitmap);
    return mca(XEN_MC_inject_v2);
}

/*
 * Background: Errors are provoked by what registers are made to say, and by an exception.
 * Provoked by: no register on the processor that there is; one that has nothing to do with errors; the exception
 * there, on all processors, and on none; an unknown kind.
 * Expected: 0, -EINVAL; since no register tells of an error nothing comes of the exception, so 0, 0, and -EINVAL;
 * -EINVAL. -ENODEV for all where Xen does not use machine checks.
 * Source: arch-x86/xen-mca.h (XEN_MC_msrinject, XEN_MC_mceinject, XEN_MC_inject_v2); arch/x86/cpu/mcheck/mce.c,
 * do_mca().
 */
TEST(mca_inject, CONTROL, "dom0 provokes an exception without an error", .needs = "pv dom0")
{
    long rc = mca_plain(XEN_MC_msrinject);
    long refused = rc == 0 ? -XEN_EINVAL : rc;

    if (rc != -XEN_ENODEV)
        CHECK_EQ(rc, 0);
    prepare();
    request.u.mc_msrinject.mcinj_count = 1;
    CHECK_EQ(mca(XEN_MC_msrinject), refused);
    CHECK_EQ(mca_plain(XEN_MC_mceinject), rc);
    CHECK_EQ(inject(XEN_MC_INJECT_TYPE_MCE, 1), rc);
    CHECK_EQ(inject(XEN_MC_INJECT_TYPE_MCE | XEN_MC_INJECT_CPU_BROADCAST, 0), rc);
    CHECK_EQ(inject(XEN_MC_INJECT_TYPE_MCE, 0), refused);
    CHECK_EQ(inject(XEN_MC_INJECT_TYPE_MASK, 1), refused);
}

/*
 * Background: Errors of the machine are the control domain's business.
 * Provoked by: every command from a domU.
 * Expected: -EPERM.
 * Source: xsm/dummy.h, xsm_do_mca().
 */
TEST(mca_denied, CONTROL, "mca from a domU is refused with EPERM", .needs = "pv domu")
{
    for (uint32_t command = XEN_MC_fetch; command <= XEN_MC_inject_v2; command++)
        CHECK_ERRNO(mca_plain(command), EPERM);
}
