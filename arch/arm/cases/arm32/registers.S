/* Calls with all registers filled, of arm32; see registers.h. */
    .arch_extension virt
    .text
    .globl  hypercall_with_registers
hypercall_with_registers:
    push    {r4-r11, r12, lr}
    add     lr, r0, #4 * 5
    ldm     lr, {r5-r11}
    mov     r0, #0                  /* XENVER_version */
    mov     r1, #0
    mov     r12, #17                /* __HYPERVISOR_xen_version */
    hvc     #0xEA1
    stm     lr, {r5-r11}            /* lr is kept too, or this goes astray */
    pop     {r4-r11, r12, pc}

    .globl  firmware_call_with_registers
firmware_call_with_registers:
    push    {r4-r11, r12, lr}
    add     lr, r0, #4 * 4
    ldm     lr, {r4-r11}
    movw    r0, #0x0000             /* PSCI_VERSION */
    movt    r0, #0x8400
    hvc     #0
    stm     lr, {r4-r11}
    pop     {r4-r11, r12, pc}
