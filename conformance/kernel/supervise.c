/*
 * The supervisor: the kernel as control domain, watching domain 1, which Xen has built at boot or this
 * kernel builds.
 *
 * How a domain ended can only be asked from outside of it. In environments whose domain under test is
 * not the control domain, this kernel runs as both, and says here what it saw.
 */
#include <boot.h>
#include <console_ring.h>
#include <hypercall.h>
#include <print.h>
#include <string.h>

#include "runtime.h"

#define WATCHED 1

static void report(unsigned int reason)
{
    switch (reason) {
    case SHUTDOWN_poweroff:
        print_line("# domain %u shutdown poweroff", WATCHED);
        break;
    case SHUTDOWN_reboot:
        print_line("# domain %u shutdown reboot", WATCHED);
        break;
    case SHUTDOWN_suspend:
        print_line("# domain %u shutdown suspend", WATCHED);
        break;
    case SHUTDOWN_crash:
        print_line("# domain %u shutdown crash", WATCHED);
        break;
    default:
        print_line("# domain %u shutdown %u", WATCHED, reason);
    }
}

/* Its console, if that is for us to pass on. Ends with a crash where a domain should be built and is not. */
static struct xencons_interface *build(void)
{
    const char *kind = command_line_option("build");
    struct xencons_interface *console = NULL;

    if (!kind)
        return NULL;
#ifdef arch_domain_build
    console = arch_domain_build(WATCHED, kind, command_line_rest());
#else
    print_line("# domain %u cannot be built: not on this architecture", WATCHED);
#endif
    if (!console)
        boot_shutdown(SHUTDOWN_crash);
    return console;
}

void supervise(void)
{
    struct xencons_interface *console = build();
    static struct xen_domctl query;
    const struct xen_domctl_getdomaininfo *info = &query.u.getdomaininfo;

    /* Without a limit of its own: how long the domain may run is the business of who started us. */
    for (;;) {
        long rc;

        memset(&query, 0, sizeof(query));
        query.cmd = XEN_DOMCTL_getdomaininfo;
        query.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
        query.domain = WATCHED;
        rc = hypercall_domctl(&query);
        if (rc != 0) {
            char text[NUMBER_SIZE];

            print_line("# domain %u cannot be watched: %s", WATCHED,
                       number_text(text, sizeof(text), rc));
            /* It runs its tests all the same; it is only its end that nobody will see. */
            for (;;)
                hypercall_sched_op(SCHEDOP_block, NULL);
        }
        if (console)
            console_ring_relay(console, WATCHED);
        if (info->flags & XEN_DOMINF_shutdown) {
            report(info->flags >> XEN_DOMINF_shutdownshift & XEN_DOMINF_shutdownmask);
            return;
        }
        hypercall_sched_op(SCHEDOP_yield, NULL);
    }
}
