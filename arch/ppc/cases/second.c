/* The second vcpu, see second.h, and tests of it: how it is started and stopped, and its events. */
#include "second.h"

#include <events.h>
#include <hypercall.h>
#include <string.h>
#include <timing.h>
#include <vcpu.h>

#include <common.h>

#define STACK_BYTES 16384
#define CALL_FRAME 32  /* what ELFv2 asks for below an entry from nowhere */
#define PORTS 64

#define MSR_64_BIT (1ul << 63)
#define MSR_ME 0x1000ul

volatile struct second_entry second_entry;

/* In the order of ppc_second_begins(), registers.S. */
struct second_registers {
    unsigned long gprs[32], lr, ctr, xer, cr, srr0, srr1;
};

static struct second_registers given, found;

extern const char ppc_second_begins[];

static uint8_t stack[STACK_BYTES] __attribute__((aligned(16)));
static uint8_t fault_stack[STACK_BYTES] __attribute__((aligned(16)));
static bool is_initialised;
static unsigned int counts[PORTS];

static struct {
    void (*function)(void *);
    void *argument;
} work;

/*
 * Background: PowerPC has no interrupt that cannot be masked.
 * Provoked by: an argument, which the command does not take; an NMI for this vcpu.
 * Expected: -EINVAL; 0, and nothing comes.
 * Source: vcpu.h (VCPUOP_send_nmi); 3.2's common/domain.c, do_vcpu_op().
 */
TEST(vcpu_send_nmi_on_ppc, VCPUS, "an NMI is taken note of, and never comes")
{
    long unused = 0;

    CHECK_ERRNO(hypercall_vcpu_op(VCPUOP_send_nmi, 0, &unused), EINVAL);
    CHECK_EQ(hypercall_vcpu_op(VCPUOP_send_nmi, 0, NULL), 0);
}

static unsigned long top_of(uint8_t *area)
{
    return (unsigned long)area + STACK_BYTES - CALL_FRAME;
}

static volatile struct vcpu_info *own_info(void)
{
    return &boot_info.shared_info->vcpu_info[SECOND_VCPU];
}

/* ---- On the second vcpu ---- */

/* The vectors call this for every vcpu but the first one. */
static void second_upcall(void)
{
    volatile struct vcpu_info *info = own_info();

    __atomic_store_n(&info->evtchn_upcall_pending, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&info->evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);
    for (evtchn_port_t port = 0; port < PORTS; port++)
        if (event_is_pending(port) && !event_is_masked(port)) {
            event_clear(port);
            __atomic_fetch_add(&counts[port], 1, __ATOMIC_SEQ_CST);
        }
}

static _Noreturn void go_down_for_good(void)
{
    for (;;)
        hypercall_vcpu_op(VCPUOP_down, SECOND_VCPU, NULL);
}

void second_events_enable(void)
{
    __asm__ volatile("mtmsrd %0, 1" : : "r"(ARCH_MSR_EE | ARCH_MSR_RI) : "memory");
    if (own_info()->evtchn_upcall_pending)
        hypercall_xen_version(XENVER_version, NULL);
}

void second_events_disable(void)
{
    arch_events_disable();
}

/* Where ppc_second_begins() goes on, with the argument in r3. */
static _Noreturn void second_main(unsigned long argument)
{
    unsigned long msr;

    __asm__ volatile("mfmsr %0" : "=r"(msr));
    second_entry.argument = argument;
    second_entry.msr = msr;
    second_entry.stack = (unsigned long)__builtin_frame_address(0);
    arch_vcpu_begin(SECOND_VCPU, (void *)top_of(fault_stack));
    for (;;) {
        work.function(work.argument);
        second_events_disable();
        hypercall_vcpu_op(VCPUOP_down, SECOND_VCPU, NULL);
    }
}

/* ---- On the first ---- */

bool second_is_initialised(void)
{
    return is_initialised;
}

static long initialise(void)
{
    static struct vcpu_guest_context context;

    for (unsigned int i = 0; i < 32; i++)
        given.gprs[i] = 0x1234567800000000 + (i + 1) * 0x01010101;
    given.gprs[1] = top_of(stack);
    given.gprs[3] = SECOND_ARGUMENT;
    given.gprs[4] = (unsigned long)&found;
    given.gprs[12] = (unsigned long)second_main; /* from which it finds its data */
    given.lr = 0x1111222233334440;
    given.ctr = 0x5555666677778880;
    given.xer = 0x20000005;                      /* a carry, and five bytes of a string */
    given.cr = 0x12345678;
    given.srr0 = 0x9999aaaabbbbccc0;
    given.srr1 = MSR_64_BIT | ARCH_MSR_RI;
    memset(&context, 0, sizeof(context));
    memcpy(context.user_regs.gprs, given.gprs, sizeof(given.gprs));
    context.user_regs.lr = given.lr;
    context.user_regs.ctr = given.ctr;
    context.user_regs.xer = given.xer;
    context.user_regs.cr = (uint32_t)given.cr;
    context.user_regs.srr0 = given.srr0;
    context.user_regs.srr1 = given.srr1;
    context.user_regs.pc = (unsigned long)ppc_second_begins;
    context.user_regs.msr = MSR_64_BIT | MSR_ME | ARCH_MSR_RI;
    return hypercall_vcpu_op(VCPUOP_initialise, SECOND_VCPU, &context);
}

long second_start(void (*function)(void *), void *argument)
{
    work.function = function;
    work.argument = argument;
    if (!is_initialised) {
        arch_second_vcpu.upcall = second_upcall;
        arch_second_vcpu.fault = go_down_for_good;
        long rc = initialise();

        if (rc != 0)
            return rc;
        is_initialised = true;
    }
    return hypercall_vcpu_op(VCPUOP_up, SECOND_VCPU, NULL);
}

static bool is_up(void)
{
    return hypercall_vcpu_op(VCPUOP_is_up, SECOND_VCPU, NULL) == 1;
}

bool second_wait_down(void)
{
    return WAIT_UNTIL(!is_up(), SECONDS(1));
}

unsigned int second_event_count(evtchn_port_t port)
{
    return __atomic_load_n(&counts[port % PORTS], __ATOMIC_SEQ_CST);
}

void second_events_reset(void)
{
    memset(counts, 0, sizeof(counts));
}

/* ---- Starting and stopping ---- */

static void count_up(void *counter)
{
    __atomic_fetch_add((unsigned int *)counter, 1, __ATOMIC_SEQ_CST);
}

/*
 * Background: A vcpu that is down gets its registers, and then runs.
 * Provoked by: VCPUOP_up before it has registers (if no test has given it some), VCPUOP_initialise, VCPUOP_up;
 * VCPUOP_initialise again.
 * Expected: -EINVAL, and it is down; it starts where the registers say, and has them all; -EEXIST.
 * Source: vcpu.h; 3.2's common/domain.c, do_vcpu_op(), boot_vcpu(); arch/powerpc/domain.c,
 * arch_set_info_guest().
 */
TEST(vcpu_second_starts, VCPUS, "a vcpu that is given registers starts with them", .needs = "smp")
{
    static unsigned int counter;

    if (!second_is_initialised())
        CHECK_ERRNO(hypercall_vcpu_op(VCPUOP_up, SECOND_VCPU, NULL), EINVAL);
    CHECK(!is_up());
    counter = 0;
    CHECK_EQ(second_start(count_up, &counter), 0);
    CHECK(second_wait_down());
    CHECK_EQ(counter, 1);
    CHECK_EQ(second_entry.argument, SECOND_ARGUMENT);
    CHECK_EQ(second_entry.msr, MSR_64_BIT | MSR_ME | ARCH_MSR_RI);
    CHECK(second_entry.stack > (unsigned long)stack && second_entry.stack <= top_of(stack));
    for (unsigned int i = 0; i < 32; i++)
        CHECK_EQ(found.gprs[i], given.gprs[i]);
    CHECK_EQ(found.lr, given.lr);
    CHECK_EQ(found.ctr, given.ctr);
    CHECK_EQ(found.xer, given.xer);
    CHECK_EQ(found.cr, given.cr);
    CHECK_EQ(found.srr0, given.srr0);
    CHECK_EQ(found.srr1, given.srr1);
    CHECK_ERRNO(initialise(), EEXIST);
}

/*
 * Background: A vcpu that takes itself down is somewhere in its code, and goes on there.
 * Provoked by: the vcpu started again and again.
 * Expected: it runs once each time, and is down in between.
 * Source: vcpu.h (VCPUOP_down, VCPUOP_up); 3.2's common/domain.c, do_vcpu_op().
 */
TEST(vcpu_second_goes_on, VCPUS, "a vcpu that went down goes on behind the call", .needs = "smp")
{
    static unsigned int counter;

    counter = 0;
    for (unsigned int i = 1; i <= 5; i++) {
        CHECK_EQ(second_start(count_up, &counter), 0);
        CHECK(second_wait_down());
        CHECK_EQ(counter, i);
    }
}

struct spin {
    unsigned int turns;
    bool end;
};

static void spin(void *argument)
{
    volatile struct spin *spin = argument;
    struct wait wait = wait_begin(SECONDS(2));

    while (!spin->end && wait_step(&wait))
        spin->turns++;
}

/*
 * Background: Any vcpu of a domain can take another one down.
 * Provoked by: VCPUOP_down for a vcpu that runs; VCPUOP_up.
 * Expected: it is down, does nothing, and is offline by its runstate; it goes on.
 * Source: vcpu.h (VCPUOP_down); 3.2's common/domain.c, do_vcpu_op().
 */
TEST(vcpu_second_is_taken_down, VCPUS, "a vcpu takes another one down, and up again", .needs = "smp")
{
    static volatile struct spin state;
    struct vcpu_runstate_info runstate;

    state = (struct spin){0};
    CHECK_EQ(second_start(spin, (void *)&state), 0);
    CHECK(WAIT_UNTIL(state.turns > 0, SECONDS(1)));
    CHECK(is_up());
    CHECK_EQ(hypercall_vcpu_op(VCPUOP_down, SECOND_VCPU, NULL), 0);
    CHECK(!is_up());
    wait_for(MILLISECONDS(1));      /* it may be on its way out of the processor */
    unsigned int turns = state.turns;
    wait_for(MILLISECONDS(3));
    CHECK_EQ(state.turns, turns);
    CHECK_EQ(hypercall_vcpu_op(VCPUOP_get_runstate_info, SECOND_VCPU, &runstate), 0);
    CHECK_EQ(runstate.state, RUNSTATE_offline);

    CHECK_EQ(hypercall_vcpu_op(VCPUOP_up, SECOND_VCPU, NULL), 0);
    CHECK(is_up());
    CHECK(WAIT_UNTIL(state.turns > turns, SECONDS(1)));
    CHECK_EQ(hypercall_vcpu_op(VCPUOP_get_runstate_info, SECOND_VCPU, &runstate), 0);
    CHECK(runstate.state != RUNSTATE_offline);
    state.end = true;
    CHECK(second_wait_down());
}

/* ---- Its events ---- */

/* Waits with upcalls on until an event of the port has come. */
static void take_event(void *argument)
{
    evtchn_port_t port = *(evtchn_port_t *)argument;

    second_events_enable();
    (void)WAIT_UNTIL(second_event_count(port) > 0, SECONDS(1));
}

static void nothing(void *argument)
{
    (void)argument;
}

static void bind_to_second(evtchn_port_t port)
{
    struct evtchn_bind_vcpu bind = {.port = port, .vcpu = SECOND_VCPU};

    CHECK_EQ(hypercall_event_channel_op(EVTCHNOP_bind_vcpu, &bind), 0);
    CHECK_EQ(port_status(port).vcpu, SECOND_VCPU);
}

/*
 * Background: A channel that is bound to a vcpu is that one's business alone.
 * Provoked by: an event of such a channel while the other vcpu waits with upcalls on.
 * Expected: an upcall there, and none here.
 * Source: event_channel.h (EVTCHNOP_bind_vcpu); 3.2's common/event_channel.c, evtchn_set_pending().
 */
TEST(vcpu_second_gets_event, VCPUS, "an event is taken by the vcpu that its channel is bound to",
     .needs = "smp")
{
    static evtchn_port_t port;
    evtchn_port_t other;

    second_events_reset();
    event_loopback(&port, &other);
    CHECK_EQ(event_bind(port, NULL, NULL), 0);
    bind_to_second(port);
    unsigned long upcalls = events_upcalls();
    CHECK_EQ(second_start(take_event, &port), 0);
    CHECK_EQ(event_send(other), 0);
    CHECK(second_wait_down());
    CHECK_EQ(second_event_count(port), 1);
    CHECK_EQ(event_count(port), 0);
    CHECK_EQ(events_upcalls(), upcalls);
}

/*
 * Background: An event for a vcpu that does not take it stays with that vcpu.
 * Provoked by: an event for a vcpu that is down, which is then started with upcalls off, and again with them on.
 * Expected: it is marked in that vcpu's vcpu_info and not in this one's; no upcall; one.
 * Source: xen.h (vcpu_info); 3.2's common/event_channel.c, evtchn_set_pending().
 */
TEST(vcpu_second_event_waits, VCPUS, "an event for a vcpu that is down is there when it comes up",
     .needs = "smp")
{
    static evtchn_port_t port;
    evtchn_port_t other;

    second_events_reset();
    event_loopback(&port, &other);
    CHECK_EQ(event_bind(port, NULL, NULL), 0);
    bind_to_second(port);
    CHECK_EQ(event_send(other), 0);
    CHECK(event_is_pending(port));
    CHECK_EQ(own_info()->evtchn_upcall_pending, 1);
    CHECK_EQ(own_info()->evtchn_pending_sel, 1);
    CHECK_EQ(boot_info.vcpu_info->evtchn_upcall_pending, 0);
    CHECK_EQ(second_start(nothing, NULL), 0);
    CHECK(second_wait_down());
    CHECK_EQ(second_event_count(port), 0);
    CHECK_EQ(second_start(take_event, &port), 0);
    CHECK(second_wait_down());
    CHECK_EQ(second_event_count(port), 1);
    CHECK_EQ(event_count(port), 0);
}

struct ping {
    evtchn_port_t there, back;
    long rc;
};

static void answer(void *argument)
{
    struct ping *ping = argument;

    take_event(&ping->there);
    ping->rc = event_send(ping->back);
}

static evtchn_port_t bind_ipi(unsigned int vcpu)
{
    struct evtchn_bind_ipi bind = {.vcpu = vcpu};

    CHECK_EQ(hypercall_event_channel_op(EVTCHNOP_bind_ipi, &bind), 0);
    CHECK_EQ(port_status(bind.port).vcpu, vcpu);
    return bind.port;
}

/*
 * Background: IPIs are how the vcpus of a domain call one another.
 * Provoked by: an IPI for the second vcpu, which sends one back.
 * Expected: one upcall on each.
 * Source: event_channel.h (EVTCHNOP_bind_ipi); 3.2's common/event_channel.c, evtchn_bind_ipi().
 */
TEST(vcpu_second_ipis, VCPUS, "two vcpus send each other events", .needs = "smp")
{
    static struct ping ping;

    second_events_reset();
    ping = (struct ping){.there = bind_ipi(SECOND_VCPU), .back = bind_ipi(0), .rc = 1};
    CHECK_EQ(event_bind(ping.there, NULL, NULL), 0);
    CHECK_EQ(event_bind(ping.back, NULL, NULL), 0);
    CHECK_EQ(second_start(answer, &ping), 0);
    CHECK_EQ(event_send(ping.there), 0);
    CHECK(event_wait(ping.back, 1, EVENT_LIMIT));
    CHECK(second_wait_down());
    CHECK_EQ(ping.rc, 0);
    CHECK_EQ(second_event_count(ping.there), 1);
    CHECK_EQ(event_count(ping.back), 1);
    CHECK_EQ(event_count(ping.there), 0);
}

static void block(void *argument)
{
    *(volatile long *)argument = hypercall_sched_op(SCHEDOP_block, NULL);
}

/*
 * Background: A vcpu that blocks sleeps until it has an event, for which its upcalls are turned on.
 * Provoked by: SCHEDOP_block with upcalls off; an event for that vcpu.
 * Expected: it sleeps; the upcall, and then the call returns 0.
 * Source: sched.h (SCHEDOP_block); 3.2's common/schedule.c, do_block().
 */
TEST(vcpu_second_blocks, VCPUS, "a vcpu that blocks is woken by its own event", .needs = "smp")
{
    static volatile long rc;
    struct vcpu_runstate_info runstate = {0};
    evtchn_port_t port, other;

    second_events_reset();
    event_loopback(&port, &other);
    CHECK_EQ(event_bind(port, NULL, NULL), 0);
    bind_to_second(port);
    rc = 1;
    CHECK_EQ(second_start(block, (void *)&rc), 0);
    CHECK(WAIT_UNTIL(hypercall_vcpu_op(VCPUOP_get_runstate_info, SECOND_VCPU, &runstate) == 0 &&
                         runstate.state == RUNSTATE_blocked,
                     SECONDS(1)));
    CHECK_EQ(rc, 1);
    CHECK_EQ(event_send(other), 0);
    CHECK(second_wait_down());
    CHECK_EQ(rc, 0);
    CHECK_EQ(second_event_count(port), 1);
}
