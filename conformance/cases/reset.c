/*
 * Rung "power": a machine that is reset forgets all that was.
 *
 * The test runs before the reset and after it. It says what it finds, which must be the same both times,
 * and then leaves as much behind as it can.
 */
#include <memory.h>
#include <sched.h>
#include <print.h>

#include "common.h"
#include "shutdown.h"

#ifdef SCHEDOP_watchdog
#define LEFT_PORTS 8

/*
 * Background: dom0 ends with a reboot, and the machine starts anew: firmware, Xen, dom0.
 * Provoked by: looks at what there is: the domain's number, the first free port, the number of its pages,
 * data and .bss of its kernel, the first free watchdog. Then ports are opened, a watchdog runs, data is
 * changed, and the machine is rebooted.
 * Expected: the same before and after the reset; what was left behind is gone.
 * Source: sched.h (SHUTDOWN_reboot); common/shutdown.c, hwdom_shutdown().
 */
TEST(reset_forgets, POWER, "after a reset of the machine, nothing is left of what was before",
     .needs = "dom0 slow observed-end", .ends = "reset")
{
    static volatile uint32_t data = 0x64617461, bss;
    struct xen_memory_domain self = {.domid = DOMID_SELF};
    struct sched_watchdog watchdog = {.id = 0, .timeout = 3600};
    evtchn_port_t first;
    char text[NUMBER_SIZE];

    CHECK_EQ(event_alloc_unbound(DOMID_SELF, &first), 0);
    NOTE("domain %u, first free port %u", own_domain(), first);
    NOTE("pages %s", number_text(text, sizeof(text),
                                 hypercall_memory_op(XENMEM_current_reservation, &self)));
    NOTE("data 0x%x, bss 0x%x", data, bss);
    NOTE("first watchdog %s",
         number_text(text, sizeof(text), hypercall_sched_op(SCHEDOP_watchdog, &watchdog)));

    for (unsigned int i = 0; i < LEFT_PORTS; i++) {
        evtchn_port_t port;

        CHECK_EQ(event_alloc_unbound(DOMID_SELF, &port), 0);
    }
    data = bss = 0x6c656674;
    FAIL("the domain runs on, the call returned %ld", shutdown_for(SHUTDOWN_reboot));
}
#endif
