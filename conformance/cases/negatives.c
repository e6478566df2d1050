/*
 * Errors that abi/ declares, provoked: how the calls of the generated tables are made; see negatives.h.
 */
#include <features.h>
#include <string.h>
#include <version.h>

#include "common.h"
#include "negatives.h"

#define REGISTERS 5

/* No call has a value behind this many bytes of a buffer. */
#define ROOM 1024

static unsigned char argument[PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));
static unsigned char second[4 * PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));

static bool is_control(void)
{
#ifdef XENFEAT_dom0
    struct xen_feature_info info = {.submap_idx = 0};

    CHECK_EQ(hypercall_xen_version(XENVER_get_features, &info), 0);
    return info.submap >> XENFEAT_dom0 & 1;
#else
    return false;
#endif
}

/* The bit of this domain in struct negative.situations. */
static unsigned int own_situation(void)
{
    static unsigned int bit;
    bool control;

    if (bit)
        return bit;
    control = is_control();
    for (unsigned int i = 0; negative_situations[i].guest; i++) {
        const struct negative_situation *situation = &negative_situations[i];

        if (strcmp(situation->guest, boot_info.guest) == 0 && situation->is_control == control)
            bit = 1u << i;
    }
    return bit;
}

/* The ports that were made for a call; closed after it. */
static evtchn_port_t made_ports[2 * REGISTERS];
static unsigned int made_ports_count;

static evtchn_port_t keep(evtchn_port_t port)
{
    CHECK(made_ports_count < sizeof(made_ports) / sizeof(made_ports[0]));
    made_ports[made_ports_count++] = port;
    return port;
}

static void close_ports(void)
{
    while (made_ports_count)
        (void)event_close(made_ports[--made_ports_count]);
}

static evtchn_port_t port_in(enum negative_kind state)
{
    evtchn_port_t port = 0, other;

    switch (state) {
    case NEGATIVE_PORT_INTERDOMAIN:
        event_loopback(&port, &other);
        keep(other);
        break;
    case NEGATIVE_PORT_VIRQ:
        CHECK_EQ(event_bind_virq(VIRQ_DEBUG, &port), 0);
        break;
    case NEGATIVE_PORT_IPI:
        CHECK_EQ(event_bind_ipi(&port), 0);
        break;
    default:
        CHECK_EQ(event_alloc_unbound(DOMID_SELF, &port), 0);
        if (state == NEGATIVE_PORT_FREE) {
            CHECK_EQ(event_close(port), 0);
            return port;
        }
        break;
    }
    return keep(port);
}

static unsigned long bound_virq(void)
{
    evtchn_port_t port;

    CHECK_EQ(event_bind_virq(VIRQ_DEBUG, &port), 0);
    keep(port);
    return VIRQ_DEBUG;
}

static uint64_t value_of(const struct negative_value *value)
{
    static domid_t domain;
    static bool is_known;

    switch (value->kind) {
    case NEGATIVE_CONSTANT:
        return value->value;
    case NEGATIVE_ARGUMENT_ADDRESS:
        return arch_guest_address(argument);
    case NEGATIVE_SECOND_ADDRESS:
        return arch_guest_address(second);
    case NEGATIVE_NOWHERE:
        /* Not the start of it: a handle of 0 is one that is not given. */
        return arch_guest_address((char *)arch_unmapped_pointer() + 64);
    case NEGATIVE_OWN_DOMAIN:
        if (!is_known)
            domain = own_domain();
        is_known = true;
        return domain;
    case NEGATIVE_FRAME:
        return arch_frame(second);
    case NEGATIVE_VIRQ_BOUND:
        return bound_virq();
    default:
        return port_in(value->kind);
    }
}

/* Values of one unit, bit fields, are put together. */
static void store(void *at, unsigned int size, uint64_t value)
{
    switch (size) {
    case 1:
        *(uint8_t *)at |= (uint8_t)value;
        break;
    case 2:
        *(uint16_t *)at |= (uint16_t)value;
        break;
    case 4:
        *(uint32_t *)at |= (uint32_t)value;
        break;
    default:
        *(uint64_t *)at |= value;
        break;
    }
}

static long call(const struct negative *negative)
{
    unsigned long registers[REGISTERS] = {0};

    memset(argument, 0, ROOM);
    memset(second, 0, ROOM);
    for (unsigned int i = 0; i < negative->values; i++) {
        const struct negative_value *value = &negative_values[negative->first + i];
        uint64_t number = value_of(value) << value->shift;

        if (value->area == NEGATIVE_REGISTER)
            registers[value->offset] = (unsigned long)number;
        else
            store((value->area == NEGATIVE_ARGUMENT ? argument : second) + value->offset, value->size,
                  number);
    }
    return arch_hypercall(negative->hypercall, registers[0], registers[1], registers[2], registers[3],
                          registers[4]);
}

void negatives_run(const struct negative *calls, unsigned int count)
{
    const struct negative *wrong = NULL;
    unsigned int situation = own_situation(), made = 0;
    long result = 0;

    for (const struct negative *one = calls; one < calls + count; one++) {
        if (!(one->situations & situation))
            continue;
        long rc = call(one);

        close_ports();
        made++;
        if (rc == -(long)one->error)
            continue;
        if (wrong)
            NOTE("%s:%u: %s is %ld, expected -%u", one->file, one->line, one->condition, rc, one->error);
        else {
            wrong = one;
            result = rc;
        }
    }
    if (wrong)
        test_fail_equal(wrong->file, wrong->line, wrong->condition, result, -(long)wrong->error);
    CHECK(made > 0);
}
