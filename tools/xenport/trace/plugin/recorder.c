/*
 * Records hypercalls with the memory that they reach, while QEMU runs a hypervisor and its guests.
 *
 *     -plugin recorder.so,plan=FILE,out=DESCRIPTOR
 *
 * The stream on the descriptor is little-endian; tools/xenport/trace/stream.py reads it and has the
 * same structures. An entry is followed by its buffers, each with its bytes; a return by the bytes
 * of the same buffers, where they are others than before. A tick says how late it is.
 */
#include "recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { ENTRY = 1, RETURN, SKIPPED, TICK };
enum { UNREADABLE = 0xffffffff, UNCHANGED = 0xfffffffe };
enum { MAX_PENDING = 1024, OUT_SIZE = 1 << 16, FLUSH_MS = 100, PAGE = 4096 };

struct entry {
    uint8_t kind, caller;
    uint16_t buffers;
    uint32_t number;
    uint64_t sequence, time;
    uint16_t domain, vcpu;
    uint32_t unused;
    uint64_t arguments[MAX_ARGUMENTS];
} __attribute__((packed));

struct entry_buffer {
    uint64_t address;
    uint32_t got, index;
    uint16_t name, parent;
} __attribute__((packed));

struct end {
    uint8_t kind, continued;
    uint16_t buffers;
    uint32_t unused;
    uint64_t sequence, time, result;
} __attribute__((packed));

EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

static const struct hooks *hooks;
static int64_t *plan;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of all that follows */
static int out = -1;
static uint8_t pending_out[OUT_SIZE];
static size_t pending_size;
static struct call *pending, *unused;
static unsigned int allocated;
static uint64_t sequence, skipped;
static struct timespec start;

/* ---- The stream ---- */

static void flush(void)
{
    const uint8_t *at = pending_out;

    while (pending_size && out >= 0) {
        ssize_t done = write(out, at, pending_size);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0) {
            out = -1; /* nobody listens any more */
            break;
        }
        at += done;
        pending_size -= done;
    }
    pending_size = 0;
}

static void put(const void *data, size_t size)
{
    while (size) {
        size_t some = OUT_SIZE - pending_size < size ? OUT_SIZE - pending_size : size;

        memcpy(pending_out + pending_size, data, some);
        pending_size += some;
        data = (const uint8_t *)data + some;
        size -= some;
        if (pending_size == OUT_SIZE)
            flush();
    }
}

static uint64_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (time.tv_sec - start.tv_sec) * 1000000000ull + time.tv_nsec - start.tv_nsec;
}

/* What the guests did is out soon, even if they do nothing more. */
static void *flush_now_and_then(void *nothing)
{
    const struct timespec pause = {.tv_nsec = FLUSH_MS * 1000000L};

    for (;;) {
        nanosleep(&pause, NULL);
        pthread_mutex_lock(&lock);
        const struct end tick = {.kind = TICK, .time = now()};
        put(&tick, sizeof(tick));
        flush();
        pthread_mutex_unlock(&lock);
    }
    return nothing;
}

/* ---- Hypercalls ---- */

struct call *call_begin(const struct call *made, read_memory *read, void *guest)
{
    pthread_mutex_lock(&lock);
    struct call *call = unused;
    if (call)
        unused = call->next;
    else if (allocated < MAX_PENDING && (call = malloc(sizeof(*call))))
        allocated++;
    if (call) {
        memcpy(call, made, offsetof(struct call, next));
        call->sequence = sequence++;
        call->buffers.count = 0;
        call->next = pending;
        pending = call;
        plan_run(plan, call->number, call->arguments, read, guest, &call->buffers);

        struct entry entry = {
            .kind = ENTRY, .caller = call->caller, .buffers = call->buffers.count,
            .number = call->number, .sequence = call->sequence, .time = now(),
            .domain = call->domain, .vcpu = call->vcpu,
        };
        memcpy(entry.arguments, call->arguments, sizeof(entry.arguments));
        put(&entry, sizeof(entry));
        for (unsigned int i = 0; i < call->buffers.count; i++) {
            const struct buffer *buffer = &call->buffers.list[i];
            const struct entry_buffer head = {
                .address = buffer->address, .got = buffer->got ? buffer->got : UNREADABLE,
                .index = buffer->index, .name = buffer->name, .parent = buffer->parent,
            };
            put(&head, sizeof(head));
            put(buffer->content, buffer->got);
        }
    }
    pthread_mutex_unlock(&lock);
    return call;
}

struct call *call_find(uint64_t place, uint64_t stack, uint64_t space)
{
    pthread_mutex_lock(&lock);
    struct call *call = pending;
    while (call && !(call->place == place && call->stack == stack && call->space == space))
        call = call->next;
    pthread_mutex_unlock(&lock);
    return call;
}

static void forget(struct call *call)
{
    plan_free(&call->buffers);
    for (struct call **link = &pending; *link; link = &(*link)->next)
        if (*link == call) {
            *link = call->next;
            break;
        }
    call->next = unused;
    unused = call;
}

void call_end(struct call *call, uint64_t result, int continued, read_memory *read, void *guest)
{
    static uint8_t *content; /* of a buffer as it is now */

    pthread_mutex_lock(&lock);
    const struct end end = {
        .kind = RETURN, .continued = continued, .buffers = call->buffers.count,
        .sequence = call->sequence, .time = now(), .result = result,
    };
    put(&end, sizeof(end));
    if (!content)
        content = malloc(MAX_SIZE);
    for (unsigned int i = 0; i < call->buffers.count; i++) {
        const struct buffer *buffer = &call->buffers.list[i];
        size_t got = content ? read(guest, buffer->address, content, buffer->size) : 0;
        uint32_t size = got ? got : UNREADABLE;

        if (got && got == buffer->got && !memcmp(content, buffer->content, got)) {
            size = UNCHANGED;
            got = 0;
        }
        put(&size, sizeof(size));
        put(content, got);
    }
    forget(call);
    pthread_mutex_unlock(&lock);
}

void call_drop(struct call *call)
{
    pthread_mutex_lock(&lock);
    forget(call);
    pthread_mutex_unlock(&lock);
}

void call_skipped(void)
{
    pthread_mutex_lock(&lock);
    skipped++;
    pthread_mutex_unlock(&lock);
}

/* ---- Registers and memory ---- */

void registers_find(struct registers *registers, unsigned int cpu)
{
    GArray *all = qemu_plugin_get_registers();
    const qemu_plugin_reg_descriptor *list = (const void *)all->data;

    for (unsigned int i = 0; cpu < MAX_CPUS && i < registers->count; i++)
        for (unsigned int k = 0; k < all->len; k++)
            if (!strcmp(registers->names[i], list[k].name)) {
                registers->handles[cpu][i] = list[k].handle;
                break;
            }
}

static GByteArray *scratch(void)
{
    static __thread GByteArray *array;

    return array ? array : (array = g_byte_array_new());
}

uint64_t register_read(const struct registers *registers, unsigned int cpu, unsigned int index)
{
    GByteArray *array = scratch();
    uint64_t value = 0;

    array->len = 0; /* what is read is appended */
    if (registers->handles[cpu][index]) {
        int size = qemu_plugin_read_register(registers->handles[cpu][index], array);
        if (size > 0)
            memcpy(&value, array->data, (size_t)size < sizeof(value) ? size : sizeof(value));
    }
    return value;
}

size_t virtual_read(void *unused_context, uint64_t address, void *to, size_t size)
{
    GByteArray *array = scratch();
    size_t done = 0;

    (void)unused_context;
    while (done < size) {
        size_t some = PAGE - (address + done) % PAGE;

        if (some > size - done)
            some = size - done;
        if (!qemu_plugin_read_memory_vaddr(address + done, array, some))
            break;
        memcpy((uint8_t *)to + done, array->data, some);
        done += some;
    }
    return done;
}

/* ---- The plugin ---- */

static void on_init(qemu_plugin_id_t id, unsigned int cpu)
{
    (void)id;
    hooks->init(cpu);
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

    (void)id;
    pthread_mutex_lock(&one_at_a_time);
    hooks->translate(tb);
    pthread_mutex_unlock(&one_at_a_time);
}

static void at_exit(qemu_plugin_id_t id, void *data)
{
    (void)id;
    (void)data;
    pthread_mutex_lock(&lock);
    const struct end end = {.kind = SKIPPED, .result = skipped};
    put(&end, sizeof(end));
    flush();
    pthread_mutex_unlock(&lock);
}

static int64_t *read_whole(const char *path)
{
    struct stat status;
    int file = open(path, O_RDONLY);
    int64_t *content = NULL;

    if (file >= 0 && !fstat(file, &status) && (content = malloc(status.st_size + 8)) &&
        pread(file, content, status.st_size, 0) != status.st_size)
        content = NULL;
    return content;
}

EXPORT int qemu_plugin_install(
    qemu_plugin_id_t id, const qemu_info_t *info, int count, char **arguments)
{
    static const struct hooks *const known[] = {&x86_hooks, &arm64_hooks, &arm32_hooks};
    pthread_t thread;

    for (int i = 0; i < count; i++) {
        if (!strncmp(arguments[i], "plan=", 5))
            plan = read_whole(arguments[i] + 5);
        else if (!strncmp(arguments[i], "out=", 4))
            out = atoi(arguments[i] + 4);
    }
    for (unsigned int i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (!strcmp(known[i]->target, info->target_name))
            hooks = known[i];
    if (!plan || out < 0 || !hooks) {
        fprintf(stderr, "recorder: needs plan=FILE and out=DESCRIPTOR, and x86_64 or Arm\n");
        return -1;
    }
    clock_gettime(CLOCK_MONOTONIC, &start);
    if (pthread_create(&thread, NULL, flush_now_and_then, NULL))
        return -1;
    qemu_plugin_register_vcpu_init_cb(id, on_init);
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
    qemu_plugin_register_atexit_cb(id, at_exit, NULL);
    return 0;
}
