/*
 * Exception vectors of the arm64 test kernel.
 *
 * Exceptions are taken on SP_EL1. Faults are handled there, since the stack itself may be what is
 * wrong, and never return: arch_jump_to() puts SP_EL1 back. Interrupts save what C functions may
 * change and are then handled on the stack that was interrupted, so that event handlers are
 * ordinary code whose own faults are taken the same way.
 */
#define FRAME_SIZE 192              /* x0 to x18, x29, x30, ELR, SPSR, padding */

    .macro  interrupt_entry
    .balign 128
    b       interrupt
    .endm

    .macro  fault_entry handler
    .balign 128
    mrs     x0, esr_el1
    mrs     x1, far_el1
    mrs     x2, elr_el1
    bl      \handler                /* does not return */
    .endm

    .text
    .balign 2048
    .globl  exception_vectors
exception_vectors:
    /* From EL1 on SP_EL0: all of the kernel but what follows an exception. */
    fault_entry exception_synchronous
    interrupt_entry
    fault_entry exception_asynchronous      /* FIQ: the GIC gives a guest none */
    fault_entry exception_asynchronous      /* SError */

    /*
     * From EL1 on SP_EL1: the fault handler itself, or what Xen 4.17 injects, whose vector is
     * always this one.
     */
    .balign 128
    mrs     x0, spsr_el1
    tbz     x0, #0, exception_vectors
    b       nested
    .rept   3
    .balign 128
    b       nested
    .endr

    /* From EL0, which is not used. */
    .rept   8
    fault_entry exception_asynchronous
    .endr

nested:
    adrp    x0, exception_stack_top
    add     sp, x0, :lo12:exception_stack_top
    mrs     x0, esr_el1
    mrs     x1, far_el1
    mrs     x2, elr_el1
    bl      exception_nested        /* does not return */

    .globl  interrupt               /* of the second vcpu's vectors too */
interrupt:
    sub     sp, sp, #FRAME_SIZE
    stp     x0, x1, [sp, #0]
    stp     x2, x3, [sp, #16]
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    stp     x8, x9, [sp, #64]
    stp     x10, x11, [sp, #80]
    stp     x12, x13, [sp, #96]
    stp     x14, x15, [sp, #112]
    stp     x16, x17, [sp, #128]
    stp     x18, x29, [sp, #144]
    mrs     x0, elr_el1
    mrs     x1, spsr_el1
    stp     x30, x0, [sp, #160]
    str     x1, [sp, #176]

    msr     spsel, #0
    bl      interrupt_taken
    msr     spsel, #1

    ldp     x30, x0, [sp, #160]
    ldr     x1, [sp, #176]
    msr     elr_el1, x0
    msr     spsr_el1, x1
    ldp     x18, x29, [sp, #144]
    ldp     x16, x17, [sp, #128]
    ldp     x14, x15, [sp, #112]
    ldp     x12, x13, [sp, #96]
    ldp     x10, x11, [sp, #80]
    ldp     x8, x9, [sp, #64]
    ldp     x6, x7, [sp, #48]
    ldp     x4, x5, [sp, #32]
    ldp     x2, x3, [sp, #16]
    ldp     x0, x1, [sp, #0]
    add     sp, sp, #FRAME_SIZE
    eret
