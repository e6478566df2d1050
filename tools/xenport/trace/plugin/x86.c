/*
 * x86: where Xen takes hypercalls.
 *
 * A PV guest's `syscall` may be its kernel's hypercall or its user's system call, which Xen alone can
 * tell. So the place to watch is in Xen: where its entry for system calls, written in assembly and the
 * same in every release, calls the C function for hypercalls if the vcpu is in kernel mode:
 *
 *         testb  $TF_kernel_mode, thread_flags(%rbx)      f6 .. 01
 *         jz     switch_to_kernel                         0f 84 rel32
 *         mov    %rsp, %rdi                               48 89 e7
 *         call   pv_hypercall                             e8 rel32
 *
 * There the stack pointer is at Xen's frame of the guest's registers, and the guest's page tables
 * are the processor's.
 *
 * An HVM guest's `vmmcall` ends `vmrun`: the instruction after that is where the hypercall arrives,
 * and the next `vmrun` of the same control block (VMCB) where it returns. Xen's own page tables are
 * live there, so memory is read by way of Xen's map of all of it. (QEMU emulates AMD's SVM alone.)
 */
#include "recorder.h"

#include <string.h>

enum { PV, HVM }; /* callers, as in x86_64.yaml */

/* Xen's cpu_user_regs, 64 bits each, and what follows it on the stack (struct cpu_info). */
enum frame {
    F_R10 = 7, F_R9 = 8, F_R8 = 9, F_RAX = 10, F_RDX = 12, F_RSI = 13, F_RDI = 14, F_ERROR_CODE = 15,
    F_RIP = 16, F_COUNT = 17, F_CURRENT = 0xd0 / 8,
};

/* The VMCB, in bytes (AMD64 Architecture Programmer's Manual, volume 2, appendix B). */
enum vmcb {
    V_EXITCODE = 0x70, V_NCR3 = 0xb0, V_CS_ATTRIBUTES = 0x412, V_EFER = 0x4d0, V_CR3 = 0x550,
    V_RIP = 0x578, V_RAX = 0x5f8,
};
enum {
    EXIT_VMMCALL = 0x81, VMMCALL_SIZE = 3, SYSCALL_SIZE = 2, EFER_LMA = 1 << 10, CS_LONG = 1 << 9,
    PRESENT = 1, LARGE = 0x80,
};
#define FRAME 0xffffffffff000ull /* the address in an entry of a page table */

#define DIRECT_MAP 0xffff830000000000ull /* where Xen maps all memory: asm/config.h */

enum { R_RAX, R_RDI, R_RSI, R_RDX, R_R10, R_R8, R_R9, R_RSP, R_COUNT };
static const char *const names[R_COUNT] = {"rax", "rdi", "rsi", "rdx", "r10", "r8", "r9", "rsp"};
static struct registers registers = {.count = R_COUNT, .names = names};

enum { MAX_SITES = 16, PAGE = 4096, ARGUMENTS = 6 };

/* Instructions behind those that lead into the hypervisor or the guest. */
enum site { PV_RETURN, VM_EXIT, KINDS };
static uint64_t sites[KINDS][MAX_SITES];
static uint64_t running[MAX_CPUS]; /* the address of the VMCB that each CPU has run last */

static uint64_t get(unsigned int cpu, unsigned int index)
{
    return register_read(&registers, cpu, index);
}

static uint64_t word(uint64_t address)
{
    uint64_t value = 0;

    return virtual_read(NULL, address, &value, sizeof(value)) == sizeof(value) ? value : 0;
}

/*
 * Whose vcpu runs: `frame` is the address of Xen's frame. A vcpu has its number first and, among the
 * first words, its domain's address; a domain has its number first and, somewhere, the address of
 * its list of vcpus. Where these are is found out once, by that list leading back to the vcpu.
 */
static void identify(uint64_t frame, struct call *call)
{
    static unsigned int where;      /* the domain's address is in the vcpu, in words */
    static unsigned int tries = 64; /* that are left */
    uint64_t vcpu = word(frame + F_CURRENT * 8), number = word(vcpu) & 0xffffffff;

    call->domain = NO_DOMAIN;
    call->vcpu = number;
    for (unsigned int i = 1; !where && tries && vcpu && i < 6; i++) {
        uint64_t domain = word(vcpu + i * 8), start[PAGE / 8];
        size_t got = domain ? virtual_read(NULL, domain, start, sizeof(start)) / 8 : 0;

        for (size_t k = 1; !where && k < got; k++)
            if (start[k] >> 47 == 0x1ffff && word(start[k] + number * 8) == vcpu)
                where = i;
    }
    tries -= tries > 0;
    if (where)
        call->domain = word(word(vcpu + where * 8));
}

/* ---- PV ---- */

/* Xen's own part of the address space, which is mapped while it runs: asm/config.h. */
#define XEN_START 0xffff800000000000ull
#define XEN_END 0xffff880000000000ull

/* A read_memory: what is Xen's is not the guest's. */
static size_t pv_read(void *unused, uint64_t address, void *to, size_t size)
{
    if (address < XEN_END && address + size > XEN_START)
        return 0;
    return virtual_read(unused, address, to, size);
}

static void on_pv_call(unsigned int cpu, void *unused)
{
    static const enum frame order[ARGUMENTS] = {F_RDI, F_RSI, F_RDX, F_R10, F_R8, F_R9};
    uint64_t at = get(cpu, R_RSP), frame[F_COUNT];
    struct call call = {.caller = PV, .space = PV, .stack = at};
    struct call *before = call_find(0, at, PV);

    (void)unused;
    if (before)
        call_drop(before);
    if (virtual_read(NULL, at, frame, sizeof(frame)) != sizeof(frame))
        return;
    call.number = frame[F_RAX];
    call.instruction = frame[F_RIP];
    for (unsigned int i = 0; i < ARGUMENTS; i++)
        call.arguments[i] = frame[order[i]];
    identify(at, &call);
    call_begin(&call, pv_read, NULL);
}

/* Xen moves the program counter back to the `syscall` where it wants to be called again. */
static void on_pv_return(unsigned int cpu, void *unused)
{
    uint64_t at = get(cpu, R_RSP), frame[F_COUNT];
    struct call *call = call_find(0, at, PV);

    (void)unused;
    if (call && virtual_read(NULL, at, frame, sizeof(frame)) == sizeof(frame))
        call_end(call, frame[F_RAX], frame[F_RIP] == call->instruction - SYSCALL_SIZE,
                 pv_read, NULL);
}

/* ---- HVM ---- */

struct hvm {
    uint64_t cr3, ncr3;
};

static uint64_t physical_word(uint64_t address)
{
    return word(DIRECT_MAP + address);
}

static void page_tables(uint64_t vmcb, struct hvm *guest)
{
    guest->cr3 = physical_word(vmcb + V_CR3);
    guest->ncr3 = physical_word(vmcb + V_NCR3);
}

/* From guest-physical to physical, and from the guest's addresses to guest-physical ones, by page
 * tables of four levels. 0: nothing is there, or page 0 is, where nobody has anything. */
static uint64_t walk(const struct hvm *guest, uint64_t table, uint64_t address, int is_nested)
{
    for (int level = 3; level >= 0; level--) {
        unsigned int shift = 12 + 9 * level;
        uint64_t at = (table & FRAME) + 8 * (address >> shift & 511);
        uint64_t entry = physical_word(is_nested ? at : walk(guest, guest->ncr3, at, 1));
        uint64_t offset = (1ull << shift) - 1;

        if (!(entry & PRESENT))
            return 0;
        if (level == 0 || (level < 3 && entry & LARGE))
            return (entry & FRAME & ~offset) | (address & offset);
        table = entry;
    }
    return 0;
}

/* A read_memory. */
static size_t hvm_read(void *context, uint64_t address, void *to, size_t size)
{
    const struct hvm *guest = context;
    size_t done = 0;

    while (done < size) {
        size_t some = PAGE - (address + done) % PAGE;
        uint64_t at = walk(guest, guest->cr3, address + done, 0);

        at = at ? walk(guest, guest->ncr3, at, 1) : 0;
        if (some > size - done)
            some = size - done;
        if (!at || virtual_read(NULL, DIRECT_MAP + at, (uint8_t *)to + done, some) != some)
            break;
        done += some;
    }
    return done;
}

static void on_vm_run(unsigned int cpu, void *unused)
{
    uint64_t vmcb = get(cpu, R_RAX);
    struct call *call = call_find(vmcb, 0, HVM);

    (void)unused;
    running[cpu] = vmcb;
    if (!call)
        return;
    uint64_t at = physical_word(vmcb + V_RIP);
    if (at != call->instruction && at != call->instruction + VMMCALL_SIZE) {
        call_drop(call); /* another guest has the VMCB now */
        return;
    }
    struct hvm guest;
    page_tables(vmcb, &guest);
    call_end(call, physical_word(vmcb + V_RAX), at == call->instruction, hvm_read, &guest);
}

static void on_vm_exit(unsigned int cpu, void *unused)
{
    static const unsigned int order[ARGUMENTS] = {R_RDI, R_RSI, R_RDX, R_R10, R_R8, R_R9};
    uint64_t vmcb = running[cpu];

    (void)unused;
    if (physical_word(vmcb + V_EXITCODE) != EXIT_VMMCALL)
        return;
    if (!(physical_word(vmcb + V_EFER) & EFER_LMA) ||
        !(physical_word(vmcb + V_CS_ATTRIBUTES) & CS_LONG)) {
        call_skipped();
        return;
    }
    struct call call = {
        .caller = HVM, .space = HVM, .place = vmcb, .number = physical_word(vmcb + V_RAX),
        .instruction = physical_word(vmcb + V_RIP),
    };
    struct hvm guest;
    for (unsigned int i = 0; i < ARGUMENTS; i++)
        call.arguments[i] = get(cpu, order[i]);
    identify(get(cpu, R_RSP) - F_ERROR_CODE * 8, &call);
    page_tables(vmcb, &guest);
    call_begin(&call, hvm_read, &guest);
}

/* ---- Translation ---- */

static void add_site(enum site site, uint64_t address)
{
    for (unsigned int i = 0; i < MAX_SITES; i++) {
        if (sites[site][i] == address)
            return;
        if (!sites[site][i]) {
            sites[site][i] = address;
            return;
        }
    }
}

static int is_site(enum site site, uint64_t address)
{
    for (unsigned int i = 0; i < MAX_SITES && sites[site][i]; i++)
        if (sites[site][i] == address)
            return 1;
    return 0;
}

static void watch(struct qemu_plugin_insn *insn, exec_callback callback)
{
    qemu_plugin_register_vcpu_insn_exec_cb(insn, callback, QEMU_PLUGIN_CB_R_REGS, NULL);
}

/* Whether the bytes before `address` are the end of a `testb $1` and a `jz`, near or short. */
static int follows_test(uint64_t address)
{
    uint8_t before[7];

    if (virtual_read(NULL, address - sizeof(before), before, sizeof(before)) != sizeof(before))
        return 0;
    return (before[0] == 1 && before[1] == 0x0f && before[2] == 0x84) ||
           (before[4] == 1 && before[5] == 0x74);
}

static void translate(struct qemu_plugin_tb *tb)
{
    static const uint8_t frame_to_rdi[3] = {0x48, 0x89, 0xe7}, vmrun[3] = {0x0f, 0x01, 0xd8};
    size_t count = qemu_plugin_tb_n_insns(tb);

    for (size_t i = 0; i < count; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        uint64_t address = qemu_plugin_insn_vaddr(insn);
        uint8_t data[8];
        size_t size = qemu_plugin_insn_data(insn, data, sizeof(data));

        if (size == 3 && !memcmp(data, vmrun, 3)) {
            add_site(VM_EXIT, address + 3);
            watch(insn, on_vm_run);
        } else if (is_site(VM_EXIT, address)) {
            watch(insn, on_vm_exit);
        } else if (is_site(PV_RETURN, address)) {
            watch(insn, on_pv_return);
        } else if (i == 0 && count == 2 && size == 3 && !memcmp(data, frame_to_rdi, 3) &&
                   follows_test(address)) {
            struct qemu_plugin_insn *call = qemu_plugin_tb_get_insn(tb, 1);
            if (qemu_plugin_insn_data(call, data, sizeof(data)) == 5 && data[0] == 0xe8) {
                add_site(PV_RETURN, address + 3 + 5);
                watch(call, on_pv_call);
            }
        }
    }
}

static void init(unsigned int cpu)
{
    registers_find(&registers, cpu);
}

const struct hooks x86_hooks = {"x86_64", init, translate};
