/* What the guest was started with, and how it ends; see boot.h. */
#include <stdarg.h>

#include <boot.h>
#include <hypercall.h>
#include <print.h>

#include "runtime.h"

struct boot_info boot_info = {.command_line = ""};

struct vcpu_info *own_vcpu_info(void)
{
    return arch_vcpu() == 0 ? boot_info.vcpu_info : boot_info.second_info;
}

#define PROBLEMS 4

static char problems[PROBLEMS][160];
static unsigned int problem_count;

void boot_problem(const char *format, ...)
{
    va_list arguments;

    if (problem_count == PROBLEMS)
        return;
    va_start(arguments, format);
    format_text_va(problems[problem_count], sizeof(problems[0]), format, arguments);
    va_end(arguments);
    problem_count++;
}

void boot_step(const char *what, long rc)
{
    char text[NUMBER_SIZE];

    if (rc != 0)
        boot_problem("%s: %s", what, number_text(text, sizeof(text), rc));
}

void boot_print_problems(void)
{
    for (unsigned int i = 0; i < problem_count; i++)
        print_line("# boot: %s", problems[i]);
}

void boot_shutdown(unsigned int reason)
{
    struct sched_shutdown shutdown = {.reason = reason};

    hypercall_sched_op(SCHEDOP_shutdown, &shutdown);
    for (;;)
        arch_pause();
}
