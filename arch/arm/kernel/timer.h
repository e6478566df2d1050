/*
 * The generic timers of a guest, for tests of what Xen does with them: the virtual one, which is the
 * CPU's own, and the physical one, which Xen emulates.
 */
#ifndef TIMER_H
#define TIMER_H

#include <stdint.h>

enum timer { TIMER_VIRTUAL, TIMER_PHYSICAL };
#define TIMERS 2

/* Asks for one interrupt after `delay` ns, at most 30 s, and sets the count of interrupts to 0. */
void timer_start(enum timer timer, uint64_t delay);
void timer_stop(enum timer timer);

/* Interrupts of the timer since timer_start(): 0 or 1. */
unsigned int timer_count(enum timer timer);

/* The vcpu that took the last one. */
unsigned int timer_taker(enum timer timer);

/* For the interrupt handler. */
void timer_interrupt(enum timer timer);

#endif
