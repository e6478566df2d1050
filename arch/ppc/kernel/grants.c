/* The own grant table: where IBM's port has put it, or wherever the kernel wants it. */
#include <arch.h>
#include <grants.h>
#include <hypercall.h>

#ifdef XENCOMM_INLINE_FLAG

/* IBM's Xen has it behind the machine's memory, all pages from the start. */
volatile void *arch_grant_table(void *page, unsigned long index)
{
    unsigned long frames[4];
    struct gnttab_setup_table list = {.dom = DOMID_SELF, .nr_frames = (unsigned int)index + 1};

    (void)page;
    if (index >= sizeof(frames) / sizeof(frames[0]))
        return NULL;
    handle_set(list.frame_list, frames);
    if (hypercall_grant_table_op(GNTTABOP_setup_table, &list, 1) != 0 || list.status != GNTST_okay)
        return NULL;
    if (frames[index] == ~0UL)
        return NULL; /* a page that is nowhere */
    return (volatile void *)(frames[index] * 4096);
}

#else

volatile void *arch_grant_table(void *page, unsigned long index)
{
    return physmap_grant_table(page, index);
}

#endif

long arch_vacate(const volatile void *page)
{
    return physmap_vacate(page);
}

long arch_occupy(const volatile void *page)
{
    return physmap_occupy(page);
}
