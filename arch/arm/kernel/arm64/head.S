/*
 * Entry of the arm64 test kernel: Linux arm64 Image header, self-relocation, stacks.
 *
 * Xen enters here at EL1h with the MMU off and interrupts masked; x0 holds the guest-physical
 * address of the device tree. The image is linked at 0 and may be loaded at any 4 KiB boundary: it
 * applies its own relative relocations, so that C may use pointers in initialisers.
 *
 * All C code runs on SP_EL0; SP_EL1 is only for exceptions (vectors.S). A test that overruns its
 * stack is therefore taken like any other fault.
 */
#define R_AARCH64_RELATIVE 1027

    .section .head, "ax"
    .globl _start
_start:
    b       start                   /* code0, code1 */
    .long   0
    .quad   0                       /* text_offset: from the start of RAM */
    .quad   _end - _start           /* image_size, with .bss */
    .quad   0xa                     /* flags: little endian, 4 KiB pages, anywhere in memory */
    .quad   0, 0, 0
    .ascii  "ARM\x64"
    .long   0                       /* no PE header */

start:
    mov     x19, x0

    adrp    x1, __bss_start         /* the Image does not carry .bss */
    add     x1, x1, :lo12:__bss_start
    adrp    x2, __bss_end
    add     x2, x2, :lo12:__bss_end
clear_bss:
    cmp     x1, x2
    b.hs    relocate
    stp     xzr, xzr, [x1], #16
    b       clear_bss

relocate:                           /* Elf64_Rela: offset, type, addend */
    adrp    x0, _start
    add     x0, x0, :lo12:_start    /* how far from the link base 0 the image is */
    adrp    x1, __rela_start
    add     x1, x1, :lo12:__rela_start
    adrp    x2, __rela_end
    add     x2, x2, :lo12:__rela_end
next_relocation:
    cmp     x1, x2
    b.hs    set_stacks
    ldp     x3, x4, [x1]
    ldr     x5, [x1, #16]
    add     x1, x1, #24
    cmp     w4, #R_AARCH64_RELATIVE
    b.ne    stop                    /* the linker was told to leave no other kind */
    add     x5, x5, x0
    str     x5, [x0, x3]
    b       next_relocation

set_stacks:
    msr     spsel, #1
    adrp    x1, exception_stack_top
    add     x1, x1, :lo12:exception_stack_top
    mov     sp, x1
    msr     spsel, #0
    adrp    x1, stack_top
    add     x1, x1, :lo12:stack_top
    mov     sp, x1

    adrp    x1, exception_vectors
    add     x1, x1, :lo12:exception_vectors
    msr     vbar_el1, x1
    isb

    mov     x29, xzr
    mov     x30, xzr
    mov     x0, x19
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
