/* Parts of the domain builder; see builder.c. */
#ifndef XENPORT_X86_BUILDER_H
#define XENPORT_X86_BUILDER_H

#include <stdbool.h>
#include <stdint.h>

#include <domctl.h>
#include <xen.h>

#include "elf.h"

#define DOMAIN_PAGES 4096          /* 16 MiB */

/* A range of a domain's memory, as in the memory map of a PC BIOS. */
struct __attribute__((packed)) memory_range {
    uint64_t address;
    uint64_t size;
    uint32_t type;
};

#define MEMORY_RAM 1
#define MEMORY_RESERVED 2

/* RAM, the page of the console ring, RAM. */
#define MEMORY_RANGES 3

/* A domain that is being built. Its memory is pages 0 to DOMAIN_PAGES - 1; an address is that of memory. */
struct domain {
    domid_t id;
    struct elf kernel;
    const char *command_line;
    unsigned long next_page;       /* the first that is not in use */
    unsigned long console_page;
    struct memory_range memory[MEMORY_RANGES];
    xen_pfn_t frames[DOMAIN_PAGES];    /* the number that stands for a page in hypercalls about it */
};

/* A request to domctl for the domain, all zero but for its head; good until the next one. */
struct xen_domctl *domain_request(const struct domain *domain, uint32_t command);

/*
 * True if rc, the result of a step, is none of an error; else says on the console that the domain cannot
 * be built, and why.
 */
bool domain_step(const char *what, long rc);

/* Makes a frame of the domain visible at `window`, a page of this kernel; 0 or an error number. */
long domain_map(const struct domain *domain, void *window, xen_pfn_t frame);

/* Takes that away again. */
long domain_unmap(const void *window);

/* Copies to the domain's memory; zeroes instead with data NULL. */
bool domain_write(const struct domain *domain, uint64_t address, const void *data, size_t size);

/* Zeroes `count` pages that follow each other, which nobody uses so far; returns the first one's number. */
bool domain_take_pages(struct domain *domain, unsigned long count, unsigned long *first);

/*
 * The kinds of domain: what its creation asks for; what has to be there before memory; and, with the
 * kernel in memory, all else that the guest is handed.
 */
struct domain_kind {
    const char *name;
    uint32_t flags;                /* XEN_DOMCTL_CDF_ */
    uint32_t emulation_flags;      /* XEN_X86_EMU_ */
    bool (*prepare)(const struct domain *domain);
    bool (*finish)(struct domain *domain);
};

bool builder_pv_prepare(const struct domain *domain);
bool builder_pv_finish(struct domain *domain);
bool builder_hvm_prepare(const struct domain *domain);
bool builder_hvm_finish(struct domain *domain);

#endif
