/*
 * memory_op: what a guest is told about how its memory, or the machine's, lies.
 */
#include <memory.h>
#include <string.h>

#include "common.h"

#ifdef XENMEM_reserved_device_memory_map
#define ROOM 3                     /* that nobody needs */

static struct xen_vnuma_topology_info topology;

static long vnuma(domid_t domain, uint16_t pad)
{
    topology = (struct xen_vnuma_topology_info){
        .domid = domain, .pad = pad, .nr_vnodes = ROOM, .nr_vcpus = ROOM, .nr_vmemranges = ROOM};
    return hypercall_memory_op(XENMEM_get_vnumainfo, &topology);
}

/*
 * Background: A tool stack may spread the memory of a domain over virtual nodes; here none does.
 * Provoked by: the layout of this domain; of one that does not exist; a member that must be zero;
 * an argument at no address.
 * Expected: -EOPNOTSUPP, and how much room there is stays as it was; -ESRCH; -EINVAL; -EFAULT.
 * Source: memory.h (XENMEM_get_vnumainfo); common/memory.c, do_memory_op().
 */
TEST(vnuma_info, MEMORY, "a domain without virtual nodes is told so: EOPNOTSUPP",
     .needs = "pv|hvm|arm")
{
    CHECK_ERRNO(vnuma(DOMID_SELF, 0), EOPNOTSUPP);
    CHECK_EQ(topology.nr_vnodes, ROOM);
    CHECK_EQ(topology.nr_vcpus, ROOM);
    CHECK_EQ(topology.nr_vmemranges, ROOM);
    CHECK_ERRNO(vnuma(NO_DOMAIN, 0), ESRCH);
    CHECK_ERRNO(vnuma(DOMID_SELF, 1), EINVAL);
    CHECK_ERRNO(hypercall_memory_op(XENMEM_get_vnumainfo, arch_unmapped_pointer()), EFAULT);
}

static long device_memory(uint32_t flags, void *buffer, unsigned int *count)
{
    struct xen_reserved_device_memory_map map = {.flags = flags, .nr_entries = *count};

    handle_set(map.buffer, buffer);

    long rc = hypercall_memory_op(XENMEM_reserved_device_memory_map, &map);

    *count = map.nr_entries;
    return rc;
}

/*
 * Background: Some devices need memory at an address of their own, which a guest must leave free.
 * Provoked by: the memory of all devices, with room and with none; a flag that does not exist; an argument at no
 * address.
 * Expected: no more entries than there is room for; 0, or -ENOBUFS if there are any, and the same
 * number; -EINVAL; -EFAULT.
 * Source: memory.h (XENMEM_reserved_device_memory_map); common/memory.c.
 */
TEST(device_memory_map, MEMORY, "a guest is told what memory devices need", .needs = "pv|hvm|arm")
{
    static struct xen_reserved_device_memory entries[16];
    unsigned int count = 16, none = 0;

    CHECK_EQ(device_memory(XENMEM_RDM_ALL, entries, &count), 0);
    CHECK(count <= 16);
    long rc = device_memory(XENMEM_RDM_ALL, NULL, &none);

    if (count > 0)
        CHECK_ERRNO(rc, ENOBUFS);
    else
        CHECK_EQ(rc, 0);
    CHECK_EQ(none, count);
    CHECK_ERRNO(device_memory(~0u, entries, &count), EINVAL);
    CHECK_ERRNO(hypercall_memory_op(XENMEM_reserved_device_memory_map, arch_unmapped_pointer()),
                EFAULT);
}
#endif

static uint8_t own_page[PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));

static struct xen_memory_exchange exchange_of(xen_pfn_t *in, xen_pfn_t *out)
{
    struct xen_memory_exchange exchange = {
        .in = {.nr_extents = 1, .domid = DOMID_SELF},
        .out = {.nr_extents = 1, .domid = DOMID_SELF},
    };

    handle_set(exchange.in.extent_start, in);
    handle_set(exchange.out.extent_start, out);
    return exchange;
}

/*
 * Background: Pages are exchanged for as many others.
 * Provoked by: more done than asked for; two domains; two sizes; a domain that does not exist; lists and an argument
 * at no address.
 * Expected: -EINVAL; -EINVAL; -EINVAL; -ESRCH; -EFAULT.
 * Source: memory.h (XENMEM_exchange); common/memory.c, memory_exchange().
 */
TEST(memory_exchange_refused, MEMORY, "exchanges that contradict themselves are refused",
     .needs = "pv|hvm|arm")
{
    xen_pfn_t in = arch_frame(own_page), out = in;
    struct xen_memory_exchange exchange = exchange_of(&in, &out);

    exchange.nr_exchanged = 2;
    CHECK_ERRNO(hypercall_memory_op(XENMEM_exchange, &exchange), EINVAL);
    exchange = exchange_of(&in, &out);
    exchange.out.domid = NO_DOMAIN;
    CHECK_ERRNO(hypercall_memory_op(XENMEM_exchange, &exchange), EINVAL);
    exchange = exchange_of(&in, &out);
    exchange.out.nr_extents = 2;
    CHECK_ERRNO(hypercall_memory_op(XENMEM_exchange, &exchange), EINVAL);
    exchange = exchange_of(&in, &out);
    exchange.in.domid = exchange.out.domid = NO_DOMAIN;
    CHECK_ERRNO(hypercall_memory_op(XENMEM_exchange, &exchange), ESRCH);
    exchange = exchange_of(nowhere(), &out);
    CHECK_ERRNO(hypercall_memory_op(XENMEM_exchange, &exchange), EFAULT);
    CHECK_ERRNO(hypercall_memory_op(XENMEM_exchange, arch_unmapped_pointer()), EFAULT);
}

/*
 * Background: Only PV guests know machine frames, and have a reason to exchange them.
 * Provoked by: a page of a guest whose frames Xen translates.
 * Expected: -EOPNOTSUPP, none exchanged, and the page is still there.
 * Source: memory.h (XENMEM_exchange); common/memory.c, memory_exchange().
 */
TEST(memory_exchange_translated, MEMORY, "a translated guest exchanges no pages: EOPNOTSUPP",
     .needs = "hvm|arm")
{
    xen_pfn_t in = arch_frame(own_page), out = in;
    struct xen_memory_exchange exchange = exchange_of(&in, &out);

    own_page[0] = 0x5a;
    CHECK_ERRNO(hypercall_memory_op(XENMEM_exchange, &exchange), EOPNOTSUPP);
    CHECK_EQ(exchange.nr_exchanged, 0);
    CHECK_EQ(*(volatile uint8_t *)own_page, 0x5a);
}
