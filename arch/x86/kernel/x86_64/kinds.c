/* One kernel is either kind of guest: what is different between the two. */
#include <grants.h>

#include "x86.h"

char console_page[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));

void arch_init(void)
{
    if (entry_start_info)
        pv_init();
    else
        hvm_init();
}

volatile void *arch_grant_table(void *page, unsigned long index)
{
    return arch_is_pv() ? pv_grant_table(page, index) : physmap_grant_table(page, index);
}

long arch_vacate(const volatile void *page)
{
    return arch_is_pv() ? pv_vacate(page) : physmap_vacate(page);
}

long arch_occupy(const volatile void *page)
{
    return arch_is_pv() ? pv_occupy(page) : physmap_occupy(page);
}

long map_foreign(const volatile void *page, domid_t owner, xen_pfn_t frame)
{
    return arch_is_pv() ? pv_map_foreign(page, owner, frame) : physmap_map_foreign(page, owner, frame);
}

void unmap_foreign(const volatile void *page)
{
    if (arch_is_pv())
        pv_occupy(page);
    else
        physmap_unmap_foreign(page);
}
