/* What the parts of the runtime tell each other, and tests need not know. */
#ifndef XENPORT_RUNTIME_H
#define XENPORT_RUNTIME_H

#include <stdbool.h>

#include <arch.h>
#include <boot.h>
#include <xen.h>

/* Only the first vcpu runs anything where the architecture says nothing of others. */
#ifndef arch_vcpu
#define arch_vcpu() 0u
#endif
#define VCPUS 2

struct peer_page;
struct test;

/* The catalogue, in the order of the section, and running one test of it, which prints its lines. */
unsigned int test_count(void);
const struct test *test_at(unsigned int index);
void test_run(const struct test *test, unsigned int number);

/* Ends the running test as failed. Returns only if no test is running. */
void test_fault(const char *text);

/* After a test: nobody expects a fault any more. */
void fault_forget(void);

/* Masks all events, and remembers the channels that are open: they belong to the domain, not to a test. */
void events_init(void);

/* After a test: closes its channels, masks everything and forgets its handlers. */
void events_reset(void);

/* Prints what boot_problem() was told. */
void boot_print_problems(void);

/* From now on, serves this domain as its peer, in upcalls; see peer.h. */
void peer_serve(domid_t domain);

/* The peer's side of grants: its page that clients may read, which is there in any case; makes its grants;
 * and maps the client's or undoes that. */
volatile struct peer_page *peer_page(void);
void peer_grant(domid_t client);
void peer_map(domid_t client);

/* The client is gone: lets go of what is mapped of it, and is for the next one as it was for the first. */
void peer_renew_client(void);

/*
 * Waits until domain 1 is shut down, and tells on the console how. If a module lists domains,
 * builds it before and passes on what it writes to its console, and goes on with the next one.
 */
void supervise(void);

#endif
