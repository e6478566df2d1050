/* Tests that do to a port what tests must not do; test_isolation.py knows what becomes of each. */
#include <boot.h>
#include <hypercall.h>
#include <print.h>
#include <string.h>
#include <test.h>
#include <timing.h>

TEST(good_first, ENTER, "nothing happens")
{
}

TEST(ends_its_domain, ENTER, "the domain powers itself off in the middle of a test")
{
    boot_shutdown(SHUTDOWN_poweroff);
}

TEST(good_second, ENTER, "nothing happens")
{
}

TEST(crashes_its_domain, ENTER, "the domain crashes")
{
    boot_shutdown(SHUTDOWN_crash);
}

TEST(good_third, ENTER, "nothing happens")
{
}

TEST(hangs, ENTER, "the domain does nothing any more, with events off")
{
    arch_events_disable();
    for (;;)
        arch_pause();
}

TEST(good_fourth, ENTER, "nothing happens")
{
}

TEST(floods, ENTER, "the domain fills the console")
{
    for (;;)
        print_line("# %s", "more, more, more, more, more, more, more, more, more, more, more, more");
}

TEST(good_fifth, ENTER, "nothing happens")
{
}

#if defined(__x86_64__)
#include <physdev.h>

/* The machine's watchdog, which is set to inject an NMI; Xen is told to take that for fatal. */
#define WATCHDOG_START 0x443
#define WATCHDOG_NOW 0xf

TEST(makes_xen_panic, ENTER, "dom0 has the machine inject an NMI", .needs = "nmi")
{
    struct physdev_set_iopl iopl = {.iopl = 1};

    CHECK_EQ(arch_hypercall(__HYPERVISOR_physdev_op, PHYSDEVOP_set_iopl, arch_guest_address(&iopl), 0,
                            0, 0),
             0);
    __asm__ volatile("outb %b0, %w1" : : "a"(WATCHDOG_NOW), "d"(WATCHDOG_START) : "memory");
    wait_for(SECONDS(5));
    FAIL("Xen goes on");
}

TEST(good_after_the_panic, ENTER, "nothing happens", .needs = "nmi")
{
}
#endif
