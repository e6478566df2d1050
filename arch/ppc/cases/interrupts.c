/* How events, timers and faults reach a guest of IBM's port: the vectors at 0x300 and up. */
#include <boot.h>
#include <events.h>
#include <fault.h>
#include <hypercall.h>
#include <test.h>
#include <timing.h>

#ifdef XEN_HAVE_PV_UPCALL_MASK
/*
 * Background: vcpu_info has a byte that masks upcalls, as on x86. This port does not look at it; the
 * processor's MSR[EE] is the mask.
 * Provoked by: an event with the byte set and interrupts on.
 * Expected: the upcall comes.
 * Source: IBM's asm/event.h, local_events_need_delivery().
 */
TEST(ppc_upcall_mask_is_not_used, EVENTS, "evtchn_upcall_mask masks nothing, MSR[EE] does",
     .needs = "ppc")
{
    volatile struct vcpu_info *vcpu_info = boot_info.vcpu_info;
    evtchn_port_t one, other;

    event_loopback(&one, &other);
    CHECK_EQ(event_bind(one, NULL, NULL), 0);
    vcpu_info->evtchn_upcall_mask = 1;
    long rc = event_send(other);
    bool delivered = event_count(one) == 1;
    vcpu_info->evtchn_upcall_mask = 0;
    CHECK_EQ(rc, 0);
    CHECK(delivered);
}
#endif

/*
 * Background: an event is an external interrupt that Xen makes when it returns to the guest. The code
 * that is interrupted must not notice.
 * Provoked by: an event that a hypercall makes itself.
 * Expected: the hypercall's result is intact, the condition register too, and interrupts are on again.
 * Source: IBM's external.c, deliver_ee().
 */
TEST(ppc_event_returns_to_the_call, EVENTS, "the upcall returns behind the hypercall that made it",
     .needs = "ppc")
{
    evtchn_port_t one, other;
    unsigned long condition = 0x13570000, after;

    event_loopback(&one, &other);
    CHECK_EQ(event_bind(one, NULL, NULL), 0);

    struct evtchn_send send = {.port = other};
    register unsigned long r3 __asm__("r3") = __HYPERVISOR_event_channel_op | ARCH_XEN_MARK;
    register unsigned long r4 __asm__("r4") = EVTCHNOP_send;
    register unsigned long r5 __asm__("r5") = arch_guest_address(&send);
    __asm__ volatile("mtcr %4\n\t"
                     "sc 1\n\t"
                     "mfcr %3"
                     : "+r"(r3), "+r"(r4), "+r"(r5), "=&r"(after)
                     : "r"(condition)
                     : "memory", "cr0", "cr1", "cr2", "cr3", "cr4", "cr5", "cr6", "cr7");
    CHECK_EQ(r3, 0);
    CHECK_EQ(after, condition);
    CHECK_EQ(event_count(one), 1);
    CHECK(arch_events_enabled());
}

static void set_decrementer(uint32_t ticks)
{
    __asm__ volatile("mtspr 22, %0" : : "r"(ticks));
}

static uint32_t get_decrementer(void)
{
    unsigned long ticks;

    __asm__ volatile("mfspr %0, 22" : "=r"(ticks));
    return (uint32_t)ticks;
}

/*
 * Background: the decrementer counts down at the rate of the timebase. The guest has it for itself.
 * Provoked by: a large value, and reading it again after a millisecond.
 * Expected: it has gone down by as many ticks as the timebase has gone up in between.
 * Source: PowerPC Operating Environment Architecture, Book III, Timer Facilities.
 */
TEST(ppc_decrementer_counts_with_timebase, TIME, "the decrementer counts as the timebase does",
     .needs = "ppc")
{
    set_decrementer(0x7fffffff);
    uint64_t timebase = arch_counter();
    uint32_t first = get_decrementer();
    wait_for(MILLISECONDS(1));
    uint32_t second = get_decrementer();
    uint64_t passed = arch_counter() - timebase;

    CHECK(second < first);
    CHECK(first - second <= passed);
    CHECK((first - second) * 2 >= passed);
}

/*
 * Provoked by: the decrementer set to run out in a while, interrupts on; and again with interrupts
 * off for longer than that.
 * Expected: one interrupt; none while they are off, one when they are on again.
 * Source: Book III, Decrementer Interrupt; IBM's exceptions.S leaves vector 0x900 to the guest.
 */
TEST(ppc_decrementer_interrupts, TIME, "the decrementer interrupts the guest, unless MSR[EE] is off",
     .needs = "ppc")
{
    CHECK_EQ(hypercall_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL), 0);
    unsigned long before = arch_timer_interrupts();

    set_decrementer(10000);
    CHECK(WAIT_UNTIL(arch_timer_interrupts() > before, SECONDS(1)));
    CHECK_EQ(arch_timer_interrupts(), before + 1);

    arch_events_disable();
    set_decrementer(10000);
    wait_for(MILLISECONDS(2));
    unsigned long disabled = arch_timer_interrupts();
    arch_events_enable();
    CHECK_EQ(disabled, before + 1);
    CHECK(WAIT_UNTIL(arch_timer_interrupts() > before + 1, SECONDS(1)));
}

static void load_behind_memory(void *unused)
{
    (void)unused;
    (void)*(volatile uint64_t *)arch_unmapped_pointer();
}

static void jump_behind_memory(void *unused)
{
    (void)unused;
    ((void (*)(void))arch_unmapped_pointer())();
}

/* LPCR, which is the hypervisor's. */
static void read_hypervisor_register(void *unused)
{
    unsigned long value;

    (void)unused;
    __asm__ volatile("mfspr %0, 318" : "=r"(value));
}

static void trap(void *unused)
{
    (void)unused;
    __asm__ volatile("trap");
}

static void system_call(void *unused)
{
    (void)unused;
    __asm__ volatile("sc 0" : : : "memory", "r0", "r3");
}

/*
 * Background: with translation off, the processor itself compares addresses with the size of the real
 * mode area. Faults go to the guest's own vectors; Xen is not entered.
 * Provoked by: a load and a jump behind all memory; an instruction that only the hypervisor may use;
 * a trap; a system call of the guest to itself.
 * Expected: each is taken with the address it happened at, and the next one is too.
 * Source: PowerPC Operating Environment Architecture, Book III, Interrupts; LPES of the PowerPC 970,
 * IBM's powerpc64/ppc970.c, cpu_init_vcpu().
 */
TEST(ppc_faults_reach_the_guest, ENTER, "faults of all kinds are taken by the guest's vectors",
     .needs = "ppc")
{
    struct fault fault;

    for (unsigned int round = 0; round < 2; round++) {
        CHECK(fault_expected(load_behind_memory, NULL, &fault));
        CHECK_EQ(fault.kind, FAULT_ACCESS);
        CHECK_EQ(fault.address, (unsigned long)arch_unmapped_pointer());

        CHECK(fault_expected(jump_behind_memory, NULL, &fault));
        CHECK_EQ(fault.kind, FAULT_ACCESS);
        CHECK_EQ(fault.pc, (unsigned long)arch_unmapped_pointer());

        CHECK(fault_expected(read_hypervisor_register, NULL, &fault));
        CHECK_EQ(fault.kind, FAULT_ILLEGAL);
        CHECK(fault_expected(trap, NULL, &fault));
        CHECK_EQ(fault.kind, FAULT_OTHER);
        CHECK(fault_expected(system_call, NULL, &fault));
        CHECK_EQ(fault.kind, FAULT_OTHER);
    }
}
