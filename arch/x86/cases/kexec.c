/*
 * kexec_op: images of other kernels that dom0 loads and starts, and memory that has to do with crashes.
 */
#include <kexec.h>
#include <string.h>

#include "common.h"
#include "processors.h"

#define ELF_386 3
#define ELF_X86_64 62
#define NO_TYPE 99

/* Where the image would be put; no kernel is there, and nothing is written before it is started. */
#define DESTINATION 0x1000000

static long kexec_op(unsigned long command, void *argument)
{
    return arch_hypercall(__HYPERVISOR_kexec_op, command, arch_guest_address(argument), 0, 0, 0);
}

static struct xen_kexec_range range;

static long get_range(int which, int number)
{
    range = (struct xen_kexec_range){.range = which, .nr = number};
    return kexec_op(KEXEC_CMD_kexec_get_range, &range);
}

/*
 * Background: A kernel for the time after a crash has to know where Xen is and what it left.
 * Provoked by: the memory set aside for it, Xen's own, and what describes Xen; that of a processor, and of one
 * that does not exist; an unknown kind; an argument at no address.
 * Expected: both or none of start and size; some; some; 0 or -EINVAL where none is set aside, -ERANGE; -EINVAL; -EFAULT.
 * Source: kexec.h (KEXEC_CMD_kexec_get_range); common/kexec.c, kexec_get_range_internal().
 */
TEST(kexec_ranges, CONTROL, "dom0 is told where Xen is", .needs = "pv dom0")
{
    long rc;

    CHECK_EQ(get_range(KEXEC_RANGE_MA_CRASH, 0), 0);
    CHECK_EQ(range.size == 0, range.start == 0);
    CHECK_EQ(get_range(KEXEC_RANGE_MA_XEN, 0), 0);
    CHECK(range.size > 0 && range.start > 0);
    CHECK_EQ(get_range(KEXEC_RANGE_MA_VMCOREINFO, 0), 0);
    CHECK(range.size > 0 && range.start > 0);
    rc = get_range(KEXEC_RANGE_MA_CPU, 0);
    if (rc != 0)
        CHECK_ERRNO(rc, EINVAL);
    CHECK_ERRNO(get_range(KEXEC_RANGE_MA_CPU, NO_CPU), ERANGE);
    CHECK_ERRNO(get_range(NO_TYPE, 0), EINVAL);
    CHECK_ERRNO(kexec_op(KEXEC_CMD_kexec_get_range, arch_unmapped_pointer()), EFAULT);
}

static long status(uint8_t type)
{
    struct xen_kexec_status question = {.type = type};

    return kexec_op(KEXEC_CMD_kexec_status, &question);
}

static long unload(uint8_t type)
{
    struct xen_kexec_unload gone = {.type = type};

    return kexec_op(KEXEC_CMD_kexec_unload, &gone);
}

static long load(uint8_t type, uint32_t count, void *segments)
{
    struct xen_kexec_load image = {.type = type, .arch = ELF_X86_64, .nr_segments = count,
                                   .entry_maddr = DESTINATION};

    handle_set(image.segments.h, segments);
    return kexec_op(KEXEC_CMD_kexec_load, &image);
}

/* An image without parts. */
static long load_empty(uint8_t type, uint16_t arch, uint64_t entry)
{
    struct xen_kexec_load image = {.type = type, .arch = arch, .entry_maddr = entry};

    return kexec_op(KEXEC_CMD_kexec_load, &image);
}

static uint8_t image_page[PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));

/*
 * Background: An image is loaded in parts, and started later, when this domain is gone.
 * Provoked by: an image of one page loaded, and removed, twice; whether there is one, in between.
 * Expected: 0 each time; there is one after the first step and none after the second.
 * Source: kexec.h (KEXEC_CMD_kexec_load, KEXEC_CMD_kexec_status); common/kexec.c.
 */
TEST(kexec_load, CONTROL, "dom0 loads an image, and removes it", .needs = "pv dom0")
{
    struct xen_kexec_segment segment = {.buf_size = PAGE_BYTES, .dest_maddr = DESTINATION,
                                        .dest_size = PAGE_BYTES};

    handle_set(segment.buf.h, image_page);
    CHECK_EQ(status(KEXEC_TYPE_DEFAULT), 0);
    CHECK_EQ(load(KEXEC_TYPE_DEFAULT, 1, &segment), 0);
    CHECK_EQ(status(KEXEC_TYPE_DEFAULT), 1);
    CHECK_EQ(unload(KEXEC_TYPE_DEFAULT), 0);
    CHECK_EQ(status(KEXEC_TYPE_DEFAULT), 0);
    CHECK_EQ(unload(KEXEC_TYPE_DEFAULT), 0);
    CHECK_EQ(status(KEXEC_TYPE_DEFAULT), 1);
}

/*
 * Background: Xen starts an image in the mode of a processor of one of two kinds.
 * Provoked by: images without parts, of either kind, and of the kinds around these.
 * Expected: 0, 0; -EINVAL.
 * Source: kexec.h (KEXEC_CMD_kexec_load); arch/x86/machine_kexec.c, machine_kexec_load().
 */
TEST(kexec_machines, CONTROL, "an image is for i386 or x86-64", .needs = "pv dom0")
{
    static const uint16_t others[] = {ELF_386 - 1, ELF_386 + 1, ELF_X86_64 - 1, ELF_X86_64 + 1};

    CHECK_EQ(load_empty(KEXEC_TYPE_DEFAULT, ELF_386, DESTINATION), 0);
    CHECK_EQ(unload(KEXEC_TYPE_DEFAULT), 0);
    CHECK_EQ(load_empty(KEXEC_TYPE_DEFAULT, ELF_X86_64, DESTINATION), 0);
    CHECK_EQ(unload(KEXEC_TYPE_DEFAULT), 0);
    for (unsigned int i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        CHECK_ERRNO(load_empty(KEXEC_TYPE_DEFAULT, others[i], DESTINATION), EINVAL);
}

/*
 * Background: The image for a crash is in memory that was set aside, where nobody writes; there may be none.
 * Provoked by: images without parts that start before that memory, at its start, at its end, and behind it.
 * Expected: -EADDRNOTAVAIL, 0, 0, -EADDRNOTAVAIL; where none is set aside -EADDRNOTAVAIL.
 * Source: kexec.h (KEXEC_CMD_kexec_load); common/kimage.c, kimage_crash_alloc().
 */
TEST(kexec_load_crash, CONTROL, "an image for a crash starts in memory set aside for it: EADDRNOTAVAIL",
     .needs = "pv dom0")
{
    CHECK_EQ(get_range(KEXEC_RANGE_MA_CRASH, 0), 0);
    if (range.size == 0) {
        CHECK_ERRNO(load_empty(KEXEC_TYPE_CRASH, ELF_X86_64, DESTINATION), EADDRNOTAVAIL);
        return;
    }
    CHECK_ERRNO(load_empty(KEXEC_TYPE_CRASH, ELF_X86_64, range.start - 1), EADDRNOTAVAIL);
    CHECK_EQ(load_empty(KEXEC_TYPE_CRASH, ELF_X86_64, range.start), 0);
    CHECK_EQ(load_empty(KEXEC_TYPE_CRASH, ELF_X86_64, range.start + range.size), 0);
    CHECK_ERRNO(load_empty(KEXEC_TYPE_CRASH, ELF_X86_64, range.start + range.size + 1), EADDRNOTAVAIL);
    CHECK_EQ(unload(KEXEC_TYPE_CRASH), 0);
}

/*
 * Background: What cannot be loaded or is not there must not be started.
 * Provoked by: an image started that is not loaded, of both types and of none; one loaded of no type,
 * of too many parts, and whose parts are at no address; no type removed and asked about; arguments at
 * no address.
 * Expected: -ENOENT, -EINVAL; -EINVAL, -EINVAL, -EFAULT; -EINVAL; -EFAULT.
 * Source: kexec.h; common/kexec.c, do_kexec_op_internal().
 */
TEST(kexec_refused, CONTROL, "images that there are not are refused", .needs = "pv dom0")
{
    struct xen_kexec_exec start = {.type = KEXEC_TYPE_DEFAULT};
    static struct xen_kexec_segment segments[16];

    CHECK_ERRNO(kexec_op(KEXEC_CMD_kexec, &start), ENOENT);
    start.type = KEXEC_TYPE_CRASH;
    CHECK_ERRNO(kexec_op(KEXEC_CMD_kexec, &start), ENOENT);
    start.type = NO_TYPE;
    CHECK_ERRNO(kexec_op(KEXEC_CMD_kexec, &start), EINVAL);
    CHECK_ERRNO(load(NO_TYPE, 0, segments), EINVAL);
    CHECK_ERRNO(load(KEXEC_TYPE_DEFAULT, 16, segments), EINVAL);
    CHECK_ERRNO(load(KEXEC_TYPE_DEFAULT, 1, nowhere()), EFAULT);
    CHECK_ERRNO(unload(NO_TYPE), EINVAL);
    CHECK_ERRNO(status(NO_TYPE), EINVAL);
    CHECK_ERRNO(kexec_op(KEXEC_CMD_kexec, arch_unmapped_pointer()), EFAULT);
    CHECK_ERRNO(kexec_op(KEXEC_CMD_kexec_load, arch_unmapped_pointer()), EFAULT);
    CHECK_ERRNO(kexec_op(KEXEC_CMD_kexec_unload, arch_unmapped_pointer()), EFAULT);
    CHECK_ERRNO(kexec_op(KEXEC_CMD_kexec_status, arch_unmapped_pointer()), EFAULT);
}

/*
 * Background: The parts of an image are put where it wants them, page by page.
 * Provoked by: a part that does not start at a page, and one that does not end at one; two parts at one place; a part
 * that is larger than its place.
 * Expected: -EADDRNOTAVAIL; -EINVAL; -EINVAL.
 * Source: kexec.h (KEXEC_CMD_kexec_load); common/kimage.c, do_kimage_alloc().
 */
TEST(kexec_parts_refused, CONTROL, "parts of an image that have no place are refused", .needs = "pv dom0")
{
    struct xen_kexec_segment parts[2] = {{.dest_maddr = DESTINATION, .dest_size = PAGE_BYTES}};

    handle_set(parts[0].buf.h, image_page);
    parts[0].dest_maddr++;
    CHECK_ERRNO(load(KEXEC_TYPE_DEFAULT, 1, parts), EADDRNOTAVAIL);
    parts[0].dest_maddr--;
    parts[0].dest_size--;
    CHECK_ERRNO(load(KEXEC_TYPE_DEFAULT, 1, parts), EADDRNOTAVAIL);
    parts[0].dest_size++;
    parts[1] = parts[0];
    CHECK_ERRNO(load(KEXEC_TYPE_DEFAULT, 2, parts), EINVAL);
    parts[0].buf_size = PAGE_BYTES + 1;
    CHECK_ERRNO(load(KEXEC_TYPE_DEFAULT, 1, parts), EINVAL);
}

/*
 * Background: An image without one of its parts must not be started.
 * Provoked by: a part whose content is at no address.
 * Expected: -EFAULT.
 * Source: kexec.h (KEXEC_CMD_kexec_load); common/kimage.c, kimage_load_normal_segment().
 */
TEST(kexec_part_at_no_address, CONTROL, "a part of an image that cannot be read: EFAULT",
     .needs = "pv dom0")
{
    struct xen_kexec_segment part = {.buf_size = PAGE_BYTES, .dest_maddr = DESTINATION,
                                     .dest_size = PAGE_BYTES};

    handle_set(part.buf.h, nowhere());
    CHECK_ERRNO(load(KEXEC_TYPE_DEFAULT, 1, &part), EFAULT);
}

/* Switches the machine off by ACPI, in code that means the same in 32-bit and in 64-bit mode: writes
 * SLP_EN to the register PM1a_CNT of QEMU's PCs. */
static const uint8_t switch_off[] = {
    0x66, 0xba, 0x04, 0x06,         /* mov $0x604, %dx */
    0x66, 0xb8, 0x00, 0x20,         /* mov $0x2000, %ax */
    0x66, 0xef,                     /* out %ax, %dx */
    0xf4,                           /* hlt */
    0xeb, 0xfd,                     /* jmp to the hlt */
};

_Noreturn static void start_image(uint16_t arch)
{
    struct xen_kexec_segment part = {.buf_size = sizeof(switch_off), .dest_maddr = DESTINATION,
                                     .dest_size = PAGE_BYTES};
    struct xen_kexec_load image = {.type = KEXEC_TYPE_DEFAULT, .arch = arch, .nr_segments = 1,
                                   .entry_maddr = DESTINATION};
    struct xen_kexec_exec start = {.type = KEXEC_TYPE_DEFAULT};

    handle_set(part.buf.h, switch_off);
    handle_set(image.segments.h, &part);
    CHECK_EQ(kexec_op(KEXEC_CMD_kexec_load, &image), 0);
    FAIL("the domain runs on, the call returned %ld", kexec_op(KEXEC_CMD_kexec, &start));
}

/*
 * Background: By kexec another kernel takes the machine over, without firmware. It starts in long mode, with the memory
 * that it was given mapped one to one.
 * Provoked by: an image that switches the machine off.
 * Expected: the machine is off.
 * Source: kexec.h (KEXEC_CMD_kexec); common/kexec.c, kexec_reboot(); arch/x86/x86_64/kexec_reloc.S.
 */
TEST(kexec_start, POWER, "an image that dom0 starts has the machine", .needs = "pv dom0 slow observed-end",
     .ends = "poweroff")
{
    start_image(ELF_X86_64);
}

/*
 * Background: See kexec_start. An image for i386 starts in protected mode, without paging.
 * Provoked by: the same.
 * Expected: the machine is off.
 * Source: as for kexec_start.
 */
TEST(kexec_start_32, POWER, "an image of 32 bits that dom0 starts has the machine",
     .needs = "pv dom0 slow observed-end", .ends = "poweroff")
{
    start_image(ELF_386);
}

#ifdef KEXEC_CMD_kexec_load_v1
#define LIST_DONE 4

/*
 * Background: Linux's own form of an image is a list of pages to copy.
 * Provoked by: a list whose first entry means nothing; one that is at its end at once, named by the last byte of its page,
 * and removed again; the same for a crash, to start at the end of the memory for that, if there is any, and behind it; no
 * type; arguments at no address.
 * Expected: -EINVAL; 0, and it is loaded until then; 0, -EADDRNOTAVAIL; -EINVAL; -EFAULT.
 * Source: kexec.h (KEXEC_CMD_kexec_load_v1); common/kexec.c, kexec_do_load_v1(); common/kimage.c, kimage_build_ind().
 */
TEST(kexec_load_v1, CONTROL, "dom0 loads an image in the older form", .needs = "pv dom0")
{
    static struct xen_kexec_load_v1 image;
    static unsigned long pages[2][PAGE_BYTES / sizeof(unsigned long)] __attribute__((aligned(PAGE_BYTES)));
    unsigned long *list = pages[0]; /* the next page is no list */
    long before = status(KEXEC_TYPE_DEFAULT);

    image.type = KEXEC_TYPE_DEFAULT;
    image.image.indirection_page = arch_frame(list) * PAGE_BYTES + PAGE_BYTES - 1;
    image.image.start_address = DESTINATION;
    list[0] = 0;
    CHECK_ERRNO(kexec_op(KEXEC_CMD_kexec_load_v1, &image), EINVAL);
    list[0] = LIST_DONE;
    CHECK_EQ(kexec_op(KEXEC_CMD_kexec_load_v1, &image), 0);
    CHECK_EQ(status(KEXEC_TYPE_DEFAULT), !before);
    CHECK_EQ(kexec_op(KEXEC_CMD_kexec_unload_v1, &image), 0);
    CHECK_EQ(status(KEXEC_TYPE_DEFAULT), before);
    CHECK_EQ(get_range(KEXEC_RANGE_MA_CRASH, 0), 0);
    image.type = KEXEC_TYPE_CRASH;
    image.image.start_address = range.start + range.size;
    if (range.size)
        CHECK_EQ(kexec_op(KEXEC_CMD_kexec_load_v1, &image), 0);
    image.image.start_address++;
    CHECK_ERRNO(kexec_op(KEXEC_CMD_kexec_load_v1, &image), EADDRNOTAVAIL);
    CHECK_EQ(kexec_op(KEXEC_CMD_kexec_unload_v1, &image), 0);
    image.type = NO_TYPE;
    CHECK_ERRNO(kexec_op(KEXEC_CMD_kexec_load_v1, &image), EINVAL);
    CHECK_ERRNO(kexec_op(KEXEC_CMD_kexec_unload_v1, &image), EINVAL);
    CHECK_ERRNO(kexec_op(KEXEC_CMD_kexec_load_v1, arch_unmapped_pointer()), EFAULT);
    CHECK_ERRNO(kexec_op(KEXEC_CMD_kexec_unload_v1, arch_unmapped_pointer()), EFAULT);
}
#endif

/*
 * Background: Only the control domain starts another kernel.
 * Provoked by: every command from a domU.
 * Expected: -EPERM.
 * Source: xsm/dummy.h, xsm_kexec().
 */
TEST(kexec_denied, CONTROL, "kexec_op from a domU is refused with EPERM", .needs = "pv domu")
{
    for (unsigned long command = 0; command <= KEXEC_CMD_kexec_status; command++)
        CHECK_ERRNO(kexec_op(command, NULL), EPERM);
}
