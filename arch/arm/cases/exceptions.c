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

static void hvc_other(void *unused)
{
    (void)unused;
    __asm__ volatile("hvc #0xEA2" ::: "x0", "x16", "memory");
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

/*
 * Makes the hypercall xen_version(XENVER_version) with x5 to x15 and x17 to x28 loaded from
 * registers[], and stores what they are afterwards.
 */
void hypercall_with_registers(uint64_t registers[29]);

__asm__("    .text\n"
        "hypercall_with_registers:\n"
        "    stp x29, x30, [sp, #-112]!\n"
        "    stp x19, x20, [sp, #16]\n"
        "    stp x21, x22, [sp, #32]\n"
        "    stp x23, x24, [sp, #48]\n"
        "    stp x25, x26, [sp, #64]\n"
        "    stp x27, x28, [sp, #80]\n"
        "    mov x29, x0\n"
        "    .irp n, 5,6,7,8,9,10,11,12,13,14,15,17,18,19,20,21,22,23,24,25,26,27,28\n"
        "    ldr x\\n, [x29, #8 * \\n]\n"
        "    .endr\n"
        "    mov x0, #0\n" /* XENVER_version */
        "    mov x1, #0\n"
        "    mov x16, #17\n" /* __HYPERVISOR_xen_version */
        "    hvc #0xEA1\n"
        "    .irp n, 5,6,7,8,9,10,11,12,13,14,15,17,18,19,20,21,22,23,24,25,26,27,28\n"
        "    str x\\n, [x29, #8 * \\n]\n"
        "    .endr\n"
        "    ldp x19, x20, [sp, #16]\n"
        "    ldp x21, x22, [sp, #32]\n"
        "    ldp x23, x24, [sp, #48]\n"
        "    ldp x25, x26, [sp, #64]\n"
        "    ldp x27, x28, [sp, #80]\n"
        "    ldp x29, x30, [sp], #112\n"
        "    ret\n");

/*
 * Provoked by: a hypercall with all registers filled that are neither its arguments nor its number.
 * Expected: they are as before.
 * Source: arch-arm.h, the calling convention.
 */
TEST(arm_hypercall_keeps_registers, ENTER, "a hypercall changes no registers but its own",
     .needs = "arm")
{
    static const uint64_t pattern = 0x1111111100000000ull;
    uint64_t registers[29];

    for (unsigned int n = 0; n < 29; n++)
        registers[n] = pattern + n;
    hypercall_with_registers(registers);
    for (unsigned int n = 5; n < 29; n++)
        if (n != 16 && registers[n] != pattern + n)
            FAIL("x%u is 0x%llx", n, (unsigned long long)registers[n]);
}

/* Guest-physical addresses that Xen keeps free for what a guest maps of other domains. */
static volatile uint32_t *nowhere(void)
{
    if (!machine.foreign[1].size)
        SKIP("the device tree names no free addresses");
    return (volatile uint32_t *)(uintptr_t)(machine.foreign[1].start + 0x1000000);
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
