/* The second vcpu; see secondary.h. */
#include "secondary.h"

#include <arch.h>
#include <boot.h>
#include <hypercall.h>
#include <timing.h>
#include <vcpu.h>

#include "gic.h"
#include "psci.h"

#define PAGE_SIZE 4096

/* What secondary_entry loads, in this order, before it can use any other memory. */
struct {
    uint64_t attributes, translation, tables, control; /* of the first vcpu */
    uint64_t vectors, exception_stack, stack;
} secondary_state __attribute__((aligned(64)));

static struct {
    void (*function)(void *);
    void *argument;
} work;

static volatile struct secondary_start found;

extern char secondary_vectors[], secondary_exception_stack_top[], secondary_stack_top[];

/* The new vcpu reads past the cache until its MMU is on. */
static void clean_state(void)
{
    uintptr_t end = (uintptr_t)(&secondary_state + 1);

    for (uintptr_t at = (uintptr_t)&secondary_state; at < end; at += cache_line())
        cache_clean(at);
    __asm__ volatile("dsb sy" ::: "memory");
}

void secondary_prepare(void (*function)(void *), void *argument)
{
    work.function = function;
    work.argument = argument;
    translation_read(&secondary_state.attributes, &secondary_state.translation,
                     &secondary_state.tables, &secondary_state.control);
    secondary_state.vectors = (uintptr_t)secondary_vectors;
    secondary_state.exception_stack = (uintptr_t)secondary_exception_stack_top;
    secondary_state.stack = (uintptr_t)secondary_stack_top;
    clean_state();
}

int secondary_start_with(void (*function)(void *), void *argument, unsigned long context)
{
    secondary_prepare(function, argument);
    return psci(PSCI_CPU_ON, SECONDARY_VCPU, (uintptr_t)secondary_entry, context);
}

/*
 * shared_info has room for that of the first vcpu only. A vcpu keeps the one that it was given. Xen says there that
 * events are pending, whose interrupt a vcpu that is off does not get; as long as it says so no other one comes.
 */
static long register_info(void)
{
    static struct vcpu_info info __attribute__((aligned(64)));
    struct vcpu_register_vcpu_info place = {
        .mfn = arch_frame(&info),
        .offset = (uintptr_t)&info % PAGE_SIZE,
    };
    long rc = boot_info.second_info ? 0 : hypercall_vcpu_op(VCPUOP_register_vcpu_info, SECONDARY_VCPU, &place);

    if (rc == 0 && !boot_info.second_info) {
        info.evtchn_pending_sel = info.evtchn_upcall_pending = 0;
        boot_info.second_info = &info;
    }
    return rc;
}

long secondary_start(void (*function)(void *), void *argument)
{
    return register_info() ?: secondary_start_with(function, argument, 0);
}

void secondary_events_enable(void)
{
    gic_start();
    arch_events_enable();
}

bool secondary_wait_off(void)
{
    return WAIT_UNTIL(psci(PSCI_AFFINITY_INFO, SECONDARY_VCPU, 0, 0) == PSCI_OFF, SECONDS(1));
}

const volatile struct secondary_start *secondary_found(void)
{
    return &found;
}

/* For secondary_entry. It calls CPU_OFF when this returns. */
void secondary_main(unsigned long context, unsigned long status, unsigned long control,
                    unsigned long affinity)
{
    found.context = context;
    found.status = status;
    found.control = control;
    found.affinity = affinity;
    work.function(work.argument);
    arch_events_disable();
}
