/*
 * sysctl about processors of x86: what CPUID says, starting and stopping, power states, shared caches.
 */
#include "instructions.h"
#include "processors.h"
#include "sysctl_request.h"

/* ---- What CPUID says ---- */

/* Words of a set that there may be: more than any release has. */
#define WORDS 64

static long featureset(uint32_t index, uint32_t room, uint32_t *words)
{
    sysctl_prepare();
    request.u.cpu_featureset.index = index;
    request.u.cpu_featureset.nr_features = room;
    handle_set(request.u.cpu_featureset.features, words);
    return sysctl(XEN_SYSCTL_get_cpu_featureset);
}

static void check_subset(uint32_t small, uint32_t large)
{
    static uint32_t less[WORDS], more[WORDS];

    CHECK_EQ(featureset(small, WORDS, less), 0);
    CHECK_EQ(featureset(large, WORDS, more), 0);
    for (uint32_t i = 0; i < request.u.cpu_featureset.nr_features; i++)
        if (less[i] & ~more[i])
            FAIL("word %u of set %u has %#x beyond set %u", i, small, less[i] & ~more[i], large);
}

/*
 * Background: Tools decide from sets of features what a guest will see.
 * Provoked by: how many words a set has; each set; the sets of what a guest gets against those of the most it may
 * get; a set with room for one word, and for all but one; one that does not exist; one that goes to no address.
 * Expected: some; each has them all, and the first word, that of leaf 1, says there is an FPU; nothing
 * beyond; -ENOBUFS with that word, -ENOBUFS; -EINVAL; -EFAULT.
 * Source: sysctl.h (XEN_SYSCTL_get_cpu_featureset); arch/x86/sysctl.c, arch_do_sysctl().
 */
TEST(sysctl_cpu_featureset, CONTROL, "dom0 is told the features that guests may have",
     .needs = "dom0")
{
    static uint32_t words[WORDS];
    uint32_t count, one[2] = {0, 0x55};

    CHECK_EQ(sysctl_plain(XEN_SYSCTL_get_cpu_featureset), 0);
    count = request.u.cpu_featureset.nr_features;
    CHECK(count >= 3 && count <= WORDS);
    for (uint32_t i = 0; i <= XEN_SYSCTL_cpu_featureset_hvm_max; i++) {
        CHECK_EQ(featureset(i, WORDS, words), 0);
        CHECK_EQ(request.u.cpu_featureset.nr_features, count);
        CHECK(words[0] & 1);
    }
    check_subset(XEN_SYSCTL_cpu_featureset_pv, XEN_SYSCTL_cpu_featureset_pv_max);
    check_subset(XEN_SYSCTL_cpu_featureset_hvm, XEN_SYSCTL_cpu_featureset_hvm_max);
    CHECK_ERRNO(featureset(XEN_SYSCTL_cpu_featureset_hvm_max, 1, one), ENOBUFS);
    CHECK_EQ(request.u.cpu_featureset.nr_features, 1);
    CHECK_EQ(one[0], words[0]);
    CHECK_EQ(one[1], 0x55);
    CHECK_ERRNO(featureset(XEN_SYSCTL_cpu_featureset_hvm_max, count - 1, words), ENOBUFS);
    CHECK_EQ(request.u.cpu_featureset.nr_features, count - 1);
    CHECK_ERRNO(featureset(XEN_SYSCTL_cpu_featureset_hvm_max + 1, WORDS, words), EINVAL);
    CHECK_ERRNO(featureset(0, WORDS, nowhere()), EFAULT);
}

#define LEAVES 256
#define MSRS 16

static xen_cpuid_leaf_t leaves[LEAVES];
static xen_msr_entry_t msrs[MSRS];

static long policy(uint32_t index, uint32_t leaf_room, uint32_t msr_room)
{
    sysctl_prepare();
    request.u.cpu_policy.index = index;
    request.u.cpu_policy.nr_leaves = leaf_room;
    request.u.cpu_policy.nr_msrs = msr_room;
    handle_set(request.u.cpu_policy.leaves, leaves);
    handle_set(request.u.cpu_policy.msrs, msrs);
    return sysctl(XEN_SYSCTL_get_cpu_policy);
}

static const xen_cpuid_leaf_t *find_leaf(uint32_t leaf)
{
    for (uint32_t i = 0; i < request.u.cpu_policy.nr_leaves; i++)
        if (leaves[i].leaf == leaf)
            return &leaves[i];
    FAIL("leaf %#x is missing", leaf);
}

/*
 * Background: The same with all leaves of CPUID and the registers that go with them.
 * Provoked by: how many there can be; those of each kind of guest; room for just as many, and for one less, of leaves and of
 * registers; a kind that does not exist; a member that must be zero.
 * Expected: no more than that, the vendor that this processor has, and in leaf 1 what the set of
 * features of the machine has; 0, -ENOBUFS; -EINVAL; -EINVAL.
 * Source: sysctl.h (XEN_SYSCTL_get_cpu_policy); arch/x86/sysctl.c, arch_do_sysctl().
 */
TEST(sysctl_cpu_policy, CONTROL, "dom0 is told the CPUID leaves that guests may have",
     .needs = "dom0")
{
    struct cpuid vendor = cpuid(0);
    static uint32_t words[WORDS];
    uint32_t leaf_limit, msr_limit, leaf_count, msr_count;

    CHECK_EQ(sysctl_plain(XEN_SYSCTL_get_cpu_policy), 0);
    leaf_limit = request.u.cpu_policy.nr_leaves;
    msr_limit = request.u.cpu_policy.nr_msrs;
    CHECK(leaf_limit > 1 && leaf_limit <= LEAVES);
    CHECK(msr_limit >= 1 && msr_limit <= MSRS);
    for (uint32_t i = 0; i <= XEN_SYSCTL_cpu_policy_hvm_default; i++) {
        CHECK_EQ(policy(i, leaf_limit, msr_limit), 0);
        CHECK(request.u.cpu_policy.nr_leaves <= leaf_limit);
        CHECK(request.u.cpu_policy.nr_msrs <= msr_limit);
        const xen_cpuid_leaf_t *first = find_leaf(0);

        CHECK(first->b == vendor.b && first->c == vendor.c && first->d == vendor.d);
        CHECK(find_leaf(1)->d & 1);
    }
    CHECK_EQ(featureset(XEN_SYSCTL_cpu_featureset_host, WORDS, words), 0);
    CHECK_EQ(policy(XEN_SYSCTL_cpu_policy_host, leaf_limit, msr_limit), 0);
    CHECK_EQ(find_leaf(1)->d, words[0]);
    CHECK_EQ(find_leaf(1)->c, words[1]);
    leaf_count = request.u.cpu_policy.nr_leaves;
    msr_count = request.u.cpu_policy.nr_msrs;
    CHECK_EQ(policy(XEN_SYSCTL_cpu_policy_host, leaf_count, msr_count), 0);
    CHECK_EQ(request.u.cpu_policy.nr_leaves, leaf_count);
    CHECK_EQ(request.u.cpu_policy.nr_msrs, msr_count);
    CHECK_ERRNO(policy(XEN_SYSCTL_cpu_policy_host, leaf_count - 1, msr_count), ENOBUFS);
    CHECK_ERRNO(policy(XEN_SYSCTL_cpu_policy_host, leaf_count, msr_count - 1), ENOBUFS);
    CHECK_ERRNO(policy(XEN_SYSCTL_cpu_policy_hvm_default + 1, leaf_limit, msr_limit), EINVAL);
    sysctl_prepare();
    request.u.cpu_policy._rsvd = 1;
    CHECK_ERRNO(sysctl(XEN_SYSCTL_get_cpu_policy), EINVAL);
}

#ifdef XEN_SYSCTL_get_cpu_levelling_caps
/*
 * Background: Processors can hide features from PV guests, in ways that differ.
 * Provoked by: which ways this processor has.
 * Expected: only such as there are.
 * Source: sysctl.h (XEN_SYSCTL_get_cpu_levelling_caps); arch/x86/sysctl.c, arch_do_sysctl().
 */
TEST(sysctl_cpu_levelling_caps, CONTROL, "dom0 is told what can be hidden from PV guests",
     .needs = "dom0")
{
    const uint32_t known = (XEN_SYSCTL_CPU_LEVELCAP_l7s0_ebx << 1) - 1;

    sysctl_prepare();
    request.u.cpu_levelling_caps.caps = ~known;
    CHECK_EQ(sysctl(XEN_SYSCTL_get_cpu_levelling_caps), 0);
    CHECK_EQ(request.u.cpu_levelling_caps.caps & ~known, 0);
}
#endif

/* ---- Starting and stopping ---- */

static long hotplug(uint32_t operation, uint32_t cpu)
{
    sysctl_prepare();
    request.u.cpu_hotplug.op = operation;
    request.u.cpu_hotplug.cpu = cpu;
    return sysctl(XEN_SYSCTL_cpu_hotplug);
}

/*
 * Background: Processors are started and stopped while Xen runs; number 0 always runs.
 * Provoked by: number 0 started, and stopped; one that does not exist started, and stopped; second
 * threads, where there are none, started and stopped; a command that does not exist.
 * Expected: -EEXIST, -EINVAL; -EINVAL; -EOPNOTSUPP; -EOPNOTSUPP.
 * Source: sysctl.h (XEN_SYSCTL_cpu_hotplug); arch/x86/sysctl.c, cpu_up_helper(); common/cpu.c.
 */
TEST(sysctl_cpu_hotplug_refused, CONTROL, "processors that cannot be started or stopped",
     .needs = "dom0")
{
    CHECK_ERRNO(hotplug(XEN_SYSCTL_CPU_HOTPLUG_ONLINE, 0), EEXIST);
    CHECK_ERRNO(hotplug(XEN_SYSCTL_CPU_HOTPLUG_OFFLINE, 0), EINVAL);
    CHECK_ERRNO(hotplug(XEN_SYSCTL_CPU_HOTPLUG_ONLINE, NO_CPU), EINVAL);
    CHECK_ERRNO(hotplug(XEN_SYSCTL_CPU_HOTPLUG_OFFLINE, NO_CPU), EINVAL);
    CHECK_EQ(sysctl_plain(XEN_SYSCTL_physinfo), 0);
    if (request.u.physinfo.threads_per_core == 1) {
        CHECK_ERRNO(hotplug(XEN_SYSCTL_CPU_HOTPLUG_SMT_ENABLE, 0), EOPNOTSUPP);
        CHECK_ERRNO(hotplug(XEN_SYSCTL_CPU_HOTPLUG_SMT_DISABLE, 0), EOPNOTSUPP);
    }
    CHECK_ERRNO(hotplug(XEN_SYSCTL_CPU_HOTPLUG_SMT_DISABLE + 1, 0), EOPNOTSUPP);
}

static uint32_t processors(void)
{
    CHECK_EQ(sysctl_plain(XEN_SYSCTL_physinfo), 0);
    return request.u.physinfo.nr_cpus;
}

/*
 * Background: The same as by platform_op, but what is so already is refused.
 * Provoked by: the second processor stopped, twice, and started, twice.
 * Expected: 0, -EEXIST, both times; one processor less in between.
 * Source: sysctl.h (XEN_SYSCTL_cpu_hotplug); arch/x86/sysctl.c; common/cpu.c, cpu_down(), cpu_up().
 */
TEST(sysctl_cpu_hotplug, CONTROL, "a tool stops the second processor and starts it again",
     .needs = "dom0 second-processor")
{
    uint32_t before = processors();

    CHECK_EQ(hotplug(XEN_SYSCTL_CPU_HOTPLUG_OFFLINE, SECOND_CPU), 0);
    CHECK_EQ(processors(), before - 1);
    CHECK_ERRNO(hotplug(XEN_SYSCTL_CPU_HOTPLUG_OFFLINE, SECOND_CPU), EEXIST);
    CHECK_EQ(hotplug(XEN_SYSCTL_CPU_HOTPLUG_ONLINE, SECOND_CPU), 0);
    CHECK_EQ(processors(), before);
    CHECK_ERRNO(hotplug(XEN_SYSCTL_CPU_HOTPLUG_ONLINE, SECOND_CPU), EEXIST);
}

/* ---- Power states ---- */

static long power_statistics(uint32_t type, uint32_t cpu)
{
    sysctl_prepare();
    request.u.get_pmstat.type = type;
    request.u.get_pmstat.cpuid = cpu;
    return sysctl(XEN_SYSCTL_get_pmstat);
}

static long power_op(uint32_t command, uint32_t cpu, uint32_t value)
{
    sysctl_prepare();
    request.u.pm_op.cmd = command;
    request.u.pm_op.cpuid = cpu;
    request.u.pm_op.u.set_max_cstate = value;
    return sysctl(XEN_SYSCTL_pm_op);
}

/*
 * Background: Xen knows the power states of a processor when the control domain has read them from the
 * firmware and handed them on, which here it has not.
 * Provoked by: the speeds and sleeps of processor 0; of one that does not exist; another kind of state.
 * Expected: speeds: -EINVAL, since nobody told them, or -ENODEV, since Xen controls none; sleeps: no
 * more than a few, or -ENODEV; -EINVAL; -ENODEV.
 * Source: sysctl.h (XEN_SYSCTL_get_pmstat); drivers/acpi/pmstat.c, do_get_pm_info().
 */
TEST(sysctl_get_pmstat, CONTROL, "power states that nobody told Xen of", .needs = "dom0")
{
    long rc = power_statistics(PMSTAT_get_max_px, 0);

    if (rc != -XEN_ENODEV)
        CHECK_ERRNO(rc, EINVAL);
    rc = power_statistics(PMSTAT_get_max_cx, 0);
    if (rc == 0)
        CHECK(request.u.get_pmstat.u.getcx.nr <= 16);
    else
        CHECK_ERRNO(rc, ENODEV);
    CHECK_ERRNO(power_statistics(PMSTAT_get_max_px, NO_CPU), EINVAL);
    CHECK_ERRNO(power_statistics(0, 0), ENODEV);
}

/*
 * Background: Deep sleeps save power and cost time; Xen can be told to use only some.
 * Provoked by: the limit asked for, set, asked for, and put back; a limit of something that has none.
 * Expected: the new limit; -EINVAL.
 * Source: sysctl.h (XEN_SYSCTL_pm_op); drivers/acpi/pmstat.c, do_pm_op().
 */
TEST(sysctl_cstate_limit, CONTROL, "dom0 limits how deep processors sleep", .needs = "dom0")
{
    uint32_t old;

    CHECK_EQ(power_op(XEN_SYSCTL_pm_op_get_max_cstate, 0, 0), 0);
    old = request.u.pm_op.u.get_max_cstate;
    CHECK_EQ(power_op(XEN_SYSCTL_pm_op_set_max_cstate, 0, 1), 0);
    CHECK_EQ(power_op(XEN_SYSCTL_pm_op_get_max_cstate, 0, 0), 0);
    CHECK_EQ(request.u.pm_op.u.get_max_cstate, 1);
    CHECK_EQ(power_op(XEN_SYSCTL_pm_op_set_max_cstate, 0, old), 0);
    CHECK_EQ(power_op(XEN_SYSCTL_pm_op_get_max_cstate, 0, 0), 0);
    CHECK_EQ(request.u.pm_op.u.get_max_cstate, old);
    CHECK_ERRNO(power_op(XEN_SYSCTL_pm_op_get_max_cstate, 2, 0), EINVAL);
    CHECK_ERRNO(power_op(XEN_SYSCTL_pm_op_set_max_cstate, 2, 0), EINVAL);
}

/*
 * Background: The other power commands.
 * Provoked by: threads of a core filled first, twice, and not, for processor 0 and another; the speeds of a processor
 * nobody told about; speeds above the nominal one; a processor and a command that do not exist.
 * Expected: the old value each time, -EINVAL; -EINVAL or -ENODEV; -EACCES; -EINVAL, -ENOSYS.
 * Source: sysctl.h (XEN_SYSCTL_pm_op); drivers/acpi/pmstat.c, do_pm_op().
 */
TEST(sysctl_pm_op, CONTROL, "power settings that are there, and those that are not",
     .needs = "dom0")
{
    uint32_t old;
    long rc;

    CHECK_EQ(power_op(XEN_SYSCTL_pm_op_set_sched_opt_smt, 0, 5), 0);
    old = request.u.pm_op.u.set_sched_opt_smt;
    CHECK(old <= 1);
    CHECK_EQ(power_op(XEN_SYSCTL_pm_op_set_sched_opt_smt, 0, 0), 0);
    CHECK_EQ(request.u.pm_op.u.set_sched_opt_smt, 1);
    CHECK_EQ(power_op(XEN_SYSCTL_pm_op_set_sched_opt_smt, 0, old), 0);
    CHECK_EQ(request.u.pm_op.u.set_sched_opt_smt, 0);
    CHECK_ERRNO(power_op(XEN_SYSCTL_pm_op_set_sched_opt_smt, 1, 0), EINVAL);

    rc = power_op(GET_CPUFREQ_PARA, 0, 0);
    if (rc != -XEN_ENODEV)
        CHECK_ERRNO(rc, EINVAL);
    CHECK_ERRNO(power_op(XEN_SYSCTL_pm_op_enable_turbo, 0, 0), EACCES);
    CHECK_ERRNO(power_op(XEN_SYSCTL_pm_op_disable_turbo, 0, 0), EACCES);
    CHECK_ERRNO(power_op(XEN_SYSCTL_pm_op_enable_turbo, NO_CPU, 0), EINVAL);
    CHECK_ERRNO(power_op(0x2f, 0, 0), ENOSYS);
}

/* ---- Shared caches and bandwidth ---- */

static long monitoring(uint32_t command, uint32_t flags)
{
    sysctl_prepare();
    request.u.psr_cmt_op.cmd = command;
    request.u.psr_cmt_op.flags = flags;
    return sysctl(XEN_SYSCTL_psr_cmt_op);
}

/*
 * Background: Some processors tell how much of a cache each guest uses, if Xen is told to use that.
 * Provoked by: whether it does; a member that must be zero.
 * Expected: 0 or 1, and -EINVAL; or -ENODEV both times.
 * Source: sysctl.h (XEN_SYSCTL_psr_cmt_op); arch/x86/sysctl.c, arch_do_sysctl().
 */
TEST(sysctl_psr_cmt, CONTROL, "cache monitoring is told, or not in use: ENODEV", .needs = "dom0")
{
    long rc = monitoring(XEN_SYSCTL_PSR_CMT_enabled, 0);

    if (rc == 0) {
        CHECK(request.u.psr_cmt_op.u.data <= 1);
        CHECK_ERRNO(monitoring(XEN_SYSCTL_PSR_CMT_enabled, 1), EINVAL);
    } else {
        CHECK_ERRNO(rc, ENODEV);
        CHECK_ERRNO(monitoring(XEN_SYSCTL_PSR_CMT_enabled, 1), ENODEV);
    }
}

/*
 * Background: Some processors share their caches and the way to the memory out among guests.
 * Provoked by: each kind of share of socket 0; a command that does not exist.
 * Expected: what there is; or -ENODEV if Xen was not told to use that, -ENOENT if it is not there,
 * -EOPNOTSUPP if Xen was built without (since 4.20); -EOPNOTSUPP.
 * Source: sysctl.h (XEN_SYSCTL_psr_alloc); arch/x86/psr.c, psr_get_info().
 */
TEST(sysctl_psr_alloc, CONTROL, "shares of caches are told, or not in use: ENODEV", .needs = "dom0")
{
    for (uint32_t i = XEN_SYSCTL_PSR_get_l3_info; i <= XEN_SYSCTL_PSR_get_mba_info; i++) {
        sysctl_prepare();
        request.u.psr_alloc.cmd = i;

        long rc = sysctl(XEN_SYSCTL_psr_alloc);

        if (rc == 0)
            CHECK(request.u.psr_alloc.u.cat_info.cos_max > 0);
        else if (rc != -XEN_ENODEV && (rc != -XEN_EOPNOTSUPP || !RELEASE_IS_AT_LEAST(4, 20)))
            CHECK_ERRNO(rc, ENOENT);
    }
    sysctl_prepare();
    request.u.psr_alloc.cmd = XEN_SYSCTL_PSR_get_mba_info + 1;
    CHECK_ERRNO(sysctl(XEN_SYSCTL_psr_alloc), EOPNOTSUPP);
}
