/*
 * What compilers call on 32-bit Arm (Run-time ABI for the Arm Architecture): memory functions by
 * other names, and 64-bit division, which the CPU does not have.
 */
    .text
    .macro  memory name, function
    .globl  \name, \name\()4, \name\()8
\name:
\name\()4:
\name\()8:
    b       \function
    .endm

    memory  __aeabi_memcpy, memcpy
    memory  __aeabi_memmove, memmove
    memory  __aeabi_memset, set
    memory  __aeabi_memclr, clear

clear:                              /* at, size */
    mov     r2, #0
set:                                /* at, size, byte; memset has the last two the other way */
    mov     r3, r1
    mov     r1, r2
    mov     r2, r3
    b       memset

/* r0:r1 divided by r2:r3: quotient in r0:r1, remainder in r2:r3. */
    .globl  __aeabi_uldivmod
__aeabi_uldivmod:
    push    {r11, lr}
    sub     sp, sp, #16             /* the fifth argument, and the remainder */
    add     r12, sp, #8
    str     r12, [sp]
    bl      divide                  /* divide.h */
    ldr     r2, [sp, #8]
    ldr     r3, [sp, #12]
    add     sp, sp, #16
    pop     {r11, pc}
