/*
 * Tests.
 *
 *     TEST(evtchn_send_to_closed_port, EVENTS, "sending on a closed port is refused")
 *     {
 *         struct evtchn_send send = {.port = 1000};
 *         CHECK_ERRNO(hypercall_event_channel_op(EVTCHNOP_send, &send), EINVAL);
 *     }
 *
 * The name is unique in all of conformance/cases. Optional, after the title:
 *   .needs = "dom0 pv|hvm"   words that the environment must all provide; a|b: either; !a: must not
 *   .ends = "poweroff"       the test ends the domain (poweroff, reboot, crash, watchdog, soft_reset), or,
 *                            "reset", the machine, which then starts again: the test runs once more,
 *                            must say the same with NOTE as before, and end the machine again
 *   .events = "SUSPEND"      what the machine is seen to do meanwhile, in this order: QEMU's events;
 *                            those before the end of a machine that QEMU itself tells of
 * The first check that fails ends the test. A fault of the guest outside fault_expected() fails it.
 */
#ifndef XENPORT_TEST_H
#define XENPORT_TEST_H

#include <stdbool.h>

#include <errno.h>

/* The rungs of the ladder (conformance/ladder.yaml) that tests stand on. */
#define RUNG_ENTER "enter"
#define RUNG_IDENTIFY "identify"
#define RUNG_MEMORY "memory"
#define RUNG_EVENTS "events"
#define RUNG_TIME "time"
#define RUNG_GRANTS "grants"
#define RUNG_VCPUS "vcpus"
#define RUNG_POWER "power"
#define RUNG_DEVICES "devices"
#define RUNG_CONTROL "control"

/*
 * An entry of the catalogue, section xenport_tests. The texts stand inline so that the catalogue can be
 * read from the ELF without relocation; tools/xenport/kernel/catalogue.py knows these sizes.
 */
struct test {
    char name[56];
    char rung[16];
    char needs[32];
    char ends[16];
    char events[32];
    char title[120];
    void (*run)(void);
};

/* Compilers may give a large object more alignment than its type has, or sort objects; the catalogue is
 * an array in source order, so neither must happen. */
#ifdef __clang__
#define TEST_ENTRY used, section("xenport_tests"), aligned(__alignof__(void *))
#else
#define TEST_ENTRY used, no_reorder, section("xenport_tests"), aligned(__alignof__(void *))
#endif

#define TEST(name_, rung_, title_, ...)                                                            \
    static void test_##name_(void);                                                                \
    _Static_assert(sizeof(#name_) <= sizeof(((struct test *)0)->name), "name is too long");        \
    _Static_assert(sizeof(title_) <= sizeof(((struct test *)0)->title), "title is too long");      \
    __attribute__((TEST_ENTRY)) static struct test test_entry_##name_ = {                          \
        .name = #name_, .rung = RUNG_##rung_, .title = title_, .run = test_##name_, __VA_ARGS__};  \
    static void test_##name_(void)

/* The condition holds. */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            test_fail(__FILE__, __LINE__, "%s does not hold", #condition);                         \
    } while (0)

/* Two integers are equal; both are compared as 64-bit signed numbers. */
#define CHECK_EQ(actual, expected)                                                                 \
    do {                                                                                           \
        long long actual_ = (long long)(actual), expected_ = (long long)(expected);                \
        if (actual_ != expected_)                                                                  \
            test_fail_equal(__FILE__, __LINE__, #actual, actual_, expected_);                      \
    } while (0)

/* A hypercall was refused with this error: CHECK_ERRNO(rc, EINVAL). */
#define CHECK_ERRNO(rc, name) CHECK_EQ(rc, -XEN_##name)

/* Ends the test as failed, or as not possible here. */
#define FAIL(...) test_fail(__FILE__, __LINE__, __VA_ARGS__)
#define SKIP(...) test_skip(__VA_ARGS__)

/* A remark in the output of the running test. */
#define NOTE(...) test_note(__VA_ARGS__)

_Noreturn void test_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
_Noreturn void test_fail_equal(const char *file, int line, const char *what, long long actual,
                               long long expected);
_Noreturn void test_skip(const char *format, ...) __attribute__((format(printf, 1, 2)));
void test_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
