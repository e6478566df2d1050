/* Numbers that assembler, C and the linker script share. */
#ifndef XENPORT_X86_LAYOUT_H
#define XENPORT_X86_LAYOUT_H

#define STACK_SIZE 0x8000

#define SELECTOR_CODE 0x08
#define SELECTOR_DATA 0x10
#define SELECTOR_TSS 0x18
#define SELECTOR_DOUBLE_FAULT 0x20      /* 32-bit mode: a TSS of its own */

#define CR0_PE 0x1
#define CR0_ET 0x10
#define CR0_WP 0x10000
#define CR0_PG 0x80000000
#define CR4_PSE 0x10
#define CR4_PAE 0x20
#define MSR_EFER 0xc0000080
#define EFER_LME 0x100

#define PTE_TABLE 0x7           /* present, writable, user */
#define PTE_DATA 0x63           /* present, writable, accessed, dirty */
#define PTE_LARGE 0xe3          /* the same for a page of 2 MiB, or 4 MiB */
#define PTE_PRESENT 0x1

/* Vectors of the processor; each entry of exception_entries is ENTRY_SIZE bytes long. */
#define EXCEPTIONS 32
#define ENTRY_SIZE 16
#define ENTRY_HVM 3             /* in 64-bit mode, an HVM guest enters behind the instructions that only PV needs */

#endif
