/*
 * Where a second vcpu begins (secondary.c). All memory that it uses before its MMU is on is
 * secondary_state.
 */
#define PSCI_CPU_OFF 0x84000002

    .text
    .globl  secondary_entry
secondary_entry:
    mrs     x19, CurrentEL          /* as in SPSR: level, stack, masks */
    mrs     x1, spsel
    orr     x19, x19, x1
    mrs     x1, daif
    orr     x1, x19, x1
    mrs     x2, sctlr_el1
    mrs     x3, mpidr_el1

    adrp    x9, secondary_state
    add     x9, x9, :lo12:secondary_state
    ldp     x4, x5, [x9, #0]
    msr     mair_el1, x4
    msr     tcr_el1, x5
    ldp     x4, x5, [x9, #16]
    msr     ttbr0_el1, x4
    tlbi    vmalle1
    dsb     sy
    isb
    msr     sctlr_el1, x5
    isb

    ldp     x4, x5, [x9, #32]
    msr     vbar_el1, x4
    ldr     x4, [x9, #48]
    msr     spsel, #1
    mov     sp, x5
    msr     spsel, #0
    mov     sp, x4
    isb
    mov     x29, xzr
    mov     x30, xzr
    bl      secondary_main
secondary_stop:
    ldr     w0, =PSCI_CPU_OFF
    hvc     #0
    b       secondary_stop

    .balign 2048
    .globl  secondary_vectors
secondary_vectors:
    b       secondary_stop
    .balign 128
    b       interrupt               /* from EL1 on SP_EL0 */
    .rept   14
    .balign 128
    b       secondary_stop
    .endr

    .section .bss.stacks, "aw", %nobits
    .balign 16
    .skip   8192
    .globl  secondary_stack_top
secondary_stack_top:
    .skip   1024
    .globl  secondary_exception_stack_top
secondary_exception_stack_top:
