/* Domains that tests make (child.h): HVM domains with a local APIC and no other device of a PC. */
#include <domctl.h>
#include <grants.h>
#include <hypercall.h>
#include <memory.h>

#include "x86.h"

#define TABLES_POOL 1              /* MiB that Xen gets for the tables of a domain's memory */

static char window[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
static bool mapped;

void arch_child_config(struct xen_domctl_createdomain *config)
{
    config->flags = XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap;
    config->arch.emulation_flags = XEN_X86_EMU_LAPIC;
}

long arch_child_prepare(domid_t child)
{
    struct xen_domctl request = {
        .cmd = XEN_DOMCTL_shadow_op,
        .interface_version = XEN_DOMCTL_INTERFACE_VERSION,
        .domain = child,
        .u.shadow_op = {.op = XEN_DOMCTL_SHADOW_OP_SET_ALLOCATION, .mb = TABLES_POOL},
    };

    return hypercall_domctl(&request);
}

/* Of an HVM domain's vcpu Xen takes little from here. */
void arch_child_context(struct ARCH_CHILD(vcpu_guest_context) *context)
{
    context->user_regs.rip = 0x1000;
    context->user_regs.rsp = 0x2000;
    context->user_regs.rflags = 0x2;
}

long arch_child_map(domid_t child, xen_pfn_t frame, void **page)
{
    long rc;

    arch_child_unmap();
    rc = map_foreign(window, child, frame);
    mapped = rc == 0;
    *page = window;
    return rc;
}

void arch_child_unmap(void)
{
    if (mapped)
        unmap_foreign(window);
    mapped = false;
}
