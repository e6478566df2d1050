/*
 * From the entry point to the test run: the device tree, the MMU, shared_info, the event interrupt.
 */
#include <arch.h>
#include <boot.h>
#include <events.h>
#include <fdt.h>
#include <hypercall.h>
#include <memory.h>

#include "gic.h"
#include "machine.h"
#include "mmu.h"
#include "timer.h"

#define PAGE_SIZE 4096

/* Xen puts the real page over this one. */
static uint8_t shared_info_page[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));

extern char _start[], _end[];

_Noreturn void kernel_entry(const void *fdt)
{
    if (fdt_valid(fdt)) {
        boot_info.fdt = fdt;
        machine_read(fdt);
    } else {
        boot_problem("the entry argument is %p, not the address of a device tree", fdt);
    }
    if (!machine.ram[0].size) /* run in what is surely there */
        machine.ram[0] = (struct region){(uintptr_t)_start, (uintptr_t)(_end - _start)};
    mmu_enable();
    kernel_main();
}

static void map_shared_info(void)
{
    struct xen_add_to_physmap map = {
        .domid = DOMID_SELF,
        .space = XENMAPSPACE_shared_info,
        .gpfn = (xen_pfn_t)((uintptr_t)shared_info_page / PAGE_SIZE),
    };
    long rc = hypercall_memory_op(XENMEM_add_to_physmap, &map);

    if (rc)
        boot_problem("shared_info could not be mapped: XENMEM_add_to_physmap returned %ld", rc);
    else
        boot_info.shared_info = (struct shared_info *)shared_info_page;
}

static void start_interrupts(void)
{
    if (!machine.gic_version) {
        boot_problem("the device tree has no GICv2 or GICv3");
        return;
    }
    if (!machine.event_interrupt)
        boot_problem("the device tree has no interrupt for events");
    gic_start();
}

void arch_init(void)
{
    const char *command_line = NULL;

    if (boot_info.fdt)
        command_line = fdt_string(boot_info.fdt, fdt_find(boot_info.fdt, "/chosen"), "bootargs");
    boot_info.guest = "arm";
    boot_info.command_line = command_line ? command_line : "";
    map_shared_info();
    start_interrupts();
}

/* For the vectors. What is not handled here was not enabled. */
void interrupt_taken(void)
{
    unsigned int id = gic_take();

    if (id >= GIC_SPURIOUS)
        return;
    if (id == machine.event_interrupt)
        upcall();
    for (unsigned int timer = 0; timer < TIMERS; timer++)
        if (id == machine.timer_interrupts[timer])
            timer_interrupt(timer);
}
