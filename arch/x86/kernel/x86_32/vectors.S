/*
 * Where exceptions and event upcalls enter, and arch_jump_save(), arch_jump_to().
 *
 * A frame of the processor, from the top: eflags, cs, eip, error code (some exceptions).
 */
#include "layout.h"

    .text

    .globl exception_entries
    .balign ENTRY_SIZE
exception_entries:
    .irp vector, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, \
                 24, 25, 26, 27, 28, 29, 30, 31
    .balign ENTRY_SIZE
    .if !((0x60227d00 >> \vector) & 1)  /* 8, 10-14, 17, 21, 29, 30 come with an error code */
    push $0
    .endif
    push $\vector
    jmp exception
    .endr

/* struct registers of cpu.h, from its end to its beginning. */
exception:
    pusha
    cld
    mov %esp, %eax
    and $-16, %esp
    sub $12, %esp
    push %eax
    call exception_taken            /* does not return */

    .globl hvm_event
hvm_event:
    pusha
    cld
    mov %esp, %ebp
    and $-16, %esp
    call upcall
    mov %ebp, %esp
    popa
    iret

/* A task of its own, see tables.c: the stack of the one that was interrupted may be what is wrong. */
    .globl double_fault
double_fault:
    cld
    call double_fault_taken         /* does not return */

/* Hypercalls without the hypercall page; the number is in eax. */
    .globl hypercall_vmcall, hypercall_vmmcall
hypercall_vmcall:
    vmcall
    ret
hypercall_vmmcall:
    vmmcall
    ret

    .globl arch_jump_save
arch_jump_save:
    mov 4(%esp), %edx
    mov %ebx, 0(%edx)
    mov %esi, 4(%edx)
    mov %edi, 8(%edx)
    mov %ebp, 12(%edx)
    lea 4(%esp), %eax
    mov %eax, 16(%edx)
    mov (%esp), %eax
    mov %eax, 20(%edx)
    xor %eax, %eax
    ret

    .globl arch_jump_to
arch_jump_to:
    mov 4(%esp), %edx
    mov 8(%esp), %eax
    mov 0(%edx), %ebx
    mov 4(%edx), %esi
    mov 8(%edx), %edi
    mov 12(%edx), %ebp
    mov 16(%edx), %esp
    jmp *20(%edx)

    .section .note.GNU-stack, "", @progbits
