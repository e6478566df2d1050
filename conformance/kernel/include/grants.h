/*
 * Grants: what the runtime asks of an architecture to get at the own grant table, and to make room for
 * mappings. In arch/FAMILY/kernel/.
 */
#ifndef XENPORT_GRANTS_H
#define XENPORT_GRANTS_H

#include <arch.h>
#include <grant_table.h>

#ifdef GNTTAB_NR_RESERVED_ENTRIES
#define GRANT_FIRST_REF GNTTAB_NR_RESERVED_ENTRIES
#else /* before 4.0 there is one layout only, and no name for it; before 4.2 nothing is reserved */
#define grant_entry_v1 grant_entry
#define GRANT_FIRST_REF 8
#endif

/*
 * The page of the own grant table that XENMEM_add_to_physmap knows by this index, to read and write. It
 * is at `page`, a page of the kernel, from now on, or where Xen has put it if a guest cannot choose. A page
 * is shown at one place at a time. NULL: Xen did not let us.
 */
volatile void *arch_grant_table(void *page, unsigned long index);

/* How a domain without privileges maps a grant. */
#ifndef ARCH_GRANT_MAP
#define ARCH_GRANT_MAP GNTMAP_host_map
#endif

/* What gnttab_map_grant_ref.host_addr is for a page of the kernel. */
static inline uint64_t grant_host_address(const volatile void *page)
{
    return (uintptr_t)page;
}

/* Takes the memory away from a page of the kernel, so that something else can be mapped there; gives it
 * memory again, with any content. Return what Xen does: 0, or a negative error number. */
long arch_vacate(const volatile void *page);
long arch_occupy(const volatile void *page);

/* physmap.c: the same for guests whose memory Xen fills in, for architectures to use. */
volatile void *physmap_grant_table(void *page, unsigned long index);
long physmap_vacate(const volatile void *page);
long physmap_occupy(const volatile void *page);

/* And a frame of another domain's in place of the page, until it is taken away again; 0 or an error number. */
long physmap_map_foreign(const volatile void *page, domid_t owner, xen_pfn_t frame);
void physmap_unmap_foreign(const volatile void *page);

#endif
