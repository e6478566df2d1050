/*
 * What Xen does on an exception of a guest on Arm that it takes itself: hypercalls, accesses to
 * nothing, waiting.
 */
#include <arch.h>
#include <fault.h>
#include <machine.h>
#include <test.h>
#include <timer.h>
#include <timing.h>

#include "registers.h"

static void hvc_other(void *unused)
{
    (void)unused;
    arch_unknown_call();
}

/*
 * Background: the immediate of `hvc` tells hypercalls (XEN_HYPERCALL_TAG) and firmware calls (0)
 * apart.
 * Provoked by: hvc with another one.
 * Expected: an undefined instruction.
 * Source: arch-arm.h (XEN_HYPERCALL_TAG); arch/arm/traps.c, do_trap_hypercall().
 */
TEST(arm_hvc_unknown_immediate, ENTER, "hvc with an unknown immediate is an undefined instruction",
     .needs = "arm")
{
    struct fault fault = {.text = ""};

    CHECK(fault_expected(hvc_other, NULL, &fault));
    CHECK_EQ(fault.kind, FAULT_ILLEGAL);
}

static void check_kept(void (*call)(unsigned long *))
{
    static const unsigned long pattern = (unsigned long)0x1111111122222200ull;
    unsigned long registers[REGISTERS];

    for (unsigned int n = 0; n < REGISTERS; n++)
        registers[n] = pattern + n;
    call(registers);
    for (unsigned int n = 0; n < REGISTERS; n++)
        if (registers[n] != pattern + n)
            FAIL("register %u is 0x%lx", n, registers[n]);
}

/*
 * Provoked by: a hypercall with all registers filled that are neither its arguments nor its number.
 * Expected: they are as before.
 * Source: arch-arm.h, the calling convention.
 */
TEST(arm_hypercall_keeps_registers, ENTER, "a hypercall changes no registers but its own",
     .needs = "arm")
{
    check_kept(hypercall_with_registers);
}

/*
 * Provoked by: PSCI's VERSION with all registers filled that are neither its number nor its
 * arguments.
 * Expected: they are as before.
 * Source: Arm DEN 0028, version 1.1 and later: x4 to x30, or r4 to r14, are preserved.
 */
TEST(arm_firmware_call_keeps_registers, ENTER, "a call of the firmware changes no other registers",
     .needs = "arm")
{
    check_kept(firmware_call_with_registers);
}

/* In what Xen keeps free for the grant table; no test has a grant table as long as this. */
static volatile uint32_t *nowhere(void)
{
    const struct region *free = &machine.foreign[0];

    CHECK(free->size);
    return (volatile uint32_t *)(uintptr_t)(free->start + free->size - 0x1000);
}

static void read_nowhere(void *address)
{
    (void)*(volatile uint32_t *)address;
}

static void call_nowhere(void *address)
{
    ((void (*)(void))address)();
}

/*
 * Background: the guest's own tables map the address; that nothing is there only the hypervisor
 * knows.
 * Provoked by: reading from, and jumping to, guest-physical addresses without memory.
 * Expected: a data abort and an instruction abort with that address, in the guest.
 * Source: arch/arm/traps.c, do_trap_stage2_abort_guest().
 */
TEST(arm_access_without_memory, MEMORY, "an access to no memory is an abort that the guest gets",
     .needs = "arm")
{
    volatile uint32_t *address = nowhere();
    struct fault fault = {.text = ""};

    CHECK(fault_expected(read_nowhere, (void *)address, &fault));
    CHECK_EQ(fault.kind, FAULT_ACCESS);
    CHECK_EQ(fault.address, (uintptr_t)address);
    CHECK(fault_expected(call_nowhere, (void *)address, &fault));
    CHECK_EQ(fault.kind, FAULT_ACCESS);
    CHECK_EQ(fault.address, (uintptr_t)address);
}

/*
 * Background: WFI may be carried out as anything between a no-op and a sleep, but must end for an
 * interrupt, even one that is masked. Xen lets another vcpu run meanwhile.
 * Provoked by: a timer 1 ms ahead, and WFI with interrupts masked until the timer's time has come.
 * Expected: that it comes within a second; the interrupt is taken when interrupts are unmasked.
 * Source: Arm Architecture Reference Manual, Wait For Interrupt; arch/arm/traps.c.
 */
TEST(arm_wait_for_interrupt, TIME, "WFI ends for an interrupt that is masked", .needs = "arm")
{
    uint64_t begin = arch_monotonic_ns();

    arch_events_disable();
    timer_start(TIMER_VIRTUAL, MILLISECONDS(1));
    while (arch_monotonic_ns() - begin < MILLISECONDS(1))
        __asm__ volatile("wfi" ::: "memory");
    CHECK(arch_monotonic_ns() - begin < SECONDS(1));
    CHECK_EQ(timer_count(TIMER_VIRTUAL), 0);
    arch_events_enable();
    CHECK(WAIT_UNTIL(timer_count(TIMER_VIRTUAL) == 1, SECONDS(1)));
}
