/*
 * Entry of the arm32 test kernel: zImage header, self-relocation, stacks.
 *
 * Xen enters here in supervisor mode with the MMU off and interrupts masked; r2 holds the
 * guest-physical address of the device tree. The image is linked at 0 and may be loaded at any 4 KiB
 * boundary: it applies its own relative relocations, so that C may use pointers in initialisers.
 *
 * All C code runs in supervisor mode; the other modes are only for exceptions (vectors.S). A test
 * that overruns its stack is therefore taken like any other fault.
 */
#include "address.h"

#define R_ARM_RELATIVE 23

    .section .head, "ax"
    .globl _start
_start:
    .rept   8
    nop
    .endr
    b       start
    .long   0x016f2818              /* the header's magic number, at 0x24 */
    .long   0                       /* start: wherever there is room */
    .long   _file_end - _start      /* end of what is loaded */

start:
    mov     r9, r2

    address r1, __bss_start         /* the zImage does not carry .bss */
    address r2, __bss_end
    mov     r3, #0
clear_bss:
    cmp     r1, r2
    strlo   r3, [r1], #4
    blo     clear_bss

    address r0, _start              /* how far from the link base 0 the image is */
    address r1, __rel_start
    address r2, __rel_end
next_relocation:                    /* Elf32_Rel: offset, type; the addend is in place */
    cmp     r1, r2
    bhs     set_stack
    ldr     r3, [r1], #4
    ldr     r4, [r1], #4
    cmp     r4, #R_ARM_RELATIVE
    bne     stop                    /* the linker was told to leave no other kind */
    ldr     r5, [r0, r3]
    add     r5, r5, r0
    str     r5, [r0, r3]
    b       next_relocation

set_stack:
    address r1, stack_top
    mov     sp, r1
    address r1, exception_vectors
    mcr     p15, 0, r1, c12, c0, 0  /* VBAR */
    isb

    mov     r11, #0
    mov     lr, #0
    mov     r0, r9
    bl      kernel_entry            /* start.c: does not return */
stop:
    wfi
    b       stop

/* The guard page below the stack is left out of the page tables (mmu.c). */
    .section .bss.stacks, "aw", %nobits
    .balign 4096
    .globl stack_guard
stack_guard:
    .skip   4096
    .skip   32768
stack_top:
    .skip   16384
    .globl exception_stack_top
exception_stack_top:
