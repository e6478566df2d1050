/*
 * domctl on x86: PV domains, and registers that both kinds have: time stamp counter, XSAVE, MSRs, CPUID.
 */
#include <domctl.h>
#include <string.h>
#include <version.h>

#include "children.h"

#define ROOT 0                     /* which of the pages is the page table of the highest level */

/* Xen was built to run 32-bit PV guests. */
static bool runs_32bit_pv(void)
{
    static char text[1024];
    const char *word = "xen-3.0-x86_32p";

    CHECK(hypercall_xen_version(XENVER_capabilities, text) >= 0);
    for (const char *at = text; *at; at++)
        if (memcmp(at, word, strlen(word)) == 0)
            return true;
    return false;
}

static long set_width(uint32_t bits)
{
    struct xen_domctl *request = domctl_request(XEN_DOMCTL_set_address_size, CHILD);

    request->u.address_size.size = bits;
    return hypercall_domctl(request);
}

/*
 * Background: A PV domain is a 64-bit one; some builds of Xen can make it a 32-bit one.
 * Provoked by: the width of a PV domain; the same set; another; a width that no processor has; an HVM domain.
 * Expected: 64; 0; -EOPNOTSUPP where Xen runs none, else -EACCES, since it has memory; -EINVAL;
 * -EOPNOTSUPP.
 * Source: domctl.h (XEN_DOMCTL_set_address_size); arch/x86/domctl.c; arch/x86/pv/domain.c, switch_compat().
 */
TEST(domctl_address_size, CONTROL, "a PV domain is a 64-bit one", .needs = "pv|hvm dom0")
{
    struct xen_domctl *request;

    child_create_pv(CHILD);
    request = domctl_request(XEN_DOMCTL_get_address_size, CHILD);
    CHECK_EQ(hypercall_domctl(request), 0);
    CHECK_EQ(request->u.address_size.size, 64);
    CHECK_EQ(set_width(64), 0);
    CHECK_EQ(set_width(32), runs_32bit_pv() ? -XEN_EACCES : -XEN_EOPNOTSUPP);
    CHECK_ERRNO(set_width(16), EINVAL);
    child_create(CHILD);
    CHECK_ERRNO(domctl(XEN_DOMCTL_get_address_size, CHILD), EOPNOTSUPP);
    CHECK_ERRNO(set_width(64), EOPNOTSUPP);
    child_destroy(CHILD);
}

static uint32_t page_type(xen_pfn_t frame)
{
    struct xen_domctl *request = domctl_request(XEN_DOMCTL_getpageframeinfo3, CHILD);

    request->u.getpageframeinfo3.num = 1;
    handle_set(request->u.getpageframeinfo3.array, &frame);
    CHECK_EQ(hypercall_domctl(request), 0);
    return (uint32_t)frame;
}

static struct vcpu_guest_context context;

static long set_pv_registers(xen_pfn_t root)
{
    struct xen_domctl *request = domctl_request(XEN_DOMCTL_setvcpucontext, CHILD);

    memset(&context, 0, sizeof(context));
    context.flags = VGCF_in_kernel;
    context.user_regs.rip = 0x1234;
    context.user_regs.rflags = 0x202;
    context.ctrlreg[3] = xen_pfn_to_cr3(root);
    handle_set(request->u.vcpucontext.ctxt, &context);
    return hypercall_domctl(request);
}

/*
 * Background: A PV vcpu starts with page tables that are its domain's. Whoever saves the domain asks which
 * frames are such.
 * Provoked by: the type of a page; registers with page tables that are no frame of the domain's, and with such;
 * the type again; the registers; others with another page table; a frame that there is not; more than 1024.
 * Expected: ordinary; -EINVAL, 0; a table of the highest level; what was given; -EOPNOTSUPP; none; -E2BIG.
 * Source: domctl.h (XEN_DOMCTL_getpageframeinfo3); arch/x86/domctl.c; arch/x86/domain.c,
 * arch_set_info_guest().
 */
TEST(domctl_pv_registers, CONTROL, "a PV domain's vcpu starts with page tables of its own",
     .needs = "pv|hvm dom0")
{
    struct xen_domctl *request;
    xen_pfn_t root;

    child_create_pv(CHILD);
    root = child_pv_frames[ROOT];
    CHECK_EQ(page_type(root), XEN_DOMCTL_PFINFO_NOTAB);
    CHECK_ERRNO(set_pv_registers(0xfffffff), EINVAL);
    CHECK_EQ(set_pv_registers(root), 0);
    CHECK_EQ(page_type(root), XEN_DOMCTL_PFINFO_L4TAB);
    CHECK_EQ(page_type(child_pv_frames[1]), XEN_DOMCTL_PFINFO_NOTAB);
    CHECK_EQ(page_type(0xfffffff), XEN_DOMCTL_PFINFO_XTAB);

    memset(&context, 0xff, sizeof(context));
    request = domctl_request(XEN_DOMCTL_getvcpucontext, CHILD);
    handle_set(request->u.vcpucontext.ctxt, &context);
    CHECK_EQ(hypercall_domctl(request), 0);
    CHECK_EQ(context.user_regs.rip, 0x1234);
    CHECK_EQ(context.ctrlreg[3], xen_pfn_to_cr3(root));
    CHECK_EQ(context.flags & (VGCF_in_kernel | VGCF_online), VGCF_in_kernel);
    CHECK_ERRNO(set_pv_registers(child_pv_frames[1]), EOPNOTSUPP);

    request = domctl_request(XEN_DOMCTL_getpageframeinfo3, CHILD);
    request->u.getpageframeinfo3.num = 1025;
    CHECK_ERRNO(hypercall_domctl(request), E2BIG);
    child_destroy(CHILD);
}

/*
 * Background: A PV domain's kernel names a page that is to have the entries of hypercalls; the builder has Xen
 * fill it.
 * Provoked by: a page filled, looked at; a frame without memory.
 * Expected: each entry loads its number; -EINVAL.
 * Source: domctl.h (XEN_DOMCTL_hypercall_init); arch/x86/domctl.c; arch/x86/hvm/hypercall.c.
 */
TEST(domctl_hypercall_init, CONTROL, "a page of a domain is filled with the entries of hypercalls",
     .needs = "pv|hvm dom0")
{
    const volatile uint8_t *page;
    struct xen_domctl *request;

    child_create_with_memory(CHILD);
    request = domctl_request(XEN_DOMCTL_hypercall_init, CHILD);
    request->u.hypercall_init.gmfn = CHILD_FRAME + 7;
    CHECK_EQ(hypercall_domctl(request), 0);
    page = child_map(CHILD, CHILD_FRAME + 7);
    for (unsigned int number = 1; number < 8; number++) {
        CHECK_EQ(page[number * 32], 0xb8);         /* mov $number, %eax */
        CHECK_EQ(page[number * 32 + 1], number);
    }
    arch_child_unmap();
    request = domctl_request(XEN_DOMCTL_hypercall_init, CHILD);
    request->u.hypercall_init.gmfn = CHILD_FRAME + CHILD_PAGES;
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);
    child_destroy(CHILD);
}

/*
 * Background: A domain's time stamp counter is the processor's, or Xen emulates it; whoever restores a domain
 * says which, and how far it has counted.
 * Provoked by: the counter's mode of a new domain; emulation, asked for; an unknown mode; this domain.
 * Expected: 0, as it is best; what was set, and one more incarnation; -EINVAL; -EINVAL.
 * Source: domctl.h (XEN_DOMCTL_settscinfo); arch/x86/time.c, tsc_set_info().
 */
TEST(domctl_tscinfo, CONTROL, "how a domain's time stamp counter goes can be chosen",
     .needs = "pv|hvm dom0")
{
    struct xen_domctl *request;

    child_create_pv(CHILD);
    request = domctl_request(XEN_DOMCTL_gettscinfo, CHILD);
    CHECK_EQ(hypercall_domctl(request), 0);
    CHECK_EQ(request->u.tsc_info.tsc_mode, 0);
    request = domctl_request(XEN_DOMCTL_settscinfo, CHILD);
    request->u.tsc_info.tsc_mode = 1;
    request->u.tsc_info.gtsc_khz = 1000000;
    request->u.tsc_info.incarnation = 3;
    CHECK_EQ(hypercall_domctl(request), 0);
    request = domctl_request(XEN_DOMCTL_gettscinfo, CHILD);
    CHECK_EQ(hypercall_domctl(request), 0);
    CHECK_EQ(request->u.tsc_info.tsc_mode, 1);
    CHECK_EQ(request->u.tsc_info.gtsc_khz, 1000000);
    CHECK_EQ(request->u.tsc_info.incarnation, 4);
    request = domctl_request(XEN_DOMCTL_settscinfo, CHILD);
    request->u.tsc_info.tsc_mode = 4;
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);
    child_destroy(CHILD);
    CHECK_ERRNO(domctl(XEN_DOMCTL_gettscinfo, own_domain()), EINVAL);
    CHECK_ERRNO(domctl(XEN_DOMCTL_settscinfo, own_domain()), EINVAL);
}

/*
 * Background: 32-bit programs call a PV kernel by gates of their own, which a saved domain takes along.
 * Provoked by: these callbacks set, and asked for; a structure that is too short; a vcpu that does not exist;
 * this domain.
 * Expected: what was set; -EINVAL; -ESRCH; -ESRCH.
 * Source: domctl.h (XEN_DOMCTL_set_ext_vcpucontext); arch/x86/domctl.c.
 */
TEST(domctl_ext_vcpucontext, CONTROL, "the callbacks of a PV domain's vcpu are set and asked for",
     .needs = "pv|hvm dom0")
{
    struct xen_domctl *request;

    child_create_pv(CHILD);
    request = domctl_request(XEN_DOMCTL_set_ext_vcpucontext, CHILD);
    request->u.ext_vcpucontext.size = 32;
    request->u.ext_vcpucontext.syscall32_callback_eip = 0x7000;
    request->u.ext_vcpucontext.sysenter_callback_eip = 0x8000;
    request->u.ext_vcpucontext.sysenter_disables_events = 1;
    CHECK_EQ(hypercall_domctl(request), 0);
    request = domctl_request(XEN_DOMCTL_get_ext_vcpucontext, CHILD);
    CHECK_EQ(hypercall_domctl(request), 0);
    CHECK_EQ(request->u.ext_vcpucontext.syscall32_callback_eip, 0x7000);
    CHECK_EQ(request->u.ext_vcpucontext.sysenter_callback_eip, 0x8000);
    CHECK_EQ(request->u.ext_vcpucontext.sysenter_disables_events, 1);
    CHECK_EQ(request->u.ext_vcpucontext.size, sizeof(request->u.ext_vcpucontext));
    request->u.ext_vcpucontext.vcpu = CHILD_VCPUS;
    CHECK_ERRNO(hypercall_domctl(request), ESRCH);
    request->cmd = XEN_DOMCTL_set_ext_vcpucontext;
    CHECK_ERRNO(hypercall_domctl(request), ESRCH);
    request->u.ext_vcpucontext.vcpu = 0;
    request->u.ext_vcpucontext.size = 31;
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);
    child_destroy(CHILD);
    CHECK_ERRNO(domctl(XEN_DOMCTL_get_ext_vcpucontext, own_domain()), ESRCH);
}

/*
 * Background: The state of XSAVE is asked for in two steps: its size, and then itself.
 * Provoked by: both, and the state given back; with too little room; a vcpu that does not exist; the vcpu that
 * calls.
 * Expected: 0; -EINVAL; -ESRCH; -EINVAL.
 * Source: domctl.h (XEN_DOMCTL_getvcpuextstate); arch/x86/domctl.c.
 */
TEST(domctl_vcpuextstate, CONTROL, "the XSAVE state of a vcpu is saved and restored",
     .needs = "pv|hvm dom0")
{
    static uint64_t state[2048];
    struct xen_domctl *request;
    uint64_t features, size;

    child_create_pv(CHILD);
    request = domctl_request(XEN_DOMCTL_getvcpuextstate, CHILD);
    CHECK_EQ(hypercall_domctl(request), 0);
    features = request->u.vcpuextstate.xfeature_mask;
    size = request->u.vcpuextstate.size;
    CHECK((features & 3) == 3);                    /* x87 and SSE */
    CHECK(size >= 16 && size <= sizeof(state));
    request->u.vcpuextstate.size = sizeof(state);
    handle_set(request->u.vcpuextstate.buffer, state);
    CHECK_EQ(hypercall_domctl(request), 0);
    size = request->u.vcpuextstate.size;

    request = domctl_request(XEN_DOMCTL_setvcpuextstate, CHILD);
    request->u.vcpuextstate.xfeature_mask = features;
    request->u.vcpuextstate.size = size;
    handle_set(request->u.vcpuextstate.buffer, state);
    CHECK_EQ(hypercall_domctl(request), 0);
    request->u.vcpuextstate.size = 8;
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);
    request->u.vcpuextstate.vcpu = CHILD_VCPUS;
    CHECK_ERRNO(hypercall_domctl(request), ESRCH);
    request->cmd = XEN_DOMCTL_getvcpuextstate;
    CHECK_ERRNO(hypercall_domctl(request), ESRCH);
    child_destroy(CHILD);
    CHECK_ERRNO(domctl(XEN_DOMCTL_getvcpuextstate, own_domain()), EINVAL);
}

/*
 * Background: A saved PV domain takes some MSRs along.
 * Provoked by: how many there may be; those that there are; given back; one with padding; more than there may
 * be; an HVM domain.
 * Expected: 0 each; -EINVAL; -EINVAL; -EINVAL.
 * Source: domctl.h (XEN_DOMCTL_get_vcpu_msrs); arch/x86/domctl.c.
 */
TEST(domctl_vcpu_msrs, CONTROL, "the MSRs of a PV domain's vcpu are saved and restored",
     .needs = "pv|hvm dom0")
{
    static xen_domctl_vcpu_msr_t msrs[64];
    struct xen_domctl *request;
    uint32_t most;

    child_create_pv(CHILD);
    request = domctl_request(XEN_DOMCTL_get_vcpu_msrs, CHILD);
    CHECK_EQ(hypercall_domctl(request), 0);
    most = request->u.vcpu_msrs.msr_count;
    CHECK(most > 0 && most < 64);
    handle_set(request->u.vcpu_msrs.msrs, msrs);
    CHECK_EQ(hypercall_domctl(request), 0);
    CHECK(request->u.vcpu_msrs.msr_count <= most);
    request->cmd = XEN_DOMCTL_set_vcpu_msrs;
    CHECK_EQ(hypercall_domctl(request), 0);
    msrs[0].reserved = 1;
    request->u.vcpu_msrs.msr_count = 1;
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);
    request->u.vcpu_msrs.msr_count = most + 1;
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);
    child_create_with_vcpus(CHILD);
    CHECK_ERRNO(domctl(XEN_DOMCTL_get_vcpu_msrs, CHILD), EINVAL);
    CHECK_ERRNO(domctl(XEN_DOMCTL_set_vcpu_msrs, CHILD), EINVAL);
    child_destroy(CHILD);
}

/*
 * Background: What CPUID says to a domain, and some MSRs, are chosen before it starts.
 * Provoked by: how many entries there may be; the entries, with too little room and with enough; given back;
 * more than there may be; for a domain that has started.
 * Expected: 0; -ENOBUFS, 0, with leaf 0 first; 0; -E2BIG; -EEXIST.
 * Source: domctl.h (XEN_DOMCTL_set_cpu_policy); arch/x86/domctl.c; lib/x86/cpuid.c.
 */
TEST(domctl_cpu_policy, CONTROL, "what CPUID says to a domain is asked for and set",
     .needs = "pv|hvm dom0")
{
    static xen_cpuid_leaf_t leaves[512];
    static xen_msr_entry_t msrs[64];
    struct xen_domctl *request;
    uint32_t most, count;

    child_create_with_vcpus(CHILD);
    request = domctl_request(XEN_DOMCTL_get_cpu_policy, CHILD);
    CHECK_EQ(hypercall_domctl(request), 0);
    most = request->u.cpu_policy.nr_leaves;
    CHECK(most > 1 && most < 512);
    CHECK(request->u.cpu_policy.nr_msrs < 64);
    handle_set(request->u.cpu_policy.leaves, leaves);
    handle_set(request->u.cpu_policy.msrs, msrs);
    request->u.cpu_policy.nr_leaves = 1;
    CHECK_ERRNO(hypercall_domctl(request), ENOBUFS);
    request->u.cpu_policy.nr_leaves = most;
    CHECK_EQ(hypercall_domctl(request), 0);
    count = request->u.cpu_policy.nr_leaves;
    CHECK(count > 1 && count <= most);
    CHECK_EQ(leaves[0].leaf, 0);
    CHECK(leaves[0].a >= 1);

    request->cmd = XEN_DOMCTL_set_cpu_policy;
    CHECK_EQ(hypercall_domctl(request), 0);
    request->u.cpu_policy.nr_leaves = most + 1;
    CHECK_ERRNO(hypercall_domctl(request), E2BIG);
    CHECK_EQ(domctl(XEN_DOMCTL_unpausedomain, CHILD), 0);
    CHECK_ERRNO(domctl(XEN_DOMCTL_set_cpu_policy, CHILD), EEXIST);
    child_destroy(CHILD);
    CHECK_ERRNO(domctl(XEN_DOMCTL_set_cpu_policy, own_domain()), EINVAL);
}

#ifdef XEN_DOMCTL_set_paging_mempool_size
/*
 * Background: A PV domain's frames are the machine's: nothing translates them.
 * Provoked by: the size of the pool for tables, asked for and set.
 * Expected: -EOPNOTSUPP.
 * Source: domctl.h (XEN_DOMCTL_set_paging_mempool_size); arch/x86/mm/paging.c.
 */
TEST(domctl_paging_mempool_size_of_pv, CONTROL, "a PV domain has no pool for page tables: EOPNOTSUPP",
     .needs = "pv|hvm dom0")
{
    child_create_pv(CHILD);
    CHECK_ERRNO(domctl(XEN_DOMCTL_get_paging_mempool_size, CHILD), EOPNOTSUPP);
    CHECK_ERRNO(domctl(XEN_DOMCTL_set_paging_mempool_size, CHILD), EOPNOTSUPP);
    child_destroy(CHILD);
}
#endif
