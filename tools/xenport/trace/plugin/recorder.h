/* What the architectures' hooks share. */
#ifndef RECORDER_H
#define RECORDER_H

#include "plan.h"
#include "qemu.h"

#define MAX_CPUS 64
#define NO_DOMAIN 0xffffu

/* A hypercall that is made. */
struct call {
    uint32_t number;
    uint16_t domain;        /* or NO_DOMAIN */
    uint16_t vcpu;
    uint8_t caller;         /* which of the architecture's kinds of guest, in the order of its file */
    uint64_t arguments[MAX_ARGUMENTS];

    /* By these the hooks know it again when it returns. */
    uint64_t place;         /* the program counter, or what else identifies the caller's vcpu */
    uint64_t stack;
    uint64_t space;
    uint64_t instruction;   /* for the hooks alone */

    /* The recorder's own. */
    struct call *next;
    uint64_t sequence;
    struct buffers buffers;
};

/* The hypercall is made now; read gives the guest's memory. NULL: there is no room for it. */
struct call *call_begin(const struct call *call, read_memory *read, void *guest);

/* One that has not returned. The guest is at the same place again if Xen made it call again. */
struct call *call_find(uint64_t place, uint64_t stack, uint64_t space);

/* It returned, or (continued) is made again. */
void call_end(struct call *call, uint64_t result, int continued, read_memory *read, void *guest);

/* It will not return. */
void call_drop(struct call *call);

/* One was made by a guest of another width, whose registers cannot be told here. */
void call_skipped(void);

/* Registers of the CPU that runs now, by the names that QEMU's gdbstub gives them. */
struct registers {
    const char *const *names;
    unsigned int count;
    struct qemu_plugin_register *handles[MAX_CPUS][32];
};

void registers_find(struct registers *registers, unsigned int cpu);
uint64_t register_read(const struct registers *registers, unsigned int cpu, unsigned int index);

/* Memory of the CPU that runs now, by its own page tables: a read_memory. */
size_t virtual_read(void *unused, uint64_t address, void *to, size_t size);

/* The hooks. An architecture has all three. */
struct hooks {
    const char *target; /* QEMU's name of it */
    void (*init)(unsigned int cpu);
    void (*translate)(struct qemu_plugin_tb *tb);
};

extern const struct hooks x86_hooks, arm64_hooks, arm32_hooks;

#endif
