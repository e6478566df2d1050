/*
 * sysctl about schedulers and CPU pools.
 */
#include <version.h>

#include "sysctl_request.h"

#ifdef XEN_SYSCTL_cpupool_op
#define NO_POOL 0x7000
#define NO_CPU 0x7000
#define NO_SCHEDULER 99
#define ANY XEN_SYSCTL_CPUPOOL_PAR_ANY

static uint32_t boot_scheduler(void)
{
    CHECK_EQ(sysctl_plain(XEN_SYSCTL_sched_id), 0);
    return request.u.sched_id.sched_id;
}

static long pool_op(uint32_t op, uint32_t pool)
{
    request.u.cpupool_op.op = op;
    request.u.cpupool_op.cpupool_id = pool;
    return sysctl(XEN_SYSCTL_cpupool_op);
}

#define BEHIND 0x7f

#define PROCESSORS 512

static uint8_t processors[PROCESSORS / 8 + 1];        /* a byte more than Xen is told of */

/* Bits of the processors that the answer has. */
static unsigned int count_processors(void)
{
    unsigned int count = 0;

    for (unsigned int bit = 0; bit < PROCESSORS; bit++)
        count += processors[bit / 8] >> bit % 8 & 1;
    return count;
}

/* CREATE, INFO or FREEINFO, each from a fresh request with room for processors. */
static long pool_ask(uint32_t op, uint32_t pool, uint32_t scheduler)
{
    sysctl_prepare();
    memset(processors, 0, PROCESSORS / 8);
    processors[PROCESSORS / 8] = BEHIND;
    handle_set(request.u.cpupool_op.cpumap.bitmap, processors);
    request.u.cpupool_op.cpumap.nr_bits = PROCESSORS;
    request.u.cpupool_op.sched_id = scheduler;

    long rc = pool_op(op, pool);

    CHECK_EQ(processors[PROCESSORS / 8], BEHIND);
    return rc;
}

static long pool_cpu(uint32_t op, uint32_t pool, uint32_t cpu)
{
    sysctl_prepare();
    request.u.cpupool_op.cpu = cpu;
    return pool_op(op, pool);
}

static long pool_move(uint32_t pool, domid_t domain)
{
    sysctl_prepare();
    request.u.cpupool_op.domid = domain;
    return pool_op(XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN, pool);
}

/* Whether Xen was told to use this scheduler. */
static bool is_chosen(const char *name)
{
    static xen_commandline_t line;
    size_t length = strlen(name);

    memset(line, 0, sizeof(line));
    CHECK_EQ(hypercall_xen_version(XENVER_commandline, line), 0);
    for (const char *word = line; *word; word++)
        if (strncmp(word, "sched=", 6) == 0 && strncmp(word + 6, name, length) == 0 &&
            (word[6 + length] == ' ' || word[6 + length] == '\0'))
            return true;
    return false;
}

/*
 * Background: Xen has several schedulers and is told on its command line which to use.
 * Provoked by: the scheduler asked for; the one of CPU pool 0, which is made at boot.
 * Expected: the one that the command line names, if it does; the same.
 * Source: sysctl.h (XEN_SYSCTL_sched_id, XEN_SYSCTL_cpupool_op); common/sched/core.c, sched_id().
 */
TEST(sched_id, CONTROL, "dom0 is told the scheduler that Xen was started with", .needs = "dom0")
{
    uint32_t scheduler = boot_scheduler();

    if (is_chosen("credit"))
        CHECK_EQ(scheduler, XEN_SCHEDULER_CREDIT);
    if (is_chosen("credit2"))
        CHECK_EQ(scheduler, XEN_SCHEDULER_CREDIT2);
    if (is_chosen("rtds"))
        CHECK_EQ(scheduler, XEN_SCHEDULER_RTDS);
    if (is_chosen("null"))
        CHECK_EQ(scheduler, XEN_SCHEDULER_NULL);
    CHECK(scheduler >= XEN_SCHEDULER_CREDIT && scheduler <= XEN_SCHEDULER_NULL);
    CHECK_EQ(pool_ask(XEN_SYSCTL_CPUPOOL_OP_INFO, 0, 0), 0);
    CHECK_EQ(request.u.cpupool_op.sched_id, scheduler);
}

static long adjust(uint32_t command, uint32_t pool, uint32_t scheduler)
{
    request.u.scheduler_op.cpupool_id = pool;
    request.u.scheduler_op.sched_id = scheduler;
    request.u.scheduler_op.cmd = command;
    return sysctl(XEN_SYSCTL_scheduler_op);
}

/*
 * Background: Schedulers have parameters, for all domains of a CPU pool.
 * Provoked by: the parameters of pool 0 asked for; another command; a pool that does not exist; another
 * scheduler than the pool's.
 * Expected: 0; -EINVAL; -ESRCH; -EINVAL.
 * Source: sysctl.h (XEN_SYSCTL_scheduler_op); common/sched/core.c, sched_adjust_global().
 */
TEST(sched_parameters_asked, CONTROL, "dom0 asks for the parameters of the scheduler", .needs = "dom0")
{
    uint32_t scheduler = boot_scheduler();

    sysctl_prepare();
    CHECK_EQ(adjust(XEN_SYSCTL_SCHEDOP_getinfo, 0, scheduler), 0);
    CHECK_ERRNO(adjust(XEN_SYSCTL_SCHEDOP_getinfo + 1, 0, scheduler), EINVAL);
    CHECK_ERRNO(adjust(XEN_SYSCTL_SCHEDOP_getinfo, NO_POOL, scheduler), ESRCH);
    CHECK_ERRNO(adjust(XEN_SYSCTL_SCHEDOP_getinfo, 0, NO_SCHEDULER), EINVAL);
}

/* The limit of the two schedulers that have one, in the request or the answer. */
static uint32_t rate_limit(uint32_t scheduler)
{
    if (scheduler == XEN_SCHEDULER_CREDIT)
        return request.u.scheduler_op.u.sched_credit.ratelimit_us;
    return request.u.scheduler_op.u.sched_credit2.ratelimit_us;
}

static void set_rate_limit(uint32_t scheduler, uint32_t limit)
{
    if (scheduler == XEN_SCHEDULER_CREDIT)
        request.u.scheduler_op.u.sched_credit.ratelimit_us = limit;
    else
        request.u.scheduler_op.u.sched_credit2.ratelimit_us = limit;
}

/*
 * Background: A vcpu runs at least so long before another one takes its place.
 * Provoked by: another limit, asked for again, and the old one put back; one that is too short, one that
 * is too long.
 * Expected: the new limit, the old one; -EINVAL both times, and the old one stays.
 * Source: sysctl.h (XEN_SYSCTL_scheduler_op); common/sched/credit.c, common/sched/credit2.c,
 * csched_sys_cntl(), csched2_sys_cntl().
 */
TEST(sched_parameters_set, CONTROL, "dom0 sets the rate limit of Credit and Credit2", .needs = "dom0")
{
    static const uint32_t refused[] = {XEN_SYSCTL_SCHED_RATELIMIT_MIN - 1,
                                       XEN_SYSCTL_SCHED_RATELIMIT_MAX + 1};
    uint32_t scheduler = boot_scheduler(), old;
    const uint32_t other = XEN_SYSCTL_SCHED_RATELIMIT_MIN + 23;

    sysctl_prepare();
    CHECK_EQ(adjust(XEN_SYSCTL_SCHEDOP_getinfo, 0, scheduler), 0);
    if (scheduler != XEN_SCHEDULER_CREDIT && scheduler != XEN_SCHEDULER_CREDIT2)
        return; /* it has no such limit */
    old = rate_limit(scheduler);
    CHECK(old != other);
    for (unsigned int i = 0; i < 2; i++) {
        set_rate_limit(scheduler, refused[i]);
        CHECK_ERRNO(adjust(XEN_SYSCTL_SCHEDOP_putinfo, 0, scheduler), EINVAL);
    }
    set_rate_limit(scheduler, other);
    CHECK_EQ(adjust(XEN_SYSCTL_SCHEDOP_putinfo, 0, scheduler), 0);
    set_rate_limit(scheduler, 0);
    CHECK_EQ(adjust(XEN_SYSCTL_SCHEDOP_getinfo, 0, scheduler), 0);
    CHECK_EQ(rate_limit(scheduler), other);
    set_rate_limit(scheduler, old);
    CHECK_EQ(adjust(XEN_SYSCTL_SCHEDOP_putinfo, 0, scheduler), 0);
    CHECK_EQ(rate_limit(scheduler), old);
}

/*
 * Background: A CPU pool is a set of processors with a scheduler of its own.
 * Provoked by: pool 0 asked about; the free processors; a new pool, without processors, asked about and
 * removed; a map that goes to no address; a command that does not exist.
 * Expected: pool 0 has this domain and all processors that are online and not free; the new one has
 * neither, is the next one after pool 0, and is gone afterwards: -ENOENT; -EFAULT; -ENOSYS.
 * Source: sysctl.h (XEN_SYSCTL_cpupool_op); common/sched/cpupool.c, cpupool_do_sysctl().
 */
TEST(cpupool_made, CONTROL, "dom0 makes a CPU pool and removes it", .needs = "dom0")
{
    uint32_t scheduler = boot_scheduler(), online, idle, pool;

    CHECK_EQ(sysctl_plain(XEN_SYSCTL_physinfo), 0);
    online = request.u.physinfo.nr_cpus;
    CHECK_EQ(pool_ask(XEN_SYSCTL_CPUPOOL_OP_FREEINFO, 0, 0), 0);
    idle = count_processors();
    CHECK_EQ(pool_ask(XEN_SYSCTL_CPUPOOL_OP_INFO, 0, 0), 0);
    CHECK_EQ(request.u.cpupool_op.cpupool_id, 0);
    CHECK(request.u.cpupool_op.n_dom >= 1);
    CHECK_EQ(count_processors() + idle, online);

    CHECK_EQ(pool_ask(XEN_SYSCTL_CPUPOOL_OP_CREATE, ANY, scheduler), 0);
    pool = request.u.cpupool_op.cpupool_id;
    CHECK(pool != 0 && pool != ANY);
    CHECK_EQ(pool_ask(XEN_SYSCTL_CPUPOOL_OP_INFO, 1, 0), 0);
    CHECK_EQ(request.u.cpupool_op.cpupool_id, pool);
    CHECK_EQ(request.u.cpupool_op.sched_id, scheduler);
    CHECK_EQ(request.u.cpupool_op.n_dom, 0);
    CHECK_EQ(count_processors(), 0);
    CHECK_EQ(pool_ask(XEN_SYSCTL_CPUPOOL_OP_DESTROY, pool, 0), 0);
    CHECK_ERRNO(pool_ask(XEN_SYSCTL_CPUPOOL_OP_INFO, 1, 0), ENOENT);
    CHECK_ERRNO(pool_ask(XEN_SYSCTL_CPUPOOL_OP_DESTROY, pool, 0), ENOENT);

    sysctl_prepare();
    handle_set(request.u.cpupool_op.cpumap.bitmap, nowhere());
    request.u.cpupool_op.cpumap.nr_bits = 8;
    CHECK_ERRNO(pool_op(XEN_SYSCTL_CPUPOOL_OP_INFO, 0), EFAULT);
    CHECK_ERRNO(pool_op(XEN_SYSCTL_CPUPOOL_OP_FREEINFO + 1, 0), ENOSYS);
}

/*
 * Background: Each pool costs Xen something. Since 4.17 there may be twice as many as processors.
 * Provoked by: a number that is in use; a scheduler that does not exist; as many pools as there may be,
 * and one more.
 * Expected: -EEXIST; -ENOENT; -ENOSPC since 4.17. All are removed again.
 * Source: sysctl.h (XEN_SYSCTL_cpupool_op); common/sched/cpupool.c, cpupool_create().
 */
TEST(cpupool_create_refused, CONTROL, "a CPU pool that is there already, or is one too many",
     .needs = "dom0")
{
    uint32_t scheduler = boot_scheduler(), most, made[15];

    CHECK_ERRNO(pool_ask(XEN_SYSCTL_CPUPOOL_OP_CREATE, 0, scheduler), EEXIST);
    CHECK_ERRNO(pool_ask(XEN_SYSCTL_CPUPOOL_OP_CREATE, ANY, NO_SCHEDULER), ENOENT);
    CHECK_EQ(sysctl_plain(XEN_SYSCTL_physinfo), 0);
    most = 2 * (request.u.physinfo.max_cpu_id + 1) - 1;
    if (!RELEASE_IS_AT_LEAST(4, 17) || most > sizeof(made) / sizeof(made[0]))
        return;
    for (uint32_t i = 0; i < most; i++) {
        CHECK_EQ(pool_ask(XEN_SYSCTL_CPUPOOL_OP_CREATE, ANY, scheduler), 0);
        made[i] = request.u.cpupool_op.cpupool_id;
    }
    long one_more = pool_ask(XEN_SYSCTL_CPUPOOL_OP_CREATE, ANY, scheduler);

    for (uint32_t i = 0; i < most; i++)
        CHECK_EQ(pool_ask(XEN_SYSCTL_CPUPOOL_OP_DESTROY, made[i], 0), 0);
    CHECK_ERRNO(one_more, ENOSPC);
}

/*
 * Background: Processors go from pool to pool, but domains must not be left without.
 * Provoked by: a processor that does not exist, given and taken; any free one and number 0, which is none, given;
 * number 0 taken from the domains of pool 0; a pool that does not exist; pool 0 removed.
 * Expected: -EINVAL; -ENODEV; -EINVAL (before 4.17 -EBUSY if there is no other); -ENOENT; -EBUSY.
 * Source: sysctl.h (XEN_SYSCTL_cpupool_op); common/sched/cpupool.c, cpupool_do_sysctl(),
 * cpupool_unassign_cpu(), cpupool_destroy().
 */
TEST(cpupool_cpus_refused, CONTROL, "processors that a CPU pool cannot get or give", .needs = "dom0")
{
    CHECK_ERRNO(pool_cpu(XEN_SYSCTL_CPUPOOL_OP_ADDCPU, 0, NO_CPU), EINVAL);
    CHECK_ERRNO(pool_cpu(XEN_SYSCTL_CPUPOOL_OP_RMCPU, 0, NO_CPU), EINVAL);
    CHECK_ERRNO(pool_cpu(XEN_SYSCTL_CPUPOOL_OP_ADDCPU, 0, ANY), ENODEV);
    CHECK_ERRNO(pool_cpu(XEN_SYSCTL_CPUPOOL_OP_ADDCPU, 0, 0), ENODEV);
    CHECK_ERRNO(pool_cpu(XEN_SYSCTL_CPUPOOL_OP_ADDCPU, NO_POOL, 0), ENOENT);
    CHECK_ERRNO(pool_cpu(XEN_SYSCTL_CPUPOOL_OP_RMCPU, NO_POOL, 0), ENOENT);
    CHECK_ERRNO(pool_op(XEN_SYSCTL_CPUPOOL_OP_DESTROY, 0), EBUSY);
    CHECK_EQ(pool_ask(XEN_SYSCTL_CPUPOOL_OP_INFO, 0, 0), 0);
    if (RELEASE_IS_AT_LEAST(4, 17))
        CHECK_ERRNO(pool_cpu(XEN_SYSCTL_CPUPOOL_OP_RMCPU, 0, 0), EINVAL);
    else if (count_processors() == 1)
        CHECK_ERRNO(pool_cpu(XEN_SYSCTL_CPUPOOL_OP_RMCPU, 0, 0), EBUSY);
}

/*
 * Background: A domain is in one pool; it cannot move itself.
 * Provoked by: a domain that does not exist; this domain.
 * Expected: -ESRCH; -EPERM.
 * Source: sysctl.h (XEN_SYSCTL_cpupool_op); common/sched/cpupool.c, cpupool_do_sysctl().
 */
TEST(cpupool_move_refused, CONTROL, "a domain cannot move itself to a CPU pool: EPERM",
     .needs = "dom0")
{
    CHECK_ERRNO(pool_move(0, NO_DOMAIN), ESRCH);
    CHECK_ERRNO(pool_move(0, own_domain()), EPERM);
}
#endif
