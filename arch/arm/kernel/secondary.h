/*
 * A second vcpu. It runs one function at a time, with address translation on, on a stack of its own,
 * with interrupts masked, and is off otherwise.
 *
 * A test's checks and fault_expected() belong to the first vcpu alone: what runs on the second one
 * only looks at and changes memory, makes calls, and has a limit on everything it waits for. If it
 * faults it turns itself off.
 */
#ifndef SECONDARY_H
#define SECONDARY_H

#include <stdbool.h>
#include <stdint.h>

#define SECONDARY_VCPU 1

/* What a vcpu found when it was started. */
struct secondary_start {
    unsigned long argument; /* in its first register */
    unsigned long status;   /* process state: mode or exception level, and masks */
    unsigned long control;  /* SCTLR */
    unsigned long affinity; /* MPIDR */
};

/*
 * Starts it: function(argument). The result is that of PSCI's CPU_ON. It has to be off, see
 * secondary_wait_off().
 */
int secondary_start(void (*function)(void *), void *argument);

#ifndef __aarch64__
/* The same, in Thumb state until secondary_entry. */
int secondary_start_thumb(void (*function)(void *), void *argument);
#endif

/* Waits until it is off, at most a second. */
bool secondary_wait_off(void);

/* Of the last start. */
const volatile struct secondary_start *secondary_found(void);

/* Where CPU_ON lets it begin (head.S), for those who make the call themselves. */
void secondary_entry(void);

#endif
