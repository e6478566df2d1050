/*
 * What an exception means: from the syndrome register to a struct fault. The vectors call these
 * functions.
 */
#include <boot.h>
#include <fault.h>
#include <print.h>
#include <sched.h>

/* By exception class, ESR_EL1 bits 31 to 26 (Arm Architecture Reference Manual). */
static const struct {
    enum fault_kind kind;
    const char *text;
} classes[64] = {
    [0x00] = {FAULT_ILLEGAL, "undefined instruction"},
    [0x07] = {FAULT_ILLEGAL, "floating point instruction"},
    [0x0e] = {FAULT_OTHER, "illegal execution state"},
    [0x15] = {FAULT_OTHER, "svc"},
    [0x18] = {FAULT_ILLEGAL, "system register access"},
    [0x21] = {FAULT_ACCESS, "instruction abort"},
    [0x22] = {FAULT_ACCESS, "pc alignment"},
    [0x25] = {FAULT_ACCESS, "data abort"},
    [0x26] = {FAULT_OTHER, "sp alignment"},
    [0x3c] = {FAULT_OTHER, "brk"},
};

_Noreturn void exception_synchronous(uint64_t syndrome, uint64_t address, uint64_t pc)
{
    unsigned int class = syndrome >> 26 & 0x3f;
    struct fault fault = {.kind = FAULT_OTHER, .pc = pc, .text = "unknown exception class"};

    if (classes[class].text) {
        fault.kind = classes[class].kind;
        fault.text = classes[class].text;
    }
    if (fault.kind == FAULT_ACCESS)
        fault.address = address;
    fault_taken(&fault);
}

_Noreturn void exception_asynchronous(uint64_t syndrome, uint64_t address, uint64_t pc)
{
    struct fault fault = {.kind = FAULT_OTHER, .pc = pc, .text = "SError or FIQ"};

    (void)syndrome;
    (void)address;
    fault_taken(&fault);
}

/* A fault inside fault_taken(), which cannot be trusted to deal with it. */
_Noreturn void exception_nested(uint64_t syndrome, uint64_t address, uint64_t pc)
{
    print_line("# fault in the fault handler: syndrome 0x%lx address 0x%lx pc 0x%lx",
               (unsigned long)syndrome, (unsigned long)address, (unsigned long)pc);
    boot_shutdown(SHUTDOWN_crash);
}
