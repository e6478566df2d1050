/* Requests to dm_op, which has one command a call and no structure for all of it but the first buffer. */
#ifndef XENPORT_X86_DM_OP_REQUEST_H
#define XENPORT_X86_DM_OP_REQUEST_H

#include <hvm/dm_op.h>

#include "children.h"

/* A request, all zero but for its command; good until the next one. */
struct xen_dm_op *dm_request(uint32_t command);

/* The latest request, made to the device model of CHILD; the second one with another buffer. */
long dm_call(void);
long dm_call_with(void *buffer, unsigned long size);

/* How accesses to a frame of CHILD are treated: an HVMMEM_ value. */
unsigned int child_mem_type(xen_pfn_t frame);

#endif
