/*
 * GICv2 and GICv3 as a guest with private interrupts only needs them (Arm IHI 0048 and IHI 0069).
 *
 * An interrupt is ended when it is taken, before it is handled: a handler may never come back (a
 * check that fails leaves the test), and an interrupt that stays active would block all later ones.
 * Interrupts are off while handlers run, so a level that is still high is taken again only after
 * the handler, as it should.
 */
#include "gic.h"

#include <arch.h>
#include <boot.h>

#include "machine.h"

/* Distributor; the redistributor's second frame has the same registers for private interrupts. */
#define GICD_CTLR       0x000
#define GICD_ISENABLER  0x100
#define GICD_ICENABLER  0x180
#define GICD_IPRIORITYR 0x400
#define GICD_IGROUPR    0x080

#define GICD_CTLR_ENABLE   (1u << 0) /* v2 */
#define GICD_CTLR_GROUP1   (1u << 1) /* v3: EnableGrp1 */
#define GICD_CTLR_AFFINITY (1u << 4) /* v3: ARE */

/* GICv2 CPU interface. */
#define GICC_CTLR 0x00
#define GICC_PMR  0x04
#define GICC_IAR  0x0c
#define GICC_EOIR 0x10

/* GICv3 redistributors, one for each vcpu: the first frame of 64 KiB, and where the second one is. */
#define GICR_BYTES       0x20000
#define GICR_WAKER       0x14
#define GICR_WAKER_SLEEP (1u << 1)
#define GICR_SGI_FRAME   0x10000

#define PRIVATE_INTERRUPTS 32
#define PRIORITY           0xa0a0a0a0u /* four interrupts per register */
#define ID_MASK            0x3ffu

static uintptr_t redistributor(void)
{
    return machine.gic_cpu.start + arch_vcpu() * GICR_BYTES;
}

/* Where the registers of this vcpu's private interrupts are. */
static uintptr_t private_registers(void)
{
    if (machine.gic_version == 3)
        return redistributor() + GICR_SGI_FRAME;
    return machine.gic_distributor.start;
}

static void gic_init(void)
{
    uintptr_t registers = private_registers();

    if (machine.gic_version == 3) {
        uintptr_t waker = redistributor() + GICR_WAKER;

        mmio_write32(waker, mmio_read32(waker) & ~GICR_WAKER_SLEEP);
        mmio_write32(machine.gic_distributor.start + GICD_CTLR,
                     GICD_CTLR_GROUP1 | GICD_CTLR_AFFINITY);
        mmio_write32(registers + GICD_IGROUPR, ~0u);
    } else {
        mmio_write32(machine.gic_distributor.start + GICD_CTLR, GICD_CTLR_ENABLE);
    }
    mmio_write32(registers + GICD_ICENABLER, ~0u);
    for (unsigned int id = 0; id < PRIVATE_INTERRUPTS; id += 4)
        mmio_write32(registers + GICD_IPRIORITYR + id, PRIORITY);

    if (machine.gic_version == 3) {
        gicv3_interface_enable();
    } else {
        mmio_write32(machine.gic_cpu.start + GICC_PMR, 0xff);
        mmio_write32(machine.gic_cpu.start + GICC_CTLR, 1);
    }
}

static void gic_enable(unsigned int id)
{
    if (id)
        mmio_write32(private_registers() + GICD_ISENABLER, 1u << id);
}

void gic_start(void)
{
    gic_init();
    if (boot_info.shared_info) /* without it an event's level could not be lowered */
        gic_enable(machine.event_interrupt);
    for (unsigned int timer = 0; timer < TIMERS; timer++)
        gic_enable(machine.timer_interrupts[timer]);
}

unsigned int gic_take(void)
{
    uint32_t taken;

    if (machine.gic_version == 3) {
        taken = gicv3_interface_acknowledge();
        if ((taken & ID_MASK) < GIC_SPURIOUS)
            gicv3_interface_end(taken);
    } else {
        taken = mmio_read32(machine.gic_cpu.start + GICC_IAR);
        if ((taken & ID_MASK) < GIC_SPURIOUS)
            mmio_write32(machine.gic_cpu.start + GICC_EOIR, taken);
    }
    return taken & ID_MASK;
}
