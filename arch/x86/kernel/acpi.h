/* The machine's sleep states, as dom0 asks Xen for them. */
#ifndef XENPORT_ACPI_H
#define XENPORT_ACPI_H

#include <stdint.h>

#define SLEEP_ENABLE (1u << 13)    /* in the registers that start a sleep; type 0, which is S5 */

/* XENPF_enter_acpi_sleep: the state, the values for both registers, flags. Returns 0 when the machine has
 * slept and was woken, or an error number. */
long acpi_sleep(uint32_t state, uint16_t first, uint16_t second, uint32_t flags);

#endif
