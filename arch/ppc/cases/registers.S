/*
 * void ppc_call_with(struct ppc_registers set[2])
 *
 * Makes the call in r3 of the first set with all registers from there, and stores all registers after it
 * in the second one. Left alone: r1, which the set is found again by, and r2, which interrupts rely on.
 */

#define SET_SIZE (36 * 8)
#define SET_LR (32 * 8)
#define SET_CTR (33 * 8)
#define SET_XER (34 * 8)
#define SET_CR (35 * 8)

/* The frame: a call's 32 bytes, the set, r3 after the call, CR, and r13 to r31. */
#define FRAME_SET 32
#define FRAME_RESULT 40
#define FRAME_CR 48
#define FRAME_R13 56
#define FRAME_SIZE 224

    .text
    .globl ppc_call_with
ppc_call_with:
    mflr 0
    std 0, 16(1)
    stdu 1, -FRAME_SIZE(1)
    std 3, FRAME_SET(1)
    mfcr 0
    std 0, FRAME_CR(1)
    .irp n, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    std \n, (FRAME_R13 + (\n - 13) * 8)(1)
    .endr

    ld 0, SET_LR(3)
    mtlr 0
    ld 0, SET_CTR(3)
    mtctr 0
    ld 0, SET_XER(3)
    mtxer 0
    ld 0, SET_CR(3)
    mtcr 0
    .irp n, 0, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    ld \n, (\n * 8)(3)
    .endr
    ld 3, (3 * 8)(3)
    sc 1

    std 3, FRAME_RESULT(1)
    ld 3, FRAME_SET(1)
    .irp n, 0, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    std \n, (SET_SIZE + \n * 8)(3)
    .endr
    ld 0, FRAME_RESULT(1)
    std 0, (SET_SIZE + 3 * 8)(3)
    mflr 0
    std 0, (SET_SIZE + SET_LR)(3)
    mfctr 0
    std 0, (SET_SIZE + SET_CTR)(3)
    mfxer 0
    std 0, (SET_SIZE + SET_XER)(3)
    mfcr 0
    std 0, (SET_SIZE + SET_CR)(3)

    .irp n, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    ld \n, (FRAME_R13 + (\n - 13) * 8)(1)
    .endr
    ld 0, FRAME_CR(1)
    mtcr 0
    addi 1, 1, FRAME_SIZE
    ld 0, 16(1)
    mtlr 0
    blr

/*
 * Where the second vcpu begins, see second.c: stores all registers in the set that r4 points to, and SRR0 and SRR1
 * behind it, and goes on at r12.
 */
    .globl ppc_second_begins
ppc_second_begins:
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, \
            29, 30, 31
    std \n, (\n * 8)(4)
    .endr
    mflr 0
    std 0, SET_LR(4)
    mfctr 0
    std 0, SET_CTR(4)
    mfxer 0
    std 0, SET_XER(4)
    mfcr 0
    std 0, SET_CR(4)
    mfsrr0 0
    std 0, SET_SIZE(4)
    mfsrr1 0
    std 0, (SET_SIZE + 8)(4)
    mtctr 12
    bctr
