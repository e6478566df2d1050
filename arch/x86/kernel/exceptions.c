/* Exceptions of the processor, as faults of the test kernel. */
#include <fault.h>

#include "x86.h"

#define VECTOR_UD 6
#define VECTOR_PF 14
#define FAILSAFE EXCEPTIONS

static const char *const names[EXCEPTIONS + 1] = {
    [0] = "#DE", [1] = "#DB", [2] = "NMI", [3] = "#BP", [4] = "#OF", [5] = "#BR",
    [VECTOR_UD] = "#UD", [7] = "#NM", [8] = "#DF", [10] = "#TS", [11] = "#NP", [12] = "#SS",
    [13] = "#GP", [VECTOR_PF] = "#PF", [16] = "#MF", [17] = "#AC", [18] = "#MC", [19] = "#XM",
    [20] = "#VE", [21] = "#CP", [29] = "#VC", [30] = "#SX", [FAILSAFE] = "failsafe",
};

/* The address of the last page fault: Xen leaves it in vcpu_info for a PV guest. */
static unsigned long fault_address(void)
{
    unsigned long address;

    if (arch_is_pv())
        return boot_info.vcpu_info ? boot_info.vcpu_info->arch.cr2 : 0;
    __asm__ volatile("mov %%cr2, %0" : "=r"(address));
    return address;
}

_Noreturn void exception_taken(const struct registers *registers);

void exception_taken(const struct registers *registers)
{
    const char *name = names[registers->vector];
    struct fault fault = {
        .kind = FAULT_OTHER,
        .pc = registers_pc(registers),
        .text = name ? name : "reserved vector",
    };

    if (registers->vector == VECTOR_PF) {
        fault.kind = FAULT_ACCESS;
        fault.address = fault_address();
    } else if (registers->vector == VECTOR_UD) {
        fault.kind = FAULT_ILLEGAL;
    }
    fault_taken(&fault);
}
