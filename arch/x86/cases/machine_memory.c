/*
 * memory_op about the machine's memory on x86: its map, the table of machine frames, and pages exchanged.
 */
#include <hvm/e820.h>
#include <memory.h>
#include <string.h>
#include <sysctl.h>

#include "common.h"
#include "x86.h"

#define RAM 1

static long frames_of_table(unsigned int command, unsigned int room, void *list, unsigned int *count)
{
    struct xen_machphys_mfn_list frames = {.max_extents = room};

    handle_set(frames.extent_start, list);

    long rc = hypercall_memory_op(command, &frames);

    *count = frames.nr_extents;
    return rc;
}

/*
 * Background: A tool that saves PV guests maps the table of machine frames, piece by piece.
 * Provoked by: the frames of the table's pieces; of one of them only; of none; a list at no address.
 * Expected: some; the first; none; -EFAULT. A 32-bit guest is told of the table of such PV guests, if Xen runs them; else
 * it hears -EOPNOTSUPP since 4.15.
 * Source: memory.h (XENMEM_machphys_mfn_list); arch/x86/x86_64/mm.c, subarch_memory_op(), and compat/mm.c.
 */
TEST(machphys_frames, MEMORY, "a guest is told where the table of machine frames lies",
     .needs = "pv|hvm")
{
    static xen_pfn_t frames[64];
    xen_pfn_t first = 0;
    unsigned int count, one, none;
    long rc = frames_of_table(XENMEM_machphys_mfn_list, 64, frames, &count);

    if (ARCH_COMPAT && rc != 0) {
        CHECK_ERRNO(rc, EOPNOTSUPP);
        CHECK(RELEASE_IS_AT_LEAST(4, 15));
        return;
    }
    CHECK_EQ(rc, 0);
    CHECK(count >= 1 && count <= 64);
    CHECK(frames[0] != 0);
    CHECK_EQ(frames_of_table(XENMEM_machphys_mfn_list, 1, &first, &one), 0);
    CHECK_EQ(one, 1);
    CHECK_EQ(first, frames[0]);
    CHECK_EQ(frames_of_table(XENMEM_machphys_mfn_list, 0, &first, &none), 0);
    CHECK_EQ(none, 0);
    CHECK_ERRNO(frames_of_table(XENMEM_machphys_mfn_list, 1, nowhere(), &one), EFAULT);
}

/*
 * Background: 32-bit PV guests have a table of their own, if Xen runs such guests.
 * Provoked by: the frames of that table; none of them; an argument at no address.
 * Expected: some, or -EOPNOTSUPP since 4.15; none, or the same; -EFAULT, or the same.
 * Source: memory.h (XENMEM_machphys_compat_mfn_list); arch/x86/x86_64/mm.c, subarch_memory_op().
 */
TEST(machphys_compat_frames, MEMORY, "the table of 32-bit PV guests, or EOPNOTSUPP",
     .needs = "pv|hvm")
{
    static xen_pfn_t frames[64];
    unsigned int count;
    long rc = frames_of_table(XENMEM_machphys_compat_mfn_list, 64, frames, &count);

    if (rc == 0) {
        CHECK(count <= 64);
        CHECK_EQ(frames_of_table(XENMEM_machphys_compat_mfn_list, 0, frames, &count), 0);
        CHECK_EQ(count, 0);
        CHECK_ERRNO(hypercall_memory_op(XENMEM_machphys_compat_mfn_list, arch_unmapped_pointer()),
                    EFAULT);
    } else {
        CHECK_ERRNO(rc, EOPNOTSUPP);
        CHECK(RELEASE_IS_AT_LEAST(4, 15));
    }
}

struct range {
    uint64_t start, size;
    uint32_t kind;
} __attribute__((packed));

static long machine_map(unsigned int room, void *buffer, unsigned int *count)
{
    struct xen_memory_map map = {.nr_entries = room};

    handle_set(map.buffer, buffer);

    long rc = hypercall_memory_op(XENMEM_machine_memory_map, &map);

    *count = map.nr_entries;
    return rc;
}

static uint64_t pages_of_machine(void)
{
    static struct xen_sysctl request;

    memset(&request, 0, sizeof(request));
    request.cmd = XEN_SYSCTL_physinfo;
    request.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    CHECK_EQ(hypercall_sysctl(&request), 0);
    return request.u.physinfo.total_pages;
}

#if RELEASE_IS_AT_LEAST(4, 19)
#define HAVE_MACHINE_MAP "pv|hvm dom0"
#else
#define HAVE_MACHINE_MAP "pv dom0"
#endif

/*
 * Background: dom0 finds in the machine's memory map where devices can be.
 * Provoked by: the number of entries; the map; room for one; a map at no address.
 * Expected: some; in order and not over each other, with at least the pages that physinfo counts, less a little
 * that Xen keeps out of its count; -EINVAL; -EFAULT.
 * Source: memory.h (XENMEM_machine_memory_map); arch/x86/mm.c, arch_memory_op().
 */
TEST(machine_map, MEMORY, "dom0 is told the memory map of the machine", .needs = HAVE_MACHINE_MAP)
{
    static struct range ranges[128];
    uint64_t ram = 0;
    unsigned int count, again;

    CHECK_EQ(machine_map(0, NULL, &count), 0);
    CHECK(count >= 1 && count < 128);
    CHECK_EQ(machine_map(128, ranges, &again), 0);
    CHECK_EQ(again, count);
    for (unsigned int i = 0; i < count; i++) {
        CHECK(ranges[i].size > 0);
        CHECK(i == 0 || ranges[i].start >= ranges[i - 1].start + ranges[i - 1].size);
        if (ranges[i].kind == RAM)
            ram += ranges[i].size / PAGE_BYTES;
    }
    CHECK(ram >= pages_of_machine());
    CHECK_ERRNO(machine_map(1, ranges, &again), EINVAL);
    CHECK_ERRNO(machine_map(128, nowhere(), &again), EFAULT);
}

/*
 * Background: The machine is the control domain's business.
 * Provoked by: the same from a domU.
 * Expected: -EPERM.
 * Source: xsm/dummy.h, xsm_machine_memory_map().
 */
TEST(pv_machine_map_denied, MEMORY, "a domU is not told the machine's memory map: EPERM",
     .needs = "pv domu")
{
    unsigned int count;

    CHECK_ERRNO(machine_map(0, NULL, &count), EPERM);
}

static long map(const volatile void *page, unsigned long entry)
{
    return arch_hypercall(__HYPERVISOR_update_va_mapping, (unsigned long)page, entry, UVMF_INVLPG, 0,
                          0);
}

static long exchange(xen_pfn_t *in, xen_pfn_t *out, unsigned long *done)
{
    struct xen_memory_exchange exchange = {
        .in = {.nr_extents = 1, .domid = DOMID_SELF},
        .out = {.nr_extents = 1, .domid = DOMID_SELF},
    };

    handle_set(exchange.in.extent_start, in);
    handle_set(exchange.out.extent_start, out);

    long rc = hypercall_memory_op(XENMEM_exchange, &exchange);

    *done = exchange.nr_exchanged;
    return rc;
}

/*
 * Background: A PV guest that needs memory below an address, or in one piece, exchanges pages for such.
 * Provoked by: a page that is mapped; the same page unmapped; the frame that was got mapped; a frame that
 * does not exist.
 * Expected: -EINVAL, none exchanged; one exchanged; it is the guest's, and the count of its pages is
 * the same; -EINVAL.
 * Source: memory.h (XENMEM_exchange); common/memory.c, memory_exchange().
 */
TEST(pv_exchange, MEMORY, "a PV guest exchanges a page for another one", .needs = "pv")
{
    static uint8_t page[PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));
    struct xen_memory_domain self = {.domid = DOMID_SELF};
    unsigned long number = (unsigned long)page / PAGE_BYTES, done;
    xen_pfn_t in = arch_frame(page), out = number;
    long before = hypercall_memory_op(XENMEM_current_reservation, &self);

    CHECK_ERRNO(exchange(&in, &out, &done), EINVAL);
    CHECK_EQ(done, 0);
    CHECK_EQ(map(page, 0), 0);
    out = number;
    CHECK_EQ(exchange(&in, &out, &done), 0);
    CHECK_EQ(done, 1);
    CHECK_EQ(map(page, out * PAGE_BYTES | PTE_DATA), 0);
    ((unsigned long *)boot_info.start_info->mfn_list)[number] = out;
    memset(page, 0x5a, sizeof(page));
    CHECK_EQ(*(volatile uint8_t *)(page + PAGE_BYTES - 1), 0x5a);
    CHECK_EQ(hypercall_memory_op(XENMEM_current_reservation, &self), before);
    in = ~0ul >> 28;
    CHECK_ERRNO(exchange(&in, &out, &done), EINVAL);
}
