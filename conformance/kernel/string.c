/* Memory and string functions; see string.h. */
#include <stdint.h>

#include <string.h>

/* gcc turns such loops into calls of the very function they stand in. */
#ifdef __clang__
#define PLAIN_LOOPS
#else
#define PLAIN_LOOPS __attribute__((optimize("no-tree-loop-distribute-patterns")))
#endif

PLAIN_LOOPS void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
    unsigned char *target = to;
    const unsigned char *source = from;

    for (size_t i = 0; i < size; i++)
        target[i] = source[i];
    return to;
}

PLAIN_LOOPS void *memmove(void *to, const void *from, size_t size)
{
    unsigned char *target = to;
    const unsigned char *source = from;

    if ((uintptr_t)to <= (uintptr_t)from) {
        for (size_t i = 0; i < size; i++)
            target[i] = source[i];
    } else {
        for (size_t i = size; i-- > 0;)
            target[i] = source[i];
    }
    return to;
}

PLAIN_LOOPS void *memset(void *at, int byte, size_t size)
{
    unsigned char *target = at;

    for (size_t i = 0; i < size; i++)
        target[i] = (unsigned char)byte;
    return at;
}

int memcmp(const void *left, const void *right, size_t size)
{
    const unsigned char *one = left, *other = right;

    for (size_t i = 0; i < size; i++) {
        if (one[i] != other[i])
            return one[i] - other[i];
    }
    return 0;
}

PLAIN_LOOPS size_t strlen(const char *text)
{
    size_t length = 0;

    while (text[length])
        length++;
    return length;
}

PLAIN_LOOPS size_t strnlen(const char *text, size_t limit)
{
    size_t length = 0;

    while (length < limit && text[length])
        length++;
    return length;
}

int strncmp(const char *left, const char *right, size_t limit)
{
    for (size_t i = 0; i < limit; i++) {
        unsigned char one = (unsigned char)left[i], other = (unsigned char)right[i];

        if (one != other || !one)
            return one - other;
    }
    return 0;
}

int strcmp(const char *left, const char *right)
{
    return strncmp(left, right, SIZE_MAX);
}

bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}
