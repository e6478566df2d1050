/*
 * Reads the device tree that Xen makes for its guests. Bindings: arm,gic-v3 and arm,gic-400,
 * arm,armv8-timer or arm,armv7-timer (second and third entry: the physical and the virtual timer),
 * xen,xen.
 */
#include "machine.h"

#include <fdt.h>
#include <stddef.h>

#include <xen.h>

struct machine machine;

/*
 * "interrupts" holds three cells for each: kind (1: private to a CPU), number within the kind,
 * flags.
 */
#define INTERRUPT_CELLS  3
#define KIND_PRIVATE     1
#define FIRST_PRIVATE_ID 16
#define PHYSICAL_TIMER   1
#define VIRTUAL_TIMER    2

static struct region read_region(const void *fdt, fdt_node_t node, unsigned int index)
{
    /*
     * Cells of the root's children; Xen's own nodes are all there, and so are the GICs of machines
     * seen so far.
     */
    fdt_node_t root = fdt_find(fdt, "/");
    uint32_t address_cells = (uint32_t)fdt_number(fdt, root, "#address-cells", 0, 1, 2);
    uint32_t size_cells = (uint32_t)fdt_number(fdt, root, "#size-cells", 0, 1, 1);
    uint32_t at = index * (address_cells + size_cells);
    struct region region = {0, 0};

    for (uint32_t i = 0; i < address_cells; i++)
        region.start = region.start << 32 | fdt_number(fdt, node, "reg", at++, 1, 0);
    for (uint32_t i = 0; i < size_cells; i++)
        region.size = region.size << 32 | fdt_number(fdt, node, "reg", at++, 1, 0);
    return region;
}

static void read_regions(const void *fdt, fdt_node_t node, struct region *regions)
{
    for (unsigned int i = 0; i < MACHINE_REGIONS; i++)
        regions[i] = read_region(fdt, node, i);
}

static unsigned int read_interrupt(const void *fdt, fdt_node_t node, unsigned int index)
{
    uint32_t at = index * INTERRUPT_CELLS;

    if (fdt_number(fdt, node, "interrupts", at, 1, 0) != KIND_PRIVATE)
        return 0;
    return FIRST_PRIVATE_ID + (unsigned int)fdt_number(fdt, node, "interrupts", at + 1, 1, 0);
}

static void read_gic(const void *fdt)
{
    static const struct {
        const char *compatible;
        unsigned int version;
    } kinds[] = {{"arm,gic-v3", 3}, {"arm,gic-400", 2}, {"arm,cortex-a15-gic", 2}};

    for (unsigned int i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        fdt_node_t node = fdt_find_with(fdt, "compatible", kinds[i].compatible);

        if (node == FDT_NONE)
            continue;
        machine.gic_version = kinds[i].version;
        machine.gic_distributor = read_region(fdt, node, 0);
        machine.gic_cpu = read_region(fdt, node, 1);
        return;
    }
}

/* Before 4.17, Xen tells nothing of itself to the domains that it builds; they find it where all
 * domains but the first do. */
static void read_hypervisor(const void *fdt, fdt_node_t node)
{
    if (node == FDT_NONE) {
        machine.foreign[0] = (struct region){GUEST_GNTTAB_BASE, GUEST_GNTTAB_SIZE};
        machine.event_interrupt = GUEST_EVTCHN_PPI;
        return;
    }
    read_regions(fdt, node, machine.foreign);
    machine.event_interrupt = read_interrupt(fdt, node, 0);
}

void machine_read(const void *fdt)
{
    fdt_node_t hypervisor = fdt_find_with(fdt, "compatible", "xen,xen");
    fdt_node_t timers = fdt_find_with(fdt, "compatible", "arm,armv8-timer");

    if (timers == FDT_NONE)
        timers = fdt_find_with(fdt, "compatible", "arm,armv7-timer");
    read_regions(fdt, fdt_find_with(fdt, "device_type", "memory"), machine.ram);
    read_hypervisor(fdt, hypervisor);
    machine.timer_interrupts[TIMER_PHYSICAL] = read_interrupt(fdt, timers, PHYSICAL_TIMER);
    machine.timer_interrupts[TIMER_VIRTUAL] = read_interrupt(fdt, timers, VIRTUAL_TIMER);
    read_gic(fdt);
}
