/* The other domain; see peer.h. Below: its own side, and the side of those who talk to it. */
#include <events.h>
#include <hypercall.h>
#include <peer.h>
#include <test.h>
#include <timing.h>

#include "runtime.h"

/* ---- In the other domain ---- */

static domid_t client;
static evtchn_port_t served[PEER_SERVICES];

static void answer(evtchn_port_t port, void *data)
{
    (void)data;
    event_send(port);
}

static void offer_echo(void)
{
    if (event_alloc_unbound(client, &served[PEER_ECHO]) == 0)
        event_bind(served[PEER_ECHO], answer, NULL);
}

/* The lowest free port is the next one given out, so the new one has the number of the old. */
static void renew(evtchn_port_t port, void *data)
{
    (void)data;
    event_close(served[PEER_ECHO]);
    offer_echo();
    event_send(port);
}

static void map(evtchn_port_t port, void *data)
{
    (void)data;
    peer_map(client);
    event_send(port);
}

static void reboot_client(evtchn_port_t port, void *data)
{
    struct sched_remote_shutdown shutdown = {.domain_id = client, .reason = SHUTDOWN_reboot};

    (void)port;
    (void)data;
    hypercall_sched_op(SCHEDOP_remote_shutdown, &shutdown);
}

static void sleep(evtchn_port_t port, void *data)
{
    (void)data;
#ifdef arch_machine_sleep
    arch_machine_sleep();
#endif
    event_send(port);
}

void peer_serve(domid_t domain)
{
    evtchn_port_t foreign;

    client = domain;
    events_init();
    peer_grant(client);
    offer_echo();
    if (event_alloc_unbound(client, &served[PEER_RENEW]) == 0)
        event_bind(served[PEER_RENEW], renew, NULL);
    if (event_alloc_unbound(client, &served[PEER_MAP]) == 0)
        event_bind(served[PEER_MAP], map, NULL);
    if (event_alloc_unbound(client, &served[PEER_REBOOT]) == 0)
        event_bind(served[PEER_REBOOT], reboot_client, NULL);
    if (event_alloc_unbound(client, &served[PEER_SLEEP]) == 0)
        event_bind(served[PEER_SLEEP], sleep, NULL);
    event_alloc_unbound(0, &foreign); /* a client is never domain 0 */
    arch_events_enable();
}

/* ---- In the domain under test ---- */

#define PORTS_TRIED 64

static evtchn_port_t first;

domid_t peer_domain(void)
{
    unsigned long domain;

    if (!command_line_number("peer", &domain))
        FAIL("the command line does not say peer=NUMBER");
    return (domid_t)domain;
}

/* Looks for the first port that waits for this domain. */
static bool find_first(evtchn_port_t *port)
{
    domid_t domain = peer_domain();

    for (first = 1; first < PORTS_TRIED; first++)
        if (event_bind_interdomain(domain, first, port) == 0)
            return true;
    first = 0;
    return false;
}

evtchn_port_t peer_port(enum peer_service service)
{
    return first + service;
}

evtchn_port_t peer_bind(enum peer_service service)
{
    evtchn_port_t port;

    if (!first) {
        if (!WAIT_UNTIL(find_first(&port), PEER_LIMIT))
            FAIL("domain %u has no port for this one", peer_domain());
        CHECK_EQ(event_close(port), 0);
    }
    CHECK_EQ(event_bind_interdomain(peer_domain(), peer_port(service), &port), 0);
    return port;
}
