/*
 * sysctl about the machine: processors, memory, nodes.
 */
#include <memory.h>
#include <sched.h>
#include <timing.h>

#include "sysctl_request.h"
#include "system_time.h"

#ifdef XEN_SYSCTL_cputopoinfo
static struct xen_sysctl_physinfo physinfo(void)
{
    CHECK_EQ(sysctl_plain(XEN_SYSCTL_physinfo), 0);
    return request.u.physinfo;
}

/* What an architecture has to say of itself. */
#ifdef XEN_SYSCTL_PHYSCAP_ARM_SVE_MASK
#define ARCH_CAPABILITIES XEN_SYSCTL_PHYSCAP_ARM_SVE_MASK
#else
#define ARCH_CAPABILITIES 0u
#endif

/*
 * Background: Tools ask what the machine has before they build a domain.
 * Provoked by: the question.
 * Expected: at least one processor, node, thread and core; numbers of processors and nodes that fit to
 * their largest possible ones; a speed; more memory than this domain has, of which some is free; frames
 * up to where other calls say that they end; capabilities that exist, those of this kind of guest
 * among them.
 * Source: sysctl.h (XEN_SYSCTL_physinfo); common/sysctl.c, do_sysctl(); arch_do_physinfo().
 */
TEST(sysctl_physinfo, CONTROL, "dom0 is told what the machine has", .needs = "dom0")
{
    struct xen_memory_domain self = {.domid = DOMID_SELF};
    struct xen_sysctl_physinfo info = physinfo();
    uint32_t known = XEN_SYSCTL_PHYSCAP_MAX | (XEN_SYSCTL_PHYSCAP_MAX - 1);

    CHECK(info.threads_per_core >= 1);
    CHECK(info.cores_per_socket >= 1);
    CHECK(info.nr_cpus >= 1);
    CHECK(info.nr_cpus <= info.max_cpu_id + 1);
    CHECK(info.nr_nodes >= 1);
    CHECK(info.nr_nodes <= info.max_node_id + 1);
    CHECK(info.cpu_khz > 0);
    CHECK_EQ(info.capabilities & ~known, 0);
#if RELEASE_IS_AT_LEAST(4, 17)
    CHECK_EQ(info.arch_capabilities & ~ARCH_CAPABILITIES, 0);
    CHECK_EQ(info.pad, 0);
#endif
    if (strcmp(boot_info.guest, "pv") == 0)
        CHECK(info.capabilities & XEN_SYSCTL_PHYSCAP_pv);
    else
        CHECK((info.capabilities & XEN_SYSCTL_PHYSCAP_hvm) &&
              (info.capabilities & XEN_SYSCTL_PHYSCAP_hap));
    CHECK((long long)info.total_pages > hypercall_memory_op(XENMEM_current_reservation, &self));
    CHECK(info.free_pages > 0 && info.free_pages < info.total_pages);
    CHECK_EQ(info.outstanding_pages, 0);
    CHECK_EQ(info.scrub_pages, 0);
    CHECK((long long)info.max_mfn + 1 >= hypercall_memory_op(XENMEM_maximum_ram_page, NULL));
}

#define CPUS 512

/*
 * Background: Schedulers and tools place vcpus by where processors are.
 * Provoked by: how many there are; where each is; room for none; a list that goes to no address.
 * Expected: as many as physinfo says are online, or more; an answer for each, whose node exists, and
 * nothing written behind (Xen may not know the core); none; -EFAULT.
 * Source: sysctl.h (XEN_SYSCTL_cputopoinfo); common/sysctl.c, do_sysctl().
 */
TEST(sysctl_cputopoinfo, CONTROL, "dom0 is told where the processors are", .needs = "dom0")
{
    static struct xen_sysctl_cputopo places[CPUS + 1];
    uint32_t online = physinfo().nr_cpus, nodes = request.u.physinfo.max_node_id + 1, count;

    CHECK_EQ(sysctl_plain(XEN_SYSCTL_cputopoinfo), 0);
    count = request.u.cputopoinfo.num_cpus;
    CHECK(count >= online && count <= CPUS);

    memset(places, 0x55, sizeof(places));
    sysctl_prepare();
    request.u.cputopoinfo.num_cpus = CPUS;
    handle_set(request.u.cputopoinfo.cputopo, places);
    CHECK_EQ(sysctl(XEN_SYSCTL_cputopoinfo), 0);
    CHECK_EQ(request.u.cputopoinfo.num_cpus, count);
    for (uint32_t i = 0; i < count; i++) {
        CHECK(places[i].core != 0x55555555 && places[i].socket != 0x55555555);
        CHECK(places[i].node == XEN_INVALID_NODE_ID || places[i].node < nodes);
    }
    CHECK_EQ(places[count].core, 0x55555555);

    sysctl_prepare();
    handle_set(request.u.cputopoinfo.cputopo, places);
    CHECK_EQ(sysctl(XEN_SYSCTL_cputopoinfo), 0);
    CHECK_EQ(request.u.cputopoinfo.num_cpus, 0);

    request.u.cputopoinfo.num_cpus = CPUS;
    handle_set(request.u.cputopoinfo.cputopo, nowhere());
    CHECK_ERRNO(sysctl(XEN_SYSCTL_cputopoinfo), EFAULT);
}

#define NODES 64

static struct xen_sysctl_meminfo nodes[NODES];
static uint32_t distances[NODES * NODES];

static long numainfo(uint32_t room, void *memory, void *distance)
{
    sysctl_prepare();
    request.u.numainfo.num_nodes = room;
    handle_set(request.u.numainfo.meminfo, memory);
    handle_set(request.u.numainfo.distance, distance);
    return sysctl(XEN_SYSCTL_numainfo);
}

/*
 * Background: Memory and processors belong to nodes, near to each other or far.
 * Provoked by: how many nodes there are; memory and distances of each; lists that go to no address.
 * Expected: as many as physinfo says, or more (numbers may be left out); no more free memory than there
 * is, and as many pages together as the machine has, or more (holes count); no node is nearer to
 * itself than to others, by the rule that 10 is next to it; -EFAULT.
 * Source: sysctl.h (XEN_SYSCTL_numainfo); common/sysctl.c, do_sysctl().
 */
TEST(sysctl_numainfo, CONTROL, "dom0 is told the memory of each node", .needs = "dom0")
{
    struct xen_sysctl_physinfo info = physinfo();
    uint64_t all = 0;
    uint32_t count;

    CHECK_EQ(sysctl_plain(XEN_SYSCTL_numainfo), 0);
    count = request.u.numainfo.num_nodes;
    CHECK(count >= info.nr_nodes && count <= NODES);
    CHECK_EQ(numainfo(NODES, nodes, distances), 0);
    CHECK_EQ(request.u.numainfo.num_nodes, count);
    for (uint32_t i = 0; i < count; i++) {
        if (nodes[i].memsize == XEN_INVALID_MEM_SZ)
            continue;
        CHECK(nodes[i].memfree <= nodes[i].memsize);
        all += nodes[i].memsize;
        CHECK(distances[i * count + i] >= 10);
        for (uint32_t j = 0; j < count; j++)
            CHECK(distances[i * count + j] >= distances[i * count + i]);
    }
    CHECK(all / PAGE_BYTES >= info.total_pages);
    CHECK_ERRNO(numainfo(NODES, nowhere(), NULL), EFAULT);
    CHECK_ERRNO(numainfo(NODES, NULL, nowhere()), EFAULT);
}

static uint64_t free_bytes(uint32_t least, uint32_t most, int32_t node)
{
    sysctl_prepare();
    request.u.availheap.min_bitwidth = least;
    request.u.availheap.max_bitwidth = most;
    request.u.availheap.node = node;
    CHECK_EQ(sysctl(XEN_SYSCTL_availheap), 0);
    return request.u.availheap.avail_bytes;
}

/*
 * Background: Some devices reach only low addresses, so tools ask for free memory by their width.
 * Provoked by: the memory of all widths and nodes; of those below and above each limit from the first page to the last that
 * Xen tells apart; of addresses that no machine has; of each node, and of one that there is not.
 * Expected: some, and no more than physinfo says is free; the two parts make up the whole; none; the nodes make up the
 * whole; none.
 * Source: sysctl.h (XEN_SYSCTL_availheap); common/page_alloc.c, avail_domheap_pages_region().
 */
TEST(sysctl_availheap, CONTROL, "dom0 is told how much memory is free", .needs = "dom0")
{
    uint64_t all = free_bytes(0, 0, -1), of_nodes = 0;

    CHECK(all > 0);
    CHECK(all <= physinfo().free_pages * PAGE_BYTES);
    CHECK_EQ(all % PAGE_BYTES, 0);
    for (uint32_t width = 13; width < 52; width++)
        CHECK_EQ(free_bytes(0, width, -1) + free_bytes(width + 1, 0, -1), all);
    CHECK_EQ(free_bytes(64, 0, -1), 0);
    for (int32_t node = 0; node < NODES; node++)
        of_nodes += free_bytes(0, 0, node);
    CHECK_EQ(of_nodes, all);
    CHECK_EQ(free_bytes(0, 0, NODES - 1), 0);
}

static uint64_t idle_ns(void)
{
    static struct xen_sysctl_cpuinfo times[CPUS];
    uint64_t all = 0;

    memset(times, 0x55, sizeof(times));
    sysctl_prepare();
    request.u.getcpuinfo.max_cpus = CPUS;
    handle_set(request.u.getcpuinfo.info, times);
    CHECK_EQ(sysctl(XEN_SYSCTL_getcpuinfo), 0);
    CHECK(request.u.getcpuinfo.nr_cpus <= CPUS);
    for (uint32_t i = 0; i < request.u.getcpuinfo.nr_cpus; i++)
        all += times[i].idletime;
    return all;
}

/* This domain waits for 2 ms, or less if the machine is slow to take it up. */
static void wait_idle(void)
{
    struct sched_poll poll = {.timeout = system_time() + MILLISECONDS(2)};

    CHECK_EQ(hypercall_sched_op(SCHEDOP_poll, &poll), 0);
}

static bool idle_since(uint64_t before)
{
    wait_idle();
    return idle_ns() >= before + MILLISECONDS(1);
}

/*
 * Background: Tools show the load of each processor.
 * Provoked by: the idle time of all processors, before this domain waits and while it does; room for
 * none; a list that goes to no address.
 * Expected: an answer for each number a processor can have, and more time, since no other domain is here;
 * none; -EFAULT.
 * Source: sysctl.h (XEN_SYSCTL_getcpuinfo); common/sysctl.c, do_sysctl().
 */
TEST(sysctl_getcpuinfo, CONTROL, "processors are idle while dom0 waits", .needs = "dom0")
{
    uint32_t numbers = physinfo().max_cpu_id + 1;
    uint64_t before = idle_ns();

    CHECK_EQ(request.u.getcpuinfo.nr_cpus, numbers < CPUS ? numbers : CPUS);
    CHECK(WAIT_UNTIL(idle_since(before), EVENT_LIMIT));

    sysctl_prepare();
    CHECK_EQ(sysctl(XEN_SYSCTL_getcpuinfo), 0);
    CHECK_EQ(request.u.getcpuinfo.nr_cpus, 0);
    request.u.getcpuinfo.max_cpus = 1;
    handle_set(request.u.getcpuinfo.info, nowhere());
    CHECK_ERRNO(sysctl(XEN_SYSCTL_getcpuinfo), EFAULT);
}
#endif
