/* A reader of flattened device trees: walks the tokens of the structure block each time it is asked,
 * which is fast enough for the few look-ups of a start. It never leaves the blob, whatever is in it. */

#include <fdt.h>

#include <stddef.h>

enum { MAGIC = 0xd00dfeed, OLDEST_VERSION = 16, NEWEST_COMPATIBLE = 17 };
enum { FDT_BEGIN_NODE = 1, FDT_END_NODE = 2, FDT_PROP = 3, FDT_NOP = 4, FDT_END = 9 };

/* Offsets of the header's fields. */
enum { TOTAL_SIZE = 4, STRUCTURE = 8, STRINGS = 12, VERSION = 20, LAST_COMPATIBLE = 24 };

static uint32_t word(const void *fdt, uint32_t offset)
{
    const uint8_t *p = (const uint8_t *)fdt + offset;

    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

bool fdt_valid(const void *fdt)
{
    return fdt && word(fdt, 0) == MAGIC && word(fdt, VERSION) >= OLDEST_VERSION &&
           word(fdt, LAST_COMPATIBLE) <= NEWEST_COMPATIBLE;
}

uint32_t fdt_size(const void *fdt)
{
    return word(fdt, TOTAL_SIZE);
}

/* The string at `offset`, or "" where it would run out of the blob. */
static const char *string_at(const void *fdt, uint32_t offset)
{
    for (uint32_t end = offset; end < fdt_size(fdt); end++)
        if (!((const char *)fdt)[end])
            return (const char *)fdt + offset;
    return "";
}

static uint32_t length_of(const char *s)
{
    uint32_t n = 0;

    while (s[n])
        n++;
    return n;
}

static bool equal(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

/* One token of the structure block. */
struct token {
    uint32_t kind;
    uint32_t next;              /* offset of the token after it */
    const char *name;           /* of a node, or of a property */
    uint32_t value, length;     /* of a property: offset and bytes */
};

static uint32_t aligned(uint32_t offset)
{
    return (offset + 3) & ~3u;
}

/* Reads the token at `offset`; whatever is outside the blob or not a token is the end. */
static struct token token_at(const void *fdt, uint32_t offset)
{
    struct token t = { .kind = FDT_END, .next = offset, .name = "" };
    uint32_t size = fdt_size(fdt);

    if (offset >= size || size - offset < 4)
        return t;
    switch (word(fdt, offset)) {
    case FDT_BEGIN_NODE:
        t.name = string_at(fdt, offset + 4);
        t.next = aligned(offset + 4 + length_of(t.name) + 1);
        break;
    case FDT_PROP:
        if (size - offset < 12)
            return t;
        t.length = word(fdt, offset + 4);
        t.name = string_at(fdt, word(fdt, STRINGS) + word(fdt, offset + 8));
        t.value = offset + 12;
        if (t.value > size || t.length > size - t.value)
            return t;
        t.next = aligned(t.value + t.length);
        break;
    case FDT_END_NODE:
    case FDT_NOP:
        t.next = offset + 4;
        break;
    default:
        return t;
    }
    t.kind = word(fdt, offset);
    return t;
}

/* Whether a node's name is what a part of a path, `length` bytes long, asks for. */
static bool named(const char *name, const char *part, uint32_t length)
{
    for (uint32_t i = 0; i < length; i++)
        if (name[i] != part[i])
            return false;
    return !name[length] || name[length] == '@';
}

fdt_node_t fdt_find(const void *fdt, const char *path)
{
    uint32_t depth = 0;         /* of the token looked at */
    uint32_t found = 0;         /* depth of the deepest node that matches the path so far */
    struct token t;

    for (uint32_t at = word(fdt, STRUCTURE);; at = t.next) {
        t = token_at(fdt, at);
        if (t.kind == FDT_END)
            return FDT_NONE;
        if (t.kind == FDT_END_NODE) {
            if (!depth || --depth < found)
                return FDT_NONE;
        } else if (t.kind == FDT_BEGIN_NODE && depth++ == found) {
            uint32_t length = 0;

            if (found) {
                while (path[length] && path[length] != '/')
                    length++;
                if (!named(t.name, path, length))
                    continue;
                path += length;
            }
            found++;
            while (*path == '/')
                path++;
            if (!*path)
                return at;
        }
    }
}

static bool has_string(const char *value, uint32_t length, const char *wanted)
{
    for (uint32_t start = 0, i = 0; i < length; i++)
        if (!value[i]) {
            if (equal(value + start, wanted))
                return true;
            start = i + 1;
        }
    return false;
}

fdt_node_t fdt_find_with(const void *fdt, const char *property, const char *value)
{
    fdt_node_t node = FDT_NONE;
    struct token t;

    for (uint32_t at = word(fdt, STRUCTURE);; at = t.next) {
        t = token_at(fdt, at);
        if (t.kind == FDT_END)
            return FDT_NONE;
        if (t.kind == FDT_BEGIN_NODE)
            node = at;
        if (t.kind == FDT_PROP && equal(t.name, property) &&
            has_string((const char *)fdt + t.value, t.length, value))
            return node;
    }
}

const void *fdt_property(const void *fdt, fdt_node_t node, const char *name, uint32_t *length)
{
    if (node == FDT_NONE)
        return NULL;
    for (struct token t = token_at(fdt, token_at(fdt, node).next);; t = token_at(fdt, t.next)) {
        if (t.kind != FDT_PROP && t.kind != FDT_NOP)
            return NULL;        /* a node's properties stand before its children */
        if (t.kind == FDT_PROP && equal(t.name, name)) {
            if (length)
                *length = t.length;
            return (const uint8_t *)fdt + t.value;
        }
    }
}

const char *fdt_string(const void *fdt, fdt_node_t node, const char *name)
{
    uint32_t length;
    const char *value = fdt_property(fdt, node, name, &length);

    return value && length && !value[length - 1] ? value : NULL;
}

uint64_t fdt_number(const void *fdt, fdt_node_t node, const char *name, uint32_t index,
                    uint32_t cells, uint64_t fallback)
{
    uint32_t length;
    const uint8_t *value = fdt_property(fdt, node, name, &length);
    uint64_t number = 0;

    if (!value || length / 4 / cells <= index)
        return fallback;
    for (uint32_t i = 0; i < cells; i++)
        number = number << 32 | word(value, 4 * (index * cells + i));
    return number;
}
