/*
 * A domain that a test makes as the control domain, looks at, and takes apart again. It never runs: its
 * vcpus stay down, or the domain paused.
 *
 * Only where `arch_child_config` is a macro, which an architecture defines that has what is declared at
 * the end; files of such tests are empty elsewhere.
 */
#ifndef XENPORT_CASES_CHILD_H
#define XENPORT_CASES_CHILD_H

#include <hypercall.h>

#include "common.h"

#ifdef arch_child_config

/* The number that children have; far above any domain that a port has running. */
#define CHILD 100
#define OTHER_CHILD 101            /* for tests that need two */

#define CHILD_PAGES 16
#define CHILD_FRAME ARCH_CHILD_FRAME    /* the first of the guest frames that have the pages */

/* The tag of a structure in the layout that children have, which may be wider than this kernel's. */
#ifndef ARCH_CHILD
#define ARCH_CHILD(tag) tag
#endif

/* A request to domctl, all zero but for its head; good until the next one. */
struct xen_domctl *domctl_request(uint32_t command, domid_t domain);

/* Makes a request that has no answer: ends the test with a failure if it comes back changed. */
long domctl_unanswered(struct xen_domctl *request);

/* A domctl whose argument is zero; with its answer, where the caller wants it. */
long domctl(uint32_t command, domid_t domain);

/* The state of a domain; ends the test with a failure if it cannot be asked for. */
const struct xen_domctl_getdomaininfo *domain_info(domid_t domain);

/* The configuration of a child: the kind of domain that an architecture has first, with two vcpus. */
struct xen_domctl *child_request(domid_t child);

/*
 * Make a child: bare; with its two vcpus; with memory as well. What an earlier test left is taken apart
 * first. End the test with a failure if Xen refuses.
 */
void child_create(domid_t child);
void child_create_with_vcpus(domid_t child);
void child_create_with_memory(domid_t child);

#define CHILD_VCPUS 2
#define CHILD_PORTS 64                  /* of events, number 0 among them */

/* Memory for a child that has none; how many pages it got. */
long child_populate(domid_t child, xen_pfn_t first, unsigned int pages);

/* Whether the child may use frames of devices; 0 or an error number. */
long child_allow_device(domid_t child, uint64_t frame, uint64_t count, bool allow);

/* Maps frames of a device into a child, or takes them away again; 0 or an error number. */
long child_map_device(domid_t child, uint64_t at, uint64_t frame, uint64_t count, bool add);

/* Takes the child apart, and waits until its number is free. */
void child_destroy(domid_t child);

/* A frame of the child's, mapped until arch_child_unmap(); ends the test with a failure if Xen refuses. */
void *child_map(domid_t child, xen_pfn_t frame);

/* The registers of a vcpu: such as Xen takes, with VGCF_online or without; and 0 or an error number. */
long child_set_registers(domid_t child, uint32_t vcpu, bool online);

/* ---- What an architecture supplies; arch.h declares it ---- */

/* Its part of the configuration, and the flags of its kind of domain.
void arch_child_config(struct xen_domctl_createdomain *config); */

/* What has to be there before a child can have memory; 0 or an error number.
long arch_child_prepare(domid_t child); */

/* Registers that Xen takes for a vcpu of such a domain, all else being zero.
void arch_child_context(struct ARCH_CHILD(vcpu_guest_context) *context); */

/* A frame of the child's, mapped over a page of the kernel until the unmapping; 0 or an error number.
long arch_child_map(domid_t child, xen_pfn_t frame, void **page);
void arch_child_unmap(void); */

#endif
#endif
