/*
 * Double faults of HVM guests, whose descriptor tables are their own.
 */
#include <fault.h>
#include <string.h>

#include "common.h"
#include "x86.h"

static void push_into_nothing(void *unused)
{
    (void)unused;
    __asm__ volatile("mov %0, %%" STACK_POINTER "; push %0"
                     :
                     : "r"(stack_guard + sizeof(stack_guard) / 2)
                     : "memory");
}

/*
 * Background: An exception whose frame cannot be written, for want of a stack, becomes a double fault. It
 * is taken on a stack of its own, which the TSS names in 64-bit mode; in 32-bit mode it is a task of its own,
 * and Xen does that switch of tasks for the processor.
 * Provoked by: a stack pointer to a page that is not mapped, and a push, twice.
 * Expected: a double fault each time.
 * Source: the processors' manuals; arch/x86/hvm/hvm.c, hvm_task_switch().
 */
TEST(hvm_double_fault, ENTER, "an exception without a stack is a double fault, which can be taken",
     .needs = "hvm !unpaged")
{
    for (unsigned int round = 0; round < 2; round++) {
        struct fault fault = {.text = ""};

        CHECK(fault_expected(push_into_nothing, NULL, &fault));
        CHECK(strcmp(fault.text, "#DF") == 0);
    }
}
