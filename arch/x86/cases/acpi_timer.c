/*
 * The ACPI timer of a PC, which Xen emulates for domains that have a PC's devices.
 */
#include <hvm/hvm_op.h>
#include <hvm/ioreq.h>
#include <hvm/params.h>
#include <timing.h>

#include "common.h"

#define TICKS_LIMIT SECONDS(1)
#define NOTHING_THERE (~0u)

/* Where the timer is, by HVM_PARAM_ACPI_IOPORTS_LOCATION. */
static const uint16_t ports[] = {ACPI_PM_TMR_BLK_ADDRESS_V0, ACPI_PM_TMR_BLK_ADDRESS_V1};

static uint32_t read_port(uint16_t port)
{
    uint32_t value;

    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static long choose(uint64_t version)
{
    struct xen_hvm_param param = {
        .domid = DOMID_SELF, .index = HVM_PARAM_ACPI_IOPORTS_LOCATION, .value = version};

    return hypercall_hvm_op(HVMOP_set_param, &param);
}

static bool ticks(uint16_t port)
{
    uint32_t before = read_port(port);

    return before != NOTHING_THERE && WAIT_UNTIL(read_port(port) != before, TICKS_LIMIT);
}

/*
 * Background: Firmware chooses one of two places for the ports of the timer, which its tables tell. A domain without
 * a PC's devices, which have pirqs, has no such timer.
 * Provoked by: each place chosen, and both read; a place that there is not.
 * Expected: the timer ticks at the place that was chosen, and nothing is at the other; -EINVAL. Without the timer
 * -ENODEV, and nothing at either.
 * Source: hvm/params.h (HVM_PARAM_ACPI_IOPORTS_LOCATION), hvm/ioreq.h; arch/x86/hvm/pmtimer.c.
 */
TEST(hvm_acpi_timer, TIME, "the ACPI timer of a PC ticks at the ports that the domain chose",
     .needs = "hvm domu")
{
    if (!has_feature(XENFEAT_hvm_pirqs)) {
        CHECK_ERRNO(choose(1), ENODEV);
        CHECK_EQ(read_port(ports[0]), NOTHING_THERE);
        CHECK_EQ(read_port(ports[1]), NOTHING_THERE);
        return;
    }
    for (unsigned int version = 2; version-- > 0;) {
        CHECK_EQ(choose(version), 0);
        CHECK(ticks(ports[version]));
        CHECK_EQ(read_port(ports[1 - version]), NOTHING_THERE);
    }
    CHECK_EQ(choose(0), 0);
    CHECK_ERRNO(choose(2), EINVAL);
    CHECK(ticks(ports[0]));
}
