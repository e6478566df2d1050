/*
 * The shared console ring, a page that a domain and its console share: the side of the domain, which
 * writes, and the side of the supervisor, which passes lines on.
 *
 * Nobody sends events for it: a test may close all channels of its domain, and the supervisor looks at
 * the ring all the time.
 */
#ifndef XENPORT_CONSOLE_RING_H
#define XENPORT_CONSOLE_RING_H

#include <stddef.h>

#include <io/console.h>
#include <xen.h>

/*
 * Writes text, and waits until the other side has taken it: what is printed is seen, whatever happens
 * next. What is not taken within CONSOLE_RING_LIMIT is lost.
 */
void console_ring_write(struct xencons_interface *ring, const char *text, size_t size);

#define CONSOLE_RING_LIMIT SECONDS(5)

/*
 * Takes what domain has written to its ring, and writes the lines that are complete to this domain's own
 * console with "(dN) " in front, as Xen does with what a domain gives to console_io.
 */
void console_ring_relay(struct xencons_interface *ring, domid_t domain);

/* The domain is gone: ends the line that it began. */
void console_ring_end(domid_t domain);

#endif
