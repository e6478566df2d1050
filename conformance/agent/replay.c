/*
 * The agent that replays a trace: it makes the hypercalls that the tool has linked into it, one after the
 * other, and prints what came back where that is not what was recorded. tools/xenport/trace/replay/ has the
 * other side; the structures here are the format between them.
 *
 *     @TOKEN r INDEX RESULT              a call whose result or memory is different
 *     @TOKEN b INDEX BUFFER OFFSET HEX   bytes of that call's memory that are
 *     @TOKEN p INDEX                     all calls before this one are done
 *     @TOKEN end COUNT                   all of them are
 *
 * TOKEN is the number `token=` of the command line: the calls may write to the console what they like.
 */
#include <arch.h>
#include <boot.h>
#include <hypercall.h>
#include <print.h>
#include <sched.h>
#include <string.h>
#include <test.h>

#define ARENA_SIZE (256 * 1024)
#define POOL_PAGES 128
#define MOST_PORTS 8192
#define PROGRESS 64          /* calls from one @p to the next */
#define LINE_BYTES 96        /* in one @b */
#define JOINED_GAP 16        /* equal bytes that are printed rather than begin another line */

/* What stands in a call for something that has another number or address here. */
enum kind {
    ADDRESS,   /* of a byte of the call's memory */
    PAGE,      /* address of a byte of the pool */
    NOWHERE,   /* an address at which nothing is */
    PORT,      /* an event channel that the trace knows by this number */
    FRAME,     /* the number of a page of the pool */
    NEW_PORT,  /* Xen writes a port there, which the trace knows by this number */
};

#define IN_ARGUMENTS 0xFF

struct place {
    uint8_t kind;
    uint8_t size;      /* bytes of the number */
    uint8_t buffer;    /* whose memory it is in; IN_ARGUMENTS */
    uint8_t reserved;
    uint32_t offset;   /* bytes from the start of the buffer; index of the argument */
    uint64_t value;
};

struct buffer {
    uint32_t at;       /* offset in the arena */
    uint32_t size;
    uint32_t compared; /* the bytes that are expected afterwards follow those before */
    uint32_t reserved;
};

/* Followed by the buffers, the places, and the bytes of each buffer; each starts at a multiple of 8. */
struct call {
    uint32_t size;     /* of all of it */
    uint32_t index;
    uint32_t number;
    uint16_t buffers;
    uint16_t places;
    int64_t result;
    uint64_t arguments[5];
};

extern const char xenport_data[], xenport_data_end[];

static char arena[ARENA_SIZE] __attribute__((aligned(4096)));
static char pool[POOL_PAGES * 4096] __attribute__((aligned(4096)));
static unsigned long token;
static uint32_t live_ports[MOST_PORTS]; /* by the trace's numbers; 0: it has none */

static size_t padded(size_t size)
{
    return (size + 7) & ~(size_t)7;
}

/* The trace's buffers may be anywhere, so numbers in them may be unaligned. */
static uint64_t get_number(const char *from, unsigned int size)
{
    uint8_t byte;
    uint16_t half;
    uint32_t word;
    uint64_t number;

    switch (size) {
    case 1: memcpy(&byte, from, 1); return byte;
    case 2: memcpy(&half, from, 2); return half;
    case 4: memcpy(&word, from, 4); return word;
    default: memcpy(&number, from, 8); return number;
    }
}

static void put_number(char *to, unsigned int size, uint64_t value)
{
    uint8_t byte = (uint8_t)value;
    uint16_t half = (uint16_t)value;
    uint32_t word = (uint32_t)value;

    switch (size) {
    case 1: memcpy(to, &byte, 1); break;
    case 2: memcpy(to, &half, 2); break;
    case 4: memcpy(to, &word, 4); break;
    default: memcpy(to, &value, 8); break;
    }
}

/* What stands here for what the trace has at the place. */
static uint64_t live_value(const struct place *place)
{
    switch (place->kind) {
    case ADDRESS: return arch_guest_address(arena + place->value);
    case PAGE: return arch_guest_address(pool + place->value);
    case NOWHERE: return arch_guest_address((char *)arch_unmapped_pointer() + place->value);
    case FRAME: return arch_frame(pool + place->value * 4096);
    default:
        if (place->value < MOST_PORTS && live_ports[place->value])
            return live_ports[place->value];
        return place->value;
    }
}

/* A call under way. */
struct work {
    const struct call *call;
    const struct buffer *buffers;
    const struct place *places;
    const char *bytes;   /* those of the first buffer */
    unsigned long arguments[5];
};

static void start(struct work *work, const struct call *call)
{
    const char *bytes;

    work->call = call;
    work->buffers = (const struct buffer *)(call + 1);
    work->places = (const struct place *)(work->buffers + call->buffers);
    work->bytes = bytes = (const char *)(work->places + call->places);
    for (unsigned int i = 0; i < 5; i++)
        work->arguments[i] = (unsigned long)call->arguments[i];
    for (unsigned int i = 0; i < call->buffers; i++) {
        const struct buffer *buffer = &work->buffers[i];

        memcpy(arena + buffer->at, bytes, buffer->size);
        bytes += padded(buffer->size) * (buffer->compared ? 2 : 1);
    }
    for (unsigned int i = 0; i < call->places; i++) {
        const struct place *place = &work->places[i];

        if (place->kind == NEW_PORT)
            continue;
        if (place->buffer == IN_ARGUMENTS)
            work->arguments[place->offset] = (unsigned long)live_value(place);
        else
            put_number(arena + work->buffers[place->buffer].at + place->offset, place->size,
                       live_value(place));
    }
}

/* Where the bytes of the buffer are that were there before. */
static const char *recorded(const struct work *work, unsigned int index)
{
    const char *bytes = work->bytes;

    for (unsigned int i = 0; i < index; i++)
        bytes += padded(work->buffers[i].size) * (work->buffers[i].compared ? 2 : 1);
    return bytes;
}

/* The trace's numbers again in place of those that hold here. */
static void translate_back(const struct work *work, long result)
{
    for (unsigned int i = 0; i < work->call->places; i++) {
        const struct place *place = &work->places[i];
        char *at;

        if (place->buffer == IN_ARGUMENTS)
            continue;
        at = arena + work->buffers[place->buffer].at + place->offset;
        if (place->kind == NEW_PORT) {
            uint64_t port = get_number(at, place->size);

            if (result < 0 || !port || place->value >= MOST_PORTS)
                continue;
            live_ports[place->value] = (uint32_t)port;
            put_number(at, place->size, place->value);
        } else {
            uint64_t mask = place->size == 8 ? ~0ull : (1ull << 8 * place->size) - 1;

            if (get_number(at, place->size) == (live_value(place) & mask))
                put_number(at, place->size,
                           get_number(recorded(work, place->buffer) + place->offset, place->size));
        }
    }
}

static void print_bytes(uint32_t index, unsigned int buffer, size_t offset, const char *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    char text[2 * LINE_BYTES + 1];

    for (size_t i = 0; i < size; i++) {
        text[2 * i] = digits[(uint8_t)bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    text[2 * size] = '\0';
    print_line("@%lu b %u %u %zu %s", token, index, buffer, offset, text);
}

/* Prints the bytes that are not the expected ones, or only says whether there are any. */
static bool differs(const struct work *work, unsigned int index, bool prints)
{
    const struct buffer *buffer = &work->buffers[index];
    const char *now = arena + buffer->at;
    const char *expected = recorded(work, index) + padded(buffer->size);
    bool found = false;

    for (size_t first = 0; first < buffer->size; first++) {
        size_t last = first, size = 0;

        if (now[first] == expected[first])
            continue;
        found = true;
        if (!prints)
            return true;
        for (; last < buffer->size && last - first < LINE_BYTES; last++) {
            if (now[last] != expected[last])
                size = last - first + 1;
            else if (last - first - size >= JOINED_GAP)
                break;
        }
        print_bytes(work->call->index, index, first, now + first, size);
        first += size - 1;
    }
    return found;
}

static void finish(const struct work *work, long result)
{
    const struct call *call = work->call;
    bool same = result == (long)call->result;

    translate_back(work, result);
    for (unsigned int i = 0; same && i < call->buffers; i++)
        same = !work->buffers[i].compared || !differs(work, i, false);
    if (same)
        return;
    print_line("@%lu r %u %ld", token, call->index, result);
    for (unsigned int i = 0; i < call->buffers; i++) {
        if (work->buffers[i].compared)
            differs(work, i, true);
    }
}

static struct vcpu_info last_info;

/*
 * The guest of the trace begins without what the runtime has mapped, and may take it away. The runtime
 * reads the clock by what was there last.
 */
static void give_back_shared_info(void)
{
    struct xen_remove_from_physmap remove = {.domid = DOMID_SELF};

    if (!boot_info.shared_info)
        return;
    last_info = *boot_info.vcpu_info;
    boot_info.vcpu_info = &last_info;
    if (!boot_info.start_info) {
        remove.gpfn = arch_frame(boot_info.shared_info);
        hypercall_memory_op(XENMEM_remove_from_physmap, &remove);
    }
}

TEST(replay, ENTER, "the calls of a trace are made")
{
    unsigned int count = 0;
    struct work work;

    command_line_number("token", &token);
    arch_events_disable();
    give_back_shared_info();
    for (const char *at = xenport_data; at < xenport_data_end; count++) {
        const struct call *call = (const struct call *)at;

        if (count % PROGRESS == 0)
            print_line("@%lu p %u", token, call->index);
        start(&work, call);
        finish(&work, arch_hypercall(call->number, work.arguments[0], work.arguments[1],
                                     work.arguments[2], work.arguments[3], work.arguments[4]));
        at += call->size;
    }
    print_line("@%lu end %u", token, count);
    /* The runtime may have lost what it works with. */
    boot_shutdown(SHUTDOWN_poweroff);
}
