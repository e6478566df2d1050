/*
 * How a guest on x86 knows Xen: leaves of CPUID that no processor has, and the MSR that one of them names.
 */
#include <arch-x86/cpuid.h>
#include <fault.h>
#include <string.h>
#include <version.h>

#include "common.h"
#include "instructions.h"
#include "x86.h"

/* An index behind that of the hypercall page in Xen's range of MSRs. */
#define NO_MSR 0x50
#define NOWHERE 0xffffff000ull         /* no guest here has so much memory */

static bool is_pv(void)
{
    return strcmp(boot_info.guest, "pv") == 0;
}

/* A PV guest's CPUID is the processor's own, unless Xen is asked to emulate it. */
static struct cpuid emulated(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid r;

    __asm__ volatile(XEN_CPUID
                     : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d)
                     : "0"(leaf), "2"(subleaf));
    return r;
}

/* One of Xen's leaves, counted from its first. */
static struct cpuid xen_leaf(uint32_t index, uint32_t subleaf)
{
    uint32_t leaf = XEN_CPUID_LEAF(index);

    return is_pv() ? emulated(leaf, subleaf) : cpuid_sub(leaf, subleaf);
}

static void check_empty(struct cpuid leaf)
{
    CHECK_EQ(leaf.a, 0);
    CHECK_EQ(leaf.b, 0);
    CHECK_EQ(leaf.c, 0);
    CHECK_EQ(leaf.d, 0);
}

/*
 * Background: A kernel looks here first, before it makes any hypercall.
 * Provoked by: Xen's first leaf, and the one behind the last that it tells of.
 * Expected: the signature, and three leaves more at least; nothing.
 * Source: arch-x86/cpuid.h; arch/x86/traps.c, cpuid_hypervisor_leaves().
 */
TEST(leaves_signature, IDENTIFY, "CPUID tells that the hypervisor is Xen", .needs = "pv|hvm")
{
    struct cpuid first = xen_leaf(0, 0);
    uint32_t last = first.a - XEN_CPUID_FIRST_LEAF;

    CHECK_EQ(first.b, XEN_CPUID_SIGNATURE_EBX);
    CHECK_EQ(first.c, XEN_CPUID_SIGNATURE_ECX);
    CHECK_EQ(first.d, XEN_CPUID_SIGNATURE_EDX);
    CHECK(last >= 3);
    CHECK(last <= XEN_CPUID_MAX_NUM_LEAVES);
    check_empty(xen_leaf(last + 1, 0));
}

/*
 * Background: The version is there before a hypercall can be made.
 * Provoked by: leaf 1.
 * Expected: what XENVER_version returns.
 * Source: arch-x86/cpuid.h; arch/x86/traps.c, cpuid_hypervisor_leaves().
 */
TEST(leaves_version, IDENTIFY, "CPUID tells Xen's version", .needs = "pv|hvm")
{
    struct cpuid leaf = xen_leaf(1, 0);

    CHECK_EQ(leaf.a, hypercall_xen_version(XENVER_version, NULL));
    leaf.a = 0;
    check_empty(leaf);
}

/*
 * Background: PV guests are promised that mmu_update can leave bits of an entry alone that the processor
 * sets meanwhile.
 * Provoked by: leaf 2.
 * Expected: one page, an MSR of Xen's, and the promise to PV guests alone.
 * Source: arch-x86/cpuid.h; arch/x86/traps.c, cpuid_hypervisor_leaves().
 */
TEST(leaves_hypercall_page, IDENTIFY, "CPUID tells how a guest gets its hypercall page",
     .needs = "pv|hvm")
{
    struct cpuid leaf = xen_leaf(2, 0);

    CHECK_EQ(leaf.a, 1);
    CHECK_EQ(leaf.b & ~0xffffu, XEN_CPUID_FIRST_LEAF);
    CHECK_EQ(leaf.c, is_pv() ? XEN_CPUID_FEAT1_MMU_PT_UPDATE_PRESERVE_AD : 0);
    CHECK_EQ(leaf.d, 0);
}

/* Whether the two are the same, but for a 16th: one is measured, the other calculated from that. */
static bool is_about(uint64_t a, uint64_t b)
{
    uint64_t difference = a > b ? a - b : b - a;

    return difference < b / 16;
}

/* The kHz of a counter whose ticks are nanoseconds when they are shifted and multiplied so. */
static uint64_t frequency(uint32_t multiplier, int8_t shift)
{
    uint64_t khz = (1000000ull << 32) / multiplier;

    return shift < 0 ? khz << -shift : khz >> shift;
}

/*
 * Background: The counter's frequency is told twice, here and beside the system time. A PV dom0's counter is no
 * business of Xen's.
 * Provoked by: leaf 3 and its sub-leaves.
 * Expected: a mode, a frequency, factors that belong to it, the processor's own frequency, and no more; all
 * about as in vcpu_time_info.
 * Source: arch-x86/cpuid.h; arch/x86/traps.c, cpuid_hypervisor_leaves(); arch/x86/time.c, tsc_set_info().
 */
TEST(leaves_time, TIME, "CPUID tells how fast the counter is", .needs = "hvm|domu")
{
    struct cpuid counter = xen_leaf(3, 0), factors = xen_leaf(3, 1), processor = xen_leaf(3, 2);
    const struct vcpu_time_info *time = &boot_info.vcpu_info->time;
    uint64_t told = frequency(time->tsc_to_system_mul, time->tsc_shift);

    CHECK(counter.b <= 3);
    CHECK(is_about(counter.c, told));
    CHECK(factors.c != 0);
    CHECK(is_about(frequency(factors.c, (int8_t)factors.d), counter.c));
    CHECK(is_about(processor.a, told));
    processor.a = 0;
    check_empty(processor);
    check_empty(xen_leaf(3, 3));
}

/*
 * Background: An HVM guest can do some things only if it knows how Xen does them.
 * Provoked by: leaf 4 and a sub-leaf that it has not.
 * Expected: the vcpu's number, and the domain's; nothing.
 * Source: arch-x86/cpuid.h; arch/x86/traps.c, cpuid_hypervisor_leaves().
 */
TEST(leaves_hvm, IDENTIFY, "CPUID tells an HVM guest who it is", .needs = "hvm")
{
    const uint32_t promised =
        XEN_HVM_CPUID_IOMMU_MAPPINGS | XEN_HVM_CPUID_VCPU_ID_PRESENT | XEN_HVM_CPUID_DOMID_PRESENT;
    struct cpuid leaf = xen_leaf(4, 0);
    struct xen_feature_info features = {.submap_idx = 0};

    CHECK_EQ(hypercall_xen_version(XENVER_get_features, &features), 0);
    CHECK_EQ(leaf.a & promised, promised);
    CHECK_EQ(leaf.b, 0);
    CHECK_EQ(leaf.c == 0, features.submap >> XENFEAT_dom0 & 1);
    CHECK_EQ(leaf.d, 0);
    check_empty(xen_leaf(4, 1));
    check_empty(xen_leaf(5, 0));
}

/*
 * Background: A PV guest's page tables have the machine's addresses.
 * Provoked by: leaf 5, a sub-leaf that it has not, and the leaf of HVM guests.
 * Expected: the width of an address, below that of the field in an entry; nothing.
 * Source: arch-x86/cpuid.h; arch/x86/traps.c, cpuid_hypervisor_leaves().
 */
TEST(leaves_pv, IDENTIFY, "CPUID tells a PV guest how wide the machine's addresses are",
     .needs = "pv")
{
    struct cpuid leaf = xen_leaf(5, 0);
    uint32_t width = leaf.b & XEN_CPUID_MACHINE_ADDRESS_WIDTH_MASK;

    CHECK(width > 12);
    CHECK(width <= 52);
    CHECK(arch_frame(hypercall_page) >> (width - 12) == 0);
    leaf.b = 0;
    check_empty(leaf);
    check_empty(xen_leaf(5, 1));
    check_empty(xen_leaf(4, 0));
}

static uint32_t hypercall_msr(void)
{
    return xen_leaf(2, 0).b;
}

/*
 * Background: Any page of its memory can become a guest's hypercall page, at any time.
 * Provoked by: the MSR, read, and written with the address of a page full of something else.
 * Expected: 0; the page becomes like the one that the kernel got at its start.
 * Source: arch/x86/traps.c, guest_rdmsr_xen(), guest_wrmsr_xen().
 */
TEST(hypercall_page_filled, ENTER, "an MSR fills a page with hypercalls", .needs = "pv|hvm")
{
    static char page[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));

    memset(page, 0x5a, sizeof(page));
    CHECK_EQ(read_msr(hypercall_msr()), 0);
    write_msr(hypercall_msr(), (uint64_t)arch_frame(page) * PAGE_SIZE);
    CHECK(memcmp(page, hypercall_page, sizeof(page)) == 0);
}

struct write {
    uint32_t msr;
    uint64_t value;
};

static void do_write(void *argument)
{
    const struct write *write = argument;

    write_msr(write->msr, write->value);
}

static void do_read(void *msr)
{
    read_msr(*(uint32_t *)msr);
}

static void check_refused(struct write write)
{
    struct fault fault;

    CHECK(fault_expected(do_write, &write, &fault));
    CHECK_EQ(strcmp(fault.text, "#GP"), 0);
}

/*
 * Background: There is one hypercall page, so that its number in the low bits is 0.
 * Provoked by: the MSR with another number, and with an address where no memory is; an MSR of Xen's
 * range that is none, written and read.
 * Expected: a general protection fault each time.
 * Source: arch/x86/traps.c, guest_rdmsr_xen(), guest_wrmsr_xen().
 */
TEST(hypercall_page_refused, ENTER, "the hypercall page must be memory, and its number 0: #GP",
     .needs = "pv|hvm")
{
    static char page[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
    uint32_t msr = hypercall_msr(), none = msr + NO_MSR;
    struct fault fault;

    check_refused((struct write){msr, (uint64_t)arch_frame(page) * PAGE_SIZE + 1});
    check_refused((struct write){msr, NOWHERE});
    check_refused((struct write){none, (uint64_t)arch_frame(page) * PAGE_SIZE});
    CHECK(fault_expected(do_read, &none, &fault));
    CHECK_EQ(strcmp(fault.text, "#GP"), 0);
    CHECK_EQ(page[0], 0);
}
