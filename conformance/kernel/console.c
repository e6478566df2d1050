/* The console: a shared ring, or CONSOLEIO_write; see console.h. */
#include <boot.h>
#include <console.h>
#include <console_ring.h>
#include <hypercall.h>

long console_write(const char *text, size_t size)
{
    if (boot_info.console) {
        console_ring_write(boot_info.console, text, size);
        return 0;
    }
    return hypercall_console_io(CONSOLEIO_write, (unsigned int)size, text);
}
