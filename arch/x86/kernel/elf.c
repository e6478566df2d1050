/* ELF files; see elf.h. */
#include <string.h>

#include "elf.h"

#define CLASS_64_LITTLE "\177ELF\2\1"
#define NOTE_OWNER "Xen"

struct note {
    uint32_t name_size;
    uint32_t value_size;
    uint32_t type;
};

static const struct elf_header *header(const struct elf *elf)
{
    return (const struct elf_header *)elf->data;
}

static bool is_inside(const struct elf *elf, uint64_t offset, uint64_t size)
{
    return offset <= elf->size && size <= elf->size - offset;
}

bool elf_valid(const struct elf *elf)
{
    if (!is_inside(elf, 0, sizeof(struct elf_header)) ||
        memcmp(elf->data, CLASS_64_LITTLE, sizeof(CLASS_64_LITTLE) - 1) != 0 ||
        header(elf)->segment_size != sizeof(struct elf_segment) ||
        !is_inside(elf, header(elf)->segments,
                   header(elf)->segment_count * sizeof(struct elf_segment)))
        return false;
    for (const struct elf_segment *at = elf_next(elf, NULL); at; at = elf_next(elf, at)) {
        if (!is_inside(elf, at->offset, at->file_size))
            return false;
    }
    return true;
}

const struct elf_segment *elf_next(const struct elf *elf, const struct elf_segment *segment)
{
    const struct elf_segment *first =
        (const struct elf_segment *)(elf->data + header(elf)->segments);
    const struct elf_segment *next = segment ? segment + 1 : first;

    return next < first + header(elf)->segment_count ? next : NULL;
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
            note->value_size == sizeof(*value) &&
            memcmp(name, NOTE_OWNER, sizeof(NOTE_OWNER)) == 0) {
            memcpy(value, name + padded(note->name_size), sizeof(*value));
            return true;
        }
        at += whole;
        size -= whole;
    }
    return false;
}

bool elf_note(const struct elf *elf, uint32_t type, uint64_t *value)
{
    for (const struct elf_segment *at = elf_next(elf, NULL); at; at = elf_next(elf, at)) {
        if (at->type == ELF_NOTE && find_note(elf->data + at->offset, at->file_size, type, value))
            return true;
    }
    return false;
}
