/* The virtual timer (CNTV), for tests of what Xen does with it. */
#ifndef TIMER_H
#define TIMER_H

#include <stdint.h>

/* Asks for one interrupt after `delay` ns, and sets the count of interrupts to 0. */
void timer_start(uint64_t delay);
void timer_stop(void);

/* Interrupts of the timer since timer_start(): 0 or 1. */
unsigned int timer_count(void);

/* For the interrupt handler. */
void timer_interrupt(void);

#endif
