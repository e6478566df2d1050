/*
 * hvm_op of the control domain, for an HVM domain that it builds.
 */
#include <string.h>

#include <hvm/hvm_op.h>
#include <hvm/params.h>

#include "children.h"

#define MOST_SERVER_PAGES 64       /* the bits of a word of Xen's */

static long set_param(uint32_t index, uint64_t value)
{
    struct xen_hvm_param param = {.domid = CHILD, .index = index, .value = value};
    long rc = hypercall_hvm_op(HVMOP_set_param, &param);

    CHECK_EQ(param.value, value);
    return rc;
}

static uint64_t get_param(uint32_t index)
{
    struct xen_hvm_param param = {.domid = CHILD, .index = index, .value = ~0ull};

    CHECK_EQ(hypercall_hvm_op(HVMOP_get_param, &param), 0);
    return param.value;
}

/*
 * Background: The tools tell a guest by its parameters where things are.
 * Provoked by: parameters of another domain that the domain itself may not set, before and after; one that may be set
 * once, to another value, and again to the same; values that they may not have; a PV domain.
 * Expected: 0, and what was set; -EEXIST, 0; -EINVAL; -EINVAL.
 * Source: hvm/params.h; arch/x86/hvm/hvm.c, hvm_allow_set_param(), hvm_set_param().
 */
TEST(hvm_param_of_child, CONTROL, "the control domain sets parameters of an HVM domain",
     .needs = "pv|hvm dom0")
{
    struct xen_hvm_param param = {.domid = CHILD, .index = HVM_PARAM_STORE_PFN};

    child_create_with_vcpus(CHILD);
    CHECK_EQ(get_param(HVM_PARAM_STORE_PFN), 0);
    CHECK_EQ(set_param(HVM_PARAM_STORE_PFN, 0xfeffc), 0);
    CHECK_EQ(get_param(HVM_PARAM_STORE_PFN), 0xfeffc);
    CHECK_EQ(set_param(HVM_PARAM_STORE_PFN, 0xfeffd), 0);
    CHECK_EQ(get_param(HVM_PARAM_STORE_PFN), 0xfeffd);
    CHECK_EQ(set_param(HVM_PARAM_IOREQ_SERVER_PFN, 0x10), 0);
    CHECK_ERRNO(set_param(HVM_PARAM_IOREQ_SERVER_PFN, 0x11), EEXIST);
    CHECK_EQ(set_param(HVM_PARAM_IOREQ_SERVER_PFN, 0x10), 0);
    CHECK_EQ(get_param(HVM_PARAM_IOREQ_SERVER_PFN), 0x10);

    CHECK_ERRNO(set_param(HVM_PARAM_NR_IOREQ_SERVER_PAGES, 0), EINVAL);
    CHECK_ERRNO(set_param(HVM_PARAM_NR_IOREQ_SERVER_PAGES, MOST_SERVER_PAGES + 1), EINVAL);
    CHECK_ERRNO(set_param(HVM_PARAM_TIMER_MODE, 4), EINVAL);
    CHECK_EQ(get_param(HVM_PARAM_TIMER_MODE), 0);
    CHECK_EQ(set_param(HVM_PARAM_TIMER_MODE, 3), 0);
    CHECK_ERRNO(set_param(HVM_PARAM_TRIPLE_FAULT_REASON, SHUTDOWN_MAX + 1), EINVAL);
    child_create_pv(CHILD);
    CHECK_ERRNO(set_param(HVM_PARAM_STORE_PFN, 1), EINVAL);
    CHECK_ERRNO(hypercall_hvm_op(HVMOP_get_param, &param), EINVAL);
    child_destroy(CHILD);
}

/*
 * Background: The device model asks what a page of its guest is; the guest may too.
 * Provoked by: pages of another domain, one of them taken away; a PV domain.
 * Expected: RAM, and a device's; -EINVAL.
 * Source: hvm/hvm_op.h (HVMOP_get_mem_type); arch/x86/hvm/hvm.c, hvmop_get_mem_type().
 */
TEST(hvm_mem_type_of_child, CONTROL, "the control domain asks what a page of an HVM domain is",
     .needs = "pv|hvm dom0")
{
    struct xen_hvm_get_mem_type type = {.domid = CHILD, .pfn = CHILD_FRAME + 2};
    struct xen_remove_from_physmap remove = {.domid = CHILD, .gpfn = CHILD_FRAME + 2};

    child_create_with_memory(CHILD);
    type.mem_type = 0xffff;
    CHECK_EQ(hypercall_hvm_op(HVMOP_get_mem_type, &type), 0);
    CHECK_EQ(type.mem_type, HVMMEM_ram_rw);
    CHECK_EQ(hypercall_memory_op(XENMEM_remove_from_physmap, &remove), 0);
    CHECK_EQ(hypercall_hvm_op(HVMOP_get_mem_type, &type), 0);
    CHECK_EQ(type.mem_type, HVMMEM_mmio_dm);
    child_create_pv(CHILD);
    CHECK_ERRNO(hypercall_hvm_op(HVMOP_get_mem_type, &type), EINVAL);
    child_destroy(CHILD);
}

/*
 * Background: A kernel tells Xen when a process ends, so that its page tables need not be followed any more.
 * Provoked by: a process of another domain.
 * Expected: -EOPNOTSUPP.
 * Source: hvm/hvm_op.h (HVMOP_pagetable_dying); arch/x86/hvm/hvm.c, do_hvm_op().
 */
TEST(hvm_pagetable_dying_of_child, CONTROL, "nobody tells of the end of another domain's process",
     .needs = "pv|hvm dom0")
{
    struct xen_hvm_pagetable_dying dying = {.domid = CHILD};

    child_create(CHILD);
    CHECK_ERRNO(hypercall_hvm_op(HVMOP_pagetable_dying, &dying), EOPNOTSUPP);
    child_destroy(CHILD);
}
