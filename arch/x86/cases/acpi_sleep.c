/*
 * Rung "power": dom0 sends the machine to sleep by ACPI, or switches it off, and domains live through it.
 *
 * dom0 reads from the firmware's tables what to write to the register that starts a sleep, and has Xen
 * write it; here these are what emulated PCs have. A machine that sleeps is woken from outside (by QMP's
 * system_wakeup).
 */
#include <peer.h>
#include <timing.h>

#include "acpi.h"
#include "common.h"
#include "shutdown.h"
#include "system_time.h"

#define SLEEP_LIMIT SECONDS(10)    /* for the machine to sleep and wake */

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

/* What is to be after a sleep as it was before. */
static volatile uint8_t page[PAGE_BYTES];
static evtchn_port_t one, other;
static uint64_t fell_asleep;

/* Fills a page, and leaves an event waiting on a masked port. */
static void prepare(void)
{
    for (unsigned int i = 0; i < sizeof(page); i++)
        page[i] = (uint8_t)(i * 7);
    event_loopback(&one, &other);
    event_clear(one);
    CHECK_EQ(event_send(other), 0);
    fell_asleep = system_time();
}

static void check_awake(void)
{
    uint64_t now = system_time();

    CHECK(now > fell_asleep);
    fell_asleep = now;
    CHECK(event_is_pending(one));
}

/* Looks whether all is as it was, and still works; then reboots. */
_Noreturn static void check_all(void)
{
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

_Noreturn static void check_sleep(unsigned int times)
{
    prepare();
    for (; times; times--) {
        CHECK_EQ(arch_machine_sleep(), 0);
        check_awake();
    }
    check_all();
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

/*
 * Background: See acpi_suspend. Xen stops all domains, not only the one that asks.
 * Provoked by: dom0, asked by an event, sends the machine to sleep in S3, with memory, a channel and the clock of this domain
 * looked at before and after. In the end a reboot of this domain.
 * Expected: as for acpi_suspend, and dom0's event comes afterwards.
 * Source: see acpi_suspend; common/domain.c, domain_pause(), domain_unpause().
 */
TEST(acpi_suspend_domain, POWER, "a domain goes on as it was when the machine has slept in S3",
     .needs = "supervised peer slow", .ends = "reboot", .events = "SUSPEND WAKEUP")
{
    evtchn_port_t asked = peer_bind(PEER_SLEEP);

    CHECK_EQ(event_bind(asked, NULL, NULL), 0);
    CHECK(event_wait(asked, 1, EVENT_LIMIT)); /* of the binding */
    prepare();
    CHECK_EQ(event_send(asked), 0);
    CHECK(event_wait(asked, 2, SLEEP_LIMIT));
    check_awake();
    check_all();
}
