/*
 * Calls that Xen refuses, made from the errors that abi/ declares (tools/xenport/negatives writes the
 * tables and a test for each command).
 *
 * A call is a list of values in argument registers and in two buffers; all else is 0. It has to return
 * its error. The order of values and fields here is that of the generated tables.
 */
#ifndef XENPORT_CASES_NEGATIVES_H
#define XENPORT_CASES_NEGATIVES_H

#include <stdbool.h>
#include <stdint.h>

#include <test.h>

/* Where a value stands: in the register of this index, or so many bytes from the start of a buffer. */
enum negative_area { NEGATIVE_REGISTER, NEGATIVE_ARGUMENT, NEGATIVE_SECOND };

enum negative_kind {
    NEGATIVE_CONSTANT,
    NEGATIVE_ARGUMENT_ADDRESS,
    NEGATIVE_SECOND_ADDRESS,
    NEGATIVE_NOWHERE,           /* an address without memory */
    NEGATIVE_READONLY,          /* the argument, where it can be read and not written */
    NEGATIVE_OWN_DOMAIN,
    NEGATIVE_FRAME,             /* of this kernel's memory */
    NEGATIVE_PORT_FREE,
    NEGATIVE_PORT_UNBOUND,
    NEGATIVE_PORT_INTERDOMAIN,
    NEGATIVE_PORT_VIRQ,
    NEGATIVE_PORT_IPI,
    NEGATIVE_VIRQ_BOUND,        /* a virq that has a port already */
};

struct negative_value {
    uint64_t value;
    uint16_t offset;
    uint8_t area, kind;
    uint8_t size;               /* bytes */
    uint8_t shift;              /* of a bit field in its unit */
};

struct negative {
    const char *file, *condition;   /* what is declared, and where */
    uint16_t first, line;           /* first: in negative_values */
    uint8_t values;
    uint8_t error;
    uint8_t hypercall;
    uint8_t situations;             /* bit n: for the domains of negative_situations[n] */
};

struct negative_situation {
    const char *guest;              /* as in boot_info; NULL ends the list */
    bool is_control;
};

extern const struct negative_situation negative_situations[];
extern const struct negative_value negative_values[];

/* Makes the calls for this domain; ends the test with the first that is not refused as declared, and
 * notes the others. */
void negatives_run(const struct negative *calls, unsigned int count);

#define NEGATIVES(name_, hypercall_, title_, first_, count_, ...)                                  \
    static void test_##name_(void)                                                                 \
    {                                                                                              \
        negatives_run(&calls[first_], count_);                                                     \
    }                                                                                              \
    _Static_assert(sizeof(#name_) <= sizeof(((struct test *)0)->name), "name is too long");        \
    __attribute__((TEST_ENTRY)) static struct test test_entry_##name_ = {                          \
        .name = #name_, .rung = RUNG_OF_##hypercall_, .title = title_, .run = test_##name_,        \
        __VA_ARGS__};

/* The rung that the errors of a hypercall stand on. */
#define RUNG_OF_set_trap_table RUNG_ENTER
#define RUNG_OF_iret RUNG_ENTER
#define RUNG_OF_set_callbacks RUNG_ENTER
#define RUNG_OF_callback_op RUNG_ENTER
#define RUNG_OF_nmi_op RUNG_ENTER
#define RUNG_OF_multicall RUNG_ENTER
#define RUNG_OF_console_io RUNG_ENTER
#define RUNG_OF_stack_switch RUNG_ENTER
#define RUNG_OF_fpu_taskswitch RUNG_ENTER
#define RUNG_OF_set_debugreg RUNG_ENTER
#define RUNG_OF_get_debugreg RUNG_ENTER
#define RUNG_OF_set_segment_base RUNG_ENTER
#define RUNG_OF_xen_version RUNG_IDENTIFY
#define RUNG_OF_vm_assist RUNG_IDENTIFY
#define RUNG_OF_memory_op RUNG_MEMORY
#define RUNG_OF_mmu_update RUNG_MEMORY
#define RUNG_OF_mmuext_op RUNG_MEMORY
#define RUNG_OF_set_gdt RUNG_MEMORY
#define RUNG_OF_update_descriptor RUNG_MEMORY
#define RUNG_OF_update_va_mapping RUNG_MEMORY
#define RUNG_OF_update_va_mapping_otherdomain RUNG_MEMORY
#define RUNG_OF_event_channel_op RUNG_EVENTS
#define RUNG_OF_event_channel_op_compat RUNG_EVENTS
#define RUNG_OF_set_timer_op RUNG_TIME
#define RUNG_OF_grant_table_op RUNG_GRANTS
#define RUNG_OF_vcpu_op RUNG_VCPUS
#define RUNG_OF_sched_op RUNG_VCPUS
#define RUNG_OF_sched_op_compat RUNG_VCPUS
#define RUNG_OF_physdev_op RUNG_DEVICES
#define RUNG_OF_physdev_op_compat RUNG_DEVICES
#define RUNG_OF_argo_op RUNG_CONTROL
#define RUNG_OF_dm_op RUNG_CONTROL
#define RUNG_OF_domctl RUNG_CONTROL
#define RUNG_OF_hvm_op RUNG_CONTROL
#define RUNG_OF_hypfs_op RUNG_CONTROL
#define RUNG_OF_kexec_op RUNG_CONTROL
#define RUNG_OF_mca RUNG_CONTROL
#define RUNG_OF_platform_op RUNG_CONTROL
#define RUNG_OF_sysctl RUNG_CONTROL
#define RUNG_OF_tmem_op RUNG_CONTROL
#define RUNG_OF_xenoprof_op RUNG_CONTROL
#define RUNG_OF_xenpmu_op RUNG_CONTROL
#define RUNG_OF_xsm_op RUNG_CONTROL

#endif
