/* sysctl as its tests make it: one request, whose members the test sets before the call. */
#ifndef XENPORT_CASES_SYSCTL_REQUEST_H
#define XENPORT_CASES_SYSCTL_REQUEST_H

#include <string.h>
#include <sysctl.h>

#include "common.h"

static struct xen_sysctl request;

/* Clears the request; its members may be set now. */
static inline void sysctl_prepare(void)
{
    memset(&request, 0, sizeof(request));
}

static inline long sysctl(unsigned int command)
{
    request.cmd = command;
    request.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    return hypercall_sysctl(&request);
}

/* The same for a command that takes nothing. */
static inline long sysctl_plain(unsigned int command)
{
    sysctl_prepare();
    return sysctl(command);
}

#endif
