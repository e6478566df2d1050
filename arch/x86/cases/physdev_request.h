/* physdev_op by name. */
#ifndef XENPORT_X86_PHYSDEV_REQUEST_H
#define XENPORT_X86_PHYSDEV_REQUEST_H

#include <features.h>
#include <physdev.h>
#include <string.h>

#include "common.h"
#include "x86.h"

static inline long physdev_op(unsigned int command, void *argument)
{
    return arch_hypercall(__HYPERVISOR_physdev_op, command, arch_guest_address(argument), 0, 0, 0);
}

#endif
