/* The second vcpu; see secondary.h. */
#include "secondary.h"

#include <arch.h>
#include <timing.h>

#include "psci.h"

/* What secondary_entry loads, in this order, before it can use any other memory. */
static struct {
    uint64_t attributes, translation, tables, control; /* of the first vcpu */
    uint64_t vectors, exception_stack, stack;
} entry_state __attribute__((aligned(64)));

static struct {
    void (*function)(void *);
    void *argument;
} work;

static volatile struct secondary_start found;

extern char secondary_entry_thumb[]; /* arm32 */
extern char secondary_vectors[], secondary_exception_stack_top[], secondary_stack_top[];

/* The new vcpu reads past the cache until its MMU is on. */
static void clean_entry_state(void)
{
    uintptr_t end = (uintptr_t)(&entry_state + 1);

    for (uintptr_t at = (uintptr_t)&entry_state; at < end; at += cache_line())
        cache_clean(at);
    __asm__ volatile("dsb sy" ::: "memory");
}

static int start(uintptr_t entry, void (*function)(void *), void *argument)
{
    work.function = function;
    work.argument = argument;
    translation_read(&entry_state.attributes, &entry_state.translation, &entry_state.tables,
                     &entry_state.control);
    entry_state.vectors = (uintptr_t)secondary_vectors;
    entry_state.exception_stack = (uintptr_t)secondary_exception_stack_top;
    entry_state.stack = (uintptr_t)secondary_stack_top;
    clean_entry_state();
    return psci(PSCI_CPU_ON, SECONDARY_VCPU, entry, (uintptr_t)&entry_state);
}

int secondary_start(void (*function)(void *), void *argument)
{
    return start((uintptr_t)secondary_entry, function, argument);
}

#ifndef __aarch64__
int secondary_start_thumb(void (*function)(void *), void *argument)
{
    return start((uintptr_t)secondary_entry_thumb | 1, function, argument);
}
#endif

bool secondary_wait_off(void)
{
    return WAIT_UNTIL(psci(PSCI_AFFINITY_INFO, SECONDARY_VCPU, 0, 0) == PSCI_OFF, SECONDS(1));
}

const volatile struct secondary_start *secondary_found(void)
{
    return &found;
}

/* For secondary_entry. It calls CPU_OFF when this returns. */
void secondary_main(unsigned long argument, unsigned long status, unsigned long control,
                    unsigned long affinity)
{
    found.argument = argument;
    found.status = status;
    found.control = control;
    found.affinity = affinity;
    work.function(work.argument);
}
