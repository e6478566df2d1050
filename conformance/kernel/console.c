/* The console: CONSOLEIO_write; see console.h. */
#include <console.h>
#include <hypercall.h>

long console_write(const char *text, size_t size)
{
    return hypercall_console_io(CONSOLEIO_write, (unsigned int)size, text);
}
