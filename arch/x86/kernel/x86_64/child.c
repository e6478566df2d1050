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
void arch_child_context(struct vcpu_guest_context *context)
{
    context->user_regs.rip = 0x1000;
    context->user_regs.rsp = 0x2000;
    context->user_regs.rflags = 0x2;
}

static long map_machine_frame(unsigned long entry, domid_t owner)
{
    return arch_hypercall(__HYPERVISOR_update_va_mapping_otherdomain, (unsigned long)window, entry,
                          UVMF_INVLPG, owner, 0);
}

static long map_guest_frame(domid_t owner, xen_pfn_t frame)
{
    struct xen_add_to_physmap_batch batch = {
        .domid = DOMID_SELF, .space = XENMAPSPACE_gmfn_foreign, .size = 1, .u.foreign_domid = owner};
    xen_ulong_t from = frame;
    xen_pfn_t to = arch_frame(window);
    int error = 0;
    long rc = arch_vacate(window);

    handle_set(batch.idxs, &from);
    handle_set(batch.gpfns, &to);
    handle_set(batch.errs, &error);
    if (rc == 0)
        rc = hypercall_memory_op(XENMEM_add_to_physmap_batch, &batch);
    return rc ? rc : error;
}

long arch_child_map(domid_t child, xen_pfn_t frame, void **page)
{
    long rc;

    arch_child_unmap();
    if (arch_is_pv())
        rc = map_machine_frame(frame * PAGE_SIZE | PTE_DATA, child);
    else
        rc = map_guest_frame(child, frame);
    mapped = rc == 0;
    if (!mapped)
        arch_occupy(window);
    *page = window;
    return rc;
}

void arch_child_unmap(void)
{
    if (!mapped)
        return;
    mapped = false;
    if (arch_is_pv()) {
        arch_occupy(window);
    } else {
        struct xen_remove_from_physmap remove = {.domid = DOMID_SELF, .gpfn = arch_frame(window)};

        hypercall_memory_op(XENMEM_remove_from_physmap, &remove);
        arch_occupy(window);
    }
}
