/*
 * Entry. One ELF serves both kinds of guest: its notes tell Xen where each begins.
 *
 * PV: Xen has built page tables that map the domain's first page of memory at VIRT_BASE, and starts at
 * pv_start in 64-bit mode. HVM (PVH): Xen starts at hvm_start in 32-bit mode without paging.
 *
 * VIRT_BASE is 0: Xen up to 4.14 loads an HVM guest at the difference of its addresses and VIRT_BASE.
 * A PV guest thus has all memory mapped at its own number, and takes page 0 out when it starts; the page
 * tables of an HVM guest leave it out. A NULL pointer faults in both.
 */
#include <elfnote.h>

#include "layout.h"

.macro note type, kind, value:vararg
    .pushsection .note.Xen, "a", @note
    .balign 4
    .long 2f - 1f, 4f - 3f, \type
1:  .asciz "Xen"
2:  .balign 4
3:  \kind \value
4:  .balign 4
    .popsection
.endm

    note XEN_ELFNOTE_GUEST_OS, .asciz, "xenport"
    note XEN_ELFNOTE_GUEST_VERSION, .asciz, "1"
    note XEN_ELFNOTE_XEN_VERSION, .asciz, "xen-3.0"
    note XEN_ELFNOTE_LOADER, .asciz, "generic"
    note XEN_ELFNOTE_VIRT_BASE, .quad, 0
    note XEN_ELFNOTE_PADDR_OFFSET, .quad, 0
    note XEN_ELFNOTE_ENTRY, .quad, pv_start
    note XEN_ELFNOTE_HYPERCALL_PAGE, .quad, hypercall_page
    note XEN_ELFNOTE_FEATURES, .asciz, "!writable_page_tables|pae_pgdir_above_4gb"
    note XEN_ELFNOTE_PAE_MODE, .asciz, "yes"
    note XEN_ELFNOTE_PHYS32_ENTRY, .quad, hvm_start

    .section .text.head, "ax", @progbits

    .code64
    .globl pv_start
pv_start:                           /* rsi: start_info; memory behind the file is zero */
    cld
    lea stack_top(%rip), %rsp
    mov %rsi, entry_start_info(%rip)
    xor %ebp, %ebp
    call kernel_main

    .code32
hvm_start:                          /* ebx: hvm_start_info */
    cld
    mov %ebx, entry_hvm_start_info
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
    lea stack_top(%rip), %rsp
    xor %ebp, %ebp
    call kernel_main

    .section .text.hypercall_page, "ax", @progbits
    .balign 4096
    .globl hypercall_page
hypercall_page:
    .skip 4096, 0xc3                /* `ret`, until the hypervisor fills it */

    .data
    .globl entry_start_info, entry_hvm_start_info
    .balign 8
entry_start_info:
    .quad 0
entry_hvm_start_info:
    .quad 0

gdt_pointer:
    .word gdt_end - gdt - 1
    .long gdt

    .globl gdt, gdt_pointer
    .balign 8
gdt:
    .quad 0
    .quad 0x00af9b000000ffff        /* SELECTOR_CODE: 64-bit code */
    .quad 0x00cf93000000ffff        /* SELECTOR_DATA: flat data */
    .quad 0, 0                      /* SELECTOR_TSS: see hvm.c */
gdt_end:

/* Page tables of an HVM guest: 4 GiB mapped one to one, the first 6 MiB in small pages so that page 0
 * and the page below the stack can be left out. */
    .balign 4096
    .globl page_l4
page_l4:
    .quad page_l3 + PTE_TABLE
    .fill 511, 8, 0
page_l3:
    .quad page_l2 + PTE_TABLE, page_l2 + 0x1000 + PTE_TABLE
    .quad page_l2 + 0x2000 + PTE_TABLE, page_l2 + 0x3000 + PTE_TABLE
    .fill 508, 8, 0
page_l2:
    .quad page_l1 + PTE_TABLE, page_l1 + 0x1000 + PTE_TABLE, page_l1 + 0x2000 + PTE_TABLE
    .set frame, 3
    .rept 2045
    .quad (frame << 21) + PTE_LARGE
    .set frame, frame + 1
    .endr
    .globl page_l1
page_l1:
    .quad 0
    .set frame, 1
    .rept 1535
    .quad (frame << 12) + PTE_DATA
    .set frame, frame + 1
    .endr

/* The stack, and a page below it that is taken out of the page tables. */
    .bss
    .globl stack_guard
    .balign 4096
stack_guard:
    .skip 4096
    .skip STACK_SIZE
stack_top:

    .section .note.GNU-stack, "", @progbits
