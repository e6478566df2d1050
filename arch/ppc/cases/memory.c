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
