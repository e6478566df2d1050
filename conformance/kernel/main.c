/*
 * The kernel's course: start the architecture, read the command line, run the tests, shut down.
 *
 * The lines it prints are described in README.md.
 */
#include <stdbool.h>

#include <arch.h>
#include <boot.h>
#include <hypercall.h>
#include <print.h>
#include <sched.h>
#include <string.h>
#include <test.h>

#include "runtime.h"

/* Past the word and the spaces behind it. */
static const char *next_word(const char *word)
{
    while (*word && *word != ' ')
        word++;
    while (*word == ' ')
        word++;
    return word;
}

const char *command_line_option(const char *name)
{
    const char *word = boot_info.command_line;

    for (; *word; word = next_word(word)) {
        if (starts_with(word, name) && word[strlen(name)] == '=')
            return word + strlen(name) + 1;
    }
    return NULL;
}

bool command_line_number(const char *name, unsigned long *number)
{
    const char *text = command_line_option(name);

    if (!text || *text < '0' || *text > '9')
        return false;
    for (*number = 0; *text >= '0' && *text <= '9'; text++)
        *number = *number * 10 + (unsigned long)(*text - '0');
    return true;
}

/* Reads a number that must name a test; NULL where there is none. */
static const char *parse_index(const char *text, unsigned int *index)
{
    unsigned int value = 0;

    if (*text < '0' || *text > '9')
        return NULL;
    for (; *text >= '0' && *text <= '9'; text++) {
        value = value * 10 + (unsigned int)(*text - '0');
        if (value >= test_count())
            return NULL;
    }
    *index = value;
    return text;
}

/*
 * Goes through "5,0-3,9": runs the tests, numbered from 1, or only counts them. Returns their number, or
 * -1 for a list that is not one.
 */
static int for_list(const char *list, bool run)
{
    int number = 0;

    for (;;) {
        unsigned int first, last;

        list = parse_index(list, &first);
        if (!list)
            return -1;
        last = first;
        if (*list == '-') {
            list = parse_index(list + 1, &last);
            if (!list || last < first)
                return -1;
        }
        for (unsigned int index = first; index <= last; index++) {
            number++;
            if (run)
                test_run(test_at(index), (unsigned int)number);
        }
        if (*list == '\0' || *list == ' ')
            return number;
        if (*list++ != ',')
            return -1;
    }
}

/* The same for all tests that do not end the domain. */
static int for_all(bool run)
{
    int number = 0;

    for (unsigned int index = 0; index < test_count(); index++) {
        const struct test *test = test_at(index);

        if (test->ends[0])
            continue;
        number++;
        if (run)
            test_run(test, (unsigned int)number);
    }
    return number;
}

static int for_chosen(const char *list, bool run)
{
    return list ? for_list(list, run) : for_all(run);
}

static void run_tests(void)
{
    const char *list = command_line_option("tests");
    int count = for_chosen(list, false);

    if (count < 0) {
        print_line("# bad command line: '%s' does not list tests of 0-%u", boot_info.command_line,
                   test_count() - 1);
        boot_shutdown(SHUTDOWN_crash);
    }
    print_line("KTAP version 1");
    print_line("1..%d", count);
    boot_print_problems();
    events_init();
    for_chosen(list, true);
    print_line("# end");
}

/* All that this domain is there for happens in upcalls. */
_Noreturn static void wait_for_ever(void)
{
    for (;;)
        hypercall_sched_op(SCHEDOP_block, NULL);
}

void kernel_main(void)
{
    unsigned long client, watched;

    arch_init();
    if (boot_info.shared_info)
        boot_info.vcpu_info = &boot_info.shared_info->vcpu_info[0];
    bool serves = command_line_number("serve", &client);

    if (serves)
        peer_serve((domid_t)client);
    if (command_line_number("supervise", &watched) && watched == 1)
        supervise();
    else if (serves)
        wait_for_ever();
    else
        run_tests();
    boot_shutdown(SHUTDOWN_poweroff);
}
