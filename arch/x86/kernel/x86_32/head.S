/*
 * Entry of an HVM guest (PVH): Xen starts at hvm_start in 32-bit mode without paging, which is where the
 * kernel stays until start_paging().
 */
#include <elfnote.h>

#include "layout.h"

    .pushsection .note.Xen, "a", @note
    .balign 4
    .long 2f - 1f, 4f - 3f, XEN_ELFNOTE_PHYS32_ENTRY
1:  .asciz "Xen"
2:  .balign 4
3:  .long hvm_start
4:  .popsection

    .section .text.head, "ax", @progbits

    .globl hvm_start
hvm_start:                          /* ebx: hvm_start_info */
    cld
    mov %ebx, entry_hvm_start_info
    lgdt gdt_pointer
    ljmp $SELECTOR_CODE, $1f
1:  mov $SELECTOR_DATA, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    xor %eax, %eax
    mov %eax, %fs
    mov %eax, %gs
    mov $stack_top, %esp
    xor %ebp, %ebp
    call kernel_main

    .section .text.hypercall_page, "ax", @progbits
    .balign 4096
    .globl hypercall_page
hypercall_page:
    .skip 4096, 0xc3                /* `ret`, until the hypervisor fills it */

    .data
    .globl entry_hvm_start_info
    .balign 8
entry_hvm_start_info:
    .long 0

gdt_pointer:
    .word gdt_end - gdt - 1
    .long gdt

    .globl gdt
    .balign 8
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff        /* SELECTOR_CODE: flat code */
    .quad 0x00cf93000000ffff        /* SELECTOR_DATA: flat data */
    .quad 0                         /* SELECTOR_TSS: see tables.c */
    .quad 0                         /* SELECTOR_DOUBLE_FAULT */
gdt_end:

/* The stack, and a page below it that is taken out of the page tables. */
    .bss
    .globl stack_guard
    .balign 4096
stack_guard:
    .skip 4096
    .skip STACK_SIZE
stack_top:

    .section .note.GNU-stack, "", @progbits
