/*
 * How a guest of IBM's port calls the hypervisor: registers, marked numbers, and what it finds at its
 * entry.
 */
#include <fdt.h>
#include <string.h>

#include <boot.h>
#include <hypercall.h>
#include <test.h>

#define PAGE_BYTES 4096u

/* Little-endian guests are entered as such. */
#define ENTRY_MSR (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)

/* All registers of a call; r1 and r2 have no part in it. */
struct ppc_registers {
    unsigned long general[32];
    unsigned long lr, ctr, xer, cr;
};

/* Makes the call in r3 of the first set; the second one has the registers after it. */
void ppc_call_with(struct ppc_registers set[2]);

/*
 * Background: Xen saves a guest's registers where it is entered and loads them where it is left; only
 * the result in r3, and SRR0 and SRR1, which the call itself goes through, are lost.
 * Provoked by: XENVER_version with a value of its own in each register.
 * Expected: r3 is the version, everything else is as before.
 * Source: IBM's powerpc64/exceptions.S, EXCEPTION_SAVE_STATE and FAST_RESUME.
 */
TEST(ppc_hypercall_keeps_all_registers, ENTER, "a hypercall keeps every register but r3",
     .needs = "ppc")
{
    static struct ppc_registers set[2];
    struct ppc_registers *before = &set[0], *after = &set[1];

    for (unsigned int i = 0; i < 32; i++)
        before->general[i] = 0x0101010101010101ul * (i + 1);
    before->general[3] = __HYPERVISOR_xen_version | ARCH_XEN_MARK;
    before->general[4] = XENVER_version;
    before->lr = 0x123456789abcdef0;
    before->ctr = 0xfedcba9876543210;
    before->xer = 0xa0000000;
    before->cr = 0x12345678;
    ppc_call_with(set);

    for (unsigned int i = 0; i < 32; i++) {
        if (i >= 1 && i <= 3)
            continue;
        if (after->general[i] != before->general[i])
            FAIL("r%u is 0x%lx, and was 0x%lx", i, after->general[i], before->general[i]);
    }
    CHECK_EQ(after->general[3], hypercall_xen_version(XENVER_version, NULL));
    CHECK_EQ(after->lr, before->lr);
    CHECK_EQ(after->ctr, before->ctr);
    CHECK_EQ(after->xer, before->xer);
    CHECK_EQ(after->cr, before->cr);
}

/* sc 1 with a bare number. */
static long call_unmarked(unsigned long number)
{
    register unsigned long r3 __asm__("r3") = number;

    __asm__ volatile("sc 1"
                     : "+r"(r3)
                     :
                     : "memory", "r0", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12",
                       "ctr", "xer", "cr0", "cr1", "cr5", "cr6", "cr7");
    return (long)r3;
}

#define H_PARAMETER (-4)

/*
 * Background: Xen shares its instruction with the hypervisor calls of the PAPR platform, whose numbers
 * are small multiples of 4. Ones in all bits from 16 up make a number Xen's.
 * Provoked by: numbers that PAPR cannot have: no multiple of 4, too large, and one of Xen's with a bit
 * of the mark missing.
 * Expected: H_Parameter, which is PAPR's -4 and not an error number of Xen's.
 * Source: IBM's hcalls.c, do_hcall() and hcall_papr().
 */
TEST(ppc_papr_calls_are_not_xens, ENTER, "unmarked numbers are PAPR's, and unknown ones H_Parameter",
     .needs = "ppc")
{
    CHECK_EQ(call_unmarked(1), H_PARAMETER);
    CHECK_EQ(call_unmarked(0x7ffffffc), H_PARAMETER);
    CHECK_EQ(call_unmarked((__HYPERVISOR_xen_version | ARCH_XEN_MARK) ^ 1ul << 63), H_PARAMETER);
}

/*
 * Background: Xen's first scheduler hypercall, number 6, takes its argument by value; PowerPC never had
 * guests that know it.
 * Provoked by: number 6 with a command that only the new one has, once with an argument where nothing
 * is.
 * Expected: it is the same hypercall as number 29: 0 at once for a deadline that is past, and -EFAULT.
 * Source: IBM's powerpc64/hypercall_table.S.
 */
TEST(ppc_sched_op_has_two_numbers, ENTER, "hypercall 6 is sched_op, like 29", .needs = "ppc")
{
    struct sched_poll poll = {.nr_ports = 0, .timeout = 1};

    CHECK_EQ(arch_hypercall(6, SCHEDOP_poll, arch_guest_address(&poll), 0, 0, 0), 0);
    CHECK_ERRNO(arch_hypercall(6, SCHEDOP_poll, arch_guest_address(arch_unmapped_pointer()), 0, 0, 0),
                EFAULT);
}

/*
 * Provoked by: the registers at entry, which head.S has kept.
 * Expected: 32-bit mode and real mode with interrupts off (an MSR of 0, but for the byte order of releases
 * that IBM's port did not see), the address of the kernel in r4, which is 0 as it was linked there, and no
 * Open Firmware in r5.
 * Source: IBM's libxc, xc_dom_powerpc.c, vcpu().
 */
TEST(ppc_entry_state, ENTER, "a domU is entered with MSR 0, r4 its address, r5 0", .needs = "ppc domu")
{
    CHECK_EQ(arch_entry.msr, ENTRY_MSR);
    CHECK_EQ(arch_entry.r4, 0);
    CHECK_EQ(arch_entry.r5, 0);
}

/*
 * Background: this port has no start_info page; its content is in the device tree.
 * Provoked by: reading the tree that r3 pointed to at entry.
 * Expected: the memory that starts at 0 holds shared_info, the console's page and the store's, whole
 * and apart; the console is the one for output, and events are /xen's to give.
 * Source: IBM's libxc, powerpc64/mk_flatdevtree.c, make_devtree().
 */
TEST(ppc_device_tree, ENTER, "the device tree has what start_info has elsewhere", .needs = "ppc domu")
{
    const void *fdt = boot_info.fdt;
    CHECK(fdt != NULL);
    uint64_t memory = fdt_number(fdt, fdt_find(fdt, "/memory@0"), "reg", 1, 2, 0);
    uint64_t shared = fdt_number(fdt, fdt_find(fdt, "/xen"), "shared-info", 0, 2, 0);
    uint64_t console = fdt_number(fdt, fdt_find(fdt, "/xen/console"), "reg", 0, 2, 0);
    uint64_t store = fdt_number(fdt, fdt_find(fdt, "/xen/store"), "reg", 0, 2, 0);

    CHECK(memory != 0);
    CHECK(shared % PAGE_BYTES == 0 && shared != 0 && shared <= memory - PAGE_BYTES);
    CHECK(console % PAGE_BYTES == 0 && console != 0 && console <= memory - PAGE_BYTES);
    CHECK(store % PAGE_BYTES == 0 && store != 0 && store <= memory - PAGE_BYTES);
    CHECK(shared != console && console != store && store != shared);

    const char *output = fdt_string(fdt, fdt_find(fdt, "/chosen"), "linux,stdout-path");
    CHECK(output && strcmp(output, "/xen/console") == 0);
    CHECK_EQ(fdt_number(fdt, fdt_find(fdt, "/chosen"), "interrupt-controller", 0, 1, 1000),
             fdt_number(fdt, fdt_find(fdt, "/xen"), "linux,phandle", 0, 1, 2000));
}
