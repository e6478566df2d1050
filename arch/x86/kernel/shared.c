/* What the starts of all kinds of guest set up. */
#include "x86.h"

const void *hypercall_beyond_page;

char shared_info_page[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
