/* Tests of the runtime itself: some fail on purpose, and test_runtime.py knows which. */
#include <boot.h>
#include <events.h>
#include <fault.h>
#include <hypercall.h>
#include <string.h>
#include <test.h>
#include <timing.h>

static void access_nothing(void *unused)
{
    (void)unused;
    *(volatile uint32_t *)arch_unmapped_pointer() = 1;
}

static void execute_nothing(void *unused)
{
    (void)unused;
    arch_illegal_instruction();
}

static void do_nothing(void *unused)
{
    (void)unused;
}

TEST(passes, ENTER, "nothing happens")
{
}

TEST(check_fails, ENTER, "a condition does not hold")
{
    CHECK(1 + 1 == 3);
}

TEST(check_eq_fails, ENTER, "two numbers differ")
{
    CHECK_EQ(40 + 2, 43);
}

TEST(check_errno_fails, ENTER, "an error is another one")
{
    long rc = -XEN_EINVAL;

    CHECK_ERRNO(rc, ENOSYS);
}

TEST(fail_says_why, ENTER, "a failure with a text")
{
    FAIL("%s %d", "because", 7);
}

TEST(skips, ENTER, "a test that is not possible here")
{
    SKIP("no %s", "reason");
}

TEST(notes, ENTER, "a remark")
{
    NOTE("%s", "a remark");
}

TEST(long_message, ENTER, "a failure that says too much")
{
    char text[400];

    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    FAIL("%s", text);
}

TEST(expects_access, ENTER, "an access that faults as expected")
{
    struct fault fault;
    uint32_t value = 1;

    CHECK(fault_expected(access_nothing, NULL, &fault));
    CHECK_EQ(fault.kind, FAULT_ACCESS);
    CHECK_EQ(fault.address, (uintptr_t)arch_unmapped_pointer());
    CHECK(fault.pc != 0);
    CHECK(!fault_read(arch_unmapped_pointer(), &value));
    CHECK(!fault_write(arch_unmapped_pointer(), value));
    CHECK(fault_read(&value, NULL));
    CHECK(arch_events_enabled());
}

TEST(expects_illegal, ENTER, "an instruction that faults as expected")
{
    struct fault fault;

    arch_events_disable();
    CHECK(fault_expected(execute_nothing, NULL, &fault));
    CHECK_EQ(fault.kind, FAULT_ILLEGAL);
    CHECK(!arch_events_enabled());
}

static void expect_within(void *result)
{
    *(bool *)result = fault_expected(access_nothing, NULL, NULL);
    execute_nothing(NULL);
}

TEST(expects_within, ENTER, "an expected fault within another")
{
    struct fault fault;
    bool within = false;

    CHECK(fault_expected(expect_within, &within, &fault));
    CHECK(within);
    CHECK_EQ(fault.kind, FAULT_ILLEGAL);
    CHECK(!fault_expected(do_nothing, NULL, NULL));
}

TEST(many_faults, ENTER, "faults leave nothing behind")
{
    for (unsigned int i = 0; i < 200; i++) {
        CHECK(fault_expected(access_nothing, NULL, NULL));
        CHECK(fault_expected(execute_nothing, NULL, NULL));
    }
}

TEST(faults_by_access, ENTER, "an access that nobody expects")
{
    access_nothing(NULL);
}

TEST(faults_by_instruction, ENTER, "an instruction that nobody expects")
{
    execute_nothing(NULL);
}

static void fail_inside(void *unused)
{
    (void)unused;
    FAIL("inside");
}

TEST(fails_while_expecting, ENTER, "a failure where a fault was expected")
{
    fault_expected(fail_inside, NULL, NULL);
}

TEST(faults_after_that, ENTER, "the expectation of the test before does not hold any more")
{
    access_nothing(NULL);
}

/* bind_interdomain raises an event of its own, so events are counted from what is there. */
static void loopback(evtchn_port_t *from, evtchn_port_t *to, event_handler *handler)
{
    event_loopback(from, to);
    event_clear(*to);
    CHECK_EQ(event_bind(*to, handler, NULL), 0);
}

TEST(event_arrives, EVENTS, "an upcall delivers an event")
{
    evtchn_port_t from, to;
    unsigned long upcalls = events_upcalls();

    loopback(&from, &to, NULL);
    CHECK_EQ(event_count(to), 0);
    CHECK_EQ(event_send(from), 0);
    CHECK(event_wait(to, 1, SECONDS(2)));
    CHECK(events_upcalls() > upcalls);
    CHECK(!event_is_pending(to));
}

TEST(event_waits_for_enable, EVENTS, "an upcall comes when upcalls are enabled again")
{
    evtchn_port_t from, to;

    loopback(&from, &to, NULL);
    arch_events_disable();
    CHECK_EQ(event_send(from), 0);
    CHECK_EQ(event_count(to), 0);
    CHECK(event_is_pending(to));
    arch_events_enable();
    CHECK(event_wait(to, 1, SECONDS(2)));
}

static void fault_in_handler(evtchn_port_t port, void *data)
{
    (void)port;
    access_nothing(data);
}

TEST(faults_in_upcall, EVENTS, "a fault in an event handler")
{
    evtchn_port_t from, to;

    loopback(&from, &to, fault_in_handler);
    CHECK_EQ(event_send(from), 0);
    wait_for(MILLISECONDS(100));
}

TEST(event_arrives_after_that, EVENTS, "upcalls go on after a fault in one")
{
    evtchn_port_t from, to;

    loopback(&from, &to, NULL);
    CHECK_EQ(event_send(from), 0);
    CHECK(event_wait(to, 1, SECONDS(2)));
}

static evtchn_port_t left_open;

TEST(leaves_channel_open, EVENTS, "a test that does not clean up")
{
    CHECK_EQ(event_alloc_unbound(DOMID_SELF, &left_open), 0);
    CHECK_EQ(event_bind(left_open, fault_in_handler, NULL), 0);
}

TEST(finds_channel_closed, EVENTS, "what a test leaves open is closed after it")
{
    struct evtchn_status status = {.dom = DOMID_SELF, .port = left_open};

    CHECK_EQ(hypercall_event_channel_op(EVTCHNOP_status, &status), 0);
    CHECK_EQ(status.status, EVTCHNSTAT_closed);
    CHECK(event_is_masked(left_open));
}

TEST(wait_has_a_limit, TIME, "waiting for nothing ends")
{
    evtchn_port_t port;
    uint64_t begin = arch_monotonic_ns();

    CHECK_EQ(event_alloc_unbound(DOMID_SELF, &port), 0);
    CHECK(!event_wait(port, 1, MILLISECONDS(5)));
    CHECK(arch_monotonic_ns() - begin >= MILLISECONDS(5));
}

TEST(powers_off, POWER, "a test that ends its domain", .ends = "poweroff")
{
    boot_shutdown(SHUTDOWN_poweroff);
}
