/*
 * platform_op about processors: which there are, starting and stopping, registers, microcode, power.
 */
#include <timing.h>

#include "instructions.h"
#include "platform_request.h"
#include "processors.h"

static long about_cpu(uint32_t cpu)
{
    platform_prepare();
    request.u.pcpu_info.xen_cpuid = cpu;
    return platform_op(XENPF_get_cpuinfo);
}

/*
 * Background: dom0 handles processors that come and go, and knows them by ACPI's numbers.
 * Provoked by: processor 0; one that does not exist.
 * Expected: online, and numbers up to the largest; a flag that says so.
 * Source: platform.h (XENPF_get_cpuinfo); arch/x86/platform_hypercall.c, do_platform_op().
 */
TEST(platform_cpuinfo, CONTROL, "dom0 is told the ids and the state of a processor", .needs = "dom0")
{
    CHECK_EQ(about_cpu(0), 0);
    CHECK_EQ(request.u.pcpu_info.flags, XEN_PCPU_FLAGS_ONLINE);
    CHECK(request.u.pcpu_info.max_present < NO_CPU);
    CHECK(request.u.pcpu_info.apic_id != ~0u);
    CHECK_EQ(about_cpu(NO_CPU), 0);
    CHECK_EQ(request.u.pcpu_info.flags, XEN_PCPU_FLAGS_INVALID);
}

static long version_of(uint32_t cpu)
{
    platform_prepare();
    request.u.pcpu_version.xen_cpuid = cpu;
    memset(request.u.pcpu_version.vendor_id, 0x55, sizeof(request.u.pcpu_version.vendor_id));
    return platform_op(XENPF_get_cpu_version);
}

/*
 * Background: dom0 picks microcode by maker and model.
 * Provoked by: the version of processor 0; of one that does not exist.
 * Expected: the maker, family and stepping that CPUID gives; zeros.
 * Source: platform.h (XENPF_get_cpu_version); arch/x86/platform_hypercall.c, do_platform_op().
 */
TEST(platform_cpu_version, CONTROL, "dom0 is told maker and model of a processor", .needs = "dom0")
{
    static const char none[sizeof(request.u.pcpu_version.vendor_id)];
    struct cpuid vendor = cpuid(0), signature = cpuid(1);
    uint32_t name[] = {vendor.b, vendor.d, vendor.c}, family = signature.a >> 8 & 0xf;

    if (family == 0xf)
        family += signature.a >> 20 & 0xff;
    CHECK_EQ(version_of(0), 0);
    CHECK_EQ(memcmp(request.u.pcpu_version.vendor_id, name, sizeof(name)), 0);
    CHECK_EQ(request.u.pcpu_version.family, family);
    CHECK_EQ(request.u.pcpu_version.stepping, signature.a & 0xf);
    CHECK_EQ(version_of(NO_CPU), 0);
    CHECK_EQ(memcmp(request.u.pcpu_version.vendor_id, none, sizeof(none)), 0);
    CHECK_EQ(request.u.pcpu_version.family, 0);
}

/* ---- Starting and stopping ---- */

static long start_or_stop(uint32_t command, uint32_t cpu)
{
    platform_prepare();
    request.u.cpu_ol.cpuid = cpu;
    return platform_op(command);
}

/*
 * Background: Processors are started and stopped while Xen runs; number 0 always runs.
 * Provoked by: number 0 started, and stopped; one that does not exist started, and stopped.
 * Expected: 0 (-EINVAL where time is kept by processors' counters), -EOPNOTSUPP; -EINVAL.
 * Source: platform.h (XENPF_cpu_online); arch/x86/platform_hypercall.c, do_platform_op().
 */
TEST(platform_cpu_online, CONTROL, "processor 0 is online and stays so", .needs = "dom0")
{
    long rc = start_or_stop(XENPF_cpu_online, 0);

    if (rc != 0)
        CHECK_ERRNO(rc, EINVAL);
    CHECK_ERRNO(start_or_stop(XENPF_cpu_offline, 0), EOPNOTSUPP);
    CHECK_ERRNO(start_or_stop(XENPF_cpu_online, NO_CPU), EINVAL);
    CHECK_ERRNO(start_or_stop(XENPF_cpu_offline, NO_CPU), EINVAL);
    CHECK_EQ(about_cpu(0), 0);
    CHECK_EQ(request.u.pcpu_info.flags, XEN_PCPU_FLAGS_ONLINE);
}

static bool is_online(uint32_t cpu)
{
    CHECK_EQ(about_cpu(cpu), 0);
    CHECK(!(request.u.pcpu_info.flags & XEN_PCPU_FLAGS_INVALID));
    return request.u.pcpu_info.flags & XEN_PCPU_FLAGS_ONLINE;
}

/*
 * Background: A processor that is stopped stays in the machine. dom0 hears when one comes or goes.
 * Provoked by: the second processor stopped, twice, and started, twice.
 * Expected: 0 each time; it is not online in between; an event for each that changed something.
 * Source: platform.h (XENPF_cpu_offline, XENPF_cpu_online), xen.h (VIRQ_PCPU_STATE);
 * arch/x86/platform_hypercall.c, do_platform_op(); common/cpu.c.
 */
TEST(platform_cpu_offline, CONTROL, "the second processor is stopped and started again",
     .needs = "dom0 second-processor")
{
    evtchn_port_t port;

    CHECK_EQ(event_bind_virq(VIRQ_PCPU_STATE, &port), 0);
    CHECK_EQ(event_bind(port, NULL, NULL), 0);
    CHECK(is_online(SECOND_CPU));
    CHECK_EQ(start_or_stop(XENPF_cpu_offline, SECOND_CPU), 0);
    CHECK(!is_online(SECOND_CPU));
    CHECK(event_wait(port, 1, EVENT_LIMIT));
    CHECK_EQ(start_or_stop(XENPF_cpu_offline, SECOND_CPU), 0);
    CHECK_EQ(start_or_stop(XENPF_cpu_online, SECOND_CPU), 0);
    CHECK(is_online(SECOND_CPU));
    CHECK(event_wait(port, 2, EVENT_LIMIT));
    CHECK_EQ(start_or_stop(XENPF_cpu_online, SECOND_CPU), 0);
    CHECK(is_online(SECOND_CPU));
    CHECK_EQ(event_count(port), 2);
}

static long add_cpu(uint32_t apic_id, uint32_t acpi_id, uint32_t proximity)
{
    platform_prepare();
    request.u.cpu_add.apic_id = apic_id;
    request.u.cpu_add.acpi_id = acpi_id;
    request.u.cpu_add.pxm = proximity;
    return platform_op(XENPF_cpu_hotadd);
}

/*
 * Background: dom0 tells Xen of processors and memory that were put into the machine.
 * Provoked by: a processor that is there; numbers that are too large; memory of no length, and memory that
 * is there.
 * Expected: -EEXIST; -EINVAL.
 * Source: platform.h (XENPF_cpu_hotadd, XENPF_mem_hotadd); arch/x86/smpboot.c, cpu_add();
 * arch/x86/x86_64/mm.c, memory_add().
 */
TEST(platform_hotadd_refused, CONTROL, "what is in the machine already cannot be added",
     .needs = "dom0")
{
    CHECK_EQ(about_cpu(0), 0);
    uint32_t apic_id = request.u.pcpu_info.apic_id, acpi_id = request.u.pcpu_info.acpi_id;

    CHECK_ERRNO(add_cpu(apic_id, acpi_id, 0), EEXIST);
    CHECK_ERRNO(add_cpu(~0u, acpi_id, 0), EINVAL);
    CHECK_ERRNO(add_cpu(apic_id, ~0u, 0), EINVAL);
    CHECK_ERRNO(add_cpu(apic_id, acpi_id, 256), EINVAL);
    CHECK_ERRNO(platform_plain(XENPF_mem_hotadd), EINVAL);
    platform_prepare();
    request.u.mem_add.epfn = 0x200;
    CHECK_ERRNO(platform_op(XENPF_mem_hotadd), EINVAL);
}

static long park(uint32_t type, uint32_t count)
{
    platform_prepare();
    request.u.core_parking.type = type;
    request.u.core_parking.idle_nums = count;
    return platform_op(XENPF_core_parking);
}

/*
 * Background: Processors are left unused to save power.
 * Provoked by: none to be left unused; how many are; a command that does not exist.
 * Expected: 0; 0 of them; -EINVAL.
 * Source: platform.h (XENPF_core_parking); arch/x86/platform_hypercall.c, do_platform_op().
 */
TEST(platform_core_parking, CONTROL, "no processor is left unused", .needs = "dom0")
{
    CHECK_EQ(park(XEN_CORE_PARKING_SET, 0), 0);
    CHECK_EQ(park(XEN_CORE_PARKING_GET, 99), 0);
    CHECK_EQ(request.u.core_parking.idle_nums, 0);
    CHECK_ERRNO(park(XEN_CORE_PARKING_GET + 1, 0), EINVAL);
}

static uint32_t count_online(void)
{
    uint32_t count = 0, last = 0;

    for (uint32_t i = 0; i <= last; i++) {
        CHECK_EQ(about_cpu(i), 0);
        last = request.u.pcpu_info.max_present;
        count += request.u.pcpu_info.flags == XEN_PCPU_FLAGS_ONLINE;
    }
    return count;
}

/*
 * Background: See platform_core_parking; Xen chooses which processors it stops for that.
 * Provoked by: one to be left unused, more than there are, and none; how many are, and how many are online, each time.
 * Expected: 0; one, and one less is online; all but one, and one is online; none, and all are online.
 * Source: platform.h (XENPF_core_parking); common/core_parking.c, core_parking_helper().
 */
TEST(platform_core_parking_second, CONTROL, "a processor is left unused, and used again",
     .needs = "dom0 second-processor")
{
    uint32_t all = count_online();
    const uint32_t wanted[] = {1, ~0u, 0}, unused[] = {1, all - 1, 0};

    for (unsigned int i = 0; i < 3; i++) {
        CHECK_EQ(park(XEN_CORE_PARKING_SET, wanted[i]), 0);
        CHECK_EQ(park(XEN_CORE_PARKING_GET, 99), 0);
        CHECK_EQ(request.u.core_parking.idle_nums, unused[i]);
        CHECK_EQ(count_online(), all - unused[i]);
    }
}

/* ---- Registers ---- */

#define MSR_TSC 0x10
#define MSR_APIC_BASE 0x1b

static xenpf_resource_entry_t entries[4];

static long resource_op(uint32_t cpu, uint32_t count, void *list)
{
    platform_prepare();
    request.u.resource_op.nr_entries = count;
    request.u.resource_op.cpu = cpu;
    handle_set(request.u.resource_op.entries, list);
    return platform_op(XENPF_resource_op);
}

static void set_entry(unsigned int i, uint32_t command, uint64_t index, uint32_t reserved)
{
    entries[i] = (xenpf_resource_entry_t){.u.cmd = command, .idx = index, .rsvd = reserved};
}

/*
 * Background: Tools read registers of processors, some at one time, of those that Xen lets them.
 * Provoked by: no register; the time stamp, and behind it one that is not allowed; the time stamp
 * written, an unknown command and a reserved member; four registers; a processor that does not exist;
 * a list at no address.
 * Expected: 0; one done, the time, and -EPERM (-EACCES up to 4.15) in the second; none done, and
 * -EPERM, -EOPNOTSUPP and -EINVAL in the list; -EINVAL; -ENODEV; -EFAULT.
 * Source: platform.h (XENPF_resource_op); arch/x86/platform_hypercall.c, check_resource_access().
 */
TEST(platform_resource_op, CONTROL, "dom0 reads registers that it may, and is refused others",
     .needs = "dom0")
{
    int denied = RELEASE_IS_AT_LEAST(4, 16) ? -XEN_EPERM : -XEN_EACCES;

    CHECK_EQ(resource_op(0, 0, NULL), 0);
    set_entry(0, XEN_RESOURCE_OP_MSR_READ, MSR_TSC, 0);
    set_entry(1, XEN_RESOURCE_OP_MSR_READ, MSR_APIC_BASE, 0);
    CHECK_EQ(resource_op(0, 2, entries), 1);
    CHECK(entries[0].val != 0);
    CHECK_EQ((int)entries[1].u.ret, denied);
    set_entry(0, XEN_RESOURCE_OP_MSR_WRITE, MSR_TSC, 0);
    CHECK_EQ(resource_op(0, 1, entries), 0);
    CHECK_EQ((int)entries[0].u.ret, -XEN_EPERM);
    set_entry(0, XEN_RESOURCE_OP_MSR_WRITE + 1, MSR_TSC, 0);
    CHECK_EQ(resource_op(0, 1, entries), 0);
    CHECK_EQ((int)entries[0].u.ret, -XEN_EOPNOTSUPP);
    set_entry(0, XEN_RESOURCE_OP_MSR_READ, MSR_TSC, 1);
    CHECK_EQ(resource_op(0, 1, entries), 0);
    CHECK_EQ((int)entries[0].u.ret, -XEN_EINVAL);
    set_entry(0, XEN_RESOURCE_OP_MSR_READ, MSR_TSC, 0);
    CHECK_ERRNO(resource_op(0, 4, entries), EINVAL);
    CHECK_ERRNO(resource_op(NO_CPU, 1, entries), ENODEV);
    CHECK_ERRNO(resource_op(0, 1, nowhere()), EFAULT);
}

/* ---- Microcode ---- */

static uint8_t none[256];

/*
 * Background: Microcode has a form that its maker gives it.
 * Provoked by: zeros; since 4.20, unknown flags with the newer command, and zeros again.
 * Expected: -EINVAL, also where Xen can load none into this processor.
 * Source: platform.h (XENPF_microcode_update); arch/x86/cpu/microcode/core.c, microcode_update().
 */
TEST(platform_microcode_refused, CONTROL, "what is no microcode is refused with EINVAL",
     .needs = "dom0")
{
    platform_prepare();
    handle_set(request.u.microcode.data, none);
    request.u.microcode.length = sizeof(none);
    CHECK_ERRNO(platform_op(XENPF_microcode_update), EINVAL);
#ifdef XENPF_microcode_update2
    platform_prepare();
    handle_set(request.u.microcode2.data, none);
    request.u.microcode2.length = sizeof(none);
    CHECK_ERRNO(platform_op(XENPF_microcode_update2), EINVAL);
    request.u.microcode2.flags = ~0u;
    CHECK_ERRNO(platform_op(XENPF_microcode_update2), EINVAL);
#endif
}

#ifdef XENPF_get_ucode_revision
/*
 * Background: dom0 asks before it loads any.
 * Provoked by: the revision of processor 0; of one that does not exist.
 * Expected: 0; -ENOENT.
 * Source: platform.h (XENPF_get_ucode_revision); arch/x86/platform_hypercall.c, do_platform_op().
 */
TEST(platform_ucode_revision, CONTROL, "dom0 is told which microcode a processor has",
     .needs = "dom0")
{
    CHECK_EQ(platform_plain(XENPF_get_ucode_revision), 0);
    platform_prepare();
    request.u.ucode_revision.cpu = NO_CPU;
    CHECK_ERRNO(platform_op(XENPF_get_ucode_revision), ENOENT);
}
#endif

/* ---- Power ---- */

/*
 * Background: Long ago dom0 chose the speed of processors; it still may if Xen's command line says so.
 * Provoked by: a speed; the idle times that the choice needs.
 * Expected: -ENOSYS, since here it does not.
 * Source: platform.h (XENPF_change_freq, XENPF_getidletime); arch/x86/platform_hypercall.c.
 */
TEST(platform_speed_is_xens, CONTROL, "dom0 does not choose the speed of processors: ENOSYS",
     .needs = "dom0")
{
    CHECK_ERRNO(platform_plain(XENPF_change_freq), ENOSYS);
    CHECK_ERRNO(platform_plain(XENPF_getidletime), ENOSYS);
}

static long power_info(uint32_t type, uint32_t id)
{
    request.u.set_pminfo.type = type;
    request.u.set_pminfo.id = id;
    return platform_op(XENPF_set_processor_pminfo);
}

/*
 * Background: ACPI asks the kernel what it can do about power (_PDC), and Xen corrects the answer. What
 * ACPI then says of each processor is told to Xen.
 * Provoked by: an answer of one word for any processor, for processor 0 by its number in ACPI, and for one that does not
 * exist; one of another revision; of no words; at no address; the speeds of a processor that does not exist; throttling; a
 * kind that does not exist.
 * Expected: 0, 0, -EINVAL; -EINVAL; -EINVAL; -EFAULT; -EINVAL, or -ENOSYS where Xen does not control the speed; -ENOSYS;
 * -EINVAL.
 * Source: platform.h (XENPF_set_processor_pminfo); drivers/cpufreq/cpufreq.c;
 * arch/x86/acpi/lib.c, arch_acpi_set_pdc_bits().
 */
TEST(platform_pminfo, CONTROL, "dom0 has Xen correct what it says about power", .needs = "dom0")
{
    uint32_t bits[] = {1, 1, 0};
    long rc;

    CHECK_EQ(about_cpu(0), 0);
    uint32_t acpi_id = request.u.pcpu_info.acpi_id;

    platform_prepare();
    handle_set(request.u.set_pminfo.u.pdc, bits);
    CHECK_EQ(power_info(XEN_PM_PDC, ~0u), 0);
    CHECK_EQ(power_info(XEN_PM_PDC, acpi_id), 0);
    CHECK_ERRNO(power_info(XEN_PM_PDC, NO_CPU), EINVAL);
    bits[0] = 2;
    CHECK_ERRNO(power_info(XEN_PM_PDC, ~0u), EINVAL);
    bits[0] = 1;
    bits[1] = 0;
    CHECK_ERRNO(power_info(XEN_PM_PDC, ~0u), EINVAL);
    handle_set(request.u.set_pminfo.u.pdc, nowhere());
    CHECK_ERRNO(power_info(XEN_PM_PDC, ~0u), EFAULT);
    platform_prepare();
    rc = power_info(XEN_PM_PX, NO_CPU);
    if (rc != -XEN_ENOSYS)
        CHECK_ERRNO(rc, EINVAL);
    CHECK_ERRNO(power_info(XEN_PM_TX, 0), ENOSYS);
    CHECK_ERRNO(power_info(99, 0), EINVAL);
}
