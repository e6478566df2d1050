/*
 * Grants of IBM's port, where they differ: tables of one size at places of Xen's choice, mappings for devices
 * only, and what an older common code looks at first. conformance/cases/grant_table.c has the rest.
 */
#include <grants.h>
#include <peer.h>
#include <string.h>
#include <timing.h>

#include <memory.h>

#include <common.h>

#define PAGES 4u

/* No domain has so many. */
#define NO_REF 0x7ffffff

/* A frame that would be a page of another domain's, and is not one of the 2048 of these. */
#define NO_FOREIGN_FRAME ((1ul << 22) + 2048)

typedef uint8_t page_t[PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));

static struct gnttab_setup_table setup_table(domid_t domain, unsigned int pages, unsigned long *frames)
{
    struct gnttab_setup_table setup = {.dom = domain, .nr_frames = pages, .status = 1};

    handle_set(setup.frame_list, frames);
    CHECK_EQ(hypercall_grant_table_op(GNTTABOP_setup_table, &setup, 1), 0);
    return setup;
}

static volatile struct grant_entry *entry_of(grant_ref_t ref)
{
    volatile struct grant_entry *table = arch_grant_table(NULL, 0);

    if (!table)
        FAIL("there is no grant table");
    return &table[ref];
}

/* Entries behind those that conformance/cases/grant_table.c hands out, and before the peer's. */
enum { REF = 500, FOREIGN_REF };

static void grant(grant_ref_t ref, domid_t domain, unsigned long frame)
{
    volatile struct grant_entry *entry = entry_of(ref);

    entry->frame = (uint32_t)frame;
    entry->domid = domain;
    entry->flags = GTF_permit_access;
}

static struct gnttab_map_grant_ref map(domid_t domain, grant_ref_t ref, unsigned int flags)
{
    static page_t place;
    struct gnttab_map_grant_ref map = {
        .host_addr = grant_host_address(place),
        .flags = flags,
        .ref = ref,
        .dom = domain,
        .status = 1,
    };

    CHECK_EQ(hypercall_grant_table_op(GNTTABOP_map_grant_ref, &map, 1), 0);
    return map;
}

/*
 * Background: The table is one piece of memory, so it cannot grow.
 * Provoked by: its size, and the list of its pages.
 * Expected: 4 pages of 4; they follow one another, behind the last frame of the machine's memory; an entry written
 * on each is one that Xen sees.
 * Source: 3.2's asm-powerpc/grant_table.h, config.h; arch/powerpc/mm.c, mfn_to_gmfn().
 */
TEST(grant_table_of_four_pages, GRANTS, "a grant table has four pages, behind the machine's memory")
{
    static page_t page, copy;
    unsigned long frames[PAGES];
    struct gnttab_query_size query = {.dom = DOMID_SELF, .status = 1};
    const unsigned int per_page = PAGE_BYTES / sizeof(struct grant_entry);

    CHECK_EQ(hypercall_grant_table_op(GNTTABOP_query_size, &query, 1), 0);
    CHECK_EQ(query.status, GNTST_okay);
    CHECK_EQ(query.nr_frames, PAGES);
    CHECK_EQ(query.max_nr_frames, PAGES);
    CHECK_EQ(setup_table(DOMID_SELF, PAGES, frames).status, GNTST_okay);
    CHECK_EQ(setup_table(DOMID_SELF, PAGES + 1, frames).status, GNTST_general_error);

    for (unsigned int i = 0; i < PAGES; i++) {
        volatile struct grant_entry *entry = arch_grant_table(NULL, i);
        struct gnttab_copy request = {
            .source = {.u.ref = i * per_page + per_page - 2, .domid = DOMID_SELF},
            .dest = {.u.gmfn = arch_frame(copy), .domid = DOMID_SELF},
            .len = 1,
            .flags = GNTCOPY_source_gref,
            .status = 1,
        };

        CHECK_EQ(frames[i], hypercall_memory_op(XENMEM_maximum_ram_page, NULL) + i);
        CHECK(entry);
        entry += per_page - 2;
        entry->frame = (uint32_t)arch_frame(page);
        entry->domid = own_domain();
        entry->flags = GTF_permit_access;
        page[0] = (uint8_t)(i + 1);
        CHECK_EQ(hypercall_grant_table_op(GNTTABOP_copy, &request, 1), 0);
        CHECK_EQ(request.status, GNTST_okay);
        CHECK_EQ(*(volatile uint8_t *)copy, i + 1);
        entry->flags = 0;
    }
}

/*
 * Background: The frames of the table are there for the guest's page tables alone.
 * Provoked by: a text that Xen is to write there; a page of the table copied, and granted.
 * Expected: -EFAULT; GNTST_general_error.
 * Source: 3.2's asm-powerpc/mm.h, gmfn_to_mfn().
 */
TEST(grant_table_is_no_memory, GRANTS, "Xen neither copies nor writes to the pages of a grant table")
{
    static page_t page;
    struct grant_entry *table = (struct grant_entry *)(uintptr_t)arch_grant_table(NULL, 0);
    struct gnttab_copy copy = {
        .source = {.u.gmfn = arch_frame(page), .domid = DOMID_SELF},
        .dest = {.u.gmfn = arch_frame(table), .domid = DOMID_SELF},
        .len = 8,
        .status = 1,
    };

    CHECK(table);
    CHECK_ERRNO(hypercall_xen_version(XENVER_extraversion, table), EFAULT);
    CHECK_EQ(hypercall_grant_table_op(GNTTABOP_copy, &copy, 1), 0);
    CHECK_EQ(copy.status, GNTST_general_error);
    copy.source.u.gmfn = arch_frame(table);
    copy.dest.u.gmfn = arch_frame(page);
    CHECK_EQ(hypercall_grant_table_op(GNTTABOP_copy, &copy, 1), 0);
    CHECK_EQ(copy.status, GNTST_general_error);
    grant(REF, own_domain(), arch_frame(table));
    CHECK_EQ(map(own_domain(), REF, GNTMAP_device_map).status, GNTST_general_error);
    entry_of(REF)->flags = 0;
}

/*
 * Background: What is wrong with a list is looked at in another order than today.
 * Provoked by: too many pages, of a domain that does not exist, and of domain 0; the own domain by its number.
 * Expected: GNTST_general_error twice; GNTST_permission_denied, for only the control domain may name domains.
 * Source: 3.2's common/grant_table.c, gnttab_setup_table().
 */
TEST(grant_setup_table_order, GRANTS, "a table is too large before it is another domain's", .needs = "domu")
{
    unsigned long frames[PAGES];

    CHECK_EQ(setup_table(NO_DOMAIN, PAGES + 1, frames).status, GNTST_general_error);
    CHECK_EQ(setup_table(0, PAGES + 1, frames).status, GNTST_general_error);
    CHECK_EQ(setup_table(own_domain(), PAGES, frames).status, GNTST_permission_denied);
}

/*
 * Background: A call has few requests, since Xen does not interrupt it.
 * Provoked by: 512 requests that fail; 513, also of a command that does not exist.
 * Expected: 0, and each has its status; -EINVAL twice.
 * Source: 3.2's common/grant_table.c, do_grant_table_op().
 */
TEST(grant_requests_limit, GRANTS, "a call has 512 requests at most: EINVAL")
{
    static struct gnttab_unmap_grant_ref unmaps[513];

    for (unsigned int i = 0; i < 513; i++)
        unmaps[i] = (struct gnttab_unmap_grant_ref){.handle = NO_REF, .status = 1};
    CHECK_ERRNO(hypercall_grant_table_op(GNTTABOP_unmap_grant_ref, unmaps, 513), EINVAL);
    CHECK_ERRNO(hypercall_grant_table_op(NO_COMMAND, unmaps, 513), EINVAL);
    CHECK_EQ(unmaps[0].status, 1);
    CHECK_EQ(hypercall_grant_table_op(GNTTABOP_unmap_grant_ref, unmaps, 512), 0);
    for (unsigned int i = 0; i < 512; i++)
        CHECK_EQ(unmaps[i].status, GNTST_bad_handle);
    CHECK_EQ(unmaps[512].status, 1);
}

/*
 * Background: IBM's Xen cannot replace mappings, and says so before it looks at the request. What later releases
 * have (versions of the table, status pages, entries exchanged, caches) is unknown.
 * Provoked by: a replacement at an address where nothing is, and none; the numbers of those commands.
 * Expected: -ENOSYS.
 * Source: 3.2's asm-powerpc/grant_table.h, replace_grant_supported(); common/grant_table.c, do_grant_table_op().
 */
TEST(grant_commands_not_on_ppc, GRANTS, "IBM's port replaces no mappings, and has one version: ENOSYS")
{
    void *nowhere = arch_unmapped_pointer();

    CHECK_ERRNO(hypercall_grant_table_op(GNTTABOP_unmap_and_replace, nowhere, 1), ENOSYS);
    CHECK_ERRNO(hypercall_grant_table_op(GNTTABOP_unmap_and_replace, nowhere, 0), ENOSYS);
    for (unsigned int command = GNTTABOP_unmap_and_replace + 1; command < 16; command++)
        CHECK_ERRNO(hypercall_grant_table_op(command, nowhere, 1), ENOSYS);
}

static int copy_status(domid_t from, domid_t to, unsigned int flags, unsigned int offset)
{
    struct gnttab_copy copy = {
        .source = {.u.ref = NO_REF, .domid = from, .offset = (uint16_t)offset},
        .dest = {.u.ref = NO_REF, .domid = to},
        .len = 1,
        .flags = (uint16_t)flags,
        .status = 1,
    };

    CHECK_EQ(hypercall_grant_table_op(GNTTABOP_copy, &copy, 1), 0);
    return copy.status;
}

/*
 * Background: A copy that leaves a page is wrong whatever else it says.
 * Provoked by: such copies from a frame of another domain's, from a domain that does not exist, from an entry that
 * does not exist; the same within a page; a copy of no bytes, which is looked at like any other.
 * Expected: GNTST_bad_copy_arg each time; GNTST_permission_denied, GNTST_bad_domain, GNTST_bad_gntref.
 * Source: 3.2's common/grant_table.c, __gnttab_copy().
 */
TEST(grant_copy_order, GRANTS, "a copy leaves its page before it is anything else: GNTST_bad_copy_arg")
{
    const unsigned int grants = GNTCOPY_source_gref | GNTCOPY_dest_gref;
    domid_t self = own_domain();

    CHECK_EQ(copy_status(self, self, 0, PAGE_BYTES), GNTST_bad_copy_arg);
    CHECK_EQ(copy_status(NO_DOMAIN, self, grants, PAGE_BYTES), GNTST_bad_copy_arg);
    CHECK_EQ(copy_status(self, self, grants, PAGE_BYTES), GNTST_bad_copy_arg);
    CHECK_EQ(copy_status(self, self, 0, PAGE_BYTES - 1), GNTST_permission_denied);
    CHECK_EQ(copy_status(NO_DOMAIN, self, 0, PAGE_BYTES - 1), GNTST_permission_denied);
    CHECK_EQ(copy_status(NO_DOMAIN, self, grants, PAGE_BYTES - 1), GNTST_bad_domain);
    CHECK_EQ(copy_status(self, self, grants, PAGE_BYTES - 1), GNTST_bad_gntref);
}

/* ---- Mappings ---- */

static int unmap(const struct gnttab_map_grant_ref *map, uint64_t address)
{
    struct gnttab_unmap_grant_ref unmap = {.dev_bus_addr = address, .handle = map->handle, .status = 1};

    CHECK_EQ(hypercall_grant_table_op(GNTTABOP_unmap_grant_ref, &unmap, 1), 0);
    return unmap.status;
}

/*
 * Background: Of the address of a device mapping only the frame counts.
 * Provoked by: a mapping undone with the last byte of the page before, and of its own.
 * Expected: GNTST_general_error, and the mapping stays; GNTST_okay.
 * Source: 3.2's common/grant_table.c, __gnttab_unmap_common().
 */
TEST(grant_device_unmap_by_frame, GRANTS, "a mapping for devices is undone by any address in its page")
{
    static page_t page;

    grant(REF, own_domain(), arch_frame(page));
    struct gnttab_map_grant_ref mapped = map(own_domain(), REF, GNTMAP_device_map);
    CHECK_EQ(mapped.status, GNTST_okay);
    CHECK_EQ(unmap(&mapped, mapped.dev_bus_addr - 1), GNTST_general_error);
    CHECK_EQ(entry_of(REF)->flags, GTF_permit_access | GTF_reading | GTF_writing);
    CHECK_EQ(unmap(&mapped, mapped.dev_bus_addr + PAGE_BYTES - 1), GNTST_okay);
    CHECK_EQ(entry_of(REF)->flags, GTF_permit_access);
    entry_of(REF)->flags = 0;
}

/*
 * Background: Pages of another domain's can be mapped for devices, as that domain grants them.
 * Provoked by: its page for reading mapped for writing and for reading; its other page mapped for writing, and
 * copied meanwhile.
 * Expected: GNTST_general_error; GNTST_okay; the contents.
 * Source: grant_table.h; 3.2's common/grant_table.c, __gnttab_map_grant_ref().
 */
TEST(grant_peer_device_map, GRANTS, "another domain's pages are mapped for devices as it grants them",
     .needs = "peer")
{
    static page_t page;
    domid_t peer = peer_domain();
    struct gnttab_copy copy = {
        .source = {.u.gmfn = arch_frame(page), .domid = DOMID_SELF},
        .dest = {.u.ref = PEER_REF, .domid = peer},
        .len = PAGE_BYTES,
        .flags = GNTCOPY_dest_gref,
        .status = 1,
    };

    peer_bind(PEER_ECHO);
    CHECK_EQ(map(peer, PEER_REF_READONLY, GNTMAP_device_map).status, GNTST_general_error);
    struct gnttab_map_grant_ref reading = map(peer, PEER_REF_READONLY, GNTMAP_device_map | GNTMAP_readonly);
    CHECK_EQ(reading.status, GNTST_okay);
    struct gnttab_map_grant_ref writing = map(peer, PEER_REF, GNTMAP_device_map);
    CHECK_EQ(writing.status, GNTST_okay);
    CHECK(reading.dev_bus_addr != writing.dev_bus_addr);

    memset(page, 7, sizeof(page));
    CHECK_EQ(hypercall_grant_table_op(GNTTABOP_copy, &copy, 1), 0);
    CHECK_EQ(copy.status, GNTST_okay);
    CHECK_EQ(unmap(&writing, reading.dev_bus_addr), GNTST_general_error);
    CHECK_EQ(unmap(&writing, writing.dev_bus_addr), GNTST_okay);
    CHECK_EQ(unmap(&writing, writing.dev_bus_addr), GNTST_bad_handle);
    CHECK_EQ(unmap(&reading, reading.dev_bus_addr), GNTST_okay);
}

/*
 * Background: A page of this domain's is mapped by the other one; this domain sees that.
 * Provoked by: a grant to the other domain, which it is asked to map, and to unmap.
 * Expected: GTF_reading and GTF_writing; nobody else can use the grant meanwhile; when it is unmapped, it is free.
 * Source: grant_table.h; 3.2's common/grant_table.c, __gnttab_map_grant_ref().
 */
TEST(grant_peer_maps_for_devices, GRANTS, "a page that another domain maps for devices is in use",
     .needs = "peer")
{
    static page_t page;
    volatile struct grant_entry *entry = entry_of(PEER_CLIENT_REF);
    evtchn_port_t port = peer_bind(PEER_MAP);

    CHECK_EQ(event_bind(port, NULL, NULL), 0);
    CHECK(event_wait(port, 1, EVENT_LIMIT));
    grant(PEER_CLIENT_REF, peer_domain(), arch_frame(page));
    CHECK_EQ(event_send(port), 0);
    CHECK(event_wait(port, 2, EVENT_LIMIT));
    CHECK_EQ(entry->flags, GTF_permit_access | GTF_reading | GTF_writing);
    CHECK_EQ(map(own_domain(), PEER_CLIENT_REF, GNTMAP_device_map).status, GNTST_general_error);
    CHECK_EQ(event_send(port), 0);
    CHECK(event_wait(port, 3, EVENT_LIMIT));
    CHECK_EQ(entry->flags, GTF_permit_access);
    entry->flags = 0;
}

/* ---- What Xen does not survive ---- */

/*
 * Background: IBM's Xen keeps a list of foreign pages for domain 0 only.
 * Provoked by: a grant that is mapped for the processor.
 * Expected: Xen stops.
 * Source: 3.2's arch/powerpc/mm.c, create_grant_va_mapping().
 */
TEST(grant_host_map_stops_xen, GRANTS, "a domU that maps a grant for the processor stops Xen",
     .needs = "slow domu observed-end", .ends = "crash")
{
    static page_t page;

    grant(REF, own_domain(), arch_frame(page));
    FAIL("it was mapped with status %d", map(own_domain(), REF, GNTMAP_host_map).status);
}

/*
 * Background: IBM's Xen cannot take a page away from a domain.
 * Provoked by: a frame that the domain does not have, and a page of its own, given to itself.
 * Expected: GNTST_bad_page; Xen stops.
 * Source: 3.2's common/grant_table.c, gnttab_transfer(); arch/powerpc/mm.c, steal_page().
 */
TEST(grant_transfer_stops_xen, GRANTS, "a page that is given away stops Xen",
     .needs = "slow observed-end", .ends = "crash")
{
    static page_t page;
    struct gnttab_transfer transfer = {.mfn = NO_REF & ~(1ul << 22), .domid = own_domain(), .status = 1};

    CHECK_EQ(hypercall_grant_table_op(GNTTABOP_transfer, &transfer, 1), 0);
    CHECK_EQ(transfer.status, GNTST_bad_page);
    transfer.mfn = arch_frame(page);
    FAIL("it returned %ld", hypercall_grant_table_op(GNTTABOP_transfer, &transfer, 1));
}

/*
 * Background: Frames with bit 22 set stand for pages of other domains; there are 2048 of them.
 * Provoked by: a grant of a frame behind them.
 * Expected: Xen stops.
 * Source: 3.2's arch/powerpc/mm.c, foreign_to_mfn().
 */
TEST(grant_foreign_frame_stops_xen, GRANTS, "a grant of a foreign frame that cannot be stops Xen",
     .needs = "slow observed-end", .ends = "crash")
{
    grant(FOREIGN_REF, own_domain(), NO_FOREIGN_FRAME - 1);
    CHECK_EQ(map(own_domain(), FOREIGN_REF, GNTMAP_device_map).status, GNTST_general_error);
    grant(FOREIGN_REF, own_domain(), NO_FOREIGN_FRAME);
    FAIL("it was mapped with status %d", map(own_domain(), FOREIGN_REF, GNTMAP_device_map).status);
}
