/* Domains that tests make (child.h), with the interrupt controller that the machine has. */
#include <domctl.h>
#include <grants.h>
#include <hypercall.h>
#include <memory.h>

#define TABLES_POOL 1              /* MiB that Xen gets for the tables of a domain's memory */
#define SHARED_INTERRUPTS 32

static char window[4096] __attribute__((aligned(4096)));
static bool mapped;

void arch_child_config(struct xen_domctl_createdomain *config)
{
    config->flags = XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap;
    config->arch.gic_version = XEN_DOMCTL_CONFIG_GIC_NATIVE;
    config->arch.nr_spis = SHARED_INTERRUPTS;
}

static struct xen_domctl request;

static struct xen_domctl *begin(domid_t child, uint32_t command)
{
    request = (struct xen_domctl){
        .cmd = command,
        .interface_version = XEN_DOMCTL_INTERFACE_VERSION,
        .domain = child,
    };
    return &request;
}

/* A new domain is a 32-bit one. */
static long set_width(domid_t child)
{
    begin(child, XEN_DOMCTL_set_address_size)->u.address_size.size = 8 * sizeof(long);
    return hypercall_domctl(&request);
}

long arch_child_prepare(domid_t child)
{
    long rc = set_width(child);

    if (rc)
        return rc;
#ifdef XEN_DOMCTL_set_paging_mempool_size
    begin(child, XEN_DOMCTL_set_paging_mempool_size)->u.paging_mempool.size = TABLES_POOL << 20;
#else
    begin(child, XEN_DOMCTL_shadow_op)->u.shadow_op.op = XEN_DOMCTL_SHADOW_OP_SET_ALLOCATION;
    request.u.shadow_op.mb = TABLES_POOL;
#endif
    return hypercall_domctl(&request);
}

void arch_child_context(struct vcpu_guest_context *context)
{
#ifdef __aarch64__
    context->user_regs.cpsr = PSR_GUEST64_INIT;
#else
    context->user_regs.cpsr = PSR_GUEST32_INIT;
#endif
    context->user_regs.pc64 = GUEST_RAM0_BASE;
    context->sctlr = SCTLR_GUEST_INIT;
}

long arch_child_map(domid_t child, xen_pfn_t frame, void **page)
{
    long rc;

    arch_child_unmap();
    rc = physmap_map_foreign(window, child, frame);
    mapped = rc == 0;
    *page = window;
    return rc;
}

void arch_child_unmap(void)
{
    if (mapped)
        physmap_unmap_foreign(window);
    mapped = false;
}
