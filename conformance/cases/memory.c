/*
 * Rung "memory": asking how much there is, giving pages back and getting others, mapping Xen's
 * pages.
 *
 * Each test that takes a page of the kernel away has one of its own for it, so that a failure in
 * the middle harms no other test.
 */
#include <features.h>
#include <memory.h>
#include <string.h>
#include <version.h>

#include "common.h"

#define WORD_BITS (sizeof(xen_ulong_t) * 8)

/* Where no domain has memory. */
#define EMPTY_FRAME ((xen_pfn_t)0xfffffff)

typedef uint8_t page_t[PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));

static long reservation(unsigned int command, domid_t domain, xen_pfn_t *frame, unsigned int order)
{
    struct xen_memory_reservation reservation = {
        .nr_extents = 1,
        .extent_order = order,
        .domid = domain,
    };

    handle_set(reservation.extent_start, frame);
    return hypercall_memory_op(command, &reservation);
}

/* Gives the frame of a page back to Xen: 1. What the page maps is then nothing. */
static long give_back(const page_t *page)
{
    xen_pfn_t frame = arch_frame(page);

    return reservation(XENMEM_decrease_reservation, DOMID_SELF, &frame, 0);
}

/* Gets a frame for a page that has none: 1. */
static long get(const page_t *page)
{
    xen_pfn_t frame = arch_frame(page);

    return reservation(XENMEM_populate_physmap, DOMID_SELF, &frame, 0);
}

/* The page holds what is written to it, from end to end. */
static bool is_usable(page_t *page)
{
    volatile uint8_t *bytes = *page;

    for (unsigned int i = 0; i < PAGE_BYTES; i++)
        bytes[i] = (uint8_t)(i ^ i >> 8);
    for (unsigned int i = 0; i < PAGE_BYTES; i++)
        if (bytes[i] != (uint8_t)(i ^ i >> 8))
            return false;
    return true;
}

static long ask(unsigned int command, domid_t domain)
{
    struct xen_memory_domain argument = {.domid = domain};

    return hypercall_memory_op(command, &argument);
}

/*
 * Background: A domain has so many pages, and may have so many.
 * Provoked by: the questions for both numbers, about this domain under both its names.
 * Expected: some, and no more than it may have.
 * Source: memory.h (XENMEM_current_reservation, XENMEM_maximum_reservation); common/memory.c,
 * do_memory_op().
 */
TEST(memory_reservation, MEMORY, "the domain has memory, and no more than it may have")
{
    long current = ask(XENMEM_current_reservation, DOMID_SELF);
    long maximum = ask(XENMEM_maximum_reservation, DOMID_SELF);

    CHECK(current > 0);
    CHECK(maximum >= current);
    CHECK_EQ(ask(XENMEM_current_reservation, own_domain()), current);
}

/*
 * Background: Tools size their tables of machine frames by it.
 * Provoked by: the question.
 * Expected: the machine's memory ends behind the pages that the domain has.
 * Source: memory.h (XENMEM_maximum_ram_page); common/memory.c, do_memory_op().
 */
TEST(memory_maximum_ram_page, MEMORY, "the machine has at least the memory of this domain")
{
    long end = hypercall_memory_op(XENMEM_maximum_ram_page, NULL);

    CHECK(end >= ask(XENMEM_current_reservation, DOMID_SELF));
}

/*
 * Background: Tools that save a guest have to know where its memory ends.
 * Provoked by: the question, about this domain.
 * Expected: a frame that is not below those of this kernel.
 * Source: memory.h (XENMEM_maximum_gpfn); domain_get_maximum_gpfn() of the architecture.
 */
TEST(memory_maximum_gpfn, MEMORY, "the largest guest frame is not below the kernel's",
     .needs = "hvm|arm")
{
    static const uint8_t here;

    CHECK(ask(XENMEM_maximum_gpfn, DOMID_SELF) >= (long)arch_frame(&here));
}

/*
 * Background: Tools ask about domains that may be gone by then.
 * Provoked by: the questions above about a domain that does not exist.
 * Expected: -ESRCH each time.
 * Source: common/memory.c, do_memory_op().
 */
TEST(memory_of_no_domain, MEMORY, "the memory of a domain that does not exist: ESRCH")
{
    CHECK_ERRNO(ask(XENMEM_current_reservation, NO_DOMAIN), ESRCH);
    CHECK_ERRNO(ask(XENMEM_maximum_reservation, NO_DOMAIN), ESRCH);
    CHECK_ERRNO(ask(XENMEM_maximum_gpfn, NO_DOMAIN), ESRCH);
}

/*
 * Background: How much memory a domain has is nobody else's business but the tools'.
 * Provoked by: a domU asks about domain 0.
 * Expected: -EPERM each time.
 * Source: common/memory.c, do_memory_op(); xsm/dummy.h, xsm_memory_stat_reservation().
 */
TEST(memory_of_another_domain, MEMORY, "a domU is refused to know the memory of dom0: EPERM",
     .needs = "domu")
{
    CHECK_ERRNO(ask(XENMEM_current_reservation, 0), EPERM);
    CHECK_ERRNO(ask(XENMEM_maximum_reservation, 0), EPERM);
    CHECK_ERRNO(ask(XENMEM_maximum_gpfn, 0), EPERM);
}

/*
 * Background: The upper bits of a command say where a long one was interrupted. Commands that
 * cannot be must not be told so.
 * Provoked by: each of them with such a bit.
 * Expected: -EINVAL.
 * Source: memory.h (MEMOP_CMD_MASK, MEMOP_EXTENT_SHIFT in asm/hypercall.h); common/memory.c.
 */
TEST(memory_continued, MEMORY, "commands that cannot be continued refuse to be: EINVAL",
     .needs = "pv|hvm|arm")
{
    const unsigned int continued = 1u << 6;

    CHECK_ERRNO(hypercall_memory_op(XENMEM_maximum_ram_page | continued, NULL), EINVAL);
    CHECK_ERRNO(ask(XENMEM_current_reservation | continued, DOMID_SELF), EINVAL);
    CHECK_ERRNO(ask(XENMEM_maximum_reservation | continued, DOMID_SELF), EINVAL);
    CHECK_ERRNO(ask(XENMEM_maximum_gpfn | continued, DOMID_SELF), EINVAL);
#ifdef XENMEM_remove_from_physmap
    struct xen_remove_from_physmap remove = {.domid = DOMID_SELF};
    CHECK_ERRNO(hypercall_memory_op(XENMEM_remove_from_physmap | continued, &remove), EINVAL);
#endif
}

/*
 * Background: Xen copies every argument with a check, and says so when it cannot.
 * Provoked by: questions whose argument is at an address where nothing is.
 * Expected: -EFAULT.
 * Source: common/memory.c, do_memory_op().
 */
TEST(memory_bad_pointers, MEMORY, "memory_op questions at no address are refused with EFAULT")
{
    void *nowhere = arch_unmapped_pointer();

    CHECK_ERRNO(hypercall_memory_op(XENMEM_current_reservation, nowhere), EFAULT);
    CHECK_ERRNO(hypercall_memory_op(XENMEM_maximum_reservation, nowhere), EFAULT);
    CHECK_ERRNO(hypercall_memory_op(XENMEM_maximum_gpfn, nowhere), EFAULT);
}

/*
 * Background: A caller finds out what a release has by trying, so what is not there must be refused
 * in a way it knows.
 * Provoked by: a command that memory_op does not have.
 * Expected: -ENOSYS.
 * Source: common/memory.c, do_memory_op(); arch_memory_op() of the architecture.
 */
TEST(memory_unknown_command, MEMORY, "an unknown memory_op command is refused with ENOSYS")
{
    CHECK_ERRNO(hypercall_memory_op(NO_COMMAND, NULL), ENOSYS);
}

/*
 * ---- Pages for pages ----
 */

/* Old releases do not say so, but a dom0 on Arm always was. */
static bool is_direct_mapped(void)
{
    struct xen_feature_info info = {.submap_idx = 0};

    CHECK_EQ(hypercall_xen_version(XENVER_get_features, &info), 0);
#ifdef XENFEAT_direct_mapped
    return info.submap >> XENFEAT_direct_mapped & 1;
#elif defined(XENFEAT_dom0)
    return strcmp(boot_info.guest, "arm") == 0 && (info.submap >> XENFEAT_dom0 & 1);
#else
    return false;
#endif
}

/*
 * Background: This is how a guest makes room for others, and grows again ("ballooning").
 * Provoked by: a page given back, given back again, and got again.
 * Expected: one extent done; none; one. The reservation has a page less in between (but where guest
 * frames are machine frames, Xen keeps the page for the domain). The page can be used in the end.
 * Source: memory.h (XENMEM_decrease_reservation, XENMEM_populate_physmap); common/memory.c.
 */
TEST(memory_give_back_and_get, MEMORY, "a page can be given back, and another got for it",
     .needs = "hvm|arm" TODAYS_PPC)
{
    static page_t page;
    long before = ask(XENMEM_current_reservation, DOMID_SELF);

    CHECK(is_usable(&page));
    CHECK_EQ(give_back(&page), 1);
    CHECK_EQ(ask(XENMEM_current_reservation, DOMID_SELF), is_direct_mapped() ? before : before - 1);
    CHECK_EQ(give_back(&page), 0);
    CHECK_EQ(get(&page), 1);
    CHECK_EQ(ask(XENMEM_current_reservation, DOMID_SELF), before);
    CHECK(is_usable(&page));
}

/*
 * Background: Commands on extents never fail; they say how many extents they did.
 * Provoked by: a frame that the domain does not have; extents of 2^40 pages; a domain that does not
 * exist; a reservation, and a list of frames, at an address where nothing is.
 * Expected: none done, and the domain has as much memory as before.
 * Source: memory.h; common/memory.c, do_memory_op().
 */
TEST(memory_extents_refused, MEMORY, "extents that cannot be done are not done, and that is all")
{
    static const unsigned int commands[] = {
        XENMEM_increase_reservation,
        XENMEM_decrease_reservation,
        XENMEM_populate_physmap,
    };
    long before = ask(XENMEM_current_reservation, DOMID_SELF);
    xen_pfn_t frame = (~(xen_pfn_t)0 >> 12) - (1ul << 22); /* that bit is special in IBM's port */

    CHECK_EQ(reservation(XENMEM_decrease_reservation, DOMID_SELF, &frame, 0), 0);
    for (unsigned int i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        CHECK_EQ(reservation(commands[i], DOMID_SELF, &frame, 40), 0);
        CHECK_EQ(reservation(commands[i], NO_DOMAIN, &frame, 0), 0);
        CHECK_EQ(hypercall_memory_op(commands[i], arch_unmapped_pointer()), 0);
    }
    CHECK_EQ(reservation(XENMEM_decrease_reservation, DOMID_SELF, arch_unmapped_pointer(), 0), 0);
    CHECK_EQ(reservation(XENMEM_populate_physmap, DOMID_SELF, arch_unmapped_pointer(), 0), 0);
    CHECK_EQ(ask(XENMEM_current_reservation, DOMID_SELF), before);
}

/*
 * Background: Only the tools may change the memory of other domains.
 * Provoked by: a domU takes memory of domain 0 away, and gives it some.
 * Expected: none done.
 * Source: common/memory.c, do_memory_op(); xsm/dummy.h, xsm_memory_adjust_reservation().
 */
TEST(memory_extents_of_another_domain, MEMORY, "a domU cannot change the memory of dom0",
     .needs = "domu")
{
    xen_pfn_t frame = 0;

    CHECK_EQ(reservation(XENMEM_increase_reservation, 0, &frame, 0), 0);
    CHECK_EQ(reservation(XENMEM_decrease_reservation, 0, &frame, 0), 0);
    CHECK_EQ(reservation(XENMEM_populate_physmap, 0, &frame, 0), 0);
}

/*
 * ---- Mapping ----
 */

#ifdef XENMEM_add_to_physmap_batch
static long map(domid_t domain, unsigned int space, xen_ulong_t index, xen_pfn_t frame)
{
    struct xen_add_to_physmap map = {
        .domid = domain,
        .space = space,
        .idx = index,
        .gpfn = frame,
    };

    return hypercall_memory_op(XENMEM_add_to_physmap, &map);
}

static long unmap(domid_t domain, xen_pfn_t frame)
{
    struct xen_remove_from_physmap unmap = {.domid = domain, .gpfn = frame};

    return hypercall_memory_op(XENMEM_remove_from_physmap, &unmap);
}

/* A page of the grant table, one that the tests of grants leave alone. */
#define GRANT_PAGE 5

/*
 * Background: Pages of Xen's, here one of the grant table, can be put anywhere into a translated
 * guest.
 * Provoked by: the page mapped where a page of the kernel was, unmapped, unmapped again.
 * Expected: a page of memory that is not the kernel's old one; 0; -ENOENT. In the end the kernel
 * gets its memory back.
 * Source: memory.h (XENMEM_add_to_physmap, XENMEM_remove_from_physmap);
 * xenmem_add_to_physmap_one().
 */
TEST(memory_map_and_unmap, MEMORY, "a page of the grant table can be mapped and unmapped",
     .needs = "hvm|arm" TODAYS_PPC)
{
    static page_t page;
    volatile uint32_t *first = (volatile uint32_t *)page;
    xen_pfn_t frame = arch_frame(page);

    *first = 0x12345678;
    CHECK_EQ(give_back(&page), 1);
    CHECK_EQ(map(DOMID_SELF, XENMAPSPACE_grant_table, GRANT_PAGE, frame), 0);
    CHECK(*first != 0x12345678);
    CHECK_EQ(unmap(DOMID_SELF, frame), 0);
    CHECK_ERRNO(unmap(DOMID_SELF, frame), ENOENT);
    CHECK_EQ(get(&page), 1);
    CHECK(is_usable(&page));
}

/*
 * Background: On x86 a page of the guest's own can be moved to another frame.
 * Provoked by: a page with a mark in it, moved to where another page was.
 * Expected: the mark at the new frame, and nothing at the old one.
 * Source: memory.h (XENMAPSPACE_gmfn); arch/x86/mm/p2m.c, xenmem_add_to_physmap_one().
 */
TEST(memory_move_page, MEMORY, "a page of the guest can be moved to another frame", .needs = "hvm")
{
    static page_t from, to;
    volatile uint32_t *mark = (volatile uint32_t *)to;

    *(volatile uint32_t *)from = 0x12345678;
    *mark = 0;
    CHECK_EQ(map(DOMID_SELF, XENMAPSPACE_gmfn, arch_frame(from), arch_frame(to)), 0);
    CHECK_EQ(*mark, 0x12345678);
    CHECK_ERRNO(unmap(DOMID_SELF, arch_frame(from)), ENOENT);
    CHECK_EQ(get(&from), 1);
    CHECK(is_usable(&from));
    CHECK(is_usable(&to));
}

/*
 * Background: On x86 pages of the guest's own that follow each other can be moved at once.
 * Provoked by: two of three pages with a mark in each, moved to where others were.
 * Expected: the marks at the new frames, and nothing at the old ones; the third stays.
 * Source: memory.h (XENMAPSPACE_gmfn_range); common/memory.c, xenmem_add_to_physmap().
 */
TEST(memory_move_pages, MEMORY, "pages of the guest can be moved to other frames", .needs = "hvm")
{
    enum { MOVED = 2, ALL };
    static page_t from[ALL], to[ALL];
    struct xen_add_to_physmap move = {
        .domid = DOMID_SELF,
        .space = XENMAPSPACE_gmfn_range,
        .size = MOVED,
        .idx = arch_frame(from[0]),
        .gpfn = arch_frame(to[0]),
    };

    for (unsigned int i = 0; i < ALL; i++) {
        *(volatile uint32_t *)from[i] = 0x12345678 + i;
        *(volatile uint32_t *)to[i] = 0;
    }
    CHECK_EQ(hypercall_memory_op(XENMEM_add_to_physmap, &move), 0);
    for (unsigned int i = 0; i < MOVED; i++) {
        CHECK_EQ(*(volatile uint32_t *)to[i], 0x12345678 + i);
        CHECK_ERRNO(unmap(DOMID_SELF, arch_frame(from[i])), ENOENT);
        CHECK_EQ(get(&from[i]), 1);
        CHECK(is_usable(&from[i]));
    }
    CHECK_EQ(*(volatile uint32_t *)to[MOVED], 0);
    CHECK_EQ(*(volatile uint32_t *)from[MOVED], 0x12345678 + MOVED);
}

/*
 * Background: shared_info is mapped already when a test runs. On x86 mapping it again moves it; Arm
 * insists that it be unmapped first, and before 4.17 mapped it a second time.
 * Provoked by: shared_info mapped at another page.
 * Expected: -EBUSY; before 4.17, what is written at one frame is read at the other.
 * Source: arch/arm/mm.c, xenmem_add_to_physmap_one().
 */
TEST(memory_map_shared_info_again, MEMORY, "shared_info mapped a second time: EBUSY since 4.17",
     .needs = "arm")
{
    static page_t page;
    const struct shared_info *other = (const void *)page;
    const volatile xen_ulong_t *last = &other->evtchn_mask[WORD_BITS - 1];
    long rc = map(DOMID_SELF, XENMAPSPACE_shared_info, 0, arch_frame(page));

    if (RELEASE_IS_AT_LEAST(4, 17)) {
        CHECK_ERRNO(rc, EBUSY);
        return;
    }
    CHECK_EQ(rc, 0);
    event_mask(EVENT_PORTS - 1);
    CHECK_EQ(*last >> (WORD_BITS - 1), 1);
    event_unmask(EVENT_PORTS - 1);
    CHECK_EQ(*last >> (WORD_BITS - 1), 0);
}

/*
 * Background: Every part of the request is checked before the frame loses what is mapped there.
 * Provoked by: a domain that does not exist; a page of another domain, which only the batch command
 * maps; a second page of shared_info; no frame, which is 64 bits of ones; a kind of page that does not exist; for HVM, a
 * frame of its own that it does not have.
 * Expected: -ESRCH; -ENOSYS; -EINVAL; -EINVAL (since 4.17); -ENOSYS, for HVM -EINVAL; -EINVAL, since
 * 4.19 -EACCES.
 * Source: memory.h; common/memory.c, do_memory_op(), xenmem_add_to_physmap();
 * xenmem_add_to_physmap_one() of the architecture.
 */
TEST(memory_map_refused, MEMORY, "mappings that cannot be are refused", .needs = "hvm|arm" TODAYS_PPC)
{
    static page_t page;
    xen_pfn_t frame = arch_frame(page);
    bool hvm = strcmp(boot_info.guest, "hvm") == 0;

    CHECK_ERRNO(map(NO_DOMAIN, XENMAPSPACE_shared_info, 0, frame), ESRCH);
    CHECK_ERRNO(map(DOMID_SELF, XENMAPSPACE_gmfn_foreign, 0, frame), ENOSYS);
    CHECK_ERRNO(map(DOMID_SELF, XENMAPSPACE_shared_info, 1, frame), EINVAL);
    if (RELEASE_IS_AT_LEAST(4, 17) && !ARCH_COMPAT)
        CHECK_ERRNO(map(DOMID_SELF, XENMAPSPACE_shared_info, 0, ~(xen_pfn_t)0), EINVAL);
    if (!hvm) {
        CHECK_ERRNO(map(DOMID_SELF, 99, 0, frame), ENOSYS);
        CHECK_ERRNO(map(DOMID_SELF, XENMAPSPACE_gmfn, frame, frame), ENOSYS);
    } else {
        long rc = map(DOMID_SELF, XENMAPSPACE_gmfn, ~0ul >> 12, frame);

        CHECK_ERRNO(map(DOMID_SELF, 99, 0, frame), EINVAL);
        if (RELEASE_IS_AT_LEAST(4, 19))
            CHECK_ERRNO(rc, EACCES);
        else
            CHECK_ERRNO(rc, EINVAL);
    }
    CHECK(is_usable(&page));
}

/*
 * Background: A device's pages may only be mapped by the hardware domain.
 * Provoked by: a domU maps one.
 * Expected: -EACCES.
 * Source: memory.h (XENMAPSPACE_dev_mmio); common/memory.c, xatp_permission_check().
 */
TEST(memory_map_device_denied, MEMORY, "a domU may not map pages of devices: EACCES",
     .needs = "hvm|arm" TODAYS_PPC " domu")
{
    static page_t page;

    CHECK_ERRNO(map(DOMID_SELF, XENMAPSPACE_dev_mmio, 0, arch_frame(page)), EACCES);
}

/*
 * Background: Only the tools may map into other domains.
 * Provoked by: a domU maps and unmaps in domain 0.
 * Expected: -EPERM.
 * Source: common/memory.c, xatp_permission_check(); xsm/dummy.h, xsm_add_to_physmap().
 */
TEST(memory_map_into_another_domain, MEMORY, "a domU may not map into dom0: EPERM",
     .needs = "arm" TODAYS_PPC " domu")
{
    CHECK_ERRNO(map(0, XENMAPSPACE_shared_info, 0, 0), EPERM);
    CHECK_ERRNO(unmap(0, 0), EPERM);
}

/*
 * Background: On x86 dom0 may be a PV domain, into which nothing can be mapped; Xen sees that first.
 * Provoked by: a domU maps and unmaps in domain 0.
 * Expected: -EACCES both times if dom0 is a PV domain, else -EPERM.
 * Source: common/memory.c, xatp_permission_check() and do_memory_op().
 */
TEST(memory_map_into_pv_or_hvm_dom0, MEMORY, "an HVM domU may not map into dom0",
     .needs = "hvm domu")
{
    long rc = map(0, XENMAPSPACE_shared_info, 0, 0);

    CHECK(rc == -XEN_EACCES || rc == -XEN_EPERM);
    CHECK_EQ(unmap(0, 0), rc);
}

/*
 * Background: The frames of a PV guest are the machine's; there is nothing to map.
 * Provoked by: all three commands.
 * Expected: -EACCES.
 * Source: common/memory.c, xatp_permission_check().
 */
TEST(memory_map_not_for_pv, MEMORY, "a PV guest has nothing to map: EACCES", .needs = "pv")
{
    static page_t page;
    struct xen_add_to_physmap_batch batch = {
        .domid = DOMID_SELF,
        .space = XENMAPSPACE_shared_info,
    };

    CHECK_ERRNO(map(DOMID_SELF, XENMAPSPACE_shared_info, 0, arch_frame(page)), EACCES);
    CHECK_ERRNO(unmap(DOMID_SELF, arch_frame(page)), EACCES);
    CHECK_ERRNO(hypercall_memory_op(XENMEM_add_to_physmap_batch, &batch), EACCES);
    CHECK(is_usable(&page));
}

/*
 * Background: A frame has to have something that can be unmapped.
 * Provoked by: unmapping in a domain that does not exist, and a frame where nothing is.
 * Expected: -ESRCH; -ENOENT.
 * Source: memory.h (XENMEM_remove_from_physmap); common/memory.c, do_memory_op().
 */
TEST(memory_unmap_refused, MEMORY, "unmapping nothing: ESRCH, ENOENT", .needs = "hvm|arm" TODAYS_PPC)
{
    CHECK_ERRNO(unmap(NO_DOMAIN, 0), ESRCH);
    CHECK_ERRNO(unmap(DOMID_SELF, EMPTY_FRAME), ENOENT);
}

static long map_batch(struct xen_add_to_physmap_batch *batch, xen_ulong_t *indices,
                      xen_pfn_t *frames, int *errors)
{
    handle_set(batch->idxs, indices);
    handle_set(batch->gpfns, frames);
    handle_set(batch->errs, errors);
    return hypercall_memory_op(XENMEM_add_to_physmap_batch, batch);
}

/*
 * Background: The batch command maps page by page, and has a result for each.
 * Provoked by: a page of the grant table, and one far beyond its end.
 * Expected: 0 for the command and for the first page, -EINVAL for the second.
 * Source: memory.h (XENMEM_add_to_physmap_batch); common/memory.c, xenmem_add_to_physmap_batch().
 */
TEST(memory_map_batch, MEMORY, "a batch of mappings has a result for each", .needs = "hvm|arm" TODAYS_PPC)
{
    static page_t page;
    xen_pfn_t frames[2] = {arch_frame(page), arch_frame(page)};
    xen_ulong_t indices[2] = {GRANT_PAGE, 0x7fffffff};
    int errors[2] = {1, 1};
    struct xen_add_to_physmap_batch batch = {
        .domid = DOMID_SELF,
        .space = XENMAPSPACE_grant_table,
        .size = 2,
    };

    CHECK_EQ(give_back(&page), 1);
    CHECK_EQ(map_batch(&batch, indices, frames, errors), 0);
    CHECK_EQ(errors[0], 0);
    CHECK_ERRNO(errors[1], EINVAL);
    CHECK_EQ(unmap(DOMID_SELF, frames[0]), 0);
    CHECK_EQ(get(&page), 1);
    CHECK(is_usable(&page));
}

/*
 * Background: The lists are checked whole before the first page is mapped.
 * Provoked by: a range, which the batch command does not do; a domain that does not exist; each of
 * the three lists at an address where nothing is; no frame; and a batch of nothing.
 * Expected: -EOPNOTSUPP; -ESRCH; -EFAULT; -EINVAL (since 4.17); 0.
 * Source: memory.h (XENMEM_add_to_physmap_batch); common/memory.c, xenmem_add_to_physmap_batch().
 */
TEST(memory_map_batch_refused, MEMORY, "batches that cannot be are refused", .needs = "hvm|arm" TODAYS_PPC)
{
    static page_t page;
    xen_pfn_t frame = arch_frame(page), none = ~(xen_pfn_t)0;
    xen_ulong_t index = 1;
    int error;
    struct xen_add_to_physmap_batch batch = {
        .domid = DOMID_SELF,
        .space = XENMAPSPACE_gmfn_range,
        .size = 1,
    };

    CHECK_ERRNO(map_batch(&batch, &index, &frame, &error), EOPNOTSUPP);
    batch.space = XENMAPSPACE_shared_info;
    batch.domid = NO_DOMAIN;
    CHECK_ERRNO(map_batch(&batch, &index, &frame, &error), ESRCH);
    batch.domid = DOMID_SELF;
    CHECK_ERRNO(map_batch(&batch, arch_unmapped_pointer(), &frame, &error), EFAULT);
    CHECK_ERRNO(map_batch(&batch, &index, arch_unmapped_pointer(), &error), EFAULT);
    CHECK_ERRNO(map_batch(&batch, &index, &frame, arch_unmapped_pointer()), EFAULT);
    if (RELEASE_IS_AT_LEAST(4, 17) && !ARCH_COMPAT)
        CHECK_ERRNO(map_batch(&batch, &index, &none, &error), EINVAL);
    batch.size = 0;
    CHECK_EQ(map_batch(&batch, &index, &frame, &error), 0);
}

/*
 * Background: Xen copies every argument with a check, and says so when it cannot.
 * Provoked by: the commands that map, with arguments at an address where nothing is.
 * Expected: -EFAULT.
 * Source: common/memory.c, do_memory_op().
 */
TEST(memory_map_bad_pointers, MEMORY, "mappings described at no address are refused with EFAULT",
     .needs = "pv|hvm|arm" TODAYS_PPC)
{
    void *nowhere = arch_unmapped_pointer();

    CHECK_ERRNO(hypercall_memory_op(XENMEM_add_to_physmap, nowhere), EFAULT);
    CHECK_ERRNO(hypercall_memory_op(XENMEM_add_to_physmap_batch, nowhere), EFAULT);
    CHECK_ERRNO(hypercall_memory_op(XENMEM_remove_from_physmap, nowhere), EFAULT);
}
#endif

/*
 * ---- The map of the memory ----
 */

/* An entry of the PC BIOS's memory map, 20 bytes. */
struct __attribute__((packed)) e820_entry {
    uint64_t address;
    uint64_t size;
    uint32_t type;
};

#define E820_RAM 1

static long memory_map(struct e820_entry *entries, unsigned int *count)
{
    struct xen_memory_map map = {.nr_entries = *count};

    handle_set(map.buffer, entries);
    long rc = hypercall_memory_op(XENMEM_memory_map, &map);
    *count = map.nr_entries;
    return rc;
}

/*
 * Background: A PVH dom0 is told the machine's map, with its own memory as RAM; a domU the one that its
 * builder has given to Xen.
 * Provoked by: the whole map; the first entry only; none; the map at an address where nothing is.
 * Expected: entries, one of them RAM; one entry, the same as before; none; -EFAULT.
 * Source: memory.h (XENMEM_memory_map); arch/x86/mm.c, arch_memory_op().
 */
TEST(memory_map_told, MEMORY, "a guest that has a map of its memory is told it",
     .needs = "hvm|domu pv|hvm")
{
    static struct e820_entry entries[128], first;
    unsigned int count = 128, one = 1, none = 0;
    bool ram = false;

    CHECK_EQ(memory_map(entries, &count), 0);
    CHECK(count > 0 && count <= 128);
    for (unsigned int i = 0; i < count; i++)
        ram = ram || (entries[i].type == E820_RAM && entries[i].size > 0);
    CHECK(ram);

    CHECK_EQ(memory_map(&first, &one), 0);
    CHECK_EQ(one, 1);
    CHECK_EQ(memcmp(&first, entries, sizeof(first)), 0);
    first.size = 0;
    CHECK_EQ(memory_map(&first, &none), 0);
    CHECK_EQ(none, 0);
    CHECK_EQ(first.size, 0);

    one = 1;
    CHECK_ERRNO(memory_map(arch_unmapped_pointer(), &one), EFAULT);
    CHECK_ERRNO(hypercall_memory_op(XENMEM_memory_map, arch_unmapped_pointer()), EFAULT);
}

/*
 * Background: A PV dom0 has no map of its own; it is told how much memory it has.
 * Provoked by: the question; its argument at an address where nothing is.
 * Expected: -ENOSYS.
 * Source: arch/x86/mm.c, arch_memory_op().
 */
TEST(memory_map_of_pv_dom0, MEMORY, "a PV dom0 has no map of its memory: ENOSYS",
     .needs = "pv dom0")
{
    static struct e820_entry entry;
    unsigned int count = 1;

    CHECK_ERRNO(memory_map(&entry, &count), ENOSYS);
    CHECK_ERRNO(hypercall_memory_op(XENMEM_memory_map, arch_unmapped_pointer()), EFAULT);
}

/*
 * Background: The table from machine frames to guest frames is for PV guests only.
 * Provoked by: the question where it is, from others.
 * Expected: -ENOSYS. (For PV guests, see arch/x86/cases.)
 * Source: memory.h (XENMEM_machphys_mapping); arch/x86/hvm/hypercall.c, hvm_memory_op().
 */
TEST(memory_machphys_not_for_others, MEMORY,
     "only PV guests have the table of machine frames: ENOSYS",
     .needs = "hvm|arm|ppc")
{
    struct xen_machphys_mapping mapping;

    CHECK_ERRNO(hypercall_memory_op(XENMEM_machphys_mapping, &mapping), ENOSYS);
}

#ifdef XENMEM_get_sharing_shared_pages
/*
 * Background: Pages that are the same may be shared by HVM domains, where Xen was built for that.
 * Provoked by: how many pages that saves, and how many are shared.
 * Expected: none.
 * Source: memory.h (XENMEM_get_sharing_freed_pages); common or x86 mm.c.
 */
TEST(memory_sharing_counts, MEMORY, "no page is shared", .needs = "pv|hvm|arm")
{
    CHECK_EQ(hypercall_memory_op(XENMEM_get_sharing_freed_pages, NULL), 0);
    CHECK_EQ(hypercall_memory_op(XENMEM_get_sharing_shared_pages, NULL), 0);
}
#endif

#ifdef XENMEM_reserved_device_memory_map
/*
 * Background: Some devices use memory at addresses of their own; an IOMMU's tables tell of it.
 * Provoked by: all of it, with room for none and for some; an unknown flag; an argument at no address.
 * Expected: at most as many as Xen says there are; -EINVAL; -EFAULT.
 * Source: memory.h (XENMEM_reserved_device_memory_map); common/memory.c.
 */
TEST(memory_reserved_device_memory_map, MEMORY, "the memory that devices reserve can be asked for",
     .needs = "pv|hvm|arm")
{
    static struct xen_reserved_device_memory found[8];
    struct xen_reserved_device_memory_map map = {.flags = XENMEM_RDM_ALL};

    CHECK_EQ(hypercall_memory_op(XENMEM_reserved_device_memory_map, &map), 0);
    CHECK_EQ(map.nr_entries, 0);
    map.nr_entries = 8;
    handle_set(map.buffer, found);
    CHECK_EQ(hypercall_memory_op(XENMEM_reserved_device_memory_map, &map), 0);
    CHECK_EQ(map.nr_entries, 0);
    map.flags = XENMEM_RDM_ALL << 1;
    CHECK_ERRNO(hypercall_memory_op(XENMEM_reserved_device_memory_map, &map), EINVAL);
    CHECK_ERRNO(hypercall_memory_op(XENMEM_reserved_device_memory_map, arch_unmapped_pointer()), EFAULT);
}
#endif

#ifdef XENMEM_access_op_get_access
static long ask_access(domid_t domain)
{
    struct xen_mem_access_op access = {.op = XENMEM_access_op_get_access, .domid = domain};

    return hypercall_memory_op(XENMEM_access_op, &access);
}

/*
 * Background: Only a monitor may restrict what a guest does with its pages, and not its own.
 * Provoked by: the rights of a page of one's own domain; the same under the name that stands for it elsewhere; of a
 * domain that does not exist; an argument at no address.
 * Expected: -EPERM; -ESRCH; -ESRCH; -EFAULT.
 * Source: memory.h (XENMEM_access_op); common/mem_access.c, mem_access_memop().
 */
TEST(memory_access_refused, MEMORY, "rights of one's own pages are not one's own to ask for: EPERM",
     .needs = "pv|hvm|arm !no-memaccess")
{
    CHECK_ERRNO(ask_access(own_domain()), EPERM);
    CHECK_ERRNO(ask_access(DOMID_SELF), ESRCH);
    CHECK_ERRNO(ask_access(NO_DOMAIN), ESRCH);
    CHECK_ERRNO(hypercall_memory_op(XENMEM_access_op, arch_unmapped_pointer()), EFAULT);
}

/*
 * Background: A domU monitors nobody unless it is told to.
 * Provoked by: the rights of a page of domain 0.
 * Expected: on Arm -EPERM. (On x86 it matters first what kind of domain that is, and of processor.)
 * Source: memory.h (XENMEM_access_op); xsm/dummy.h, xsm_mem_access().
 */
TEST(memory_access_of_another_domain, MEMORY, "rights of dom0's pages are no domU's to ask for: EPERM",
     .needs = "arm domu !no-memaccess")
{
    CHECK_ERRNO(ask_access(0), EPERM);
}
#endif
