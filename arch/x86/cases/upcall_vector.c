/*
 * Upcalls of HVM guests by the local APIC of a vcpu, instead of the domain's vector that needs none.
 */
#include <hvm/hvm_op.h>
#include <hvm/params.h>
#include <timing.h>

#include "common.h"
#include "instructions.h"
#include "shutdown.h"
#include "x86.h"

#define MSR_APIC_BASE 0x1b
#define APIC_BASE_X2APIC 0xc00     /* on, and its registers are MSRs */
#define MSR_APIC_EOI 0x80b
#define MSR_APIC_SPURIOUS 0x80f
#define SPURIOUS_ON 0x1ff          /* with the highest vector */

/*
 * Background: A guest can ask that a vcpu's local APIC brings its upcalls, at a vector of its own.
 * Provoked by: an event, with the domain's own vector taken back, the APIC on and a vector chosen; another one after
 * the end of that interrupt.
 * Expected: 0, and both events arrive. A vector cannot be given back, so that the guest ends here.
 * Source: hvm/hvm_op.h (HVMOP_set_evtchn_upcall_vector); arch/x86/hvm/irq.c, hvm_assert_evtchn_irq().
 */
TEST(hvm_upcall_vector, EVENTS, "events arrive at the vector of a vcpu's local APIC", .needs = "hvm slow|domu",
     .ends = "poweroff")
{
    struct xen_hvm_evtchn_upcall_vector upcall = {.vcpu = 0, .vector = EVENT_VECTOR};
    struct xen_hvm_param callback = {.domid = DOMID_SELF, .index = HVM_PARAM_CALLBACK_IRQ};
    evtchn_port_t port;

    CHECK_EQ(hypercall_hvm_op(HVMOP_set_param, &callback), 0);
    write_msr(MSR_APIC_BASE, read_msr(MSR_APIC_BASE) | APIC_BASE_X2APIC);
    write_msr(MSR_APIC_SPURIOUS, SPURIOUS_ON);
    CHECK_EQ(hypercall_hvm_op(HVMOP_set_evtchn_upcall_vector, &upcall), 0);
    CHECK_EQ(event_bind_ipi(&port), 0);
    CHECK_EQ(event_bind(port, NULL, NULL), 0);
    for (unsigned int count = 1; count <= 2; count++) {
        CHECK_EQ(event_send(port), 0);
        write_msr(MSR_APIC_EOI, 0);        /* of whatever came before, the console's events too */
        CHECK(event_wait(port, count, EVENT_LIMIT));
    }
    FAIL("the domain runs on, the call returned %ld", shutdown_for(SHUTDOWN_poweroff));
}
