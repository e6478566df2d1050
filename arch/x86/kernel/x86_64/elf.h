/* ELF files of x86 kernels, 64-bit and 32-bit ones: what a domain builder reads of one. */
#ifndef XENPORT_X86_ELF_H
#define XENPORT_X86_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ELF_LOAD 1
#define ELF_NOTE 4

struct elf_segment {
    uint32_t type;               /* ELF_LOAD, ELF_NOTE or another */
    uint64_t offset;             /* in the file */
    uint64_t physical_address;
    uint64_t file_size;
    uint64_t memory_size;
};

/* A file in memory. */
struct elf {
    const char *data;
    size_t size;
};

/* Whether it is a little-endian ELF file whose segments all lie in it. */
bool elf_valid(const struct elf *elf);

/* Segment number `index`, from 0; false behind the last. */
bool elf_segment(const struct elf *elf, unsigned int index, struct elf_segment *segment);

/* The number in Xen's note `type` (XEN_ELFNOTE_, elfnote.h); false if there is no such note. */
bool elf_note(const struct elf *elf, uint32_t type, uint64_t *value);

#endif
