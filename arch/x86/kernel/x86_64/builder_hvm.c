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
#include <hvm/save.h>

#include "builder.h"
#include "x86.h"

#define TABLES_POOL 4              /* MiB that Xen gets for the tables of the domain's memory */

#define RFLAGS_RESERVED 0x2
#define DR6_RESERVED 0xffff0ff0
#define DR7_RESERVED 0x400
#define SEGMENT_CODE 0xc9b         /* present, accessed, 32-bit, limit in pages */
#define SEGMENT_DATA 0xc93
#define SEGMENT_TASK 0x8b          /* present, 32-bit TSS in use */
#define TASK_STATE_LIMIT 0x67
#define MTRR_ENABLED 0x800
#define MTRR_WRITE_BACK 6

/* A page of the domain's. */
struct start {
    struct hvm_start_info info;
    struct hvm_memmap_table_entry memory[MEMORY_RANGES];
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

/* What XEN_DOMCTL_sethvmcontext takes: records, each behind its descriptor; all are multiples of 8 bytes. */
struct context {
    struct hvm_save_descriptor header_follows;
    struct hvm_save_header header;
    struct hvm_save_descriptor cpu_follows;
    struct hvm_hw_cpu cpu;
    struct hvm_save_descriptor mtrr_follows;
    struct hvm_hw_mtrr mtrr;
    struct hvm_save_descriptor end;
};

#define DESCRIPTOR(name)                                                                           \
    (struct hvm_save_descriptor){                                                                  \
        .typecode = HVM_SAVE_CODE(name),                                                           \
        .length = HVM_SAVE_LENGTH(name),                                                           \
    }

/* The memory types that vcpu 0 begins with, and write-back for what they leave open. */
static bool choose_memory_types(const struct domain *domain, struct hvm_hw_mtrr *mtrr)
{
    struct xen_domctl *request = domain_request(domain, XEN_DOMCTL_gethvmcontext_partial);

    request->u.hvmcontext_partial.type = HVM_SAVE_CODE(MTRR);
    request->u.hvmcontext_partial.bufsz = sizeof(*mtrr);
    handle_set(request->u.hvmcontext_partial.buffer, mtrr);
    if (!domain_step("XEN_DOMCTL_gethvmcontext_partial", hypercall_domctl(request)))
        return false;
    mtrr->msr_mtrr_def_type = MTRR_ENABLED | MTRR_WRITE_BACK;
    return true;
}

/* 32-bit mode without paging, flat segments, interrupts off. */
static void choose_registers(struct hvm_hw_cpu *cpu, uint64_t entry, uint64_t start)
{
    cpu->rip = entry;
    cpu->rbx = start;
    cpu->rflags = RFLAGS_RESERVED;
    cpu->cr0 = CR0_PE | CR0_ET;
    cpu->dr6 = DR6_RESERVED;
    cpu->dr7 = DR7_RESERVED;
    cpu->cs_limit = cpu->ds_limit = cpu->es_limit = cpu->ss_limit = ~0u;
    cpu->cs_arbytes = SEGMENT_CODE;
    cpu->ds_arbytes = cpu->es_arbytes = cpu->ss_arbytes = SEGMENT_DATA;
    cpu->tr_limit = TASK_STATE_LIMIT;
    cpu->tr_arbytes = SEGMENT_TASK;
}

static bool start_vcpu(const struct domain *domain, uint64_t start)
{
    static struct context context;
    struct xen_domctl *request;
    uint64_t address;

    if (!elf_note(&domain->kernel, XEN_ELFNOTE_PHYS32_ENTRY, &address))
        return domain_step("XEN_ELFNOTE_PHYS32_ENTRY", -XEN_ENOEXEC);
    context = (struct context){
        .header_follows = DESCRIPTOR(HEADER),
        .header = {.magic = HVM_FILE_MAGIC, .version = HVM_FILE_VERSION},
        .cpu_follows = DESCRIPTOR(CPU),
        .mtrr_follows = DESCRIPTOR(MTRR),
        .end = DESCRIPTOR(END),
    };
    choose_registers(&context.cpu, address, start);
    if (!choose_memory_types(domain, &context.mtrr))
        return false;
    request = domain_request(domain, XEN_DOMCTL_sethvmcontext);
    request->u.hvmcontext.size = sizeof(context);
    handle_set(request->u.hvmcontext.buffer, &context);
    return domain_step("XEN_DOMCTL_sethvmcontext", hypercall_domctl(request));
}

bool builder_hvm_finish(struct domain *domain)
{
    static struct start start;
    unsigned long page;
    uint64_t at;

    if (!domain_take_pages(domain, 1, &page))
        return false;
    at = page * PAGE_SIZE;
    start = (struct start){
        .info = {
            .magic = XEN_HVM_START_MAGIC_VALUE,
            .version = 1,
            .cmdline_paddr = at + offsetof(struct start, command_line),
            .memmap_paddr = at + offsetof(struct start, memory),
            .memmap_entries = MEMORY_RANGES,
        },
    };
    for (unsigned int i = 0; i < MEMORY_RANGES; i++) {
        start.memory[i].addr = domain->memory[i].address;
        start.memory[i].size = domain->memory[i].size;
        start.memory[i].type = domain->memory[i].type;
    }
    memcpy(start.command_line, domain->command_line,
           strnlen(domain->command_line, sizeof(start.command_line) - 1));

    return domain_write(domain, at, &start, sizeof(start)) &&
           set_param(domain, HVM_PARAM_CONSOLE_PFN, domain->console_page) &&
           start_vcpu(domain, at);
}
