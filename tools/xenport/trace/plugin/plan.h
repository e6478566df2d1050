/*
 * Finds the memory that a hypercall reaches, by a plan that tools/xenport/trace/plan.py makes of
 * abi/: all knowledge of hypercalls is there.
 */
#ifndef RECORDER_PLAN_H
#define RECORDER_PLAN_H

#include <stddef.h>
#include <stdint.h>

#define MAX_ARGUMENTS 6
#define MAX_BUFFERS 1024        /* of a hypercall */
#define MAX_SIZE (1u << 20)     /* bytes of a buffer */
#define NO_PARENT 0xffffu
#define NO_INDEX 0xffffffffu

/* Copies what it can of ``size`` bytes at ``address`` of the guest; how many bytes these were. */
typedef size_t read_memory(void *guest, uint64_t address, void *to, size_t size);

/* Memory that a hypercall reaches, and what was in it. */
struct buffer {
    uint64_t address;
    uint32_t size;      /* bytes by the ABI */
    uint32_t got;       /* bytes that could be read */
    uint32_t index;     /* which element of the parent led here; NO_INDEX if it has but one */
    uint16_t name;      /* its number in the plan's list of names */
    uint16_t parent;    /* the buffer that led here; NO_PARENT: an argument did */
    uint8_t *content;   /* from malloc */
};

struct buffers {
    unsigned int count;
    struct buffer list[MAX_BUFFERS];
};

/* Appends what the hypercall reaches to ``found``. */
void plan_run(const int64_t *plan, uint32_t number, const uint64_t *arguments,
              read_memory *read, void *guest, struct buffers *found);

/* Lets go of the contents. */
void plan_free(struct buffers *found);

#endif
