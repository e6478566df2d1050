/*
 * The other domain, in environments that provide "peer": it runs this kernel too, and answers events.
 *
 * It waits on one event channel for each of its services. Nothing tells a domain the numbers of
 * another's ports, so they are found by trying.
 */
#ifndef XENPORT_PEER_H
#define XENPORT_PEER_H

#include <event_channel.h>
#include <xen.h>

enum peer_service {
    PEER_ECHO,      /* sends an event back for each that it gets */
    PEER_RENEW,     /* closes the port of PEER_ECHO, waits on a new one, and then sends an event back */
    PEER_SERVICES,
    PEER_FOREIGN = PEER_SERVICES  /* this port waits for another domain */
};

/* Its number; ends the test with a failure if the command line does not tell. */
domid_t peer_domain(void);

/*
 * Binds a new port to a service. The other domain may still be starting: ends the test with a failure
 * if it is not there after PEER_LIMIT.
 */
evtchn_port_t peer_bind(enum peer_service service);

/* The number that the port of a service has there, once a port was bound to any. */
evtchn_port_t peer_port(enum peer_service service);

#define PEER_LIMIT SECONDS(10)

#endif
