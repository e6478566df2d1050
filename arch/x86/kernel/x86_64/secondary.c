/* The second vcpu; see secondary.h. */
#include "secondary.h"

#include <callback.h>
#include <hvm/hvm_vcpu.h>
#include <hypercall.h>
#include <string.h>
#include <timing.h>

#include "x86.h"

#define RFLAGS_RESERVED 0x2
#define RFLAGS_ZERO 0x40
#define RFLAGS_SIGN 0x80
#define FPU_DOUBLE 0x27f           /* 53 bits of precision, not the 64 that a processor begins with */
#define LOWER_ADDRESSES (1ul << 47) /* addresses from here to -1ul << 47 cannot be */
#define DESCRIPTORS (PAGE_SIZE / 8)
#define MOST_LOCAL_DESCRIPTORS 8192
#define DATA_OF_USERS 0x00cff3000000ffff
#define SELECTOR_OF_USERS(index) ((index) << 3 | 3)
#define SEGMENT_CODE 0xc9b         /* present, accessed, 32-bit, limit in pages */
#define SEGMENT_DATA 0xc93
#define SEGMENT_TASK 0x8b          /* present, 32-bit TSS in use */
#define TASK_STATE_LIMIT 0x67

/* secondary.S */
extern const char secondary_pv_start[], secondary_hvm_start[];

static struct {
    void (*function)(void *);
    void *argument;
} work;

struct secondary_registers secondary_given, secondary_found;

/* Each its own value, in the bits of ``width``; the stack pointer one where there is memory. */
static void choose_general(uint64_t width)
{
    for (unsigned int i = 0; i < 16; i++)
        secondary_given.general[i] = (0x1234567800000000 + (i + 1) * 0x01010101) & width;
    secondary_given.general[4] = (uintptr_t)secondary_stack_top - 64;
    secondary_given.flags = RFLAGS_RESERVED | RFLAGS_ZERO | RFLAGS_SIGN;
}

/* Descriptors that fill one frame, which may not be writable while they are in use. */
static unsigned long descriptor_frame(void)
{
    static uint64_t descriptors[DESCRIPTORS] __attribute__((aligned(PAGE_SIZE))) = {
        [1] = DATA_OF_USERS, [2] = DATA_OF_USERS,
    };
    unsigned long frame = arch_frame(descriptors);

    arch_hypercall(__HYPERVISOR_update_va_mapping, (uintptr_t)descriptors, frame * PAGE_SIZE | PTE_PRESENT,
                   UVMF_INVLPG, 0, 0);
    return frame;
}

/*
 * In the same page tables as the first vcpu; without vectors, and its upcalls masked. What it has no use for is
 * at the highest address that can be.
 */
struct vcpu_guest_context *secondary_pv_context(void)
{
    static struct vcpu_guest_context context;
    static const uint64_t in_fs = 0x123456789, in_gs = 0x987654321, in_user_gs;
    static const uint16_t fpu_control = FPU_DOUBLE;
    struct secondary_registers *given = &secondary_given;
    const uint64_t *general = given->general;

    choose_general(~0ul);
    given->flags |= RFLAGS_IF;
    given->cs = FLAT_KERNEL_CS;
    given->ss = FLAT_KERNEL_SS;
    given->ds = SELECTOR_OF_USERS(1);
    given->es = SELECTOR_OF_USERS(2);
    given->at_fs = in_fs;
    given->at_gs = in_gs;
    given->gs_base_user = (uintptr_t)&in_user_gs;
    given->fpu_control = fpu_control;
    context = (struct vcpu_guest_context){
        .flags = VGCF_in_kernel | VGCF_i387_valid,
        .user_regs = {
            .rax = general[0], .rcx = general[1], .rdx = general[2], .rbx = general[3],
            .rsp = general[4], .rbp = general[5], .rsi = general[6], .rdi = general[7],
            .r8 = general[8], .r9 = general[9], .r10 = general[10], .r11 = general[11],
            .r12 = general[12], .r13 = general[13], .r14 = general[14], .r15 = general[15],
            .rip = (uintptr_t)secondary_pv_start, .rflags = given->flags,
            .cs = (uint16_t)given->cs, .ss = (uint16_t)given->ss,
            .ds = (uint16_t)given->ds, .es = (uint16_t)given->es,
        },
        .fs_base = (uintptr_t)&in_fs,
        .gs_base_kernel = (uintptr_t)&in_gs,
        .gs_base_user = given->gs_base_user,
        .gdt_frames = {descriptor_frame()},
        .gdt_ents = DESCRIPTORS,
        .ldt_base = LOWER_ADDRESSES - PAGE_SIZE,
        .ldt_ents = MOST_LOCAL_DESCRIPTORS,
        .kernel_ss = FLAT_KERNEL_SS,
        .kernel_sp = LOWER_ADDRESSES - 1,
        .event_callback_eip = LOWER_ADDRESSES - 1,
        .failsafe_callback_eip = LOWER_ADDRESSES - 1,
        .syscall_callback_eip = LOWER_ADDRESSES - 1,
        .ctrlreg[3] = xen_pfn_to_cr3(arch_frame((void *)entry_start_info->pt_base)),
    };
    memcpy(context.fpu_ctxt.x, &fpu_control, sizeof(fpu_control));
    return &context;
}

static long initialise_pv(void)
{
    boot_info.second_info->evtchn_upcall_mask = 1;
    return hypercall_vcpu_op(VCPUOP_initialise, SECONDARY_VCPU, secondary_pv_context());
}

/* As an HVM guest starts: in flat 32-bit mode. */
static long initialise_hvm(void)
{
    static struct vcpu_hvm_context context;
    struct vcpu_hvm_x86_32 *registers = &context.cpu_regs.x86_32;
    const uint64_t *general = secondary_given.general;

    choose_general(~0u);
    memset(&context, 0, sizeof(context));
    context.mode = VCPU_HVM_MODE_32B;
    registers->eax = (uint32_t)general[0];
    registers->ecx = (uint32_t)general[1];
    registers->edx = (uint32_t)general[2];
    registers->ebx = (uint32_t)general[3];
    registers->esp = (uint32_t)general[4];
    registers->ebp = (uint32_t)general[5];
    registers->esi = (uint32_t)general[6];
    registers->edi = (uint32_t)general[7];
    registers->eip = (uint32_t)(uintptr_t)secondary_hvm_start;
    registers->eflags = (uint32_t)secondary_given.flags;
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
    boot_info.second_info = &boot_info.shared_info->vcpu_info[SECONDARY_VCPU];
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

/* Each vcpu has its own callback, or descriptor table. */
void secondary_events_enable(void)
{
    struct callback_register callback = {.type = CALLBACKTYPE_event, .address = (uintptr_t)pv_event};

    if (arch_is_pv())
        arch_hypercall(__HYPERVISOR_callback_op, CALLBACKOP_register, arch_guest_address(&callback), 0, 0, 0);
    else
        load_event_vector();
    arch_events_enable();
}

/* For secondary.S. A vcpu that is taken up again goes on behind the call that took it down. */
_Noreturn void secondary_main(void)
{
    for (;;) {
        work.function(work.argument);
        arch_events_disable();
        hypercall_vcpu_op(VCPUOP_down, SECONDARY_VCPU, NULL);
    }
}
