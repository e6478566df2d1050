/*
 * A second vcpu. It runs one function at a time, on a stack of its own, with events masked, and is down
 * otherwise.
 *
 * A test's checks and fault_expected() belong to the first vcpu alone: what runs on the second one only looks
 * at and changes memory, makes hypercalls, and has a limit on everything it waits for. If it faults the domain
 * crashes.
 */
#ifndef XENPORT_SECONDARY_H
#define XENPORT_SECONDARY_H

#include <stdbool.h>

#define SECONDARY_VCPU 1

/* Gives it its registers, once; returns what VCPUOP_initialise does, the first time. */
long secondary_initialise(void);

/* Does that, lets it run function(argument), and takes it up. The result is that of VCPUOP_up, or of what
 * failed before. It has to be down, see secondary_wait_off(). */
long secondary_start(void (*function)(void *), void *argument);

/* Waits until it is down, at most a second. */
bool secondary_wait_off(void);

#endif
