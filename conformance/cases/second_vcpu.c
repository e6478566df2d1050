/*
 * Rung "vcpus": the events and times of a second vcpu. What is bound to it is its own business alone.
 *
 * The first vcpu starts it with something to do, provokes events, and looks at what became of them. See secondary.h
 * for what may run there.
 */
#include "common.h"

#ifdef arch_vcpu
#include <sched.h>
#include <secondary.h>
#include <string.h>
#include <timing.h>
#include <vcpu.h>

#include "system_time.h"

/* What the second vcpu is told, and what it says. */
static struct second {
    evtchn_port_t port;         /* the one that it is about, bound to the second vcpu */
    evtchn_port_t other;        /* the other end, or another port */
    unsigned int wanted;        /* events of port to wait for */
    volatile bool is_ready;     /* it has begun */
    volatile bool stop;
    volatile long result;
    volatile unsigned int rounds;
} second;

/* Where Xen says what the second vcpu does. */
static struct vcpu_runstate_info runstate;

static bool is_in_state(int state)
{
    return __atomic_load_n(&runstate.state, __ATOMIC_SEQ_CST) == state;
}

static long register_runstate(unsigned int vcpu, struct vcpu_runstate_info *at)
{
    struct vcpu_register_runstate_memory_area area = {.addr.p = 0};

    handle_set(area.addr.h, at);
    return hypercall_vcpu_op(VCPUOP_register_runstate_memory_area, vcpu, &area);
}

static void bind_to(unsigned int vcpu, evtchn_port_t port)
{
    struct evtchn_bind_vcpu bind = {.port = port, .vcpu = vcpu};

    CHECK_EQ(hypercall_event_channel_op(EVTCHNOP_bind_vcpu, &bind), 0);
    CHECK_EQ(port_status(port).vcpu, vcpu);
}

/* A channel of this domain to itself, without an event on it, whose one end is the second vcpu's. */
static void prepare(void)
{
    memset((void *)&second, 0, sizeof(second));
    second.wanted = 1;
    second.result = 1;
    CHECK(secondary_wait_off());
    event_loopback(&second.other, &second.port);
    event_clear(second.port);
    __atomic_store_n(&boot_info.vcpu_info->evtchn_upcall_pending, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&boot_info.vcpu_info->evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);
    bind_to(SECONDARY_VCPU, second.port);
}

static unsigned int second_count(void)
{
    return event_count_on(SECONDARY_VCPU, second.port);
}

static void start(void (*function)(void *))
{
    CHECK_EQ(secondary_start(function, NULL), 0);
    CHECK(WAIT_UNTIL(second.is_ready, EVENT_LIMIT));
}

/* ---- What it does there ---- */

static void take_events(void *unused)
{
    (void)unused;
    secondary_events_enable();
    second.is_ready = true;
    (void)WAIT_UNTIL(second_count() >= second.wanted, EVENT_LIMIT);
}

static void take_none(void *unused)
{
    (void)unused;
    second.is_ready = true;
}

static void take_until_stopped(void *unused)
{
    (void)unused;
    secondary_events_enable();
    second.is_ready = true;
    (void)WAIT_UNTIL(second.stop, 2 * EVENT_LIMIT);
}

static void answer_each(void *unused)
{
    (void)unused;
    secondary_events_enable();
    second.is_ready = true;
    for (second.rounds = 0; second.rounds < second.wanted; second.rounds++) {
        if (!WAIT_UNTIL(second_count() > second.rounds, EVENT_LIMIT))
            return;
        second.result = event_send(second.other);
    }
}

/* ---- Upcalls ---- */

/*
 * Background: A channel may be moved to the vcpu that is to deal with its events.
 * Provoked by: a channel bound to the second vcpu, and ten events, each after the one before was taken; both vcpus
 * have upcalls on.
 * Expected: ten deliveries there, none here.
 * Source: event_channel.h (EVTCHNOP_bind_vcpu); common/event_channel.c, evtchn_bind_vcpu().
 */
TEST(second_vcpu_upcall, VCPUS, "an event is taken by the vcpu that its channel is bound to",
     .needs = "pv|hvm|arm smp")
{
    prepare();
    second.wanted = 10;
    CHECK_EQ(event_bind(second.port, NULL, NULL), 0);
    start(take_events);
    unsigned long upcalls = events_upcalls();
    for (unsigned int sent = 1; sent <= second.wanted; sent++) {
        CHECK_EQ(event_send(second.other), 0);
        CHECK(WAIT_UNTIL(second_count() == sent, EVENT_LIMIT));
    }
    CHECK(secondary_wait_off());
    CHECK_EQ(second_count(), second.wanted);
    CHECK_EQ(event_count_on(0, second.port), 0);
    CHECK_EQ(events_upcalls(), upcalls);
}

/*
 * Background: The same channel may be moved again while its events come.
 * Provoked by: a channel moved to and fro five times, with an event each time; both vcpus have upcalls on.
 * Expected: each event is taken by the vcpu that had the channel.
 * Source: event_channel.h (EVTCHNOP_bind_vcpu); common/event_channel.c, evtchn_bind_vcpu().
 */
TEST(second_vcpu_channel_moves, VCPUS, "a channel that is moved delivers to the vcpu that has it now",
     .needs = "pv|hvm|arm smp")
{
    prepare();
    CHECK_EQ(event_bind(second.port, NULL, NULL), 0);
    start(take_until_stopped);
    for (unsigned int round = 1; round <= 5; round++) {
        bind_to(0, second.port);
        CHECK_EQ(event_send(second.other), 0);
        CHECK(WAIT_UNTIL(event_count_on(0, second.port) == round, EVENT_LIMIT));
        CHECK_EQ(second_count(), round - 1);
        bind_to(SECONDARY_VCPU, second.port);
        CHECK_EQ(event_send(second.other), 0);
        CHECK(WAIT_UNTIL(second_count() == round, EVENT_LIMIT));
        CHECK_EQ(event_count_on(0, second.port), round);
    }
    second.stop = true;
    CHECK(secondary_wait_off());
}

/*
 * Background: An event for a vcpu that does not take it waits in that vcpu's vcpu_info. (On Arm it has no interrupt
 * while it is off, and no other one when it is on.)
 * Provoked by: an event for a vcpu that is down, which then comes up with upcalls off, and again with them on.
 * Expected: pending there and not here; no upcall; one upcall.
 * Source: xen.h (struct vcpu_info); common/event_2l.c, evtchn_2l_set_pending().
 */
TEST(second_vcpu_event_waits, VCPUS, "an event for a vcpu that is down is there when it comes up",
     .needs = "pv|hvm smp")
{
    prepare();
    CHECK_EQ(event_bind(second.port, NULL, NULL), 0);
    start(take_none);
    CHECK(secondary_wait_off());
    CHECK_EQ(event_send(second.other), 0);
    CHECK(event_is_pending(second.port));
    CHECK_EQ(boot_info.second_info->evtchn_upcall_pending, 1);
    CHECK(boot_info.second_info->evtchn_pending_sel & 1);
    CHECK_EQ(boot_info.vcpu_info->evtchn_upcall_pending, 0);
    CHECK_EQ(boot_info.vcpu_info->evtchn_pending_sel, 0);

    second.is_ready = false;
    start(take_none);
    CHECK(secondary_wait_off());
    CHECK_EQ(event_count(second.port), 0);
    second.is_ready = false;
    start(take_events);
    CHECK(secondary_wait_off());
    CHECK_EQ(second_count(), 1);
    CHECK_EQ(event_count(second.port), 1);
}

/*
 * Background: The mask of a channel is the domain's, whichever vcpu the channel is bound to.
 * Provoked by: an event on a masked channel of the second vcpu, which waits with upcalls on; EVTCHNOP_unmask by the
 * first one.
 * Expected: the event is pending and not taken; it is taken by the second vcpu.
 * Source: event_channel.h (EVTCHNOP_unmask); common/event_channel.c, evtchn_unmask(); common/event_2l.c.
 */
TEST(second_vcpu_mask, VCPUS, "a masked channel of another vcpu keeps its event until EVTCHNOP_unmask",
     .needs = "pv|hvm|arm smp")
{
    prepare();
    start(take_events);
    CHECK(event_is_masked(second.port));
    CHECK_EQ(event_send(second.other), 0);
    CHECK(event_is_pending(second.port));
    wait_for(MILLISECONDS(2));
    CHECK(event_is_pending(second.port));
    CHECK_EQ(event_bind(second.port, NULL, NULL), 0);
    CHECK(WAIT_UNTIL(second_count() == 1, EVENT_LIMIT));
    CHECK_EQ(event_count_on(0, second.port), 0);
    CHECK(secondary_wait_off());
}

static evtchn_port_t bind_ipi(unsigned int vcpu)
{
    struct evtchn_bind_ipi bind = {.vcpu = vcpu};

    CHECK_EQ(hypercall_event_channel_op(EVTCHNOP_bind_ipi, &bind), 0);
    CHECK_EQ(port_status(bind.port).vcpu, vcpu);
    CHECK_EQ(event_bind(bind.port, NULL, NULL), 0);
    return bind.port;
}

/*
 * Background: IPIs are how the vcpus of a domain call one another, and they cannot be moved.
 * Provoked by: twenty IPIs for the second vcpu, each of which sends one back; EVTCHNOP_bind_vcpu of an IPI.
 * Expected: one upcall for each, on the vcpu that it is for; -EINVAL.
 * Source: event_channel.h (EVTCHNOP_bind_ipi); common/event_channel.c, evtchn_bind_ipi(), evtchn_send().
 */
TEST(second_vcpu_ipis, VCPUS, "two vcpus send each other events", .needs = "pv|hvm|arm smp")
{
    prepare();
    second.port = bind_ipi(SECONDARY_VCPU);
    second.other = bind_ipi(0);
    second.wanted = 20;
    struct evtchn_bind_vcpu move = {.port = second.port, .vcpu = 0};
    CHECK_ERRNO(hypercall_event_channel_op(EVTCHNOP_bind_vcpu, &move), EINVAL);
    start(answer_each);
    for (unsigned int sent = 1; sent <= second.wanted; sent++) {
        CHECK_EQ(event_send(second.port), 0);
        CHECK(event_wait(second.other, sent, EVENT_LIMIT));
    }
    CHECK(secondary_wait_off());
    CHECK_EQ(second.result, 0);
    CHECK_EQ(second_count(), second.wanted);
    CHECK_EQ(event_count_on(0, second.port), 0);
    CHECK_EQ(event_count_on(0, second.other), second.wanted);
    CHECK_EQ(event_count_on(SECONDARY_VCPU, second.other), 0);
}

/* ---- Waiting there ---- */

static void poll_there(void *unused)
{
    struct sched_poll poll = {.nr_ports = 1, .timeout = system_time() + EVENT_LIMIT};

    (void)unused;
    handle_set(poll.ports, &second.port);
    second.is_ready = true;
    second.result = hypercall_sched_op(SCHEDOP_poll, &poll);
}

/*
 * Background: A vcpu that polls sleeps until the event comes, and takes no upcall for it.
 * Provoked by: SCHEDOP_poll on the second vcpu for a masked port; an event on it from the first.
 * Expected: the vcpu is blocked; the call returns 0 before its deadline, and the event is pending.
 * Source: sched.h (SCHEDOP_poll); common/sched/core.c, do_poll(); common/event_channel.c, evtchn_check_pollers().
 */
TEST(second_vcpu_polls, VCPUS, "a vcpu that polls is woken by the other one's event",
     .needs = "pv|hvm|arm smp")
{
    prepare();
    CHECK_EQ(register_runstate(SECONDARY_VCPU, &runstate), 0);
    uint64_t begin = system_time();
    start(poll_there);
    CHECK(WAIT_UNTIL(is_in_state(RUNSTATE_blocked), EVENT_LIMIT));
    CHECK_EQ(second.result, 1);
    CHECK_EQ(event_send(second.other), 0);
    CHECK(secondary_wait_off());
    CHECK_EQ(second.result, 0);
    CHECK(system_time() - begin < EVENT_LIMIT);
    CHECK(event_is_pending(second.port));
    CHECK_EQ(event_count(second.port), 0);
}

static void block_there(void *unused)
{
    (void)unused;
    secondary_events_enable();
    second.is_ready = true;
    second.result = hypercall_sched_op(SCHEDOP_block, NULL);
}

/*
 * Background: A vcpu that blocks sleeps until it has an event of its own.
 * Provoked by: SCHEDOP_block on the second vcpu; an event for the first one; an event for the second one.
 * Expected: the vcpu is blocked; it still is; it takes the upcall, and the call returns 0.
 * Source: sched.h (SCHEDOP_block); common/sched/core.c, vcpu_block_enable_events(), vcpu_unblock().
 */
TEST(second_vcpu_blocks, VCPUS, "a vcpu that blocks is woken by its own event alone", .needs = "pv|hvm|arm smp")
{
    evtchn_port_t mine;

    prepare();
    CHECK_EQ(register_runstate(SECONDARY_VCPU, &runstate), 0);
    CHECK_EQ(event_bind(second.port, NULL, NULL), 0);
    start(block_there);
    CHECK(WAIT_UNTIL(is_in_state(RUNSTATE_blocked), EVENT_LIMIT));
    mine = bind_ipi(0);
    CHECK_EQ(event_send(mine), 0);
    CHECK(event_wait(mine, 1, EVENT_LIMIT));
    wait_for(MILLISECONDS(1));
    CHECK(is_in_state(RUNSTATE_blocked));
    CHECK_EQ(second.result, 1);
    CHECK_EQ(event_send(second.other), 0);
    CHECK(secondary_wait_off());
    CHECK_EQ(second.result, 0);
    CHECK_EQ(second_count(), 1);
}

/* ---- Its times ---- */

/*
 * Background: Xen accounts for each vcpu on its own, and keeps the account where the guest wants it.
 * Provoked by: an area for the second vcpu, registered by the first one while it is down; it blocks for 10 ms, and
 * goes down.
 * Expected: offline; blocked; that time was added to the blocked state, and some to the running one; offline.
 * Source: vcpu.h (VCPUOP_register_runstate_memory_area); common/domain.c; common/sched/core.c.
 */
TEST(second_vcpu_runstate_area, VCPUS, "the runstate area of another vcpu shows what that one does",
     .needs = "pv|hvm|arm smp")
{
    prepare();
    memset(&runstate, 0xff, sizeof(runstate));
    CHECK_EQ(register_runstate(SECONDARY_VCPU, &runstate), 0);
    CHECK(is_in_state(RUNSTATE_offline));
    struct vcpu_runstate_info before = runstate;

    start(poll_there);
    CHECK(WAIT_UNTIL(is_in_state(RUNSTATE_blocked), EVENT_LIMIT));
    wait_for(MILLISECONDS(10));
    CHECK_EQ(event_send(second.other), 0);
    CHECK(secondary_wait_off());
    CHECK(WAIT_UNTIL(is_in_state(RUNSTATE_offline), EVENT_LIMIT));
    CHECK(runstate.time[RUNSTATE_blocked] - before.time[RUNSTATE_blocked] >= MILLISECONDS(10) - CLOCK_SLACK);
    CHECK(runstate.time[RUNSTATE_running] > before.time[RUNSTATE_running]);
    CHECK(runstate.time[RUNSTATE_offline] >= before.time[RUNSTATE_offline]);
    CHECK(runstate.state_entry_time > before.state_entry_time);
    CHECK(runstate.state_entry_time <= system_time() + CLOCK_SLACK);
}

#ifdef VCPUOP_register_vcpu_time_memory_area
/*
 * Background: Each vcpu may have a copy of its time record where its own processes can read it.
 * Provoked by: an area for the second vcpu, registered by the first one; that vcpu runs.
 * Expected: a complete record, with the scale of the machine's clock and a time that is not ahead of it.
 * Source: vcpu.h (VCPUOP_register_vcpu_time_memory_area); arch/x86/time.c, update_secondary_system_time().
 */
TEST(second_vcpu_time_area, VCPUS, "the time area of another vcpu is filled in", .needs = "pv|hvm smp")
{
    static struct vcpu_time_info area;
    const volatile struct vcpu_time_info *copy = &area;
    struct vcpu_register_time_memory_area place = {.addr.p = 0};

    prepare();
    memset(&area, 0xff, sizeof(area));
    handle_set(place.addr.h, &area);
    CHECK_EQ(hypercall_vcpu_op(VCPUOP_register_vcpu_time_memory_area, SECONDARY_VCPU, &place), 0);
    start(take_none);
    CHECK(secondary_wait_off());
    CHECK(copy->version != 0 && copy->version % 2 == 0);
    CHECK_EQ(copy->tsc_to_system_mul, boot_info.vcpu_info->time.tsc_to_system_mul);
    CHECK_EQ(copy->tsc_shift, boot_info.vcpu_info->time.tsc_shift);
    CHECK(copy->system_time <= system_time() + CLOCK_SLACK);
}
#endif

static evtchn_port_t bind_timer(unsigned int vcpu)
{
    struct evtchn_bind_virq bind = {.virq = VIRQ_TIMER, .vcpu = vcpu};

    CHECK_EQ(hypercall_vcpu_op(VCPUOP_stop_periodic_timer, vcpu, NULL), 0);
    CHECK_EQ(hypercall_event_channel_op(EVTCHNOP_bind_virq, &bind), 0);
    CHECK_ERRNO(hypercall_event_channel_op(EVTCHNOP_bind_virq, &bind), EEXIST);
    event_clear(bind.port);
    CHECK_EQ(event_bind(bind.port, NULL, NULL), 0);
    return bind.port;
}

static long set_singleshot(uint64_t deadline)
{
    struct vcpu_set_singleshot_timer timer = {.timeout_abs_ns = deadline};

    return hypercall_vcpu_op(VCPUOP_set_singleshot_timer, SECONDARY_VCPU, &timer);
}

static uint64_t deadline;

static void set_timer_there(void *unused)
{
    (void)unused;
    secondary_events_enable();
    second.is_ready = true;
    deadline = system_time() + MILLISECONDS(2);
    second.result = set_singleshot(deadline);
    (void)WAIT_UNTIL(second_count() > 0, EVENT_LIMIT);
    deadline = system_time() - deadline;
}

/*
 * Background: Each vcpu has timers and a VIRQ_TIMER of its own.
 * Provoked by: VIRQ_TIMER bound on both vcpus; a deadline of the second vcpu, set by the first, and by itself;
 * EVTCHNOP_bind_vcpu of the channel.
 * Expected: -EINVAL; one event there and none here, not before the deadline; -EINVAL.
 * Source: vcpu.h (VCPUOP_set_singleshot_timer); xen.h (VIRQ_TIMER); common/domain.c; common/event_channel.c.
 */
TEST(second_vcpu_timer, VCPUS, "the timer of a vcpu goes off on that vcpu", .needs = "pv|hvm smp")
{
    prepare();
    evtchn_port_t mine = bind_timer(0);
    second.port = bind_timer(SECONDARY_VCPU);
    struct evtchn_bind_vcpu move = {.port = second.port, .vcpu = 0};
    CHECK_ERRNO(hypercall_event_channel_op(EVTCHNOP_bind_vcpu, &move), EINVAL);
    CHECK_ERRNO(set_singleshot(system_time()), EINVAL);
    start(set_timer_there);
    CHECK(WAIT_UNTIL(second_count() == 1, EVENT_LIMIT));
    CHECK(secondary_wait_off());
    CHECK_EQ(second.result, 0);
    CHECK((int64_t)deadline + (int64_t)CLOCK_SLACK >= 0);
    CHECK_EQ(second_count(), 1);
    CHECK_EQ(event_count_on(0, second.port), 0);
    CHECK_EQ(event_count(mine), 0);
}

/*
 * Background: A vcpu's tick may be set by another one; it stands still while the vcpu does.
 * Provoked by: the first vcpu sets the second one's tick, of 2 ms, and stops it.
 * Expected: ticks there and none here; after the stop at most the one that was on its way.
 * Source: vcpu.h (VCPUOP_set_periodic_timer, VCPUOP_stop_periodic_timer); common/domain.c, common_vcpu_op().
 */
TEST(second_vcpu_tick, VCPUS, "a vcpu sets and stops the tick of another one", .needs = "pv|hvm smp")
{
    struct vcpu_set_periodic_timer period = {.period_ns = MILLISECONDS(2)};

    prepare();
    evtchn_port_t mine = bind_timer(0);
    second.port = bind_timer(SECONDARY_VCPU);
    start(take_until_stopped);
    CHECK_EQ(hypercall_vcpu_op(VCPUOP_set_periodic_timer, SECONDARY_VCPU, &period), 0);
    CHECK(WAIT_UNTIL(second_count() >= 3, EVENT_LIMIT));
    CHECK_EQ(hypercall_vcpu_op(VCPUOP_stop_periodic_timer, SECONDARY_VCPU, NULL), 0);
    unsigned int ticks = second_count();
    wait_for(MILLISECONDS(30));
    CHECK(second_count() <= ticks + 1);
    second.stop = true;
    CHECK(secondary_wait_off());
    CHECK_EQ(event_count_on(0, second.port), 0);
    CHECK_EQ(event_count(mine), 0);
}

/* ---- Resets, and the other interface ---- */

static void send_until_stopped(void *unused)
{
    struct wait wait = wait_begin(2 * EVENT_LIMIT);

    (void)unused;
    second.is_ready = true;
    while (!second.stop && wait_step(&wait)) {
        second.result = event_send(second.other);
        if (second.result == 0)
            second.rounds++;
    }
}

/*
 * Background: A domain may close all its channels while other vcpus of it use them.
 * Provoked by: EVTCHNOP_reset, ten times, while the second vcpu sends on a channel and the first one takes its events;
 * the channel is made again each time.
 * Expected: 0; the second vcpu is refused with -EINVAL until the channel is there again, and then sends on.
 * Source: event_channel.h (EVTCHNOP_reset); common/event_channel.c, evtchn_reset().
 */
TEST(second_vcpu_reset_under_traffic, VCPUS, "all channels are closed while another vcpu sends on one",
     .needs = "pv|hvm|arm smp")
{
    struct evtchn_reset reset = {.dom = DOMID_SELF};

    prepare();
    bind_to(0, second.port);
    CHECK_EQ(event_bind(second.port, NULL, NULL), 0);
    start(send_until_stopped);
    for (unsigned int round = 0; round < 10; round++) {
        unsigned int sent = second.rounds;
        evtchn_port_t port, other;

        CHECK(WAIT_UNTIL(second.rounds > sent && event_count(second.port) > 0, EVENT_LIMIT));
        CHECK_EQ(hypercall_event_channel_op(EVTCHNOP_reset, &reset), 0);
        CHECK_EQ(port_status(second.port).status, EVTCHNSTAT_closed);
        CHECK(WAIT_UNTIL(second.result != 0, EVENT_LIMIT));
        CHECK_ERRNO(second.result, EINVAL);
        event_loopback(&other, &port);
        CHECK_EQ(other, second.other);
        CHECK_EQ(port, second.port);
        CHECK_EQ(event_bind(port, NULL, NULL), 0);
    }
    second.stop = true;
    CHECK(secondary_wait_off());
}

#ifdef EVTCHNOP_init_control
static uint8_t control_pages[2][PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));
static uint8_t array_page[PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));

static long init_control(unsigned int vcpu)
{
    struct evtchn_init_control init = {.control_gfn = arch_frame(control_pages[vcpu]), .vcpu = vcpu};

    return hypercall_event_channel_op(EVTCHNOP_init_control, &init);
}

/* What of the queues does not hold, or NULL. Upcalls are off on both vcpus, and a reset comes after. */
static const char *fifo_problem(void)
{
    const volatile struct evtchn_fifo_control_block *mine = (void *)control_pages[0];
    const volatile struct evtchn_fifo_control_block *its = (void *)control_pages[SECONDARY_VCPU];
    const volatile event_word_t *words = (void *)array_page;
    struct evtchn_expand_array expand = {.array_gfn = arch_frame(array_page)};
    struct evtchn_bind_ipi there = {.vcpu = SECONDARY_VCPU}, here = {.vcpu = 0};
    struct evtchn_bind_vcpu move = {.vcpu = SECONDARY_VCPU};
    evtchn_port_t one, other;

    HOLDS(init_control(0) == 0);
    HOLDS(init_control(SECONDARY_VCPU) == 0);
    HOLDS(init_control(SECONDARY_VCPU) == -XEN_EINVAL);
    HOLDS(hypercall_event_channel_op(EVTCHNOP_expand_array, &expand) == 0);

    HOLDS(hypercall_event_channel_op(EVTCHNOP_bind_ipi, &there) == 0);
    HOLDS(event_send(there.port) == 0);
    HOLDS(words[there.port] & 1u << EVTCHN_FIFO_LINKED);
    HOLDS(its->ready == 1u << EVTCHN_FIFO_PRIORITY_DEFAULT);
    HOLDS(its->head[EVTCHN_FIFO_PRIORITY_DEFAULT] == there.port);
    HOLDS(mine->ready == 0);
    HOLDS(boot_info.second_info->evtchn_upcall_pending == 1);
    HOLDS(boot_info.vcpu_info->evtchn_upcall_pending == 0);

    HOLDS(event_alloc_unbound(DOMID_SELF, &one) == 0);
    move.port = one;
    HOLDS(hypercall_event_channel_op(EVTCHNOP_bind_vcpu, &move) == 0);
    HOLDS(event_bind_interdomain(DOMID_SELF, one, &other) == 0);
    HOLDS(event_send(other) == 0);
    HOLDS(words[one] & 1u << EVTCHN_FIFO_LINKED);
    HOLDS((words[there.port] & EVTCHN_FIFO_LINK_MASK) == one);

    HOLDS(hypercall_event_channel_op(EVTCHNOP_bind_ipi, &here) == 0);
    HOLDS(event_send(here.port) == 0);
    HOLDS(mine->ready == 1u << EVTCHN_FIFO_PRIORITY_DEFAULT);
    HOLDS(words[one] & 1u << EVTCHN_FIFO_LINKED && (words[one] & EVTCHN_FIFO_LINK_MASK) == 0);
    return NULL;
}

/*
 * Background: With the FIFO interface each vcpu has queues of its own, in its control block.
 * Provoked by: control blocks for both vcpus, a second one for the second vcpu; an IPI for that vcpu, then an event on
 * a channel that was bound to it, while it is down; an IPI for the first one.
 * Expected: 0, -EINVAL; both in the second vcpu's queue, in their order, and an upcall pending there alone; the last
 * one in the first vcpu's queue.
 * Source: event_channel.h (EVTCHNOP_init_control); common/event_fifo.c, evtchn_fifo_set_pending().
 */
TEST(second_vcpu_fifo, VCPUS, "with the FIFO interface each vcpu has its own queues", .needs = "pv|hvm|arm smp")
{
    struct evtchn_reset reset = {.dom = DOMID_SELF};

    prepare();
    start(take_none);
    CHECK(secondary_wait_off());
    memset(control_pages, 0, sizeof(control_pages));
    memset(array_page, 0, sizeof(array_page));
    arch_events_disable();
    __atomic_store_n(&boot_info.second_info->evtchn_upcall_pending, 0, __ATOMIC_SEQ_CST);
    const char *problem = fifo_problem();
    long rc = hypercall_event_channel_op(EVTCHNOP_reset, &reset);
    arch_events_enable();
    if (problem)
        FAIL("%s does not hold", problem);
    CHECK_EQ(rc, 0);
}
#endif

#endif
