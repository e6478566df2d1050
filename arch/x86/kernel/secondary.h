/*
 * A second vcpu. It runs one function at a time, on a stack of its own, with upcalls off unless the function
 * wants them, and is down otherwise.
 *
 * A test's checks and fault_expected() belong to the first vcpu alone: what runs on the second one only looks
 * at and changes memory, makes hypercalls, and has a limit on everything it waits for. If it faults the domain
 * crashes.
 */
#ifndef XENPORT_SECONDARY_H
#define XENPORT_SECONDARY_H

#include <stdbool.h>
#include <stdint.h>

#define SECONDARY_VCPU 1

/* Registers that a vcpu is given; an HVM guest's are those of its 32-bit mode, up to the flags. */
struct secondary_registers {
    uint64_t general[16];       /* in the order of the processor's numbers: rax, rcx, rdx, rbx, rsp ... */
    uint64_t flags;
    uint64_t cs, ss, ds, es, fs, gs;
    uint64_t at_fs, at_gs;      /* the first word of each segment */
    uint64_t gs_base_user;
    uint64_t fpu_control;
};

/* What it was given by secondary_initialise(), and what it found when it ran. */
extern struct secondary_registers secondary_given, secondary_found;

struct vcpu_guest_context;

/* The argument of VCPUOP_initialise in a PV guest, not yet used. */
struct vcpu_guest_context *secondary_pv_context(void);

/* Gives it its registers, once; returns what VCPUOP_initialise does, the first time. */
long secondary_initialise(void);

/* Does that, lets it run function(argument), and takes it up. The result is that of VCPUOP_up, or of what
 * failed before. It has to be down, see secondary_wait_off(). */
long secondary_start(void (*function)(void *), void *argument);

/* Waits until it is down, at most a second. */
bool secondary_wait_off(void);

/* For that function: upcalls on, so that the second vcpu takes what is bound to it. */
void secondary_events_enable(void);

#endif
