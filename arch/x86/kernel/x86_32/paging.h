/* Paging of a 32-bit guest. */
#ifndef XENPORT_X86_32_PAGING_H
#define XENPORT_X86_32_PAGING_H

/*
 * Turns on the paging that the command line names: paging=pse, page directory and page tables with 32-bit
 * entries, or paging=pae, with 64-bit entries and a level above them. Without the word there is no paging.
 *
 * Memory is mapped one to one, page 0 and the page below the stack are left out.
 */
void start_paging(void);

/* tables.c: takes CR3, now and whenever a double fault is taken. */
void use_page_tables(unsigned long cr3);

#endif
