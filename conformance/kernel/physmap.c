/* Where a guest's memory is what Xen puts into it: a grant table, another
 * domain's page, or nothing, in place of a page. */
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

#ifdef XENMAPSPACE_gmfn_foreign /* not in the ABI of old releases */
long physmap_map_foreign(const volatile void *page, domid_t owner, xen_pfn_t frame)
{
    struct xen_add_to_physmap_batch batch = {
        .domid = DOMID_SELF, .space = XENMAPSPACE_gmfn_foreign, .size = 1, .u.foreign_domid = owner};
    xen_ulong_t from = frame;
    xen_pfn_t to = arch_frame(page);
    int error = 0;
    long rc = physmap_vacate(page);

    handle_set(batch.idxs, &from);
    handle_set(batch.gpfns, &to);
    handle_set(batch.errs, &error);
    if (rc == 0)
        rc = hypercall_memory_op(XENMEM_add_to_physmap_batch, &batch);
    if (rc == 0)
        rc = error;
    if (rc != 0)
        physmap_occupy(page);
    return rc;
}

void physmap_unmap_foreign(const volatile void *page)
{
    struct xen_remove_from_physmap remove = {.domid = DOMID_SELF, .gpfn = arch_frame(page)};

    hypercall_memory_op(XENMEM_remove_from_physmap, &remove);
    physmap_occupy(page);
}
#endif
