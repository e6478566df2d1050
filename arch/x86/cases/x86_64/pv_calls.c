/*
 * Rung "enter" of PV guests on x86: what such a guest sets up by hypercall because it has no
 * processor of its own: traps, callbacks, descriptors, segment bases, debug registers.
 */
#include <callback.h>
#include <event_channel.h>
#include <fault.h>
#include <features.h>
#include <nmi.h>
#include <sched.h>
#include <string.h>
#include <vcpu.h>
#include <version.h>

#include "common.h"
#include "x86.h"

/* An address that the processor cannot have: bits 63 to 47 differ. */
#define NOT_CANONICAL 0x0000800000000000ul

/* An address that no page table is for. Not NULL, which asks set_trap_table for something else. */
#define NOWHERE 0x0000700000000000ul

static long sent;                  /* the result of the latest NMI that did not arrive */

static void send_nmi(void *unused)
{
    (void)unused;
    sent = 1;
    sent = hypercall_vcpu_op(VCPUOP_send_nmi, 0, NULL);
    hypercall_sched_op(SCHEDOP_yield, NULL);
}

static bool nmi_arrives(void)
{
    struct fault fault = {.text = ""};

    return fault_expected(send_nmi, NULL, &fault) && strcmp(fault.text, "NMI") == 0;
}

static bool events_arrive(void)
{
    evtchn_port_t port = 0;

    return event_bind_ipi(&port) == 0 && event_bind(port, NULL, NULL) == 0 &&
           event_send(port) == 0 && event_count(port) == 1;
}

static void breakpoint(void *unused)
{
    (void)unused;
    __asm__ volatile("int3");
}

/*
 * Background: A PV guest has no interrupt descriptor table; it gives Xen a list of its handlers.
 * Provoked by: the handler of breakpoints replaced by the one of overflows, and put back; a handler
 * at an address that cannot be; a list at no address.
 * Expected: breakpoints arrive as what was asked for, others stay as they were; -EINVAL; -EFAULT.
 * Source: xen.h (__HYPERVISOR_set_trap_table); arch/x86/pv/traps.c, do_set_trap_table().
 */
TEST(pv_set_trap_table, ENTER, "traps arrive where the trap table says", .needs = "pv")
{
    unsigned long overflow = (unsigned long)exception_entries[4];
    struct trap_info traps[2] = {
        {.vector = 3, .flags = 3, .cs = FLAT_KERNEL_CS, .address = overflow},
    };
    struct fault fault = {.text = ""};

    CHECK_EQ(arch_hypercall(__HYPERVISOR_set_trap_table, arch_guest_address(traps), 0, 0, 0, 0), 0);
    CHECK(fault_expected(breakpoint, NULL, &fault));
    traps[0].address = (unsigned long)exception_entries[3];
    CHECK_EQ(arch_hypercall(__HYPERVISOR_set_trap_table, arch_guest_address(traps), 0, 0, 0, 0), 0);
    CHECK(strcmp(fault.text, "#OF") == 0);
    CHECK(fault_expected(breakpoint, NULL, &fault));
    CHECK(strcmp(fault.text, "#BP") == 0);
    CHECK(!fault_read(arch_unmapped_pointer(), NULL));

    traps[0].address = NOT_CANONICAL;
    CHECK_ERRNO(arch_hypercall(__HYPERVISOR_set_trap_table, arch_guest_address(traps), 0, 0, 0, 0),
                EINVAL);
    CHECK_ERRNO(arch_hypercall(__HYPERVISOR_set_trap_table, NOWHERE, 0, 0, 0, 0), EFAULT);
}

/*
 * Background: Events and failures to load a segment call the guest at addresses that it sets.
 * Provoked by: the callbacks set again, the one for events to an address that cannot be.
 * Expected: 0, and that one stays as it was: events arrive.
 * Source: xen.h (__HYPERVISOR_set_callbacks); arch/x86/pv/callback.c, do_set_callbacks().
 */
TEST(pv_set_callbacks, ENTER, "set_callbacks leaves out an address that cannot be", .needs = "pv")
{
    CHECK_EQ(arch_hypercall(__HYPERVISOR_set_callbacks, (unsigned long)pv_event,
                            (unsigned long)pv_failsafe, 0, 0, 0),
             0);
    CHECK(events_arrive());
    CHECK_EQ(arch_hypercall(__HYPERVISOR_set_callbacks, NOT_CANONICAL,
                            (unsigned long)pv_failsafe, 0, 0, 0),
             0);
    CHECK(events_arrive());
}

static long callback_register(uint16_t type, unsigned long address)
{
    struct callback_register callback = {.type = type, .address = address};

    return arch_hypercall(__HYPERVISOR_callback_op, CALLBACKOP_register,
                          arch_guest_address(&callback), 0, 0, 0);
}

static long callback_unregister(uint16_t type)
{
    struct callback_unregister callback = {.type = type};

    return arch_hypercall(__HYPERVISOR_callback_op, CALLBACKOP_unregister,
                          arch_guest_address(&callback), 0, 0, 0);
}

/*
 * Background: The newer way to set callbacks, one at a time.
 * Provoked by: the callback for events set again; the one for NMIs taken away and set; addresses
 * and kinds that cannot be; kinds that cannot be taken away; a command that does not exist.
 * Expected: 0, and events and NMIs arrive; -EINVAL and -ENOSYS; -EINVAL and -ENOSYS; -ENOSYS.
 * Source: callback.h; arch/x86/pv/callback.c, do_callback_op().
 */
TEST(pv_callback_op, ENTER, "callbacks are set one at a time by callback_op", .needs = "pv")
{
    CHECK_EQ(callback_register(CALLBACKTYPE_event, (unsigned long)pv_event), 0);
    CHECK(events_arrive());
    CHECK_EQ(callback_unregister(CALLBACKTYPE_nmi), 0);
    CHECK_EQ(callback_register(CALLBACKTYPE_nmi, (unsigned long)exception_entries[2]), 0);
    CHECK(nmi_arrives());

    CHECK_ERRNO(callback_register(CALLBACKTYPE_event, NOT_CANONICAL), EINVAL);
    CHECK_ERRNO(callback_register(99, 0), ENOSYS);
    CHECK_ERRNO(callback_unregister(CALLBACKTYPE_event), EINVAL);
    CHECK_ERRNO(callback_unregister(99), ENOSYS);
    CHECK_ERRNO(arch_hypercall(__HYPERVISOR_callback_op, CALLBACKOP_register, NOWHERE, 0, 0, 0),
                EFAULT);
    CHECK_ERRNO(arch_hypercall(__HYPERVISOR_callback_op, CALLBACKOP_unregister, NOWHERE, 0, 0, 0),
                EFAULT);
    CHECK_ERRNO(arch_hypercall(__HYPERVISOR_callback_op, NO_COMMAND, 0, 0, 0, 0), ENOSYS);
    CHECK(events_arrive());
}

static long nmi_op(unsigned int command, unsigned long address)
{
    struct xennmi_callback callback = {.handler_address = address};

    return arch_hypercall(__HYPERVISOR_nmi_op, command, arch_guest_address(&callback), 0, 0, 0);
}

/*
 * Background: The older way to set the callback for NMIs.
 * Provoked by: it taken away, and an NMI; it set again, and another; an address that cannot be; a
 * command that does not exist.
 * Expected: 0, and the NMI is lost; 0, and it arrives; -EINVAL; -ENOSYS.
 * Source: nmi.h; arch/x86/pv/callback.c, do_nmi_op().
 */
TEST(pv_nmi_op, ENTER, "the callback for NMIs is set by nmi_op too", .needs = "pv")
{
    CHECK_EQ(nmi_op(XENNMI_unregister_callback, 0), 0);
    CHECK(!nmi_arrives());
    CHECK_EQ(sent, 0);
    CHECK_EQ(nmi_op(XENNMI_register_callback, (unsigned long)exception_entries[2]), 0);
    CHECK(nmi_arrives());
    CHECK_ERRNO(nmi_op(XENNMI_register_callback, NOT_CANONICAL), EINVAL);
    CHECK_ERRNO(arch_hypercall(__HYPERVISOR_nmi_op, XENNMI_register_callback, NOWHERE, 0, 0, 0),
                EFAULT);
    CHECK_ERRNO(nmi_op(NO_COMMAND, 0), ENOSYS);
}

/*
 * Background: The stack is for traps out of user mode, which this kernel has none of.
 * Provoked by: a stack.
 * Expected: 0.
 * Source: xen.h (__HYPERVISOR_stack_switch); arch/x86/pv/misc-hypercalls.c.
 */
TEST(pv_stack_switch, ENTER, "the stack for traps out of user mode can be set", .needs = "pv")
{
    unsigned long here, stack = (unsigned long)&here;

    CHECK_EQ(arch_hypercall(__HYPERVISOR_stack_switch, FLAT_KERNEL_SS, stack, 0, 0, 0), 0);
}

static void use_fpu(void *unused)
{
    (void)unused;
    __asm__ volatile("fninit");
}

/*
 * Background: A guest that saves the floating-point registers only when it must asks for a trap on
 * their next use.
 * Provoked by: a floating-point instruction after the request, after the trap, and after the
 * request was taken back.
 * Expected: #NM for the first one only.
 * Source: xen.h (__HYPERVISOR_fpu_taskswitch); arch/x86/pv/traps.c, do_device_not_available().
 */
TEST(pv_fpu_taskswitch, ENTER, "the next use of the FPU traps if asked for", .needs = "pv")
{
    struct fault fault = {.text = ""};

    CHECK_EQ(arch_hypercall(__HYPERVISOR_fpu_taskswitch, 1, 0, 0, 0, 0), 0);
    CHECK(fault_expected(use_fpu, NULL, &fault));
    CHECK(strcmp(fault.text, "#NM") == 0);
    CHECK(!fault_expected(use_fpu, NULL, NULL));
    CHECK_EQ(arch_hypercall(__HYPERVISOR_fpu_taskswitch, 1, 0, 0, 0, 0), 0);
    CHECK_EQ(arch_hypercall(__HYPERVISOR_fpu_taskswitch, 0, 0, 0, 0, 0), 0);
    CHECK(!fault_expected(use_fpu, NULL, NULL));
}

static long set_debug(int reg, unsigned long value)
{
    return arch_hypercall(__HYPERVISOR_set_debugreg, (unsigned long)reg, value, 0, 0, 0);
}

static long get_debug(int reg)
{
    return arch_hypercall(__HYPERVISOR_get_debugreg, (unsigned long)reg, 0, 0, 0, 0);
}

/*
 * Background: Debug registers are the processor's; Xen keeps a guest from watching Xen with them.
 * Provoked by: each address register written and read; an address in Xen; upper bits and the guard
 * bit of the control register; a register that does not exist.
 * Expected: what was written; -EPERM; -EINVAL and -EPERM; -ENODEV.
 * Source: xen.h (__HYPERVISOR_set_debugreg); arch/x86/pv/misc-hypercalls.c, set_debugreg().
 */
TEST(pv_debug_registers, ENTER, "debug registers keep what is harmless", .needs = "pv")
{
    for (int reg = 0; reg < 4; reg++) {
        CHECK_EQ(set_debug(reg, 0x200000 + (unsigned long)reg), 0);
        CHECK_EQ(get_debug(reg), 0x200000 + reg);
        CHECK_EQ(set_debug(reg, 0), 0);
    }
    CHECK_ERRNO(set_debug(0, 0xffff800000000000), EPERM);
    CHECK_ERRNO(set_debug(7, 1ul << 32), EINVAL);
    CHECK_ERRNO(set_debug(6, 1ul << 32), EINVAL);
    CHECK_ERRNO(set_debug(7, 1ul << 13), EPERM);
    CHECK_ERRNO(set_debug(8, 0), ENODEV);
    CHECK_ERRNO(get_debug(8), ENODEV);
}

static long set_gdt(unsigned long *frames, unsigned int entries)
{
    return arch_hypercall(__HYPERVISOR_set_gdt, arch_guest_address(frames), entries, 0, 0, 0);
}

static uint64_t descriptors[PAGE_SIZE / 8] __attribute__((aligned(PAGE_SIZE)));

#define CODE_OF_USERS 0x00affb000000ffffull    /* 64-bit code, privilege level 3 */
#define TASK_STATE 0x0000890000000067ull       /* a system descriptor, which guests may not have */

static long update_descriptor(unsigned long address, uint64_t value)
{
    return arch_hypercall(__HYPERVISOR_update_descriptor, address, value, 0, 0, 0);
}

/*
 * Background: Xen checks descriptors before the processor sees them.
 * Provoked by: a descriptor written through Xen; a system descriptor; one that is not aligned; one
 * in a frame that is not the guest's.
 * Expected: the descriptor is there; -EINVAL for the others.
 * Source: xen.h (__HYPERVISOR_update_descriptor); arch/x86/pv/descriptor-tables.c.
 */
TEST(pv_update_descriptor, ENTER, "harmless descriptors are written, others refused", .needs = "pv")
{
    unsigned long address = arch_frame(descriptors) * PAGE_SIZE;
    volatile uint64_t *third = &descriptors[3];

    *third = 0;
    CHECK_EQ(update_descriptor(address + 24, CODE_OF_USERS), 0);
    CHECK_EQ(*third, CODE_OF_USERS);
    CHECK_ERRNO(update_descriptor(address + 24, TASK_STATE), EINVAL);
    CHECK_ERRNO(update_descriptor(address + 20, CODE_OF_USERS), EINVAL);
    CHECK_ERRNO(update_descriptor(~0ul >> 16 & ~7ul, CODE_OF_USERS), EINVAL);
    CHECK_EQ(*third, CODE_OF_USERS);
    *third = 0;
}

/*
 * Background: The pages of a descriptor table belong to Xen while it is in use.
 * Provoked by: a table that the guest could still write to; one that it can only read; none; more
 * entries than there may be; a frame that is not the guest's; a list at no address.
 * Expected: -EINVAL; 0, and the page cannot be mapped writable (-EBUSY); 0, and it can; -EINVAL;
 * -EINVAL; -EFAULT.
 * Source: xen.h (__HYPERVISOR_set_gdt); arch/x86/pv/descriptor-tables.c, do_set_gdt().
 */
TEST(pv_set_gdt, ENTER, "a descriptor table must not be writable to the guest", .needs = "pv")
{
    unsigned long frame = arch_frame(descriptors), none = ~0ul >> 28;
    unsigned long read_only = frame * PAGE_SIZE | (PTE_DATA & ~0x2ul);
    unsigned long writable = frame * PAGE_SIZE | PTE_DATA;

    memset(descriptors, 0, sizeof(descriptors));
    CHECK_ERRNO(set_gdt(&frame, 2), EINVAL);
    CHECK_EQ(arch_hypercall(__HYPERVISOR_update_va_mapping, (unsigned long)descriptors, read_only,
                            UVMF_INVLPG, 0, 0),
             0);
    CHECK_EQ(set_gdt(&frame, 2), 0);
    CHECK_ERRNO(arch_hypercall(__HYPERVISOR_update_va_mapping, (unsigned long)descriptors, writable,
                               UVMF_INVLPG, 0, 0),
                EBUSY);
    CHECK_EQ(set_gdt(&frame, 0), 0);
    CHECK_EQ(arch_hypercall(__HYPERVISOR_update_va_mapping, (unsigned long)descriptors, writable,
                            UVMF_INVLPG, 0, 0),
             0);
    CHECK_ERRNO(set_gdt(&frame, FIRST_RESERVED_GDT_ENTRY + 1), EINVAL);
    CHECK_ERRNO(set_gdt(&none, 2), EINVAL);
    CHECK_ERRNO(arch_hypercall(__HYPERVISOR_set_gdt, NOWHERE, 2, 0, 0, 0), EFAULT);
}

static long set_segment_base(unsigned int which, unsigned long base)
{
    return arch_hypercall(__HYPERVISOR_set_segment_base, which, base, 0, 0, 0);
}

/*
 * Background: A PV kernel may not write the registers of segment bases itself.
 * Provoked by: the base of FS at a variable, and of GS; an address that cannot be; a segment that
 * does not exist.
 * Expected: the variable is read through the segment; -EINVAL for the others.
 * Source: xen.h (__HYPERVISOR_set_segment_base, SEGBASE_*); arch/x86/pv/misc-hypercalls.c.
 */
TEST(pv_set_segment_base, ENTER, "segment bases can be set to an address that can be",
     .needs = "pv")
{
    static unsigned long variable = 0x123456789;
    unsigned long value;

    CHECK_EQ(set_segment_base(SEGBASE_FS, (unsigned long)&variable), 0);
    __asm__ volatile("mov %%fs:0, %0" : "=r"(value) : : "memory");
    CHECK_EQ(value, variable);
    CHECK_EQ(set_segment_base(SEGBASE_FS, 0), 0);

    variable = 0x987654321;
    CHECK_EQ(set_segment_base(SEGBASE_GS_KERNEL, (unsigned long)&variable), 0);
    __asm__ volatile("mov %%gs:0, %0" : "=r"(value) : : "memory");
    CHECK_EQ(value, variable);
    CHECK_EQ(set_segment_base(SEGBASE_GS_KERNEL, 0), 0);
    CHECK_EQ(set_segment_base(SEGBASE_GS_USER, 0), 0);

    CHECK_ERRNO(set_segment_base(SEGBASE_FS, NOT_CANONICAL), EINVAL);
    CHECK_ERRNO(set_segment_base(SEGBASE_GS_KERNEL, NOT_CANONICAL), EINVAL);
    CHECK_ERRNO(set_segment_base(SEGBASE_GS_USER, NOT_CANONICAL), EINVAL);
    CHECK_ERRNO(set_segment_base(4, 0), EINVAL);
}

static bool may_be_above_4_gib(void)
{
    return has_feature(XENFEAT_pae_pgdir_above_4gb);
}

static long assist(unsigned int command, unsigned int type)
{
    return arch_hypercall(__HYPERVISOR_vm_assist, command, type, 0, 0, 0);
}

/*
 * Background: One assist of PV guests shows in the features: whether page tables of the highest level
 * may be above 4 GiB.
 * Provoked by: it switched off, on, and to what it was.
 * Expected: the feature follows.
 * Source: xen.h (VMASST_TYPE_pae_extended_cr3); common/kernel.c, do_xen_version().
 */
TEST(pv_vm_assist, ENTER, "an assist that was switched on is on, until it is switched off",
     .needs = "pv")
{
    bool before = may_be_above_4_gib();

    CHECK_EQ(assist(VMASST_CMD_disable, VMASST_TYPE_pae_extended_cr3), 0);
    CHECK(!may_be_above_4_gib());
    CHECK_EQ(assist(VMASST_CMD_enable, VMASST_TYPE_pae_extended_cr3), 0);
    CHECK(may_be_above_4_gib());
    if (!before)
        CHECK_EQ(assist(VMASST_CMD_disable, VMASST_TYPE_pae_extended_cr3), 0);
}

/*
 * Background: Hypercalls that were replaced long ago still work for old PV guests.
 * Provoked by: a port allocated and asked about with the command inside the argument; a command of
 * today in that form; yielding with the reason for an argument; a command that the old form did not
 * have.
 * Expected: 0, the port is unbound; -ENOSYS; 0; -ENOSYS.
 * Source: event_channel.h (struct evtchn_op); xen.h (__HYPERVISOR_sched_op_compat);
 * common/compat.c.
 */
TEST(pv_old_forms, ENTER, "the old forms of event_channel_op and sched_op still work",
     .needs = "pv")
{
    struct evtchn_op op = {
        .cmd = EVTCHNOP_alloc_unbound,
        .u.alloc_unbound = {.dom = DOMID_SELF, .remote_dom = DOMID_SELF},
    };
    unsigned long argument = arch_guest_address(&op);

    CHECK_EQ(arch_hypercall(__HYPERVISOR_event_channel_op_compat, argument, 0, 0, 0, 0), 0);
    CHECK_EQ(port_status(op.u.alloc_unbound.port).status, EVTCHNSTAT_unbound);
    op.cmd = EVTCHNOP_reset;
    CHECK_ERRNO(arch_hypercall(__HYPERVISOR_event_channel_op_compat, argument, 0, 0, 0, 0), ENOSYS);
    CHECK_ERRNO(arch_hypercall(__HYPERVISOR_event_channel_op_compat, NOWHERE, 0, 0, 0, 0), EFAULT);

    CHECK_EQ(arch_hypercall(__HYPERVISOR_sched_op_compat, SCHEDOP_yield, 0, 0, 0, 0), 0);
    CHECK_ERRNO(arch_hypercall(__HYPERVISOR_sched_op_compat, SCHEDOP_poll, 0, 0, 0, 0), ENOSYS);
}
