/*
 * Arm: a guest's `hvc` with Xen's tag, and the instruction after it. Both are executed by the guest,
 * so QEMU reads memory as the guest sees it, through both stages of translation.
 */
#include "recorder.h"

#include <string.h>

enum { R_0, R_NUMBER = R_0 + 5, R_STACK, R_VTTBR, R_VMPIDR, R_COUNT };

static const char *const arm64_names[R_COUNT] = {
    "x0", "x1", "x2", "x3", "x4", "x16", "sp", "VTTBR_EL2", "VMPIDR_EL2",
};
static const char *const arm32_names[R_COUNT] = {
    "r0", "r1", "r2", "r3", "r4", "r12", "sp", "VTTBR", "VMPIDR",
};
static struct registers registers = {.count = R_COUNT};
static int is_wide;

enum { ARGUMENTS = 5, MAX_SITES = 4096 };

/* hvc #0xea1 in A64, A32 and T32 */
static const uint8_t a64[4] = {0x22, 0xd4, 0x01, 0xd4};
static const uint8_t a32[4] = {0x71, 0xea, 0x40, 0xe1};
static const uint8_t t32[4] = {0xe0, 0xf7, 0xa1, 0x8e};

static uint64_t sites[MAX_SITES]; /* addresses of such instructions */
static unsigned int site_count;

static uint64_t get(unsigned int cpu, unsigned int index)
{
    return register_read(&registers, cpu, index);
}

/* Xen gives each domain the lowest VMID that is free, and 0 to none. */
static uint16_t domain(uint64_t vttbr)
{
    uint64_t vmid = vttbr >> 48 & 0xff;

    return vmid ? vmid - 1 : NO_DOMAIN;
}

/* The affinity that Xen gives a vcpu: 16 of them in each group of the lowest level. */
static uint16_t vcpu(uint64_t vmpidr)
{
    return (vmpidr & 0xf) + (vmpidr >> 8 & 0xff) * 16;
}

/* Of a 32-bit guest on a 64-bit machine QEMU shows no registers. */
static void on_narrow_hvc(unsigned int cpu, void *unused)
{
    (void)cpu;
    (void)unused;
    call_skipped();
}

static void on_hvc(unsigned int cpu, void *address)
{
    struct call call = {
        .number = get(cpu, R_NUMBER), .place = (uintptr_t)address + 4,
        .stack = get(cpu, R_STACK), .space = get(cpu, R_VTTBR),
    };
    struct call *before = call_find(call.place, call.stack, call.space);

    if (before) /* Xen puts the program counter back where it wants to be called again */
        call_end(before, 0, 1, virtual_read, NULL);
    call.domain = domain(call.space);
    call.vcpu = vcpu(get(cpu, R_VMPIDR));
    for (unsigned int i = 0; i < ARGUMENTS; i++)
        call.arguments[i] = get(cpu, R_0 + i);
    call_begin(&call, virtual_read, NULL);
}

static void on_next(unsigned int cpu, void *address)
{
    struct call *call = call_find((uintptr_t)address, get(cpu, R_STACK), get(cpu, R_VTTBR));

    if (call)
        call_end(call, get(cpu, R_0), 0, virtual_read, NULL);
}

static int is_site(uint64_t address)
{
    unsigned int i = 0;

    while (i < site_count && sites[i] != address)
        i++;
    return i < site_count;
}

static void translate(struct qemu_plugin_tb *tb)
{
    size_t count = qemu_plugin_tb_n_insns(tb);

    for (size_t i = 0; i < count; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        uint64_t address = qemu_plugin_insn_vaddr(insn);
        uint8_t data[4];

        /* An exception returns to the start of a block. */
        if (i == 0 && is_site(address - 4))
            qemu_plugin_register_vcpu_insn_exec_cb(
                insn, on_next, QEMU_PLUGIN_CB_R_REGS, (void *)(uintptr_t)address);
        if (qemu_plugin_insn_data(insn, data, 4) != 4)
            continue;
        int is_narrow = !memcmp(data, a32, 4) || !memcmp(data, t32, 4); /* no instructions in A64 */
        if (is_wide && is_narrow) {
            qemu_plugin_register_vcpu_insn_exec_cb(
                insn, on_narrow_hvc, QEMU_PLUGIN_CB_NO_REGS, NULL);
        } else if (is_narrow || (is_wide && !memcmp(data, a64, 4))) {
            if (!is_site(address) && site_count < MAX_SITES)
                sites[site_count++] = address;
            qemu_plugin_register_vcpu_insn_exec_cb(
                insn, on_hvc, QEMU_PLUGIN_CB_R_REGS, (void *)(uintptr_t)address);
        }
    }
}

static void init64(unsigned int cpu)
{
    is_wide = 1;
    registers.names = arm64_names;
    registers_find(&registers, cpu);
}

static void init32(unsigned int cpu)
{
    registers.names = arm32_names;
    registers_find(&registers, cpu);
}

const struct hooks arm64_hooks = {"aarch64", init64, translate};
const struct hooks arm32_hooks = {"arm", init32, translate};
