/*
 * The supervisor: the kernel as control domain, watching domain 1, which Xen has built at boot or this
 * kernel builds: then again and again, another one when one has ended.
 *
 * How a domain ended can only be asked from outside of it. In environments whose domain under test is
 * not the control domain, this kernel runs as both, and says here what it saw. A domain that is not to
 * end for good, but to be suspended or reset, is brought back; it finds what was seen of it in the page
 * of PEER_REF_READONLY.
 */
#include <boot.h>
#include <console_ring.h>
#include <events.h>
#include <hypercall.h>
#include <peer.h>
#include <print.h>
#include <string.h>
#include <timing.h>

#include "runtime.h"

#define WATCHED 1
#define DESTROY_LIMIT SECONDS(5)

/* By SHUTDOWN_ code. */
static const char *const codes[] = {
    [SHUTDOWN_poweroff] = "poweroff",
    [SHUTDOWN_reboot] = "reboot",
    [SHUTDOWN_suspend] = "suspend",
    [SHUTDOWN_crash] = "crash",
#ifdef SHUTDOWN_watchdog
    [SHUTDOWN_watchdog] = "watchdog",
#endif
#ifdef SHUTDOWN_soft_reset
    [SHUTDOWN_soft_reset] = "soft_reset",
#endif
};

/* The port of VIRQ_DOM_EXC, which says that some domain has ended; 0: there is none. It stays masked. */
static evtchn_port_t ended;

static struct xen_domctl request;

static long domctl(uint32_t command)
{
    memset(&request, 0, sizeof(request));
    request.cmd = command;
    request.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    request.domain = WATCHED;
    return hypercall_domctl(&request);
}

static void report(unsigned int code)
{
    if (code < sizeof(codes) / sizeof(codes[0]))
        print_line("# domain %u shutdown %s", WATCHED, codes[code]);
    else
        print_line("# domain %u shutdown %u", WATCHED, code);
}

/* Notes that VIRQ_DOM_EXC came, if it did. */
static void count_event(void)
{
    if (ended && event_is_pending(ended)) {
        event_clear(ended);
        peer_page()->events++;
    }
}

#ifdef SHUTDOWN_soft_reset
/* Xen wants the domain paused as well. */
static long soft_reset(void)
{
    long rc = domctl(XEN_DOMCTL_pausedomain);

    if (rc != 0)
        return rc;
    rc = domctl(XEN_DOMCTL_soft_reset);
    return domctl(XEN_DOMCTL_unpausedomain) ?: rc;
}
#endif

/* Lets a domain that is shut down go on if that is what its code asks for. */
static bool bring_back(unsigned int code)
{
    volatile struct peer_page *told = peer_page();
    char text[NUMBER_SIZE];
    long rc;

    count_event();
    told->shutdowns++;
    told->code = code;
    if (code == SHUTDOWN_suspend)
        rc = domctl(XEN_DOMCTL_resumedomain);
#ifdef SHUTDOWN_soft_reset
    else if (code == SHUTDOWN_soft_reset)
        rc = soft_reset();
#endif
    else
        return false;
    if (rc != 0)
        print_line("# domain %u cannot be brought back: %s", WATCHED,
                   number_text(text, sizeof(text), rc));
    return rc == 0;
}

/* Until there may be something to do: the end of a domain, or a line for its console, which only a look tells. */
static void wait(const struct xencons_interface *console)
{
    struct sched_poll poll = {.nr_ports = 1};

    if (console || !ended) {
        hypercall_sched_op(SCHEDOP_yield, NULL);
        return;
    }
    handle_set(poll.ports, &ended);
    hypercall_sched_op(SCHEDOP_poll, &poll);
    count_event();
}

/* Until it is shut down for good. */
static void watch(struct xencons_interface *console)
{
    const struct xen_domctl_getdomaininfo *info = &request.u.getdomaininfo;

    /* Without a limit of its own: how long the domain may run is the business of who started us. */
    for (;;) {
        long rc = domctl(XEN_DOMCTL_getdomaininfo);

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
            unsigned int code = info->flags >> XEN_DOMINF_shutdownshift & XEN_DOMINF_shutdownmask;

            if (!bring_back(code)) {
                console_ring_end(WATCHED);
                report(code);
                return;
            }
        }
        wait(console);
    }
}

#ifdef arch_domain_build
static bool is_gone(void)
{
    /* Where there is none, some releases tell of the next one. */
    return domctl(XEN_DOMCTL_getdomaininfo) != 0 || request.domain != WATCHED;
}

/* Makes room for another domain of the same number. Xen keeps one until nothing of it is in use. */
static void destroy(void)
{
    arch_domain_release();
    peer_renew_client();
    domctl(XEN_DOMCTL_destroydomain);
    if (!WAIT_UNTIL(is_gone(), DESTROY_LIMIT)) {
        print_line("# domain %u is destroyed and does not go", WATCHED);
        boot_shutdown(SHUTDOWN_crash);
    }
    if (ended)
        event_clear(ended);
}

/* Where the kernel is in a module of that many bytes: at the page behind the list of domains. */
static size_t kernel_offset(const char *module, size_t size)
{
    size_t end = 1;

    while (end < size && (module[end - 1] || module[end]))
        end++;
    return (end + PAGE_SIZE) & ~(PAGE_SIZE - 1ul);
}

/*
 * Builds the domains that the module of this one lists, each by its kind, a space, its command line and
 * a NUL; another NUL ends the list. Their kernel, an ELF file, starts at the next page.
 */
static void build_and_watch(const char *module, size_t size)
{
    const char *words = module;
    size_t kernel = kernel_offset(module, size);

    if (kernel >= size) {
        print_line("# domain %u cannot be built: dom0's module does not list domains", WATCHED);
        return;
    }
    while (*words) {
        const char *next = words + strlen(words) + 1;
        struct xencons_interface *console =
            arch_domain_build(WATCHED, words, module + kernel, size - kernel);

        if (console)
            watch(console);
        if (*next)
            destroy();
        words = next;
    }
}
#endif

void supervise(void)
{
    if (event_bind_virq(VIRQ_DOM_EXC, &ended) != 0)
        ended = 0;
#ifdef arch_domain_build
    size_t size;
    const char *module = arch_domain_module(&size);

    if (module) {
        build_and_watch(module, size);
        return;
    }
#endif
    watch(NULL);
}
