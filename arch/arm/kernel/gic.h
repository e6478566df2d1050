/* The interrupt controller of a guest: GICv2 or GICv3, whichever the device tree shows. */
#ifndef GIC_H
#define GIC_H

#include <stdint.h>

/* Interrupt ids from here on are none: nothing is pending. */
#define GIC_SPURIOUS 1020

/* Makes the distributor and this vcpu's interface work, and lets the interrupts of events and timers through. */
void gic_start(void);

/*
 * Takes the pending interrupt of the highest priority and ends it at once: the id, or >=
 * GIC_SPURIOUS.
 */
unsigned int gic_take(void);

#endif
