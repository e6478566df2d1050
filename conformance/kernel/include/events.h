/*
 * Event channels: the two-level bitmaps in shared_info, upcalls, handlers.
 *
 * A test starts with upcalls enabled (arch_events_enabled()), every channel masked, and none of its
 * own open. Channels that it leaves open are closed after it; those that were open before the first
 * test (console, xenstore) stay.
 */
#ifndef XENPORT_EVENTS_H
#define XENPORT_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include <event_channel.h>
#include <xen.h>

/* Ports of the two-level interface: 4096 on 64-bit architectures, 1024 on x86_32. */
#define EVENT_PORTS (sizeof(xen_ulong_t) * 8 * sizeof(xen_ulong_t) * 8)

/* Runs in the upcall, upcalls disabled. The pending bit is cleared before it is called. */
typedef void event_handler(evtchn_port_t port, void *data);

/*
 * From now on events of port are counted, and handler (may be NULL) is called with data. Sets the count
 * to 0 and unmasks the port with EVTCHNOP_unmask, so an event that is pending already is delivered.
 * Returns the result of EVTCHNOP_unmask.
 */
long event_bind(evtchn_port_t port, event_handler *handler, void *data);

/* Upcalls that have delivered port since event_bind(). */
unsigned int event_count(evtchn_port_t port);
/* Those on one vcpu, 0 or 1. */
unsigned int event_count_on(unsigned int vcpu, evtchn_port_t port);

/* Waits until event_count(port) >= count; false if that has not happened after limit ns. */
bool event_wait(evtchn_port_t port, unsigned int count, uint64_t limit);

/* The bits in shared_info, as they are now; port < EVENT_PORTS. */
bool event_is_pending(evtchn_port_t port);
bool event_is_masked(evtchn_port_t port);

/* Change the bits in shared_info only. event_unmask() here does not deliver: that is EVTCHNOP_unmask. */
void event_mask(evtchn_port_t port);
void event_unmask(evtchn_port_t port);
void event_clear(evtchn_port_t port);

/* The calls that nearly every test of events needs. Each returns Xen's result; *port is set on success. */
long event_alloc_unbound(domid_t remote, evtchn_port_t *port);
long event_bind_interdomain(domid_t remote, evtchn_port_t remote_port, evtchn_port_t *port);
long event_bind_virq(unsigned int virq, evtchn_port_t *port);
long event_bind_ipi(evtchn_port_t *port);
long event_send(evtchn_port_t port);
long event_close(evtchn_port_t port);
/* Two ports of this domain bound to each other; ends the test with a failure if that does not work. */
void event_loopback(evtchn_port_t *one, evtchn_port_t *other);

/* Times the architecture's vectors have called upcall() on the first vcpu since boot. */
unsigned long events_upcalls(void);

/*
 * For the architecture's vectors: clears evtchn_upcall_pending, walks evtchn_pending_sel and
 * evtchn_pending, calls the handlers of what is pending and not masked. Upcalls of the vcpu are disabled.
 */
void upcall(void);

#endif
