/*
 * Grants: what the runtime asks of an architecture to get at the own grant table, and to make room for
 * mappings. In arch/FAMILY/kernel/.
 */
#ifndef XENPORT_GRANTS_H
#define XENPORT_GRANTS_H

#include <grant_table.h>

/*
 * The page of the own grant table that XENMEM_add_to_physmap knows by this index, to read and write. It
 * is at `page`, a page of the kernel, from now on, or where Xen has put it if a guest cannot choose. A page
 * is shown at one place at a time. NULL: Xen did not let us.
 */
volatile void *arch_grant_table(void *page, unsigned long index);

/* What gnttab_map_grant_ref.host_addr is for a page of the kernel. */
static inline uint64_t grant_host_address(const volatile void *page)
{
    return (uintptr_t)page;
}

/* Takes the memory away from a page of the kernel, so that something else can be mapped there; gives it
 * memory again, with any content. Return what Xen does: 0, or a negative error number. */
long arch_vacate(const volatile void *page);
long arch_occupy(const volatile void *page);

#endif
