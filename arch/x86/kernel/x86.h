/* What the C files of this folder share. */
#ifndef XENPORT_X86_H
#define XENPORT_X86_H

#include <arch.h>

#include "layout.h"

/* vectors.S */
extern const char exception_entries[EXCEPTIONS][ENTRY_SIZE];
extern const char pv_event[], pv_failsafe[], hvm_event[];          /* pv_: x86_64 only */
extern const char hypercall_syscall[], hypercall_vmcall[], hypercall_vmmcall[];

/* head.S */
extern const struct start_info *const entry_start_info;            /* x86_64 only; NULL in an HVM guest */
extern const struct hvm_start_info *const entry_hvm_start_info;    /* NULL in a PV guest */
extern char stack_guard[PAGE_SIZE];
extern uint64_t gdt[];

/* The page that shared_info is mapped over. It has the page for itself: mapping it in an HVM guest takes
 * the memory that was there away. */
extern char shared_info_page[PAGE_SIZE];

/* The page that a PV guest maps its console ring over. */
extern char console_page[PAGE_SIZE];

/* Starts of the kinds of guest. */
void pv_init(void);
void hvm_init(void);

/* tables.c: in an HVM guest, exceptions and events enter at vectors.S, and an overflow of the stack does
 * where there is paging. */
#define EVENT_VECTOR 0x30        /* any above the exceptions */
#define VECTOR_DF 8
void load_vectors(void);
void load_event_vector(void);    /* on the second vcpu: events, and no exceptions; x86_64 only */

/* See grants.h; HVM guests use the physmap_ functions there, and 32-bit ones are all HVM guests. */
volatile void *pv_grant_table(void *page, unsigned long index);
long pv_vacate(const volatile void *page);
long pv_occupy(const volatile void *page);

/* A frame of another domain's in place of the page, until it is taken away again; 0 or an error number. */
long map_foreign(const volatile void *page, domid_t owner, xen_pfn_t frame);
void unmap_foreign(const volatile void *page);
long pv_map_foreign(const volatile void *page, domid_t owner, xen_pfn_t frame);

#endif
