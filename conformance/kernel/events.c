/* Event channels; see events.h. */
#include <boot.h>
#include <events.h>
#include <hypercall.h>
#include <string.h>
#include <test.h>
#include <timing.h>

#include "runtime.h"

#define WORD_BITS (sizeof(xen_ulong_t) * 8)
#define WORDS (EVENT_PORTS / WORD_BITS)

struct listener {
    event_handler *handler;
    void *data;
    unsigned int counts[VCPUS];
};

static struct listener listeners[EVENT_PORTS];
static unsigned int listeners_end; /* all from here on are unused */
static xen_ulong_t kept[WORDS];   /* channels that were open before the first test */
static unsigned long upcalls;

static bool test_bit(const xen_ulong_t *words, evtchn_port_t port)
{
    return __atomic_load_n(&words[port / WORD_BITS], __ATOMIC_SEQ_CST) >> port % WORD_BITS & 1;
}

static void set_bit(xen_ulong_t *words, evtchn_port_t port)
{
    __atomic_fetch_or(&words[port / WORD_BITS], (xen_ulong_t)1 << port % WORD_BITS, __ATOMIC_SEQ_CST);
}

static void clear_bit(xen_ulong_t *words, evtchn_port_t port)
{
    __atomic_fetch_and(&words[port / WORD_BITS], ~((xen_ulong_t)1 << port % WORD_BITS),
                       __ATOMIC_SEQ_CST);
}

bool event_is_pending(evtchn_port_t port)
{
    return test_bit(boot_info.shared_info->evtchn_pending, port);
}

bool event_is_masked(evtchn_port_t port)
{
    return test_bit(boot_info.shared_info->evtchn_mask, port);
}

void event_mask(evtchn_port_t port)
{
    set_bit(boot_info.shared_info->evtchn_mask, port);
}

void event_unmask(evtchn_port_t port)
{
    clear_bit(boot_info.shared_info->evtchn_mask, port);
}

void event_clear(evtchn_port_t port)
{
    clear_bit(boot_info.shared_info->evtchn_pending, port);
}

long event_bind(evtchn_port_t port, event_handler *handler, void *data)
{
    struct evtchn_unmask unmask = {.port = port};
    unsigned int index = port % EVENT_PORTS;
    volatile struct listener *listener = &listeners[index];

    if (index >= listeners_end)
        listeners_end = index + 1;
    listener->handler = handler;
    listener->data = data;
    for (unsigned int vcpu = 0; vcpu < VCPUS; vcpu++)
        listener->counts[vcpu] = 0;
    return hypercall_event_channel_op(EVTCHNOP_unmask, &unmask);
}

unsigned int event_count_on(unsigned int vcpu, evtchn_port_t port)
{
    return __atomic_load_n(&listeners[port % EVENT_PORTS].counts[vcpu], __ATOMIC_SEQ_CST);
}

unsigned int event_count(evtchn_port_t port)
{
    unsigned int count = 0;

    for (unsigned int vcpu = 0; vcpu < VCPUS; vcpu++)
        count += event_count_on(vcpu, port);
    return count;
}

bool event_wait(evtchn_port_t port, unsigned int count, uint64_t limit)
{
    return WAIT_UNTIL(event_count(port) >= count, limit);
}

long event_alloc_unbound(domid_t remote, evtchn_port_t *port)
{
    struct evtchn_alloc_unbound alloc = {.dom = DOMID_SELF, .remote_dom = remote};
    long rc = hypercall_event_channel_op(EVTCHNOP_alloc_unbound, &alloc);

    if (rc == 0)
        *port = alloc.port;
    return rc;
}

long event_bind_interdomain(domid_t remote, evtchn_port_t remote_port, evtchn_port_t *port)
{
    struct evtchn_bind_interdomain bind = {.remote_dom = remote, .remote_port = remote_port};
    long rc = hypercall_event_channel_op(EVTCHNOP_bind_interdomain, &bind);

    if (rc == 0)
        *port = bind.local_port;
    return rc;
}

long event_bind_virq(unsigned int virq, evtchn_port_t *port)
{
    struct evtchn_bind_virq bind = {.virq = virq, .vcpu = 0};
    long rc = hypercall_event_channel_op(EVTCHNOP_bind_virq, &bind);

    if (rc == 0)
        *port = bind.port;
    return rc;
}

long event_bind_ipi(evtchn_port_t *port)
{
    struct evtchn_bind_ipi bind = {.vcpu = 0};
    long rc = hypercall_event_channel_op(EVTCHNOP_bind_ipi, &bind);

    if (rc == 0)
        *port = bind.port;
    return rc;
}

long event_send(evtchn_port_t port)
{
    struct evtchn_send send = {.port = port};

    return hypercall_event_channel_op(EVTCHNOP_send, &send);
}

long event_close(evtchn_port_t port)
{
    struct evtchn_close close = {.port = port};

    return hypercall_event_channel_op(EVTCHNOP_close, &close);
}

void event_loopback(evtchn_port_t *one, evtchn_port_t *other)
{
    CHECK_EQ(event_alloc_unbound(DOMID_SELF, one), 0);
    CHECK_EQ(event_bind_interdomain(DOMID_SELF, *one, other), 0);
}

unsigned long events_upcalls(void)
{
    return __atomic_load_n(&upcalls, __ATOMIC_SEQ_CST);
}

static void deliver(evtchn_port_t port)
{
    struct listener *listener = &listeners[port];

    event_clear(port);
    __atomic_fetch_add(&listener->counts[arch_vcpu()], 1, __ATOMIC_SEQ_CST);
    if (listener->handler)
        listener->handler(port, listener->data);
}

void upcall(void)
{
    struct vcpu_info *vcpu = own_vcpu_info();
    xen_ulong_t selected;

    if (arch_vcpu() == 0)
        __atomic_fetch_add(&upcalls, 1, __ATOMIC_SEQ_CST);
    if (!vcpu)
        return;
    /* In this order: an event that comes while the bitmaps are read must raise another upcall. */
    __atomic_store_n(&vcpu->evtchn_upcall_pending, 0, __ATOMIC_SEQ_CST);
    selected = __atomic_exchange_n(&vcpu->evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);

    for (unsigned int word = 0; word < WORDS; word++) {
        if (!(selected >> word & 1))
            continue;
        for (unsigned int bit = 0; bit < WORD_BITS; bit++) {
            evtchn_port_t port = word * WORD_BITS + bit;

            if (event_is_pending(port) && !event_is_masked(port))
                deliver(port);
        }
    }
}

/* Whether a port was opened since the last events_reset(). */
static bool opened;

long hypercall_event_channel_op(unsigned int command, void *argument)
{
    long rc = arch_hypercall(__HYPERVISOR_event_channel_op, command, arch_guest_address(argument),
                             0, 0, 0);

    switch (command) {
    case EVTCHNOP_alloc_unbound:
    case EVTCHNOP_bind_interdomain:
    case EVTCHNOP_bind_virq:
    case EVTCHNOP_bind_ipi:
    case EVTCHNOP_bind_pirq:
        opened |= rc == 0;
    }
    return rc;
}

/* Ports are numbered from 1. The first number that EVTCHNOP_status refuses is behind the last one. */
static bool port_status(evtchn_port_t port, uint32_t *status)
{
    struct evtchn_status query = {.dom = DOMID_SELF, .port = port};

    if (hypercall_event_channel_op(EVTCHNOP_status, &query) != 0)
        return false;
    *status = query.status;
    return true;
}

static void forget_upcall(struct vcpu_info *vcpu)
{
    __atomic_store_n(&vcpu->evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&vcpu->evtchn_upcall_pending, 0, __ATOMIC_SEQ_CST);
}

static void mask_all(void)
{
    struct shared_info *shared = boot_info.shared_info;

    if (!shared)
        return;
    for (unsigned int word = 0; word < WORDS; word++) {
        __atomic_store_n(&shared->evtchn_mask[word], ~(xen_ulong_t)0, __ATOMIC_SEQ_CST);
        __atomic_fetch_and(&shared->evtchn_pending[word], kept[word], __ATOMIC_SEQ_CST);
    }
    forget_upcall(boot_info.vcpu_info);
    if (boot_info.second_info)
        forget_upcall(boot_info.second_info);
}

/*
 * Xen gives out the lowest free port, so behind this many closed ones in a row there are none that are open. A domain
 * that once had thousands of ports is not asked about all of them after each test.
 */
#define CLOSED_IN_A_ROW 64

/* Calls visit for each port that is not closed. */
static void for_each_open_port(void (*visit)(evtchn_port_t port))
{
    unsigned int closed = 0;
    uint32_t status;

    for (evtchn_port_t port = 1; port < EVENT_PORTS && port_status(port, &status); port++) {
        if (status != EVTCHNSTAT_closed) {
            closed = 0;
            visit(port);
        } else if (++closed == CLOSED_IN_A_ROW) {
            return;
        }
    }
}

static void keep(evtchn_port_t port)
{
    set_bit(kept, port);
}

static void close_unless_kept(evtchn_port_t port)
{
    if (!test_bit(kept, port))
        event_close(port);
}

void events_init(void)
{
    for_each_open_port(keep);
    mask_all();
}

void events_reset(void)
{
    mask_all();
    if (opened)
        for_each_open_port(close_unless_kept);
    opened = false;
    memset(listeners, 0, listeners_end * sizeof(listeners[0]));
    listeners_end = 0;
    mask_all();
}
