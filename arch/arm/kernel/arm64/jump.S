/*
 * arch_jump_save and arch_jump_to of arm64: leave a test, or a function that faulted, from any
 * depth.
 *
 * struct arch_jump (cpu.h) holds x19 to x30, SP_EL0, SP_EL1 and DAIF. SP_EL1 is part of it because
 * the jump may be made from the fault handler, whose exception frames are thereby dropped.
 */
    .text
    .globl  arch_jump_save
arch_jump_save:
    mrs     x4, daif
    msr     daifset, #0xf           /* SP_EL1 is in use for a moment */
    mov     x2, sp
    msr     spsel, #1
    mov     x3, sp
    msr     spsel, #0
    msr     daif, x4
    stp     x19, x20, [x0, #0]
    stp     x21, x22, [x0, #16]
    stp     x23, x24, [x0, #32]
    stp     x25, x26, [x0, #48]
    stp     x27, x28, [x0, #64]
    stp     x29, x30, [x0, #80]
    stp     x2, x3, [x0, #96]
    str     x4, [x0, #112]
    mov     w0, #0
    ret

    .globl  arch_jump_to
arch_jump_to:
    msr     daifset, #0xf
    ldp     x19, x20, [x0, #0]
    ldp     x21, x22, [x0, #16]
    ldp     x23, x24, [x0, #32]
    ldp     x25, x26, [x0, #48]
    ldp     x27, x28, [x0, #64]
    ldp     x29, x30, [x0, #80]
    ldp     x2, x3, [x0, #96]
    ldr     x4, [x0, #112]
    msr     spsel, #1
    mov     sp, x3
    msr     spsel, #0
    mov     sp, x2
    msr     daif, x4
    mov     w0, w1
    ret
