/* The shared console ring; see console_ring.h and io/console.h. */
#include <stdbool.h>

#include <console.h>
#include <console_ring.h>
#include <print.h>
#include <timing.h>

static XENCONS_RING_IDX load(const XENCONS_RING_IDX *index)
{
    return __atomic_load_n(index, __ATOMIC_ACQUIRE);
}

static void store(XENCONS_RING_IDX *index, XENCONS_RING_IDX value)
{
    __atomic_store_n(index, value, __ATOMIC_RELEASE);
}

static bool is_empty(struct xencons_interface *ring)
{
    return load(&ring->out_cons) == ring->out_prod;
}

void console_ring_write(struct xencons_interface *ring, const char *text, size_t size)
{
    while (size) {
        size_t part = size < sizeof(ring->out) ? size : sizeof(ring->out);
        XENCONS_RING_IDX at = ring->out_prod;

        for (size_t i = 0; i < part; i++)
            ring->out[(at + i) % sizeof(ring->out)] = text[i];
        store(&ring->out_prod, at + (XENCONS_RING_IDX)part);
        if (!WAIT_UNTIL(is_empty(ring), CONSOLE_RING_LIMIT))
            store(&ring->out_prod, load(&ring->out_cons));
        text += part;
        size -= part;
    }
}

/* ---- The supervisor's side ---- */

static char line[8 + PRINT_LINE_SIZE];
static size_t length;

static void take(char byte, domid_t domain)
{
    if (length == 0)
        length = format_text(line, sizeof(line), "(d%u) ", domain);
    line[length++] = byte;
    if (byte == '\n' || length == sizeof(line)) {
        console_write(line, length);
        length = 0;
    }
}

void console_ring_relay(struct xencons_interface *ring, domid_t domain)
{
    XENCONS_RING_IDX end = load(&ring->out_prod);
    XENCONS_RING_IDX at = ring->out_cons;

    /* The domain may write what it likes to its page: no index of its own is believed. */
    if (end - at > sizeof(ring->out))
        at = end;
    for (; at != end; at++)
        take(ring->out[at % sizeof(ring->out)], domain);
    store(&ring->out_cons, end);
}

void console_ring_end(domid_t domain)
{
    if (length)
        take('\n', domain);
}
