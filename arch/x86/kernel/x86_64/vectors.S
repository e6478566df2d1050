/*
 * Where exceptions and event upcalls enter, and arch_jump_save(), arch_jump_to().
 *
 * A frame of the processor, from the top: ss, rsp, rflags, cs, rip, error code (some exceptions). Xen
 * gives a PV guest the same frame and puts r11 and rcx below it.
 */
#include <xen.h>

#include "layout.h"

    .text

    .globl exception_entries
    .balign ENTRY_SIZE
exception_entries:
    .irp vector, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, \
                 24, 25, 26, 27, 28, 29, 30, 31
    .balign ENTRY_SIZE
    pop %rcx
    pop %r11
    /* ENTRY_HVM: */
    .if !((0x60227d00 >> \vector) & 1)  /* 8, 10-14, 17, 21, 29, 30 come with an error code */
    push $0
    .endif
    push $\vector
    jmp exception
    .endr

/* struct registers of exceptions.c, from its end to its beginning. */
exception:
    push %rax
    push %rcx
    push %rdx
    push %rbx
    push %rbp
    push %rsi
    push %rdi
    push %r8
    push %r9
    push %r10
    push %r11
    push %r12
    push %r13
    push %r14
    push %r15
    cld
    mov %rsp, %rdi
    and $-16, %rsp
    call exception_taken            /* does not return */

/* Leaves the frame of __HYPERVISOR_iret at the bottom: rax, r11, rcx, flags, rip, cs, rflags, rsp, ss. */
.macro event_enter
    push $0
    push %rcx
    push %r11
    push %rax
    push %rdx
    push %rbx
    push %rbp
    push %rsi
    push %rdi
    push %r8
    push %r9
    push %r10
    push %r12
    push %r13
    push %r14
    push %r15
    cld
    mov %rsp, %rbp
    and $-16, %rsp
    call upcall
    mov %rbp, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %r10
    pop %r9
    pop %r8
    pop %rdi
    pop %rsi
    pop %rbp
    pop %rbx
    pop %rdx
.endm

    .globl pv_event
pv_event:
    pop %rcx
    pop %r11
    event_enter
    /* Not iretq: only Xen can set the mask byte back and return in one step. */
    mov $__HYPERVISOR_iret, %eax
    syscall

    .globl hvm_event
hvm_event:
    event_enter
    pop %rax
    pop %r11
    pop %rcx
    add $8, %rsp
    iretq

/* Xen calls this instead of returning to a frame whose segments are bad: a fault of the guest. Below the
 * frame lie rcx, r11, ds, es, fs and gs. */
    .globl pv_failsafe
pv_failsafe:
    add $0x30, %rsp
    push $0
    push $EXCEPTIONS
    jmp exception

/* Hypercalls without the hypercall page; the number is in rax. */
    .globl hypercall_syscall, hypercall_vmcall, hypercall_vmmcall
hypercall_syscall:
    syscall
    ret
hypercall_vmcall:
    vmcall
    ret
hypercall_vmmcall:
    vmmcall
    ret

    .globl arch_jump_save
arch_jump_save:
    mov %rbx, 0(%rdi)
    mov %rbp, 8(%rdi)
    mov %r12, 16(%rdi)
    mov %r13, 24(%rdi)
    mov %r14, 32(%rdi)
    mov %r15, 40(%rdi)
    lea 8(%rsp), %rax
    mov %rax, 48(%rdi)
    mov (%rsp), %rax
    mov %rax, 56(%rdi)
    xor %eax, %eax
    ret

    .globl arch_jump_to
arch_jump_to:
    mov %esi, %eax
    mov 0(%rdi), %rbx
    mov 8(%rdi), %rbp
    mov 16(%rdi), %r12
    mov 24(%rdi), %r13
    mov 32(%rdi), %r14
    mov 40(%rdi), %r15
    mov 48(%rdi), %rsp
    jmp *56(%rdi)

    .section .note.GNU-stack, "", @progbits
