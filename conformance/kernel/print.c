/* Formatted text, and lines of it on the console; see print.h. */
#include <stdbool.h>
#include <stdint.h>

#include <console.h>
#include <print.h>
#include <string.h>

/* Where formatted text goes: a buffer that takes what fits. */
struct sink {
    char *next;
    char *end;   /* room for the final zero starts here */
};

/* One conversion of a format: %[flags][width][.precision][length]letter */
struct conversion {
    bool left, zeros, prefixed;
    unsigned int width;
    int precision;       /* characters of a string at most; -1: all of it */
    unsigned int longs;  /* 0: int, 1: long, 2: long long */
    bool size;           /* z: size_t and its like */
};

static void put(struct sink *sink, char byte)
{
    if (sink->next < sink->end)
        *sink->next++ = byte;
}

static void put_padded(struct sink *sink, const struct conversion *how, const char *text, size_t length)
{
    size_t padding = how->width > length ? how->width - length : 0;

    if (!how->left) {
        for (; padding; padding--)
            put(sink, ' ');
    }
    for (size_t i = 0; i < length; i++)
        put(sink, text[i]);
    for (; padding; padding--)
        put(sink, ' ');
}

static void put_number(struct sink *sink, const struct conversion *how, unsigned long long value,
                       unsigned int base, const char *prefix, bool capitals)
{
    const char *letters = capitals ? "0123456789ABCDEF" : "0123456789abcdef";
    char text[72];  /* a prefix and at most 64 characters */
    char *const end = text + sizeof(text);
    char *at = end;
    size_t before = strlen(prefix);

    do {
        *--at = letters[value % base];
        value /= base;
    } while (value);
    if (how->zeros && !how->left) {
        while ((size_t)(end - at) + before < how->width && at > text + 2)
            *--at = '0';
    }
    while (before)
        *--at = prefix[--before];
    put_padded(sink, how, at, (size_t)(end - at));
}

static unsigned int parse_number(const char **format)
{
    unsigned int number = 0;

    for (; **format >= '0' && **format <= '9'; (*format)++)
        number = number * 10 + (unsigned int)(**format - '0');
    return number;
}

/* Returns where the letter is. A precision of * stays -1 and is for the caller to fetch. */
static const char *parse(const char *format, struct conversion *how, bool *star)
{
    *how = (struct conversion){.precision = -1};
    *star = false;
    for (;; format++) {
        if (*format == '-')
            how->left = true;
        else if (*format == '0')
            how->zeros = true;
        else if (*format == '#')
            how->prefixed = true;
        else
            break;
    }
    how->width = parse_number(&format);
    if (*format == '.') {
        format++;
        *star = *format == '*';
        if (*star)
            format++;
        else
            how->precision = (int)parse_number(&format);
    }
    for (;; format++) {
        if (*format == 'l')
            how->longs++;
        else if (*format == 'j')
            how->longs = 2;
        else if (*format == 'z' || *format == 't')
            how->size = true;
        else if (*format != 'h')   /* short and char are passed as int */
            return format;
    }
}

size_t format_text_va(char *to, size_t size, const char *format, va_list arguments)
{
    struct sink sink = {to, to + (size ? size - 1 : 0)};
    va_list rest;

    va_copy(rest, arguments);
    for (; *format; format++) {
        struct conversion how;
        bool star;

        if (*format != '%') {
            put(&sink, *format);
            continue;
        }
        format = parse(format + 1, &how, &star);
        if (star)
            how.precision = va_arg(rest, int);
        switch (*format) {
        case 'd':
        case 'i': {
            long long value = how.size ? va_arg(rest, ptrdiff_t)
                              : how.longs > 1 ? va_arg(rest, long long)
                              : how.longs     ? va_arg(rest, long)
                                              : va_arg(rest, int);
            unsigned long long magnitude = (unsigned long long)value;

            put_number(&sink, &how, value < 0 ? 0 - magnitude : magnitude, 10, value < 0 ? "-" : "",
                       false);
            break;
        }
        case 'u':
        case 'x':
        case 'X': {
            unsigned long long value = how.size ? va_arg(rest, size_t)
                                       : how.longs > 1 ? va_arg(rest, unsigned long long)
                                       : how.longs     ? va_arg(rest, unsigned long)
                                                       : va_arg(rest, unsigned int);

            put_number(&sink, &how, value, *format == 'u' ? 10 : 16,
                       how.prefixed && *format != 'u' ? "0x" : "", *format == 'X');
            break;
        }
        case 'p':
            put_number(&sink, &how, (uintptr_t)va_arg(rest, void *), 16, "0x", false);
            break;
        case 'c': {
            char byte = (char)va_arg(rest, int);

            put_padded(&sink, &how, &byte, 1);
            break;
        }
        case 's': {
            const char *text = va_arg(rest, const char *);

            if (!text)
                text = "(null)";
            put_padded(&sink, &how, text,
                       how.precision < 0 ? strlen(text) : strnlen(text, (size_t)how.precision));
            break;
        }
        case '%':
            put(&sink, '%');
            break;
        default:
            put(&sink, '%');
            if (!*format)
                format--;   /* a lone % at the end: the loop stops at the zero */
            else
                put(&sink, *format);
        }
    }
    va_end(rest);
    if (size)
        *sink.next = '\0';
    return (size_t)(sink.next - to);
}

size_t format_text(char *to, size_t size, const char *format, ...)
{
    va_list arguments;
    size_t length;

    va_start(arguments, format);
    length = format_text_va(to, size, format, arguments);
    va_end(arguments);
    return length;
}

void print_line_va(const char *format, va_list arguments)
{
    char line[PRINT_LINE_SIZE];
    size_t length = format_text_va(line, sizeof(line), format, arguments);

    for (size_t i = 0; i < length; i++) {
        if (line[i] == '\n')
            line[i] = ' ';
    }
    line[length++] = '\n';   /* in place of the final zero */
    console_write(line, length);
}

void print_line(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    print_line_va(format, arguments);
    va_end(arguments);
}

const char *number_text(char *to, size_t size, long long number)
{
    const char *name = number < 0 && number > -4096 ? errno_name((long)-number) : NULL;

    if (name)
        format_text(to, size, "%lld (%s)", number, name);
    else if (number >= 4096 || number <= -4096)
        format_text(to, size, "%lld (0x%llx)", number, (unsigned long long)number);
    else
        format_text(to, size, "%lld", number);
    return to;
}
