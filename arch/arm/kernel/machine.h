/* The machine that Xen shows an Arm guest, as its device tree describes it. */
#ifndef MACHINE_H
#define MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "timer.h"

struct region {
    uint64_t start, size;
};

#define MACHINE_REGIONS 4 /* of one kind; further ones are not used */

struct machine {
    struct region ram[MACHINE_REGIONS];      /* ends with one of size 0, if there is room */
    struct region foreign[MACHINE_REGIONS];  /* of the hypervisor: grant table, then free space */
    unsigned int gic_version;                /* 2, 3, or 0 where there is none */
    struct region gic_distributor;
    struct region gic_cpu;                   /* v2: CPU interface, v3: redistributors */
    unsigned int event_interrupt;            /* interrupt ids; 0 where the tree names none */
    unsigned int timer_interrupts[TIMERS];   /* by enum timer */
};

extern struct machine machine;

/* Fills `machine` from a tree for which fdt_valid() holds. */
void machine_read(const void *fdt);

#endif
