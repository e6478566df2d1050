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
    return domctl_unanswered(request);
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

/* Of the first of two frames; the second is not asked for. */
static uint32_t page_type(xen_pfn_t frame)
{
    struct xen_domctl *request = domctl_request(XEN_DOMCTL_getpageframeinfo3, CHILD);
    xen_pfn_t frames[2] = {frame, frame};

    request->u.getpageframeinfo3.num = 1;
    handle_set(request->u.getpageframeinfo3.array, frames);
    CHECK_EQ(domctl_unanswered(request), 0);
    CHECK_EQ(frames[1], frame);
    return (uint32_t)frames[0];
}

static struct ARCH_CHILD(vcpu_guest_context) context;

static long set_pv_registers(xen_pfn_t root)
{
    struct xen_domctl *request = domctl_request(XEN_DOMCTL_setvcpucontext, CHILD);

    memset(&context, 0, sizeof(context));
    context.flags = VGCF_in_kernel;
    context.user_regs.rip = 0x1234;
    context.user_regs.rflags = 0x202;
    context.ctrlreg[3] = (uint64_t)root * PAGE_BYTES;
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
    CHECK_EQ(context.ctrlreg[3], (uint64_t)root * PAGE_BYTES);
    CHECK_EQ(context.flags & (VGCF_in_kernel | VGCF_online), VGCF_in_kernel);
    CHECK_ERRNO(set_pv_registers(child_pv_frames[1]), EOPNOTSUPP);

    request = domctl_request(XEN_DOMCTL_getpageframeinfo3, CHILD);
    request->u.getpageframeinfo3.num = 1025;
    CHECK_ERRNO(hypercall_domctl(request), E2BIG);
    child_destroy(CHILD);
}

static long extended(uint32_t command, xen_pfn_t frame, domid_t domain)
{
    struct mmuext_op op = {.cmd = command, .arg1.mfn = frame};

    return arch_hypercall(__HYPERVISOR_mmuext_op, arch_guest_address(&op), 1, 0, domain, 0);
}

/*
 * Background: Who restores a PV domain pins the frames that it had as page tables.
 * Provoked by: a frame pinned as a table of each level, pinned again, looked at, and unpinned, twice; a frame
 * that there is not; an HVM domain's frame; an operation that is for the domain itself.
 * Expected: 0, -EINVAL, a pinned table of the level, and 0, -EINVAL; -EINVAL; -EINVAL; -EOPNOTSUPP from an
 * HVM domain, and -EPERM from a PV domain.
 * Source: xen.h (MMUEXT_PIN_L1_TABLE); arch/x86/mm.c, do_mmuext_op().
 */
TEST(domctl_pv_pin, CONTROL, "the page tables of a PV domain are pinned from outside",
     .needs = "pv|hvm dom0")
{
    static const uint32_t types[] = {XEN_DOMCTL_PFINFO_L1TAB, XEN_DOMCTL_PFINFO_L2TAB,
                                     XEN_DOMCTL_PFINFO_L3TAB, XEN_DOMCTL_PFINFO_L4TAB};
    bool is_pv = strcmp(boot_info.guest, "pv") == 0;

    child_create_pv(CHILD);
    for (uint32_t level = 0; level < 4; level++) {
        xen_pfn_t frame = child_pv_frames[level];

        CHECK_EQ(extended(MMUEXT_PIN_L1_TABLE + level, frame, CHILD), 0);
        CHECK_ERRNO(extended(MMUEXT_PIN_L1_TABLE + level, frame, CHILD), EINVAL);
        CHECK_EQ(page_type(frame), types[level] | XEN_DOMCTL_PFINFO_LPINTAB);
        CHECK_EQ(extended(MMUEXT_UNPIN_TABLE, frame, CHILD), 0);
        if (RELEASE_IS_AT_LEAST(4, 16))     /* before, it is still said to be a table */
            CHECK_EQ(page_type(frame), XEN_DOMCTL_PFINFO_NOTAB);
        CHECK_ERRNO(extended(MMUEXT_UNPIN_TABLE, frame, CHILD), EINVAL);
    }
    CHECK_ERRNO(extended(MMUEXT_PIN_L1_TABLE, 0xfffffff, CHILD), EINVAL);
    CHECK_ERRNO(extended(MMUEXT_UNPIN_TABLE, 0xfffffff, CHILD), EINVAL);
    CHECK_EQ(extended(MMUEXT_TLB_FLUSH_LOCAL, 0, CHILD), is_pv ? -XEN_EPERM : -XEN_EOPNOTSUPP);
    child_create_with_memory(CHILD);
    CHECK_ERRNO(extended(MMUEXT_PIN_L1_TABLE, CHILD_FRAME, CHILD), EINVAL);
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
    CHECK_EQ(domctl_unanswered(request), 0);
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

/* Selectors for user mode, in the domain's own descriptor table. */
#define CODE 0x13
#define CODE32 0x1b

#define CALLBACKS offsetof(struct xen_domctl_ext_vcpucontext, vmce)
#define MCG_COUNT 0xff             /* the number of banks, of a vcpu's machine-check capabilities */

static struct xen_domctl_ext_vcpucontext *ext_context(uint32_t vcpu)
{
    struct xen_domctl *request = domctl_request(XEN_DOMCTL_get_ext_vcpucontext, CHILD);

    request->u.ext_vcpucontext.vcpu = vcpu;
    CHECK_EQ(hypercall_domctl(request), 0);
    CHECK_EQ(request->u.ext_vcpucontext.size, sizeof(request->u.ext_vcpucontext));
    return &request->u.ext_vcpucontext;
}

/*
 * Background: 32-bit programs call a PV kernel by gates of their own, which a saved domain takes along; so it
 * does what a vcpu's machine checks are, which old tools did not know of.
 * Provoked by: these callbacks set, with and without the state of machine checks, and asked for; a size that
 * ends within its first word, which cannot be; a structure that is too short; a vcpu that does not exist; this
 * domain.
 * Expected: what was set, selectors for user mode; the word is not looked at; -EINVAL; -ESRCH; -ESRCH.
 * Source: domctl.h (XEN_DOMCTL_set_ext_vcpucontext); arch/x86/domctl.c, vcpu_set_vmce().
 */
TEST(domctl_ext_vcpucontext, CONTROL, "the callbacks of a PV domain's vcpu are set and asked for",
     .needs = "pv|hvm dom0")
{
    struct xen_domctl_ext_vcpucontext *context;
    struct xen_domctl *request;
    uint64_t capabilities;

    child_create_pv(CHILD);
    capabilities = (ext_context(0)->mcg_cap & ~(uint64_t)MCG_COUNT) | 5;
    request = domctl_request(XEN_DOMCTL_set_ext_vcpucontext, CHILD);
    context = &request->u.ext_vcpucontext;
    context->size = sizeof(*context);
    context->syscall32_callback_cs = CODE32;
    context->syscall32_callback_eip = 0x7000;
    context->sysenter_callback_cs = CODE & ~3;
    context->sysenter_callback_eip = 0x8000;
    context->sysenter_disables_events = 1;
    context->mcg_cap = capabilities;
    context->vmce.mci_ctl2_bank0 = 0x11;
    context->vmce.mci_ctl2_bank1 = 0x22;
    context->vmce.mcg_ext_ctl = 1;
    CHECK_EQ(domctl_unanswered(request), 0);
    context = ext_context(0);
    CHECK_EQ(context->syscall32_callback_cs, CODE32);
    CHECK_EQ(context->syscall32_callback_eip, 0x7000);
    CHECK_EQ(context->syscall32_disables_events, 0);
    CHECK_EQ(context->sysenter_callback_cs, CODE);
    CHECK_EQ(context->sysenter_callback_eip, 0x8000);
    CHECK_EQ(context->sysenter_disables_events, 1);
    CHECK_EQ(context->mcg_cap, capabilities);
    CHECK_EQ(context->vmce.mci_ctl2_bank0, 0x11);
    CHECK_EQ(context->vmce.mci_ctl2_bank1, 0x22);
    CHECK_EQ(context->vmce.mcg_ext_ctl, 1);

    request = domctl_request(XEN_DOMCTL_set_ext_vcpucontext, CHILD);
    request->u.ext_vcpucontext.size = CALLBACKS + sizeof(uint64_t) - 1;
    request->u.ext_vcpucontext.sysenter_callback_cs = CODE32;
    request->u.ext_vcpucontext.mcg_cap = ~0ull;
    CHECK_EQ(domctl_unanswered(request), 0);
    CHECK_EQ(ext_context(0)->sysenter_callback_cs, CODE32);
    CHECK_EQ(ext_context(0)->mcg_cap, capabilities);
    CHECK_EQ(ext_context(CHILD_VCPUS - 1)->vmce.mci_ctl2_bank0, 0);

    request = domctl_request(XEN_DOMCTL_get_ext_vcpucontext, CHILD);
    request->u.ext_vcpucontext.vcpu = CHILD_VCPUS;
    CHECK_ERRNO(hypercall_domctl(request), ESRCH);
    request->cmd = XEN_DOMCTL_set_ext_vcpucontext;
    CHECK_ERRNO(hypercall_domctl(request), ESRCH);
    request->u.ext_vcpucontext.vcpu = 0;
    request->u.ext_vcpucontext.size = CALLBACKS - 1;
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);
    request->u.ext_vcpucontext.size = CALLBACKS + sizeof(uint64_t);
    request->u.ext_vcpucontext.mcg_cap = ~0ull;
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);
    child_destroy(CHILD);
    CHECK_ERRNO(domctl(XEN_DOMCTL_get_ext_vcpucontext, own_domain()), ESRCH);
}

static uint64_t state[2048];       /* of XSAVE: XCR0, all that it ever was, and the area */

#define STATE_HEADER (2 * sizeof(uint64_t))
#define STATE_LEAST (512 + 64)     /* the area of x87 and SSE */

static struct xen_domctl *state_request(uint32_t command, uint32_t vcpu, uint64_t features, uint64_t size)
{
    struct xen_domctl *request = domctl_request(command, CHILD);

    request->u.vcpuextstate.vcpu = vcpu;
    request->u.vcpuextstate.xfeature_mask = features;
    request->u.vcpuextstate.size = size;
    handle_set(request->u.vcpuextstate.buffer, state);
    return request;
}

/*
 * Background: The state of XSAVE is asked for in two steps: its largest size, and then itself. A vcpu without
 * registers has none but its header.
 * Provoked by: both; a state given to one vcpu of two; with too little room, for other features than the
 * processor's; a vcpu that does not exist; the vcpu that calls.
 * Expected: 0, and what was given, for this vcpu only; -EINVAL; -ESRCH; -EINVAL.
 * Source: domctl.h (XEN_DOMCTL_getvcpuextstate); arch/x86/domctl.c.
 */
TEST(domctl_vcpuextstate, CONTROL, "the XSAVE state of a vcpu is saved and restored",
     .needs = "pv|hvm dom0")
{
    struct xen_domctl *request;
    uint64_t features, size;

    child_create_pv(CHILD);
    request = domctl_request(XEN_DOMCTL_getvcpuextstate, CHILD);
    CHECK_EQ(hypercall_domctl(request), 0);
    features = request->u.vcpuextstate.xfeature_mask;
    size = request->u.vcpuextstate.size;
    CHECK((features & 3) == 3);                    /* x87 and SSE */
    CHECK(size >= STATE_HEADER + STATE_LEAST && size <= sizeof(state));
    request = state_request(XEN_DOMCTL_getvcpuextstate, 1, features, sizeof(state));
    CHECK_EQ(hypercall_domctl(request), 0);
    CHECK_EQ(request->u.vcpuextstate.size, STATE_HEADER);
    CHECK(state[0] == 0 && state[1] == 0);

    size = STATE_HEADER + STATE_LEAST;
    state[0] = state[1] = 3;
    CHECK_EQ(domctl_unanswered(state_request(XEN_DOMCTL_setvcpuextstate, 1, features, size)), 0);
    CHECK_EQ(hypercall_domctl(state_request(XEN_DOMCTL_getvcpuextstate, 0, features, size)), 0);
    CHECK_EQ(state[0], 0);
    CHECK_EQ(hypercall_domctl(state_request(XEN_DOMCTL_getvcpuextstate, 1, features, size)), 0);
    CHECK_EQ(request->u.vcpuextstate.size, size);
    CHECK_EQ(state[0], 3);
    CHECK_ERRNO(hypercall_domctl(state_request(XEN_DOMCTL_getvcpuextstate, 1, features, size - 1)), EINVAL);
    CHECK_ERRNO(hypercall_domctl(state_request(XEN_DOMCTL_getvcpuextstate, 1, features - 1, size)), EINVAL);
    CHECK_ERRNO(hypercall_domctl(state_request(XEN_DOMCTL_setvcpuextstate, 1, features, 8)), EINVAL);
    request = state_request(XEN_DOMCTL_setvcpuextstate, CHILD_VCPUS, features, size);
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
 * Expected: 0 each; -EINVAL, and that none was taken; -EINVAL; -EINVAL.
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
    request->u.vcpu_msrs.vcpu = CHILD_VCPUS - 1;
    CHECK_EQ(hypercall_domctl(request), 0);
    most = request->u.vcpu_msrs.msr_count;
    CHECK(most > 0 && most < 64);
    handle_set(request->u.vcpu_msrs.msrs, msrs);
    CHECK_EQ(hypercall_domctl(request), 0);
    CHECK(request->u.vcpu_msrs.msr_count <= most);
    request->cmd = XEN_DOMCTL_set_vcpu_msrs;
    CHECK_EQ(domctl_unanswered(request), 0);
    msrs[0].reserved = 1;
    request->u.vcpu_msrs.msr_count = 1;
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);
    CHECK_EQ(request->u.vcpu_msrs.msr_count, 0);
    request->u.vcpu_msrs.msr_count = most + 1;
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);
    child_create_with_vcpus(CHILD);
    CHECK_ERRNO(domctl(XEN_DOMCTL_get_vcpu_msrs, CHILD), EINVAL);
    CHECK_ERRNO(domctl(XEN_DOMCTL_set_vcpu_msrs, CHILD), EINVAL);
    child_destroy(CHILD);
}

static xen_cpuid_leaf_t leaves[512];
static xen_msr_entry_t msr_entries[64];

/* Room for as many entries; what tells of a bad entry is as no error leaves it. */
static struct xen_domctl *policy_request(uint32_t command, uint32_t most_leaves, uint32_t most_msrs)
{
    struct xen_domctl *request = domctl_request(command, CHILD);

    request->u.cpu_policy.nr_leaves = most_leaves;
    request->u.cpu_policy.nr_msrs = most_msrs;
    request->u.cpu_policy.err_leaf = request->u.cpu_policy.err_subleaf = request->u.cpu_policy.err_msr = 99;
    handle_set(request->u.cpu_policy.leaves, leaves);
    handle_set(request->u.cpu_policy.msrs, msr_entries);
    return request;
}

#define NO_LEAF 0x12345678
#define NO_MSR 0x23456789

/*
 * Background: What CPUID says to a domain, and some MSRs, are chosen before it starts.
 * Provoked by: how many entries there may be; the entries, with enough room and with too little; given back;
 * the first one alone; a leaf, and an MSR, that there is not; more than there may be; for a domain that has
 * started.
 * Expected: 0; that many entries, leaf 0 first, and -ENOBUFS; 0; 0; -ERANGE, and which one it is; -E2BIG;
 * -EEXIST.
 * Source: domctl.h (XEN_DOMCTL_set_cpu_policy); arch/x86/domctl.c; lib/x86/cpuid.c, lib/x86/msr.c.
 */
TEST(domctl_cpu_policy, CONTROL, "what CPUID says to a domain is asked for and set",
     .needs = "pv|hvm dom0")
{
    struct xen_domctl *request;
    struct xen_domctl_cpu_policy *policy;
    uint32_t most, count, msr_count;

    child_create_with_vcpus(CHILD);
    request = domctl_request(XEN_DOMCTL_get_cpu_policy, CHILD);
    policy = &request->u.cpu_policy;
    CHECK_EQ(hypercall_domctl(request), 0);
    most = policy->nr_leaves;
    CHECK(most > 1 && most < 512);
    CHECK(policy->nr_msrs < 64);
    memset(leaves, 0xff, sizeof(leaves));
    policy_request(XEN_DOMCTL_get_cpu_policy, most, 64);
    CHECK_EQ(hypercall_domctl(request), 0);
    count = policy->nr_leaves;
    msr_count = policy->nr_msrs;
    CHECK(count > 1 && count <= most && msr_count > 0 && msr_count < 64);
    CHECK_EQ(leaves[0].leaf, 0);
    CHECK(leaves[0].a >= 1);
    CHECK(leaves[count - 1].d != ~0u);             /* the last one that was written */
    CHECK_EQ(leaves[count].d, ~0u);
    CHECK_EQ(policy->err_leaf, 99);
    CHECK_EQ(policy->err_subleaf, 99);
    CHECK_EQ(policy->err_msr, 99);
    CHECK_ERRNO(hypercall_domctl(policy_request(XEN_DOMCTL_get_cpu_policy, count - 1, 64)), ENOBUFS);
    CHECK_ERRNO(hypercall_domctl(policy_request(XEN_DOMCTL_get_cpu_policy, most, msr_count - 1)), ENOBUFS);

    CHECK_EQ(domctl_unanswered(policy_request(XEN_DOMCTL_set_cpu_policy, count, msr_count)), 0);
    leaves[1] = (xen_cpuid_leaf_t){.leaf = NO_LEAF, .subleaf = 5};
    CHECK_EQ(domctl_unanswered(policy_request(XEN_DOMCTL_set_cpu_policy, 1, 0)), 0);
    CHECK_ERRNO(hypercall_domctl(policy_request(XEN_DOMCTL_set_cpu_policy, 2, 0)), ERANGE);
    CHECK_EQ(policy->err_leaf, NO_LEAF);
    CHECK_EQ(policy->err_subleaf, 5);
    CHECK_EQ(policy->err_msr, ~0u);
    msr_entries[0].idx = NO_MSR;
    CHECK_ERRNO(hypercall_domctl(policy_request(XEN_DOMCTL_set_cpu_policy, 1, 1)), ERANGE);
    CHECK_EQ(policy->err_leaf, ~0u);
    CHECK_EQ(policy->err_subleaf, ~0u);
    CHECK_EQ(policy->err_msr, NO_MSR);
    CHECK_ERRNO(hypercall_domctl(policy_request(XEN_DOMCTL_set_cpu_policy, most + 1, 0)), E2BIG);
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
