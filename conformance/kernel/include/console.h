/*
 * The console of this kernel: CONSOLEIO_write.
 *
 * Environments in which Xen refuses console_io (a domU of a release build on x86) have no console yet:
 * nothing is printed there and the run ends as one that said nothing.
 */
#ifndef XENPORT_CONSOLE_H
#define XENPORT_CONSOLE_H

#include <stddef.h>

/* Writes text in one call. Returns what the hypervisor returned: 0, or a negative error number. */
long console_write(const char *text, size_t size);

#endif
