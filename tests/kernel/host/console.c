/* Stands in for the kernel's console and error names where the formatting runs as a host program. */
#include <string.h>

#include <console.h>
#include <print.h>

char console_text[4096];
size_t console_size;
unsigned int console_calls;

long console_write(const char *text, size_t size)
{
    memcpy(console_text, text, size);
    console_size = size;
    console_calls++;
    return 0;
}

const char *errno_name(long number)
{
    return number == 22 ? "EINVAL" : NULL;
}
