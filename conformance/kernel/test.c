/* Running one test: its lines on the console, its end by a check, a skip or a fault; see test.h. */
#include <stdarg.h>

#include <arch.h>
#include <events.h>
#include <fault.h>
#include <print.h>
#include <string.h>
#include <test.h>

#include "runtime.h"

/* How a test ended; also the value that the jump out of it brings. */
enum outcome { RETURNED = 0, FAILED, SKIPPED };

/* Made by the linker from the name of the section. */
extern const struct test __start_xenport_tests[], __stop_xenport_tests[];

static struct arch_jump end_of_test;
static bool running;
static char message[PRINT_LINE_SIZE];

unsigned int test_count(void)
{
    return (unsigned int)(__stop_xenport_tests - __start_xenport_tests);
}

const struct test *test_at(unsigned int index)
{
    return &__start_xenport_tests[index];
}

static enum outcome run_to_end(const struct test *test)
{
    int end = arch_jump_save(&end_of_test);

    if (end == RETURNED) {
        running = true;
        arch_events_enable();
        test->run();
    }
    running = false;
    return (enum outcome)end;
}

void test_run(const struct test *test, unsigned int number)
{
    uint64_t begin, ns;
    enum outcome outcome;

    print_line("# start %s", test->name);
    begin = arch_monotonic_ns();
    outcome = run_to_end(test);
    ns = arch_monotonic_ns() - begin;
    arch_events_disable();
    fault_forget();

    switch (outcome) {
    case RETURNED:
        print_line("ok %u %s # time=%llu.%06llu", number, test->name,
                   (unsigned long long)(ns / 1000000000), (unsigned long long)(ns / 1000 % 1000000));
        break;
    case FAILED:
        print_line("not ok %u %s # %s", number, test->name, message);
        break;
    case SKIPPED:
        print_line("ok %u %s # SKIP %s", number, test->name, message);
        break;
    }
    events_reset();     /* no part of the test: after its line */
}

void test_fail(const char *file, int line, const char *format, ...)
{
    va_list arguments;
    size_t length = format_text(message, sizeof(message), "%s:%d: ", file, line);

    va_start(arguments, format);
    format_text_va(message + length, sizeof(message) - length, format, arguments);
    va_end(arguments);
    arch_jump_to(&end_of_test, FAILED);
}

void test_fail_equal(const char *file, int line, const char *what, long long actual,
                     long long expected)
{
    char is[NUMBER_SIZE], should[NUMBER_SIZE];

    test_fail(file, line, "%s is %s, expected %s", what, number_text(is, sizeof(is), actual),
              number_text(should, sizeof(should), expected));
}

void test_skip(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    format_text_va(message, sizeof(message), format, arguments);
    va_end(arguments);
    arch_jump_to(&end_of_test, SKIPPED);
}

void test_note(const char *format, ...)
{
    char text[PRINT_LINE_SIZE];
    va_list arguments;

    va_start(arguments, format);
    format_text_va(text, sizeof(text), format, arguments);
    va_end(arguments);
    print_line("# %s", text);
}

void test_fault(const char *text)
{
    if (!running)
        return;
    format_text(message, sizeof(message), "%s", text);
    arch_jump_to(&end_of_test, FAILED);
}
