/* Registers that a hypercall has to leave alone. */
#ifndef REGISTERS_H
#define REGISTERS_H

#ifdef __aarch64__
#define FIRST_KEPT      5  /* those before are arguments */
#define HYPERCALL_NUMBER 16 /* what tells Xen the hypercall is not one of them */
#define REGISTERS       29
#else
#define FIRST_KEPT      5
#define HYPERCALL_NUMBER 12
#define REGISTERS       12
#endif

/*
 * Makes the hypercall xen_version(XENVER_version) with the registers from FIRST_KEPT up loaded from
 * registers[], and stores what they are afterwards.
 */
void hypercall_with_registers(unsigned long registers[REGISTERS]);

#endif
