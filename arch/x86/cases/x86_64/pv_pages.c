/*
 * Rung "memory" of PV guests on x86: machine frames, page tables that Xen guards, pages given back
 * and got.
 */
#include <fault.h>
#include <memory.h>
#include <string.h>

#include "../physdev_request.h"

typedef uint8_t page_t[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));

#define PTE_READ_ONLY (PTE_DATA & ~0x2ul)
#define FRAME_OF_ENTRY(entry) (((entry) & 0x000ffffffffff000ul) / PAGE_SIZE)

/* No machine has so much memory. */
#define NO_FRAME (~0ul >> 28)

static long update(const volatile void *page, unsigned long entry)
{
    return arch_hypercall(__HYPERVISOR_update_va_mapping, (unsigned long)page, entry, UVMF_INVLPG,
                          0, 0);
}

static long map(const volatile void *page, unsigned long frame, unsigned long flags)
{
    return update(page, frame * PAGE_SIZE | flags);
}

/* The number by which the guest counts its pages, in which its own memory has no holes. */
static unsigned long pfn_of(const volatile void *page)
{
    return (unsigned long)page / PAGE_SIZE;
}

static const unsigned long *machphys_table(void)
{
    struct xen_machphys_mapping mapping;

    CHECK_EQ(hypercall_memory_op(XENMEM_machphys_mapping, &mapping), 0);
    return (const unsigned long *)mapping.v_start;
}

/*
 * Background: A PV guest finds machine frames in page tables, and finds out which of its pages they
 * are in a table that Xen maps for all guests to read.
 * Provoked by: the question where it is; the entry of a page of the kernel; an answer to no
 * address.
 * Expected: a table of whole pages, not empty; the page's own number; -EFAULT.
 * Source: memory.h (XENMEM_machphys_mapping); arch/x86/mm.c, arch_memory_op().
 */
TEST(pv_machphys, MEMORY, "the table of machine frames names the pages of the guest",
     .needs = "pv")
{
    static page_t page;
    struct xen_machphys_mapping mapping;

    CHECK_EQ(hypercall_memory_op(XENMEM_machphys_mapping, &mapping), 0);
    CHECK(mapping.v_start < mapping.v_end);
    CHECK_EQ((mapping.v_start | mapping.v_end) % PAGE_SIZE, 0);
    CHECK(mapping.max_mfn >= arch_frame(page));
    CHECK_EQ(machphys_table()[arch_frame(page)], pfn_of(page));
    CHECK_ERRNO(hypercall_memory_op(XENMEM_machphys_mapping, arch_unmapped_pointer()), EFAULT);
}

/*
 * Background: A PV guest says itself in shared_info where its pages end; Xen can only repeat that.
 * Provoked by: a number there.
 * Expected: one less.
 * Source: arch-x86/xen.h (arch_shared_info.max_pfn); arch/x86/mm.c, domain_get_maximum_gpfn().
 */
TEST(pv_maximum_gpfn, MEMORY, "the largest frame of a PV guest is what the guest says",
     .needs = "pv")
{
    struct xen_memory_domain self = {.domid = DOMID_SELF};
    volatile unsigned long *max_pfn = &boot_info.shared_info->arch.max_pfn;
    unsigned long before = *max_pfn;

    *max_pfn = 12345;
    long rc = hypercall_memory_op(XENMEM_maximum_gpfn, &self);
    *max_pfn = before;
    CHECK_EQ(rc, 12344);
}

/*
 * Background: A PV guest changes its page tables by asking Xen to.
 * Provoked by: a page made to show another one, made read-only, taken away, and put back.
 * Expected: the other page's contents; reads that work and writes that fault; faults; the old
 * contents.
 * Source: xen.h (__HYPERVISOR_update_va_mapping); arch/x86/mm.c, do_update_va_mapping().
 */
TEST(pv_update_va_mapping, MEMORY, "a mapping can be changed, made read-only and taken away",
     .needs = "pv")
{
    static page_t page, other;
    volatile uint32_t *word = (volatile uint32_t *)page;
    unsigned long frame = arch_frame(page);

    *word = 1;
    *(volatile uint32_t *)other = 2;
    CHECK_EQ(map(page, arch_frame(other), PTE_DATA), 0);
    CHECK_EQ(*word, 2);

    CHECK_EQ(map(page, frame, PTE_READ_ONLY), 0);
    CHECK(fault_read(word, NULL));
    CHECK(!fault_write(word, 3));

    CHECK_EQ(update(page, 0), 0);
    CHECK(!fault_read(word, NULL));

    CHECK_EQ(map(page, frame, PTE_DATA), 0);
    CHECK_EQ(*word, 1);
    CHECK(fault_write(word, 3));
}

/*
 * Background: Xen checks every entry: a guest that could write to a page table could map anything.
 * Provoked by: an address that no page table is for; a page table mapped writable.
 * Expected: -EINVAL; -EBUSY; and the mapping is as before.
 * Source: arch/x86/mm.c, do_update_va_mapping(), get_page_from_l1e().
 */
TEST(pv_update_va_mapping_refused, MEMORY,
     "a mapping that would be a danger is refused: EINVAL, EBUSY",
     .needs = "pv")
{
    static page_t page;
    volatile uint32_t *word = (volatile uint32_t *)page;
    const void *page_table = (const void *)boot_info.start_info->pt_base;

    *word = 1;
    CHECK_ERRNO(update((const void *)0x700000000000, 0), EINVAL);
    CHECK_ERRNO(map(page, arch_frame(page_table), PTE_DATA), EBUSY);
    CHECK_EQ(*word, 1);
    CHECK(fault_write(word, 2));
}

static long update_for(const volatile void *page, unsigned long frame, domid_t owner)
{
    return arch_hypercall(__HYPERVISOR_update_va_mapping_otherdomain, (unsigned long)page,
                          frame * PAGE_SIZE | PTE_DATA, UVMF_INVLPG, owner, 0);
}

/*
 * Background: The same command for frames of another domain.
 * Provoked by: DOMID_SELF; a domain that does not exist; the domain itself, by its number.
 * Expected: 0; -ESRCH; -ESRCH.
 * Source: xen.h (__HYPERVISOR_update_va_mapping_otherdomain); arch/x86/mm.c, get_pg_owner().
 */
TEST(pv_update_va_mapping_otherdomain, MEMORY, "a frame of no other domain is refused: ESRCH",
     .needs = "pv")
{
    static page_t page;
    unsigned long frame = arch_frame(page);

    CHECK_EQ(update_for(page, frame, DOMID_SELF), 0);
    CHECK_ERRNO(update_for(page, frame, NO_DOMAIN), ESRCH);
    CHECK_ERRNO(update_for(page, frame, own_domain()), ESRCH);
}

/* The entry of the lowest page table that maps an address. */
static const unsigned long *entry_of(const volatile void *address)
{
    const unsigned long *machphys = machphys_table();
    const unsigned long *table = (const unsigned long *)boot_info.start_info->pt_base;

    for (unsigned int shift = 39; shift > 12; shift -= 9) {
        unsigned long entry = table[(unsigned long)address >> shift & 511];

        CHECK(entry & 1);
        table = (const unsigned long *)(machphys[FRAME_OF_ENTRY(entry)] * PAGE_SIZE);
    }
    return &table[(unsigned long)address >> 12 & 511];
}

static unsigned long machine_address(const volatile void *address)
{
    return arch_frame(address) * PAGE_SIZE + (unsigned long)address % PAGE_SIZE;
}

static long mmu_update(unsigned long pointer, unsigned long value, unsigned int owner)
{
    struct mmu_update request = {.ptr = pointer, .val = value};
    unsigned int done = 99;
    long rc = arch_hypercall(__HYPERVISOR_mmu_update, arch_guest_address(&request), 1,
                             arch_guest_address(&done), owner, 0);

    if (rc == 0)
        CHECK_EQ(done, 1);
    return rc;
}

static long flush(const volatile void *page)
{
    struct mmuext_op op = {.cmd = MMUEXT_INVLPG_LOCAL, .arg1.linear_addr = (unsigned long)page};

    return arch_hypercall(__HYPERVISOR_mmuext_op, arch_guest_address(&op), 1, 0, DOMID_SELF, 0);
}

/*
 * Background: The general form: a list of entries, by the machine address of each.
 * Provoked by: the entry of a page changed to another frame and back; an entry of the table of
 * machine frames written with what it holds; a page table mapped writable; a domain that does not
 * exist; a list at no address.
 * Expected: the contents of the other page; 0 with one entry done each; -EBUSY; -ESRCH; -EFAULT.
 * Source: xen.h (MMU_NORMAL_PT_UPDATE, MMU_MACHPHYS_UPDATE); arch/x86/mm.c, do_mmu_update().
 */
TEST(pv_mmu_update, MEMORY, "entries of page tables are written by their machine address",
     .needs = "pv")
{
    static page_t page, other;
    volatile uint32_t *word = (volatile uint32_t *)page;
    unsigned long frame = arch_frame(page), old = frame * PAGE_SIZE | PTE_DATA;
    unsigned long pointer = machine_address(entry_of(page)) | MMU_NORMAL_PT_UPDATE;
    const void *page_table = (const void *)boot_info.start_info->pt_base;

    *word = 1;
    *(volatile uint32_t *)other = 2;
    CHECK_EQ(mmu_update(pointer, arch_frame(other) * PAGE_SIZE | PTE_DATA, DOMID_SELF), 0);
    CHECK_EQ(flush(page), 0);
    CHECK_EQ(*word, 2);
    CHECK_EQ(mmu_update(pointer, old, DOMID_SELF), 0);
    CHECK_EQ(flush(page), 0);
    CHECK_EQ(*word, 1);

    CHECK_EQ(mmu_update(frame * PAGE_SIZE | MMU_MACHPHYS_UPDATE, pfn_of(page), DOMID_SELF), 0);
    CHECK_EQ(machphys_table()[frame], pfn_of(page));

    CHECK_ERRNO(mmu_update(pointer, arch_frame(page_table) * PAGE_SIZE | PTE_DATA, DOMID_SELF),
                EBUSY);
    CHECK_ERRNO(mmu_update(pointer, old, NO_DOMAIN), ESRCH);
    CHECK_ERRNO(arch_hypercall(__HYPERVISOR_mmu_update, arch_guest_address(arch_unmapped_pointer()),
                               1, 0, DOMID_SELF, 0),
                EFAULT);
    CHECK_EQ(*word, 1);
}

static long mmuext(unsigned int command, unsigned long first, unsigned long second)
{
    struct mmuext_op op = {.cmd = command, .arg1.mfn = first, .arg2.src_mfn = second};
    unsigned int done = 99;
    long rc = arch_hypercall(__HYPERVISOR_mmuext_op, arch_guest_address(&op), 1,
                             arch_guest_address(&done), DOMID_SELF, 0);

    CHECK_EQ(done, rc == 0 ? 1 : 0);
    return rc;
}

/*
 * Background: A page that is pinned stays a page table, checked once, whether or not it is in use.
 * Provoked by: an empty page pinned as a table of each level, pinned again, unpinned, unpinned
 * again; a page that is mapped writable, and a frame that the guest does not have, pinned.
 * Expected: 0, -EINVAL, 0, -EINVAL for each level; an error for the last two.
 * Source: xen.h (MMUEXT_PIN_L1_TABLE, ... MMUEXT_UNPIN_TABLE); arch/x86/mm.c, do_mmuext_op().
 */
TEST(pv_pin_tables, MEMORY, "page tables can be pinned and unpinned, once each", .needs = "pv")
{
    static page_t page;
    unsigned long frame = arch_frame(page);

    CHECK_ERRNO(mmuext(MMUEXT_PIN_L1_TABLE, frame, 0), EINVAL);
    for (unsigned int command = MMUEXT_PIN_L1_TABLE; command <= MMUEXT_PIN_L4_TABLE; command++) {
        memset(page, 0, sizeof(page));
        CHECK_EQ(map(page, frame, PTE_READ_ONLY), 0);
        CHECK_EQ(mmuext(command, frame, 0), 0);
        CHECK_ERRNO(mmuext(command, frame, 0), EINVAL);
        CHECK_EQ(mmuext(MMUEXT_UNPIN_TABLE, frame, 0), 0);
        CHECK_ERRNO(mmuext(MMUEXT_UNPIN_TABLE, frame, 0), EINVAL);
        CHECK_ERRNO(mmuext(command, NO_FRAME, 0), EINVAL);
        CHECK_EQ(map(page, frame, PTE_DATA), 0);
    }
    CHECK_ERRNO(mmuext(MMUEXT_UNPIN_TABLE, NO_FRAME, 0), EINVAL);
}

/*
 * Background: Xen writes to the page that says which interrupts must be ended by hypercall, as a guest could.
 * Provoked by: a page table as that page, by both commands; an ordinary page is next to it.
 * Expected: -EINVAL.
 * Source: physdev.h (PHYSDEVOP_pirq_eoi_gmfn_v2); arch/x86/physdev.c, do_physdev_op().
 */
TEST(pv_pirq_eoi_table, MEMORY, "a page table does not become a page that Xen writes to: EINVAL",
     .needs = "pv")
{
    static page_t pages[2];
    unsigned long frame = arch_frame(pages[0]);
    struct physdev_pirq_eoi_gmfn eoi = {.gmfn = frame};

    CHECK_EQ(map(pages[0], frame, PTE_READ_ONLY), 0);
    CHECK_EQ(mmuext(MMUEXT_PIN_L1_TABLE, frame, 0), 0);
    CHECK_ERRNO(physdev_op(PHYSDEVOP_pirq_eoi_gmfn_v1, &eoi), EINVAL);
    CHECK_ERRNO(physdev_op(PHYSDEVOP_pirq_eoi_gmfn_v2, &eoi), EINVAL);
    CHECK_EQ(mmuext(MMUEXT_UNPIN_TABLE, frame, 0), 0);
    CHECK_EQ(map(pages[0], frame, PTE_DATA), 0);
}

/*
 * Background: A PV guest switches address spaces by naming a page table of the highest level.
 * Provoked by: the tables in use chosen again; no tables for user mode; an ordinary page for
 * either.
 * Expected: 0; 0; -EINVAL.
 * Source: xen.h (MMUEXT_NEW_BASEPTR, MMUEXT_NEW_USER_BASEPTR); arch/x86/mm.c, new_guest_cr3().
 */
TEST(pv_base_pointers, MEMORY, "only page tables can become the ones in use: EINVAL", .needs = "pv")
{
    static page_t page;
    const void *table = (const void *)boot_info.start_info->pt_base;

    page[0] = 1;
    CHECK_EQ(mmuext(MMUEXT_NEW_BASEPTR, arch_frame(table), 0), 0);
    CHECK_ERRNO(mmuext(MMUEXT_NEW_BASEPTR, arch_frame(page), 0), EINVAL);
    CHECK_EQ(mmuext(MMUEXT_NEW_USER_BASEPTR, 0, 0), 0);
    CHECK_ERRNO(mmuext(MMUEXT_NEW_USER_BASEPTR, arch_frame(page), 0), EINVAL);
    CHECK_EQ(page[0], 1);
}

/*
 * Background: What flushes do cannot be seen from inside, only that they are taken.
 * Provoked by: each of them, those for several vcpus with a mask of vcpu 0 and with no mask.
 * Expected: 0; -EINVAL without a mask.
 * Source: xen.h (MMUEXT_TLB_FLUSH_LOCAL, ... MMUEXT_INVLPG_ALL); arch/x86/mm.c, do_mmuext_op().
 */
TEST(pv_flushes, MEMORY, "all kinds of flushes of translations are taken", .needs = "pv")
{
    static page_t page;
    unsigned long vcpus = 1, address = (unsigned long)page;
    unsigned long mask = arch_guest_address(&vcpus);
    unsigned long nowhere = arch_guest_address(arch_unmapped_pointer());

    CHECK_EQ(mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0), 0);
    CHECK_EQ(mmuext(MMUEXT_INVLPG_LOCAL, address, 0), 0);
    CHECK_EQ(mmuext(MMUEXT_TLB_FLUSH_ALL, 0, 0), 0);
    CHECK_EQ(mmuext(MMUEXT_INVLPG_ALL, address, 0), 0);
    CHECK_EQ(mmuext(MMUEXT_TLB_FLUSH_MULTI, 0, mask), 0);
    CHECK_EQ(mmuext(MMUEXT_INVLPG_MULTI, address, mask), 0);
    CHECK_ERRNO(mmuext(MMUEXT_TLB_FLUSH_MULTI, 0, nowhere), EINVAL);
    CHECK_ERRNO(mmuext(MMUEXT_INVLPG_MULTI, address, nowhere), EINVAL);
}

/*
 * Background: What stands in caches concerns only who has devices.
 * Provoked by: dom0 empties the caches of its processor, and of all.
 * Expected: 0.
 * Source: xen.h (MMUEXT_FLUSH_CACHE, MMUEXT_FLUSH_CACHE_GLOBAL); arch/x86/mm.c, do_mmuext_op().
 */
TEST(pv_cache_flushes, MEMORY, "dom0 empties caches", .needs = "pv dom0")
{
    CHECK_EQ(mmuext(MMUEXT_FLUSH_CACHE, 0, 0), 0);
    CHECK_EQ(mmuext(MMUEXT_FLUSH_CACHE_GLOBAL, 0, 0), 0);
}

/*
 * Background: A domain without devices could only slow others down with it.
 * Provoked by: a domU empties the caches of its processor, and of all.
 * Expected: -EACCES; -EINVAL, since 4.20 -EACCES too.
 * Source: xen.h (MMUEXT_FLUSH_CACHE, MMUEXT_FLUSH_CACHE_GLOBAL); arch/x86/mm.c, do_mmuext_op().
 */
TEST(pv_cache_flushes_denied, MEMORY, "a domU without devices does not empty caches: EACCES",
     .needs = "pv domu")
{
    CHECK_ERRNO(mmuext(MMUEXT_FLUSH_CACHE, 0, 0), EACCES);
    if (RELEASE_IS_AT_LEAST(4, 20))
        CHECK_ERRNO(mmuext(MMUEXT_FLUSH_CACHE_GLOBAL, 0, 0), EACCES);
    else
        CHECK_ERRNO(mmuext(MMUEXT_FLUSH_CACHE_GLOBAL, 0, 0), EINVAL);
}

/*
 * Background: A page can be cleared or copied without being mapped.
 * Provoked by: one page copied over another, then cleared; frames that the guest does not have; a
 * page table as the target.
 * Expected: the contents; zeroes; -EINVAL.
 * Source: xen.h (MMUEXT_CLEAR_PAGE, MMUEXT_COPY_PAGE); arch/x86/mm.c, do_mmuext_op().
 */
TEST(pv_clear_and_copy, MEMORY, "pages are copied and cleared by their frames", .needs = "pv")
{
    static page_t from, to;
    unsigned long table = arch_frame((const void *)boot_info.start_info->pt_base);

    for (unsigned int i = 0; i < PAGE_SIZE; i++)
        from[i] = (uint8_t)(i ^ i >> 8);
    CHECK_EQ(mmuext(MMUEXT_COPY_PAGE, arch_frame(to), arch_frame(from)), 0);
    __asm__ volatile("" : : : "memory");
    CHECK_EQ(memcmp(to, from, PAGE_SIZE), 0);

    CHECK_EQ(mmuext(MMUEXT_CLEAR_PAGE, arch_frame(to), 0), 0);
    __asm__ volatile("" : : : "memory");
    for (unsigned int i = 0; i < PAGE_SIZE; i++)
        CHECK_EQ(to[i], 0);

    CHECK_ERRNO(mmuext(MMUEXT_CLEAR_PAGE, NO_FRAME, 0), EINVAL);
    CHECK_ERRNO(mmuext(MMUEXT_COPY_PAGE, NO_FRAME, arch_frame(from)), EINVAL);
    CHECK_ERRNO(mmuext(MMUEXT_COPY_PAGE, arch_frame(to), NO_FRAME), EINVAL);
    CHECK_ERRNO(mmuext(MMUEXT_CLEAR_PAGE, table, 0), EINVAL);
    CHECK_ERRNO(mmuext(MMUEXT_COPY_PAGE, table, arch_frame(from)), EINVAL);
}

/*
 * Background: A local descriptor table is named by its virtual address.
 * Provoked by: a local descriptor table of a page, none, one that is not aligned, one that is too
 * long.
 * Expected: 0; 0; -EINVAL; -EINVAL.
 * Source: xen.h (MMUEXT_SET_LDT); arch/x86/mm.c, do_mmuext_op().
 */
TEST(pv_set_ldt, MEMORY, "a local descriptor table is aligned and has 8192 entries at most: EINVAL",
     .needs = "pv")
{
    static page_t page;
    unsigned long address = (unsigned long)page;

    CHECK_EQ(mmuext(MMUEXT_SET_LDT, address, 1), 0);
    CHECK_EQ(mmuext(MMUEXT_SET_LDT, 0, 0), 0);
    CHECK_ERRNO(mmuext(MMUEXT_SET_LDT, address + 8, 1), EINVAL);
    CHECK_ERRNO(mmuext(MMUEXT_SET_LDT, address, 8193), EINVAL);
}

/*
 * Background: A caller finds out what a release has by trying, so what is not there must be refused
 * in a way it knows.
 * Provoked by: commands that were given up, one that never was; a domain that does not exist; the
 * domain itself by its number; a list at no address.
 * Expected: -EOPNOTSUPP; -ENOSYS; -ESRCH; -ESRCH; -EFAULT.
 * Source: xen.h (MMUEXT_*); arch/x86/mm.c, do_mmuext_op().
 */
TEST(pv_mmuext_refused, MEMORY, "mmuext_op commands that cannot be are refused", .needs = "pv")
{
    struct mmuext_op flush = {.cmd = MMUEXT_TLB_FLUSH_LOCAL};
    unsigned long op = arch_guest_address(&flush);
    unsigned long nowhere = arch_guest_address(arch_unmapped_pointer());

    CHECK_ERRNO(mmuext(MMUEXT_MARK_SUPER, 0, 0), EOPNOTSUPP);
    CHECK_ERRNO(mmuext(MMUEXT_UNMARK_SUPER, 0, 0), EOPNOTSUPP);
    CHECK_ERRNO(mmuext(NO_COMMAND, 0, 0), ENOSYS);
    CHECK_ERRNO(arch_hypercall(__HYPERVISOR_mmuext_op, op, 1, 0, NO_DOMAIN, 0), ESRCH);
    CHECK_ERRNO(arch_hypercall(__HYPERVISOR_mmuext_op, op, 1, 0, own_domain(), 0), ESRCH);
    CHECK_ERRNO(arch_hypercall(__HYPERVISOR_mmuext_op, nowhere, 1, 0, DOMID_SELF, 0), EFAULT);
}

static long reservation(unsigned int command, xen_pfn_t *frame)
{
    struct xen_memory_reservation reservation = {.nr_extents = 1, .domid = DOMID_SELF};

    handle_set(reservation.extent_start, frame);
    return hypercall_memory_op(command, &reservation);
}

static long current_reservation(void)
{
    struct xen_memory_domain self = {.domid = DOMID_SELF};

    return hypercall_memory_op(XENMEM_current_reservation, &self);
}

/*
 * Background: A PV guest gives back a machine frame, which it must not map any more, and is told
 * the frame that it gets instead.
 * Provoked by: a page unmapped and given back; given back again; another frame got for it, and
 * mapped.
 * Expected: one extent done; none; one; the count goes down and up; the page can be used, and the
 * table of machine frames names it.
 * Source: memory.h (XENMEM_decrease_reservation, XENMEM_populate_physmap); common/memory.c.
 */
TEST(pv_give_back_and_get, MEMORY, "a PV guest gives a page back, and gets another for it",
     .needs = "pv")
{
    static page_t page;
    xen_pfn_t frame = arch_frame(page);
    long before = current_reservation();

    CHECK_EQ(update(page, 0), 0);
    CHECK_EQ(reservation(XENMEM_decrease_reservation, &frame), 1);
    CHECK_EQ(current_reservation(), before - 1);
    CHECK_EQ(reservation(XENMEM_decrease_reservation, &frame), 0);

    frame = pfn_of(page);
    CHECK_EQ(reservation(XENMEM_populate_physmap, &frame), 1);
    CHECK_EQ(current_reservation(), before);
    CHECK_EQ(machphys_table()[frame], pfn_of(page));
    CHECK_EQ(map(page, frame, PTE_DATA), 0);
    ((unsigned long *)boot_info.start_info->mfn_list)[pfn_of(page)] = frame;
    memset(page, 0x5a, sizeof(page));
    CHECK_EQ(*(volatile uint8_t *)(page + PAGE_SIZE - 1), 0x5a);
}

/*
 * Background: A PV guest can also get frames without saying for which of its pages.
 * Provoked by: a frame got and given back.
 * Expected: one extent done each time, with the number of the frame, and the count goes up and
 * down.
 * Source: memory.h (XENMEM_increase_reservation); common/memory.c, increase_reservation().
 */
TEST(pv_increase_reservation, MEMORY, "a PV guest gets a frame and gives it back", .needs = "pv")
{
    xen_pfn_t frame = 0;
    long before = current_reservation();

    CHECK_EQ(reservation(XENMEM_increase_reservation, &frame), 1);
    CHECK(frame != 0);
    CHECK_EQ(current_reservation(), before + 1);
    CHECK_EQ(reservation(XENMEM_decrease_reservation, &frame), 1);
    CHECK_EQ(current_reservation(), before);
}
