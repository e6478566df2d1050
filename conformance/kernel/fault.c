/* Faults: where the run goes on after one; see fault.h. */
#include <arch.h>
#include <boot.h>
#include <fault.h>
#include <print.h>
#include <sched.h>

#include "runtime.h"

/* One fault_expected() that is under way. */
struct expectation {
    struct expectation *outer;
    struct arch_jump resume;
    struct fault fault;
    bool events;   /* upcalls were enabled */
};

static struct expectation *innermost;

bool fault_expected(void (*function)(void *), void *argument, struct fault *fault)
{
    struct expectation here = {.outer = innermost, .events = arch_events_enabled()};

    if (arch_jump_save(&here.resume) == 0) {
        innermost = &here;
        function(argument);
        innermost = here.outer;
        return false;
    }
    innermost = here.outer;
    if (fault)
        *fault = here.fault;
    if (here.events)
        arch_events_enable();
    else
        arch_events_disable();
    return true;
}

void fault_forget(void)
{
    innermost = NULL;
}

void fault_taken(const struct fault *fault)
{
    char text[120];

    if (innermost) {
        innermost->fault = *fault;
        arch_jump_to(&innermost->resume, 1);
    }
    if (fault->kind == FAULT_ACCESS)
        format_text(text, sizeof(text), "fault: access at %p pc %p (%s)", (void *)fault->address,
                    (void *)fault->pc, fault->text);
    else
        format_text(text, sizeof(text), "fault: %s pc %p (%s)",
                    fault->kind == FAULT_ILLEGAL ? "illegal instruction" : "exception",
                    (void *)fault->pc, fault->text);
    test_fault(text);
    print_line("# %s", text);
    boot_shutdown(SHUTDOWN_crash);
}

struct access {
    volatile uint32_t *address;
    uint32_t value;
};

static void read_word(void *argument)
{
    struct access *access = argument;

    access->value = *access->address;
}

static void write_word(void *argument)
{
    struct access *access = argument;

    *access->address = access->value;
}

bool fault_read(const volatile uint32_t *address, uint32_t *value)
{
    struct access access = {.address = (volatile uint32_t *)address};

    if (fault_expected(read_word, &access, NULL))
        return false;
    if (value)
        *value = access.value;
    return true;
}

bool fault_write(volatile uint32_t *address, uint32_t value)
{
    struct access access = {.address = address, .value = value};

    return !fault_expected(write_word, &access, NULL);
}
