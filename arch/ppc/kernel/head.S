/*
 * Entry, exception vectors, and what C cannot say.
 *
 * The image is linked and loaded at physical address 0, so the vectors stand where the processor
 * looks for them and nothing needs to be moved.
 */

#define SPR_SRR0 26
#define SPR_SRR1 27
#define SPR_DAR 19
#define SPR_SPRG0 272
#define SPR_SPRG1 273

#define MSR_SF_BIT 63
#define MSR_ME 0x1000
#define MSR_RI 0x0002

#define STACK_SIZE 65536
#define FAULT_STACK_SIZE 16384

/* The stack frame that ELFv2 asks for below an entry from nowhere. */
#define CALL_FRAME 32

/* What an interrupt keeps on the interrupted stack: below the 512 bytes that code may use there
 * without a frame, room for the C function, then r0, r3 to r12, and the special registers. */
#define PROTECTED_ZONE 512
#define SAVED_R0 CALL_FRAME
#define SAVED_R3 (SAVED_R0 + 8)
#define SAVED_LR (SAVED_R3 + 10 * 8)
#define SAVED_CTR (SAVED_LR + 8)
#define SAVED_XER (SAVED_CTR + 8)
#define SAVED_CR (SAVED_XER + 8)
#define SAVED_SRR0 (SAVED_CR + 8)
#define SAVED_SRR1 (SAVED_SRR0 + 8)
#define INTERRUPT_FRAME ((SAVED_SRR1 + 8 + 15 + PROTECTED_ZONE) & ~15)

/* Addresses of this image fit in 31 bits. */
.macro load_address register, symbol
    lis \register, \symbol@ha
    addi \register, \register, \symbol@l
.endm

.macro fault_vector offset
    . = \offset
    li 3, \offset
    b fault_entry
.endm

.macro interrupt_vector offset, function
    . = \offset
    stdu 1, -INTERRUPT_FRAME(1)
    std 12, (SAVED_R3 + 9 * 8)(1)
    load_address 12, \function
    b interrupt_entry
.endm

    .section .vectors, "ax", @progbits
    fault_vector 0x100          /* reset */
    fault_vector 0x200          /* machine check */
    fault_vector 0x300          /* data storage */
    fault_vector 0x380          /* data segment */
    fault_vector 0x400          /* instruction storage */
    fault_vector 0x480          /* instruction segment */
    interrupt_vector 0x500, external_interrupt
    fault_vector 0x600          /* alignment */
    fault_vector 0x700          /* program */
    fault_vector 0x800          /* floating point unavailable */
    interrupt_vector 0x900, timer_interrupt
    fault_vector 0xc00          /* system call */
    fault_vector 0xd00          /* trace */
    fault_vector 0xf00          /* performance monitor */
    fault_vector 0xf20          /* vector unit unavailable */
    fault_vector 0xf40          /* vector-scalar unit unavailable */

/* r3 is the vector; nothing of the interrupted code is needed again but where it stood. */
fault_entry:
    mfspr 4, SPR_SRR0
    mfspr 5, SPR_SRR1
    mfspr 6, SPR_DAR
    li 7, MSR_RI
    mtmsrd 7, 1
    mfspr 1, SPR_SPRG0          /* of this vcpu */
    load_address 2, .TOC.
    bl fault_interrupt
    nop

/* r12 is the function to call. The functions called keep the other registers. */
interrupt_entry:
    std 0, SAVED_R0(1)
    .irp n, 3, 4, 5, 6, 7, 8, 9, 10, 11
    std \n, (SAVED_R3 + (\n - 3) * 8)(1)
    .endr
    mflr 3
    std 3, SAVED_LR(1)
    mfctr 3
    std 3, SAVED_CTR(1)
    mfxer 3
    std 3, SAVED_XER(1)
    mfcr 3
    std 3, SAVED_CR(1)
    mfspr 3, SPR_SRR0
    std 3, SAVED_SRR0(1)
    mfspr 3, SPR_SRR1
    std 3, SAVED_SRR1(1)
    li 3, MSR_RI
    mtmsrd 3, 1
    mtctr 12
    bctrl
    li 3, 0
    mtmsrd 3, 1                 /* SRR0 and SRR1 are in use from here */
    ld 3, SAVED_SRR1(1)
    mtspr SPR_SRR1, 3
    ld 3, SAVED_SRR0(1)
    mtspr SPR_SRR0, 3
    ld 3, SAVED_CR(1)
    mtcr 3
    ld 3, SAVED_XER(1)
    mtxer 3
    ld 3, SAVED_CTR(1)
    mtctr 3
    ld 3, SAVED_LR(1)
    mtlr 3
    ld 0, SAVED_R0(1)
    .irp n, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12
    ld \n, (SAVED_R3 + (\n - 3) * 8)(1)
    .endr
    addi 1, 1, INTERRUPT_FRAME
    rfid

/*
 * Xen enters here with r3 = the flattened device tree, in 32-bit mode and with no stack. Interrupts
 * stay off; RI tells Xen that an interrupt could be returned from.
 */
    .text
    .globl _start
_start:
    mfmsr 6
    li 7, 1
    sldi 7, 7, MSR_SF_BIT
    ori 7, 7, MSR_ME | MSR_RI
    mtmsrd 7
    isync
    load_address 1, stack + STACK_SIZE - CALL_FRAME
    load_address 7, fault_stack + FAULT_STACK_SIZE - CALL_FRAME
    mtspr SPR_SPRG0, 7
    li 7, 0
    mtspr SPR_SPRG1, 7          /* the number of the vcpu */
    load_address 2, .TOC.
    load_address 7, arch_entry
    std 3, 0(7)
    std 4, 8(7)
    std 5, 16(7)
    std 6, 24(7)
    li 3, 0
    std 3, 0(1)                 /* the end of the chain of frames */
    bl kernel_main
    nop

/* int arch_jump_save(struct arch_jump *) */
    .globl arch_jump_save
arch_jump_save:
    std 1, 0(3)
    std 2, 8(3)
    mflr 4
    std 4, 16(3)
    mfcr 4
    std 4, 24(3)
    .irp n, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    std \n, (32 + (\n - 14) * 8)(3)
    .endr
    li 3, 0
    blr

/* void arch_jump_to(struct arch_jump *, int) */
    .globl arch_jump_to
arch_jump_to:
    ld 1, 0(3)
    ld 2, 8(3)
    ld 5, 16(3)
    mtlr 5
    ld 5, 24(3)
    mtcr 5
    .irp n, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    ld \n, (32 + (\n - 14) * 8)(3)
    .endr
    mr 3, 4
    blr

    .bss
    .balign 16
    .globl arch_entry
arch_entry:
    .space 4 * 8
stack:
    .space STACK_SIZE
fault_stack:
    .space FAULT_STACK_SIZE
