/*
 * The other domain, in environments that provide "peer": it runs this kernel too, answers events, and shares
 * pages.
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
    PEER_MAP,       /* maps PEER_CLIENT_REF, and adds 1 to the first 32-bit word there if that is a
                       mapping for the processor, or undoes that mapping the next time; then sends an
                       event back, also if it could not */
    PEER_REBOOT,    /* shuts the domain under test down, as to be rebooted */
    PEER_SLEEP,     /* sends the machine to sleep, and then, when it was woken, an event back; also if it
                       could not */
    PEER_SERVICES,
    PEER_FOREIGN = PEER_SERVICES  /* this port waits for another domain */
};

/*
 * Its grants: of a page that starts with PEER_MARK, for reading; of another page; of that for a domain that
 * does not exist. They are there when its ports are. The page at PEER_CLIENT_REF is one that the domain
 * under test grants to it.
 */
enum peer_grant {
    PEER_REF_READONLY = 8,
    PEER_REF,
    PEER_REF_FOREIGN,
    PEER_CLIENT_REF = 511
};

#define PEER_MARK 0x70656572u

/* What is in the page of PEER_REF_READONLY. The numbers are the supervisor's, if it is the peer. */
struct peer_page {
    uint32_t mark;       /* PEER_MARK */
    uint32_t shutdowns;  /* how often the domain under test was shut down and brought back */
    uint32_t code;       /* SHUTDOWN_ of the last time */
    uint32_t events;     /* VIRQ_DOM_EXC that have come */
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
