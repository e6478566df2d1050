/*
 * What a PV guest is handed: memory at virtual addresses from 0, page tables for it, the list of its
 * frames, start_info; see xen.h. In memory they follow the kernel in this order:
 *
 *     kernel | console ring | frame list | start_info | page tables | stack | free, mapped
 */
#include <elfnote.h>
#include <hypercall.h>
#include <string.h>

#include "builder.h"
#include "x86.h"

#define ENTRIES (PAGE_SIZE / sizeof(uint64_t))     /* of a page table */
#define ROOM 128                   /* pages that are mapped behind all that is in use, at least */
#define MAPPED_STEP 1024           /* pages; their end is a multiple of this */
#define FIRST_TABLE 3              /* of the tables: level 4, 3, 2, then those of level 1 */
#define PTE_READ_ONLY 0x61         /* PTE_DATA without the right to write */
#define RFLAGS_RESERVED 0x2

bool builder_pv_prepare(const struct domain *domain)
{
    (void)domain;
    return true;
}

/* The kernel's hypercall page, which Xen fills. */
static bool fill_hypercall_page(const struct domain *domain)
{
    struct xen_domctl *request = domain_request(domain, XEN_DOMCTL_hypercall_init);
    uint64_t address;

    if (!elf_note(&domain->kernel, XEN_ELFNOTE_HYPERCALL_PAGE, &address) ||
        address / PAGE_SIZE >= DOMAIN_PAGES)
        return domain_step("XEN_ELFNOTE_HYPERCALL_PAGE", -XEN_ENOEXEC);
    request->u.hypercall_init.gmfn = domain->frames[address / PAGE_SIZE];
    return domain_step("XEN_DOMCTL_hypercall_init", hypercall_domctl(request));
}

/* Xen's own page for the domain; upcalls are masked until the guest has said where they go. */
static bool start_shared_info(const struct domain *domain, unsigned long *frame)
{
    static char window[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
    struct shared_info *shared = (struct shared_info *)window;
    struct xen_domctl *request = domain_request(domain, XEN_DOMCTL_getdomaininfo);

    if (!domain_step("XEN_DOMCTL_getdomaininfo", hypercall_domctl(request)))
        return false;
    *frame = request->u.getdomaininfo.shared_info_frame;
    if (!domain_step("shared_info", domain_map(domain, window, *frame)))
        return false;
    shared->vcpu_info[0].evtchn_upcall_mask = 1;
    return domain_step("shared_info", domain_unmap(window));
}

static uint64_t entry(const struct domain *domain, unsigned long page, uint64_t flags)
{
    return domain->frames[page] * PAGE_SIZE | flags;
}

/* `mapped` pages from address 0 on, the `count` tables themselves read-only. */
static bool write_tables(const struct domain *domain, unsigned long first, unsigned long count,
                         unsigned long mapped)
{
    static uint64_t table[ENTRIES];

    memset(table, 0, sizeof(table));
    for (unsigned long level = 0; level < 2; level++) {    /* levels 4 and 3 */
        table[0] = entry(domain, first + level + 1, PTE_TABLE);
        if (!domain_write(domain, (first + level) * PAGE_SIZE, table, sizeof(table)))
            return false;
    }
    for (unsigned long i = 0; i < mapped / ENTRIES; i++)
        table[i] = entry(domain, first + FIRST_TABLE + i, PTE_TABLE);
    if (!domain_write(domain, (first + 2) * PAGE_SIZE, table, sizeof(table)))
        return false;
    for (unsigned long page = 0; page < mapped; page++) {
        bool is_table = page >= first && page < first + count;

        table[page % ENTRIES] = entry(domain, page, is_table ? PTE_READ_ONLY : PTE_DATA);
        if (page % ENTRIES == ENTRIES - 1 &&
            !domain_write(domain, (first + FIRST_TABLE + page / ENTRIES) * PAGE_SIZE, table,
                          sizeof(table)))
            return false;
    }
    return true;
}

/* From now on Xen keeps the tables, and refuses what would break them. */
static bool pin_tables(const struct domain *domain, unsigned long first)
{
    struct mmuext_op pin = {.cmd = MMUEXT_PIN_L4_TABLE, .arg1.mfn = domain->frames[first]};

    return domain_step("MMUEXT_PIN_L4_TABLE",
                       arch_hypercall(__HYPERVISOR_mmuext_op, arch_guest_address(&pin), 1, 0,
                                      domain->id, 0));
}

static bool start_vcpu(const struct domain *domain, unsigned long start, unsigned long tables,
                       unsigned long stack_end)
{
    static struct vcpu_guest_context context;
    struct xen_domctl *request;
    uint64_t address;

    if (!elf_note(&domain->kernel, XEN_ELFNOTE_ENTRY, &address))
        return domain_step("XEN_ELFNOTE_ENTRY", -XEN_ENOEXEC);
    memset(&context, 0, sizeof(context));
    context.flags = VGCF_in_kernel | VGCF_online;
    context.user_regs.cs = FLAT_KERNEL_CS;
    context.user_regs.ds = context.user_regs.es = context.user_regs.ss = FLAT_KERNEL_SS;
    context.user_regs.rip = address;
    context.user_regs.rsp = stack_end * PAGE_SIZE;
    context.user_regs.rsi = start * PAGE_SIZE;
    context.user_regs.rflags = RFLAGS_IF | RFLAGS_RESERVED;
    context.kernel_ss = FLAT_KERNEL_SS;
    context.kernel_sp = stack_end * PAGE_SIZE;
    context.ctrlreg[3] = domain->frames[tables] * PAGE_SIZE;
    request = domain_request(domain, XEN_DOMCTL_setvcpucontext);
    handle_set(request->u.vcpucontext.ctxt, &context);
    return domain_step("XEN_DOMCTL_setvcpucontext", hypercall_domctl(request));
}

bool builder_pv_finish(struct domain *domain)
{
    static struct start_info info;
    unsigned long shared_info, list, start, tables, stack, used, mapped, count;

    if (!fill_hypercall_page(domain) || !start_shared_info(domain, &shared_info) ||
        !domain_take_pages(domain, sizeof(domain->frames) / PAGE_SIZE, &list) ||
        !domain_take_pages(domain, 1, &start))
        return false;
    /* The tables map themselves and the stack behind them, so how many there are is known first. */
    used = domain->next_page + FIRST_TABLE + DOMAIN_PAGES / ENTRIES + 1;
    mapped = (used + ROOM + MAPPED_STEP - 1) / MAPPED_STEP * MAPPED_STEP;
    count = FIRST_TABLE + mapped / ENTRIES;
    if (mapped > DOMAIN_PAGES)
        return domain_step("memory of the kernel", -XEN_ENOMEM);
    if (!domain_take_pages(domain, count, &tables) || !domain_take_pages(domain, 1, &stack))
        return false;

    memset(&info, 0, sizeof(info));
    memcpy(info.magic, "xen-3.0-x86_64", sizeof("xen-3.0-x86_64"));
    info.nr_pages = DOMAIN_PAGES;
    info.shared_info = shared_info * PAGE_SIZE;
    info.console.domU.mfn = domain->frames[domain->console_page];
    info.pt_base = tables * PAGE_SIZE;
    info.nr_pt_frames = count;
    info.mfn_list = list * PAGE_SIZE;
    memcpy(info.cmd_line, domain->command_line,
           strnlen(domain->command_line, sizeof(info.cmd_line) - 1));

    return domain_write(domain, list * PAGE_SIZE, domain->frames, sizeof(domain->frames)) &&
           domain_write(domain, start * PAGE_SIZE, &info, sizeof(info)) &&
           write_tables(domain, tables, count, mapped) && pin_tables(domain, tables) &&
           start_vcpu(domain, start, tables, stack + 1);
}
