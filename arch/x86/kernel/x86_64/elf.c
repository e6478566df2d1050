/* ELF files; see elf.h. */
#include <string.h>

#include "elf.h"

#define CLASS_32_LITTLE "\177ELF\1\1"
#define CLASS_64_LITTLE "\177ELF\2\1"
#define NOTE_OWNER "Xen"

/* What the two classes have in common, and what is of the width of an address in each. */
#define HEADER(name, address)                                                                      \
    struct name {                                                                                  \
        uint8_t ident[16];                                                                         \
        uint16_t type, machine;                                                                    \
        uint32_t version;                                                                          \
        address entry, segments, sections;       /* segments: offset of the program headers */     \
        uint32_t flags;                                                                            \
        uint16_t header_size, segment_size, segment_count, section_size, section_count, names;     \
    }

HEADER(header32, uint32_t);
HEADER(header64, uint64_t);

struct segment32 {
    uint32_t type, offset, virtual_address, physical_address, file_size, memory_size, flags, alignment;
};

struct segment64 {
    uint32_t type, flags;
    uint64_t offset, virtual_address, physical_address, file_size, memory_size, alignment;
};

struct note {
    uint32_t name_size;
    uint32_t value_size;
    uint32_t type;
};

static bool is_inside(const struct elf *elf, uint64_t offset, uint64_t size)
{
    return offset <= elf->size && size <= elf->size - offset;
}

static bool is_class(const struct elf *elf, const char *start)
{
    return is_inside(elf, 0, sizeof(struct header64)) && memcmp(elf->data, start, strlen(start)) == 0;
}

bool elf_segment(const struct elf *elf, unsigned int index, struct elf_segment *segment)
{
#define TAKE(header, entry)                                                                        \
    const struct header *file = (const struct header *)elf->data;                                  \
    uint64_t at = file->segments + (uint64_t)index * sizeof(struct entry);                         \
    const struct entry *from = (const struct entry *)(elf->data + at);                             \
                                                                                                   \
    if (index >= file->segment_count || file->segment_size != sizeof(*from) ||                     \
        !is_inside(elf, at, sizeof(*from)))                                                        \
        return false;                                                                              \
    *segment = (struct elf_segment){                                                               \
        from->type, from->offset, from->physical_address, from->file_size, from->memory_size,      \
    }

    if (is_class(elf, CLASS_64_LITTLE)) {
        TAKE(header64, segment64);
    } else {
        TAKE(header32, segment32);
    }
    return true;
#undef TAKE
}

bool elf_valid(const struct elf *elf)
{
    struct elf_segment segment;
    unsigned int count = 0;

    if (!is_class(elf, CLASS_64_LITTLE) && !is_class(elf, CLASS_32_LITTLE))
        return false;
    while (elf_segment(elf, count, &segment)) {
        if (!is_inside(elf, segment.offset, segment.file_size))
            return false;
        count++;
    }
    return count > 0;
}

/* Names and values are padded to 4 bytes. */
static size_t padded(uint32_t size)
{
    return ((size_t)size + 3) & ~(size_t)3;
}

static bool find_note(const char *at, size_t size, uint32_t type, uint64_t *value)
{
    while (size >= sizeof(struct note)) {
        const struct note *note = (const struct note *)at;
        const char *name = at + sizeof(*note);
        size_t whole = sizeof(*note) + padded(note->name_size) + padded(note->value_size);

        if (whole > size)
            return false;
        if (note->type == type && note->name_size == sizeof(NOTE_OWNER) &&
            note->value_size <= sizeof(*value) &&
            memcmp(name, NOTE_OWNER, sizeof(NOTE_OWNER)) == 0) {
            *value = 0;
            memcpy(value, name + padded(note->name_size), note->value_size);
            return true;
        }
        at += whole;
        size -= whole;
    }
    return false;
}

bool elf_note(const struct elf *elf, uint32_t type, uint64_t *value)
{
    struct elf_segment segment;

    for (unsigned int i = 0; elf_segment(elf, i, &segment); i++) {
        if (segment.type == ELF_NOTE &&
            find_note(elf->data + segment.offset, segment.file_size, type, value))
            return true;
    }
    return false;
}
