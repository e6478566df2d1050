/*
 * What an exception means: from the mode it is taken to, to a struct fault. The vectors call these
 * functions with the address of the instruction.
 */
#include <arch.h>
#include <boot.h>
#include <fault.h>
#include <print.h>
#include <sched.h>

_Noreturn void exception_undefined(uint32_t pc)
{
    struct fault fault = {.kind = FAULT_ILLEGAL, .pc = pc, .text = "undefined instruction"};

    fault_taken(&fault);
}

_Noreturn void exception_prefetch_abort(uint32_t pc)
{
    struct fault fault = {
        .kind = FAULT_ACCESS,
        .pc = pc,
        .address = read_cp15(0, c6, c0, 2), /* IFAR */
        .text = "prefetch abort",
    };

    fault_taken(&fault);
}

_Noreturn void exception_data_abort(uint32_t pc)
{
    struct fault fault = {
        .kind = FAULT_ACCESS,
        .pc = pc,
        .address = read_cp15(0, c6, c0, 0), /* DFAR */
        .text = "data abort",
    };

    fault_taken(&fault);
}

_Noreturn void exception_other(uint32_t pc)
{
    struct fault fault = {.kind = FAULT_OTHER, .pc = pc, .text = "svc or FIQ"};

    fault_taken(&fault);
}

/* A fault inside fault_taken(), which cannot be trusted to deal with it. */
_Noreturn void exception_nested(uint32_t pc)
{
    print_line("# fault in the fault handler: pc 0x%x data fault 0x%x at 0x%x", pc,
               read_cp15(0, c5, c0, 0), read_cp15(0, c6, c0, 0));
    boot_shutdown(SHUTDOWN_crash);
}
