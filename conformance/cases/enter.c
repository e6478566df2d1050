/*
 * Rung "enter": the guest runs, hypercalls go in and come back, faults reach the guest, the console
 * prints, and the start structures arrived.
 */
#include <callback.h>
#include <console.h>
#include <fault.h>
#include <fdt.h>
#include <string.h>
#include <timing.h>
#include <version.h>

#include "common.h"

#if __has_include(<arch-x86/hvm/start_info.h>)
#include <arch-x86/hvm/start_info.h>
#endif

/*
 * Background: XENVER_version takes no argument and touches no memory: it is the simplest hypercall
 * there is.
 * Provoked by: two calls.
 * Expected: the same positive number twice.
 * Source: version.h (XENVER_version); common/kernel.c, do_xen_version().
 */
TEST(hypercall_returns, ENTER, "a hypercall goes in and returns a value")
{
    long first = hypercall_xen_version(XENVER_version, NULL);

    CHECK(first > 0);
    CHECK_EQ(hypercall_xen_version(XENVER_version, NULL), first);
}

#define ONES (~0ul / 15) /* 0x1111... */

/*
 * Background: A hypercall gives the guest all registers back but the ones that the ABI lends to it.
 * A port that loses one breaks guests in places that have nothing to do with the hypercall.
 * Provoked by: more live values than there are registers, across hypercalls with and without memory
 * arguments, successful and refused.
 * Expected: all values as before. What the compiler keeps in memory is checked along with it.
 * Source: the register conventions in arch-x86/xen-x86_64.h, arch-arm.h and IBM's arch-powerpc.h.
 */
TEST(hypercall_keeps_registers, ENTER, "a hypercall keeps all registers but those the ABI lends it")
{
    static volatile unsigned long seed[12] = {
        ONES,     ONES * 2, ONES * 3, ONES * 4,  ONES * 5,  ONES * 6,
        ONES * 7, ONES * 8, ONES * 9, ONES * 10, ONES * 11, ONES * 12,
    };
    static xen_extraversion_t text;
    unsigned long a = seed[0], b = seed[1], c = seed[2], d = seed[3], e = seed[4], f = seed[5];
    unsigned long g = seed[6], h = seed[7], i = seed[8], j = seed[9], k = seed[10], l = seed[11];

    for (unsigned int round = 0; round < 8; round++) {
        arch_hypercall(__HYPERVISOR_xen_version, XENVER_version, 0, 0, 0, 0);
        CHECK(a == seed[0] && b == seed[1] && c == seed[2] && d == seed[3]);
        CHECK(e == seed[4] && f == seed[5] && g == seed[6] && h == seed[7]);
        CHECK(i == seed[8] && j == seed[9] && k == seed[10] && l == seed[11]);
        arch_hypercall(__HYPERVISOR_xen_version, XENVER_extraversion, arch_guest_address(text),
                       ~0ul, ~0ul, ~0ul);
        CHECK(a == seed[0] && b == seed[1] && c == seed[2] && d == seed[3]);
        CHECK(e == seed[4] && f == seed[5] && g == seed[6] && h == seed[7]);
        CHECK(i == seed[8] && j == seed[9] && k == seed[10] && l == seed[11]);
        arch_hypercall(__HYPERVISOR_xen_version, NO_COMMAND, ~0ul, ~0ul, ~0ul, ~0ul);
        CHECK(a == seed[0] && b == seed[1] && c == seed[2] && d == seed[3]);
        CHECK(e == seed[4] && f == seed[5] && g == seed[6] && h == seed[7]);
        CHECK(i == seed[8] && j == seed[9] && k == seed[10] && l == seed[11]);
    }
}

/*
 * Background: Guests find out what a hypervisor has by trying, so a number without a hypercall must
 * be refused in a way they recognise.
 * Provoked by: a number inside the table that no release has given out, and one beyond the table.
 * Expected: -ENOSYS for both.
 * Source: xen.h (__HYPERVISOR_*); the dispatchers in arch/{x86,arm}; IBM's hcalls.c, hcall_xen().
 */
TEST(hypercall_unknown_number, ENTER, "a number that is no hypercall is refused with ENOSYS")
{
    CHECK_ERRNO(arch_hypercall(63, 0, 0, 0, 0, 0), ENOSYS);
    CHECK_ERRNO(arch_hypercall(100, 0, 0, 0, 0, 0), ENOSYS);
}

/*
 * Background: Hypercalls that manage what only PV guests share with Xen (segments, traps, page
 * tables) do not exist for guests with hardware virtualisation, nor on Arm and PowerPC.
 * Provoked by: each of them with arguments that would be harmless.
 * Expected: -ENOSYS.
 * Source: the table in include/hypercall-defs.c; IBM's powerpc64/hypercall_table.S.
 */
TEST(hypercall_pv_only, ENTER, "hypercalls of PV guests do not exist for other guests",
     .needs = "hvm|arm|ppc")
{
    static const struct {
        unsigned int number;
        const char *name;
    } calls[] = {
        {__HYPERVISOR_set_trap_table, "set_trap_table"},
        {__HYPERVISOR_mmu_update, "mmu_update"},
        {__HYPERVISOR_set_gdt, "set_gdt"},
        {__HYPERVISOR_stack_switch, "stack_switch"},
        {__HYPERVISOR_set_callbacks, "set_callbacks"},
        {__HYPERVISOR_fpu_taskswitch, "fpu_taskswitch"},
        {__HYPERVISOR_set_debugreg, "set_debugreg"},
        {__HYPERVISOR_get_debugreg, "get_debugreg"},
        {__HYPERVISOR_update_descriptor, "update_descriptor"},
        {__HYPERVISOR_update_va_mapping, "update_va_mapping"},
        {__HYPERVISOR_update_va_mapping_otherdomain, "update_va_mapping_otherdomain"},
        {__HYPERVISOR_set_segment_base, "set_segment_base"},
        {__HYPERVISOR_callback_op, "callback_op"},
    };

    for (unsigned int i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        long rc = arch_hypercall(calls[i].number, 0, 0, 0, 0, 0);

        if (rc != -XEN_ENOSYS)
            FAIL("%s returned %ld", calls[i].name, rc);
    }
}

/*
 * Background: Xen copies arguments with checks, and answers a pointer that it cannot follow instead
 * of stopping the guest or itself.
 * Provoked by: results to be written to, and an argument to be read from, an address where nothing
 * is.
 * Expected: -EFAULT for both, and hypercalls work afterwards.
 * Source: version.h; common/kernel.c, do_xen_version(): copy_to_guest(), copy_from_guest().
 */
TEST(hypercall_bad_pointer, ENTER, "a pointer to nothing is refused with EFAULT")
{
    CHECK_ERRNO(hypercall_xen_version(XENVER_extraversion, arch_unmapped_pointer()), EFAULT);
    CHECK_ERRNO(hypercall_xen_version(XENVER_get_features, arch_unmapped_pointer()), EFAULT);
    CHECK(hypercall_xen_version(XENVER_version, NULL) > 0);
}

/*
 * Background: A PV guest shares its address space with Xen. Xen must not be talked into writing its
 * own memory.
 * Provoked by: results to be written to the start of the area that XENVER_platform_parameters
 * names.
 * Expected: -EFAULT.
 * Source: version.h (xen_platform_parameters); x86 access_ok() in asm/x86_64/uaccess.h.
 */
TEST(hypercall_pointer_into_xen, ENTER, "a pointer into Xen's own memory is refused with EFAULT",
     .needs = "pv")
{
    struct xen_platform_parameters parameters;

    CHECK_EQ(hypercall_xen_version(XENVER_platform_parameters, &parameters), 0);
    CHECK_ERRNO(hypercall_xen_version(XENVER_extraversion, (void *)parameters.virt_start), EFAULT);
}

static bool has_multicall(void)
{
    return RELEASE_IS_AT_LEAST(4, 15) || strcmp(boot_info.guest, "hvm") != 0;
}

/*
 * Background: Several hypercalls can be made in one, for the price of one.
 * Provoked by: a list of a good call, a call that does not exist, a multicall, and a good one
 * again.
 * Expected: 0 for the whole, and for each its own result: the version, -ENOSYS, -EINVAL, the
 * version. They are longs; of what is wider, 4.14 on 32-bit Arm leaves the upper half 0. HVM guests have it since 4.15; before, -ENOSYS.
 * Source: xen.h (struct multicall_entry); common/multicall.c, do_multicall(); 4.14's
 * arch/x86/hvm/hypercall.c.
 */
TEST(multicall, ENTER, "a multicall makes its calls in order, each with its own result",
     .needs = "pv|hvm|arm")
{
    long version = hypercall_xen_version(XENVER_version, NULL);
    struct multicall_entry calls[4] = {
        {.op = __HYPERVISOR_xen_version, .result = 1, .args = {XENVER_version}},
        {.op = 63, .result = 1},
        {.op = __HYPERVISOR_multicall, .result = 1, .args = {0, 0}},
        {.op = __HYPERVISOR_xen_version, .result = 1, .args = {XENVER_version}},
    };

    long rc = arch_hypercall(__HYPERVISOR_multicall, arch_guest_address(calls), 4, 0, 0, 0);
    if (!has_multicall()) {
        CHECK_ERRNO(rc, ENOSYS);
        return;
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ((long)calls[0].result, version);
    CHECK_ERRNO((long)calls[1].result, ENOSYS);
    CHECK_ERRNO((long)calls[2].result, EINVAL);
    CHECK_EQ((long)calls[3].result, version);
}

/*
 * Background: Xen copies every argument with a check, and says so when it cannot.
 * Provoked by: a list at an address where nothing is; an empty list.
 * Expected: -EFAULT; 0. For HVM guests before 4.15, -ENOSYS.
 * Source: common/multicall.c, do_multicall().
 */
TEST(multicall_bad_pointer, ENTER, "a multicall of a list at no address is refused with EFAULT",
     .needs = "pv|hvm|arm")
{
    unsigned long nowhere = arch_guest_address(arch_unmapped_pointer());
    long rc = arch_hypercall(__HYPERVISOR_multicall, nowhere, 1, 0, 0, 0);

    if (!has_multicall()) {
        CHECK_ERRNO(rc, ENOSYS);
        return;
    }
    CHECK_ERRNO(rc, EFAULT);
    CHECK_EQ(arch_hypercall(__HYPERVISOR_multicall, nowhere, 0, 0, 0, 0), 0);
}

/*
 * Background: Assists are changes of the interface that a guest has to ask for.
 * Provoked by: one that every guest may have, on and off; one that does not exist; a command that
 * does not exist.
 * Expected: 0 and 0; -EINVAL; -ENOSYS.
 * Source: xen.h (VMASST_*); common/domain.c, do_vm_assist().
 */
TEST(vm_assist, ENTER, "assists can be switched on and off, others are refused")
{
#ifdef VMASST_TYPE_runstate_update_flag
    const unsigned int type = VMASST_TYPE_runstate_update_flag;
#else
    const unsigned int type = 0;
#endif

    CHECK_EQ(arch_hypercall(__HYPERVISOR_vm_assist, VMASST_CMD_enable, type, 0, 0, 0), 0);
    CHECK_EQ(arch_hypercall(__HYPERVISOR_vm_assist, VMASST_CMD_disable, type, 0, 0, 0), 0);
    CHECK_ERRNO(arch_hypercall(__HYPERVISOR_vm_assist, VMASST_CMD_enable, 63, 0, 0, 0), EINVAL);
    CHECK_ERRNO(arch_hypercall(__HYPERVISOR_vm_assist, NO_COMMAND, type, 0, 0, 0), ENOSYS);
}

static void read_from(void *address)
{
    (void)*(volatile uint32_t *)address;
}

/*
 * Background: A fault of the guest's own making is the guest's to handle: the processor or Xen
 * delivers it to the guest's vectors.
 * Provoked by: a read of, and a write to, an address where nothing is.
 * Expected: the access does not happen, the fault names the address, and the guest goes on.
 * Source: the architecture manuals; for PV guests, xen.h (set_trap_table) and arch/x86/pv/traps.c.
 */
TEST(fault_access, ENTER, "an access to nothing faults into the guest, which goes on",
     .needs = "!unpaged")
{
    volatile uint32_t *nowhere = arch_unmapped_pointer();
    uint32_t value = 0x5a5a5a5a;

    CHECK(!fault_read(nowhere, &value));
    CHECK_EQ(value, 0x5a5a5a5a);
    CHECK(!fault_write(nowhere, 1));

    struct fault fault;
    CHECK(fault_expected(read_from, (void *)nowhere, &fault));
    CHECK_EQ(fault.kind, FAULT_ACCESS);
    CHECK_EQ(fault.address, (uintptr_t)nowhere);

    static volatile uint32_t somewhere = 7;
    CHECK(fault_read(&somewhere, &value));
    CHECK_EQ(value, 7);
    CHECK(fault_write(&somewhere, 8));
    CHECK_EQ(somewhere, 8);
}

static void run_illegal(void *returned)
{
    arch_illegal_instruction();
    *(bool *)returned = true;
}

/*
 * Background: Background as above, for an instruction instead of an address.
 * Provoked by: an instruction that the architecture keeps undefined for ever, twice.
 * Expected: a fault of that kind each time, and nothing behind the instruction is run.
 * Source: the architecture manuals (#UD; undefined instruction; program interrupt).
 */
TEST(fault_illegal_instruction, ENTER, "an undefined instruction faults into the guest, repeatedly")
{
    for (unsigned int round = 0; round < 2; round++) {
        struct fault fault;
        bool returned = false;

        CHECK(fault_expected(run_illegal, &returned, &fault));
        CHECK_EQ(fault.kind, FAULT_ILLEGAL);
        CHECK(!returned);
    }
}

/*
 * Background: The emergency console is how a guest speaks before it has drivers.
 * Provoked by: a line; no bytes at all.
 * Expected: 0 both times.
 * Source: xen.h (CONSOLEIO_write); drivers/char/console.c, do_console_io().
 */
TEST(console_write, ENTER, "CONSOLEIO_write takes a line, and nothing",
     .needs = "dom0|arm|ppc")
{
    static const char line[] = "# written by the test\n";

    CHECK_EQ(hypercall_console_io(CONSOLEIO_write, sizeof(line) - 1, line), 0);
    CHECK_EQ(hypercall_console_io(CONSOLEIO_write, 0, line), 0);
}

/*
 * Background: Longer texts than Xen's own buffer (128 bytes) are taken piece by piece, and the
 * piece in the middle is where a port goes wrong.
 * Provoked by: one line of 200 bytes.
 * Expected: 0; the runner sees the line whole, since it checks that lines are well formed.
 * Source: drivers/char/console.c, guest_console_write().
 */
TEST(console_write_long, ENTER, "CONSOLEIO_write takes a line longer than Xen's buffer",
     .needs = "dom0|arm|ppc")
{
    static char line[200];

    memset(line, '=', sizeof(line));
    line[0] = '#';
    line[1] = ' ';
    line[sizeof(line) - 1] = '\n';
    CHECK_EQ(hypercall_console_io(CONSOLEIO_write, sizeof(line), line), 0);
}

/*
 * Background: Xen copies every argument with a check, and says so when it cannot.
 * Provoked by: text at an address where nothing is.
 * Expected: -EFAULT.
 * Source: drivers/char/console.c, guest_console_write().
 */
TEST(console_write_bad_pointer, ENTER, "CONSOLEIO_write from nowhere is refused with EFAULT",
     .needs = "dom0|arm|ppc")
{
    CHECK_ERRNO(hypercall_console_io(CONSOLEIO_write, 4, arch_unmapped_pointer()), EFAULT);
}

/*
 * Background: Input is not waited for: the call returns what has been typed so far.
 * Provoked by: room for 16 bytes, and for none.
 * Expected: no more than there is room for, at once.
 * Source: xen.h (CONSOLEIO_read); drivers/char/console.c, do_console_io().
 */
TEST(console_read, ENTER, "CONSOLEIO_read returns at once with no more than it was asked for",
     .needs = "dom0|arm|ppc")
{
    static char text[16];
    long count = hypercall_console_io(CONSOLEIO_read, sizeof(text), text);

    CHECK(count >= 0 && count <= (long)sizeof(text));
    CHECK_EQ(hypercall_console_io(CONSOLEIO_read, 0, text), 0);
}

/*
 * Background: The result is a count or a negative error number, so a count that does not fit a
 * signed integer cannot be told from an error.
 * Provoked by: room for 2^31 bytes.
 * Expected: -E2BIG.
 * Source: drivers/char/console.c, do_console_io().
 */
TEST(console_read_too_big, ENTER, "CONSOLEIO_read of 2 GiB is refused with E2BIG",
     .needs = "dom0|arm")
{
    static char text[16];

    CHECK_ERRNO(hypercall_console_io(CONSOLEIO_read, 0x80000000u, text), E2BIG);
}

/*
 * Background: A caller finds out what a release has by trying, so what is not there must be refused
 * in a way it knows.
 * Provoked by: a command that console_io does not have.
 * Expected: -ENOSYS.
 * Source: drivers/char/console.c, do_console_io().
 */
TEST(console_unknown_command, ENTER, "an unknown console_io command is refused with ENOSYS",
     .needs = "dom0|arm|ppc")
{
    CHECK_ERRNO(hypercall_console_io(NO_COMMAND, 0, NULL), ENOSYS);
}

/*
 * Background: On x86 Xen's console is dom0's; a domU has a ring that it shares with its toolstack.
 * Provoked by: reading, and a command that console_io does not have.
 * Expected: -EPERM both times, before the command is looked at.
 * Source: include/xsm/dummy.h, xsm_console_io().
 */
TEST(console_refused, ENTER, "a domU on x86 is refused the console with EPERM", .needs = "pv|hvm domu")
{
    static char text[16];

    CHECK_ERRNO(hypercall_console_io(CONSOLEIO_read, sizeof(text), text), EPERM);
    CHECK_ERRNO(hypercall_console_io(NO_COMMAND, 0, NULL), EPERM);
}

/*
 * Background: A Xen that was built to debug itself lets every domain write; others keep the console for dom0.
 * Provoked by: a domU writes a line, and nothing.
 * Expected: -EPERM both times.
 * Source: include/xsm/dummy.h, xsm_console_io() (CONFIG_VERBOSE_DEBUG).
 */
TEST(console_write_refused, ENTER, "a domU on x86 is refused to write to the console: EPERM",
     .needs = "pv|hvm domu no-verbose")
{
    static const char line[] = "# written by a domain that may not\n";

    CHECK_ERRNO(hypercall_console_io(CONSOLEIO_write, sizeof(line) - 1, line), EPERM);
    CHECK_ERRNO(hypercall_console_io(CONSOLEIO_write, 0, line), EPERM);
}

/*
 * Background: The command line comes by way of start_info, hvm_start_info or the device tree.
 * Provoked by: nothing; the kernel looks at what it was given.
 * Expected: printable text. A runner that chooses tests does it here, so it is there whenever this
 * test was chosen; a kernel that was started by hand may have none.
 * Source: xen.h (start_info.cmd_line); arch-x86/hvm/start_info.h (cmdline_paddr); the device tree
 * bindings (/chosen/bootargs).
 */
TEST(start_command_line, ENTER, "the command line reaches the kernel")
{
    const char *text = boot_info.command_line;
    size_t size = strnlen(text, 4096);

    CHECK(size < 4096);
    for (size_t i = 0; i < size; i++)
        CHECK(text[i] >= ' ' && text[i] <= '~');
    if (size == 0)
        SKIP("started without a command line");
}

/*
 * Background: A PV guest finds all it has in start_info.
 * Provoked by: nothing; the kernel looks at what it was given.
 * Expected: the magic of a PV guest, memory, the place of shared_info, and the first page tables.
 * Source: xen.h (start_info); arch/x86/pv/dom0_build.c, dom0_construct_pv().
 */
TEST(start_info_pv, ENTER, "start_info of a PV guest is filled in", .needs = "pv")
{
#ifdef XEN_HAVE_PV_GUEST_ENTRY
    const struct start_info *start = boot_info.start_info;

    CHECK(start != NULL);
    CHECK(starts_with(start->magic, "xen-"));
    CHECK(start->nr_pages > 0);
    CHECK(start->shared_info != 0);
    CHECK_EQ(start->shared_info % PAGE_BYTES, 0);
    CHECK(start->pt_base != 0);
    CHECK(start->nr_pt_frames > 0);
    CHECK(start->mfn_list != 0);
#endif
}

/*
 * Background: The control domain is told what it is.
 * Provoked by: nothing; the kernel looks at what it was given.
 * Expected: SIF_INITDOMAIN and SIF_PRIVILEGED.
 * Source: xen.h (SIF_*); arch/x86/pv/dom0_build.c, dom0_construct_pv().
 */
TEST(start_info_pv_dom0, ENTER, "start_info tells dom0 that it is dom0", .needs = "pv dom0")
{
#ifdef XEN_HAVE_PV_GUEST_ENTRY
    CHECK(boot_info.start_info != NULL);
    CHECK(boot_info.start_info->flags & SIF_INITDOMAIN);
    CHECK(boot_info.start_info->flags & SIF_PRIVILEGED);
#endif
}

/*
 * Background: A PVH guest is handed a structure in its memory, which starts with a magic number.
 * Provoked by: nothing; the kernel looks at what it was given.
 * Expected: the magic, and a map of its memory in structures that have one.
 * Source: arch-x86/hvm/start_info.h; arch/x86/hvm/dom0_build.c, pvh_load_kernel().
 */
TEST(start_info_hvm, ENTER, "hvm_start_info of a PVH guest is filled in", .needs = "hvm")
{
#ifdef XEN_HVM_START_MAGIC_VALUE
    CHECK(boot_info.hvm_start_info != NULL);
    CHECK_EQ(boot_info.hvm_start_info->magic, XEN_HVM_START_MAGIC_VALUE);
    if (boot_info.hvm_start_info->version > 0 && boot_info.hvm_start_info->memmap_entries > 0)
        CHECK(boot_info.hvm_start_info->memmap_paddr != 0);
#endif
}

/*
 * Background: dom0 finds the machine by its ACPI tables; other guests may do without.
 * Provoked by: nothing; the kernel looks at what it was given.
 * Expected: the address of the tables' root.
 * Source: arch-x86/hvm/start_info.h; arch/x86/hvm/dom0_build.c, pvh_setup_acpi().
 */
TEST(start_info_hvm_dom0, ENTER, "hvm_start_info leads a PVH dom0 to ACPI tables", .needs = "hvm dom0")
{
#ifdef XEN_HVM_START_MAGIC_VALUE
    CHECK(boot_info.hvm_start_info->rsdp_paddr != 0);
#endif
}

/*
 * Background: Arm and PowerPC guests are described by a device tree, which says that the hypervisor
 * is Xen.
 * Provoked by: nothing; the kernel looks at what it was given.
 * Expected: a tree with /hypervisor (Arm) or /xen (PowerPC) compatible with Xen.
 * Source: docs/misc/arm/device-tree/guest.txt; arch/arm/domain_build.c, make_hypervisor_node();
 * IBM's arch/powerpc/of-devtree.c.
 */
TEST(start_device_tree, ENTER, "the device tree says that the hypervisor is Xen",
     .needs = "arm|ppc")
{
    CHECK(boot_info.fdt != NULL);
    CHECK(fdt_valid(boot_info.fdt));

    fdt_node_t node = fdt_find(boot_info.fdt, "/hypervisor");
    if (node == FDT_NONE)
        node = fdt_find(boot_info.fdt, "/xen");
    CHECK(node != FDT_NONE);

    const char *compatible = fdt_string(boot_info.fdt, node, "compatible");
    CHECK(compatible != NULL);
    CHECK(starts_with(compatible, "xen,xen") || starts_with(compatible, "Xen-"));
}
