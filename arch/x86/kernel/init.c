/* Start of the architecture's part of the kernel. */
#include "x86.h"

const void *hypercall_beyond_page;

char shared_info_page[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
char console_page[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));

void arch_init(void)
{
    if (entry_start_info)
        pv_init();
    else
        hvm_init();
}
