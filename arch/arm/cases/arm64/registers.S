/* hypercall_with_registers() of arm64; see registers.h. */
    .text
    .globl  hypercall_with_registers
hypercall_with_registers:
    stp     x29, x30, [sp, #-112]!
    stp     x19, x20, [sp, #16]
    stp     x21, x22, [sp, #32]
    stp     x23, x24, [sp, #48]
    stp     x25, x26, [sp, #64]
    stp     x27, x28, [sp, #80]
    mov     x29, x0
    .irp    n, 5,6,7,8,9,10,11,12,13,14,15,17,18,19,20,21,22,23,24,25,26,27,28
    ldr     x\n, [x29, #8 * \n]
    .endr
    mov     x0, #0                  /* XENVER_version */
    mov     x1, #0
    mov     x16, #17                /* __HYPERVISOR_xen_version */
    hvc     #0xEA1
    .irp    n, 5,6,7,8,9,10,11,12,13,14,15,17,18,19,20,21,22,23,24,25,26,27,28
    str     x\n, [x29, #8 * \n]
    .endr
    ldp     x19, x20, [sp, #16]
    ldp     x21, x22, [sp, #32]
    ldp     x23, x24, [sp, #48]
    ldp     x25, x26, [sp, #64]
    ldp     x27, x28, [sp, #80]
    ldp     x29, x30, [sp], #112
    ret
