/* ELF files of 64-bit kernels: what a domain builder reads of one. */
#ifndef XENPORT_X86_ELF_H
#define XENPORT_X86_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct elf_header {
    uint8_t ident[16];
    uint16_t type;
    uint16_t machine;
    uint32_t version;
    uint64_t entry;
    uint64_t segments;           /* offset of the program headers */
    uint64_t sections;
    uint32_t flags;
    uint16_t header_size;
    uint16_t segment_size;
    uint16_t segment_count;
    uint16_t section_size;
    uint16_t section_count;
    uint16_t section_names;
};

#define ELF_LOAD 1
#define ELF_NOTE 4

struct elf_segment {
    uint32_t type;               /* ELF_LOAD, ELF_NOTE or another */
    uint32_t flags;
    uint64_t offset;             /* in the file */
    uint64_t virtual_address;
    uint64_t physical_address;
    uint64_t file_size;
    uint64_t memory_size;
    uint64_t alignment;
};

/* A file in memory. */
struct elf {
    const char *data;
    size_t size;
};

/* Whether it is a 64-bit little-endian ELF file whose segments all lie in it. */
bool elf_valid(const struct elf *elf);

/* The segment after `segment`, the first after NULL; NULL after the last. */
const struct elf_segment *elf_next(const struct elf *elf, const struct elf_segment *segment);

/* The number in Xen's note `type` (XEN_ELFNOTE_, elfnote.h); false if there is no such note. */
bool elf_note(const struct elf *elf, uint32_t type, uint64_t *value);

#endif
