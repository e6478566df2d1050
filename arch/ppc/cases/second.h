/*
 * A second vcpu, as IBM's port has it. It runs one function at a time, on a stack of its own, with interrupts
 * off unless the function wants them, and is down otherwise.
 *
 * A test's checks and fault_expected() belong to the first vcpu alone: what runs on the second one only looks at
 * and changes memory, makes calls, and has a limit on everything it waits for. If it faults it goes down.
 */
#ifndef SECOND_H
#define SECOND_H

#include <stdbool.h>
#include <stdint.h>

#include <event_channel.h>

#define SECOND_VCPU 1

/*
 * Lets it run function(argument). The first time it is given its registers, later it goes on behind the call that
 * took it down. The result is that of VCPUOP_initialise or VCPUOP_up. It has to be down.
 */
long second_start(void (*function)(void *), void *argument);

/* Waits until it is down, at most a second. */
bool second_wait_down(void);

/* It was given its registers, by this or an earlier test. */
bool second_is_initialised(void);

/* On the second vcpu: upcalls on, and off. */
void second_events_enable(void);
void second_events_disable(void);

/* How often events of a port (below 64) were delivered there since second_events_reset(). */
unsigned int second_event_count(evtchn_port_t port);
void second_events_reset(void);

/* What it found when it was given its registers. */
struct second_entry {
    unsigned long argument, msr, stack;
};
extern volatile struct second_entry second_entry;
#define SECOND_ARGUMENT 0x123456789abcdeful

#endif
