/*
 * PSCI: the version, what there is of it, vcpus that are started and stopped, waiting, and the end of
 * the domain.
 *
 * What the PSCI suite of TF-A-Tests looks at (tests-psci.xml), and where it is here:
 *
 *     version; features, invalid ones    psci_version; psci_features, psci_unknown_function
 *     affinity info, levels 0 to 3       psci_affinity_info, psci_affinity_of_second; levels above 0 are on
 *                                        because vcpu 0 is
 *     affinity info of a vcpu asleep     psci_affinity_of_suspended
 *     CPU hotplug, context ids           psci_cpu_on, psci_cpu_on_again, psci_cpu_off
 *     already on, invalid CPU            psci_cpu_on_refused, psci_affinity_of_second
 *     invalid entry point                psci_cpu_on_odd_address; Xen takes all others
 *     suspend, 4 levels, 2 kinds         psci_cpu_suspend_states
 *     the same coordinated by the OS     psci_optional: Xen does not have SET_SUSPEND_MODE
 *     statistics, hardware state         psci_optional: Xen has neither
 *     migrate info                       psci_migrate
 *     memory protection                  psci_optional: Xen has none
 *     system suspend, 7 cases            psci_optional: Xen has it from 4.22 on
 */
#include <arch.h>
#include <boot.h>
#include <events.h>
#include <fdt.h>
#include <psci.h>
#include <secondary.h>
#include <shutdown.h>
#include <test.h>
#include <timer.h>
#include <timing.h>
#include <xen.h>

#define NO_CPU    0xffffffu /* an affinity that no vcpu has */
#define NO_LEVEL  4u        /* affinities have levels 0 to 3, or to 2 */
#define POWERDOWN (1u << 16) /* in a power state: the vcpu's state may be lost */
#define POWER_LEVEL_SHIFT 24 /* in a power state: the level of affinity that it is for */

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
 * Provoked by: SMCCC_ARCH_FEATURES of a function that there is not.
 * Expected: NOT_SUPPORTED.
 * Source: Arm DEN 0028, 7.3.
 */
TEST(smccc_arch_features, IDENTIFY, "SMCCC_ARCH_FEATURES knows what there is not",
     .needs = "arm")
{
    CHECK_EQ(psci(SMCCC_ARCH_FEATURES, 0x80006000u, 0, 0), PSCI_NOT_SUPPORTED);
}

/*
 * Background: the device tree tells a guest which instruction to call by; Xen says `hvc` and takes
 * `smc` as well.
 * Provoked by: PSCI_VERSION by `smc #0`.
 * Expected: the answer is the same.
 * Source: arch/arm/vsmc.c, do_trap_smc().
 */
TEST(psci_by_smc, IDENTIFY, "PSCI answers calls by SMC as well", .needs = "arm")
{
    CHECK_EQ((int)arch_secure_call(PSCI_VERSION), psci(PSCI_VERSION, 0, 0, 0));
    CHECK_EQ((int)arch_secure_call(PSCI_LAST), PSCI_NOT_SUPPORTED);
}

/*
 * Provoked by: PSCI_FEATURES of all functions that version 1 must have, of both widths, and of one
 * that none has.
 * Expected: no error for the former, and of CPU_SUSPEND no flags: power states in the original
 * format, and no coordination by the guest. NOT_SUPPORTED for the latter.
 * Source: Arm DEN 0022, 5.15.
 */
TEST(psci_features, IDENTIFY, "PSCI_FEATURES tells which functions there are", .needs = "arm")
{
    static const unsigned int required[] = {
        PSCI_VERSION,       PSCI_CPU_OFF,      PSCI_CPU_ON,       PSCI_CPU_ON & ~PSCI_WIDE,
        PSCI_AFFINITY_INFO, PSCI_SYSTEM_OFF,   PSCI_SYSTEM_RESET, PSCI_FEATURES,
        SMCCC_VERSION,      PSCI_MIGRATE_INFO,
    };

    for (unsigned int i = 0; i < sizeof(required) / sizeof(required[0]); i++)
        if (psci(PSCI_FEATURES, required[i], 0, 0) != 0)
            FAIL("function 0x%x: %d", required[i], psci(PSCI_FEATURES, required[i], 0, 0));
    CHECK_EQ(psci(PSCI_FEATURES, PSCI_CPU_SUSPEND, 0, 0), 0);
    CHECK_EQ(psci(PSCI_FEATURES, PSCI_LAST, 0, 0), PSCI_NOT_SUPPORTED);
}

/*
 * Provoked by: every number of PSCI's 32-bit range that PSCI_FEATURES does not know, as a call.
 * Expected: NOT_SUPPORTED, and the guest goes on.
 * Source: Arm DEN 0022, 5.2.2; Arm DEN 0028, 5.2.
 */
TEST(psci_unknown_function, POWER, "a function that is not there is refused with NOT_SUPPORTED",
     .needs = "arm")
{
    for (unsigned int function = PSCI_VERSION; function <= PSCI_LAST; function++)
        if (psci(PSCI_FEATURES, function, 0, 0) == PSCI_NOT_SUPPORTED &&
            psci(function, 0, 0, 0) != PSCI_NOT_SUPPORTED)
            FAIL("function 0x%x is there", function);
    CHECK_EQ(psci(PSCI_LAST, 0, 0, 0), PSCI_NOT_SUPPORTED);
}

/*
 * Background: much of PSCI may be left out, and Xen does.
 * Provoked by: FEATURES of the functions that coordinate, count, look at hardware, protect memory, reset in
 * other ways, and (up to 4.21) suspend the system, with arguments of both widths; and the functions.
 * Expected: NOT_SUPPORTED, and the guest goes on.
 * Source: Arm DEN 0022, 5.2.2 and 5.12 to 5.20; arch/arm/vpsci.c, do_vpsci_0_2_call().
 */
TEST(psci_optional, POWER, "optional functions that are not there are refused with NOT_SUPPORTED",
     .needs = "arm")
{
    static const unsigned int optional[] = {
        PSCI_CPU_FREEZE,       PSCI_CPU_DEFAULT_SUSPEND,
        PSCI_NODE_HW_STATE,    PSCI_SET_SUSPEND_MODE,
        PSCI_STAT_RESIDENCY,   PSCI_STAT_COUNT,
        PSCI_SYSTEM_RESET2,    PSCI_MEM_PROTECT,
        PSCI_MEM_PROTECT_RANGE,
#if XENPORT_RELEASE_MAJOR == 4 && XENPORT_RELEASE_MINOR < 22
        PSCI_SYSTEM_SUSPEND,
#endif
    };

    for (unsigned int i = 0; i < sizeof(optional) / sizeof(optional[0]); i++) {
        for (unsigned int wide = 0; wide <= PSCI_WIDE; wide += PSCI_WIDE) {
            unsigned int function = optional[i] | wide;

            if (psci(PSCI_FEATURES, function, 0, 0) != PSCI_NOT_SUPPORTED ||
                psci(function, 0, 0, 0) != PSCI_NOT_SUPPORTED)
                FAIL("function 0x%x is there", function);
        }
    }
}

/*
 * Background: a number's upper half, where registers have 64 bits, does not count; functions with
 * 64-bit arguments are for 64-bit guests.
 * Provoked by: PSCI_VERSION with upper bits set, or the 64-bit AFFINITY_INFO from a 32-bit guest.
 * Expected: the version; NOT_SUPPORTED.
 * Source: Arm DEN 0028, 2.5 and 3.1; arch/arm/vsmc.c, vsmccc_handle_call().
 */
TEST(psci_width_of_functions, POWER, "function numbers have 32 bits; 64-bit ones need 64 bits",
     .needs = "arm")
{
    if (sizeof(long) == 8)
        CHECK_EQ((int)arch_firmware_call((unsigned long)0xffffffff00000000ull | PSCI_VERSION, 0, 0,
                                         0),
                 psci(PSCI_VERSION, 0, 0, 0));
    else
        CHECK_EQ(psci(PSCI_AFFINITY_INFO | PSCI_WIDE, 0, 0, 0), PSCI_NOT_SUPPORTED);
}

/*
 * Background: a trusted system may live on one vcpu alone, which then cannot be turned off before it
 * has been migrated. Guests have none.
 * Provoked by: MIGRATE_INFO_TYPE, MIGRATE, MIGRATE_INFO_UP_CPU.
 * Expected: there is nothing to migrate (2), and so no functions that do.
 * Source: Arm DEN 0022, 5.8 to 5.10.
 */
TEST(psci_migrate, POWER, "there is nothing to migrate", .needs = "arm")
{
    CHECK_EQ(psci(PSCI_MIGRATE_INFO, 0, 0, 0), 2);
    CHECK_EQ(psci(PSCI_MIGRATE, 0, 0, 0), PSCI_NOT_SUPPORTED);
    CHECK_EQ(psci(PSCI_MIGRATE_INFO_UP, 0, 0, 0), PSCI_NOT_SUPPORTED);
}

/*
 * Provoked by: CPU_ON of the vcpu that calls, and of one that there is not, by the function with
 * 64-bit arguments and by the one with 32-bit ones.
 * Expected: ALREADY_ON; INVALID_PARAMETERS.
 * Source: Arm DEN 0022, 5.6.
 */
TEST(psci_cpu_on_refused, POWER, "CPU_ON of a running vcpu, and of none, is refused",
     .needs = "arm")
{
    CHECK_EQ(psci(PSCI_CPU_ON, 0, 0, 0), PSCI_ALREADY_ON);
    CHECK_EQ(psci(PSCI_CPU_ON, NO_CPU, 0, 0), PSCI_INVALID_PARAMETERS);
    CHECK_EQ(psci(PSCI_CPU_ON & ~PSCI_WIDE, 0, 0, 0), PSCI_ALREADY_ON);
    CHECK_EQ(psci(PSCI_CPU_ON & ~PSCI_WIDE, NO_CPU, 0, 0), PSCI_INVALID_PARAMETERS);
}

/* A function of PSCI 0.1. */
static unsigned int first_function(const char *name)
{
    fdt_node_t node = fdt_find(boot_info.fdt, "/psci");
    unsigned int number = (unsigned int)fdt_number(boot_info.fdt, node, name, 0, 1, 0);

    CHECK(number);
    return number;
}

/*
 * Background: the first PSCI has no fixed numbers; the device tree has them. It knows fewer errors.
 * Provoked by: its CPU_ON of the vcpu that calls, and of none.
 * Expected: INVALID_PARAMETERS for both.
 * Source: Arm DEN 0022 A; arch/arm/vpsci.c, do_psci_cpu_on().
 */
TEST(psci_first_cpu_on_refused, POWER, "CPU_ON of PSCI 0.1 knows one error", .needs = "arm")
{
    unsigned int cpu_on = first_function("cpu_on");

    CHECK_EQ(psci(cpu_on, 0, 0, 0), PSCI_INVALID_PARAMETERS);
    CHECK_EQ(psci(cpu_on, NO_CPU, 0, 0), PSCI_INVALID_PARAMETERS);
}

/*
 * Provoked by: AFFINITY_INFO of the vcpu that calls, at each of the lower levels; of one that there
 * is not; at a level that the architecture does not have.
 * Expected: ON; anything but ON; INVALID_PARAMETERS.
 * Source: Arm DEN 0022, 5.7.
 */
TEST(psci_affinity_info, POWER, "the calling vcpu is on", .needs = "arm")
{
    for (unsigned int level = 0; level < 3; level++)
        CHECK_EQ(psci(PSCI_AFFINITY_INFO, 0, level, 0), PSCI_ON);
    if (sizeof(long) == 8) /* 32-bit processors have no level 3 */
        CHECK_EQ(psci(PSCI_AFFINITY_INFO, 0, 3, 0), PSCI_ON);
    CHECK(psci(PSCI_AFFINITY_INFO, NO_CPU, 0, 0) != PSCI_ON);
    CHECK_EQ(psci(PSCI_AFFINITY_INFO, 0, NO_LEVEL, 0), PSCI_INVALID_PARAMETERS);
    CHECK_EQ(psci(PSCI_AFFINITY_INFO & ~PSCI_WIDE, 0, 0, 0), PSCI_ON);
}

/* ---- The second vcpu ---- */

static volatile unsigned int rounds, stop;
static volatile int result;

static void reset(void)
{
    rounds = 0;
    stop = 0;
    result = 1;
    CHECK(secondary_wait_off());
}

static void count_one(void *unused)
{
    (void)unused;
    rounds++;
}

static void run_until_stopped(void *unused)
{
    (void)unused;
    rounds++;
    (void)WAIT_UNTIL(stop, SECONDS(2));
}

/*
 * Provoked by: CPU_ON of a second vcpu that is off.
 * Expected: it runs, from the address that was given, with the context in its first register, as the
 * vcpu that was named, in the state in which a guest begins: kernel mode, interrupts and aborts
 * masked, MMU and caches off.
 * Source: Arm DEN 0022, 5.6 and 6.4; arch/arm/vpsci.c, do_common_cpu_on().
 */
TEST(psci_cpu_on, VCPUS, "CPU_ON starts a vcpu where it says, in the state of a start",
     .needs = "arm smp")
{
    const unsigned long initial = sizeof(long) == 8 ? PSR_GUEST64_INIT : PSR_GUEST32_INIT;
    const unsigned long looked_at = 0x1df; /* mode; masks of IRQ, FIQ, aborts */
    const volatile struct secondary_start *found = secondary_found();

    const unsigned long context = (unsigned long)0x1234567889abcdefull;

    reset();
    CHECK_EQ(secondary_start_with(count_one, NULL, context), PSCI_SUCCESS);
    CHECK(WAIT_UNTIL(rounds == 1, SECONDS(1)));
    CHECK_EQ(found->context, context);
    CHECK_EQ(found->status & looked_at, initial & looked_at);
    CHECK_EQ(found->control & (SCTLR_MMU | SCTLR_DATA_CACHE | SCTLR_INSTRUCTION_CACHE), 0);
    CHECK_EQ(found->affinity & 0xffffff, SECONDARY_VCPU);
    CHECK(secondary_wait_off());
}

/*
 * Background: functions with 32-bit arguments are there for 64-bit guests as well.
 * Provoked by: CPU_ON and AFFINITY_INFO of that kind.
 * Expected: the vcpu runs; the context has 32 bits.
 * Source: Arm DEN 0022, 5.1.
 */
TEST(psci_cpu_on_narrow, VCPUS, "CPU_ON with 32-bit arguments", .needs = "arm smp")
{
    reset();
    secondary_prepare(run_until_stopped, NULL);
    CHECK_EQ(psci(PSCI_CPU_ON & ~PSCI_WIDE, SECONDARY_VCPU, (uintptr_t)secondary_entry,
                  0x89abcdefu),
             PSCI_SUCCESS);
    CHECK(WAIT_UNTIL(rounds == 1, SECONDS(1)));
    CHECK_EQ(secondary_found()->context, 0x89abcdefu);
    CHECK_EQ(psci(PSCI_AFFINITY_INFO & ~PSCI_WIDE, SECONDARY_VCPU, 0, 0), PSCI_ON);
    stop = 1;
    CHECK(secondary_wait_off());
    CHECK_EQ(psci(PSCI_AFFINITY_INFO & ~PSCI_WIDE, SECONDARY_VCPU, 0, 0), PSCI_OFF);
}

static void count_until_stopped(void *unused)
{
    struct wait wait = wait_begin(SECONDS(5));

    (void)unused;
    while (!stop && wait_step(&wait))
        rounds++;
}

/*
 * Background: a domain suspends with all its vcpus, wherever they are.
 * Provoked by: suspensions while the second vcpu counts.
 * Expected: after each it goes on counting, and is on.
 * Source: sched.h (SHUTDOWN_suspend); common/domain.c, domain_shutdown(), domain_resume().
 */
TEST(suspend_keeps_second, POWER, "a second vcpu goes on after a suspension",
     .needs = "arm smp supervised")
{
    reset();
    CHECK_EQ(secondary_start_with(count_until_stopped, NULL, 0), PSCI_SUCCESS);
    CHECK(WAIT_UNTIL(rounds > 0, SECONDS(1)));
    for (unsigned int round = 0; round < 5; round++) {
        CHECK_EQ(shutdown_for(SHUTDOWN_suspend), 0);
        unsigned int before = rounds;

        CHECK(WAIT_UNTIL(rounds > before, SECONDS(1)));
        CHECK_EQ(psci(PSCI_AFFINITY_INFO, SECONDARY_VCPU, 0, 0), PSCI_ON);
    }
    stop = 1;
    CHECK(secondary_wait_off());
}

/*
 * Provoked by: AFFINITY_INFO of a vcpu before it is started, while it runs, and after its CPU_OFF;
 * CPU_ON while it runs.
 * Expected: OFF, ON, OFF; ALREADY_ON.
 * Source: Arm DEN 0022, 5.5 to 5.7.
 */
TEST(psci_affinity_of_second, VCPUS, "a vcpu is off, on, and off again", .needs = "arm smp")
{
    reset();
    CHECK_EQ(psci(PSCI_AFFINITY_INFO, SECONDARY_VCPU, 0, 0), PSCI_OFF);
    CHECK_EQ(psci(PSCI_AFFINITY_INFO, SECONDARY_VCPU, 1, 0), PSCI_ON); /* the first one is */
    CHECK_EQ(secondary_start_with(run_until_stopped, NULL, 0), PSCI_SUCCESS);
    CHECK(WAIT_UNTIL(rounds == 1, SECONDS(1)));
    CHECK_EQ(psci(PSCI_AFFINITY_INFO, SECONDARY_VCPU, 0, 0), PSCI_ON);
    CHECK_EQ(psci(PSCI_CPU_ON, SECONDARY_VCPU, (uintptr_t)secondary_entry, 0), PSCI_ALREADY_ON);
    stop = 1;
    CHECK(secondary_wait_off());
    CHECK_EQ(rounds, 1);
}

/*
 * Provoked by: one vcpu turned on and off ten times.
 * Expected: it runs each time.
 * Source: Arm DEN 0022, 5.5 and 5.6.
 */
TEST(psci_cpu_on_again, VCPUS, "a vcpu that is off can be started again", .needs = "arm smp")
{
    reset();
    for (unsigned int round = 1; round <= 10; round++) {
        CHECK_EQ(secondary_start_with(count_one, NULL, 0), PSCI_SUCCESS);
        CHECK(WAIT_UNTIL(rounds == round, SECONDS(1)));
        CHECK(secondary_wait_off());
    }
}

static void turn_off(void *function)
{
    rounds++;
    result = psci(function ? *(const unsigned int *)function : PSCI_CPU_OFF, 0, 0, 0);
    rounds++;
}

/*
 * Provoked by: CPU_OFF on the second vcpu, and CPU_ON of it afterwards.
 * Expected: the call does not return, and what came behind it is never run.
 * Source: Arm DEN 0022, 5.5.
 */
TEST(psci_cpu_off, VCPUS, "CPU_OFF does not return", .needs = "arm smp")
{
    reset();
    CHECK_EQ(secondary_start_with(turn_off, NULL, 0), PSCI_SUCCESS);
    CHECK(WAIT_UNTIL(rounds == 1, SECONDS(1)));
    CHECK(secondary_wait_off());
    CHECK_EQ(secondary_start_with(count_one, NULL, 0), PSCI_SUCCESS);
    CHECK(WAIT_UNTIL(rounds == 2, SECONDS(1)));
    CHECK(secondary_wait_off());
    CHECK_EQ(rounds, 2);
    CHECK_EQ(result, 1);
}

/*
 * Provoked by: the CPU_ON and CPU_OFF of PSCI 0.1.
 * Expected: as of the later ones; the vcpu's first register is 0.
 * Source: Arm DEN 0022, appendix; arch/arm/vpsci.c, do_psci_cpu_on().
 */
TEST(psci_first_cpu_on, VCPUS, "CPU_ON and CPU_OFF of PSCI 0.1", .needs = "arm smp")
{
    unsigned int cpu_on = first_function("cpu_on"), cpu_off = first_function("cpu_off");

    reset();
    secondary_prepare(turn_off, &cpu_off);
    CHECK_EQ(psci(cpu_on, SECONDARY_VCPU, (uintptr_t)secondary_entry, 99), PSCI_SUCCESS);
    CHECK(WAIT_UNTIL(rounds == 1, SECONDS(1)));
    CHECK_EQ(secondary_found()->context, 0);
    CHECK(secondary_wait_off());
    CHECK_EQ(rounds, 1);
    CHECK_EQ(result, 1);
}

static void start_the_first(void *unused)
{
    (void)unused;
    result = psci(PSCI_CPU_ON, 0, (uintptr_t)secondary_entry, 0);
    rounds++;
}

/*
 * Provoked by: CPU_ON and AFFINITY_INFO of the first vcpu, from the second one.
 * Expected: ALREADY_ON, and the first one goes on.
 * Source: Arm DEN 0022, 5.6.
 */
TEST(psci_cpu_on_of_first, VCPUS, "a vcpu cannot start the one that started it", .needs = "arm smp")
{
    reset();
    CHECK_EQ(secondary_start_with(start_the_first, NULL, 0), PSCI_SUCCESS);
    CHECK(WAIT_UNTIL(rounds == 1, SECONDS(1)));
    CHECK_EQ(result, PSCI_ALREADY_ON);
    CHECK(secondary_wait_off());
}

/*
 * Background: bit 0 of an address stands for Thumb state, which 64-bit vcpus do not have.
 * Provoked by: CPU_ON of a vcpu that is off, at an odd address.
 * Expected: a 64-bit guest gets INVALID_ADDRESS and the vcpu stays off; a 32-bit one gets a vcpu in
 * Thumb state.
 * Source: Arm DEN 0022, 5.6; arch/arm/vpsci.c, do_common_cpu_on().
 */
TEST(psci_cpu_on_odd_address, VCPUS, "CPU_ON at an odd address: Thumb state, or refused",
     .needs = "arm smp")
{
    reset();
#ifdef __aarch64__
    CHECK_EQ(psci(PSCI_CPU_ON, SECONDARY_VCPU, (uintptr_t)secondary_entry | 1, 0),
             PSCI_INVALID_ADDRESS);
    CHECK_EQ(psci(PSCI_AFFINITY_INFO, SECONDARY_VCPU, 0, 0), PSCI_OFF);
#else
    secondary_prepare(count_one, NULL);
    CHECK_EQ(psci(PSCI_CPU_ON, SECONDARY_VCPU, (uintptr_t)secondary_entry_thumb | 1, 0),
             PSCI_SUCCESS);
    CHECK(WAIT_UNTIL(rounds == 1, SECONDS(1)));
    CHECK(secondary_wait_off());
#endif
}

/* ---- Waiting ---- */

static void check_suspend(unsigned int function, unsigned long state)
{
    uint64_t begin = arch_monotonic_ns();

    arch_events_disable();
    timer_start(TIMER_VIRTUAL, MILLISECONDS(1));
    CHECK_EQ(psci(function, state, 0, 0), PSCI_SUCCESS);
    CHECK(arch_monotonic_ns() - begin >= MILLISECONDS(1));
    CHECK_EQ(timer_count(TIMER_VIRTUAL), 0);
    arch_events_enable();
    CHECK(WAIT_UNTIL(timer_count(TIMER_VIRTUAL) == 1, SECONDS(1)));
}

/*
 * Background: CPU_SUSPEND may always be carried out as standby, which keeps all state and returns.
 * Provoked by: a timer 1 ms ahead, then CPU_SUSPEND with interrupts masked, for standby.
 * Expected: the call returns 0 once the timer interrupts, which is taken when interrupts are
 * unmasked.
 * Source: Arm DEN 0022, 5.4.
 */
TEST(psci_cpu_suspend, POWER, "CPU_SUSPEND waits for an interrupt", .needs = "arm")
{
    check_suspend(PSCI_CPU_SUSPEND, 0);
    check_suspend(PSCI_CPU_SUSPEND & ~PSCI_WIDE, 0);
}

/*
 * Provoked by: the same, for a state in which a CPU loses its registers.
 * Expected: the same: Xen carries it out as standby.
 * Source: Arm DEN 0022, 5.4; arch/arm/vpsci.c, do_psci_0_2_cpu_suspend().
 */
TEST(psci_cpu_suspend_powerdown, POWER, "CPU_SUSPEND to power down is standby", .needs = "arm")
{
    check_suspend(PSCI_CPU_SUSPEND, POWERDOWN);
}

/*
 * Provoked by: the same, for standby and power-down of each level of affinity.
 * Expected: the same for all of them.
 * Source: Arm DEN 0022, 5.4.2; arch/arm/vpsci.c, do_psci_0_2_cpu_suspend().
 */
TEST(psci_cpu_suspend_states, POWER, "CPU_SUSPEND of any level and kind is standby", .needs = "arm")
{
    for (unsigned long level = 0; level < NO_LEVEL; level++) {
        check_suspend(PSCI_CPU_SUSPEND, level << POWER_LEVEL_SHIFT);
        check_suspend(PSCI_CPU_SUSPEND, level << POWER_LEVEL_SHIFT | POWERDOWN);
    }
}

/*
 * Provoked by: CPU_SUSPEND while an interrupt is waiting, masked.
 * Expected: the call returns 0 at once.
 * Source: Arm DEN 0022, 5.4.
 */
TEST(psci_cpu_suspend_pending, POWER, "CPU_SUSPEND does not wait if an interrupt does",
     .needs = "arm")
{
    uint64_t begin;

    arch_events_disable();
    timer_start(TIMER_VIRTUAL, 0);
    wait_for(MICROSECONDS(100));
    begin = arch_monotonic_ns();
    CHECK_EQ(psci(PSCI_CPU_SUSPEND, 0, 0, 0), PSCI_SUCCESS);
    CHECK(arch_monotonic_ns() - begin < MILLISECONDS(100));
    arch_events_enable();
    CHECK(WAIT_UNTIL(timer_count(TIMER_VIRTUAL) == 1, SECONDS(1)));
}

static void suspend_there(void *unused)
{
    (void)unused;
    secondary_events_enable();
    rounds++;
    result = psci(PSCI_CPU_SUSPEND, 0, 0, 0);
    rounds++;
}

/*
 * Background: a vcpu that waits in standby is on.
 * Provoked by: AFFINITY_INFO of a second vcpu that is in CPU_SUSPEND; then an event for it.
 * Expected: ON, and it has not come back; it comes back with 0.
 * Source: Arm DEN 0022, 5.4 and 5.7; arch/arm/vpsci.c, do_psci_0_2_affinity_info().
 */
TEST(psci_affinity_of_suspended, VCPUS, "a vcpu that waits in CPU_SUSPEND is on", .needs = "arm smp")
{
    struct evtchn_bind_ipi ipi = {.vcpu = SECONDARY_VCPU};

    reset();
    CHECK_EQ(hypercall_event_channel_op(EVTCHNOP_bind_ipi, &ipi), 0);
    CHECK_EQ(event_bind(ipi.port, NULL, NULL), 0);
    CHECK_EQ(secondary_start(suspend_there, NULL), 0);
    CHECK(WAIT_UNTIL(rounds == 1, SECONDS(1)));
    wait_for(MILLISECONDS(1));
    CHECK_EQ(psci(PSCI_AFFINITY_INFO, SECONDARY_VCPU, 0, 0), PSCI_ON);
    CHECK_EQ(rounds, 1);
    CHECK_EQ(event_send(ipi.port), 0);
    CHECK(secondary_wait_off());
    CHECK_EQ(rounds, 2);
    CHECK_EQ(result, PSCI_SUCCESS);
}

/* ---- The end ---- */

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

static void end_the_system(void *unused)
{
    (void)unused;
    psci(PSCI_SYSTEM_OFF, 0, 0, 0);
}

/*
 * Provoked by: SYSTEM_OFF from the second vcpu, while the first one waits.
 * Expected: the domain ends as powered off.
 * Source: Arm DEN 0022, 5.10.
 */
TEST(psci_system_off_by_second, VCPUS, "SYSTEM_OFF by another vcpu ends the domain",
     .needs = "arm smp observed-end", .ends = "poweroff")
{
    reset();
    CHECK_EQ(secondary_start_with(end_the_system, NULL, 0), PSCI_SUCCESS);
    wait_for(SECONDS(1));
    FAIL("the domain runs on");
}
