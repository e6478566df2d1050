/*
 * Rung "control": the memory of a domain that the control domain makes, and what it says to the domain by
 * memory: the wall clock, the nodes.
 */
#include <domctl.h>
#include <memory.h>
#include <string.h>

#include "child.h"

#ifdef arch_child_config

#define KIB(pages) ((pages) * (PAGE_BYTES / 1024))
#define SPARE_FRAME (CHILD_FRAME + CHILD_PAGES)    /* of a child with memory; nothing is there */

/*
 * Background: The tools say how much memory a domain may have, and then get it for the domain.
 * Provoked by: memory before any is allowed; a limit; as much as that, and a page more; a lower limit.
 * Expected: none; the limit in the state; the pages, and no more; what the domain has it keeps.
 * Source: domctl.h (XEN_DOMCTL_max_mem); common/domctl.c; common/memory.c, populate_physmap().
 */
TEST(domctl_max_mem, CONTROL, "a domain gets as much memory as it may have", .needs = "dom0")
{
    struct xen_memory_domain child = {.domid = CHILD};
    struct xen_domctl *request;

    child_create_with_vcpus(CHILD);
    CHECK_EQ(arch_child_prepare(CHILD), 0);
    CHECK_EQ(child_populate(CHILD, CHILD_FRAME, 1), 0);

    request = domctl_request(XEN_DOMCTL_max_mem, CHILD);
    request->u.max_mem.max_memkb = KIB(5) - 1;
    CHECK_EQ(hypercall_domctl(request), 0);
    CHECK_EQ(domain_info(CHILD)->max_pages, 4);
    CHECK_EQ(hypercall_memory_op(XENMEM_maximum_reservation, &child), 4);
    CHECK_EQ(child_populate(CHILD, CHILD_FRAME, 5), 4);
    CHECK_EQ(domain_info(CHILD)->tot_pages, 4);
    CHECK_EQ(hypercall_memory_op(XENMEM_current_reservation, &child), 4);
    CHECK_EQ(hypercall_memory_op(XENMEM_maximum_gpfn, &child), CHILD_FRAME + 3);

    request = domctl_request(XEN_DOMCTL_max_mem, CHILD);
    request->u.max_mem.max_memkb = KIB(1);
    CHECK_EQ(hypercall_domctl(request), 0);
    CHECK_EQ(domain_info(CHILD)->max_pages, 1);
    CHECK_EQ(domain_info(CHILD)->tot_pages, 4);
    child_destroy(CHILD);
    CHECK_ERRNO(domctl(XEN_DOMCTL_max_mem, NO_DOMAIN), ESRCH);
}

/*
 * Background: The builder fills a domain's memory, and a device model works in it.
 * Provoked by: a page of a domain mapped, written and mapped again; a frame without memory.
 * Expected: what was written is there; -EINVAL.
 * Source: memory.h (XENMAPSPACE_gmfn_foreign); arch's xenmem_add_to_physmap_one(); mm.c, mod_l1_entry().
 */
TEST(memory_of_child, CONTROL, "the control domain maps memory of another domain", .needs = "dom0")
{
    volatile uint32_t *word;
    void *page;

    child_create_with_memory(CHILD);
    word = child_map(CHILD, CHILD_FRAME + 3);
    word[5] = 0x12345678;
    word = child_map(CHILD, CHILD_FRAME + 4);
    CHECK(word[5] != 0x12345678);
    word = child_map(CHILD, CHILD_FRAME + 3);
    CHECK_EQ(word[5], 0x12345678);
    CHECK_ERRNO(arch_child_map(CHILD, SPARE_FRAME, &page), EINVAL);
    child_destroy(CHILD);
}

#define BATCH 3

/*
 * Background: The builder puts pages of Xen's into a domain, several by one call.
 * Provoked by: pages of the grant table where a domain has no memory, the last one of which is beyond its end.
 * Expected: an error for that alone; the others can be mapped.
 * Source: memory.h (XENMEM_add_to_physmap_batch); common/memory.c, xenmem_add_to_physmap_batch().
 */
TEST(memory_map_for_child, CONTROL, "the control domain maps pages of Xen's for another domain",
     .needs = "dom0")
{
    static xen_ulong_t pages[BATCH];
    static xen_pfn_t frames[BATCH];
    static int errors[BATCH];
    struct xen_add_to_physmap_batch batch = {
        .domid = CHILD, .space = XENMAPSPACE_grant_table, .size = BATCH};
    void *page;

    child_create_with_memory(CHILD);
    for (unsigned int i = 0; i < BATCH; i++) {
        pages[i] = i == BATCH - 1 ? 0x7000 : i;
        frames[i] = SPARE_FRAME + i;
        errors[i] = 1;
    }
    handle_set(batch.idxs, pages);
    handle_set(batch.gpfns, frames);
    handle_set(batch.errs, errors);
    CHECK_EQ(hypercall_memory_op(XENMEM_add_to_physmap_batch, &batch), 0);
    CHECK(errors[BATCH - 1] < 0);
    for (unsigned int i = 0; i < BATCH - 1; i++) {
        CHECK_EQ(errors[i], 0);
        CHECK_EQ(arch_child_map(CHILD, SPARE_FRAME + i, &page), 0);
    }
    arch_child_unmap();
    child_destroy(CHILD);
}

/*
 * Background: Frames of a domain that are in the way can be unmapped from outside.
 * Provoked by: a frame of a domain, unmapped twice; a domain that does not exist.
 * Expected: 0, and mapping it is -EINVAL; -ENOENT; -ESRCH.
 * Source: memory.h (XENMEM_remove_from_physmap); common/memory.c.
 */
TEST(memory_unmap_of_child, CONTROL, "the control domain unmaps a frame of another domain",
     .needs = "dom0")
{
    struct xen_remove_from_physmap remove = {.domid = CHILD, .gpfn = CHILD_FRAME + 2};
    void *page;

    child_create_with_memory(CHILD);
    CHECK_EQ(hypercall_memory_op(XENMEM_remove_from_physmap, &remove), 0);
    CHECK_ERRNO(hypercall_memory_op(XENMEM_remove_from_physmap, &remove), ENOENT);
    CHECK_ERRNO(arch_child_map(CHILD, CHILD_FRAME + 2, &page), EINVAL);
    remove.domid = NO_DOMAIN;
    CHECK_ERRNO(hypercall_memory_op(XENMEM_remove_from_physmap, &remove), ESRCH);
    child_destroy(CHILD);
}

/*
 * Background: Of two domains that are built at a time each may claim its memory beforehand.
 * Provoked by: a claim, which is seen in the state, another one, and its end; less than the domain has;
 * more than it may have; an argument of another command; more than the machine has.
 * Expected: 0, what is yet to come, -EINVAL, 0; -EINVAL; -EINVAL; -EINVAL; -ENOMEM. Where Xen translates structures
 * it forgot the command: -ENOSYS.
 * Source: memory.h (XENMEM_claim_pages); common/page_alloc.c, domain_set_outstanding_pages().
 */
TEST(memory_claim_pages, CONTROL, "memory is claimed for a domain before it is there", .needs = "dom0")
{
    struct xen_memory_reservation claim = {.nr_extents = CHILD_PAGES + 2, .domid = CHILD};
    struct xen_domctl *request;

    child_create_with_memory(CHILD);
    if (ARCH_COMPAT) {
        CHECK_ERRNO(hypercall_memory_op(XENMEM_claim_pages, &claim), ENOSYS);
        CHECK_EQ(domain_info(CHILD)->outstanding_pages, 0);
        child_destroy(CHILD);
        return;
    }
    CHECK_EQ(hypercall_memory_op(XENMEM_claim_pages, &claim), 0);
    CHECK_EQ(domain_info(CHILD)->outstanding_pages, 2);
    CHECK_ERRNO(hypercall_memory_op(XENMEM_claim_pages, &claim), EINVAL);
    claim.nr_extents = 0;
    CHECK_EQ(hypercall_memory_op(XENMEM_claim_pages, &claim), 0);
    CHECK_EQ(domain_info(CHILD)->outstanding_pages, 0);

    claim.nr_extents = CHILD_PAGES;
    CHECK_ERRNO(hypercall_memory_op(XENMEM_claim_pages, &claim), EINVAL);
    claim.nr_extents = 2 * CHILD_PAGES + 1;
    CHECK_ERRNO(hypercall_memory_op(XENMEM_claim_pages, &claim), EINVAL);
    claim.extent_order = 1;
    CHECK_ERRNO(hypercall_memory_op(XENMEM_claim_pages, &claim), EINVAL);
    claim.extent_order = 0;
    claim.mem_flags = XENMEMF_node(0);
    CHECK_ERRNO(hypercall_memory_op(XENMEM_claim_pages, &claim), EINVAL);
    claim.mem_flags = 0;
    request = domctl_request(XEN_DOMCTL_max_mem, CHILD);
    request->u.max_mem.max_memkb = 1ull << 40;
    CHECK_EQ(hypercall_domctl(request), 0);
    claim.nr_extents = 1ul << 30;
    CHECK_ERRNO(hypercall_memory_op(XENMEM_claim_pages, &claim), ENOMEM);
    child_destroy(CHILD);
    claim.domid = NO_DOMAIN;
    CHECK_ERRNO(hypercall_memory_op(XENMEM_claim_pages, &claim), EINVAL);
}

#define NODES 2
static unsigned int distances[NODES * NODES] = {10, 20, 20, 10};
static unsigned int node_of_vcpu[CHILD_VCPUS] = {0, 1};
static unsigned int machine_node[NODES] = {0, 0};
static struct xen_vmemrange ranges[NODES];

static struct xen_domctl *nodes_request(void)
{
    struct xen_domctl *request = domctl_request(XEN_DOMCTL_setvnumainfo, CHILD);

    ranges[0] = (struct xen_vmemrange){.start = 0, .end = 0x100000, .nid = 0};
    ranges[1] = (struct xen_vmemrange){.start = 0x100000, .end = 0x200000, .nid = 1};
    request->u.vnuma.nr_vnodes = NODES;
    request->u.vnuma.nr_vmemranges = NODES;
    request->u.vnuma.nr_vcpus = CHILD_VCPUS;
    handle_set(request->u.vnuma.vdistance, distances);
    handle_set(request->u.vnuma.vcpu_to_vnode, node_of_vcpu);
    handle_set(request->u.vnuma.vnode_to_pnode, machine_node);
    handle_set(request->u.vnuma.vmemrange, ranges);
    return request;
}

/*
 * Background: A large domain is told which of its vcpus are near to which of its memory.
 * Provoked by: two nodes for a domain, asked for with too little room, and with enough; of a domain that
 * has none.
 * Expected: -ENOBUFS and the sizes; the nodes; -EOPNOTSUPP.
 * Source: domctl.h (XEN_DOMCTL_setvnumainfo), memory.h (XENMEM_get_vnumainfo); common/domctl.c,
 * vnuma_init(); common/memory.c.
 */
TEST(domctl_setvnumainfo, CONTROL, "a domain is told the nodes that it was given", .needs = "dom0")
{
    unsigned int got_distances[NODES * NODES], got_nodes[CHILD_VCPUS];
    struct xen_vmemrange got_ranges[NODES];
    struct xen_vnuma_topology_info info = {.domid = CHILD};

    child_create_with_vcpus(CHILD);
    CHECK_ERRNO(hypercall_memory_op(XENMEM_get_vnumainfo, &info), EOPNOTSUPP);
    CHECK_EQ(hypercall_domctl(nodes_request()), 0);
    CHECK_ERRNO(hypercall_memory_op(XENMEM_get_vnumainfo, &info), ENOBUFS);
    CHECK_EQ(info.nr_vnodes, NODES);
    CHECK_EQ(info.nr_vcpus, CHILD_VCPUS);
    CHECK_EQ(info.nr_vmemranges, NODES);

    handle_set(info.vdistance.h, got_distances);
    handle_set(info.vcpu_to_vnode.h, got_nodes);
    handle_set(info.vmemrange.h, got_ranges);
    CHECK_EQ(hypercall_memory_op(XENMEM_get_vnumainfo, &info), 0);
    CHECK_EQ(memcmp(got_distances, distances, sizeof(distances)), 0);
    CHECK_EQ(memcmp(got_nodes, node_of_vcpu, sizeof(node_of_vcpu)), 0);
    CHECK_EQ(memcmp(got_ranges, ranges, sizeof(ranges)), 0);
    child_destroy(CHILD);

    info.pad = 1;
    CHECK_ERRNO(hypercall_memory_op(XENMEM_get_vnumainfo, &info), EINVAL);
    info.pad = 0;
    CHECK_ERRNO(hypercall_memory_op(XENMEM_get_vnumainfo, &info), ESRCH);
    info.domid = DOMID_SELF;
    CHECK_ERRNO(hypercall_memory_op(XENMEM_get_vnumainfo, &info), EOPNOTSUPP);
}

/*
 * Background: Nodes must fit the domain.
 * Provoked by: nodes for fewer vcpus than it has; none; more than Xen takes; a vcpu on a node that there is
 * not; flags of a range; a list at no address.
 * Expected: -EINVAL; -EINVAL; -EINVAL; -E2BIG; -EINVAL; -EFAULT.
 * Source: domctl.h (XEN_DOMCTL_setvnumainfo); common/domctl.c, vnuma_init().
 */
TEST(domctl_setvnumainfo_refused, CONTROL, "nodes that do not fit the domain are refused",
     .needs = "dom0")
{
    struct xen_domctl *request;

    child_create_with_vcpus(CHILD);
    request = nodes_request();
    request->u.vnuma.nr_vcpus = CHILD_VCPUS - 1;
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);
    request = nodes_request();
    request->u.vnuma.nr_vnodes = 0;
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);
    request = nodes_request();
    request->u.vnuma.nr_vnodes = 33;
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);
    node_of_vcpu[1] = NODES;
    CHECK_ERRNO(hypercall_domctl(nodes_request()), E2BIG);
    node_of_vcpu[1] = 1;
    request = nodes_request();
    ranges[0].flags = 1;
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);
    request = nodes_request();
    handle_set(request->u.vnuma.vdistance, nowhere());
    CHECK_ERRNO(hypercall_domctl(request), EFAULT);
    child_destroy(CHILD);
}

#ifdef XEN_DOMCTL_set_paging_mempool_size
static long set_pool(uint64_t size)
{
    struct xen_domctl *request = domctl_request(XEN_DOMCTL_set_paging_mempool_size, CHILD);

    request->u.paging_mempool.size = size;
    return domctl_unanswered(request);
}

/*
 * Background: The tables that translate a domain's memory come from a pool of their own.
 * Provoked by: a size set and asked for; one that is no whole number of pages;
 * a domain that does not exist.
 * Expected: the size; -EINVAL; -ESRCH.
 * Source: domctl.h (XEN_DOMCTL_set_paging_mempool_size); common/domctl.c; arch_set_paging_mempool_size().
 */
TEST(domctl_paging_mempool_size, CONTROL, "the pool for a domain's page tables has the size it was given",
     .needs = "dom0")
{
    const struct xen_domctl *request;

    child_create_with_vcpus(CHILD);
    CHECK_EQ(set_pool(256 * PAGE_BYTES), 0);
    request = domctl_request(XEN_DOMCTL_get_paging_mempool_size, CHILD);
    CHECK_EQ(hypercall_domctl((void *)request), 0);
    CHECK_EQ(request->u.paging_mempool.size, 256 * PAGE_BYTES);
    CHECK_ERRNO(set_pool(PAGE_BYTES + 1), EINVAL);
    child_destroy(CHILD);
    CHECK_ERRNO(domctl(XEN_DOMCTL_get_paging_mempool_size, NO_DOMAIN), ESRCH);
    CHECK_ERRNO(domctl(XEN_DOMCTL_set_paging_mempool_size, NO_DOMAIN), ESRCH);
}
#endif

#endif
