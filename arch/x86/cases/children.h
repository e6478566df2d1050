/* Domains of x86's kinds that tests make, besides the one of child.h. */
#ifndef XENPORT_X86_CHILDREN_H
#define XENPORT_X86_CHILDREN_H

#include "child.h"

/* A PV domain with two vcpus and CHILD_PAGES pages. */
void child_create_pv(domid_t child);

/* The machine frames of the pages of the latest such domain. */
extern xen_pfn_t child_pv_frames[CHILD_PAGES];

/* An HVM domain with all of a PC's devices that Xen emulates, with vcpus and memory. */
void child_create_pc(domid_t child);

/* Gives vcpu 0 of an HVM domain its registers, so that it is up: flat 32-bit mode, with this rip. */
void child_start_hvm(domid_t child, uint64_t rip);

#endif
