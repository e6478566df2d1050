/* The own grant table of a PV guest, and pages of other domains: machine frames that it maps. */
#include <grants.h>
#include <hypercall.h>

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

volatile void *pv_grant_table(void *page, unsigned long index)
{
    unsigned long frame = machine_frame(index);

    return frame && map(page, frame * PAGE_SIZE | PTE_DATA) == 0 ? page : NULL;
}

/* The guest keeps the frame. */
long pv_vacate(const volatile void *page)
{
    return map(page, 0);
}

long pv_occupy(const volatile void *page)
{
    return map(page, arch_frame(page) * PAGE_SIZE | PTE_DATA);
}

long pv_map_foreign(const volatile void *page, domid_t owner, xen_pfn_t frame)
{
    return arch_hypercall(__HYPERVISOR_update_va_mapping_otherdomain, (unsigned long)page,
                          frame * PAGE_SIZE | PTE_DATA, UVMF_INVLPG, owner, 0);
}
