/* Where a guest's memory is what Xen puts into it: a grant table, or nothing, in place of a page. */
#include <grants.h>
#include <hypercall.h>

#include <memory.h>

volatile void *physmap_grant_table(void *page, unsigned long index)
{
    struct xen_add_to_physmap add = {
        .domid = DOMID_SELF,
        .space = XENMAPSPACE_grant_table,
        .idx = index,
        .gpfn = arch_frame(page),
    };

    return hypercall_memory_op(XENMEM_add_to_physmap, &add) == 0 ? page : NULL;
}

static long reservation(unsigned int command, const volatile void *page)
{
    struct xen_memory_reservation reservation = {.nr_extents = 1, .domid = DOMID_SELF};
    xen_pfn_t frame = arch_frame(page);

    handle_set(reservation.extent_start, &frame);
    return hypercall_memory_op(command, &reservation) - 1;
}

long physmap_vacate(const volatile void *page)
{
    return reservation(XENMEM_decrease_reservation, page);
}

long physmap_occupy(const volatile void *page)
{
    return reservation(XENMEM_populate_physmap, page);
}
