/* What the guest was started with. arch_init() fills this in; everybody else reads it. */
#ifndef XENPORT_BOOT_H
#define XENPORT_BOOT_H

#include <stdbool.h>
#include <stdint.h>

#include <xen.h>

struct hvm_start_info;
struct xencons_interface;

struct boot_info {
    const char *guest;                            /* caller kind of abi/: "pv", "hvm", "arm", "ppc" */
    const char *command_line;                     /* never NULL */
    struct shared_info *shared_info;              /* NULL if it could not be mapped */
    struct vcpu_info *vcpu_info;                  /* vcpu 0's, set by kernel_main() to the one in
                                                     shared_info; a test that registers another sets it */
    struct vcpu_info *second_info;                /* vcpu 1's, or NULL; see secondary.h */
    const struct start_info *start_info;          /* PV guests, else NULL */
    const struct hvm_start_info *hvm_start_info;  /* PVH guests, else NULL */
    struct xencons_interface *console;            /* shared console ring; NULL: console_io */
    const void *fdt;                              /* flattened device tree, or NULL */
};

extern struct boot_info boot_info;

/* The vcpu_info of the vcpu that this runs on, or NULL. */
struct vcpu_info *own_vcpu_info(void);

/* head.S calls this on the boot stack, with .bss cleared and relocations applied. Interrupts are off. */
_Noreturn void kernel_main(void);

/*
 * For arch_init(): something of the start-up did not work (shared_info cannot be mapped, no upcall).
 * The text is printed as "# boot: ..." after the plan, and the tests run all the same: a port that
 * cannot map shared_info yet should still be told what works. Text beyond the buffer is dropped.
 */
void boot_problem(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* boot_problem("what: -22 (EINVAL)") if rc, the result of a hypercall, is not 0. */
void boot_step(const char *what, long rc);

/*
 * The value of the word "name=value" of the command line, which ends at a space or with the line; NULL if
 * there is no such word.
 */
const char *command_line_option(const char *name);

/* The number in the word "name=NUMBER" of the command line; false if there is no such word. */
bool command_line_number(const char *name, unsigned long *number);

/* SCHEDOP_shutdown with SHUTDOWN_poweroff, SHUTDOWN_crash ...; spins if the hypervisor returns. */
_Noreturn void boot_shutdown(unsigned int reason);

#endif
