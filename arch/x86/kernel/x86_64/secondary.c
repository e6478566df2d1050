/* The second vcpu; see secondary.h. */
#include "secondary.h"

#include <hvm/hvm_vcpu.h>
#include <hypercall.h>
#include <string.h>
#include <timing.h>

#include "x86.h"

#define RFLAGS_RESERVED 0x2
#define SEGMENT_CODE 0xc9b         /* present, accessed, 32-bit, limit in pages */
#define SEGMENT_DATA 0xc93
#define SEGMENT_TASK 0x8b          /* present, 32-bit TSS in use */
#define TASK_STATE_LIMIT 0x67

/* secondary.S */
extern const char secondary_pv_start[], secondary_hvm_start[];
extern char secondary_stack_top[];

static struct {
    void (*function)(void *);
    void *argument;
} work;

/* In the same page tables as the first vcpu; without vectors, and its upcalls masked. */
static long initialise_pv(void)
{
    static struct vcpu_guest_context context;

    boot_info.shared_info->vcpu_info[SECONDARY_VCPU].evtchn_upcall_mask = 1;
    memset(&context, 0, sizeof(context));
    context.flags = VGCF_in_kernel;
    context.user_regs.cs = FLAT_KERNEL_CS;
    context.user_regs.ds = context.user_regs.es = context.user_regs.ss = FLAT_KERNEL_SS;
    context.user_regs.rip = (uintptr_t)secondary_pv_start;
    context.user_regs.rsp = (uintptr_t)secondary_stack_top;
    context.user_regs.rflags = RFLAGS_IF | RFLAGS_RESERVED;
    context.kernel_ss = FLAT_KERNEL_SS;
    context.kernel_sp = (uintptr_t)secondary_stack_top;
    context.ctrlreg[3] = xen_pfn_to_cr3(arch_frame((void *)entry_start_info->pt_base));
    return hypercall_vcpu_op(VCPUOP_initialise, SECONDARY_VCPU, &context);
}

/* As an HVM guest starts: in flat 32-bit mode. */
static long initialise_hvm(void)
{
    static struct vcpu_hvm_context context;
    struct vcpu_hvm_x86_32 *registers = &context.cpu_regs.x86_32;

    memset(&context, 0, sizeof(context));
    context.mode = VCPU_HVM_MODE_32B;
    registers->eip = (uint32_t)(uintptr_t)secondary_hvm_start;
    registers->eflags = RFLAGS_RESERVED;
    registers->cr0 = CR0_PE | CR0_ET;
    registers->cs_limit = registers->ds_limit = registers->es_limit = registers->ss_limit = ~0u;
    registers->cs_ar = SEGMENT_CODE;
    registers->ds_ar = registers->es_ar = registers->ss_ar = SEGMENT_DATA;
    registers->tr_limit = TASK_STATE_LIMIT;
    registers->tr_ar = SEGMENT_TASK;
    return hypercall_vcpu_op(VCPUOP_initialise, SECONDARY_VCPU, &context);
}

long secondary_initialise(void)
{
    static bool done;
    long rc;

    if (done)
        return 0;
    rc = arch_is_pv() ? initialise_pv() : initialise_hvm();
    done = rc == 0;
    return rc;
}

long secondary_start(void (*function)(void *), void *argument)
{
    long rc = secondary_initialise();

    work.function = function;
    work.argument = argument;
    return rc ?: hypercall_vcpu_op(VCPUOP_up, SECONDARY_VCPU, NULL);
}

bool secondary_wait_off(void)
{
    return WAIT_UNTIL(hypercall_vcpu_op(VCPUOP_is_up, SECONDARY_VCPU, NULL) == 0, SECONDS(1));
}

/* For secondary.S. A vcpu that is taken up again goes on behind the call that took it down. */
_Noreturn void secondary_main(void)
{
    for (;;) {
        work.function(work.argument);
        hypercall_vcpu_op(VCPUOP_down, SECONDARY_VCPU, NULL);
    }
}
