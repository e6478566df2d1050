/* Start of an HVM guest that was entered the PVH way: the hypercall page, events by an interrupt vector,
 * shared_info put into guest-physical memory. */
#include <hypercall.h>
#include <string.h>

#include <arch-x86/hvm/start_info.h>
#include <hvm/params.h>

#include "instructions.h"
#include "x86.h"

/* Xen's leaves start at a multiple of 0x100 that the signature marks; 0 if there are none. */
static uint32_t xen_leaves(void)
{
    for (uint32_t leaf = 0x40000000; leaf < 0x40010000; leaf += 0x100) {
        struct cpuid id = cpuid(leaf);
        uint32_t signature[3] = {id.b, id.c, id.d};

        if (memcmp(signature, "XenVMMXenVMM", sizeof(signature)) == 0)
            return leaf;
    }
    return 0;
}

/* Leaf 2 names the MSR; written with an address, it makes Xen fill the page there. */
static bool fill_hypercall_page(void)
{
    uint32_t leaves = xen_leaves();

    if (!leaves)
        return false;
    write_msr(cpuid(leaves + 2).b, (uintptr_t)hypercall_page);
    return true;
}

/* The instruction is the vendor's: vmcall on Intel's processors, vmmcall on AMD's and their kin. */
static const void *hypercall_instruction(void)
{
    struct cpuid id = cpuid(0);
    uint32_t vendor[3] = {id.b, id.d, id.c};

    if (memcmp(vendor, "AuthenticAMD", sizeof(vendor)) == 0 ||
        memcmp(vendor, "HygonGenuine", sizeof(vendor)) == 0)
        return hypercall_vmmcall;
    return hypercall_vmcall;
}

static long map_shared_info(void)
{
    struct xen_add_to_physmap map = {
        .domid = DOMID_SELF,
        .space = XENMAPSPACE_shared_info,
        .gpfn = (uintptr_t)shared_info_page / PAGE_SIZE,
    };

    return hypercall_memory_op(XENMEM_add_to_physmap, &map);
}

static long set_event_vector(void)
{
    struct xen_hvm_param param = {
        .domid = DOMID_SELF,
        .index = HVM_PARAM_CALLBACK_IRQ,
        .value = (uint64_t)HVM_PARAM_CALLBACK_TYPE_VECTOR << 56 | EVENT_VECTOR,
    };

    return hypercall_hvm_op(HVMOP_set_param, &param);
}

/* A domU shares a page of its memory with its console; dom0 has no such page. */
static void find_console(void)
{
    struct xen_hvm_param param = {.domid = DOMID_SELF, .index = HVM_PARAM_CONSOLE_PFN};
    long rc = hypercall_hvm_op(HVMOP_get_param, &param);

    if (rc == 0 && param.value != 0)
        boot_info.console = (struct xencons_interface *)(uintptr_t)(param.value * PAGE_SIZE);
    boot_step("HVM_PARAM_CONSOLE_PFN", rc);
}

void hvm_init(void)
{
    const char *command_line = (const char *)(uintptr_t)entry_hvm_start_info->cmdline_paddr;
    long rc;

    load_vectors();
    hypercall_beyond_page = hypercall_instruction();
    boot_info.guest = "hvm";
    boot_info.hvm_start_info = entry_hvm_start_info;
    if (command_line)
        boot_info.command_line = command_line;

    if (!fill_hypercall_page())
        return;   /* no way to tell anybody */
    find_console();
    rc = map_shared_info();
    if (rc == 0)
        boot_info.shared_info = (struct shared_info *)shared_info_page;
    boot_step("shared_info cannot be mapped", rc);
    boot_step("HVM_PARAM_CALLBACK_IRQ", set_event_vector());
}
