/*
 * domctl on x86, HVM domains: their state as a stream, paging, debugging, what a build leaves out.
 */
#include <domctl.h>
#include <memory.h>
#include <sched.h>
#include <string.h>

#include <hvm/save.h>

#include "children.h"
#include "instructions.h"

#define RIP 0x1230
#define SPARE_FRAME (CHILD_FRAME + CHILD_PAGES)    /* of a child with memory; nothing is there */

/* What Xen says to a command that it was built without: until 4.14 it takes it for one about devices. */
static bool is_left_out(long rc)
{
    return rc == -XEN_ENOSYS || (rc == -XEN_EOPNOTSUPP && !RELEASE_IS_AT_LEAST(4, 15));
}

static uint8_t stream[32768];

static struct xen_domctl *stream_request(uint32_t command, domid_t domain, uint32_t size)
{
    struct xen_domctl *request = domctl_request(command, domain);

    request->u.hvmcontext.size = size;
    handle_set(request->u.hvmcontext.buffer, stream);
    return request;
}

/*
 * Background: An HVM domain is saved and restored as a stream of records, which Xen alone writes.
 * Provoked by: the size of the stream; the stream, with too little room and with enough; restored; without
 * its end, and with another beginning; of a PV domain, and of this one.
 * Expected: no more bytes than it was said, from a header to an end; -ENOSPC; 0; -ENODATA, -ENODATA; -EINVAL.
 * Source: domctl.h (XEN_DOMCTL_gethvmcontext, XEN_DOMCTL_sethvmcontext); arch/x86/domctl.c; common/hvm/save.c.
 */
TEST(domctl_hvmcontext, CONTROL, "an HVM domain is saved and restored", .needs = "pv|hvm dom0")
{
    const struct hvm_save_descriptor *first = (const void *)stream;
    struct hvm_save_descriptor end;
    struct xen_domctl *request;
    uint32_t size;

    child_create_with_memory(CHILD);
    child_start_hvm(CHILD, RIP);
    request = domctl_request(XEN_DOMCTL_gethvmcontext, CHILD);
    CHECK_EQ(hypercall_domctl(request), 0);
    size = request->u.hvmcontext.size;
    CHECK(size > sizeof(struct hvm_save_header) && size <= sizeof(stream));
    CHECK_ERRNO(hypercall_domctl(stream_request(XEN_DOMCTL_gethvmcontext, CHILD, size - 1)), ENOSPC);
    request = stream_request(XEN_DOMCTL_gethvmcontext, CHILD, size);
    CHECK_EQ(hypercall_domctl(request), 0);
    size = request->u.hvmcontext.size;
    CHECK_EQ(first->typecode, HVM_SAVE_CODE(HEADER));
    memcpy(&end, stream + size - sizeof(end), sizeof(end));
    CHECK_EQ(end.typecode, HVM_SAVE_CODE(END));
    CHECK_EQ(end.length, 0);

    CHECK_EQ(domctl_unanswered(stream_request(XEN_DOMCTL_sethvmcontext, CHILD, size)), 0);
    CHECK_EQ(domain_info(CHILD)->nr_online_vcpus, 1);
    CHECK_ERRNO(hypercall_domctl(stream_request(XEN_DOMCTL_sethvmcontext, CHILD, size - 1)), ENODATA);
    size -= sizeof(*first);                /* the end */
    CHECK_ERRNO(hypercall_domctl(stream_request(XEN_DOMCTL_sethvmcontext, CHILD, size)), ENODATA);
    stream[0] ^= 0xff;
    CHECK_ERRNO(hypercall_domctl(stream_request(XEN_DOMCTL_sethvmcontext, CHILD, size)), ENODATA);
    child_create_pv(CHILD);
    CHECK_ERRNO(domctl(XEN_DOMCTL_gethvmcontext, CHILD), EINVAL);
    CHECK_ERRNO(domctl(XEN_DOMCTL_sethvmcontext, CHILD), EINVAL);
    child_destroy(CHILD);
    CHECK_ERRNO(domctl(XEN_DOMCTL_gethvmcontext, own_domain()), EINVAL);
}

static uint64_t record_size;       /* of the latest record that was asked for */

static long record(uint16_t type, uint32_t instance, void *buffer, uint64_t size)
{
    struct xen_domctl *request = domctl_request(XEN_DOMCTL_gethvmcontext_partial, CHILD);

    request->u.hvmcontext_partial.type = type;
    request->u.hvmcontext_partial.instance = instance;
    request->u.hvmcontext_partial.bufsz = size;
    handle_set(request->u.hvmcontext_partial.buffer, buffer);
    long rc = hypercall_domctl(request);

    record_size = request->u.hvmcontext_partial.bufsz;
    return rc;
}

/*
 * Background: Single records can be asked for, such as the registers of a vcpu.
 * Provoked by: the registers of a vcpu that was given some, as a record and as a guest's context; of one that
 * is down; of none; a record that there is not; too little room.
 * Expected: the program counter that was given, twice; -ENODATA; -ENOENT; -EINVAL; -ENOBUFS.
 * Source: domctl.h (XEN_DOMCTL_gethvmcontext_partial, XEN_DOMCTL_getvcpucontext); common/hvm/save.c,
 * hvm_save_one().
 */
TEST(domctl_hvmcontext_partial, CONTROL, "the registers of an HVM domain's vcpu can be asked for",
     .needs = "pv|hvm dom0")
{
    static struct ARCH_CHILD(vcpu_guest_context) context;
    static struct hvm_hw_cpu cpu;
    struct xen_domctl *request;

    child_create_with_memory(CHILD);
    child_start_hvm(CHILD, RIP);
    CHECK_EQ(domain_info(CHILD)->nr_online_vcpus, 1);
    CHECK_EQ(record(HVM_SAVE_CODE(CPU), 0, &cpu, sizeof(cpu)), 0);
    CHECK_EQ(record_size, sizeof(cpu));
    CHECK_EQ(cpu.rip, RIP);
    CHECK_EQ(cpu.cs_arbytes, 0xc9b);
    request = domctl_request(XEN_DOMCTL_getvcpucontext, CHILD);
    handle_set(request->u.vcpucontext.ctxt, &context);
    CHECK_EQ(hypercall_domctl(request), 0);
    CHECK_EQ(context.user_regs.rip, RIP);
    CHECK_EQ(context.flags & VGCF_online, VGCF_online);

    CHECK_ERRNO(record(HVM_SAVE_CODE(CPU), 1, &cpu, sizeof(cpu)), ENODATA);
    CHECK_ERRNO(record(HVM_SAVE_CODE(CPU), NO_VCPU, &cpu, sizeof(cpu)), ENOENT);
    CHECK_ERRNO(record(HVM_SAVE_CODE_MAX + 1, 0, &cpu, sizeof(cpu)), EINVAL);
    CHECK_ERRNO(record(HVM_SAVE_CODE(CPU), 0, &cpu, sizeof(cpu) - 1), ENOBUFS);
    child_destroy(CHILD);
}

static struct xen_domctl *paging_request(uint32_t op)
{
    struct xen_domctl *request = domctl_request(XEN_DOMCTL_shadow_op, CHILD);

    request->u.shadow_op.op = op;
    return request;
}

/*
 * Background: While a domain is copied to another machine Xen notes which of its pages are written.
 * Provoked by: the log turned on, and again; looked at; looked at and cleaned, in an unknown mode, and with
 * a bitmap at no address; turned off.
 * Expected: 0, -EINVAL; as many bits as were asked for; -EINVAL, -EFAULT; 0.
 * Source: domctl.h (XEN_DOMCTL_shadow_op); arch/x86/mm/paging.c, paging_domctl().
 */
TEST(domctl_log_dirty, CONTROL, "the pages that a domain writes are noted", .needs = "pv|hvm dom0")
{
    static uint8_t bitmap[16 + 1];
    const uint32_t pages = 8 * (sizeof(bitmap) - 1);
    struct xen_domctl *request;

    child_create_with_memory(CHILD);
    CHECK_EQ(hypercall_domctl(paging_request(XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY)), 0);
    CHECK_ERRNO(hypercall_domctl(paging_request(XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY)), EINVAL);
    request = paging_request(XEN_DOMCTL_SHADOW_OP_PEEK);
    request->u.shadow_op.pages = pages;
    bitmap[sizeof(bitmap) - 1] = 0xee;
    handle_set(request->u.shadow_op.dirty_bitmap, bitmap);
    CHECK_EQ(hypercall_domctl(request), 0);
    CHECK_EQ(request->u.shadow_op.pages, pages);
    CHECK_EQ(bitmap[sizeof(bitmap) - 1], 0xee);
    request->u.shadow_op.op = XEN_DOMCTL_SHADOW_OP_CLEAN;
    request->u.shadow_op.mode = XEN_DOMCTL_SHADOW_LOGDIRTY_FINAL;
    CHECK_EQ(hypercall_domctl(request), 0);
    request->u.shadow_op.mode = 8;
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);
    request->u.shadow_op.mode = 0;
    handle_set(request->u.shadow_op.dirty_bitmap, nowhere());
    CHECK_ERRNO(hypercall_domctl(request), EFAULT);
    CHECK_EQ(hypercall_domctl(paging_request(XEN_DOMCTL_SHADOW_OP_OFF)), 0);
    child_destroy(CHILD);
}

/*
 * Background: The tables of nested paging come from a pool, whose size is set beforehand.
 * Provoked by: a size, asked for; an unknown operation; a domain without vcpus; this domain.
 * Expected: the size; -EINVAL for all others.
 * Source: domctl.h (XEN_DOMCTL_shadow_op); arch/x86/mm/hap/hap.c, hap_domctl().
 */
TEST(domctl_shadow_op, CONTROL, "the pool for a domain's page tables has the size it was given",
     .needs = "pv|hvm dom0")
{
    struct xen_domctl *request;

    child_create(CHILD);
    CHECK_ERRNO(hypercall_domctl(paging_request(XEN_DOMCTL_SHADOW_OP_GET_ALLOCATION)), EINVAL);
    child_create_with_vcpus(CHILD);
    request = paging_request(XEN_DOMCTL_SHADOW_OP_SET_ALLOCATION);
    request->u.shadow_op.mb = 2;
    CHECK_EQ(hypercall_domctl(request), 0);
    request = paging_request(XEN_DOMCTL_SHADOW_OP_GET_ALLOCATION);
    CHECK_EQ(hypercall_domctl(request), 0);
    CHECK_EQ(request->u.shadow_op.mb, 2);
    CHECK_ERRNO(hypercall_domctl(paging_request(99)), EINVAL);
    request = paging_request(XEN_DOMCTL_SHADOW_OP_GET_ALLOCATION);
    request->domain = own_domain();
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);
    child_destroy(CHILD);
}

static long trigger(uint32_t trigger, uint32_t vcpu)
{
    struct xen_domctl *request = domctl_request(XEN_DOMCTL_sendtrigger, CHILD);

    request->u.sendtrigger.trigger = trigger;
    request->u.sendtrigger.vcpu = vcpu;
    return hypercall_domctl(request);
}

/*
 * Background: The tools press a domain's power button, and send an NMI for a look at a guest that hangs.
 * Provoked by: both, for an HVM domain and a PV domain; what Xen does not know; a vcpu that does not exist.
 * Expected: 0, but -EINVAL for the button of a PV domain; -ENOSYS; -ESRCH.
 * Source: domctl.h (XEN_DOMCTL_sendtrigger); arch/x86/domctl.c.
 */
TEST(domctl_sendtrigger, CONTROL, "a domain gets an NMI, or its power button is pressed",
     .needs = "pv|hvm dom0")
{
    child_create_pc(CHILD);
    CHECK_EQ(trigger(XEN_DOMCTL_SENDTRIGGER_NMI, 0), 0);
    CHECK_EQ(trigger(XEN_DOMCTL_SENDTRIGGER_POWER, 0), 0);
    CHECK_EQ(trigger(XEN_DOMCTL_SENDTRIGGER_SLEEP, 0), 0);
    CHECK_ERRNO(trigger(XEN_DOMCTL_SENDTRIGGER_INIT, 0), ENOSYS);
    CHECK_ERRNO(trigger(XEN_DOMCTL_SENDTRIGGER_NMI, CHILD_VCPUS), ESRCH);
    child_create_pv(CHILD);
    CHECK_EQ(trigger(XEN_DOMCTL_SENDTRIGGER_NMI, 1), 0);
    CHECK_ERRNO(trigger(XEN_DOMCTL_SENDTRIGGER_POWER, 0), EINVAL);
    child_destroy(CHILD);
}

/* Only some of Intel's processors have a monitor trap flag. */
static bool is_intel(void)
{
    return cpuid(0).b == 0x756e6547;       /* "Genu" of GenuineIntel */
}

/*
 * Background: Where a processor has a monitor trap flag, a debugger runs a guest step by step.
 * Provoked by: single steps; an unknown operation; a vcpu that does not exist; a PV domain.
 * Expected: 0, or -EOPNOTSUPP where it has not; -ENOSYS; -EINVAL; -EINVAL.
 * Source: domctl.h (XEN_DOMCTL_debug_op); arch/x86/hvm/hvm.c, hvm_debug_op().
 */
TEST(domctl_debug_op, CONTROL, "single steps need the processor's help", .needs = "pv|hvm dom0")
{
    struct xen_domctl *request;
    long rc;

    child_create_with_memory(CHILD);
    request = domctl_request(XEN_DOMCTL_debug_op, CHILD);
    request->u.debug_op.op = XEN_DOMCTL_DEBUG_OP_SINGLE_STEP_ON;
    rc = hypercall_domctl(request);
    if (rc != 0 || !is_intel())
        CHECK_ERRNO(rc, EOPNOTSUPP);
    request->u.debug_op.op = 99;
    CHECK_ERRNO(hypercall_domctl(request), ENOSYS);
    request->u.debug_op.vcpu = CHILD_VCPUS;
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);
    child_create_pv(CHILD);
    CHECK_ERRNO(domctl(XEN_DOMCTL_debug_op, CHILD), EINVAL);
    child_destroy(CHILD);
}

/*
 * Background: A debugger in the control domain stops single vcpus, and reads a guest's memory.
 * Provoked by: the state of a paused domain; one vcpu stopped and started, and started again; one that does
 * not exist; memory of the guest read, and written; a domain that is not paused.
 * Expected: paused, without an event; 0, 0, -EINVAL; -EINVAL; the bytes; -EBUSY. -ENOSYS for all where Xen
 * was built without it.
 * Source: domctl.h (XEN_DOMCTL_gdbsx_...); arch/x86/domctl.c, gdbsx_guest_mem_io(); arch/x86/debug.c.
 */
TEST(domctl_gdbsx, CONTROL, "a debugger stops vcpus and reads memory", .needs = "pv|hvm dom0")
{
    const uint64_t address = (CHILD_FRAME + 1) * PAGE_BYTES + 0x10;
    uint32_t word = 0;
    volatile uint32_t *page;
    struct xen_domctl *request;

    child_create_with_memory(CHILD);
    child_start_hvm(CHILD, RIP);
    request = domctl_request(XEN_DOMCTL_gdbsx_domstatus, CHILD);
    if (is_left_out(hypercall_domctl(request))) {
        CHECK(is_left_out(domctl(XEN_DOMCTL_gdbsx_pausevcpu, CHILD)));
        CHECK(is_left_out(domctl(XEN_DOMCTL_gdbsx_unpausevcpu, CHILD)));
        if (RELEASE_IS_AT_LEAST(4, 15))        /* crashes Xen before */
            CHECK(is_left_out(domctl(XEN_DOMCTL_gdbsx_guestmemio, CHILD)));
        child_destroy(CHILD);
        return;
    }
    CHECK_EQ(hypercall_domctl(request), 0);
    CHECK_EQ(request->u.gdbsx_domstatus.paused, 1);
    CHECK_EQ(request->u.gdbsx_domstatus.vcpu_id, 0xffffffffu);

    CHECK_EQ(domctl(XEN_DOMCTL_gdbsx_pausevcpu, CHILD), 0);
    CHECK_EQ(domctl(XEN_DOMCTL_gdbsx_unpausevcpu, CHILD), 0);
    CHECK_ERRNO(domctl(XEN_DOMCTL_gdbsx_unpausevcpu, CHILD), EINVAL);
    request = domctl_request(XEN_DOMCTL_gdbsx_pausevcpu, CHILD);
    request->u.gdbsx_pauseunp_vcpu.vcpu = CHILD_VCPUS;
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);
    request->cmd = XEN_DOMCTL_gdbsx_unpausevcpu;
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);

    page = child_map(CHILD, CHILD_FRAME + 1);
    page[4] = 0xfeedface;
    request = domctl_request(XEN_DOMCTL_gdbsx_guestmemio, CHILD);
    request->u.gdbsx_guest_memio.gva = address;
    request->u.gdbsx_guest_memio.uva = (uintptr_t)&word;
    request->u.gdbsx_guest_memio.len = sizeof(word);
    CHECK_EQ(hypercall_domctl(request), 0);
    CHECK_EQ(request->u.gdbsx_guest_memio.remain, 0);
    CHECK_EQ(word, 0xfeedface);
    word = 0x600dcafe;
    request->u.gdbsx_guest_memio.gwr = 1;
    CHECK_EQ(hypercall_domctl(request), 0);
    CHECK_EQ(page[4], 0x600dcafe);
    request->u.gdbsx_guest_memio.gva = 0x10000000;
    CHECK_ERRNO(hypercall_domctl(request), EFAULT);
    arch_child_unmap();

    child_create_with_vcpus(CHILD);
    CHECK_EQ(domctl(XEN_DOMCTL_unpausedomain, CHILD), 0);
    CHECK_ERRNO(domctl(XEN_DOMCTL_gdbsx_pausevcpu, CHILD), EBUSY);
    CHECK_ERRNO(domctl(XEN_DOMCTL_gdbsx_unpausevcpu, CHILD), EBUSY);
    child_destroy(CHILD);
}

/*
 * Background: A page whose memory broke must not be used by the guest any more.
 * Provoked by: a page marked as broken; a frame without memory.
 * Expected: 0; -EINVAL.
 * Source: domctl.h (XEN_DOMCTL_set_broken_page_p2m); arch/x86/domctl.c.
 */
TEST(domctl_set_broken_page_p2m, CONTROL, "a page of a domain is marked as broken",
     .needs = "pv|hvm dom0")
{
    struct xen_domctl *request;

    child_create_with_memory(CHILD);
    request = domctl_request(XEN_DOMCTL_set_broken_page_p2m, CHILD);
    request->u.set_broken_page_p2m.pfn = CHILD_FRAME + CHILD_PAGES - 1;
    CHECK_EQ(hypercall_domctl(request), 0);
    request->u.set_broken_page_p2m.pfn = CHILD_FRAME + CHILD_PAGES;
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);
    child_destroy(CHILD);
}

/*
 * Background: Some commands are for special builds of Xen, or for processors with what they need.
 * Provoked by: an audit of memory maps; sharing of memory; a processor trace of a domain that was made
 * without.
 * Expected: -ENOSYS; -ENOSYS; -EINVAL.
 * Source: domctl.h (XEN_DOMCTL_audit_p2m, XEN_DOMCTL_mem_sharing_op, XEN_DOMCTL_vmtrace_op);
 * arch/x86/domctl.c.
 */
TEST(domctl_left_out, CONTROL, "what Xen was built without is refused", .needs = "pv|hvm dom0")
{
    child_create_with_vcpus(CHILD);
    CHECK(is_left_out(domctl(XEN_DOMCTL_audit_p2m, CHILD)));
    CHECK(is_left_out(domctl(XEN_DOMCTL_mem_sharing_op, CHILD)));
#ifdef XEN_DOMCTL_vmtrace_op
    CHECK_ERRNO(domctl(XEN_DOMCTL_vmtrace_op, CHILD), EINVAL);
#endif
#ifdef XEN_DOMCTL_set_llc_colors
    CHECK_ERRNO(domctl(XEN_DOMCTL_set_llc_colors, CHILD), EOPNOTSUPP);
#endif
    child_destroy(CHILD);
}

/*
 * Background: An HVM domain has devices that Xen emulates, and addresses as wide as nested paging can translate.
 * Provoked by: the state of one; domains with the one flag of x86 that there is, and another one.
 * Expected: the devices that it was made with; at least 32 bits, and an even number; 0; -EINVAL.
 * Source: domctl.h (XEN_DOMCTL_createdomain, XEN_DOMCTL_getdomaininfo); arch/x86/domctl.c,
 * arch_get_domain_info(); arch/x86/domain.c, arch_sanitise_domain_config().
 */
TEST(domctl_info_of_hvm, CONTROL, "the state of an HVM domain tells its devices", .needs = "pv|hvm dom0")
{
    const struct xen_domctl_getdomaininfo *info;

    child_create(CHILD);
    info = domain_info(CHILD);
    CHECK_EQ(info->arch_config.emulation_flags, XEN_X86_EMU_LAPIC);
#if RELEASE_IS_AT_LEAST(4, 16)
    CHECK_EQ(info->arch_config.misc_flags, 0);
    CHECK_EQ(info->pad1, 0);
    CHECK(info->gpaddr_bits >= 32 && info->gpaddr_bits % 2 == 0);
    child_destroy(CHILD);
    struct xen_domctl *request = child_request(CHILD);
    request->u.createdomain.arch.misc_flags = XEN_X86_MSR_RELAXED;
    CHECK_EQ(hypercall_domctl(request), 0);
    request = child_request(OTHER_CHILD);
    request->u.createdomain.arch.misc_flags = XEN_X86_MSR_RELAXED << 1;
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);
#endif
    child_destroy(CHILD);
}

/*
 * Background: A kernel that crashed starts another one in its memory, with the help of the tools.
 * Provoked by: a soft reset of an HVM domain that shut down for it; of a PV domain.
 * Expected: 0, and it is not shut down any more; -EINVAL, and it has crashed.
 * Source: domctl.h (XEN_DOMCTL_soft_reset); common/domain.c; arch/x86/domain.c, arch_domain_soft_reset().
 */
TEST(domctl_soft_reset, CONTROL, "an HVM domain starts anew in its memory", .needs = "pv|hvm dom0")
{
    struct sched_remote_shutdown shutdown = {.domain_id = CHILD, .reason = SHUTDOWN_soft_reset};

    child_create_with_memory(CHILD);
    CHECK_EQ(hypercall_sched_op(SCHEDOP_remote_shutdown, &shutdown), 0);
    CHECK(domain_info(CHILD)->flags & XEN_DOMINF_shutdown);
    CHECK_EQ(domctl(XEN_DOMCTL_soft_reset, CHILD), 0);
    CHECK_EQ(domain_info(CHILD)->flags & XEN_DOMINF_shutdown, 0);
    child_create_pv(CHILD);
    CHECK_EQ(hypercall_sched_op(SCHEDOP_remote_shutdown, &shutdown), 0);
    CHECK_ERRNO(domctl(XEN_DOMCTL_soft_reset, CHILD), EINVAL);
    child_destroy(CHILD);
}

static long put_shared_info(xen_pfn_t frame)
{
    struct xen_add_to_physmap add = {
        .domid = CHILD, .space = XENMAPSPACE_shared_info, .gpfn = frame};

    return hypercall_memory_op(XENMEM_add_to_physmap, &add);
}

static long set_time_offset(long seconds)
{
    struct xen_domctl *request = domctl_request(XEN_DOMCTL_settimeoffset, CHILD);

    request->u.settimeoffset.time_offset_seconds = seconds;
    return domctl_unanswered(request);
}

/*
 * Background: A domain's wall clock may differ from the machine's.
 * Provoked by: shared_info of a domain mapped there by the control domain, and looked at, with no
 * difference and one of an hour.
 * Expected: it is the frame that the state of the domain tells; the seconds are those of this domain, which has
 * no difference, and an hour more.
 * Source: domctl.h (XEN_DOMCTL_settimeoffset); common/time.c, update_domain_wallclock_time().
 */
TEST(domctl_settimeoffset_seen, CONTROL, "a domain sees its wall clock set apart from the machine's",
     .needs = "pv|hvm dom0")
{
    const volatile struct ARCH_CHILD(shared_info) *shared;
    uint32_t own = boot_info.shared_info->wc_sec;

    child_create_with_memory(CHILD);
    CHECK_EQ(put_shared_info(SPARE_FRAME), 0);
    CHECK_EQ(domain_info(CHILD)->shared_info_frame, SPARE_FRAME);
    CHECK_EQ(set_time_offset(0), 0);
    shared = child_map(CHILD, SPARE_FRAME);
    CHECK_EQ(shared->wc_sec, own);
    CHECK_EQ(set_time_offset(3600), 0);
    CHECK_EQ(shared->wc_sec, own + 3600);
    arch_child_unmap();
    child_destroy(CHILD);
}
