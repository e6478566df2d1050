/*
 * PSCI, by which a guest on Arm starts and stops its vcpus and itself (Arm DEN 0022), and the SMC
 * calling convention below it (Arm DEN 0028). Xen takes the calls by `hvc #0`, as its device tree
 * says.
 */
#include <test.h>
#include <timer.h>
#include <timing.h>

/* Functions; those that take addresses or affinities have a second number for 64-bit arguments. */
#define WITH_ADDRESSES(function) ((sizeof(long) == 8 ? 0x40000000u : 0) | (function))

#define SMCCC_VERSION       0x80000000u
#define PSCI_VERSION        0x84000000u
#define PSCI_CPU_SUSPEND    WITH_ADDRESSES(0x84000001u)
#define PSCI_CPU_ON         WITH_ADDRESSES(0x84000003u)
#define PSCI_AFFINITY_INFO  WITH_ADDRESSES(0x84000004u)
#define PSCI_SYSTEM_OFF     0x84000008u
#define PSCI_SYSTEM_RESET   0x84000009u
#define PSCI_FEATURES       0x8400000au
#define PSCI_NO_FUNCTION    0x8400001fu /* the last number of PSCI's range, not in use */

#define NOT_SUPPORTED      (-1)
#define INVALID_PARAMETERS (-2)
#define ALREADY_ON         (-4)

#define NO_CPU 0xffffffu /* an affinity that no vcpu has */

/* Results are 32 bits wide, signed. */
static int psci(unsigned int function, unsigned long a1, unsigned long a2, unsigned long a3)
{
    return (int)arch_firmware_call(function, a1, a2, a3);
}

/*
 * Provoked by: PSCI_VERSION and SMCCC_VERSION.
 * Expected: version 1 of both; the minor number of the calling convention is at least 1, without
 * which a guest may not ask for more of it.
 * Source: Arm DEN 0022, 5.1; Arm DEN 0028, 7.2.
 */
TEST(psci_version, IDENTIFY, "PSCI 1.x and SMC calling convention 1.1 or later", .needs = "arm")
{
    CHECK_EQ(psci(PSCI_VERSION, 0, 0, 0) >> 16, 1);
    CHECK_EQ(psci(SMCCC_VERSION, 0, 0, 0) >> 16, 1);
    CHECK((psci(SMCCC_VERSION, 0, 0, 0) & 0xffff) >= 1);
}

/*
 * Provoked by: PSCI_FEATURES of functions that every version 1 has, and of one that none has.
 * Expected: no error for the former, NOT_SUPPORTED for the latter.
 * Source: Arm DEN 0022, 5.15.
 */
TEST(psci_features, IDENTIFY, "PSCI_FEATURES tells which functions there are", .needs = "arm")
{
    static const unsigned int required[] = {PSCI_VERSION, PSCI_CPU_SUSPEND, PSCI_CPU_ON,
                                            PSCI_SYSTEM_OFF, PSCI_SYSTEM_RESET, PSCI_FEATURES};

    for (unsigned int i = 0; i < sizeof(required) / sizeof(required[0]); i++)
        CHECK(psci(PSCI_FEATURES, required[i], 0, 0) >= 0);
    CHECK_EQ(psci(PSCI_FEATURES, PSCI_NO_FUNCTION, 0, 0), NOT_SUPPORTED);
}

/*
 * Provoked by: a function number that means nothing.
 * Expected: NOT_SUPPORTED, and the guest goes on.
 * Source: Arm DEN 0022, 5.2.2; Arm DEN 0028, 5.2.
 */
TEST(psci_unknown_function, POWER, "an unknown function is refused with NOT_SUPPORTED",
     .needs = "arm")
{
    CHECK_EQ(psci(PSCI_NO_FUNCTION, 0, 0, 0), NOT_SUPPORTED);
}

/*
 * Provoked by: CPU_ON of the vcpu that calls, and of one that there is not.
 * Expected: ALREADY_ON; INVALID_PARAMETERS.
 * Source: Arm DEN 0022, 5.6.
 */
TEST(psci_cpu_on_refused, POWER, "CPU_ON of a running vcpu, and of none, is refused",
     .needs = "arm")
{
    CHECK_EQ(psci(PSCI_CPU_ON, 0, 0, 0), ALREADY_ON);
    CHECK_EQ(psci(PSCI_CPU_ON, NO_CPU, 0, 0), INVALID_PARAMETERS);
}

/*
 * Provoked by: AFFINITY_INFO of the vcpu that calls, and at a level that the architecture does not
 * have.
 * Expected: ON (0); INVALID_PARAMETERS.
 * Source: Arm DEN 0022, 5.7.
 */
TEST(psci_affinity_info, POWER, "the calling vcpu is on", .needs = "arm")
{
    CHECK_EQ(psci(PSCI_AFFINITY_INFO, 0, 0, 0), 0);
    CHECK_EQ(psci(PSCI_AFFINITY_INFO, 0, 4, 0), INVALID_PARAMETERS);
}

/*
 * Background: CPU_SUSPEND may always be carried out as standby, which keeps all state and returns.
 * Provoked by: a timer 1 ms ahead, then CPU_SUSPEND with interrupts masked.
 * Expected: the call returns 0 once the timer interrupts, which is taken when interrupts are
 * unmasked.
 * Source: Arm DEN 0022, 5.4.
 */
TEST(psci_cpu_suspend, POWER, "CPU_SUSPEND waits for an interrupt", .needs = "arm")
{
    uint64_t begin = arch_monotonic_ns();

    arch_events_disable();
    timer_start(TIMER_VIRTUAL, MILLISECONDS(1));
    CHECK_EQ(psci(PSCI_CPU_SUSPEND, 0, 0, 0), 0);
    CHECK(arch_monotonic_ns() - begin >= MILLISECONDS(1));
    CHECK_EQ(timer_count(TIMER_VIRTUAL), 0);
    arch_events_enable();
    CHECK(WAIT_UNTIL(timer_count(TIMER_VIRTUAL) == 1, SECONDS(1)));
}

/*
 * Provoked by: SYSTEM_OFF.
 * Expected: the domain ends as powered off; the call does not return.
 * Source: Arm DEN 0022, 5.10.
 */
TEST(psci_system_off, POWER, "SYSTEM_OFF ends the domain as powered off",
     .needs = "arm observed-end", .ends = "poweroff")
{
    FAIL("the domain runs on, the call returned %d", psci(PSCI_SYSTEM_OFF, 0, 0, 0));
}

/*
 * Provoked by: SYSTEM_RESET.
 * Expected: the domain ends as to be restarted; the call does not return.
 * Source: Arm DEN 0022, 5.11.
 */
TEST(psci_system_reset, POWER, "SYSTEM_RESET ends the domain as to be restarted",
     .needs = "arm observed-end", .ends = "reboot")
{
    FAIL("the domain runs on, the call returned %d", psci(PSCI_SYSTEM_RESET, 0, 0, 0));
}
