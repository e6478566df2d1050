/*
 * The interpreter of plans. A plan is a list of words: how many hypercalls it knows; for each its
 * number and where its block starts; then the blocks. A block is a list of steps up to END; steps
 * and expressions are those of the two enumerations below, which plan.py has too.
 */
#include "plan.h"

#include <stdlib.h>
#include <string.h>

enum step { END, SWITCH, BUFFER };
enum kind { ONE, COUNTED, UP_TO_ZERO };
enum word {
    DONE, CONSTANT, ARGUMENT, MEMBER, NEGATE, INVERT,
    ADD, SUBTRACT, MULTIPLY, DIVIDE, MODULO, LEFT, RIGHT, AND, XOR, OR,
};

enum { MAX_DEPTH = 16, MAX_STACK = 32, PIECE = 4096 };

typedef __int128 number_t; /* counts come from guests: products of them must not wrap around */

struct run {
    const int64_t *plan;
    read_memory *read;
    void *guest;
    struct buffers *found;
};

/* What names in expressions stand for. */
struct scope {
    const uint64_t *arguments;
    const uint8_t *frames[MAX_DEPTH]; /* the elements that led here, the outermost first */
    unsigned int depth;
    uint16_t parent;
    uint32_t index;
    int is_inner; /* inside a multicall */
};

static uint64_t load(const uint8_t *at, unsigned int size)
{
    uint64_t value = 0;
    memcpy(&value, at, size); /* guests and hosts are little-endian */
    return value;
}

static number_t apply(enum word sign, number_t left, number_t right, int *bad)
{
    switch (sign) {
    case ADD: return left + right;
    case SUBTRACT: return left - right;
    case MULTIPLY: return left * right;
    case AND: return left & right;
    case XOR: return left ^ right;
    case OR: return left | right;
    case DIVIDE:
    case MODULO:
        if (right == 0)
            break;
        return sign == DIVIDE ? left / right : left % right;
    case LEFT:
    case RIGHT:
        if (right < 0 || right > 63)
            break;
        return sign == LEFT ? left << right : left >> right;
    default: break;
    }
    *bad = 1;
    return 0;
}

/* The value of the expression at ``*at``, 0 if it has none; leaves ``*at`` behind it. */
static number_t evaluate(const int64_t **at, const struct scope *scope)
{
    number_t stack[MAX_STACK];
    unsigned int top = 0;
    int bad = 0;

    for (;;) {
        const int64_t *word = *at;

        switch (word[0]) {
        case DONE:
            *at = word + 1;
            return bad || !top ? 0 : stack[0];
        case CONSTANT:
            stack[top++] = word[1];
            *at = word + 2;
            break;
        case ARGUMENT:
            stack[top++] = load((const uint8_t *)&scope->arguments[word[1]], word[2]);
            *at = word + 3;
            break;
        case MEMBER:
            stack[top++] = load(scope->frames[word[1]] + word[2], word[3]);
            *at = word + 4;
            break;
        case NEGATE:
        case INVERT:
            stack[top - 1] = word[0] == NEGATE ? -stack[top - 1] : ~stack[top - 1];
            *at = word + 1;
            break;
        default:
            top--;
            stack[top - 1] = apply(word[0], stack[top - 1], stack[top], &bad);
            *at = word + 1;
        }
    }
}

static void run_block(const struct run *run, int64_t block, const struct scope *scope);
static void run_call(const struct run *run, uint64_t number, const struct scope *scope);

/* Bytes up to the element that is zero, and of it. */
static uint32_t up_to_zero(const struct run *run, uint64_t address, uint32_t each)
{
    uint8_t piece[PIECE];
    static const uint8_t zero[8];
    uint32_t size = 0;

    while (size < MAX_SIZE) {
        size_t wanted = PIECE - (address + size) % PIECE;
        wanted = wanted < each ? each : wanted - wanted % each;
        size_t got = run->read(run->guest, address + size, piece, wanted);

        for (size_t at = 0; at + each <= got && size < MAX_SIZE; at += each) {
            size += each;
            size_t rest = each;
            while (rest && !memcmp(piece + at + each - rest, zero, rest < 8 ? rest : 8))
                rest -= rest < 8 ? rest : 8;
            if (!rest)
                return size;
        }
        if (got < wanted)
            break;
    }
    return size;
}

static void run_elements(const struct run *run, const struct buffer *buffer, uint32_t each,
                         int64_t kind, int64_t inner, int is_multicall, const struct scope *outer)
{
    struct scope scope = *outer;

    if (scope.depth == MAX_DEPTH)
        return;
    scope.parent = buffer - run->found->list;
    for (uint32_t index = 0; (index + 1) * each <= buffer->got; index++) {
        const uint8_t *element = buffer->content + index * each;

        if (run->found->count == MAX_BUFFERS)
            return;
        scope.index = kind == ONE ? NO_INDEX : index;
        if (is_multicall) {
            /* multicall_entry: op, result, args[6], each as wide as a register */
            unsigned int width = each / (2 + MAX_ARGUMENTS);
            uint64_t arguments[MAX_ARGUMENTS];

            for (unsigned int i = 0; i < MAX_ARGUMENTS; i++)
                arguments[i] = load(element + (2 + i) * width, width);
            scope.arguments = arguments;
            scope.depth = 0;
            scope.is_inner = 1;
            run_call(run, load(element, width), &scope);
        } else {
            scope.frames[outer->depth] = element;
            scope.depth = outer->depth + 1;
            run_block(run, inner, &scope);
        }
    }
}

/* BUFFER name each kind inner is_multicall tail, and expressions: address, count, tail's count */
static const int64_t *run_buffer(const struct run *run, const int64_t *step,
                                 const struct scope *scope)
{
    int64_t kind = step[3], inner = step[4], is_multicall = step[5], tail = step[6];
    uint32_t each = step[2];
    const int64_t *at = step + 7;
    uint64_t address = evaluate(&at, scope);
    number_t size = each;

    if (kind == COUNTED)
        size *= evaluate(&at, scope);
    if (tail) {
        /* The number of elements at the end stands in the structure itself. */
        uint8_t head[PIECE];
        struct scope inside = *scope;
        int whole = address && each <= PIECE && scope->depth < MAX_DEPTH &&
                    run->read(run->guest, address, head, each) == each;

        if (!whole)
            memset(head, 0, sizeof(head));
        inside.frames[scope->depth] = head;
        inside.depth++;
        size += tail * evaluate(&at, &inside);
    }
    if (!address || run->found->count == MAX_BUFFERS)
        return at;
    if (kind == UP_TO_ZERO)
        size = up_to_zero(run, address, each);
    if (size > MAX_SIZE)
        size = MAX_SIZE;
    if (size <= 0)
        return at;

    struct buffer *buffer = &run->found->list[run->found->count];
    uint8_t *content = malloc(size);
    if (!content)
        return at;
    *buffer = (struct buffer){
        .address = address, .size = size, .name = step[1], .content = content,
        .parent = scope->parent, .index = scope->index,
        .got = run->read(run->guest, address, content, size),
    };
    run->found->count++;
    if (inner || is_multicall)
        run_elements(run, buffer, each, kind, inner, is_multicall, scope);
    return at;
}

static void run_block(const struct run *run, int64_t block, const struct scope *scope)
{
    const int64_t *step = run->plan + block;

    for (;;) {
        switch (step[0]) {
        case BUFFER:
            step = run_buffer(run, step, scope);
            break;
        case SWITCH: {
            /* SWITCH cases, the expression, and for each case its value and block */
            int64_t cases = step[1], chosen = 0;
            const int64_t *at = step + 2;
            number_t value = evaluate(&at, scope);

            for (; cases--; at += 2)
                if (at[0] == value)
                    chosen = at[1];
            if (chosen)
                run_block(run, chosen, scope);
            step = at;
            break;
        }
        default:
            return;
        }
    }
}

static void run_call(const struct run *run, uint64_t number, const struct scope *scope)
{
    const int64_t *entry = run->plan + 1;

    for (int64_t left = run->plan[0]; left--; entry += 3)
        if ((uint64_t)entry[0] == number) {
            if (!(scope->is_inner && entry[2]))
                run_block(run, entry[1], scope);
            return;
        }
}

void plan_run(const int64_t *plan, uint32_t number, const uint64_t *arguments,
              read_memory *read, void *guest, struct buffers *found)
{
    const struct run run = {plan, read, guest, found};
    const struct scope scope = {
        .arguments = arguments, .parent = NO_PARENT, .index = NO_INDEX,
    };

    run_call(&run, number, &scope);
}

void plan_free(struct buffers *found)
{
    while (found->count)
        free(found->list[--found->count].content);
}
