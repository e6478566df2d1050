/* Start of a PV guest: exceptions and events by hypercalls, shared_info through the page tables. */
#include "x86.h"

/* Vectors 0-31 and the entry of zeros that ends the table. */
static struct trap_info traps[EXCEPTIONS + 1];

static long set_trap_table(void)
{
    for (unsigned int vector = 0; vector < EXCEPTIONS; vector++) {
        traps[vector].vector = (uint8_t)vector;
        traps[vector].cs = FLAT_KERNEL_CS;
        traps[vector].address = (unsigned long)exception_entries[vector];
    }
    return arch_hypercall(__HYPERVISOR_set_trap_table, (unsigned long)traps, 0, 0, 0, 0);
}

/* Addresses of the upcall, of the failsafe entry, and (none) of the user's syscalls. */
static long set_callbacks(void)
{
    return arch_hypercall(__HYPERVISOR_set_callbacks, (unsigned long)pv_event,
                          (unsigned long)pv_failsafe, 0, 0, 0);
}

static long map(const void *page, unsigned long entry)
{
    return arch_hypercall(__HYPERVISOR_update_va_mapping, (unsigned long)page, entry, UVMF_INVLPG, 0,
                          0);
}

/* A domU shares a page with its console; dom0 has no such page. */
static void map_console(void)
{
    xen_pfn_t frame = entry_start_info->console.domU.mfn;
    long rc;

    if (entry_start_info->flags & SIF_INITDOMAIN || !frame)
        return;
    rc = map(console_page, frame * PAGE_SIZE | PTE_DATA);
    if (rc == 0)
        boot_info.console = (struct xencons_interface *)console_page;
    boot_step("the console ring cannot be mapped", rc);
}

void pv_init(void)
{
    long rc;

    hypercall_beyond_page = hypercall_syscall;
    boot_info.guest = "pv";
    boot_info.start_info = entry_start_info;
    boot_info.command_line = (const char *)entry_start_info->cmd_line;

    map_console();
    boot_step("set_trap_table", set_trap_table());
    boot_step("set_callbacks", set_callbacks());
    boot_step("page 0 cannot be unmapped", map(NULL, 0));
    boot_step("the page below the stack cannot be unmapped", map(stack_guard, 0));
    rc = map(shared_info_page, entry_start_info->shared_info | PTE_DATA);
    if (rc == 0)
        boot_info.shared_info = (struct shared_info *)shared_info_page;
    boot_step("shared_info cannot be mapped", rc);
}
