/*
 * The memory map that an x86 guest is told, which it may set itself as well.
 */
#include <string.h>

#include <memory.h>

#include "common.h"

#define ENTRIES 16

struct e820_entry {
    uint64_t start, size;
    uint32_t type;
} __attribute__((packed));

static long ask(struct e820_entry *entries, uint32_t *count)
{
    struct xen_memory_map map = {.nr_entries = *count};
    long rc;

    handle_set(map.buffer, entries);
    rc = hypercall_memory_op(XENMEM_memory_map, &map);
    *count = map.nr_entries;
    return rc;
}

static long set(struct e820_entry *entries, uint32_t count)
{
    struct xen_foreign_memory_map map = {.domid = DOMID_SELF, .map.nr_entries = count};

    long rc;

    handle_set(map.map.buffer, entries);
    rc = hypercall_memory_op(XENMEM_set_memory_map, &map);
    CHECK_EQ(map.map.nr_entries, count);
    return rc;
}

/*
 * Background: The tools give a domain its memory map, which it asks for at its start; a domain may change its own.
 * Provoked by: a map of two ranges, asked for; the map that was there set again, if there was one; too many ranges.
 * Expected: the two ranges; the map that was there; -EINVAL.
 * Source: memory.h (XENMEM_set_memory_map, XENMEM_memory_map); arch/x86/mm.c, arch_memory_op().
 */
TEST(memory_map_set, MEMORY, "a domain is told the memory map that was set", .needs = "pv|hvm")
{
    static struct e820_entry before[ENTRIES], own[2], told[ENTRIES];
    uint32_t count = ENTRIES, now = ENTRIES;
    long had = ask(before, &count);

    if (had != 0)
        CHECK_ERRNO(had, ENOSYS);
    own[0] = (struct e820_entry){.size = 0xa0000, .type = 1};
    own[1] = (struct e820_entry){.start = 0x100000, .size = 0x700000, .type = 2};
    CHECK_EQ(set(own, 2), 0);
    CHECK_EQ(ask(told, &now), 0);
    CHECK_EQ(now, 2);
    CHECK_EQ(memcmp(told, own, sizeof(own)), 0);
    now = 1;
    CHECK_EQ(ask(told, &now), 0);
    CHECK_EQ(now, 1);
    CHECK_ERRNO(set(own, 1025), EINVAL);

    CHECK_EQ(set(before, had == 0 ? count : 0), 0);
    now = ENTRIES;
    CHECK_EQ(ask(told, &now), had);
    if (had == 0) {
        CHECK_EQ(now, count);
        CHECK_EQ(memcmp(told, before, count * sizeof(before[0])), 0);
    }
}
