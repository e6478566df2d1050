/* The kernel is an HVM guest, whatever the paging it is told to use. */
#include <grants.h>

#include "x86.h"
#include "x86_32/paging.h"

void arch_init(void)
{
    hvm_init();
    start_paging();
}

volatile void *arch_grant_table(void *page, unsigned long index)
{
    return physmap_grant_table(page, index);
}

long arch_vacate(const volatile void *page)
{
    return physmap_vacate(page);
}

long arch_occupy(const volatile void *page)
{
    return physmap_occupy(page);
}

long map_foreign(const volatile void *page, domid_t owner, xen_pfn_t frame)
{
    return physmap_map_foreign(page, owner, frame);
}

void unmap_foreign(const volatile void *page)
{
    physmap_unmap_foreign(page);
}
