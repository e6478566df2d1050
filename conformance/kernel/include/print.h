/*
 * Formatted text.
 *
 * Formats: %s %c %d %i %u %x %X %p %% with the lengths h, l, ll, z, t, j, a minimum width, the flags 0, -
 * and #, and for %s a precision (also *). No floating point. Everything else is printed as it stands.
 */
#ifndef XENPORT_PRINT_H
#define XENPORT_PRINT_H

#include <stdarg.h>
#include <stddef.h>

/*
 * Longest line with its newline. Xen keeps 256 bytes of a domU's line and breaks what is longer, so
 * this stays below it.
 */
#define PRINT_LINE_SIZE 240

/* Writes at most size bytes with the final zero; what does not fit is cut. Returns the bytes written
 * without the zero. */
size_t format_text_va(char *to, size_t size, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));
size_t format_text(char *to, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * One line on the console: the newline is added, and the line goes out in one console_io call, so no
 * other domain can write into it. Newlines inside the text become spaces; a line that is too long is cut.
 */
void print_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
void print_line_va(const char *format, va_list arguments) __attribute__((format(printf, 1, 0)));

/* "EINVAL" for 22; NULL for a number that not every release has. */
const char *errno_name(long number);

/*
 * An integer the way a report shows it: "5", "-22 (EINVAL)", "1048576 (0x100000)".
 * Returns `to`; NUMBER_SIZE bytes are always enough.
 */
#define NUMBER_SIZE 56
const char *number_text(char *to, size_t size, long long number);

#endif
