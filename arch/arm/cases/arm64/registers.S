/* Calls with all registers filled, of arm64; see registers.h. */
    .macro  save_kept
    stp     x29, x30, [sp, #-112]!
    stp     x19, x20, [sp, #16]
    stp     x21, x22, [sp, #32]
    stp     x23, x24, [sp, #48]
    stp     x25, x26, [sp, #64]
    stp     x27, x28, [sp, #80]
    mov     x29, x0
    .endm

    .macro  restore_kept
    ldp     x19, x20, [sp, #16]
    ldp     x21, x22, [sp, #32]
    ldp     x23, x24, [sp, #48]
    ldp     x25, x26, [sp, #64]
    ldp     x27, x28, [sp, #80]
    ldp     x29, x30, [sp], #112
    ret
    .endm

    .macro  load registers:vararg
    .irp    n, \registers
    ldr     x\n, [x29, #8 * \n]
    .endr
    .endm

    .macro  store registers:vararg
    .irp    n, \registers
    str     x\n, [x29, #8 * \n]
    .endr
    .endm

    .text
    .globl  hypercall_with_registers
hypercall_with_registers:
    save_kept
    load    5,6,7,8,9,10,11,12,13,14,15,17,18,19,20,21,22,23,24,25,26,27,28
    mov     x0, #0                  /* XENVER_version */
    mov     x1, #0
    mov     x16, #17                /* __HYPERVISOR_xen_version */
    hvc     #0xEA1
    store   5,6,7,8,9,10,11,12,13,14,15,17,18,19,20,21,22,23,24,25,26,27,28
    restore_kept

    .globl  firmware_call_with_registers
firmware_call_with_registers:
    save_kept
    load    4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28
    ldr     w0, =0x84000000         /* PSCI_VERSION */
    hvc     #0
    store   4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28
    restore_kept
