/*
 * The console of this kernel: CONSOLEIO_write, or the shared ring of a domain that has one. Xen on x86
 * refuses console_io to a domU, unless it was built to debug.
 */
#ifndef XENPORT_CONSOLE_H
#define XENPORT_CONSOLE_H

#include <stddef.h>

/* Writes text in one call. Returns what the hypervisor returned: 0, or a negative error number. */
long console_write(const char *text, size_t size);

#endif
