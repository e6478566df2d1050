/* The own grant table: machine frames that a PV guest maps, pages that Xen puts into an HVM guest. */
#include <grants.h>
#include <hypercall.h>

#include <memory.h>

#include "x86.h"

#define PAGES_LISTED 8

static long map(const volatile void *page, unsigned long entry)
{
    return arch_hypercall(__HYPERVISOR_update_va_mapping, (unsigned long)page, entry, UVMF_INVLPG, 0,
                          0);
}

/* The machine frame of a page of the table, or of its status pages. 0: Xen does not tell. */
static unsigned long machine_frame(unsigned long index)
{
    unsigned int number = (unsigned int)(index & ~XENMAPIDX_grant_table_status);
    uint64_t frames[PAGES_LISTED] = {0};

    if (number >= PAGES_LISTED)
        return 0;
    if (index & XENMAPIDX_grant_table_status) {
        struct gnttab_get_status_frames list = {.dom = DOMID_SELF, .nr_frames = number + 1};

        handle_set(list.frame_list, frames);
        hypercall_grant_table_op(GNTTABOP_get_status_frames, &list, 1);
    } else {
        struct gnttab_setup_table list = {.dom = DOMID_SELF, .nr_frames = number + 1};

        handle_set(list.frame_list, frames);
        hypercall_grant_table_op(GNTTABOP_setup_table, &list, 1);
    }
    return frames[number];
}

static volatile void *map_machine_frame(void *page, unsigned long index)
{
    unsigned long frame = machine_frame(index);

    return frame && map(page, frame * PAGE_SIZE | PTE_DATA) == 0 ? page : NULL;
}

static volatile void *put_into_guest(void *page, unsigned long index)
{
    struct xen_add_to_physmap add = {
        .domid = DOMID_SELF,
        .space = XENMAPSPACE_grant_table,
        .idx = index,
        .gpfn = arch_frame(page),
    };

    return hypercall_memory_op(XENMEM_add_to_physmap, &add) == 0 ? page : NULL;
}

volatile void *arch_grant_table(void *page, unsigned long index)
{
    return arch_is_pv() ? map_machine_frame(page, index) : put_into_guest(page, index);
}

static long reservation(unsigned int command, const volatile void *page)
{
    struct xen_memory_reservation reservation = {.nr_extents = 1, .domid = DOMID_SELF};
    xen_pfn_t frame = arch_frame(page);

    handle_set(reservation.extent_start, &frame);
    return hypercall_memory_op(command, &reservation) - 1;
}

/* A PV guest keeps the frame. */
long arch_vacate(const volatile void *page)
{
    return arch_is_pv() ? map(page, 0) : reservation(XENMEM_decrease_reservation, page);
}

long arch_occupy(const volatile void *page)
{
    return arch_is_pv() ? map(page, arch_frame(page) * PAGE_SIZE | PTE_DATA)
                        : reservation(XENMEM_populate_physmap, page);
}
