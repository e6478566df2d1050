/*
 * platform_op about the machine: types of memory, firmware, oddities, and the symbols of Xen.
 */
#include "platform_request.h"

/* ---- Types of memory ---- */

#define NO_REGISTER 0x7000
#define UNCACHED 0

/* Frames far above the memory, within what every processor can address. */
#define FAR_FRAME 0x800000
#define FRAMES 0x100

static long add_type(uint64_t frame, uint64_t count, uint32_t type)
{
    platform_prepare();
    request.u.add_memtype.mfn = frame;
    request.u.add_memtype.nr_mfns = count;
    request.u.add_memtype.type = type;
    return platform_op(XENPF_add_memtype);
}

static long delete_type(uint32_t handle, uint32_t number)
{
    platform_prepare();
    request.u.del_memtype.handle = handle;
    request.u.del_memtype.reg = number;
    return platform_op(XENPF_del_memtype);
}

static long read_type(uint32_t number)
{
    platform_prepare();
    request.u.read_memtype.reg = number;
    request.u.read_memtype.nr_mfns = ~0ull;
    return platform_op(XENPF_read_memtype);
}

/*
 * Background: Registers (MTRRs) say how ranges of memory are cached.
 * Provoked by: a range made uncached, read, deleted, and read.
 * Expected: a register with that range and type; a free one.
 * Source: platform.h (XENPF_add_memtype); arch/x86/cpu/mtrr/main.c, mtrr_add_page().
 */
TEST(platform_memtype, CONTROL, "dom0 gives a range of memory a type, and takes it back",
     .needs = "dom0")
{
    uint32_t number;

    CHECK_EQ(add_type(FAR_FRAME, FRAMES, UNCACHED), 0);
    CHECK_EQ(request.u.add_memtype.handle, 0);
    number = request.u.add_memtype.reg;
    CHECK_EQ(read_type(number), 0);
    CHECK_EQ(request.u.read_memtype.mfn, FAR_FRAME);
    CHECK_EQ(request.u.read_memtype.nr_mfns, FRAMES);
    CHECK_EQ(request.u.read_memtype.type, UNCACHED);
    CHECK_EQ(delete_type(0, number), 0);
    CHECK_EQ(read_type(number), 0);
    CHECK_EQ(request.u.read_memtype.nr_mfns, 0);
}

/*
 * Background: The registers know powers of two and few types.
 * Provoked by: a range of no frames, of three, and off its length; a type that does not exist; a
 * register that does not exist deleted and read; a handle, which Xen never gives; a number below 0.
 * Expected: -EINVAL each time.
 * Source: platform.h (XENPF_add_memtype); arch/x86/cpu/mtrr/main.c, mtrr_add_page().
 */
TEST(platform_memtype_refused, CONTROL, "types of memory that there are not: EINVAL",
     .needs = "dom0")
{
    CHECK_ERRNO(add_type(FAR_FRAME, 0, UNCACHED), EINVAL);
    CHECK_ERRNO(add_type(FAR_FRAME, 3, UNCACHED), EINVAL);
    CHECK_ERRNO(add_type(FAR_FRAME + 1, 2, UNCACHED), EINVAL);
    CHECK_ERRNO(add_type(FAR_FRAME, FRAMES, 7), EINVAL);
    CHECK_ERRNO(delete_type(0, NO_REGISTER), EINVAL);
    CHECK_ERRNO(delete_type(1, 0), EINVAL);
    CHECK_ERRNO(delete_type(0, ~0u), EINVAL);
    CHECK_ERRNO(read_type(NO_REGISTER), EINVAL);
}

/* ---- Firmware ---- */

static long firmware(uint32_t type, uint32_t index)
{
    platform_prepare();
    request.u.firmware_info.type = type;
    request.u.firmware_info.index = index;
    return platform_op(XENPF_firmware_info);
}

/*
 * Background: Xen asks the firmware of a PC before dom0 starts, and keeps the answers.
 * Provoked by: the keys held at the start; disks, a screen and keys beyond those there are; a kind that does
 * not exist.
 * Expected: 0; -ESRCH; -EINVAL.
 * Source: platform.h (XENPF_firmware_info); arch/x86/platform_hypercall.c, do_platform_op().
 */
TEST(platform_firmware_info, CONTROL, "dom0 is told what the firmware said", .needs = "dom0")
{
    CHECK_EQ(firmware(XEN_FW_KBD_SHIFT_FLAGS, 0), 0);
    CHECK_ERRNO(firmware(XEN_FW_KBD_SHIFT_FLAGS, 1), ESRCH);
    CHECK_ERRNO(firmware(XEN_FW_DISK_INFO, 200), ESRCH);
    CHECK_ERRNO(firmware(XEN_FW_DISK_MBR_SIGNATURE, 200), ESRCH);
    CHECK_ERRNO(firmware(XEN_FW_VBEDDC_INFO, 1), ESRCH);
    CHECK_ERRNO(firmware(99, 0), EINVAL);
}

/*
 * Background: EFI's services are called through Xen, on machines that were started by EFI.
 * Provoked by: what EFI said; its clock.
 * Expected: an answer to both, or -ENOSYS to both.
 * Source: platform.h (XENPF_efi_runtime_call); common/efi/runtime.c.
 */
TEST(platform_efi, CONTROL, "EFI answers dom0, or there is none: ENOSYS", .needs = "dom0")
{
    long said = firmware(XEN_FW_EFI_INFO, XEN_FW_EFI_VERSION), called;

    if (said == 0)
        CHECK(request.u.firmware_info.u.efi_info.version != 0);
    else
        CHECK_ERRNO(said, ENOSYS);
    platform_prepare();
    request.u.efi_runtime_call.function = XEN_EFI_get_time;
    called = platform_op(XENPF_efi_runtime_call);
    CHECK_EQ(called, said);
    request.u.efi_runtime_call.misc = 1;
    if (said == 0)
        CHECK_ERRNO(platform_op(XENPF_efi_runtime_call), EINVAL);
    else
        CHECK_ERRNO(platform_op(XENPF_efi_runtime_call), ENOSYS);
}

/*
 * Background: dom0 knows of oddities of machines.
 * Provoked by: that an interrupt controller has not the oddity that some have; an oddity that does not exist.
 * Expected: 0; -EINVAL.
 * Source: platform.h (XENPF_platform_quirk); arch/x86/platform_hypercall.c, do_platform_op().
 */
TEST(platform_quirk, CONTROL, "dom0 tells Xen about oddities of the machine", .needs = "dom0")
{
    platform_prepare();
    request.u.platform_quirk.quirk_id = QUIRK_IOAPIC_GOOD_REGSEL;
    CHECK_EQ(platform_op(XENPF_platform_quirk), 0);
    request.u.platform_quirk.quirk_id = 99;
    CHECK_ERRNO(platform_op(XENPF_platform_quirk), EINVAL);
}

/* ---- Xen's symbols ---- */

static char symbol[128];

static long read_symbol(uint32_t number, uint32_t room, void *name)
{
    platform_prepare();
    memset(symbol, 0x55, sizeof(symbol));
    request.u.symdata.symnum = number;
    request.u.symdata.namelen = room;
    handle_set(request.u.symdata.name, name);
    return platform_op(XENPF_get_symbol);
}

/* Whether a symbol of this type is a part of the program; the type is a letter, as nm prints it. */
static bool is_defined(char type)
{
    char small = (char)(type | ('a' - 'A'));

    return small >= 'a' && small <= 'z' && small != 'u';
}

/*
 * Background: Tools that measure where Xen spends its time need the names of its functions.
 * Provoked by: the first symbol and the next; the first again with room for one byte; a symbol beyond all; a name at no address.
 * Expected: names with a zero at their end and as long as told, at addresses that do not fall, of types that a part of a
 * program has, and the number of the next one; only that byte is written; -ERANGE; -EFAULT.
 * Source: platform.h (XENPF_get_symbol); common/symbols.c, xensyms_read().
 */
TEST(platform_get_symbol, CONTROL, "dom0 reads the symbols of Xen", .needs = "dom0")
{
    uint64_t address = 0;
    char first = 0;

    for (uint32_t i = 0; i < 2; i++) {
        CHECK_EQ(read_symbol(i, sizeof(symbol), symbol), 0);
        CHECK_EQ(request.u.symdata.symnum, i + 1);
        CHECK(request.u.symdata.namelen > 1 && request.u.symdata.namelen <= sizeof(symbol));
        CHECK_EQ(strlen(symbol) + 1, request.u.symdata.namelen);
        CHECK(request.u.symdata.address >= address && request.u.symdata.address != 0);
        CHECK(is_defined(request.u.symdata.type));
        address = request.u.symdata.address;
        if (i == 0)
            first = symbol[0];
    }
    CHECK_EQ(read_symbol(0, 1, symbol), 0);
    CHECK_EQ(symbol[0], first);
    CHECK_EQ(symbol[1], 0x55);
    CHECK_ERRNO(read_symbol(~0u, sizeof(symbol), symbol), ERANGE);
    CHECK_ERRNO(read_symbol(0, sizeof(symbol), nowhere()), EFAULT);
}

#ifdef XENPF_get_dom0_console
/*
 * Background: A dom0 that has no start_info asks for the screen.
 * Provoked by: the question.
 * Expected: the size of the answer; -ENODEV if there is none; -ENOSYS if Xen has no screens.
 * Source: platform.h (XENPF_get_dom0_console); arch/x86/platform_hypercall.c, do_platform_op().
 */
TEST(platform_dom0_console, CONTROL, "dom0 is told about the screen", .needs = "dom0")
{
    long rc = platform_plain(XENPF_get_dom0_console);

    if (rc > 0)
        CHECK(rc <= (long)sizeof(request.u.dom0_console));
    else if (rc != -XEN_ENOSYS)
        CHECK_ERRNO(rc, ENODEV);
}
#endif
