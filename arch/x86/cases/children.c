/* Domains of x86's kinds that tests make; see children.h. */
#include <string.h>

#include <hvm/save.h>
#include <memory.h>

#include "children.h"

xen_pfn_t child_pv_frames[CHILD_PAGES];

static void create(domid_t child, uint32_t flags, uint32_t emulation_flags)
{
    struct xen_domctl *request;

    child_create(child);          /* whatever was there is gone */
    child_destroy(child);
    request = child_request(child);
    request->u.createdomain.flags = flags;
    request->u.createdomain.arch.emulation_flags = emulation_flags;
    CHECK_EQ(hypercall_domctl(request), 0);
    domctl_request(XEN_DOMCTL_max_vcpus, child)->u.max_vcpus.max = CHILD_VCPUS;
    CHECK_EQ(hypercall_domctl(request), 0);
    domctl_request(XEN_DOMCTL_max_mem, child)->u.max_mem.max_memkb =
        2 * CHILD_PAGES * (PAGE_BYTES / 1024);
    CHECK_EQ(hypercall_domctl(request), 0);
}

void child_create_pv(domid_t child)
{
    struct xen_memory_reservation memory = {.nr_extents = CHILD_PAGES, .domid = child};

    create(child, 0, 0);
    for (unsigned int i = 0; i < CHILD_PAGES; i++)
        child_pv_frames[i] = i;
    handle_set(memory.extent_start, child_pv_frames);
    CHECK_EQ(hypercall_memory_op(XENMEM_populate_physmap, &memory), CHILD_PAGES);
}

void child_create_pc(domid_t child)
{
    create(child, XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap, XEN_X86_EMU_ALL & ~XEN_X86_EMU_VPCI);
    CHECK_EQ(arch_child_prepare(child), 0);
    CHECK_EQ(child_populate(child, CHILD_FRAME, CHILD_PAGES), CHILD_PAGES);
}

#define DESCRIPTOR(name)                                                                           \
    (struct hvm_save_descriptor){                                                                  \
        .typecode = HVM_SAVE_CODE(name),                                                           \
        .length = HVM_SAVE_LENGTH(name),                                                           \
    }

void child_start_hvm(domid_t child, uint64_t rip)
{
    static struct {
        struct hvm_save_descriptor header_follows;
        struct hvm_save_header header;
        struct hvm_save_descriptor cpu_follows;
        struct hvm_hw_cpu cpu;
        struct hvm_save_descriptor end;
    } stream;
    struct xen_domctl *request = domctl_request(XEN_DOMCTL_sethvmcontext, child);

    memset(&stream, 0, sizeof(stream));
    stream.header_follows = DESCRIPTOR(HEADER);
    stream.header.magic = HVM_FILE_MAGIC;
    stream.header.version = HVM_FILE_VERSION;
    stream.cpu_follows = DESCRIPTOR(CPU);
    stream.cpu.rip = rip;
    stream.cpu.rflags = 0x2;
    stream.cpu.cr0 = 0x11;                 /* protected mode */
    stream.cpu.dr6 = 0xffff0ff0;
    stream.cpu.dr7 = 0x400;
    stream.cpu.cs_limit = stream.cpu.ds_limit = stream.cpu.es_limit = stream.cpu.ss_limit = ~0u;
    stream.cpu.cs_arbytes = 0xc9b;         /* present, accessed, 32-bit, limit in pages */
    stream.cpu.ds_arbytes = stream.cpu.es_arbytes = stream.cpu.ss_arbytes = 0xc93;
    stream.cpu.tr_limit = 0x67;
    stream.cpu.tr_arbytes = 0x8b;          /* present, 32-bit TSS in use */
    stream.end = DESCRIPTOR(END);
    request->u.hvmcontext.size = sizeof(stream);
    handle_set(request->u.hvmcontext.buffer, &stream);
    CHECK_EQ(hypercall_domctl(request), 0);
}
