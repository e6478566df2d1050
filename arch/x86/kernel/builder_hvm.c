/*
 * What an HVM guest is handed that is started the PVH way: memory from address 0 on, hvm_start_info in
 * it, a vcpu in 32-bit mode without paging; see arch-x86/hvm/start_info.h.
 *
 * It gets no ACPI tables.
 */
#include <elfnote.h>
#include <hypercall.h>
#include <string.h>

#include <arch-x86/hvm/start_info.h>
#include <hvm/params.h>

#include "builder.h"
#include "x86.h"

#define TABLES_POOL 4              /* MiB that Xen gets for the tables of the domain's memory */
#define RFLAGS_RESERVED 0x2

/* A page of the domain's. */
struct start {
    struct hvm_start_info info;
    struct hvm_memmap_table_entry memory[2];
    char command_line[MAX_GUEST_CMDLINE];
};

bool builder_hvm_prepare(const struct domain *domain)
{
    struct xen_domctl *request = domain_request(domain, XEN_DOMCTL_shadow_op);

    request->u.shadow_op.op = XEN_DOMCTL_SHADOW_OP_SET_ALLOCATION;
    request->u.shadow_op.mb = TABLES_POOL;
    return domain_step("XEN_DOMCTL_SHADOW_OP_SET_ALLOCATION", hypercall_domctl(request));
}

static bool set_param(const struct domain *domain, uint32_t index, uint64_t value)
{
    struct xen_hvm_param param = {.domid = domain->id, .index = index, .value = value};

    return domain_step("HVMOP_set_param", hypercall_hvm_op(HVMOP_set_param, &param));
}

static bool start_vcpu(const struct domain *domain, uint64_t start)
{
    static struct vcpu_guest_context context;
    uint64_t address;

    if (!elf_note(&domain->kernel, XEN_ELFNOTE_PHYS32_ENTRY, &address))
        return domain_step("XEN_ELFNOTE_PHYS32_ENTRY", -XEN_ENOEXEC);
    memset(&context, 0, sizeof(context));
    context.flags = VGCF_online;
    context.user_regs.rip = address;
    context.user_regs.rbx = start;
    context.user_regs.rflags = RFLAGS_RESERVED;
    return domain_set_context(domain, &context);
}

bool builder_hvm_finish(struct domain *domain)
{
    static struct start start;
    unsigned long page;
    uint64_t at, console = domain->console_page * PAGE_SIZE;

    if (!domain_take_pages(domain, 1, &page))
        return false;
    at = page * PAGE_SIZE;
    start = (struct start){
        .info = {
            .magic = XEN_HVM_START_MAGIC_VALUE,
            .version = 1,
            .cmdline_paddr = at + offsetof(struct start, command_line),
            .memmap_paddr = at + offsetof(struct start, memory),
            .memmap_entries = 2,
        },
        /* The page of the console ring, which is no memory, parts them. */
        .memory = {
            {.addr = 0, .size = console, .type = XEN_HVM_MEMMAP_TYPE_RAM},
            {
                .addr = console + PAGE_SIZE,
                .size = DOMAIN_PAGES * PAGE_SIZE - (console + PAGE_SIZE),
                .type = XEN_HVM_MEMMAP_TYPE_RAM,
            },
        },
    };
    memcpy(start.command_line, domain->command_line,
           strnlen(domain->command_line, sizeof(start.command_line) - 1));

    return domain_write(domain, at, &start, sizeof(start)) &&
           set_param(domain, HVM_PARAM_CONSOLE_PFN, domain->console_page) &&
           start_vcpu(domain, at);
}
