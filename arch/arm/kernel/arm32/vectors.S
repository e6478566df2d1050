/*
 * Exception vectors of the arm32 test kernel.
 *
 * Faults are handled in the mode that they are taken to, on a stack of their own, since the stack
 * itself may be what is wrong. They never return: arch_jump_to() changes the mode back. All such
 * modes use the same stack, anew each time. That one is handled already is kept in memory: after an
 * exception that a 64-bit hypervisor injects, QEMU 7.2 does not show SPSR. Interrupts save what C functions may change on the stack
 * that was interrupted, and are handled on it, so that event handlers are ordinary code whose own
 * faults are taken the same way.
 */
#include "address.h"

#define MODE_SUPERVISOR 0x13

    .macro  fault_entry handler, behind
    sub     r0, lr, #\behind        /* how far the return address is behind the instruction */
    address r1, exception_stack_top
    mov     sp, r1
    address r1, fault_is_handled
    ldr     r2, [r1]
    cmp     r2, #0
    bne     exception_nested
    mov     r2, #1
    str     r2, [r1]
    b       \handler                /* does not return */
    .endm

    .text
    .balign 32
    .globl  exception_vectors
exception_vectors:
    b       .                       /* not used */
    b       undefined
    b       supervisor_call
    b       prefetch_abort
    b       data_abort
    b       .                       /* not used */
    b       interrupt
    b       fast_interrupt          /* the GIC gives a guest none */

undefined:
    fault_entry exception_undefined, 4
prefetch_abort:
    fault_entry exception_prefetch_abort, 4
data_abort:
    fault_entry exception_data_abort, 8
fast_interrupt:
    fault_entry exception_other, 4

/* Taken to the mode that the kernel runs in; its stack is not needed any more. */
supervisor_call:
    fault_entry exception_other, 4

    .bss
    .balign 4
    .globl  fault_is_handled        /* arch_jump_to() clears it */
fault_is_handled:
    .skip   4

    .text
    .globl  interrupt               /* of the second vcpu's vectors too */
interrupt:
    sub     lr, lr, #4
    srsdb   sp!, #MODE_SUPERVISOR
    cps     #MODE_SUPERVISOR
    push    {r0-r3, r12, lr}
    and     r1, sp, #4              /* the C ABI wants 8 bytes */
    sub     sp, sp, r1
    push    {r1, r2}
    bl      interrupt_taken
    pop     {r1, r2}
    add     sp, sp, r1
    pop     {r0-r3, r12, lr}
    rfeia   sp!
