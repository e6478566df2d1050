/*
 * Rung "power": dom0 sends the machine to sleep by ACPI, or switches it off.
 *
 * dom0 reads from the firmware's tables what to write to the register that starts a sleep, and has Xen
 * write it. Emulated PCs mean S5 by sleep type 0 and S3 by 1. A machine that sleeps is woken from
 * outside (by QMP's system_wakeup).
 */
#include <platform.h>
#include <string.h>
#include <timing.h>

#include "common.h"
#include "shutdown.h"
#include "system_time.h"

#define SLEEP_ENABLE (1u << 13)
#define SLEEP_TYPE(type) ((uint16_t)((type) << 10))
#define TYPE_S3 1

static long acpi_sleep(uint32_t state, uint16_t first, uint16_t second, uint32_t flags)
{
    static struct xen_platform_op request;

    memset(&request, 0, sizeof(request));
    request.cmd = XENPF_enter_acpi_sleep;
    request.interface_version = XENPF_INTERFACE_VERSION;
    request.u.enter_acpi_sleep.sleep_state = state;
    request.u.enter_acpi_sleep.val_a = first;
    request.u.enter_acpi_sleep.val_b = second;
    request.u.enter_acpi_sleep.flags = flags;
    return arch_hypercall(__HYPERVISOR_platform_op, arch_guest_address(&request), 0, 0, 0, 0);
}

/*
 * Background: Two registers start the sleep together, each with a bit for it.
 * Provoked by: two register values of which only the first or the second starts the sleep; a flag that does not exist; sleep
 * states that there are not.
 * Expected: -EINVAL for all, and the machine stays awake.
 * Source: platform.h (XENPF_enter_acpi_sleep); arch/x86/acpi/power.c, acpi_enter_sleep(), enter_state().
 */
TEST(acpi_sleep_refused, POWER, "a sleep that contradicts itself is refused with EINVAL",
     .needs = "pv|hvm dom0")
{
    CHECK_ERRNO(acpi_sleep(5, SLEEP_ENABLE, 1, 0), EINVAL);
    CHECK_ERRNO(acpi_sleep(5, SLEEP_ENABLE - 1, SLEEP_ENABLE, 0), EINVAL);
    CHECK_ERRNO(acpi_sleep(5, SLEEP_ENABLE, 0, 2), EINVAL);
    CHECK_ERRNO(acpi_sleep(0, SLEEP_ENABLE, 0, 0), EINVAL);
    CHECK_ERRNO(acpi_sleep(6, SLEEP_ENABLE, 0, 0), EINVAL);
}

/*
 * Provoked by: state S5.
 * Expected: the machine is off.
 * Source: platform.h (XENPF_enter_acpi_sleep); arch/x86/acpi/power.c, enter_state().
 */
TEST(acpi_power_off, POWER, "dom0 switches the machine off by ACPI",
     .needs = "pv|hvm dom0 slow observed-end", .ends = "poweroff")
{
    long rc = acpi_sleep(5, SLEEP_ENABLE, 0, 0);

    wait_for(SECONDS(1));
    FAIL("the machine is still on, the call returned %ld", rc);
}

/* Sleeps `times`, and looks whether all is as it was; then reboots. */
_Noreturn static void check_sleep(unsigned int times)
{
    static volatile uint8_t page[PAGE_BYTES];
    evtchn_port_t one, other;

    for (unsigned int i = 0; i < sizeof(page); i++)
        page[i] = (uint8_t)(i * 7);
    event_loopback(&one, &other);
    event_clear(one);
    CHECK_EQ(event_send(other), 0);
    for (; times; times--) {
        uint64_t before = system_time();

        CHECK_EQ(acpi_sleep(3, SLEEP_ENABLE | SLEEP_TYPE(TYPE_S3), 0, 0), 0);
        CHECK(system_time() > before);
        CHECK(event_is_pending(one));
    }
    for (unsigned int i = 0; i < sizeof(page); i++)
        CHECK_EQ(page[i], (uint8_t)(i * 7));
    CHECK_EQ(event_bind(one, NULL, NULL), 0);
    CHECK(event_wait(one, 1, EVENT_LIMIT));
    CHECK_EQ(event_send(other), 0);
    CHECK(event_wait(one, 2, EVENT_LIMIT));

    uint64_t deadline = system_time() + MILLISECONDS(2);
    struct sched_poll poll = {.nr_ports = 0, .timeout = deadline};

    while (system_time() < deadline)
        CHECK_EQ(hypercall_sched_op(SCHEDOP_poll, &poll), 0);
    FAIL("the domain runs on, the call returned %ld", shutdown_for(SHUTDOWN_reboot));
}

/*
 * Background: In S3 the processor is off and memory is kept. Xen stops all domains before, and lets them
 * go on afterwards.
 * Provoked by: S3, with memory, a channel and the clock looked at before and after. In the end a reboot.
 * Expected: the call returns 0 once the machine was woken; memory is as it was, an event that waited still
 * waits, channels work, the clock has gone on, and waiting with a deadline works. The machine is seen to
 * sleep and to wake, and to restart after that.
 * Source: platform.h (XENPF_enter_acpi_sleep); arch/x86/acpi/power.c, enter_state(), freeze_domains().
 */
TEST(acpi_suspend, POWER, "the machine sleeps in S3 and wakes, and dom0 goes on as it was",
     .needs = "pv|hvm dom0 slow observed-end", .ends = "reboot", .events = "SUSPEND WAKEUP")
{
    check_sleep(1);
}

/*
 * Background: See acpi_suspend. A PVH dom0 runs on QEMU's q35, whose power management is deaf after it has
 * woken: Xen finds that it has slept, but the machine never did.
 * Provoked by: the same, with two sleeps.
 * Expected: as there, for each sleep.
 * Source: see acpi_suspend.
 */
TEST(acpi_suspend_again, POWER, "the machine sleeps in S3 as often as it is asked to",
     .needs = "pv dom0 slow observed-end", .ends = "reboot",
     .events = "SUSPEND WAKEUP SUSPEND WAKEUP")
{
    check_sleep(2);
}
