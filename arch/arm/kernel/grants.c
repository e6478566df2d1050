/* The own grant table: pages that Xen puts into the guest. */
#include <grants.h>

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
