/*
 * The shim's entry, its vectors, and the way into a guest and back.
 *
 * The image is the machine's firmware: it is loaded at 0, where the processor looks for the vectors in
 * hypervisor state, and entered at 0x10. HSPRG0 holds the address of the registers of the vcpu that
 * runs.
 */
#include "mailbox.h"

#define SPR_DSISR 18
#define SPR_DAR 19
#define SPR_SRR0 26
#define SPR_SRR1 27
#define SPR_SPRG0 272
#define SPR_SPRG1 273
#define SPR_SPRG2 274
#define SPR_SPRG3 275
#define SPR_HSPRG0 304
#define SPR_HSPRG1 305
#define SPR_HSRR0 314
#define SPR_HSRR1 315

#define CALL_FRAME 32
#define STACK_SIZE 16384


/* Addresses of this image fit in 31 bits. */
.macro load_address register, symbol
    lis \register, \symbol@ha
    addi \register, \register, \symbol@l
.endm

.macro keep_spr number, place
    mfspr 0, \number
    std 0, \place(13)
.endm

.macro give_spr number, place
    ld 0, \place(13)
    mtspr \number, 0
.endm

/* Interrupts that hypervisor state takes, by the pair of registers that they come with. */
.macro vector offset, pair
    . = \offset
    mtspr SPR_HSPRG1, 13
    mfspr 13, SPR_HSPRG0
    std 0, REGISTER_r0(13)
    li 0, \offset
    b from_\pair
.endm

    .section .vectors, "ax", @progbits
    . = 0x10
    b _start
    vector 0x100, srr           /* reset */
    vector 0x200, srr           /* machine check */
    vector 0x300, srr           /* data storage */
    vector 0x380, srr           /* data segment */
    vector 0x400, srr           /* instruction storage */
    vector 0x480, srr           /* instruction segment */
    vector 0x500, hsrr          /* external */
    vector 0x600, srr           /* alignment */
    vector 0x700, srr           /* program */
    vector 0x800, srr           /* floating point unavailable */
    vector 0x900, srr           /* decrementer */
    vector 0x980, hsrr          /* hypervisor decrementer */
    vector 0xa00, srr           /* doorbell */
    vector 0xc00, srr           /* system call */
    vector 0xd00, srr           /* trace */
    vector 0xe00, hsrr          /* hypervisor data storage */
    vector 0xe20, hsrr          /* hypervisor instruction storage */
    vector 0xe40, hsrr          /* hypervisor emulation assistance */
    vector 0xe60, hsrr          /* hypervisor maintenance */
    vector 0xe80, hsrr          /* hypervisor doorbell */
    vector 0xea0, hsrr          /* hypervisor virtualization */
    vector 0xf00, srr           /* performance monitor */
    vector 0xf20, srr           /* vector unit unavailable */
    vector 0xf40, srr           /* vector-scalar unit unavailable */
    vector 0xf60, srr           /* facility unavailable */
    vector 0xf80, hsrr          /* hypervisor facility unavailable */

.macro leave_guest pair, first, second
from_\pair:
    .irp n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    std \n, REGISTER_r\n(13)
    .endr
    mr 3, 0
    keep_spr \first, REGISTER_pc
    keep_spr \second, REGISTER_msr
    b keep_the_rest
.endm

    . = 0x1000
    leave_guest srr, SPR_SRR0, SPR_SRR1
    leave_guest hsrr, SPR_HSRR0, SPR_HSRR1

/* r3 is the vector, r13 the vcpu's registers. */
keep_the_rest:
    keep_spr SPR_HSPRG1, REGISTER_r13
    keep_spr SPR_SRR0, REGISTER_srr0
    keep_spr SPR_SRR1, REGISTER_srr1
    keep_spr SPR_DAR, REGISTER_dar
    keep_spr SPR_DSISR, REGISTER_dsisr
    keep_spr SPR_SPRG0, REGISTER_sprg0
    keep_spr SPR_SPRG1, REGISTER_sprg1
    keep_spr SPR_SPRG2, REGISTER_sprg2
    keep_spr SPR_SPRG3, REGISTER_sprg3
    mflr 0
    std 0, REGISTER_lr(13)
    mfctr 0
    std 0, REGISTER_ctr(13)
    mfxer 0
    std 0, REGISTER_xer(13)
    mfcr 0
    std 0, REGISTER_cr(13)
    mr 4, 13
    load_address 1, stack + STACK_SIZE - CALL_FRAME
    load_address 2, .TOC.
    bl guest_left
    nop

/* r3 is the address of the registers of the vcpu that is to run. */
enter_guest:
    mr 13, 3
    mtspr SPR_HSPRG0, 13
    give_spr SPR_HSRR0, REGISTER_pc
    give_spr SPR_HSRR1, REGISTER_msr
    give_spr SPR_SRR0, REGISTER_srr0
    give_spr SPR_SRR1, REGISTER_srr1
    give_spr SPR_DAR, REGISTER_dar
    give_spr SPR_DSISR, REGISTER_dsisr
    give_spr SPR_SPRG0, REGISTER_sprg0
    give_spr SPR_SPRG1, REGISTER_sprg1
    give_spr SPR_SPRG2, REGISTER_sprg2
    give_spr SPR_SPRG3, REGISTER_sprg3
    ld 0, REGISTER_lr(13)
    mtlr 0
    ld 0, REGISTER_ctr(13)
    mtctr 0
    ld 0, REGISTER_xer(13)
    mtxer 0
    ld 0, REGISTER_cr(13)
    mtcr 0
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    ld \n, REGISTER_r\n(13)
    .endr
    ld 13, REGISTER_r13(13)
    .long 0x4c000224            /* hrfid */

    .text
/* Until the first guest runs, an interrupt finds room for its registers in the ones set aside here. */
    .globl _start
_start:
    load_address 1, stack + STACK_SIZE - CALL_FRAME
    load_address 2, .TOC.
    load_address 13, nobody
    mtspr SPR_HSPRG0, 13
    li 0, 0
    std 0, 0(1)
    bl start
    nop
    b enter_guest

    .bss
    .balign 16
stack:
    .space STACK_SIZE
nobody:
    .space REGISTERS_SIZE
