/* ppc64: finding things in the device tree, time, faults. */

#include <arch.h>

#include <boot.h>
#include <events.h>
#include <fault.h>
#include <fdt.h>
#include <version.h>
#include <xen.h>

/* Ticks of the timebase in a second. */
static uint64_t timebase_frequency = 1000000000;

static unsigned long timer_interrupts;

uint64_t arch_monotonic_ns(void)
{
    uint64_t ticks = arch_counter();

    return ticks / timebase_frequency * 1000000000 +
           ticks % timebase_frequency * 1000000000 / timebase_frequency;
}

void arch_events_enable(void)
{
    const volatile struct vcpu_info *vcpu_info = boot_info.vcpu_info;

    __asm__ volatile("mtmsrd %0, 1" : : "r"(ARCH_MSR_EE | ARCH_MSR_RI) : "memory");
    if (vcpu_info && vcpu_info->evtchn_upcall_pending)
        arch_hypercall(__HYPERVISOR_xen_version, XENVER_version, 0, 0, 0, 0);
}

/* Interrupts when the highest bit becomes set, after 2^31 ticks at most. */
static void set_decrementer(uint32_t ticks)
{
    __asm__ volatile("mtspr 22, %0" : : "r"(ticks));
}

struct arch_second_vcpu arch_second_vcpu;

void arch_vcpu_begin(unsigned int vcpu, void *fault_stack)
{
    __asm__ volatile("mtspr 272, %0\n\t"
                     "mtspr 273, %1"
                     :
                     : "r"(fault_stack), "r"((unsigned long)vcpu)
                     : "memory");
    set_decrementer(INT32_MAX);
}

static bool is_first_vcpu(void)
{
    unsigned long vcpu;

    __asm__ volatile("mfspr %0, 273" : "=r"(vcpu));
    return vcpu == 0;
}

/* Vector 0x500. */
void external_interrupt(void)
{
    if (is_first_vcpu())
        upcall();
    else
        arch_second_vcpu.upcall();
}

/* Vector 0x900. The interrupt stays up until the decrementer is positive again. */
void timer_interrupt(void)
{
    set_decrementer(INT32_MAX);
    if (is_first_vcpu())
        timer_interrupts++;
}

unsigned long arch_timer_interrupts(void)
{
    return *(volatile unsigned long *)&timer_interrupts;
}

/* Why a program interrupt was taken: bits of SRR1. */
enum { PROGRAM_ILLEGAL = 0x80000, PROGRAM_PRIVILEGED = 0x40000, PROGRAM_TRAP = 0x20000 };

static struct fault program_fault(unsigned long srr1)
{
    if (srr1 & PROGRAM_ILLEGAL)
        return (struct fault){.kind = FAULT_ILLEGAL, .text = "illegal instruction"};
    if (srr1 & PROGRAM_PRIVILEGED)
        return (struct fault){.kind = FAULT_ILLEGAL, .text = "privileged instruction"};
    if (srr1 & PROGRAM_TRAP)
        return (struct fault){.kind = FAULT_OTHER, .text = "trap instruction"};
    return (struct fault){.kind = FAULT_OTHER, .text = "program interrupt"};
}

static struct fault describe_fault(unsigned int vector, unsigned long srr0, unsigned long srr1,
                                   unsigned long dar)
{
    switch (vector) {
    case 0x100:
        return (struct fault){.kind = FAULT_OTHER, .text = "reset"};
    case 0x200:
        return (struct fault){.kind = FAULT_OTHER, .text = "machine check"};
    case 0x300:
        return (struct fault){.kind = FAULT_ACCESS, .address = dar, .text = "data storage"};
    case 0x380:
        return (struct fault){.kind = FAULT_ACCESS, .address = dar, .text = "data segment"};
    case 0x400:
        return (struct fault){.kind = FAULT_ACCESS, .address = srr0, .text = "instruction storage"};
    case 0x480:
        return (struct fault){.kind = FAULT_ACCESS, .address = srr0, .text = "instruction segment"};
    case 0x600:
        return (struct fault){.kind = FAULT_OTHER, .text = "alignment"};
    case 0x700:
        return program_fault(srr1);
    case 0x800:
    case 0xf20:
    case 0xf40:
        return (struct fault){.kind = FAULT_ILLEGAL, .text = "unit unavailable"};
    case 0xc00:
        return (struct fault){.kind = FAULT_OTHER, .text = "system call"};
    default:
        return (struct fault){.kind = FAULT_OTHER, .text = "unexpected interrupt"};
    }
}

/* Every vector but those of events and of the decrementer. */
_Noreturn void fault_interrupt(unsigned int vector, unsigned long srr0, unsigned long srr1,
                               unsigned long dar)
{
    struct fault fault = describe_fault(vector, srr0, srr1, dar);

    if (!is_first_vcpu())
        arch_second_vcpu.fault();
    fault.pc = srr0;
    fault_taken(&fault);
}

/* The first node that describes a processor. */
static void read_timebase_frequency(const void *fdt)
{
    uint64_t frequency =
        fdt_number(fdt, fdt_find_with(fdt, "device_type", "cpu"), "timebase-frequency", 0, 1, 0);

    if (frequency)
        timebase_frequency = frequency;
    else
        boot_problem("no timebase-frequency in the device tree, times are wrong");
}

void arch_init(void)
{
    const void *fdt = arch_entry.device_tree;

    set_decrementer(INT32_MAX);
    boot_info.guest = "ppc";
    boot_info.command_line = "";
    if (!fdt_valid(fdt)) {
        boot_problem("r3 was %p at entry, and there is no device tree", fdt);
        return;
    }
    boot_info.fdt = fdt;

    const char *command_line = fdt_string(fdt, fdt_find(fdt, "/chosen"), "bootargs");
    if (command_line)
        boot_info.command_line = command_line;

    read_timebase_frequency(fdt);

    boot_info.shared_info = (struct shared_info *)fdt_number(fdt, fdt_find(fdt, "/xen"),
                                                             "shared-info", 0, 2, 0);
    if (!boot_info.shared_info)
        boot_problem("no shared-info in the /xen node of the device tree");
}
