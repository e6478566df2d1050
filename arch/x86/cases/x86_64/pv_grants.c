/* Rung "grants" of PV guests on x86: mappings by grant are entries of the guest's own page tables. */
#include <fault.h>
#include <grants.h>
#include <memory.h>
#include <string.h>

#include "common.h"
#include "x86.h"

typedef uint8_t page_t[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));

/* No page table is for it. */
#define NO_ADDRESS 0x7000000000

/* The first of the entries that conformance/cases/grant_table.c leaves to others. */
#define REF 500

static page_t table_page;

/* Grants a page to this domain itself, by entry `ref` of the table. */
static volatile struct grant_entry_v1 *grant(grant_ref_t ref, unsigned long frame)
{
    volatile struct grant_entry_v1 *table = arch_grant_table(table_page, 0);

    if (!table)
        FAIL("the first page of the grant table cannot be mapped");
    table[ref].frame = (uint32_t)frame;
    table[ref].domid = own_domain();
    table[ref].flags = GTF_permit_access;
    return &table[ref];
}

static struct gnttab_map_grant_ref map(grant_ref_t ref, uint64_t address, unsigned int flags)
{
    struct gnttab_map_grant_ref map = {
        .host_addr = address,
        .flags = GNTMAP_host_map | flags,
        .ref = ref,
        .dom = own_domain(),
        .status = 1,
    };

    CHECK_EQ(hypercall_grant_table_op(GNTTABOP_map_grant_ref, &map, 1), 0);
    return map;
}

static int unmap(grant_handle_t handle, uint64_t address)
{
    struct gnttab_unmap_grant_ref unmap = {.host_addr = address, .handle = handle, .status = 1};

    CHECK_EQ(hypercall_grant_table_op(GNTTABOP_unmap_grant_ref, &unmap, 1), 0);
    return unmap.status;
}

static const void *top_table(void)
{
    return (const void *)boot_info.start_info->pt_base;
}

/* The machine address of the entry that maps a page of the kernel. */
static uint64_t entry_of(const volatile void *address)
{
    struct xen_machphys_mapping mapping;
    const unsigned long *table = top_table();

    CHECK_EQ(hypercall_memory_op(XENMEM_machphys_mapping, &mapping), 0);
    for (unsigned int shift = 39; shift > 12; shift -= 9) {
        unsigned long entry = table[(unsigned long)address >> shift & 511];
        unsigned long frame = (entry & 0x000ffffffffff000ul) / PAGE_SIZE;

        CHECK(entry & 1);
        table = (const unsigned long *)(((const unsigned long *)mapping.v_start)[frame] * PAGE_SIZE);
    }
    return arch_frame(table) * PAGE_SIZE + ((unsigned long)address >> 12 & 511) * 8;
}

/*
 * Background: A page table that a guest could write would be no protection, whoever grants it.
 * Provoked by: a page table granted, mapped for writing and copied to; mapped for reading.
 * Expected: GNTST_general_error, and the entry is not marked; GNTST_okay, and the contents.
 * Source: common/grant_table.c, map_grant_ref(), gnttab_copy_claim_buf().
 */
TEST(pv_grant_page_table, GRANTS, "page tables are granted for reading only: GNTST_general_error",
     .needs = "pv")
{
    static page_t page, place;
    volatile struct grant_entry_v1 *entry = grant(REF, arch_frame(top_table()));
    struct gnttab_copy copy = {
        .source = {.u.gmfn = arch_frame(page), .domid = DOMID_SELF},
        .dest = {.u.ref = REF, .domid = DOMID_SELF},
        .len = 8,
        .flags = GNTCOPY_dest_gref,
    };

    CHECK_EQ(map(REF, (unsigned long)place, 0).status, GNTST_general_error);
    CHECK_EQ(entry->flags, GTF_permit_access);
    CHECK_EQ(hypercall_grant_table_op(GNTTABOP_copy, &copy, 1), 0);
    CHECK_EQ(copy.status, GNTST_general_error);
    CHECK_EQ(entry->flags, GTF_permit_access);

    struct gnttab_map_grant_ref reading = map(REF, (unsigned long)place, GNTMAP_readonly);
    CHECK_EQ(reading.status, GNTST_okay);
    CHECK_EQ(memcmp(place, top_table(), PAGE_SIZE), 0);
    CHECK_EQ(unmap(reading.handle, (unsigned long)place), GNTST_okay);
    CHECK_EQ(arch_occupy(place), 0);
    entry->flags = 0;
}

/*
 * Background: Xen writes the entry that maps an address, and there must be one.
 * Provoked by: a mapping at an address that no page table is for.
 * Expected: GNTST_general_error, and the entry is not marked.
 * Source: arch/x86/pv/grant_table.c, create_grant_pv_mapping().
 */
TEST(pv_grant_map_nowhere, GRANTS, "a grant is mapped where a page table is: GNTST_general_error",
     .needs = "pv")
{
    static page_t page;
    volatile struct grant_entry_v1 *entry = grant(REF + 1, arch_frame(page));

    CHECK_EQ(map(REF + 1, NO_ADDRESS, 0).status, GNTST_general_error);
    CHECK_EQ(entry->flags, GTF_permit_access);
    entry->flags = 0;
}

/*
 * Background: A guest may name the entry itself, by its machine address; for user mode too.
 * Provoked by: a mapping by the entry of a page; by an address in it that is not aligned, by one in an ordinary
 * page; the mapping undone by the entry, by such an address, replaced by another.
 * Expected: the granted page is there; GNTST_general_error for each address that is none, and for replacing.
 * Source: grant_table.h (GNTMAP_contains_pte); arch/x86/pv/grant_table.c.
 */
TEST(pv_grant_map_by_entry, GRANTS, "a grant is mapped by the address of a page table entry",
     .needs = "pv")
{
    static page_t page, place, other;
    const unsigned int flags = GNTMAP_contains_pte | GNTMAP_application_map;
    uint64_t at = entry_of(place), ordinary = arch_frame(other) * PAGE_SIZE;
    volatile struct grant_entry_v1 *entry = grant(REF + 2, arch_frame(page));

    *(volatile uint32_t *)page = 0x12345678;
    CHECK_EQ(map(REF + 2, at + 4, flags).status, GNTST_general_error);
    CHECK_EQ(map(REF + 2, ordinary, flags).status, GNTST_general_error);
    CHECK_EQ(entry->flags, GTF_permit_access);

    struct gnttab_map_grant_ref mapped = map(REF + 2, at, flags);
    CHECK_EQ(mapped.status, GNTST_okay);
    CHECK_EQ(*(volatile uint32_t *)place, 0x12345678);
    struct gnttab_unmap_and_replace replace = {
        .host_addr = at, .new_addr = (unsigned long)other, .handle = mapped.handle};
    CHECK_EQ(hypercall_grant_table_op(GNTTABOP_unmap_and_replace, &replace, 1), 0);
    CHECK_EQ(replace.status, GNTST_general_error);
    CHECK_EQ(unmap(mapped.handle, ordinary), GNTST_general_error);
    CHECK_EQ(unmap(mapped.handle, at), GNTST_okay);
    CHECK(!fault_read((const volatile uint32_t *)place, NULL));
    CHECK_EQ(arch_occupy(place), 0);
    CHECK_EQ(entry->flags, GTF_permit_access);
    entry->flags = 0;
}
