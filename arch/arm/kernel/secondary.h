/*
 * A second vcpu. It runs one function at a time, with address translation on, on a stack of its own,
 * with interrupts masked unless the function wants them, and is off otherwise.
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
    unsigned long context;  /* in its first register */
    unsigned long status;   /* process state: mode or exception level, and masks */
    unsigned long control;  /* SCTLR */
    unsigned long affinity; /* MPIDR */
};

/* Lets it run function(argument) when it is started: by CPU_ON at secondary_entry. */
void secondary_prepare(void (*function)(void *), void *argument);

/*
 * Does that, and starts it with `context` in its first register. The result is that of CPU_ON. It has
 * to be off, see secondary_wait_off().
 */
int secondary_start_with(void (*function)(void *), void *argument, unsigned long context);

/* Does that too, with any context, after it was given a vcpu_info. */
long secondary_start(void (*function)(void *), void *argument);

/* For that function: interrupts on, so that the second vcpu takes the events that are bound to it. */
void secondary_events_enable(void);

/* Waits until it is off, at most a second. */
bool secondary_wait_off(void);

/* Of the last start. */
const volatile struct secondary_start *secondary_found(void);

/* In secondary.S. */
void secondary_entry(void);
#ifndef __aarch64__
void secondary_entry_thumb(void); /* the same, entered in Thumb state */
#endif

#endif
