/*
 * Hypercalls by name. Each returns what Xen returned: a result >= 0, or a negative error number
 * (-XEN_EINVAL). Pointers go through arch_guest_address(); a test that wants to hand over something
 * else (a bad address, an unknown number) calls arch_hypercall() itself.
 */
#ifndef XENPORT_HYPERCALL_H
#define XENPORT_HYPERCALL_H

#include <arch.h>

#include <domctl.h>
#include <errno.h>
#include <event_channel.h>
#include <grant_table.h>
#include <hvm/hvm_op.h>
#include <memory.h>
#include <sched.h>
#include <vcpu.h>
#include <version.h>
#include <xen.h>

/* Puts a pointer into a guest handle that is a field of a structure. */
#define handle_set(handle, pointer)                                                                \
    set_xen_guest_handle(handle, (void *)arch_guest_address(pointer))

static inline long hypercall_xen_version(unsigned int command, void *argument)
{
    return arch_hypercall(__HYPERVISOR_xen_version, command, arch_guest_address(argument), 0, 0, 0);
}

static inline long hypercall_console_io(unsigned int command, unsigned int count, const char *buffer)
{
    return arch_hypercall(__HYPERVISOR_console_io, command, count, arch_guest_address(buffer), 0, 0);
}

/* In events.c, which has to know which tests open channels. */
long hypercall_event_channel_op(unsigned int command, void *argument);

static inline long hypercall_sched_op(unsigned int command, void *argument)
{
    return arch_hypercall(__HYPERVISOR_sched_op, command, arch_guest_address(argument), 0, 0, 0);
}

static inline long hypercall_vcpu_op(unsigned int command, unsigned int vcpu, void *argument)
{
    return arch_hypercall(__HYPERVISOR_vcpu_op, command, vcpu, arch_guest_address(argument), 0, 0);
}

static inline long hypercall_memory_op(unsigned int command, void *argument)
{
    return arch_hypercall(__HYPERVISOR_memory_op, command, arch_guest_address(argument), 0, 0, 0);
}

static inline long hypercall_grant_table_op(unsigned int command, void *requests, unsigned int count)
{
    return arch_hypercall(__HYPERVISOR_grant_table_op, command, arch_guest_address(requests), count, 0,
                          0);
}

static inline long hypercall_hvm_op(unsigned int command, void *argument)
{
    return arch_hypercall(__HYPERVISOR_hvm_op, command, arch_guest_address(argument), 0, 0, 0);
}

#ifdef __HYPERVISOR_dm_op
/* buffers: of type xen_dm_op_buf_t */
static inline long hypercall_dm_op(domid_t domain, unsigned int count, void *buffers)
{
    return arch_hypercall(__HYPERVISOR_dm_op, domain, count, arch_guest_address(buffers), 0, 0);
}
#endif

/* deadline: absolute system time in ns, 0 for none; two arguments, the low half first, where they have 32 bits. */
static inline long hypercall_set_timer_op(uint64_t deadline)
{
    unsigned long high = sizeof(high) < sizeof(deadline) ? (unsigned long)(deadline >> 32) : 0;

    return arch_hypercall(__HYPERVISOR_set_timer_op, (unsigned long)deadline, high, 0, 0, 0);
}

/* argument: struct xen_domctl with cmd, domain and interface_version set. */
static inline long hypercall_domctl(void *argument)
{
    return arch_hypercall(__HYPERVISOR_domctl, arch_guest_address(argument), 0, 0, 0, 0);
}

/* argument: struct xen_sysctl with cmd and interface_version set. */
static inline long hypercall_sysctl(void *argument)
{
    return arch_hypercall(__HYPERVISOR_sysctl, arch_guest_address(argument), 0, 0, 0, 0);
}

#endif
