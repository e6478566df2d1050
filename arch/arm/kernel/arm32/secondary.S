/*
 * Where a second vcpu begins (secondary.c). All memory that it uses before its MMU is on is
 * secondary_state, whose members have 64 bits.
 */
#include "address.h"

    .arch_extension virt

    .text
    .globl  secondary_entry
secondary_entry:
    mrs     r1, cpsr
    mrc     p15, 0, r2, c1, c0, 0   /* SCTLR */
    mrc     p15, 0, r3, c0, c0, 5   /* MPIDR */

    address r9, secondary_state
    ldr     r4, [r9, #0]
    mcr     p15, 0, r4, c10, c2, 0  /* MAIR0 */
    ldr     r4, [r9, #8]
    mcr     p15, 0, r4, c2, c0, 2   /* TTBCR */
    ldr     r4, [r9, #16]
    ldr     r5, [r9, #20]
    mcrr    p15, 0, r4, r5, c2      /* TTBR0 */
    mcr     p15, 0, r4, c8, c7, 0   /* TLBIALL */
    dsb     sy
    isb
    ldr     r4, [r9, #24]
    mcr     p15, 0, r4, c1, c0, 0
    isb

    ldr     r4, [r9, #32]
    mcr     p15, 0, r4, c12, c0, 0  /* VBAR */
    isb
    ldr     sp, [r9, #48]
    mov     r11, #0
    mov     lr, #0
    bl      secondary_main
secondary_stop:
    movw    r0, #0x0002             /* PSCI_CPU_OFF */
    movt    r0, #0x8400
    hvc     #0
    b       secondary_stop

    .globl  secondary_entry_thumb   /* the same, entered in Thumb state */
    .thumb
secondary_entry_thumb:
    bx      pc                      /* where ARM state goes on, 4 bytes ahead */
    nop
    .arm
    b       secondary_entry

    .balign 32
    .globl  secondary_vectors
secondary_vectors:
    .rept   6
    b       secondary_stop
    .endr
    b       interrupt
    b       secondary_stop

    .section .bss.stacks, "aw", %nobits
    .balign 16
    .skip   8192
    .globl  secondary_stack_top, secondary_exception_stack_top
secondary_stack_top:
secondary_exception_stack_top:      /* not used */
