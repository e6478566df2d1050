/* What the other domain grants, and maps; see peer.h. */
#include <grants.h>
#include <hypercall.h>
#include <peer.h>
#include <string.h>

#include "runtime.h"

#define PAGE_BYTES 4096
#define NOBODY 0x7000 /* below the numbers that Xen reserves, and above those of domains */

typedef uint8_t page_t[PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));

static page_t readonly_page;

volatile struct peer_page *peer_page(void)
{
    return (volatile struct peer_page *)readonly_page;
}

static page_t table_page, writable_page, place;
static bool place_is_free, is_mapped;
static struct gnttab_unmap_grant_ref undo;

static void grant(volatile struct grant_entry_v1 *entry, domid_t domain, const page_t *page,
                  unsigned int flags)
{
    entry->frame = (uint32_t)arch_frame(page);
    entry->domid = domain;
    __atomic_store_n(&entry->flags, (uint16_t)(GTF_permit_access | flags), __ATOMIC_SEQ_CST);
}

/* What a client may have changed, or been told. */
static void start_pages(void)
{
    *peer_page() = (struct peer_page){.mark = PEER_MARK};
    memset(writable_page, 0, sizeof(writable_page));
}

void peer_grant(domid_t client)
{
    volatile struct grant_entry_v1 *table = arch_grant_table(table_page, 0);

    if (!table)
        return;
    start_pages();
    grant(&table[PEER_REF_READONLY], client, &readonly_page, GTF_readonly);
    grant(&table[PEER_REF], client, &writable_page, 0);
    grant(&table[PEER_REF_FOREIGN], NOBODY, &writable_page, 0);
    place_is_free = !(ARCH_GRANT_MAP & GNTMAP_host_map) || arch_vacate(place) == 0;
}

static void map(domid_t client)
{
    struct gnttab_map_grant_ref map = {
        .host_addr = grant_host_address(place),
        .flags = ARCH_GRANT_MAP,
        .ref = PEER_CLIENT_REF,
        .dom = client,
    };

    if (hypercall_grant_table_op(GNTTABOP_map_grant_ref, &map, 1) != 0 || map.status != GNTST_okay)
        return;
    is_mapped = true;
    undo = (struct gnttab_unmap_grant_ref){.handle = map.handle};
    if (ARCH_GRANT_MAP & GNTMAP_host_map) {
        undo.host_addr = map.host_addr;
        ++*(volatile uint32_t *)place;
    } else {
        undo.dev_bus_addr = map.dev_bus_addr;
    }
}

static void unmap(void)
{
    hypercall_grant_table_op(GNTTABOP_unmap_grant_ref, &undo, 1);
    is_mapped = false;
}

void peer_map(domid_t client)
{
    if (is_mapped)
        unmap();
    else if (place_is_free)
        map(client);
}

void peer_renew_client(void)
{
    if (is_mapped)
        unmap();
    start_pages();
}
