/*
 * Rung "grants": the table of a domain, and pages that are mapped and copied by grants.
 *
 * One domain is enough for most of it: a domain may grant pages to itself, by its number. Each grant has an
 * entry of the table that no test had before, and each test has pages of its own, so that a failure in the
 * middle harms no other test.
 */
#include <fault.h>
#include <grants.h>
#include <memory.h>
#include <peer.h>
#include <string.h>
#include <timing.h>

#include "common.h"

typedef uint8_t page_t[PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));

/* All kinds of guests; those that map grants, for the processor and for devices. IBM's port lets only
 * domain 0 map for the processor, and its tables have one size. */
#define GRANT_ANY "pv|hvm|arm|ppc"
#define GRANT_MAP "pv|hvm|arm" TODAYS_PPC
#define GRANT_DEVICE "pv" IBMS_PPC

/* Before 4.0 requests are looked at in another order, and there are fewer statuses. */
#define OLD_RULES (!RELEASE_IS_AT_LEAST(4, 0))

#define MARK 0x12345678u

/* No domain has so many. */
#define NO_REF 0x7ffffff
#define NO_HANDLE 0x7ffffff

/* No machine has so much memory. (In IBM's port bit 22 would say that it is another domain's.) */
#define NO_GRANT_FRAME 0x7fbfffffu

/* ---- The own table ---- */

static page_t table_page;
static volatile struct grant_entry_v1 *table;
static domid_t self;

#ifdef GNTTABOP_set_version
static long set_version(unsigned int version, unsigned int *now)
{
    struct gnttab_set_version set = {.version = version};
    long rc = hypercall_grant_table_op(GNTTABOP_set_version, &set, 1);

    *now = set.version;
    return rc;
}
#endif

/* The version is as the last test left it. The first page stays where it was mapped once. */
static void begin(void)
{
#ifdef GNTTABOP_set_version
    unsigned int now;

    CHECK_EQ(set_version(1, &now), 0);
#endif
    if (!table)
        table = arch_grant_table(table_page, 0);
    if (!table)
        FAIL("the first page of the grant table cannot be mapped");
    self = own_domain();
}

/* Those behind, on the first page, are for tests of an architecture alone, and the last one for the peer. */
#define GRANTS_FOR_TESTS 500

static grant_ref_t next_ref = GRANT_FIRST_REF;

/* Writes an entry that no test has used. */
static grant_ref_t grant_frame(domid_t to, unsigned long frame, unsigned int flags)
{
    grant_ref_t ref = next_ref++;

    CHECK(ref < GRANTS_FOR_TESTS);
    table[ref].frame = (uint32_t)frame;
    table[ref].domid = to;
    __atomic_store_n(&table[ref].flags, (uint16_t)flags, __ATOMIC_SEQ_CST);
    return ref;
}

static grant_ref_t grant(const volatile void *page, unsigned int flags)
{
    return grant_frame(self, arch_frame(page), flags);
}

/* Which of the flags that Xen sets an entry has. */
static unsigned int in_use(grant_ref_t ref)
{
    return table[ref].flags & (GTF_reading | GTF_writing);
}

/* Takes a grant back as a guest has to; false while it is in use. */
static bool revoke(grant_ref_t ref)
{
    uint16_t flags = table[ref].flags;

    return !(flags & (GTF_reading | GTF_writing)) &&
           __atomic_compare_exchange_n(&table[ref].flags, &flags, 0, false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_SEQ_CST);
}

/* ---- Mapping ---- */

static struct gnttab_map_grant_ref map_from(domid_t domain, grant_ref_t ref, const volatile void *page,
                                            unsigned int flags)
{
    struct gnttab_map_grant_ref map = {
        .host_addr = grant_host_address(page),
        .flags = flags,
        .ref = ref,
        .dom = domain,
        .status = 1,
    };

    CHECK_EQ(hypercall_grant_table_op(GNTTABOP_map_grant_ref, &map, 1), 0);
    return map;
}

static int map_status(domid_t domain, grant_ref_t ref, const volatile void *page, unsigned int flags)
{
    return map_from(domain, ref, page, flags).status;
}

/* Maps a grant of this domain's at a page that was vacated; returns the handle. */
static grant_handle_t map(grant_ref_t ref, const volatile void *page, unsigned int flags)
{
    struct gnttab_map_grant_ref map = map_from(self, ref, page, flags);

    CHECK_EQ(map.status, GNTST_okay);
    return map.handle;
}

static int unmap(grant_handle_t handle, uint64_t address)
{
    struct gnttab_unmap_grant_ref unmap = {.host_addr = address, .handle = handle, .status = 1};

    CHECK_EQ(hypercall_grant_table_op(GNTTABOP_unmap_grant_ref, &unmap, 1), 0);
    return unmap.status;
}

static int unmap_page(grant_handle_t handle, const volatile void *page)
{
    return unmap(handle, grant_host_address(page));
}

static volatile uint32_t *word(volatile void *page)
{
    return page;
}

/*
 * On x86 a page of a translated guest is at one frame at a time: where a domain maps its own page, it is not
 * at its old place any more, and has to be got again when it is unmapped.
 */
static bool own_page_moves(void)
{
    return strcmp(boot_info.guest, "hvm") == 0;
}

/* The granted page, by the other address if there are two. */
static volatile uint32_t *granted(volatile void *page, volatile void *place)
{
    return own_page_moves() ? place : page;
}

/* The mapping is undone: both pages of the kernel have memory again, and the grant is taken back. */
static void finish(grant_ref_t ref, const volatile void *page, const volatile void *place)
{
    if (own_page_moves())
        CHECK_EQ(arch_occupy(page), 0);
    CHECK_EQ(arch_occupy(place), 0);
    CHECK(revoke(ref));
}

/* ---- The table's size and version ---- */

/* What a question about a domain that does not exist ends with. */
static int unknown_domain_status(void)
{
    return OLD_RULES && own_domain() != 0 ? GNTST_permission_denied : GNTST_bad_domain;
}

static struct gnttab_query_size query_size(domid_t domain)
{
    struct gnttab_query_size query = {.dom = domain, .status = 1};

    CHECK_EQ(hypercall_grant_table_op(GNTTABOP_query_size, &query, 1), 0);
    return query;
}

/*
 * Background: Every domain has a table from the start, and may make it larger.
 * Provoked by: the question, about this domain under both its names.
 * Expected: a page at least, and no more than it may have. Before 4.0 a domU has only the name DOMID_SELF.
 * Source: grant_table.h; common/grant_table.c, gnttab_query_size().
 */
TEST(grant_query_size, GRANTS, "a domain has a grant table, no larger than it may be",
     .needs = GRANT_ANY)
{
    struct gnttab_query_size query = query_size(DOMID_SELF);

    CHECK_EQ(query.status, GNTST_okay);
    CHECK(query.nr_frames >= 1);
    CHECK(query.max_nr_frames >= query.nr_frames);

    struct gnttab_query_size named = query_size(own_domain());
    if (OLD_RULES && own_domain() != 0) {
        CHECK_EQ(named.status, GNTST_permission_denied);
        return;
    }
    CHECK_EQ(named.status, GNTST_okay);
    CHECK_EQ(named.nr_frames, query.nr_frames);
    CHECK_EQ(named.max_nr_frames, query.max_nr_frames);
}

/*
 * Background: What is wrong with the request is told in it; what is wrong with the call is an error.
 * Provoked by: a domain that does not exist; no request, two; one at no address.
 * Expected: GNTST_bad_domain, before 4.0 GNTST_permission_denied; -EINVAL twice; -EFAULT.
 * Source: common/grant_table.c, gnttab_query_size().
 */
TEST(grant_query_size_refused, GRANTS, "the size of no table: GNTST_bad_domain; two questions: EINVAL",
     .needs = GRANT_ANY)
{
    struct gnttab_query_size query[2] = {{.dom = DOMID_SELF}, {.dom = DOMID_SELF}};

    CHECK_EQ(query_size(NO_DOMAIN).status, unknown_domain_status());
    CHECK_ERRNO(hypercall_grant_table_op(GNTTABOP_query_size, query, 0), EINVAL);
    CHECK_ERRNO(hypercall_grant_table_op(GNTTABOP_query_size, query, 2), EINVAL);
    CHECK_ERRNO(hypercall_grant_table_op(GNTTABOP_query_size, arch_unmapped_pointer(), 1), EFAULT);
}

#ifdef GNTTABOP_get_version

static long get_version(domid_t domain, unsigned int *version)
{
    struct gnttab_get_version get = {.dom = domain, .version = 99};
    long rc = hypercall_grant_table_op(GNTTABOP_get_version, &get, 1);

    *version = get.version;
    return rc;
}

/*
 * Background: There are two layouts of the table; each starts with the first one.
 * Provoked by: the question, about this domain under both its names.
 * Expected: 1.
 * Source: grant_table.h; common/grant_table.c, gnttab_get_version().
 */
TEST(grant_get_version, GRANTS, "a grant table starts with version 1", .needs = GRANT_ANY)
{
    unsigned int version;

    CHECK_EQ(get_version(DOMID_SELF, &version), 0);
    CHECK_EQ(version, 1);
    CHECK_EQ(get_version(own_domain(), &version), 0);
    CHECK_EQ(version, 1);
}

/*
 * Background: This command has no status: what is wrong is an error.
 * Provoked by: a domain that does not exist; a question at no address.
 * Expected: -ESRCH; -EFAULT.
 * Source: common/grant_table.c, gnttab_get_version().
 */
TEST(grant_get_version_refused, GRANTS, "the version of no table: ESRCH", .needs = GRANT_ANY)
{
    unsigned int version;

    CHECK_ERRNO(get_version(NO_DOMAIN, &version), ESRCH);
    CHECK_EQ(version, 99);
    CHECK_ERRNO(hypercall_grant_table_op(GNTTABOP_get_version, arch_unmapped_pointer(), 1), EFAULT);
}

/*
 * Background: A guest asks for the version that it knows, whatever the table has.
 * Provoked by: version 1 asked for; an entry that is in the table then.
 * Expected: 0, 1, and the entry is still there.
 * Source: grant_table.h; common/grant_table.c, gnttab_set_version().
 */
TEST(grant_set_version, GRANTS, "the version that the table has can be set", .needs = GRANT_ANY)
{
    static page_t page;
    unsigned int now;

    begin();
    grant_ref_t ref = grant(page, GTF_permit_access);
    CHECK_EQ(set_version(1, &now), 0);
    CHECK_EQ(now, 1);
    CHECK_EQ(table[ref].flags, GTF_permit_access);
    CHECK(revoke(ref));
}

/*
 * Background: Also after an error the guest is told which version it has.
 * Provoked by: versions 0 and 3; a request at no address.
 * Expected: -EINVAL and 1; -EFAULT.
 * Source: grant_table.h; common/grant_table.c, gnttab_set_version().
 */
TEST(grant_set_version_refused, GRANTS, "versions that do not exist are refused with EINVAL",
     .needs = GRANT_ANY)
{
    unsigned int now;

    CHECK_ERRNO(set_version(0, &now), EINVAL);
    CHECK_EQ(now, 1);
    CHECK_ERRNO(set_version(3, &now), EINVAL);
    CHECK_EQ(now, 1);
    CHECK_ERRNO(hypercall_grant_table_op(GNTTABOP_set_version, arch_unmapped_pointer(), 1), EFAULT);
}

/*
 * Background: Arm's Xen has version 1 only.
 * Provoked by: version 2 asked for.
 * Expected: -ENOSYS, and 1.
 * Source: asm-arm/grant_table.h; common/grant_table.c, gnttab_set_version().
 */
TEST(grant_no_version_2, GRANTS, "version 2 of the table is refused on Arm: ENOSYS", .needs = "arm")
{
    unsigned int now;

    CHECK_ERRNO(set_version(2, &now), ENOSYS);
    CHECK_EQ(now, 1);
}

#endif

/* ---- The table's pages ---- */

static long setup_table(struct gnttab_setup_table *setup, domid_t domain, unsigned int pages,
                        xen_pfn_t *frames)
{
    *setup = (struct gnttab_setup_table){.dom = domain, .nr_frames = pages, .status = 1};
    handle_set(setup->frame_list, frames);
    return hypercall_grant_table_op(GNTTABOP_setup_table, setup, 1);
}

static int setup_status(domid_t domain, unsigned int pages, xen_pfn_t *frames)
{
    struct gnttab_setup_table setup;

    CHECK_EQ(setup_table(&setup, domain, pages, frames), 0);
    return setup.status;
}

#define FRAMES_LISTED 8

/*
 * Background: A guest asks where its table is. One that Xen translates hears where it is mapped.
 * Provoked by: the first page mapped, and the list of one page.
 * Expected: for a translated guest, the frame it is mapped at; for a PV guest, a machine frame, and the same
 * each time.
 * Source: grant_table.h; common/grant_table.c, gnttab_setup_table().
 */
TEST(grant_setup_table, GRANTS, "the pages of the grant table are listed", .needs = GRANT_ANY)
{
    xen_pfn_t frame = 0, again = 0;

    begin();
    CHECK_EQ(setup_status(DOMID_SELF, 1, &frame), GNTST_okay);
    CHECK(frame != 0 && frame != ~(xen_pfn_t)0);
    if (strcmp(boot_info.guest, "pv") != 0)
        CHECK_EQ(frame, arch_frame(table));
    CHECK_EQ(setup_status(OLD_RULES ? DOMID_SELF : self, 1, &again), GNTST_okay);
    CHECK_EQ(again, frame);
}

/*
 * Background: The table grows when more pages are asked for than it has.
 * Provoked by: a list of a page more than there is.
 * Expected: the table has so many pages then; there is an entry on the last page that can be granted.
 * Source: grant_table.h; common/grant_table.c, gnttab_setup_table(), gnttab_grow_table().
 */
TEST(grant_table_grows, GRANTS, "a grant table becomes larger when more pages are asked for",
     .needs = GRANT_MAP)
{
    static page_t last_page, page, copy;
    xen_pfn_t frames[FRAMES_LISTED];
    struct gnttab_query_size before = query_size(DOMID_SELF);
    unsigned int pages = before.nr_frames + 1, per_page = PAGE_BYTES / sizeof(*table);

    if (pages > FRAMES_LISTED || pages > before.max_nr_frames)
        SKIP("the table has %u pages of %u already", before.nr_frames, before.max_nr_frames);
    CHECK_EQ(setup_status(DOMID_SELF, pages, frames), GNTST_okay);
    CHECK_EQ(query_size(DOMID_SELF).nr_frames, pages);

    volatile struct grant_entry_v1 *entry = arch_grant_table(last_page, pages - 1);
    CHECK(entry);
    entry->frame = (uint32_t)arch_frame(page);
    entry->domid = own_domain();
    entry->flags = GTF_permit_access;
    *word(page) = MARK;
    struct gnttab_copy request = {
        .source = {.u.ref = (pages - 1) * per_page, .domid = own_domain()},
        .dest = {.u.gmfn = arch_frame(copy), .domid = DOMID_SELF},
        .len = sizeof(uint32_t),
        .flags = GNTCOPY_source_gref,
        .status = 1,
    };
    CHECK_EQ(hypercall_grant_table_op(GNTTABOP_copy, &request, 1), 0);
    CHECK_EQ(request.status, GNTST_okay);
    CHECK_EQ(*word(copy), MARK);
    entry->flags = 0;
}

/*
 * Background: What can be refused about a list is refused in an order.
 * Provoked by: a domain that does not exist; a page more than the table may have; a list at no address; no
 * request and two; a request at no address.
 * Expected: GNTST_bad_domain, before 4.0 GNTST_permission_denied; GNTST_general_error; GNTST_bad_virt_addr, but
 * before 4.0 Xen does not notice; -EINVAL; -EFAULT. 32-bit guests on x86 hear of no error if the list cannot be
 * written, nor if there is no request.
 * Source: common/grant_table.c, gnttab_setup_table(); common/compat/grant_table.c.
 */
TEST(grant_setup_table_refused, GRANTS, "lists of pages that cannot be are refused, each with its status",
     .needs = GRANT_ANY)
{
    xen_pfn_t frame;
    struct gnttab_setup_table setup[2];
    unsigned int most = query_size(DOMID_SELF).max_nr_frames;

    CHECK_EQ(setup_status(NO_DOMAIN, 1, &frame), unknown_domain_status());
    CHECK_EQ(setup_status(DOMID_SELF, most + 1, &frame), GNTST_general_error);
    CHECK_EQ(setup_status(DOMID_SELF, 1, arch_unmapped_pointer()),
             OLD_RULES || ARCH_COMPAT ? GNTST_okay : GNTST_bad_virt_addr);
    memset(setup, 0, sizeof(setup));
    CHECK_EQ(hypercall_grant_table_op(GNTTABOP_setup_table, setup, 0), ARCH_COMPAT ? 0 : -XEN_EINVAL);
    CHECK_ERRNO(hypercall_grant_table_op(GNTTABOP_setup_table, setup, 2), EINVAL);
    CHECK_ERRNO(hypercall_grant_table_op(GNTTABOP_setup_table, arch_unmapped_pointer(), 1), EFAULT);
}

/*
 * Background: A translated guest puts pages of its table where it wants them, as it does shared_info.
 * Provoked by: the first page mapped; the page behind the last that the table may have.
 * Expected: an entry written there is one of the table's, which can be mapped; -EINVAL.
 * Source: memory.h (XENMAPSPACE_grant_table); common/grant_table.c, gnttab_map_frame_begin().
 */
TEST(grant_add_to_physmap, GRANTS, "pages of the grant table are mapped like others of Xen's",
     .needs = "hvm|arm" TODAYS_PPC)
{
    static page_t page, beyond;
    struct xen_add_to_physmap add = {
        .domid = DOMID_SELF,
        .space = XENMAPSPACE_grant_table,
        .idx = query_size(DOMID_SELF).max_nr_frames,
        .gpfn = arch_frame(beyond),
    };

    begin();
    grant_ref_t ref = grant(page, GTF_permit_access);
    CHECK_EQ(arch_vacate(beyond), 0);
    grant_handle_t handle = map(ref, beyond, GNTMAP_host_map);
    CHECK_EQ(unmap_page(handle, beyond), GNTST_okay);
    CHECK_ERRNO(hypercall_memory_op(XENMEM_add_to_physmap, &add), EINVAL);
    finish(ref, page, beyond);
}

/*
 * Background: The tables of others are the tools' business only.
 * Provoked by: a domU asks about domain 0.
 * Expected: GNTST_permission_denied; for the version, which has no status, -EPERM.
 * Source: common/grant_table.c; xsm/dummy.h, xsm_grant_query_size(), xsm_grant_setup().
 */
TEST(grant_table_of_another_domain, GRANTS, "a domU is told nothing of the table of dom0",
     .needs = GRANT_ANY " domu")
{
    xen_pfn_t frame;

    CHECK_EQ(query_size(0).status, GNTST_permission_denied);
    CHECK_EQ(setup_status(0, 1, &frame), GNTST_permission_denied);
#ifdef GNTTABOP_get_version
    unsigned int version;

    CHECK_ERRNO(get_version(0, &version), EPERM);
#endif
}

/* ---- Mapping and unmapping ---- */

/*
 * Background: This is what grants are for: another domain's page appears at an address of the caller's. Xen
 * marks the entry for as long.
 * Provoked by: a page granted and mapped; words written on both sides; the mapping undone.
 * Expected: each side sees what the other writes; GTF_reading and GTF_writing are set while it is mapped;
 * afterwards the address does not lead to the page any more.
 * Source: grant_table.h; common/grant_table.c, map_grant_ref(), unmap_common().
 */
TEST(grant_map_writable, GRANTS, "a page that was granted is mapped, and both see what the other writes",
     .needs = GRANT_MAP)
{
    static page_t page, place;

    begin();
    grant_ref_t ref = grant(page, GTF_permit_access);
    *word(page) = MARK;
    CHECK_EQ(arch_vacate(place), 0);
    grant_handle_t handle = map(ref, place, GNTMAP_host_map);
    CHECK_EQ(in_use(ref), GTF_reading | GTF_writing);
    CHECK_EQ(*word(place), MARK);
    *word(place) = 1;
    CHECK_EQ(*granted(page, place), 1);
    *granted(page, place) = 2;
    CHECK_EQ(*word(place), 2);

    CHECK_EQ(unmap_page(handle, place), GNTST_okay);
    CHECK_EQ(in_use(ref), 0);
    finish(ref, page, place);
    *word(page) = 2;
    *word(place) = 3;
    CHECK_EQ(*word(page), 2);
}

/*
 * Background: A page may be granted, and one that is granted for writing mapped, for reading only.
 * Provoked by: both mapped with GNTMAP_readonly.
 * Expected: only GTF_reading is set, and the page can be read.
 * Source: grant_table.h; common/grant_table.c, map_grant_ref().
 */
TEST(grant_map_readonly, GRANTS, "a grant is mapped for reading, and marked so", .needs = GRANT_MAP)
{
    static page_t page, place;

    begin();
    for (unsigned int readonly = 0; readonly < 2; readonly++) {
        grant_ref_t ref = grant(page, GTF_permit_access | (readonly ? GTF_readonly : 0));

        *word(page) = MARK;
        CHECK_EQ(arch_vacate(place), 0);
        grant_handle_t handle = map(ref, place, GNTMAP_host_map | GNTMAP_readonly);
        CHECK_EQ(in_use(ref), GTF_reading);
        CHECK_EQ(*word(place), MARK);
        CHECK_EQ(unmap_page(handle, place), GNTST_okay);
        CHECK_EQ(in_use(ref), 0);
        finish(ref, page, place);
    }
}

/*
 * Background: What was mapped for reading cannot be written. On Arm a vcpu that tries never gets behind the
 * instruction, so it is not tried there.
 * Provoked by: a write to such a mapping.
 * Expected: a fault; for HVM guests nothing. The page is as before.
 * Source: arch/x86/pv/grant_table.c, grant_to_pte_flags(); arch/x86/hvm/hvm.c,
 * hvm_hap_nested_page_fault().
 */
TEST(grant_write_readonly, GRANTS, "a page that is mapped for reading cannot be written",
     .needs = "pv|hvm" TODAYS_PPC)
{
    static page_t page, place;

    begin();
    grant_ref_t ref = grant(page, GTF_permit_access);
    *word(page) = MARK;
    CHECK_EQ(arch_vacate(place), 0);
    grant_handle_t handle = map(ref, place, GNTMAP_host_map | GNTMAP_readonly);
    CHECK_EQ(fault_write(word(place), 1), strcmp(boot_info.guest, "hvm") == 0);
    CHECK_EQ(*word(place), MARK);
    CHECK_EQ(*granted(page, place), MARK);
    CHECK_EQ(unmap_page(handle, place), GNTST_okay);
    finish(ref, page, place);
}

#ifdef XENMEM_remove_from_physmap
/*
 * Background: A page of a translated guest on x86 is at one frame.
 * Provoked by: a page that a domain granted to itself, mapped and unmapped.
 * Expected: while it is mapped and afterwards, nothing is at the page's old frame.
 * Source: arch/x86/mm/p2m.c, guest_physmap_add_entry().
 */
TEST(grant_map_own_page, GRANTS, "an HVM guest that maps its own page moves it", .needs = "hvm")
{
    static page_t page, place;
    struct xen_remove_from_physmap remove = {.domid = DOMID_SELF, .gpfn = arch_frame(page)};

    begin();
    grant_ref_t ref = grant(page, GTF_permit_access);
    *word(page) = MARK;
    CHECK_EQ(arch_vacate(place), 0);
    grant_handle_t handle = map(ref, place, GNTMAP_host_map);
    CHECK_EQ(*word(place), MARK);
    CHECK_ERRNO(hypercall_memory_op(XENMEM_remove_from_physmap, &remove), ENOENT);
    CHECK_EQ(unmap_page(handle, place), GNTST_okay);
    CHECK_ERRNO(hypercall_memory_op(XENMEM_remove_from_physmap, &remove), ENOENT);
    finish(ref, page, place);
}
#endif

/*
 * Background: Each mapping has a handle, and counts.
 * Provoked by: a page mapped for reading and for writing; the latter undone first, then the former.
 * Expected: handles that differ; GTF_writing goes with the mapping for writing, GTF_reading with the last.
 * Source: common/grant_table.c, map_grant_ref(), reduce_status_for_pin().
 */
TEST(grant_map_twice, GRANTS, "a grant can be mapped more than once, and is in use until the last is gone",
     .needs = GRANT_MAP)
{
    static page_t page, first, second;

    begin();
    grant_ref_t ref = grant(page, GTF_permit_access);
    CHECK_EQ(arch_vacate(first), 0);
    CHECK_EQ(arch_vacate(second), 0);
    grant_handle_t reading = map(ref, first, GNTMAP_host_map | GNTMAP_readonly);
    CHECK_EQ(in_use(ref), GTF_reading);
    grant_handle_t writing = map(ref, second, GNTMAP_host_map);
    CHECK_EQ(in_use(ref), GTF_reading | GTF_writing);
    CHECK(reading != writing);
    *word(second) = MARK;
    CHECK_EQ(*word(first), MARK);

    CHECK_EQ(unmap_page(writing, second), GNTST_okay);
    CHECK_EQ(in_use(ref), GTF_reading);
    CHECK_EQ(*word(first), MARK);
    CHECK_EQ(unmap_page(reading, first), GNTST_okay);
    CHECK_EQ(in_use(ref), 0);
    CHECK_EQ(arch_occupy(first), 0);
    finish(ref, page, second);
}

/*
 * Background: A guest must not take a grant back while it is in use; one that does gains nothing.
 * Provoked by: an entry cleared while its page is mapped.
 * Expected: the exchange that a guest has to make fails; the mapping stays, and can be undone; then the entry
 * grants nothing.
 * Source: grant_table.h; common/grant_table.c, _set_status_v1().
 */
TEST(grant_revoked_while_mapped, GRANTS, "taking a grant back leaves mappings alone, and forbids new ones",
     .needs = GRANT_MAP)
{
    static page_t page, place;

    begin();
    grant_ref_t ref = grant(page, GTF_permit_access);
    CHECK_EQ(arch_vacate(place), 0);
    grant_handle_t handle = map(ref, place, GNTMAP_host_map);
    CHECK(!revoke(ref));
    table[ref].flags = 0;
    *word(place) = MARK;
    CHECK_EQ(*granted(page, place), MARK);
    CHECK_EQ(unmap_page(handle, place), GNTST_okay);
    CHECK_EQ(table[ref].flags, 0);
    CHECK_EQ(map_status(self, ref, place, GNTMAP_host_map), GNTST_general_error);
    finish(ref, page, place);
}

/*
 * Background: An entry says who may do what; anything else is refused, with one status for all.
 * Provoked by: entries that are free, for a transfer, for part of a page, for another domain; one for reading
 * mapped for writing.
 * Expected: GNTST_general_error each time, and no entry is marked.
 * Source: common/grant_table.c, _set_status_v1().
 */
TEST(grant_map_not_granted, GRANTS, "what an entry does not grant is not mapped: GNTST_general_error",
     .needs = GRANT_ANY)
{
    static page_t page, place;

    begin();
    unsigned long frame = arch_frame(page);
    grant_ref_t refs[] = {
        grant_frame(self, frame, GTF_invalid),
        grant_frame(self, frame, GTF_accept_transfer),
#ifdef GTF_sub_page
        grant_frame(self, frame, GTF_permit_access | GTF_sub_page),
#endif
        grant_frame(NO_DOMAIN, frame, GTF_permit_access),
        grant_frame(self, frame, GTF_permit_access | GTF_readonly),
    };

    for (unsigned int i = 0; i < sizeof(refs) / sizeof(refs[0]); i++) {
        CHECK_EQ(map_status(self, refs[i], place, GNTMAP_host_map), GNTST_general_error);
        CHECK_EQ(in_use(refs[i]), 0);
    }
}

/* Of a frame that a domain does not have. */
#define NO_PAGE_STATUS (OLD_RULES ? GNTST_general_error : GNTST_bad_page)

/*
 * Background: Only a page of the granting domain's own can be granted.
 * Provoked by: an entry for a frame that the domain does not have.
 * Expected: GNTST_bad_page, before 4.0 GNTST_general_error, and the entry is not marked.
 * Source: common/grant_table.c, get_paged_frame().
 */
TEST(grant_map_bad_page, GRANTS, "a frame that the domain does not have: GNTST_bad_page",
     .needs = GRANT_ANY)
{
    static page_t place;

    begin();
    grant_ref_t ref = grant_frame(self, NO_GRANT_FRAME, GTF_permit_access);
    CHECK_EQ(map_status(self, ref, place, GNTMAP_host_map), NO_PAGE_STATUS);
    CHECK_EQ(in_use(ref), 0);
}

/*
 * Background: Requests are checked before the entry is looked at.
 * Provoked by: no kind of mapping; a domain that does not exist; DOMID_SELF; an entry that does not exist.
 * Expected: GNTST_bad_gntref; GNTST_bad_domain twice; GNTST_bad_gntref.
 * Source: common/grant_table.c, map_grant_ref().
 */
TEST(grant_map_refused, GRANTS, "mappings of nothing, and of nobody, are refused", .needs = GRANT_ANY)
{
    static page_t page, place;

    begin();
    grant_ref_t ref = grant(page, GTF_permit_access);
    CHECK_EQ(map_status(NO_DOMAIN, ref, place, 0), GNTST_bad_gntref);
    CHECK_EQ(map_status(self, ref, place, GNTMAP_readonly), GNTST_bad_gntref);
    CHECK_EQ(map_status(NO_DOMAIN, ref, place, GNTMAP_host_map), GNTST_bad_domain);
    CHECK_EQ(map_status(DOMID_SELF, ref, place, GNTMAP_host_map), GNTST_bad_domain);
    CHECK_EQ(map_status(self, NO_REF, place, GNTMAP_host_map), GNTST_bad_gntref);
    CHECK_EQ(in_use(ref), 0);
    CHECK(revoke(ref));
}

/*
 * Background: A translated guest has no page tables that Xen could write, and no addresses for devices.
 * Provoked by: the flags for these.
 * Expected: GNTST_general_error.
 * Source: grant_table.h; common/grant_table.c, map_grant_ref().
 */
TEST(grant_map_pv_flags, GRANTS, "translated guests have host mappings only: GNTST_general_error",
     .needs = "hvm|arm" TODAYS_PPC)
{
    static page_t page, place;
    static const unsigned int flags[] = {
        GNTMAP_device_map,
        GNTMAP_host_map | GNTMAP_device_map,
        GNTMAP_host_map | GNTMAP_application_map,
        GNTMAP_host_map | GNTMAP_contains_pte,
    };

    begin();
    grant_ref_t ref = grant(page, GTF_permit_access);
    for (unsigned int i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
        CHECK_EQ(map_status(self, ref, place, flags[i]), GNTST_general_error);
    CHECK_EQ(in_use(ref), 0);
    CHECK(revoke(ref));
}

/*
 * Background: One call takes many requests; one that fails does not keep the others from being done.
 * Provoked by: three requests, the second for an entry that does not exist; three to undo them.
 * Expected: each has its own status; the first and last are mapped, and undone.
 * Source: grant_table.h; common/grant_table.c, gnttab_map_grant_ref().
 */
TEST(grant_batch, GRANTS, "requests of one call are done one by one, each with its status",
     .needs = GRANT_MAP)
{
    static page_t pages[2], places[2];

    begin();
    grant_ref_t refs[] = {grant(pages[0], GTF_permit_access), NO_REF, grant(pages[1], GTF_permit_access)};
    struct gnttab_map_grant_ref maps[3];
    struct gnttab_unmap_grant_ref unmaps[3];

    for (unsigned int i = 0; i < 3; i++) {
        if (i != 1)
            CHECK_EQ(arch_vacate(places[i / 2]), 0);
        maps[i] = (struct gnttab_map_grant_ref){
            .host_addr = grant_host_address(places[i / 2]),
            .flags = GNTMAP_host_map,
            .ref = refs[i],
            .dom = self,
            .status = 1,
        };
    }
    CHECK_EQ(hypercall_grant_table_op(GNTTABOP_map_grant_ref, maps, 3), 0);
    CHECK_EQ(maps[0].status, GNTST_okay);
    CHECK_EQ(maps[1].status, GNTST_bad_gntref);
    CHECK_EQ(maps[2].status, GNTST_okay);
    *word(places[0]) = 1;
    *word(places[1]) = 2;
    CHECK_EQ(*granted(pages[0], places[0]), 1);
    CHECK_EQ(*granted(pages[1], places[1]), 2);

    for (unsigned int i = 0; i < 3; i++)
        unmaps[i] = (struct gnttab_unmap_grant_ref){
            .host_addr = maps[i].host_addr,
            .handle = i == 1 ? NO_HANDLE : maps[i].handle,
            .status = 1,
        };
    CHECK_EQ(hypercall_grant_table_op(GNTTABOP_unmap_grant_ref, unmaps, 3), 0);
    CHECK_EQ(unmaps[0].status, GNTST_okay);
    CHECK_EQ(unmaps[1].status, GNTST_bad_handle);
    CHECK_EQ(unmaps[2].status, GNTST_okay);
    finish(refs[0], pages[0], places[0]);
    finish(refs[2], pages[1], places[1]);
}

/*
 * Background: There is no mapping that was not made.
 * Provoked by: handles that never were.
 * Expected: GNTST_bad_handle.
 * Source: common/grant_table.c, unmap_common().
 */
TEST(grant_unmap_no_handle, GRANTS, "a handle of no mapping: GNTST_bad_handle", .needs = GRANT_ANY)
{
    static page_t place;

    begin();
    CHECK_EQ(unmap_page(NO_HANDLE, place), GNTST_bad_handle);
    CHECK_EQ(unmap_page(~0u, place), GNTST_bad_handle);
}

/*
 * Background: A handle is good from the mapping to its end.
 * Provoked by: the handle of a mapping that is undone.
 * Expected: GNTST_bad_handle.
 * Source: common/grant_table.c, unmap_common().
 */
TEST(grant_unmap_bad_handle, GRANTS, "a handle whose mapping is undone: GNTST_bad_handle",
     .needs = GRANT_MAP)
{
    static page_t page, place;

    begin();
    grant_ref_t ref = grant(page, GTF_permit_access);
    CHECK_EQ(arch_vacate(place), 0);
    grant_handle_t handle = map(ref, place, GNTMAP_host_map);
    CHECK_EQ(unmap_page(handle, place), GNTST_okay);
    CHECK_EQ(unmap_page(handle, place), GNTST_bad_handle);
    finish(ref, page, place);
}

/* On Arm releases before 4.17 take whatever is at the address for the mapping. */
static bool address_is_checked(void)
{
    return strcmp(boot_info.guest, "arm") != 0 || RELEASE_IS_AT_LEAST(4, 17);
}

/*
 * Background: Whoever undoes a mapping has to say where it is; 0 leaves it.
 * Provoked by: a mapping undone with the address of an ordinary page, where that is checked; with 0.
 * Expected: GNTST_general_error; GNTST_okay; the page is still mapped.
 * Source: common/grant_table.c, unmap_common(); replace_grant_host_mapping() of the architecture.
 */
TEST(grant_unmap_elsewhere, GRANTS, "a mapping is undone at its own address only: GNTST_general_error",
     .needs = GRANT_MAP)
{
    static page_t page, place, other;

    begin();
    grant_ref_t ref = grant(page, GTF_permit_access);
    CHECK_EQ(arch_vacate(place), 0);
    grant_handle_t handle = map(ref, place, GNTMAP_host_map);
    if (address_is_checked())
        CHECK_EQ(unmap_page(handle, other), GNTST_general_error);
    CHECK_EQ(unmap(handle, 0), GNTST_okay);
    CHECK_EQ(in_use(ref), GTF_reading | GTF_writing);
    *word(place) = MARK;
    CHECK_EQ(*granted(page, place), MARK);
    CHECK_EQ(unmap_page(handle, place), GNTST_okay);
    CHECK_EQ(in_use(ref), 0);
    finish(ref, page, place);
}

/*
 * Background: Xen copies every request with a check, and says so when it cannot.
 * Provoked by: requests of each kind at an address where nothing is; more than an int can count; none.
 * Expected: -EFAULT; -EINVAL; 0.
 * Source: common/grant_table.c, do_grant_table_op().
 */
TEST(grant_bad_pointers, GRANTS, "requests at no address are refused with EFAULT", .needs = GRANT_ANY)
{
    static const unsigned int commands[] = {
        GNTTABOP_map_grant_ref,
        GNTTABOP_unmap_grant_ref,
        GNTTABOP_copy,
#ifdef GNTTABOP_swap_grant_ref
        GNTTABOP_swap_grant_ref,
#endif
    };
    void *nowhere = arch_unmapped_pointer();

    for (unsigned int i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        CHECK_ERRNO(hypercall_grant_table_op(commands[i], nowhere, 1), EFAULT);
        CHECK_ERRNO(hypercall_grant_table_op(commands[i], nowhere, 0x80000000u), EINVAL);
        CHECK_EQ(hypercall_grant_table_op(commands[i], nowhere, 0), 0);
    }
}

/*
 * Background: A caller finds out what a release has by trying, so what is not there must be refused in a way
 * it knows.
 * Provoked by: a command that does not exist; one that was never made; a command with bits that only Xen
 * itself sets.
 * Expected: -ENOSYS; -ENOSYS; -EINVAL, for HVM and before 4.5, when Xen set none, -ENOSYS.
 * Source: common/grant_table.c, do_grant_table_op(); arch/x86/hvm/hypercall.c, hvm_grant_table_op().
 */
TEST(grant_unknown_command, GRANTS, "an unknown grant_table_op command is refused with ENOSYS",
     .needs = GRANT_ANY)
{
    struct gnttab_dump_table dump = {.dom = DOMID_SELF};
    struct gnttab_query_size query = {.dom = DOMID_SELF};
    long rc = hypercall_grant_table_op(GNTTABOP_query_size | 1u << 12, &query, 1);

    if (strcmp(boot_info.guest, "hvm") == 0 || !RELEASE_IS_AT_LEAST(4, 5))
        CHECK_ERRNO(rc, ENOSYS);
    else
        CHECK_ERRNO(rc, EINVAL);
    CHECK_ERRNO(hypercall_grant_table_op(NO_COMMAND, NULL, 1), ENOSYS);
    CHECK_ERRNO(hypercall_grant_table_op(GNTTABOP_dump_table, &dump, 1), ENOSYS);
}

/* ---- Copying ---- */

struct side {
    bool granted;         /* `ref` of `domain`, or else `frame` */
    grant_ref_t ref;
    unsigned long frame;
    domid_t domain;
    unsigned int offset;
};

static struct side by_ref(grant_ref_t ref, unsigned int offset)
{
    return (struct side){.granted = true, .ref = ref, .domain = self, .offset = offset};
}

static struct side by_frame(const volatile void *page, unsigned int offset)
{
    return (struct side){.frame = arch_frame(page), .domain = DOMID_SELF, .offset = offset};
}

static struct gnttab_copy copy_request(struct side from, struct side to, unsigned int size)
{
    struct gnttab_copy copy = {
        .source = {.domid = from.domain, .offset = (uint16_t)from.offset},
        .dest = {.domid = to.domain, .offset = (uint16_t)to.offset},
        .len = (uint16_t)size,
        .flags = (uint16_t)((from.granted ? GNTCOPY_source_gref : 0) |
                            (to.granted ? GNTCOPY_dest_gref : 0)),
        .status = 1,
    };

    if (from.granted)
        copy.source.u.ref = from.ref;
    else
        copy.source.u.gmfn = from.frame;
    if (to.granted)
        copy.dest.u.ref = to.ref;
    else
        copy.dest.u.gmfn = to.frame;
    return copy;
}

static int copy_status(struct side from, struct side to, unsigned int size)
{
    struct gnttab_copy copy = copy_request(from, to, size);

    CHECK_EQ(hypercall_grant_table_op(GNTTABOP_copy, &copy, 1), 0);
    return copy.status;
}

/* A page whose bytes tell where they were. */
static void number_bytes(page_t *page, uint8_t first)
{
    for (unsigned int i = 0; i < PAGE_BYTES; i++)
        (*page)[i] = (uint8_t)(first + (i ^ i >> 8));
}

/*
 * Background: A copy goes between any two pages, each named by a grant or as a frame of the caller's.
 * Provoked by: a whole page copied in each of the four ways.
 * Expected: GNTST_okay, the contents, and no entry is marked afterwards.
 * Source: grant_table.h; common/grant_table.c, gnttab_copy_one().
 */
TEST(grant_copy, GRANTS, "pages are copied by grant and by frame, in all four ways", .needs = GRANT_ANY)
{
    static page_t from, to;

    begin();
    grant_ref_t source = grant(from, GTF_permit_access | GTF_readonly);
    grant_ref_t target = grant(to, GTF_permit_access);
    for (unsigned int way = 0; way < 4; way++) {
        number_bytes(&from, (uint8_t)way);
        memset(to, 0xff, sizeof(to));
        CHECK_EQ(copy_status(way & 1 ? by_ref(source, 0) : by_frame(from, 0),
                             way & 2 ? by_ref(target, 0) : by_frame(to, 0), PAGE_BYTES),
                 GNTST_okay);
        __asm__ volatile("" ::: "memory");
        CHECK_EQ(memcmp(from, to, PAGE_BYTES), 0);
        CHECK_EQ(in_use(source), 0);
        CHECK_EQ(in_use(target), 0);
    }
    CHECK(revoke(source) && revoke(target));
}

/*
 * Background: Any bytes of a page can be copied to any place in another.
 * Provoked by: a few bytes from odd offsets, and the last byte.
 * Expected: they are where they should be, and the bytes around are as before.
 * Source: grant_table.h; common/grant_table.c, gnttab_copy_buf().
 */
TEST(grant_copy_offsets, GRANTS, "parts of pages are copied, and nothing around them",
     .needs = GRANT_ANY)
{
    static page_t from, to;

    begin();
    grant_ref_t source = grant(from, GTF_permit_access | GTF_readonly);
    number_bytes(&from, 0);
    memset(to, 0xff, sizeof(to));
    CHECK_EQ(copy_status(by_ref(source, 1001), by_frame(to, 17), 13), GNTST_okay);
    CHECK_EQ(copy_status(by_ref(source, PAGE_BYTES - 1), by_frame(to, PAGE_BYTES - 1), 1), GNTST_okay);
    __asm__ volatile("" ::: "memory");
    CHECK_EQ(memcmp(to + 17, from + 1001, 13), 0);
    CHECK_EQ(to[PAGE_BYTES - 1], from[PAGE_BYTES - 1]);
    for (unsigned int i = 0; i < PAGE_BYTES - 1; i++)
        if (i < 17 || i >= 30)
            CHECK_EQ(to[i], 0xff);
    CHECK(revoke(source));
}

/*
 * Background: A copy stays in one page on either side.
 * Provoked by: a byte too many at the source; at the destination; a whole page and a byte.
 * Expected: GNTST_bad_copy_arg, and nothing is copied.
 * Source: common/grant_table.c, gnttab_copy_buf().
 */
TEST(grant_copy_beyond_page, GRANTS, "a copy that leaves a page: GNTST_bad_copy_arg", .needs = GRANT_ANY)
{
    static page_t from, to;

    begin();
    grant_ref_t source = grant(from, GTF_permit_access);
    memset(to, 0xff, sizeof(to));
    CHECK_EQ(copy_status(by_ref(source, PAGE_BYTES - 4), by_frame(to, 0), 5), GNTST_bad_copy_arg);
    CHECK_EQ(copy_status(by_ref(source, 0), by_frame(to, PAGE_BYTES - 4), 5), GNTST_bad_copy_arg);
    CHECK_EQ(copy_status(by_ref(source, 0), by_frame(to, 0), PAGE_BYTES + 1), GNTST_bad_copy_arg);
    CHECK_EQ(copy_status(by_frame(from, 0xffff), by_frame(to, 0), 1), GNTST_bad_copy_arg);
    __asm__ volatile("" ::: "memory");
    for (unsigned int i = 0; i < PAGE_BYTES; i++)
        CHECK_EQ(to[i], 0xff);
    CHECK_EQ(in_use(source), 0);
    CHECK(revoke(source));
}

/*
 * Background: A frame can only be one of the caller's; grants have a domain.
 * Provoked by: frames of the caller by its number; grants of a domain that does not exist; entries that do
 * not exist; a grant of DOMID_SELF.
 * Expected: GNTST_permission_denied; GNTST_bad_domain; GNTST_bad_gntref; GNTST_okay.
 * Source: common/grant_table.c, gnttab_copy_lock_domain(), acquire_grant_for_copy().
 */
TEST(grant_copy_refused, GRANTS, "copies from and to nobody are refused, each with its status",
     .needs = GRANT_ANY)
{
    static page_t from, to;

    begin();
    struct side source = by_frame(from, 0), target = by_frame(to, 0), other;
    grant_ref_t ref = grant(from, GTF_permit_access);

    other = source;
    other.domain = self;
    CHECK_EQ(copy_status(other, target, 1), GNTST_permission_denied);
    other = target;
    other.domain = self;
    CHECK_EQ(copy_status(source, other, 1), GNTST_permission_denied);

    other = by_ref(ref, 0);
    other.domain = NO_DOMAIN;
    CHECK_EQ(copy_status(other, target, 1), GNTST_bad_domain);
    CHECK_EQ(copy_status(source, other, 1), GNTST_bad_domain);
    CHECK_EQ(copy_status(by_ref(NO_REF, 0), target, 1), GNTST_bad_gntref);
    CHECK_EQ(copy_status(source, by_ref(NO_REF, 0), 1), GNTST_bad_gntref);

    other = by_ref(ref, 0);
    other.domain = DOMID_SELF;
    CHECK_EQ(copy_status(other, target, 1), GNTST_okay);
    CHECK(revoke(ref));
}

/*
 * Background: An entry grants copies as it grants mappings.
 * Provoked by: entries that are free, for a transfer, for another domain; one for reading as destination.
 * Expected: GNTST_general_error each time; no entry is marked.
 * Source: common/grant_table.c, acquire_grant_for_copy(), _set_status_v1().
 */
TEST(grant_copy_not_granted, GRANTS, "what an entry does not grant is not copied: GNTST_general_error",
     .needs = GRANT_ANY)
{
    static page_t page, other;

    begin();
    unsigned long frame = arch_frame(page);
    grant_ref_t none[] = {
        grant_frame(self, frame, GTF_invalid),
        grant_frame(self, frame, GTF_accept_transfer),
        grant_frame(NO_DOMAIN, frame, GTF_permit_access),
    };
    grant_ref_t readonly = grant(page, GTF_permit_access | GTF_readonly);

    *word(page) = MARK;
    *word(other) = 1;
    for (unsigned int i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        CHECK_EQ(copy_status(by_ref(none[i], 0), by_frame(other, 0), 4), GNTST_general_error);
        CHECK_EQ(copy_status(by_frame(other, 0), by_ref(none[i], 0), 4), GNTST_general_error);
        CHECK_EQ(in_use(none[i]), 0);
    }
    CHECK_EQ(copy_status(by_frame(other, 0), by_ref(readonly, 0), 4), GNTST_general_error);
    CHECK_EQ(in_use(readonly), 0);
    CHECK_EQ(*word(page), MARK);
    CHECK_EQ(*word(other), 1);
}

/*
 * Background: Only pages of the domain's own can be copied.
 * Provoked by: frames that the caller does not have, by frame and by grant.
 * Expected: GNTST_bad_page, before 4.0 GNTST_general_error, and no entry is marked.
 * Source: common/grant_table.c, get_paged_frame().
 */
TEST(grant_copy_bad_page, GRANTS, "a copy of a frame that is not the domain's: GNTST_bad_page",
     .needs = GRANT_ANY)
{
    static page_t page;

    begin();
    grant_ref_t ref = grant_frame(self, NO_GRANT_FRAME, GTF_permit_access);
    struct side nowhere = by_frame(page, 0);
    nowhere.frame = NO_GRANT_FRAME;

    CHECK_EQ(copy_status(nowhere, by_frame(page, 0), 1), NO_PAGE_STATUS);
    CHECK_EQ(copy_status(by_frame(page, 0), nowhere, 1), NO_PAGE_STATUS);
    CHECK_EQ(copy_status(by_ref(ref, 0), by_frame(page, 0), 1), NO_PAGE_STATUS);
    CHECK_EQ(copy_status(by_frame(page, 0), by_ref(ref, 0), 1), NO_PAGE_STATUS);
    CHECK_EQ(in_use(ref), 0);
}

/*
 * Background: Nothing is copied by 0 bytes. Since 4.19 Xen does not look at such a request.
 * Provoked by: a copy of 0 bytes between pages, and from an entry that does not exist.
 * Expected: GNTST_okay; GNTST_bad_gntref, since 4.19 GNTST_okay.
 * Source: common/grant_table.c, gnttab_copy_one().
 */
TEST(grant_copy_nothing, GRANTS, "a copy of no bytes succeeds, since 4.19 whatever else it says",
     .needs = GRANT_ANY)
{
    static page_t from, to;

    begin();
    *word(from) = 1;
    *word(to) = 2;
    CHECK_EQ(copy_status(by_frame(from, 0), by_frame(to, 0), 0), GNTST_okay);
    CHECK_EQ(*word(to), 2);
    CHECK_EQ(copy_status(by_ref(NO_REF, 0), by_frame(to, 0), 0),
             RELEASE_IS_AT_LEAST(4, 19) ? GNTST_okay : GNTST_bad_gntref);
}

/*
 * Background: Copies come in numbers too.
 * Provoked by: three copies in one call, the second with an entry that does not exist.
 * Expected: each has its own status; the first and the last are made.
 * Source: common/grant_table.c, gnttab_copy().
 */
TEST(grant_copy_batch, GRANTS, "copies of one call are made one by one, each with its status",
     .needs = GRANT_ANY)
{
    static page_t from, to;

    begin();
    grant_ref_t ref = grant(from, GTF_permit_access);
    number_bytes(&from, 1);
    memset(to, 0, sizeof(to));
    struct gnttab_copy copies[] = {
        copy_request(by_ref(ref, 0), by_frame(to, 8), 4),
        copy_request(by_ref(NO_REF, 0), by_frame(to, 0), 4),
        copy_request(by_ref(ref, 100), by_frame(to, 16), 4),
    };

    CHECK_EQ(hypercall_grant_table_op(GNTTABOP_copy, copies, 3), 0);
    CHECK_EQ(copies[0].status, GNTST_okay);
    CHECK_EQ(copies[1].status, GNTST_bad_gntref);
    CHECK_EQ(copies[2].status, GNTST_okay);
    __asm__ volatile("" ::: "memory");
    CHECK_EQ(memcmp(to + 8, from, 4), 0);
    CHECK_EQ(memcmp(to + 16, from + 100, 4), 0);
    CHECK_EQ(*word(to), 0);
    CHECK_EQ(in_use(ref), 0);
    CHECK(revoke(ref));
}

/*
 * Background: A mapping and a copy may use one grant at the same time.
 * Provoked by: copies from and to a page that is mapped.
 * Expected: the contents; the entry stays marked as the mapping has it.
 * Source: common/grant_table.c, acquire_grant_for_copy(), release_grant_for_copy().
 */
TEST(grant_copy_while_mapped, GRANTS, "a grant that is mapped can be copied too", .needs = GRANT_MAP)
{
    static page_t page, other, place;

    begin();
    grant_ref_t ref = grant(page, GTF_permit_access);
    CHECK_EQ(arch_vacate(place), 0);
    grant_handle_t handle = map(ref, place, GNTMAP_host_map);
    *word(place) = 1;
    *word(other) = 2;
    CHECK_EQ(copy_status(by_frame(other, 0), by_ref(ref, 0), 4), GNTST_okay);
    CHECK_EQ(*word(place), 2);
    CHECK_EQ(in_use(ref), GTF_reading | GTF_writing);
    *word(place) = 3;
    CHECK_EQ(copy_status(by_ref(ref, 0), by_frame(other, 0), 4), GNTST_okay);
    CHECK_EQ(*word(other), 3);
    CHECK_EQ(in_use(ref), GTF_reading | GTF_writing);
    CHECK_EQ(unmap_page(handle, place), GNTST_okay);
    CHECK_EQ(in_use(ref), 0);
    finish(ref, page, place);
}

/*
 * Background: A copy that needs more of a grant than a mapping does marks the entry for as long.
 * Provoked by: a copy to a page that is mapped for reading.
 * Expected: the contents; afterwards the entry is marked for reading alone.
 * Source: common/grant_table.c, acquire_grant_for_copy(), reduce_status_for_pin().
 */
TEST(grant_copy_while_mapped_readonly, GRANTS, "a grant that is mapped for reading can be copied to",
     .needs = "pv|arm" TODAYS_PPC)
{
    static page_t page, other, place;

    begin();
    grant_ref_t ref = grant(page, GTF_permit_access);
    CHECK_EQ(arch_vacate(place), 0);
    grant_handle_t handle = map(ref, place, GNTMAP_host_map | GNTMAP_readonly);
    *word(page) = 1;
    *word(other) = 2;
    CHECK_EQ(copy_status(by_frame(other, 0), by_ref(ref, 0), 4), GNTST_okay);
    CHECK_EQ(*word(place), 2);
    CHECK_EQ(in_use(ref), GTF_reading);
    CHECK_EQ(unmap_page(handle, place), GNTST_okay);
    finish(ref, page, place);
}

/* ---- Exchanging entries ---- */

#ifdef GNTTABOP_swap_grant_ref

static int swap(grant_ref_t one, grant_ref_t other)
{
    struct gnttab_swap_grant_ref swap = {.ref_a = one, .ref_b = other, .status = 1};

    CHECK_EQ(hypercall_grant_table_op(GNTTABOP_swap_grant_ref, &swap, 1), 0);
    return swap.status;
}

/*
 * Background: A guest can exchange two entries without a moment in which neither is there.
 * Provoked by: two entries that differ; an entry and itself.
 * Expected: each holds what the other held; GNTST_okay.
 * Source: grant_table.h; common/grant_table.c, swap_grant_ref().
 */
TEST(grant_swap, GRANTS, "two entries of the grant table can be exchanged", .needs = GRANT_ANY)
{
    static page_t one, other;

    begin();
    grant_ref_t first = grant(one, GTF_permit_access | GTF_readonly);
    grant_ref_t second = grant_frame(NO_DOMAIN, arch_frame(other), GTF_permit_access);

    CHECK_EQ(swap(first, second), GNTST_okay);
    CHECK_EQ(table[first].flags, GTF_permit_access);
    CHECK_EQ(table[first].domid, NO_DOMAIN);
    CHECK_EQ(table[first].frame, arch_frame(other));
    CHECK_EQ(table[second].flags, GTF_permit_access | GTF_readonly);
    CHECK_EQ(table[second].domid, self);
    CHECK_EQ(table[second].frame, arch_frame(one));
    CHECK_EQ(swap(first, first), GNTST_okay);
    CHECK_EQ(table[first].domid, NO_DOMAIN);
    CHECK(revoke(first) && revoke(second));
}

/*
 * Background: An entry that is in use stays where it is.
 * Provoked by: an entry that is mapped, on either side; entries that do not exist.
 * Expected: GNTST_eagain; GNTST_bad_gntref.
 * Source: common/grant_table.c, swap_grant_ref().
 */
TEST(grant_swap_refused, GRANTS, "entries in use are not exchanged: GNTST_eagain", .needs = GRANT_MAP)
{
    static page_t page, place;

    begin();
    grant_ref_t ref = grant(page, GTF_permit_access), free_ref = grant(page, 0);
    CHECK_EQ(arch_vacate(place), 0);
    grant_handle_t handle = map(ref, place, GNTMAP_host_map);
    CHECK_EQ(swap(ref, free_ref), GNTST_eagain);
    CHECK_EQ(swap(free_ref, ref), GNTST_eagain);
    CHECK_EQ(swap(ref, ref), GNTST_okay);
    CHECK_EQ(swap(NO_REF, ref), GNTST_bad_gntref);
    CHECK_EQ(swap(free_ref, NO_REF), GNTST_bad_gntref);
    CHECK_EQ(unmap_page(handle, place), GNTST_okay);
    finish(ref, page, place);
}

#endif

/* ---- Mappings for devices ---- */

static struct gnttab_unmap_grant_ref device_unmap(grant_handle_t handle, uint64_t address)
{
    struct gnttab_unmap_grant_ref unmap = {.dev_bus_addr = address, .handle = handle, .status = 1};

    CHECK_EQ(hypercall_grant_table_op(GNTTABOP_unmap_grant_ref, &unmap, 1), 0);
    return unmap;
}

/*
 * Background: A PV guest that drives devices gives them addresses of the machine.
 * Provoked by: a grant mapped for devices and for the processor; the former undone by its own address, and
 * before that by another one.
 * Expected: the machine address of the page; GNTST_bad_dev_addr, before 4.16 GNTST_general_error; the other
 * mapping stays and keeps the handle.
 * Source: grant_table.h; common/grant_table.c, map_grant_ref(), unmap_common().
 */
TEST(grant_device_map, GRANTS, "a PV guest maps a grant for devices", .needs = "pv")
{
    static page_t page, place;

    begin();
    grant_ref_t ref = grant(page, GTF_permit_access);
    CHECK_EQ(arch_vacate(place), 0);
    struct gnttab_map_grant_ref both =
        map_from(self, ref, place, GNTMAP_device_map | GNTMAP_host_map);
    CHECK_EQ(both.status, GNTST_okay);
    CHECK_EQ(both.dev_bus_addr, (uint64_t)arch_frame(page) * PAGE_BYTES);
    *word(place) = MARK;
    CHECK_EQ(*word(page), MARK);

    CHECK_EQ(device_unmap(both.handle, both.dev_bus_addr + PAGE_BYTES).status,
             RELEASE_IS_AT_LEAST(4, 16) ? GNTST_bad_dev_addr : GNTST_general_error);
    CHECK_EQ(device_unmap(both.handle, both.dev_bus_addr).status, GNTST_okay);
    CHECK_EQ(in_use(ref), GTF_reading | GTF_writing);
    CHECK_EQ(unmap_page(both.handle, place), GNTST_okay);
    CHECK_EQ(in_use(ref), 0);
    finish(ref, page, place);
}

/*
 * Background: A mapping for devices takes no address of the guest's.
 * Provoked by: a grant mapped for devices alone, for reading and for writing; undone with the address of another
 * page, and with its own; undone again.
 * Expected: the entry is marked while it is mapped; GNTST_bad_dev_addr, before 4.16 GNTST_general_error;
 * GNTST_okay; GNTST_bad_handle. A grant that is mapped can be copied.
 * Source: grant_table.h; common/grant_table.c, map_grant_ref(), unmap_common().
 */
TEST(grant_device_map_only, GRANTS, "a grant is mapped for devices alone", .needs = GRANT_DEVICE)
{
    static page_t page, copy;

    begin();
    grant_ref_t ref = grant(page, GTF_permit_access);
    *word(page) = MARK;
    for (unsigned int readonly = 0; readonly < 2; readonly++) {
        struct gnttab_map_grant_ref map = map_from(
            self, ref, NULL, GNTMAP_device_map | (readonly ? GNTMAP_readonly : 0));

        CHECK_EQ(map.status, GNTST_okay);
        CHECK(map.dev_bus_addr != 0 && map.dev_bus_addr % PAGE_BYTES == 0);
        CHECK_EQ(in_use(ref), readonly ? GTF_reading : GTF_reading | GTF_writing);
        CHECK(!revoke(ref));
        *word(copy) = 0;
        CHECK_EQ(copy_status(by_ref(ref, 0), by_frame(copy, 0), 4), GNTST_okay);
        CHECK_EQ(*word(copy), MARK);
        CHECK_EQ(copy_status(by_frame(copy, 0), by_ref(ref, 0), 4), GNTST_okay);
        CHECK_EQ(in_use(ref), readonly ? GTF_reading : GTF_reading | GTF_writing);

        CHECK_EQ(device_unmap(map.handle, map.dev_bus_addr + PAGE_BYTES).status,
                 RELEASE_IS_AT_LEAST(4, 16) ? GNTST_bad_dev_addr : GNTST_general_error);
        CHECK_EQ(device_unmap(map.handle, map.dev_bus_addr).status, GNTST_okay);
        CHECK_EQ(in_use(ref), 0);
        CHECK_EQ(device_unmap(map.handle, map.dev_bus_addr).status, GNTST_bad_handle);
    }
    CHECK(revoke(ref));
}

#define MOST_MAPPINGS 128

/*
 * Background: Xen counts the mappings of a grant in a byte, and leaves half of it for what is under way.
 * Provoked by: a grant mapped for devices, which takes no place, until it is refused.
 * Expected: 128 times; then GNTST_general_error, until one is undone.
 * Source: common/grant_table.c, map_grant_ref() (GNTPIN_incr2oflow_mask).
 */
TEST(grant_map_limit, GRANTS, "a grant is mapped 128 times at most: GNTST_general_error",
     .needs = GRANT_DEVICE)
{
    static page_t page;
    static grant_handle_t handles[MOST_MAPPINGS];
    const unsigned int flags = GNTMAP_device_map | GNTMAP_readonly;
    uint64_t address = 0;

    begin();
    grant_ref_t ref = grant(page, GTF_permit_access);
    for (unsigned int i = 0; i < MOST_MAPPINGS; i++) {
        struct gnttab_map_grant_ref map = map_from(self, ref, NULL, flags);

        CHECK_EQ(map.status, GNTST_okay);
        handles[i] = map.handle;
        address = map.dev_bus_addr;
    }
    CHECK_EQ(map_status(self, ref, NULL, flags), GNTST_general_error);
    CHECK_EQ(device_unmap(handles[0], address).status, GNTST_okay);
    handles[0] = map(ref, NULL, flags);
    for (unsigned int i = 0; i < MOST_MAPPINGS; i++) {
        CHECK_EQ(in_use(ref), GTF_reading);
        CHECK_EQ(device_unmap(handles[i], address).status, GNTST_okay);
    }
    CHECK_EQ(in_use(ref), 0);
    CHECK(revoke(ref));
}

/* ---- Unmapping and replacing ---- */

static int replace(grant_handle_t handle, const volatile void *page, uint64_t new_address)
{
    struct gnttab_unmap_and_replace replace = {
        .host_addr = grant_host_address(page),
        .new_addr = new_address,
        .handle = handle,
        .status = 1,
    };

    CHECK_EQ(hypercall_grant_table_op(GNTTABOP_unmap_and_replace, &replace, 1), 0);
    return replace.status;
}

/*
 * Background: A PV guest may want something else at the address of a mapping, without a moment in which nothing
 * is there.
 * Provoked by: a mapping replaced by that of a page; either is named by the last address in it.
 * Expected: the page is at the address of the mapping, and not at its own any more; the grant is free.
 * Source: grant_table.h; arch/x86/pv/grant_table.c, replace_grant_pv_mapping().
 */
TEST(grant_unmap_and_replace, GRANTS, "a mapping is replaced by that of another page", .needs = "pv")
{
    static page_t page, place, other;

    begin();
    grant_ref_t ref = grant(page, GTF_permit_access);
    *word(page) = 1;
    *word(other) = 2;
    CHECK_EQ(arch_vacate(place), 0);
    grant_handle_t handle = map(ref, place, GNTMAP_host_map);
    CHECK_EQ(*word(place), 1);
    CHECK_EQ(replace(handle, place + sizeof(place) - 1, grant_host_address(other) + sizeof(other) - 1), GNTST_okay);
    CHECK_EQ(*word(place), 2);
    CHECK(!fault_read(word(other), NULL));
    CHECK_EQ(in_use(ref), 0);
    CHECK_EQ(replace(handle, place, 0), GNTST_bad_handle);
    CHECK_EQ(arch_occupy(other), 0);
    CHECK_EQ(*word(other), 2);
    finish(ref, page, place);
}

/*
 * Background: Both addresses have to be what they are said to be.
 * Provoked by: a handle that never was; the address of another page; an address that no page table is for.
 * Expected: GNTST_bad_handle; GNTST_general_error twice, and the mapping stays.
 * Source: common/grant_table.c, unmap_common(); arch/x86/pv/grant_table.c, replace_grant_pv_mapping().
 */
TEST(grant_replace_refused, GRANTS, "only a mapping is replaced, and by a page: GNTST_general_error",
     .needs = "pv")
{
    static page_t page, place, other;

    begin();
    grant_ref_t ref = grant(page, GTF_permit_access);
    CHECK_EQ(arch_vacate(place), 0);
    grant_handle_t handle = map(ref, place, GNTMAP_host_map);
    CHECK_EQ(replace(NO_HANDLE, place, 0), GNTST_bad_handle);
    CHECK_EQ(replace(handle, other, 0), GNTST_general_error);
    CHECK_EQ(replace(handle, place, 0x7000000000), GNTST_general_error);
    CHECK_EQ(in_use(ref), GTF_reading | GTF_writing);
    CHECK_EQ(replace(handle, place, 0), GNTST_okay);
    CHECK_EQ(in_use(ref), 0);
    CHECK_ERRNO(hypercall_grant_table_op(GNTTABOP_unmap_and_replace, arch_unmapped_pointer(), 1),
                EFAULT);
    finish(ref, page, place);
}

/*
 * Background: A translated guest has no page tables that Xen could write: nothing can be put in place.
 * Provoked by: a replacement; none.
 * Expected: GNTST_general_error, and the mapping stays; GNTST_okay, and it is gone.
 * Source: arch/arm/mm.c, replace_grant_host_mapping().
 */
TEST(grant_replace_on_arm, GRANTS, "on Arm a mapping is replaced by nothing only",
     .needs = "arm" TODAYS_PPC)
{
    static page_t page, place, other;

    begin();
    grant_ref_t ref = grant(page, GTF_permit_access);
    CHECK_EQ(arch_vacate(place), 0);
    grant_handle_t handle = map(ref, place, GNTMAP_host_map);
    CHECK_EQ(replace(NO_HANDLE, place, 0), GNTST_bad_handle);
    CHECK_EQ(replace(handle, place, grant_host_address(other)), GNTST_general_error);
    CHECK_EQ(in_use(ref), GTF_reading | GTF_writing);
    CHECK_EQ(replace(handle, place, 0), GNTST_okay);
    CHECK_EQ(in_use(ref), 0);
    finish(ref, page, place);
}

#ifdef GNTTABOP_cache_flush
/*
 * Background: Commands for PV guests are not there for HVM guests.
 * Provoked by: each of them.
 * Expected: -ENOSYS.
 * Source: arch/x86/hvm/hypercall.c, hvm_grant_table_op().
 */
TEST(grant_not_for_hvm, GRANTS, "commands for PV guests are refused to HVM guests: ENOSYS",
     .needs = "hvm")
{
    static const unsigned int commands[] = {
        GNTTABOP_transfer,
        GNTTABOP_unmap_and_replace,
        GNTTABOP_get_status_frames,
        GNTTABOP_cache_flush,
    };

    for (unsigned int i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        CHECK_ERRNO(hypercall_grant_table_op(commands[i], arch_unmapped_pointer(), 1), ENOSYS);
}
#endif

/* ---- Giving pages away ---- */

static long transfer(unsigned long frame, domid_t domain, grant_ref_t ref, int *status)
{
    struct gnttab_transfer transfer = {.mfn = frame, .domid = domain, .ref = ref, .status = 1};
    long rc = hypercall_grant_table_op(GNTTABOP_transfer, &transfer, 1);

    *status = transfer.status;
    return rc;
}

static int transfer_status(unsigned long frame, domid_t domain, grant_ref_t ref)
{
    int status;

    CHECK_EQ(transfer(frame, domain, ref, &status), 0);
    return status;
}

/*
 * Background: A PV guest can give a page away, to a domain that has an entry for it; here to itself.
 * Provoked by: a page that is mapped nowhere, and an entry that says which of the receiver's pages it shall be.
 * Expected: the entry has a machine frame then, and flags that say that it is done; the page holds what it
 * held.
 * Source: grant_table.h; common/grant_table.c, gnttab_transfer().
 */
TEST(grant_transfer, GRANTS, "a PV guest gives a page to a domain that wants it", .needs = "pv")
{
    static page_t page;

    begin();
    unsigned long frame = arch_frame(page);
    grant_ref_t ref = grant_frame(self, (unsigned long)page / PAGE_BYTES, GTF_accept_transfer);
    *word(page) = MARK;
    CHECK_EQ(arch_vacate(page), 0);
    CHECK_EQ(transfer_status(frame, self, ref), GNTST_okay);
    CHECK_EQ(table[ref].flags,
             GTF_accept_transfer | GTF_transfer_committed | GTF_transfer_completed);
    CHECK_EQ(table[ref].frame, frame);
    CHECK_EQ(arch_occupy(page), 0);
    CHECK_EQ(*word(page), MARK);
}

/*
 * Background: A page that cannot be given stays; one that nobody takes is lost.
 * Provoked by: a frame that the guest does not have; a page that is mapped; pages for a domain that does not
 * exist, for DOMID_SELF, for an entry that does not exist, for one that grants access, for one that waits for
 * another domain.
 * Expected: GNTST_bad_page twice, and the page is still there; GNTST_bad_domain twice; GNTST_general_error.
 * Source: common/grant_table.c, gnttab_transfer(), gnttab_prepare_for_transfer().
 */
TEST(grant_transfer_refused, GRANTS, "pages that are in use, or that nobody takes, are not given",
     .needs = "pv")
{
    static page_t page, lost[5];

    begin();
    grant_ref_t takes = grant(page, GTF_accept_transfer);
    grant_ref_t grants = grant(page, GTF_permit_access);
    grant_ref_t waits = grant_frame(NO_DOMAIN, arch_frame(page), GTF_accept_transfer);

    *word(page) = MARK;
    CHECK_EQ(transfer_status(NO_GRANT_FRAME, self, takes), GNTST_bad_page);
    CHECK_EQ(transfer_status(arch_frame(page), self, takes), GNTST_bad_page);
    CHECK_EQ(*word(page), MARK);

    for (unsigned int i = 0; i < 5; i++)
        CHECK_EQ(arch_vacate(lost[i]), 0);
    CHECK_EQ(transfer_status(arch_frame(lost[0]), NO_DOMAIN, takes), GNTST_bad_domain);
    CHECK_EQ(transfer_status(arch_frame(lost[1]), DOMID_SELF, takes), GNTST_bad_domain);
    CHECK_EQ(transfer_status(arch_frame(lost[2]), self, NO_REF), GNTST_general_error);
    CHECK_EQ(transfer_status(arch_frame(lost[3]), self, grants), GNTST_general_error);
    CHECK_EQ(transfer_status(arch_frame(lost[4]), self, waits), GNTST_general_error);
    CHECK_EQ(transfer_status(arch_frame(lost[4]), self, takes), GNTST_bad_page);
    CHECK_EQ(table[takes].flags, GTF_accept_transfer);
    CHECK_ERRNO(hypercall_grant_table_op(GNTTABOP_transfer, arch_unmapped_pointer(), 1), EFAULT);
    CHECK(revoke(takes) && revoke(grants) && revoke(waits));
}

/*
 * Background: On Arm no page can be given away; since 4.17 Xen says so before it looks at the request.
 * Provoked by: a page, and a frame that the guest does not have.
 * Expected: -EOPNOTSUPP; before 4.17 GNTST_general_error and GNTST_bad_page. The page is still there.
 * Source: common/grant_table.c, gnttab_transfer(); arch/arm/mm.c, steal_page().
 */
TEST(grant_no_transfer, GRANTS, "on Arm pages are not given away: EOPNOTSUPP since 4.17",
     .needs = "arm" TODAYS_PPC)
{
    static page_t page;
    int status;

    begin();
    grant_ref_t ref = grant(page, GTF_accept_transfer);
    *word(page) = MARK;
    if (RELEASE_IS_AT_LEAST(4, 17)) {
        CHECK_ERRNO(transfer(arch_frame(page), self, ref, &status), EOPNOTSUPP);
    } else {
        CHECK_EQ(transfer_status(arch_frame(page), self, ref), GNTST_general_error);
        CHECK_EQ(transfer_status(NO_GRANT_FRAME, self, ref), GNTST_bad_page);
    }
    CHECK_EQ(*word(page), MARK);
    CHECK(revoke(ref));
}

/* ---- Status pages ---- */

#ifdef GNTTABOP_get_status_frames

static int list_status_pages(domid_t domain, unsigned int pages, uint64_t *frames)
{
    struct gnttab_get_status_frames list = {.dom = domain, .nr_frames = pages, .status = 1};

    handle_set(list.frame_list, frames);
    CHECK_EQ(hypercall_grant_table_op(GNTTABOP_get_status_frames, &list, 1), 0);
    return list.status;
}

/*
 * Background: A table of version 1 has no status pages.
 * Provoked by: lists of none and of one; a domain that does not exist; for a domU, domain 0; no request, two;
 * a request at no address.
 * Expected: GNTST_okay; GNTST_general_error; GNTST_bad_domain; GNTST_permission_denied; -EINVAL; -EFAULT.
 * Source: common/grant_table.c, gnttab_get_status_frames().
 */
TEST(grant_no_status_frames, GRANTS, "a table of version 1 has no status pages: GNTST_general_error",
     .needs = "pv|arm" TODAYS_PPC)
{
    uint64_t frame;
    struct gnttab_get_status_frames list[2];

    begin();
    CHECK_EQ(list_status_pages(DOMID_SELF, 0, &frame), GNTST_okay);
    CHECK_EQ(list_status_pages(DOMID_SELF, 1, &frame), GNTST_general_error);
    CHECK_EQ(list_status_pages(NO_DOMAIN, 0, &frame), GNTST_bad_domain);
    if (self != 0)
        CHECK_EQ(list_status_pages(0, 0, &frame), GNTST_permission_denied);
    memset(list, 0, sizeof(list));
    CHECK_ERRNO(hypercall_grant_table_op(GNTTABOP_get_status_frames, list, 0), EINVAL);
    CHECK_ERRNO(hypercall_grant_table_op(GNTTABOP_get_status_frames, list, 2), EINVAL);
    CHECK_ERRNO(hypercall_grant_table_op(GNTTABOP_get_status_frames, arch_unmapped_pointer(), 1),
                EFAULT);
}

#endif

/* ---- Version 2 ---- */

#ifdef XENMAPIDX_grant_table_status

static page_t status_page;
static volatile union grant_entry_v2 *table2;
static volatile grant_status_t *states;

/* Ends with set_version(1), which begin() does too. */
static void begin_version_2(void)
{
    unsigned int now;

    begin();
    CHECK_EQ(set_version(2, &now), 0);
    CHECK_EQ(now, 2);
    table2 = (volatile union grant_entry_v2 *)table;
    states = arch_grant_table(status_page, XENMAPIDX_grant_table_status);
    if (!states)
        FAIL("the status page cannot be mapped");
}

/* A PV guest has to unmap the status page before it goes; from others Xen takes it. */
static void leave_status_page(void)
{
    if (strcmp(boot_info.guest, "pv") == 0)
        CHECK_EQ(arch_vacate(status_page), 0);
}

static void end_version_2(void)
{
    unsigned int now;

    leave_status_page();
    CHECK_EQ(set_version(1, &now), 0);
    CHECK_EQ(now, 1);
}

static void grant_part(grant_ref_t ref, const volatile void *page, unsigned int offset,
                       unsigned int length)
{
    table2[ref].sub_page.frame = arch_frame(page);
    table2[ref].sub_page.page_off = (uint16_t)offset;
    table2[ref].sub_page.length = (uint16_t)length;
    table2[ref].hdr.domid = self;
    table2[ref].hdr.flags = GTF_permit_access | GTF_sub_page;
}

static void grant_page(grant_ref_t ref, const volatile void *page, unsigned int flags)
{
    table2[ref].full_page.frame = arch_frame(page);
    table2[ref].hdr.domid = self;
    table2[ref].hdr.flags = (uint16_t)(GTF_permit_access | flags);
}

#define REF GNTTAB_NR_RESERVED_ENTRIES
#define GRANT_V2 "pv|hvm" TODAYS_PPC

/*
 * Background: In version 2 what Xen writes is in pages of its own, and frames have 64 bits.
 * Provoked by: version 2 set; a page granted and mapped; version 1 set again.
 * Expected: the table says 2, and 1 in the end; the entry keeps its flags, and the status word has GTF_reading
 * and GTF_writing while it is mapped; all entries are free after each change.
 * Source: grant_table.h; common/grant_table.c, gnttab_set_version(), _set_status_v2().
 */
TEST(grant_version_2, GRANTS, "a table of version 2 grants pages, and has its marks apart",
     .needs = GRANT_V2)
{
    static page_t page, place;
    unsigned int version;

    begin();
    table[REF].flags = GTF_permit_access;
    begin_version_2();
    CHECK_EQ(get_version(DOMID_SELF, &version), 0);
    CHECK_EQ(version, 2);
    CHECK_EQ(table2[REF].hdr.flags, 0);

    grant_page(REF, page, 0);
    *word(page) = MARK;
    CHECK_EQ(arch_vacate(place), 0);
    grant_handle_t handle = map(REF, place, GNTMAP_host_map);
    CHECK_EQ(*word(place), MARK);
    CHECK_EQ(table2[REF].hdr.flags, GTF_permit_access);
    CHECK_EQ(states[REF], GTF_reading | GTF_writing);
    CHECK_EQ(unmap_page(handle, place), GNTST_okay);
    CHECK_EQ(states[REF], 0);
    if (own_page_moves())
        CHECK_EQ(arch_occupy(page), 0);
    CHECK_EQ(arch_occupy(place), 0);

    end_version_2();
    CHECK_EQ(table[REF].flags, 0);
}

/*
 * Background: The first entries are the tool stack's, and stay what they are.
 * Provoked by: one of them written before the change to version 2, and looked at after it and after the change
 * back.
 * Expected: what was written.
 * Source: grant_table.h (GNTTAB_NR_RESERVED_ENTRIES); common/grant_table.c, gnttab_set_version().
 */
TEST(grant_reserved_entries, GRANTS, "the reserved entries survive a change of version",
     .needs = GRANT_V2)
{
    const grant_ref_t last = GNTTAB_NR_RESERVED_ENTRIES - 1;

    begin();
    table[last].frame = 0x1234;
    table[last].domid = NO_DOMAIN;
    table[last].flags = GTF_permit_access | GTF_readonly;
    begin_version_2();
    CHECK_EQ(table2[last].full_page.frame, 0x1234);
    CHECK_EQ(table2[last].hdr.domid, NO_DOMAIN);
    CHECK_EQ(table2[last].hdr.flags, GTF_permit_access | GTF_readonly);
    end_version_2();
    CHECK_EQ(table[last].frame, 0x1234);
    CHECK_EQ(table[last].domid, NO_DOMAIN);
    CHECK_EQ(table[last].flags, GTF_permit_access | GTF_readonly);
    table[last].flags = 0;
}

/*
 * Background: A table that is in use keeps its version, and so does one whose reserved entries would not fit.
 * Provoked by: version 2 while a grant is mapped; version 1 with a reserved entry for a frame of more than 32
 * bits, and with a transitive one.
 * Expected: -EBUSY and 1; -ERANGE and 2.
 * Source: common/grant_table.c, gnttab_set_version().
 */
TEST(grant_version_kept, GRANTS, "a table in use keeps its version: EBUSY, ERANGE", .needs = GRANT_V2)
{
    static page_t page, place;
    unsigned int now;

    begin();
    grant_ref_t ref = grant(page, GTF_permit_access);
    CHECK_EQ(arch_vacate(place), 0);
    grant_handle_t handle = map(ref, place, GNTMAP_host_map);
    CHECK_ERRNO(set_version(2, &now), EBUSY);
    CHECK_EQ(now, 1);
    CHECK_EQ(unmap_page(handle, place), GNTST_okay);
    finish(ref, page, place);

    begin_version_2();
    leave_status_page();
    table2[0].full_page.frame = 1ull << 32;
    table2[0].hdr.flags = GTF_permit_access;
    CHECK_ERRNO(set_version(1, &now), ERANGE);
    CHECK_EQ(now, 2);
    table2[0].full_page.frame = 0;
    table2[0].hdr.flags = GTF_transitive;
    CHECK_ERRNO(set_version(1, &now), ERANGE);
    CHECK_EQ(now, 2);
    table2[0].hdr.flags = 0;
    CHECK_EQ(set_version(1, &now), 0);
}

/*
 * Background: A PV guest finds the status pages by a list, and must unmap them before they go.
 * Provoked by: the list; version 1 while the page is mapped.
 * Expected: a frame; GNTST_general_error for more than there are, GNTST_bad_virt_addr for a list at no address;
 * -EBUSY.
 * Source: common/grant_table.c, gnttab_get_status_frames(), gnttab_unpopulate_status_frames().
 */
TEST(grant_status_frames, GRANTS, "a PV guest is told its status pages, and must not keep them: EBUSY",
     .needs = "pv")
{
    uint64_t frame = 0;
    unsigned int now;

    begin_version_2();
    CHECK_EQ(list_status_pages(DOMID_SELF, 1, &frame), GNTST_okay);
    CHECK(frame != 0);
    CHECK_EQ(list_status_pages(DOMID_SELF, 1000, &frame), GNTST_general_error);
    CHECK_EQ(list_status_pages(DOMID_SELF, 1, arch_unmapped_pointer()), GNTST_bad_virt_addr);
    CHECK_ERRNO(set_version(1, &now), EBUSY);
    CHECK_EQ(now, 2);
    end_version_2();
}

/*
 * Background: In version 2 a part of a page can be granted, for copies only.
 * Provoked by: copies of the part, and of a byte before and behind it; the grant mapped.
 * Expected: GNTST_okay and the contents; GNTST_general_error.
 * Source: grant_table.h (GTF_sub_page); common/grant_table.c, gnttab_copy_buf(), map_grant_ref().
 */
TEST(grant_sub_page, GRANTS, "a part of a page is granted for copies, and no more of it",
     .needs = GRANT_V2)
{
    static page_t page, other, place;

    begin_version_2();
    number_bytes(&page, 3);
    memset(other, 0, sizeof(other));
    grant_part(REF, page, 100, 50);
    CHECK_EQ(copy_status(by_ref(REF, 100), by_frame(other, 0), 50), GNTST_okay);
    __asm__ volatile("" ::: "memory");
    CHECK_EQ(memcmp(other, page + 100, 50), 0);
    CHECK_EQ(copy_status(by_ref(REF, 99), by_frame(other, 0), 1), GNTST_general_error);
    CHECK_EQ(copy_status(by_ref(REF, 149), by_frame(other, 0), 2), GNTST_general_error);
    CHECK_EQ(copy_status(by_frame(other, 0), by_ref(REF, 149), 2), GNTST_general_error);
    CHECK_EQ(map_status(self, REF, place, GNTMAP_host_map), GNTST_general_error);
    CHECK_EQ(states[REF], 0);
    end_version_2();
}

/*
 * Background: A transitive entry passes a third domain's grant on, for copies.
 * Provoked by: entries that lead to their own domain, and to none; one mapped.
 * Expected: GNTST_general_error each time; no entry is marked.
 * Source: grant_table.h (GTF_transitive); common/grant_table.c, acquire_grant_for_copy().
 */
TEST(grant_transitive_refused, GRANTS, "a grant is not passed on to its own domain: GNTST_general_error",
     .needs = GRANT_V2)
{
    static page_t page, other, place;

    begin_version_2();
    grant_page(REF + 1, page, 0);
    table2[REF].transitive.trans_domid = self;
    table2[REF].transitive.gref = REF + 1;
    table2[REF].hdr.domid = self;
    table2[REF].hdr.flags = GTF_transitive;
    CHECK_EQ(copy_status(by_ref(REF, 0), by_frame(other, 0), 4), GNTST_general_error);
    table2[REF].transitive.trans_domid = NO_DOMAIN;
    CHECK_EQ(copy_status(by_ref(REF, 0), by_frame(other, 0), 4), GNTST_general_error);
    CHECK_EQ(map_status(self, REF, place, GNTMAP_host_map), GNTST_general_error);
    CHECK_EQ(states[REF], 0);
    CHECK_EQ(states[REF + 1], 0);
    end_version_2();
}

/*
 * Background: Exchanged entries take their marks with them; the entries of version 2 are larger.
 * Provoked by: two entries of version 2 exchanged.
 * Expected: each holds what the other held.
 * Source: common/grant_table.c, swap_grant_ref().
 */
TEST(grant_swap_version_2, GRANTS, "entries of version 2 are exchanged as a whole", .needs = GRANT_V2)
{
    static page_t page;

    begin_version_2();
    grant_part(REF, page, 11, 22);
    grant_page(REF + 1, page, GTF_readonly);
    CHECK_EQ(swap(REF, REF + 1), GNTST_okay);
    CHECK_EQ(table2[REF].hdr.flags, GTF_permit_access | GTF_readonly);
    CHECK_EQ(table2[REF + 1].hdr.flags, GTF_permit_access | GTF_sub_page);
    CHECK_EQ(table2[REF + 1].sub_page.page_off, 11);
    CHECK_EQ(table2[REF + 1].sub_page.length, 22);
    CHECK_EQ(table2[REF + 1].sub_page.frame, arch_frame(page));
    end_version_2();
}

#endif

/* ---- Caches ---- */

#ifdef GNTTABOP_cache_flush

static long cache_flush(unsigned int command, uint64_t address, unsigned int offset, unsigned int length,
                        unsigned int operation)
{
    struct gnttab_cache_flush flush = {
        .a.dev_bus_addr = address,
        .offset = (uint16_t)offset,
        .length = (uint16_t)length,
        .op = operation,
    };

    return hypercall_grant_table_op(command, &flush, 1);
}

/* The machine address of a page of this domain's, which a mapping tells. */
static uint64_t machine_address(const volatile void *page, const volatile void *place)
{
    grant_ref_t ref = grant(page, GTF_permit_access);

    CHECK_EQ(arch_vacate(place), 0);
    struct gnttab_map_grant_ref map = map_from(self, ref, place, GNTMAP_host_map);
    CHECK_EQ(map.status, GNTST_okay);
    CHECK_EQ(unmap_page(map.handle, place), GNTST_okay);
    finish(ref, page, place);
    return map.dev_bus_addr;
}

/*
 * Background: A guest cannot flush caches by machine addresses itself. x86 has no way to drop lines unwritten.
 * Provoked by: each operation on a page of the caller's, on part of one, and on nothing; three at once.
 * Expected: 0; -EOPNOTSUPP for PV guests that want lines dropped. The page holds what it held.
 * Source: grant_table.h; common/grant_table.c, cache_flush().
 */
TEST(grant_cache_flush, GRANTS, "the caches of a page of the guest's own can be cleaned",
     .needs = "pv|arm")
{
    static page_t page, place;
    bool pv = strcmp(boot_info.guest, "pv") == 0;

    begin();
    uint64_t address = machine_address(page, place);
    *word(page) = MARK;
    CHECK_EQ(cache_flush(GNTTABOP_cache_flush, address, 0, PAGE_BYTES, GNTTAB_CACHE_CLEAN), 0);
    CHECK_EQ(cache_flush(GNTTABOP_cache_flush, address, 64, 64, GNTTAB_CACHE_CLEAN), 0);
    CHECK_EQ(cache_flush(GNTTABOP_cache_flush, address, 0, PAGE_BYTES,
                         GNTTAB_CACHE_CLEAN | GNTTAB_CACHE_INVAL),
             0);
    long rc = cache_flush(GNTTABOP_cache_flush, address, 0, PAGE_BYTES, GNTTAB_CACHE_INVAL);
    CHECK_EQ(rc, pv ? -XEN_EOPNOTSUPP : 0);
    CHECK_EQ(*word(page), MARK);
    CHECK_EQ(cache_flush(GNTTABOP_cache_flush, 0, 0, 0, GNTTAB_CACHE_CLEAN), 0);
    CHECK_EQ(cache_flush(GNTTABOP_cache_flush, 0, 0, PAGE_BYTES, 0), 0);
}

/*
 * Background: A request is checked before the page is looked for.
 * Provoked by: an offset and a length that lead out of the page; an unknown operation, and that on a grant; an
 * address of no memory; a command that is said to be continued, with nothing to do; a request at no address.
 * Expected: -EINVAL; -EILSEQ; -EFAULT.
 * Source: common/grant_table.c, _cache_flush(), gnttab_cache_flush().
 */
TEST(grant_cache_flush_refused, GRANTS, "caches of what is no page are not flushed: EINVAL",
     .needs = "pv|arm")
{
    static page_t page, place;
    const unsigned int clean = GNTTAB_CACHE_CLEAN;

    begin();
    uint64_t address = machine_address(page, place);
    CHECK_ERRNO(cache_flush(GNTTABOP_cache_flush, address, PAGE_BYTES, 1, clean), EINVAL);
    CHECK_ERRNO(cache_flush(GNTTABOP_cache_flush, address, 1, PAGE_BYTES, clean), EINVAL);
    CHECK_ERRNO(cache_flush(GNTTABOP_cache_flush, address, 0, PAGE_BYTES, 4), EINVAL);
    CHECK_ERRNO(cache_flush(GNTTABOP_cache_flush, address, 0, PAGE_BYTES,
                            clean | GNTTAB_CACHE_SOURCE_GREF),
                EINVAL);
    CHECK_ERRNO(cache_flush(GNTTABOP_cache_flush, (uint64_t)NO_GRANT_FRAME * PAGE_BYTES, 0, 4, clean),
                EINVAL);
    CHECK_ERRNO(cache_flush(GNTTABOP_cache_flush | 1u << 12, address, 0, 0, clean), EILSEQ);
    CHECK_ERRNO(hypercall_grant_table_op(GNTTABOP_cache_flush, arch_unmapped_pointer(), 1), EFAULT);
}

#endif

/* ---- Two domains ---- */

#define PEER_ANY GRANT_ANY " peer"
#define PEER_MAPPED GRANT_MAP " peer"

static struct side of_peer(grant_ref_t ref)
{
    return (struct side){.granted = true, .ref = ref, .domain = peer_domain()};
}

/* The other domain has made its grants when its ports are there. */
static void begin_with_peer(void)
{
    begin();
    peer_bind(PEER_ECHO);
}

/*
 * Background: A grant lets another domain in, for reading only if it says so.
 * Provoked by: a page of the other domain's that it granted for reading, mapped for reading and for writing.
 * Expected: what the other domain wrote; GNTST_general_error.
 * Source: grant_table.h; common/grant_table.c, map_grant_ref().
 */
TEST(grant_peer_map_readonly, GRANTS, "a page that another domain granted for reading can be read",
     .needs = PEER_MAPPED)
{
    static page_t place;

    begin_with_peer();
    CHECK_EQ(map_status(peer_domain(), PEER_REF_READONLY, place, GNTMAP_host_map), GNTST_general_error);
    CHECK_EQ(arch_vacate(place), 0);
    struct gnttab_map_grant_ref map =
        map_from(peer_domain(), PEER_REF_READONLY, place, GNTMAP_host_map | GNTMAP_readonly);
    CHECK_EQ(map.status, GNTST_okay);
    CHECK_EQ(*word(place), PEER_MARK);
    CHECK_EQ(unmap_page(map.handle, place), GNTST_okay);
    CHECK_EQ(unmap_page(map.handle, place), GNTST_bad_handle);
    CHECK_EQ(arch_occupy(place), 0);
}

/*
 * Background: A page of another domain's that is mapped for writing is that domain's page.
 * Provoked by: a word written through a mapping; the page copied by its grant, during and after the mapping.
 * Expected: the word both times; after the mapping is undone, the address does not lead to the page.
 * Source: grant_table.h; common/grant_table.c, map_grant_ref(), unmap_common().
 */
TEST(grant_peer_map, GRANTS, "what is written to another domain's page is there when it is unmapped",
     .needs = PEER_MAPPED)
{
    static page_t place, copy;

    begin_with_peer();
    CHECK_EQ(arch_vacate(place), 0);
    struct gnttab_map_grant_ref map = map_from(peer_domain(), PEER_REF, place, GNTMAP_host_map);
    CHECK_EQ(map.status, GNTST_okay);
    *word(place) = MARK;
    CHECK_EQ(copy_status(of_peer(PEER_REF), by_frame(copy, 0), 4), GNTST_okay);
    CHECK_EQ(*word(copy), MARK);
    CHECK_EQ(unmap_page(map.handle, place), GNTST_okay);
    CHECK_EQ(arch_occupy(place), 0);
    *word(place) = 1;
    *word(copy) = 2;
    CHECK_EQ(copy_status(of_peer(PEER_REF), by_frame(copy, 0), 4), GNTST_okay);
    CHECK_EQ(*word(copy), MARK);
}

/*
 * Background: Copies need no mapping, and go between any two grants.
 * Provoked by: copies from the other domain, to it and back, from one of its pages to another; one to a page that
 * it granted for reading.
 * Expected: GNTST_okay and the contents; GNTST_general_error.
 * Source: grant_table.h; common/grant_table.c, gnttab_copy_one().
 */
TEST(grant_peer_copy, GRANTS, "pages are copied from and to another domain, and within it",
     .needs = PEER_ANY)
{
    static page_t page, copy;

    begin_with_peer();
    CHECK_EQ(copy_status(of_peer(PEER_REF_READONLY), by_frame(copy, 0), 4), GNTST_okay);
    CHECK_EQ(*word(copy), PEER_MARK);
    CHECK_EQ(copy_status(by_frame(page, 0), of_peer(PEER_REF_READONLY), 4), GNTST_general_error);

    number_bytes(&page, 5);
    CHECK_EQ(copy_status(by_frame(page, 0), of_peer(PEER_REF), PAGE_BYTES), GNTST_okay);
    CHECK_EQ(copy_status(of_peer(PEER_REF), by_frame(copy, 0), PAGE_BYTES), GNTST_okay);
    __asm__ volatile("" ::: "memory");
    CHECK_EQ(memcmp(page, copy, PAGE_BYTES), 0);
    CHECK_EQ(copy_status(of_peer(PEER_REF_READONLY), of_peer(PEER_REF), 4), GNTST_okay);
    CHECK_EQ(copy_status(of_peer(PEER_REF), by_frame(copy, 0), 4), GNTST_okay);
    CHECK_EQ(*word(copy), PEER_MARK);
}

/*
 * Background: What is granted to one domain is granted to no other.
 * Provoked by: an entry of the other domain's for a third one, mapped and copied; an entry that it does not have.
 * Expected: GNTST_general_error; GNTST_bad_gntref.
 * Source: common/grant_table.c, _set_status_v1().
 */
TEST(grant_peer_not_granted, GRANTS, "what another domain grants to a third is refused", .needs = PEER_ANY)
{
    static page_t page, place;

    begin_with_peer();
    CHECK_EQ(map_status(peer_domain(), PEER_REF_FOREIGN, place, GNTMAP_host_map), GNTST_general_error);
    CHECK_EQ(copy_status(of_peer(PEER_REF_FOREIGN), by_frame(page, 0), 4), GNTST_general_error);
    CHECK_EQ(copy_status(by_frame(page, 0), of_peer(PEER_REF_FOREIGN), 4), GNTST_general_error);
    CHECK_EQ(map_status(peer_domain(), NO_REF, place, GNTMAP_host_map), GNTST_bad_gntref);
}

/*
 * Background: A page of this domain's is mapped by the other one; this domain sees that, and only that.
 * Provoked by: a grant to the other domain, which it is asked to map, and to unmap.
 * Expected: the other domain's writes; GTF_reading and GTF_writing; the grant cannot be taken back, exchanged or
 * used by anyone else; when it is unmapped, it can be taken back.
 * Source: grant_table.h; common/grant_table.c, map_grant_ref(), swap_grant_ref().
 */
TEST(grant_peer_maps, GRANTS, "a page that another domain maps is in use until it is unmapped",
     .needs = PEER_MAPPED)
{
    static page_t page, place;
    grant_ref_t ref = PEER_CLIENT_REF;

    begin();
    evtchn_port_t port = peer_bind(PEER_MAP);
    CHECK_EQ(event_bind(port, NULL, NULL), 0);
    CHECK(event_wait(port, 1, EVENT_LIMIT));

    table[ref].frame = (uint32_t)arch_frame(page);
    table[ref].domid = peer_domain();
    table[ref].flags = GTF_permit_access;
    *word(page) = 41;
    CHECK_EQ(event_send(port), 0);
    CHECK(event_wait(port, 2, EVENT_LIMIT));
    CHECK_EQ(*word(page), 42);
    CHECK_EQ(in_use(ref), GTF_reading | GTF_writing);
    CHECK(!revoke(ref));
#ifdef GNTTABOP_swap_grant_ref
    CHECK_EQ(swap(ref, next_ref), GNTST_eagain);
#endif
    CHECK_EQ(map_status(self, ref, place, GNTMAP_host_map), GNTST_general_error);
    CHECK_EQ(copy_status(by_ref(ref, 0), by_frame(page, 0), 4), GNTST_general_error);

    CHECK_EQ(event_send(port), 0);
    CHECK(event_wait(port, 3, EVENT_LIMIT));
    CHECK_EQ(in_use(ref), 0);
    CHECK(revoke(ref));
}

#ifdef GNTTABOP_cache_flush
/*
 * Background: The caches of another domain's page are nobody's business but of those who have it mapped.
 * Provoked by: the caches of a page cleaned while it is mapped and when it is not any more.
 * Expected: 0; -EINVAL.
 * Source: common/grant_table.c, _cache_flush(), grant_map_exists().
 */
TEST(grant_peer_cache_flush, GRANTS, "caches of another domain's page are cleaned while it is mapped only",
     .needs = "pv|arm peer")
{
    static page_t place;
    const unsigned int clean = GNTTAB_CACHE_CLEAN;

    begin_with_peer();
    CHECK_EQ(arch_vacate(place), 0);
    struct gnttab_map_grant_ref map = map_from(peer_domain(), PEER_REF, place, GNTMAP_host_map);
    CHECK_EQ(map.status, GNTST_okay);
    CHECK_EQ(cache_flush(GNTTABOP_cache_flush, map.dev_bus_addr, 0, PAGE_BYTES, clean), 0);
    CHECK_EQ(unmap_page(map.handle, place), GNTST_okay);
    CHECK_ERRNO(cache_flush(GNTTABOP_cache_flush, map.dev_bus_addr, 0, PAGE_BYTES, clean), EINVAL);
    CHECK_EQ(arch_occupy(place), 0);
}
#endif

#ifdef XENMAPIDX_grant_table_status
/*
 * Background: A transitive entry passes a grant of a third domain on: whoever copies by the entry gets that
 * domain's page.
 * Provoked by: an entry for this domain itself that leads to a grant of the other domain's, copied from; for one
 * for reading, copied to.
 * Expected: the other domain's page; GNTST_general_error. No entry is marked.
 * Source: grant_table.h (GTF_transitive); common/grant_table.c, acquire_grant_for_copy().
 */
TEST(grant_transitive, GRANTS, "a grant is passed on to others for copies", .needs = GRANT_V2 " peer")
{
    static page_t copy;

    peer_bind(PEER_ECHO);
    begin_version_2();
    table2[REF].transitive.trans_domid = peer_domain();
    table2[REF].transitive.gref = PEER_REF_READONLY;
    table2[REF].hdr.domid = self;
    table2[REF].hdr.flags = GTF_transitive;
    CHECK_EQ(copy_status(by_ref(REF, 0), by_frame(copy, 0), 4), GNTST_okay);
    CHECK_EQ(*word(copy), PEER_MARK);
    CHECK_EQ(copy_status(by_frame(copy, 0), by_ref(REF, 0), 4), GNTST_general_error);
    CHECK_EQ(states[REF], 0);
    end_version_2();
}
#endif
