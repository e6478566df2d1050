/* What several files of tests share: names of things that do not exist, frames, the own domain. */
#ifndef XENPORT_CASES_COMMON_H
#define XENPORT_CASES_COMMON_H

#include <stdint.h>

#include <boot.h>
#include <events.h>
#include <features.h>
#include <hypercall.h>
#include <test.h>
#include <version.h>

#define PAGE_BYTES 4096u

/* The release whose headers the kernel was built with, for rules that changed without a name. */
#define RELEASE_IS_AT_LEAST(major, minor)                                                          \
    (XENPORT_RELEASE_MAJOR > (major) ||                                                            \
     (XENPORT_RELEASE_MAJOR == (major) && XENPORT_RELEASE_MINOR >= (minor)))

/* 64-bit Xen translates what 32-bit guests on x86 say, which changes some answers; their arch.h says so. */
#ifndef ARCH_COMPAT
#define ARCH_COMPAT false
#endif

/*
 * Kinds of guests for .needs, after others: PowerPC's as today's common code has it, and as IBM's port had it, which
 * ended with release 3.2. ("hvm|arm" TODAYS_PPC)
 */
#if XENPORT_RELEASE_MAJOR >= 4
#define TODAYS_PPC "|ppc"
#define IBMS_PPC ""
#else
#define TODAYS_PPC ""
#define IBMS_PPC "|ppc"
#endif

/* Below DOMID_FIRST_RESERVED, and far above any domain that a port has running. */
#define NO_DOMAIN 0x7000

/* The environments have one vcpu, some a few; every release knows at least 32. */
#define NO_VCPU 31

/* No hypercall has so many commands, and memory_op looks at the low six bits only. */
#define NO_COMMAND 63

/* Beyond the ports of both event channel interfaces. */
#define NO_PORT 0x7fffffff

/* An address where nothing is, for handles for which NULL has a meaning of its own. */
static inline void *nowhere(void)
{
    return (char *)arch_unmapped_pointer() + 16;
}

/* Longer than anything takes that is going to happen at all, also on a busy machine. */
#define EVENT_LIMIT SECONDS(2)

/* Whether Xen tells this domain of a feature: an XENFEAT_ of the first word. */
static inline bool has_feature(unsigned int feature)
{
    struct xen_feature_info info = {.submap_idx = 0};

    CHECK_EQ(hypercall_xen_version(XENVER_get_features, &info), 0);
    return info.submap >> feature & 1;
}

/* Ends the test with a failure if the state of the port cannot be asked for. */
static inline struct evtchn_status port_status(evtchn_port_t port)
{
    struct evtchn_status status = {.dom = DOMID_SELF, .port = port};

    CHECK_EQ(hypercall_event_channel_op(EVTCHNOP_status, &status), 0);
    return status;
}

/* The number of the domain this kernel runs in. Nothing tells it but a channel to oneself. */
static inline domid_t own_domain(void)
{
    evtchn_port_t port;

    CHECK_EQ(event_alloc_unbound(DOMID_SELF, &port), 0);
    domid_t domain = port_status(port).u.unbound.dom;
    CHECK_EQ(event_close(port), 0);
    return domain;
}

/* Ends a function that returns what is wrong, or NULL, with the text of what does not hold: for a state that the test
 * has to leave before it may fail. */
#define HOLDS(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return #condition;                                                                     \
    } while (0)

#endif
