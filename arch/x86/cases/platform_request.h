/* platform_op as its tests make it: one request, whose members the test sets before the call. */
#ifndef XENPORT_X86_PLATFORM_REQUEST_H
#define XENPORT_X86_PLATFORM_REQUEST_H

#include <platform.h>
#include <string.h>

#include "common.h"

static struct xen_platform_op request;

/* Clears the request; its members may be set now. */
static inline void platform_prepare(void)
{
    memset(&request, 0, sizeof(request));
}

static inline long platform_op(unsigned int command)
{
    request.cmd = command;
    request.interface_version = XENPF_INTERFACE_VERSION;
    return arch_hypercall(__HYPERVISOR_platform_op, arch_guest_address(&request), 0, 0, 0, 0);
}

/* The same for a command that takes nothing. */
static inline long platform_plain(unsigned int command)
{
    platform_prepare();
    return platform_op(command);
}

#endif
