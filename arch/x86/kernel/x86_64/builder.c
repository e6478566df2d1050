/*
 * The domain builder: a PV dom0 makes a domain by domctl alone, and starts the kernel that it was given
 * as its module in it.
 *
 * A domain of either kind has its memory at the addresses that the kernel is linked for, starting at 0,
 * a page of it as the shared console ring, and no XenStore.
 */
#include <hypercall.h>
#include <memory.h>
#include <print.h>
#include <string.h>

#include "builder.h"
#include "x86.h"

#define PORTS 1024                 /* event channels; what a test expects of a domU, see event_ports.c */
#define VCPUS 2                    /* all but the first are down */
#define GRANT_FRAMES 64            /* pages of the grant table; this and the next as with xl */
#define MAPTRACK_FRAMES 1024
#define SPARE_PAGES 256            /* that the domain may get later, as with xl */

static const struct domain_kind kinds[] = {
    {.name = "pv", .prepare = builder_pv_prepare, .finish = builder_pv_finish},
    {
        .name = "pvh",
        .flags = XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap,
        .emulation_flags = XEN_X86_EMU_LAPIC,
        .prepare = builder_hvm_prepare,
        .finish = builder_hvm_finish,
    },
    {
        .name = "hvm",                 /* with all of a PC's devices that Xen itself emulates */
        .flags = XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap,
        .emulation_flags = XEN_X86_EMU_ALL & ~XEN_X86_EMU_VPCI,
        .prepare = builder_hvm_prepare,
        .finish = builder_hvm_finish,
    },
};

static struct domain domain;

/* Pages of this kernel over which those of the domain are mapped. */
static char window[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
static char console_window[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));

struct xen_domctl *domain_request(const struct domain *of, uint32_t command)
{
    static struct xen_domctl request;

    memset(&request, 0, sizeof(request));
    request.cmd = command;
    request.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    request.domain = of->id;
    return &request;
}

static void refuse(const char *why)
{
    print_line("# domain %u cannot be built: %s", domain.id, why);
}

bool domain_step(const char *what, long rc)
{
    char number[NUMBER_SIZE], why[NUMBER_SIZE + 64];

    if (rc >= 0)
        return true;
    format_text(why, sizeof(why), "%s: %s", what, number_text(number, sizeof(number), rc));
    refuse(why);
    return false;
}

/* ---- The domain's memory ---- */

static long map(const void *at, unsigned long entry, domid_t owner)
{
    return arch_hypercall(__HYPERVISOR_update_va_mapping_otherdomain, (unsigned long)at, entry,
                          UVMF_INVLPG, owner, 0);
}

long domain_map(const struct domain *of, void *at, xen_pfn_t frame)
{
    return map(at, frame * PAGE_SIZE | PTE_DATA, of->id);
}

long domain_unmap(const void *at)
{
    return map(at, 0, DOMID_SELF);
}

bool domain_write(const struct domain *to, uint64_t address, const void *data, size_t size)
{
    const char *from = data;

    while (size) {
        unsigned long page = address / PAGE_SIZE, offset = address % PAGE_SIZE;
        size_t part = size < PAGE_SIZE - offset ? size : PAGE_SIZE - offset;

        if (page >= DOMAIN_PAGES)
            return domain_step("memory of the kernel", -XEN_ENOMEM);
        if (!domain_step("update_va_mapping_otherdomain", domain_map(to, window, to->frames[page])))
            return false;
        if (from) {
            memcpy(window + offset, from, part);
            from += part;
        } else {
            memset(window + offset, 0, part);
        }
        address += part;
        size -= part;
    }
    /* Xen refuses a page table that is still mapped somewhere else. */
    return domain_step("update_va_mapping", domain_unmap(window));
}

bool domain_take_pages(struct domain *of, unsigned long count, unsigned long *first)
{
    *first = of->next_page;
    of->next_page += count;
    return domain_write(of, *first * PAGE_SIZE, NULL, count * PAGE_SIZE);
}

static bool populate(struct domain *of)
{
    struct xen_memory_reservation memory = {.nr_extents = DOMAIN_PAGES, .domid = of->id};
    long count;

    for (unsigned long page = 0; page < DOMAIN_PAGES; page++)
        of->frames[page] = page;
    handle_set(memory.extent_start, of->frames);
    count = hypercall_memory_op(XENMEM_populate_physmap, &memory);
    return domain_step("XENMEM_populate_physmap", count == DOMAIN_PAGES ? 0 : -XEN_ENOMEM);
}

static bool load_kernel(struct domain *to)
{
    const char *data = to->kernel.data;
    struct elf_segment from;
    uint64_t end = 0;

    for (unsigned int i = 0; elf_segment(&to->kernel, i, &from); i++) {
        if (from.type != ELF_LOAD)
            continue;
        if (from.memory_size < from.file_size ||
            !domain_write(to, from.physical_address, data + from.offset, from.file_size) ||
            !domain_write(to, from.physical_address + from.file_size, NULL,
                          from.memory_size - from.file_size))
            return false;
        if (from.physical_address + from.memory_size > end)
            end = from.physical_address + from.memory_size;
    }
    to->next_page = (end + PAGE_SIZE - 1) / PAGE_SIZE;
    return true;
}

/* ---- The steps ---- */

static bool create(struct domain *of, const struct domain_kind *kind)
{
    struct xen_domctl *request = domain_request(of, XEN_DOMCTL_createdomain);

    request->u.createdomain = (struct xen_domctl_createdomain){
        .flags = kind->flags,
        .max_vcpus = VCPUS,
        .max_evtchn_port = PORTS - 1,
        .max_grant_frames = GRANT_FRAMES,
        .max_maptrack_frames = MAPTRACK_FRAMES,
#ifdef XEN_DOMCTL_GRANT_version
        .grant_opts = XEN_DOMCTL_GRANT_version(2),
#endif
        .arch.emulation_flags = kind->emulation_flags,
    };
    return domain_step("XEN_DOMCTL_createdomain", hypercall_domctl(request));
}

static bool give_vcpus(const struct domain *to)
{
    struct xen_domctl *request = domain_request(to, XEN_DOMCTL_max_vcpus);

    request->u.max_vcpus.max = VCPUS;
    return domain_step("XEN_DOMCTL_max_vcpus", hypercall_domctl(request));
}

static bool allow_memory(const struct domain *to)
{
    struct xen_domctl *request = domain_request(to, XEN_DOMCTL_max_mem);

    request->u.max_mem.max_memkb = (DOMAIN_PAGES + SPARE_PAGES) * (PAGE_SIZE / 1024);
    return domain_step("XEN_DOMCTL_max_mem", hypercall_domctl(request));
}

/* A page of the memory that is none, and what the domain is told of its memory. */
static bool place_console(struct domain *of)
{
    struct xen_foreign_memory_map told = {.domid = of->id, .map.nr_entries = MEMORY_RANGES};

    if (!domain_take_pages(of, 1, &of->console_page))
        return false;
    uint64_t begin = of->console_page * PAGE_SIZE, end = begin + PAGE_SIZE;

    of->memory[0] = (struct memory_range){0, begin, MEMORY_RAM};
    of->memory[1] = (struct memory_range){begin, PAGE_SIZE, MEMORY_RESERVED};
    of->memory[2] = (struct memory_range){end, DOMAIN_PAGES * PAGE_SIZE - end, MEMORY_RAM};
    handle_set(told.map.buffer, of->memory);
    return domain_step("XENMEM_set_memory_map", hypercall_memory_op(XENMEM_set_memory_map, &told));
}

static bool build(struct domain *of, const struct domain_kind *kind)
{
    return create(of, kind) && give_vcpus(of) && allow_memory(of) && kind->prepare(of) &&
           populate(of) && load_kernel(of) && place_console(of) && kind->finish(of) &&
           domain_step("the console ring",
                       domain_map(of, console_window, of->frames[of->console_page])) &&
           domain_step("XEN_DOMCTL_unpausedomain",
                       hypercall_domctl(domain_request(of, XEN_DOMCTL_unpausedomain)));
}

/* The kind that the first of the words names. */
static const struct domain_kind *find_kind(const char *words)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        size_t length = strlen(kinds[i].name);

        if (starts_with(words, kinds[i].name) && words[length] == ' ')
            return &kinds[i];
    }
    return NULL;
}

/* The calls by which it maps a domain's memory are there for a PV domain alone. */
const char *arch_domain_module(size_t *size)
{
    if (!arch_is_pv())
        return NULL;
    *size = boot_info.start_info->mod_len;
    return *size ? (const char *)boot_info.start_info->mod_start : NULL;
}

struct xencons_interface *arch_domain_build(domid_t id, const char *words, const char *kernel,
                                            size_t size)
{
    const struct domain_kind *found = find_kind(words);

    domain.id = id;
    if (!found) {
        refuse("there is no such kind of domain");
        return NULL;
    }
    domain.command_line = words + strlen(found->name) + 1;
    domain.kernel = (struct elf){kernel, size};
    if (!elf_valid(&domain.kernel)) {
        refuse("there is no ELF file of a kernel in dom0's module");
        return NULL;
    }
    return build(&domain, found) ? (struct xencons_interface *)console_window : NULL;
}

void arch_domain_release(void)
{
    domain_unmap(window);
    domain_unmap(console_window);
}
