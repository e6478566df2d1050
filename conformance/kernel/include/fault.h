/*
 * Faults of the guest itself: what the architecture's vectors report, and how a test expects one.
 */
#ifndef XENPORT_FAULT_H
#define XENPORT_FAULT_H

#include <stdbool.h>
#include <stdint.h>

enum fault_kind {
    FAULT_ACCESS,   /* an address could not be read, written or executed; `address` is valid */
    FAULT_ILLEGAL,  /* the instruction is undefined, or not allowed here */
    FAULT_OTHER,
};

struct fault {
    enum fault_kind kind;
    uintptr_t pc;         /* of the instruction that faulted */
    uintptr_t address;    /* FAULT_ACCESS only, else 0 */
    const char *text;     /* the architecture's own name of it ("#GP", "data abort"); a literal */
};

/*
 * Runs function(argument). True if it faulted: *fault (may be NULL) says how, and the rest of the
 * function was not run. False if it returned. Upcalls are enabled or disabled afterwards as they were
 * before. May be nested.
 */
bool fault_expected(void (*function)(void *), void *argument, struct fault *fault);

/* Reads *address into *value (may be NULL), or writes it; false if that faulted. */
bool fault_read(const volatile uint32_t *address, uint32_t *value);
bool fault_write(volatile uint32_t *address, uint32_t value);

/*
 * For the architecture's vectors, with all registers of the interrupted code dead: resumes in the
 * innermost fault_expected(), or ends the running test as failed, or, outside any test, ends the domain
 * with SHUTDOWN_crash. May be called on any stack, also from inside an upcall.
 */
_Noreturn void fault_taken(const struct fault *fault);

#endif
