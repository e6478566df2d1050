/* Registers that a call of the hypervisor has to leave alone. */
#ifndef REGISTERS_H
#define REGISTERS_H

/* One more than the last that is looked at; those above are in use. */
#ifdef __aarch64__
#define REGISTERS 29
#else
#define REGISTERS 12
#endif

/*
 * Each makes a call with registers loaded from registers[], and stores what they are afterwards: the
 * hypercall xen_version(XENVER_version), PSCI's VERSION. Those that belong to the call keep what is
 * in registers[].
 */
void hypercall_with_registers(unsigned long registers[REGISTERS]);
void firmware_call_with_registers(unsigned long registers[REGISTERS]);

#endif
