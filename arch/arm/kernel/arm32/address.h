/* For the assembler: the address of a symbol, wherever the kernel is. */
    .macro  address register, symbol
    movw    \register, #:lower16:(\symbol - (9f + 8))
    movt    \register, #:upper16:(\symbol - (9f + 8))
9:  add     \register, pc, \register
    .endm
