/*
 * arch_jump_save and arch_jump_to of arm32: leave a test, or a function that faulted, from any
 * depth and mode.
 *
 * struct arch_jump (cpu.h) holds r4 to r11, SP and LR of supervisor mode, and CPSR.
 */
#include "address.h"

#define MODE_SUPERVISOR 0x13

    .text
    .globl  arch_jump_save
arch_jump_save:
    mrs     r2, cpsr
    stmia   r0!, {r4-r11}
    str     sp, [r0], #4
    stmia   r0, {r2, lr}
    mov     r0, #0
    bx      lr

    .globl  arch_jump_to
arch_jump_to:
    cpsid   i, #MODE_SUPERVISOR
    address r2, fault_is_handled
    mov     r3, #0
    str     r3, [r2]
    ldmia   r0!, {r4-r11}
    ldr     sp, [r0], #4
    ldmia   r0, {r2, lr}
    mov     r0, r1
    msr     cpsr_cx, r2
    bx      lr
