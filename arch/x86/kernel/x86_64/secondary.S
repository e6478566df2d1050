/* Where the second vcpu begins, as the first one does: see head.S. Before, it keeps what its registers are in
 * secondary_found, a struct secondary_registers. */
#include "layout.h"

#define MSR_SHADOW_GS_BASE 0xc0000102

    .section .text, "ax", @progbits

/* A jump of 15 bytes that is ud2 if it is entered one byte later. */
.macro begin_here_only
    .byte 0xeb, 0x0f, 0x0b
    .skip 14, 0xcc
.endm

    .code64
    .globl secondary_pv_start
secondary_pv_start:
    begin_here_only
    .set place, 0
    .irp register, rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
    mov %\register, secondary_found + place(%rip)
    .set place, place + 8
    .endr
    lea secondary_stack_top(%rip), %rsp
    pushfq
    popq secondary_found + place(%rip)
    .irp segment, cs, ss, ds, es, fs, gs
    .set place, place + 8
    mov %\segment, %eax
    mov %rax, secondary_found + place(%rip)
    .endr
    mov %fs:0, %rax
    mov %rax, secondary_found + place + 8(%rip)
    mov %gs:0, %rax
    mov %rax, secondary_found + place + 16(%rip)
    mov $MSR_SHADOW_GS_BASE, %ecx
    rdmsr
    mov %eax, secondary_found + place + 24(%rip)
    mov %edx, secondary_found + place + 28(%rip)
    fnstcw secondary_found + place + 32(%rip)
    cld
    xor %ebp, %ebp
    call secondary_main

    .code32
    .globl secondary_hvm_start
secondary_hvm_start:
    begin_here_only
    .set place, 0
    .irp register, eax, ecx, edx, ebx, esp, ebp, esi, edi
    mov %\register, secondary_found + place
    .set place, place + 8
    .endr
    mov $secondary_stack_top, %esp
    pushf
    popl secondary_found + 128
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
