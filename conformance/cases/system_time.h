/* Xen's system time, in which all absolute deadlines are given. */
#ifndef XENPORT_CASES_SYSTEM_TIME_H
#define XENPORT_CASES_SYSTEM_TIME_H

#include <stdint.h>

#include <timing.h>

/* What the guest's reading of the clock and Xen's own may differ by. */
#define CLOCK_SLACK MILLISECONDS(1)

/* ns since the hypervisor started. */
uint64_t system_time(void);

#endif
