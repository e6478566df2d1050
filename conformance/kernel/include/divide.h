/* Division of 64-bit numbers, for what compilers call where the processor cannot do it. */
#ifndef XENPORT_DIVIDE_H
#define XENPORT_DIVIDE_H

#include <stdint.h>

/* The quotient, 0 for a divisor of 0. */
uint64_t divide(uint64_t dividend, uint64_t divisor, uint64_t *remainder);

#endif
