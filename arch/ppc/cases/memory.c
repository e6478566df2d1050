/* Memory of a domain in IBM's port, all of which is real mode area here. */
#include <hypercall.h>
#include <test.h>

#include <memory.h>

/*
 * Background: IBM's port has no commands of the architecture's own.
 * Provoked by: the commands that map, on IBM's port, where all frames are Xen's to choose.
 * Expected: -ENOSYS.
 * Source: 3.2's arch/powerpc/mm.c, arch_memory_op().
 */
TEST(memory_mapping_not_on_ppc, MEMORY, "IBM's port has no commands that map: ENOSYS")
{
    CHECK_ERRNO(hypercall_memory_op(XENMEM_add_to_physmap, NULL), ENOSYS);
    CHECK_ERRNO(hypercall_memory_op(XENMEM_memory_map, NULL), ENOSYS);
    CHECK_ERRNO(hypercall_memory_op(XENMEM_machphys_mapping, NULL), ENOSYS);
}

/*
 * Background: IBM's port keeps no account of where a domain's memory ends.
 * Provoked by: the question for the largest guest frame.
 * Expected: -ENOSYS.
 * Source: memory.h (XENMEM_maximum_gpfn); 3.2's asm-powerpc/mm.h, domain_get_maximum_gpfn().
 */
TEST(memory_maximum_gpfn_not_on_ppc, MEMORY, "IBM's port does not tell the largest guest frame: ENOSYS")
{
    struct xen_memory_domain self = {.domid = DOMID_SELF};

    CHECK_ERRNO(hypercall_memory_op(XENMEM_maximum_gpfn, &self), ENOSYS);
}

#define NOWHERE 0x200000           /* a frame beyond the machine's memory, and not of those for foreign pages */

static long translate(xen_pfn_t *guest, xen_pfn_t *machine, xen_ulong_t count)
{
    struct xen_translate_gpfn_list list = {.domid = DOMID_SELF, .nr_gpfns = count};

    handle_set(list.gpfn_list, guest);
    handle_set(list.mfn_list, machine);
    return hypercall_memory_op(XENMEM_translate_gpfn_list, &list);
}

/*
 * Background: A domain's frames are not the machine's; who programs a device needs those.
 * Provoked by: the machine frames of two neighbours in the real mode area, and of a frame without memory; no frames;
 * more than can be counted.
 * Expected: neighbours, as the area is one piece, and all bits set; nothing; -EINVAL.
 * Source: memory.h (XENMEM_translate_gpfn_list); 3.2's common/memory.c, translate_gpfn_list().
 */
TEST(memory_translate, MEMORY, "a domain is told the machine frames of its own")
{
    xen_pfn_t guest[3] = {0, 1, NOWHERE}, machine[3] = {0};

    CHECK_EQ(translate(guest, machine, 3), 0);
    CHECK(machine[0] != ~0ul);
    CHECK_EQ(machine[1], machine[0] + 1);
    CHECK_EQ(machine[2], ~0ul);
    machine[0] = 5;
    CHECK_EQ(translate(guest, machine, 0), 0);
    CHECK_EQ(machine[0], 5);
    CHECK_ERRNO(translate(guest, machine, 1ul << 58), EINVAL);
}

/*
 * Background: The real mode area is one piece of the machine's memory, and stays whole as long as its domain
 * lives. IBM's Xen insists on that.
 * Provoked by: a page given back.
 * Expected: Xen stops.
 * Source: 3.2's arch/powerpc/mm.c, free_rma_check().
 */
TEST(memory_of_real_mode_given_back, MEMORY, "a page of the real mode area given back stops Xen",
     .needs = "slow observed-end", .ends = "crash")
{
    static uint8_t page[4096] __attribute__((aligned(4096)));
    struct xen_memory_reservation reservation = {.nr_extents = 1, .domid = DOMID_SELF};
    xen_pfn_t frame = arch_frame(page);

    handle_set(reservation.extent_start, &frame);
    FAIL("it returned %ld", hypercall_memory_op(XENMEM_decrease_reservation, &reservation));
}
