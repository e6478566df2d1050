/* Where the second vcpu begins, as the first one does: see head.S. */
#include "layout.h"

    .section .text, "ax", @progbits

    .code64
    .globl secondary_pv_start
secondary_pv_start:
    cld
    lea secondary_stack_top(%rip), %rsp
    xor %ebp, %ebp
    call secondary_main

    .code32
    .globl secondary_hvm_start
secondary_hvm_start:
    cld
    mov $CR4_PAE, %eax
    mov %eax, %cr4
    mov $page_l4, %eax
    mov %eax, %cr3
    mov $MSR_EFER, %ecx
    rdmsr
    or $EFER_LME, %eax
    wrmsr
    mov $(CR0_PG | CR0_WP | CR0_ET | CR0_PE), %eax
    mov %eax, %cr0
    lgdt gdt_pointer
    ljmp $SELECTOR_CODE, $1f

    .code64
1:  mov $SELECTOR_DATA, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    xor %eax, %eax
    mov %eax, %fs
    mov %eax, %gs
    lea secondary_stack_top(%rip), %rsp
    xor %ebp, %ebp
    call secondary_main

    .bss
    .balign 16
    .skip STACK_SIZE
    .globl secondary_stack_top
secondary_stack_top:

    .section .note.GNU-stack, "", @progbits
