/*
 * physdev_op: what start-up on x86 needs of it, the right to use I/O ports.
 */
#include <fault.h>

#include "physdev_request.h"

/* The port that firmware writes its progress to; reading it has no effect. */
#define HARMLESS_PORT 0x80

static long set_iopl(unsigned int level)
{
    struct physdev_set_iopl iopl = {.iopl = level};

    return physdev_op(PHYSDEVOP_set_iopl, &iopl);
}

static void read_port(void *unused)
{
    uint8_t value;

    (void)unused;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"((uint16_t)HARMLESS_PORT));
}

/*
 * Background: A PV kernel runs without the processor's privileges; whether it may use I/O ports is
 * up to Xen.
 * Provoked by: a port read with level 0 and with level 1; a level that does not exist; an argument
 * at no address.
 * Expected: #GP; no fault; -EINVAL; -EFAULT.
 * Source: physdev.h (PHYSDEVOP_set_iopl); arch/x86/physdev.c; arch/x86/pv/emul-priv-op.c.
 */
TEST(pv_set_iopl, ENTER, "a PV dom0 may use I/O ports once it says so", .needs = "pv dom0")
{
    struct fault fault = {.text = ""};

    CHECK_EQ(set_iopl(0), 0);
    CHECK(fault_expected(read_port, NULL, &fault));
    CHECK(strcmp(fault.text, "#GP") == 0);
    CHECK_EQ(set_iopl(1), 0);
    CHECK(!fault_expected(read_port, NULL, NULL));
    CHECK_ERRNO(set_iopl(4), EINVAL);
    CHECK_ERRNO(physdev_op(PHYSDEVOP_set_iopl, arch_unmapped_pointer()), EFAULT);
    CHECK_EQ(set_iopl(0), 0);
}

static long set_bitmap(const void *bitmap, uint32_t ports)
{
    struct physdev_set_iobitmap set = {.nr_ports = ports};

    handle_set(set.bitmap, bitmap);
    return physdev_op(PHYSDEVOP_set_iobitmap, &set);
}

/*
 * Background: Below its level a guest reaches the ports that a bitmap opens; a clear bit is open.
 * Provoked by: a port read with a bitmap that has the port closed, that has it open, and that ends before it;
 * a bitmap of more ports than there are; one in Xen's memory; an argument at no address.
 * Expected: #GP; no fault; #GP; -EINVAL; -EINVAL; -EFAULT.
 * Source: physdev.h (PHYSDEVOP_set_iobitmap); arch/x86/pv/emul-priv-op.c, guest_io_okay().
 */
TEST(pv_set_iobitmap, ENTER, "a PV dom0 opens single I/O ports", .needs = "pv dom0")
{
    static uint8_t bitmap[32];

    memset(bitmap, 0xff, sizeof(bitmap));
    CHECK_EQ(set_iopl(0), 0);
    CHECK_EQ(set_bitmap(bitmap, 256), 0);
    CHECK(fault_expected(read_port, NULL, NULL));
    memset(bitmap, 0, sizeof(bitmap));
    CHECK(!fault_expected(read_port, NULL, NULL));
    CHECK_EQ(set_bitmap(bitmap, HARMLESS_PORT), 0);
    CHECK(fault_expected(read_port, NULL, NULL));
    CHECK_ERRNO(set_bitmap(bitmap, 65537), EINVAL);
    CHECK_ERRNO(set_bitmap((void *)0xffff830000000000, 256), EINVAL);
    CHECK_ERRNO(physdev_op(PHYSDEVOP_set_iobitmap, arch_unmapped_pointer()), EFAULT);
    CHECK_EQ(set_bitmap(NULL, 0), 0);
}

/*
 * Background: The older form of the hypercall has the command inside its argument.
 * Provoked by: level 0; a level that does not exist; a command that does not; an argument at no
 * address.
 * Expected: 0; -EINVAL; -ENOSYS; -EFAULT.
 * Source: physdev.h (struct physdev_op); arch/x86/pv/hypercall.c, do_physdev_op_compat().
 */
TEST(pv_physdev_old_form, ENTER, "the old form of physdev_op still works", .needs = "pv")
{
    struct physdev_op op = {.cmd = PHYSDEVOP_set_iopl};
    unsigned long argument = arch_guest_address(&op);
    unsigned long nowhere = arch_guest_address(arch_unmapped_pointer());

    CHECK_EQ(arch_hypercall(__HYPERVISOR_physdev_op_compat, argument, 0, 0, 0, 0), 0);
    op.u.set_iopl.iopl = 4;
    CHECK_ERRNO(arch_hypercall(__HYPERVISOR_physdev_op_compat, argument, 0, 0, 0, 0), EINVAL);
    op.cmd = NO_COMMAND;
    CHECK_ERRNO(arch_hypercall(__HYPERVISOR_physdev_op_compat, argument, 0, 0, 0, 0), ENOSYS);
    CHECK_ERRNO(arch_hypercall(__HYPERVISOR_physdev_op_compat, nowhere, 0, 0, 0, 0), EFAULT);
}

/*
 * Background: Some interrupts must be ended by hypercall, others need not.
 * Provoked by: the state of an interrupt; of one beyond all; an argument at no address.
 * Expected: 0 and the advice to end it by hypercall; -EINVAL; -EFAULT.
 * Source: physdev.h (PHYSDEVOP_irq_status_query); arch/x86/physdev.c, do_physdev_op().
 */
TEST(pv_irq_status, ENTER, "a PV guest is told how to end an interrupt", .needs = "pv")
{
    struct physdev_irq_status_query query = {.irq = 5};

    CHECK_EQ(physdev_op(PHYSDEVOP_irq_status_query, &query), 0);
    CHECK(query.flags & XENIRQSTAT_needs_eoi);
    query.irq = NO_PORT;
    CHECK_ERRNO(physdev_op(PHYSDEVOP_irq_status_query, &query), EINVAL);
    CHECK_ERRNO(physdev_op(PHYSDEVOP_irq_status_query, arch_unmapped_pointer()), EFAULT);
}

/*
 * Background: A guest with hardware virtualisation has its own interrupt controllers, and I/O ports
 * without levels. One that may take a device's interrupts as events, which a feature says, can ask about
 * them.
 * Provoked by: the same commands from a guest that has its own processor.
 * Expected: -ENOSYS; about an interrupt that is none of the guest's, -EINVAL with the feature.
 * Source: arch/x86/hvm/hypercall.c, hvm_physdev_op(); arch/x86/physdev.c, do_physdev_op().
 */
TEST(physdev_not_for_hvm, ENTER, "an HVM guest has no physdev_op for I/O ports: ENOSYS",
     .needs = "hvm")
{
    CHECK_ERRNO(set_iopl(1), ENOSYS);
    struct physdev_irq_status_query query = {.irq = 5};

    if (has_feature(XENFEAT_hvm_pirqs))
        CHECK_ERRNO(physdev_op(PHYSDEVOP_irq_status_query, &query), EINVAL);
    else
        CHECK_ERRNO(physdev_op(PHYSDEVOP_irq_status_query, &query), ENOSYS);
}
