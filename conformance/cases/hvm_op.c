/*
 * hvm_op: the parameters that a guest with hardware virtualisation and Xen tell each other, and the
 * few other commands that such a guest may use.
 */
#include <string.h>
#include <timing.h>

#include "common.h"
#include "system_time.h"

/* Release 3.2, of PowerPC, has other parameters. */
#if RELEASE_IS_AT_LEAST(4, 14)
#include <hvm/hvm_op.h>
#include <hvm/params.h>

static bool is_kind(const char *guest)
{
    return strcmp(boot_info.guest, guest) == 0;
}

static long set_param(domid_t domain, uint32_t index, uint64_t value)
{
    struct xen_hvm_param param = {.domid = domain, .index = index, .value = value};

    return hypercall_hvm_op(HVMOP_set_param, &param);
}

static long get_param(domid_t domain, uint32_t index, uint64_t *value)
{
    struct xen_hvm_param param = {.domid = domain, .index = index, .value = ~0ull};
    long rc = hypercall_hvm_op(HVMOP_get_param, &param);

    *value = param.value;
    return rc;
}

static bool events_arrive(void)
{
    evtchn_port_t port = 0;

    return event_bind_ipi(&port) == 0 && event_bind(port, NULL, NULL) == 0 &&
           event_send(port) == 0 && event_wait(port, 1, EVENT_LIMIT);
}

/*
 * Background: How upcalls come is a parameter: an HVM guest sets it, a guest on Arm may be told
 * here or only by its device tree.
 * Provoked by: the parameter read, set, and an event sent.
 * Expected: on x86, the vector that the kernel set at its start, which can be set again; on Arm, a
 * private interrupt or nothing, which cannot be changed (-EPERM). Events arrive all the while.
 * Source: hvm/params.h (HVM_PARAM_CALLBACK_IRQ); hvm_set_callback_via(); arch/arm/hvm.c.
 */
TEST(hvm_param_callback, ENTER, "the parameter for upcalls says how they come", .needs = "hvm|arm")
{
    uint64_t value;

    CHECK_EQ(get_param(DOMID_SELF, HVM_PARAM_CALLBACK_IRQ, &value), 0);
    /* A vector on x86, a private interrupt on Arm: the same number. */
    if (is_kind("hvm") || value != 0) {
        CHECK_EQ(value >> 56, 2);
        CHECK((value & 0xff) >= 16);
    }
    if (is_kind("hvm"))
        CHECK_EQ(set_param(DOMID_SELF, HVM_PARAM_CALLBACK_IRQ, value), 0);
    else
        CHECK_ERRNO(set_param(DOMID_SELF, HVM_PARAM_CALLBACK_IRQ, value), EPERM);
    CHECK(events_arrive());
}

/*
 * Background: Parameters are how a guest and Xen tell each other settings; Xen checks what it uses
 * itself.
 * Provoked by: a parameter that an HVM guest may set, to values that it may have, and to another.
 * Expected: 0, and the value is read back; -EINVAL, and the value stays.
 * Source: hvm/params.h (HVM_PARAM_X87_FIP_WIDTH); arch/x86/hvm/hvm.c, hvm_set_param().
 */
TEST(hvm_param_value, ENTER, "a parameter keeps the value that it may have", .needs = "hvm")
{
    uint64_t before, value;

    CHECK_EQ(get_param(DOMID_SELF, HVM_PARAM_X87_FIP_WIDTH, &before), 0);
    CHECK_EQ(set_param(DOMID_SELF, HVM_PARAM_X87_FIP_WIDTH, 8), 0);
    CHECK_EQ(get_param(DOMID_SELF, HVM_PARAM_X87_FIP_WIDTH, &value), 0);
    CHECK_EQ(value, 8);
    CHECK_EQ(set_param(DOMID_SELF, HVM_PARAM_X87_FIP_WIDTH, 4), 0);
    CHECK_ERRNO(set_param(DOMID_SELF, HVM_PARAM_X87_FIP_WIDTH, 5), EINVAL);
    CHECK_EQ(get_param(DOMID_SELF, HVM_PARAM_X87_FIP_WIDTH, &value), 0);
    CHECK_EQ(value, 4);
    CHECK_EQ(set_param(DOMID_SELF, HVM_PARAM_X87_FIP_WIDTH, before), 0);
}

/*
 * Background: Some parameters are for the tools only, some are out of use.
 * Provoked by: each kind set and read; a number beyond the last; a domain that does not exist.
 * Expected: -EPERM; -EINVAL; -EINVAL; -ESRCH.
 * Source: hvm/params.h; hvm_allow_set_param(), hvm_allow_get_param() of the architecture.
 */
TEST(hvm_param_refused, ENTER, "parameters that are not the guest's are refused",
     .needs = "hvm|arm")
{
    uint64_t value;

    CHECK_ERRNO(set_param(DOMID_SELF, HVM_PARAM_MONITOR_RING_PFN, 0), EPERM);
    CHECK_ERRNO(get_param(DOMID_SELF, HVM_PARAM_MONITOR_RING_PFN, &value), EPERM);
    CHECK_ERRNO(set_param(DOMID_SELF, HVM_PARAM_DM_DOMAIN, 0), EINVAL);
    CHECK_ERRNO(get_param(DOMID_SELF, HVM_PARAM_DM_DOMAIN, &value), EINVAL);
    CHECK_ERRNO(set_param(DOMID_SELF, HVM_NR_PARAMS, 0), EINVAL);
    CHECK_ERRNO(get_param(DOMID_SELF, HVM_NR_PARAMS, &value), EINVAL);
    CHECK_ERRNO(set_param(NO_DOMAIN, HVM_PARAM_CALLBACK_IRQ, 0), ESRCH);
    CHECK_ERRNO(get_param(NO_DOMAIN, HVM_PARAM_CALLBACK_IRQ, &value), ESRCH);
}

/*
 * Background: Parameters of other domains are for the tools.
 * Provoked by: the parameters of domain 0, from a domU.
 * Expected: -EPERM.
 * Source: xsm/dummy.h, xsm_hvm_param().
 */
TEST(hvm_param_of_another_domain, ENTER, "a domU is refused the parameters of dom0: EPERM",
     .needs = "arm domu")
{
    uint64_t value;

    CHECK_ERRNO(set_param(0, HVM_PARAM_CALLBACK_IRQ, 0), EPERM);
    CHECK_ERRNO(get_param(0, HVM_PARAM_CALLBACK_IRQ, &value), EPERM);
}

/*
 * Background: On x86 dom0 may be a PV domain, which has no parameters; Xen sees that first.
 * Provoked by: the parameters of domain 0, from a domU.
 * Expected: -EINVAL if dom0 is a PV domain; else -EPERM.
 * Source: arch/x86/hvm/hvm.c, hvmop_set_param() and hvmop_get_param(); xsm/dummy.h, xsm_hvm_param().
 */
TEST(hvm_param_of_pv_or_hvm_dom0, ENTER, "an HVM domU is refused the parameters of dom0",
     .needs = "hvm domu")
{
    uint64_t value;
    long rc = set_param(0, HVM_PARAM_CALLBACK_IRQ, 0);

    CHECK(rc == -XEN_EINVAL || rc == -XEN_EPERM);
    CHECK_EQ(get_param(0, HVM_PARAM_CALLBACK_IRQ, &value), rc);
}

/*
 * Background: A PV guest has no parameters.
 * Provoked by: one set and read.
 * Expected: -EINVAL.
 * Source: arch/x86/hvm/hvm.c, hvmop_set_param(), hvmop_get_param().
 */
TEST(hvm_param_not_for_pv, ENTER, "a PV guest has no parameters: EINVAL", .needs = "pv")
{
    uint64_t value;

    CHECK_ERRNO(set_param(DOMID_SELF, HVM_PARAM_CALLBACK_IRQ, 0), EINVAL);
    CHECK_ERRNO(get_param(DOMID_SELF, HVM_PARAM_CALLBACK_IRQ, &value), EINVAL);
}

#ifdef HVMOP_flush_tlbs
/*
 * Background: A guest with several vcpus can flush the TLBs of all of them in one call.
 * Provoked by: the command, and with an argument, which it does not take.
 * Expected: 0 for an HVM guest, -EINVAL for a PV guest; -EINVAL.
 * Source: hvm/hvm_op.h (HVMOP_flush_tlbs); arch/x86/hvm/hvm.c, do_hvm_op().
 */
TEST(hvm_flush_tlbs, ENTER, "an HVM guest can have its TLBs flushed", .needs = "pv|hvm")
{
    uint64_t argument = 0;

    CHECK_EQ(hypercall_hvm_op(HVMOP_flush_tlbs, NULL), is_kind("pv") ? -XEN_EINVAL : 0);
    CHECK_ERRNO(hypercall_hvm_op(HVMOP_flush_tlbs, &argument), EINVAL);
}
#endif

#ifdef HVMOP_get_time
/*
 * Background: A guest without a mapped vcpu_info can ask for the time.
 * Provoked by: the time, between two readings of the clock; the time to be written to no address.
 * Expected: a time in between; -EFAULT.
 * Source: hvm/hvm_op.h (HVMOP_get_time); arch/x86/hvm/hvm.c, do_hvm_op().
 */
TEST(hvm_get_time, TIME, "HVMOP_get_time tells the system time", .needs = "pv|hvm")
{
    struct xen_hvm_get_time time = {.now = 0};
    uint64_t before = system_time();

    CHECK_EQ(hypercall_hvm_op(HVMOP_get_time, &time), 0);
    CHECK(time.now + CLOCK_SLACK >= before);
    CHECK(time.now <= system_time() + CLOCK_SLACK);
    CHECK_ERRNO(hypercall_hvm_op(HVMOP_get_time, arch_unmapped_pointer()), EFAULT);
}
#endif

#ifdef HVMOP_set_evtchn_upcall_vector
/*
 * Background: Vectors below 16 are the processor's own.
 * Provoked by: vectors that belong to the processor; a vcpu that does not exist; a PV guest.
 * Expected: -EINVAL; -ENOENT; -EINVAL.
 * Source: hvm/hvm_op.h (HVMOP_set_evtchn_upcall_vector); arch/x86/hvm/hvm.c.
 */
TEST(hvm_upcall_vector_refused, ENTER, "an upcall vector must be free, and its vcpu must exist",
     .needs = "pv|hvm")
{
    struct xen_hvm_evtchn_upcall_vector upcall = {.vcpu = 0, .vector = 15};

    CHECK_ERRNO(hypercall_hvm_op(HVMOP_set_evtchn_upcall_vector, &upcall), EINVAL);
    upcall = (struct xen_hvm_evtchn_upcall_vector){.vcpu = NO_VCPU, .vector = 0x40};
    if (is_kind("pv"))
        CHECK_ERRNO(hypercall_hvm_op(HVMOP_set_evtchn_upcall_vector, &upcall), EINVAL);
    else
        CHECK_ERRNO(hypercall_hvm_op(HVMOP_set_evtchn_upcall_vector, &upcall), ENOENT);
}
#endif

#ifdef HVMOP_get_mem_type
/*
 * Background: A frame of an HVM guest is RAM or something else.
 * Provoked by: a page of the kernel; the frame after the last one that the guest has.
 * Expected: RAM; a device's.
 * Source: hvm/hvm_op.h (HVMOP_get_mem_type); arch/x86/hvm/hvm.c, hvmop_get_mem_type().
 */
TEST(hvm_mem_type, ENTER, "an HVM guest asks what a frame is", .needs = "hvm")
{
    struct xen_hvm_get_mem_type type = {.domid = DOMID_SELF, .mem_type = 0xffff};
    domid_t self = DOMID_SELF;

    type.pfn = arch_frame(&type);
    CHECK_EQ(hypercall_hvm_op(HVMOP_get_mem_type, &type), 0);
    CHECK_EQ(type.mem_type, HVMMEM_ram_rw);
    type.pfn = (uint64_t)hypercall_memory_op(XENMEM_maximum_gpfn, &self) + 1;
    CHECK_EQ(hypercall_hvm_op(HVMOP_get_mem_type, &type), 0);
    CHECK_EQ(type.mem_type, HVMMEM_mmio_dm);
}
#endif

#ifdef HVMOP_xentrace
static long trace(uint16_t event, uint16_t bytes)
{
    struct xen_hvm_xentrace trace = {.event = event, .extra_bytes = bytes};

    return hypercall_hvm_op(HVMOP_xentrace, &trace);
}

/*
 * Background: A guest may write events of its own into the trace buffers.
 * Provoked by: events without data, with some and with as much as there may be; too much, a part of a word, and a number
 * that is too large.
 * Expected: 0; -EINVAL, but for the part of a word until 4.17.
 * Source: hvm/hvm_op.h (HVMOP_xentrace); arch/x86/hvm/hvm.c, do_hvm_op().
 */
TEST(hvm_xentrace, ENTER, "a guest writes events into the trace buffers", .needs = "pv|hvm")
{
    CHECK_EQ(trace(1, 0), 0);
    CHECK_EQ(trace(0xfff, 8), 0);
    CHECK_EQ(trace(1, 28), 0);
    CHECK_ERRNO(trace(1, 32), EINVAL);
    CHECK_ERRNO(trace(0x1000, 0), EINVAL);
    if (RELEASE_IS_AT_LEAST(4, 18))
        CHECK_ERRNO(trace(1, 2), EINVAL);
    else
        CHECK_EQ(trace(1, 2), 0);
}
#endif

#ifdef HVMOP_pagetable_dying
/*
 * Background: With shadow page tables, a kernel tells Xen when a process ends; no environment has them.
 * Provoked by: the end of a process of this domain.
 * Expected: -EINVAL.
 * Source: hvm/hvm_op.h (HVMOP_pagetable_dying); arch/x86/hvm/hvm.c, do_hvm_op().
 */
TEST(hvm_pagetable_dying, ENTER, "without shadow page tables Xen does not ask for dying ones: EINVAL",
     .needs = "pv|hvm")
{
    struct xen_hvm_pagetable_dying dying = {.domid = DOMID_SELF};

    CHECK_ERRNO(hypercall_hvm_op(HVMOP_pagetable_dying, &dying), EINVAL);
}
#endif

/*
 * Background: A guest can call for a tool that watches it, whether or not there is one.
 * Provoked by: the call to a monitor that there is none of, with and without an argument.
 * Expected: -EINVAL with one; 0 without.
 * Source: hvm/hvm_op.h (HVMOP_guest_request_vm_event); common/monitor.c, monitor_guest_request().
 */
TEST(hvm_guest_request, ENTER, "a call to the monitor takes no argument", .needs = "pv|hvm|arm")
{
    uint64_t argument = 0;

    CHECK_ERRNO(hypercall_hvm_op(HVMOP_guest_request_vm_event, &argument), EINVAL);
    CHECK_EQ(hypercall_hvm_op(HVMOP_guest_request_vm_event, NULL), 0);
}

/*
 * Background: A caller finds out what a release has by trying, so what is not there must be refused
 * in a way it knows.
 * Provoked by: arguments at an address where nothing is; a command that hvm_op does not have.
 * Expected: -EFAULT; -ENOSYS.
 * Source: do_hvm_op() of the architecture.
 */
TEST(hvm_op_refused, ENTER, "hvm_op at no address: EFAULT; unknown: ENOSYS", .needs = "pv|hvm|arm")
{
    CHECK_ERRNO(hypercall_hvm_op(HVMOP_set_param, arch_unmapped_pointer()), EFAULT);
    CHECK_ERRNO(hypercall_hvm_op(HVMOP_get_param, arch_unmapped_pointer()), EFAULT);
    CHECK_ERRNO(hypercall_hvm_op(NO_COMMAND, NULL), ENOSYS);
}
#endif

/*
 * Background: IBM's port has one kind of guest only.
 * Provoked by: hvm_op on a port that has no such guests.
 * Expected: -ENOSYS.
 * Source: 3.2's powerpc64/hypercall_table.S.
 */
TEST(hvm_op_not_on_ppc, ENTER, "IBM's port has no hvm_op: ENOSYS", .needs = "ppc")
{
    CHECK_ERRNO(hypercall_hvm_op(0, NULL), ENOSYS);
}
