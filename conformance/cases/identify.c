/*
 * Rung "identify": xen_version tells the guest what it runs on, and all it tells fits together.
 */
#include <features.h>
#include <string.h>
#include <version.h>

#include "common.h"

/* Fills with something that is no text, so that a string without an end is seen. */
static void *unwritten(void *buffer, size_t size)
{
    return memset(buffer, 0xff, size);
}

/* Printable text with an end inside its buffer. */
static bool is_text(const char *text, size_t size)
{
    size_t length = strnlen(text, size);

    for (size_t i = 0; i < length; i++)
        if (text[i] < ' ' || text[i] > '~')
            return false;
    return length < size;
}

static bool contains(const char *text, const char *word)
{
    for (; *text; text++)
        if (starts_with(text, word))
            return true;
    return false;
}

static bool is_kind(const char *guest)
{
    return strcmp(boot_info.guest, guest) == 0;
}

static uint32_t features(void)
{
    struct xen_feature_info info = {.submap_idx = 0, .submap = 0};

    CHECK_EQ(hypercall_xen_version(XENVER_get_features, &info), 0);
    CHECK_EQ(info.submap_idx, 0);
    return info.submap;
}

/*
 * Background: A kernel picks its workarounds by the version.
 * Provoked by: XENVER_version.
 * Expected: the major number in the high half, the minor one in the low half, and both those of the
 * release that the port claims to be, with whose headers this kernel was built.
 * Source: version.h (XENVER_version); common/kernel.c, do_xen_version().
 */
TEST(version_number, IDENTIFY, "the version is the release the kernel was built for")
{
    long version = hypercall_xen_version(XENVER_version, NULL);

    CHECK_EQ(version >> 16, XENPORT_RELEASE_MAJOR);
    CHECK_EQ(version & 0xffff, XENPORT_RELEASE_MINOR);
}

/*
 * Background: The extra version is what follows the two numbers: "-rc1", ".7".
 * Provoked by: XENVER_extraversion into a buffer filled with something else.
 * Expected: text, with its end inside the 16 bytes that the structure has, and nothing behind
 * those.
 * Source: version.h (xen_extraversion_t); common/kernel.c, do_xen_version().
 */
TEST(version_extra, IDENTIFY, "the extra version is text with an end")
{
    struct {
        xen_extraversion_t text;
        char behind[16];
    } extra;

    unwritten(&extra, sizeof(extra));
    CHECK_EQ(hypercall_xen_version(XENVER_extraversion, &extra.text), 0);
    CHECK(is_text(extra.text, sizeof(extra.text)));
    for (size_t i = 0; i < sizeof(extra.behind); i++)
        CHECK_EQ((unsigned char)extra.behind[i], 0xff);
}

/*
 * Background: Who built the hypervisor is public; a policy may answer "<denied>", which is text as
 * well.
 * Provoked by: XENVER_compile_info into a buffer filled with something else.
 * Expected: four texts with ends, of which the compiler is not empty.
 * Source: version.h (xen_compile_info); common/kernel.c, do_xen_version().
 */
TEST(version_compile_info, IDENTIFY, "the build's compiler, builder and date are texts with ends")
{
    static struct xen_compile_info info;

    unwritten(&info, sizeof(info));
    CHECK_EQ(hypercall_xen_version(XENVER_compile_info, &info), 0);
    CHECK(is_text(info.compiler, sizeof(info.compiler)));
    CHECK(is_text(info.compile_by, sizeof(info.compile_by)));
    CHECK(is_text(info.compile_domain, sizeof(info.compile_domain)));
    CHECK(is_text(info.compile_date, sizeof(info.compile_date)));
    CHECK(info.compiler[0] != '\0');
}

/*
 * Background: Capabilities are the kinds of guest that can be run, as words "xen-3.0-x86_64",
 * "hvm-3.0-x86_32".
 * Provoked by: XENVER_capabilities into a buffer filled with something else.
 * Expected: text with an end, and the word of this very guest.
 * Source: version.h (xen_capabilities_info_t); arch_get_xen_caps() of the architecture.
 */
TEST(version_capabilities, IDENTIFY, "the capabilities name the kind of this guest")
{
    static xen_capabilities_info_t text;

    unwritten(text, sizeof(text));
    CHECK_EQ(hypercall_xen_version(XENVER_capabilities, text), 0);
    CHECK(is_text(text, sizeof(text)));
    CHECK(contains(text, ARCH_CAPABILITY));
    CHECK(contains(text, is_kind("hvm") ? "hvm-3.0-" ARCH_CAPABILITY : "xen-3.0-" ARCH_CAPABILITY));
}

/*
 * Background: The start of Xen's own area matters to PV guests only, but every guest is told one.
 * Provoked by: XENVER_platform_parameters.
 * Expected: an address at the start of a page; a 32-bit guest may hear of none, all ones.
 * Source: version.h (xen_platform_parameters); HYPERVISOR_VIRT_START of the architecture, and
 * HYPERVISOR_COMPAT_VIRT_START.
 */
TEST(version_platform_parameters, IDENTIFY, "the start of Xen's area is the start of a page")
{
    struct xen_platform_parameters parameters = {.virt_start = 1};

    CHECK_EQ(hypercall_xen_version(XENVER_platform_parameters, &parameters), 0);
    if (!ARCH_COMPAT || parameters.virt_start != ~(xen_ulong_t)0)
        CHECK_EQ(parameters.virt_start % PAGE_BYTES, 0);
}

/*
 * Background: The changeset names the source that Xen was built from.
 * Provoked by: XENVER_changeset into a buffer filled with something else.
 * Expected: text with an end; "unavailable" and "<denied>" are good ones.
 * Source: version.h (xen_changeset_info_t); common/kernel.c, do_xen_version().
 */
TEST(version_changeset, IDENTIFY, "the changeset is text with an end")
{
    static xen_changeset_info_t text;

    unwritten(text, sizeof(text));
    CHECK_EQ(hypercall_xen_version(XENVER_changeset, text), 0);
    CHECK(is_text(text, sizeof(text)));
}

#ifdef XENVER_commandline
static xen_commandline_t xen_command_line;

/*
 * Background: Xen's own command line may hold what a domU should not know.
 * Provoked by: XENVER_commandline from dom0.
 * Expected: text with an end, which is not "<denied>".
 * Source: version.h (XENVER_commandline); xsm/dummy.h, xsm_xen_version(); common/version.c.
 */
TEST(version_command_line_dom0, IDENTIFY, "dom0 can read Xen's command line", .needs = "dom0")
{
    unwritten(xen_command_line, sizeof(xen_command_line));
    CHECK_EQ(hypercall_xen_version(XENVER_commandline, xen_command_line), 0);
    CHECK(is_text(xen_command_line, sizeof(xen_command_line)));
    CHECK(strcmp(xen_command_line, "<denied>") != 0);
}

/*
 * Background: As above.
 * Provoked by: XENVER_commandline from a domU.
 * Expected: exactly "<denied>".
 * Source: version.h (XENVER_commandline); xsm/dummy.h, xsm_xen_version(); common/version.c.
 */
TEST(version_command_line_domu, IDENTIFY, "a domU is denied Xen's command line", .needs = "domu")
{
    unwritten(xen_command_line, sizeof(xen_command_line));
    CHECK_EQ(hypercall_xen_version(XENVER_commandline, xen_command_line), 0);
    CHECK(strcmp(xen_command_line, "<denied>") == 0);
}
#endif

/*
 * Background: The page size is the unit of all frame numbers in the interface.
 * Provoked by: the command without an argument, and with one, which it does not take.
 * Expected: 4096; -EINVAL.
 * Source: version.h (XENVER_pagesize); common/kernel.c, do_xen_version().
 */
TEST(version_page_size, IDENTIFY, "pages have 4096 bytes, and the command takes no argument")
{
    uint32_t argument = 0;

    CHECK_EQ(hypercall_xen_version(XENVER_pagesize, NULL), PAGE_BYTES);
    CHECK_ERRNO(hypercall_xen_version(XENVER_pagesize, &argument), EINVAL);
}

/*
 * Background: The handle is the 16 bytes by which the tool stack knows the domain.
 * Provoked by: XENVER_guest_handle, twice, into buffers with room behind it.
 * Expected: all 16 bytes are written, the same ones each time, and no more.
 * Source: version.h (XENVER_guest_handle); xen.h (xen_domain_handle_t).
 */
TEST(version_guest_handle, IDENTIFY, "the domain's handle is 16 bytes and stays the same")
{
    uint8_t first[24], second[24];

    memset(first, 0xff, sizeof(first));
    memset(second, 0xee, sizeof(second));
    CHECK_EQ(hypercall_xen_version(XENVER_guest_handle, first), 0);
    CHECK_EQ(hypercall_xen_version(XENVER_guest_handle, second), 0);
    CHECK_EQ(memcmp(first, second, sizeof(xen_domain_handle_t)), 0);
    for (size_t i = sizeof(xen_domain_handle_t); i < sizeof(first); i++)
        CHECK_EQ(first[i], 0xff);
}

#ifdef XENVER_build_id
static union {
    xen_build_id_t id;
    uint8_t bytes[sizeof(xen_build_id_t) + 64];
} build;

/*
 * Background: The build id is a note in Xen's image, of a length that the caller asks for first.
 * Provoked by: no buffer; a buffer of length 0; one that is too short; one that is long enough.
 * Expected: the length; -EINVAL (before 4.20); -ENOBUFS; the length again. A hypervisor that was
 * linked without one says -ENODATA to all that got as far as looking.
 * Source: version.h (xen_build_id); common/kernel.c, do_xen_version(); common/version.c.
 */
TEST(version_build_id, IDENTIFY, "the build id is returned whole or not at all", .needs = "dom0")
{
    long size = hypercall_xen_version(XENVER_build_id, NULL);

    build.id.len = 0;
    if (!RELEASE_IS_AT_LEAST(4, 20))
        CHECK_ERRNO(hypercall_xen_version(XENVER_build_id, &build), EINVAL);
    if (size == -XEN_ENODATA)
        SKIP("this hypervisor has no build id");
    CHECK(size > 0 && size <= 64);
    build.id.len = (uint32_t)size - 1;
    CHECK_ERRNO(hypercall_xen_version(XENVER_build_id, &build), ENOBUFS);
    unwritten(&build, sizeof(build));
    build.id.len = 64;
    CHECK_EQ(hypercall_xen_version(XENVER_build_id, &build), size);
    CHECK_EQ(build.id.buf[size], 0xff);
}

/*
 * Background: The build id says exactly which hypervisor this is, which helps who attacks it.
 * Provoked by: the same from a domU, which the default policy does not let know.
 * Expected: -EPERM.
 * Source: xsm/dummy.h, xsm_xen_version(); common/kernel.c, do_xen_version().
 */
TEST(version_build_id_denied, IDENTIFY, "a domU is refused the build id with EPERM",
     .needs = "domu")
{
    CHECK_ERRNO(hypercall_xen_version(XENVER_build_id, NULL), EPERM);
}
#endif

/*
 * Background: The features say which interface the guest has to use. The one that decides most is
 * whether the guest's frame numbers are translated by Xen.
 * Provoked by: XENVER_get_features, the first word.
 * Expected: a PV guest has neither of the two features of translated guests, every other guest
 * both.
 * Source: features.h; common/kernel.c, do_xen_version().
 */
TEST(features_of_translated_guests, IDENTIFY, "translated guests are told so, PV guests are not")
{
    uint32_t translated =
        1u << XENFEAT_auto_translated_physmap | 1u << XENFEAT_writable_page_tables;

    CHECK_EQ(features() & translated, is_kind("pv") ? 0 : translated);
}

#ifdef XENFEAT_dom0
/*
 * Background: A kernel runs as dom0 or not with the same image.
 * Provoked by: XENVER_get_features, the first word.
 * Expected: XENFEAT_dom0 is told to dom0.
 * Source: features.h; common/kernel.c, do_xen_version().
 */
TEST(features_of_dom0, IDENTIFY, "dom0 is told that it is dom0", .needs = "dom0")
{
    CHECK(features() & 1u << XENFEAT_dom0);
}

/*
 * Background: A domU that took itself for dom0 would try to manage the machine.
 * Provoked by: XENVER_get_features, the first word.
 * Expected: and to nobody else.
 * Source: features.h; common/kernel.c, do_xen_version().
 */
TEST(features_of_domu, IDENTIFY, "a domU is not told that it is dom0", .needs = "domu")
{
    CHECK(!(features() & 1u << XENFEAT_dom0));
}
#endif

#ifdef XENFEAT_hvm_callback_vector
/*
 * Background: A PVH guest needs an interrupt vector for events and a clock that it can rely on.
 * Provoked by: XENVER_get_features, the first word.
 * Expected: the features that promise both.
 * Source: features.h; common/kernel.c, do_xen_version().
 */
TEST(features_of_hvm, IDENTIFY, "HVM guests are promised a callback vector and a safe clock",
     .needs = "hvm")
{
    CHECK(features() & 1u << XENFEAT_hvm_callback_vector);
    CHECK(features() & 1u << XENFEAT_hvm_safe_pvclock);
}
#endif

#ifdef XENFEAT_not_direct_mapped
/*
 * Background: Whether guest frames are machine frames decides if a driver may hand them to a
 * device.
 * Provoked by: XENVER_get_features, the first word.
 * Expected: exactly one of the two features.
 * Source: features.h; common/kernel.c, do_xen_version().
 */
TEST(features_direct_mapped, IDENTIFY, "a guest is direct mapped or it is not")
{
    uint32_t both = 1u << XENFEAT_direct_mapped | 1u << XENFEAT_not_direct_mapped;
    uint32_t told = features() & both;

    CHECK(told == 1u << XENFEAT_direct_mapped || told == 1u << XENFEAT_not_direct_mapped);
}
#endif

/*
 * Background: There are 32 features in a word, and one word so far.
 * Provoked by: the word after the last one.
 * Expected: -EINVAL.
 * Source: features.h (XENFEAT_NR_SUBMAPS); common/kernel.c, do_xen_version().
 */
TEST(features_beyond_the_last, IDENTIFY,
     "a feature word that does not exist is refused with EINVAL")
{
    struct xen_feature_info info = {.submap_idx = XENFEAT_NR_SUBMAPS};

    CHECK_ERRNO(hypercall_xen_version(XENVER_get_features, &info), EINVAL);
}

/*
 * Background: Xen copies every argument with a check, and says so when it cannot.
 * Provoked by: every command that writes a result, with an address where nothing is.
 * Expected: -EFAULT each time.
 * Source: common/kernel.c, do_xen_version().
 */
TEST(version_bad_pointers, IDENTIFY, "every xen_version result to nowhere is refused with EFAULT")
{
    static const unsigned int commands[] = {
        XENVER_extraversion,        XENVER_compile_info, XENVER_capabilities,
        XENVER_platform_parameters, XENVER_changeset,    XENVER_get_features,
        XENVER_guest_handle,
#ifdef XENVER_commandline
        XENVER_commandline,
#endif
    };

    for (unsigned int i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        long rc = hypercall_xen_version(commands[i], arch_unmapped_pointer());

        if (rc != -XEN_EFAULT)
            FAIL("command %u returned %ld", commands[i], rc);
    }
}

/*
 * Background: A caller finds out what a release has by trying, so what is not there must be refused
 * in a way it knows.
 * Provoked by: a command that xen_version does not have.
 * Expected: -ENOSYS.
 * Source: common/kernel.c, do_xen_version().
 */
TEST(version_unknown_command, IDENTIFY, "an unknown xen_version command is refused with ENOSYS")
{
    CHECK_ERRNO(hypercall_xen_version(NO_COMMAND, NULL), ENOSYS);
}

#ifdef XENVER_extraversion2
static union {
    struct xen_varbuf buffer;
    char bytes[sizeof(struct xen_varbuf) + 4096];
} varbuf;

/* The value that a command gives without a limit is the text that another one cuts off. */
static void check_unlimited(unsigned int command, const char *limited, size_t limit)
{
    long length = hypercall_xen_version(command, NULL);

    CHECK(length >= 0 && length <= 4096);
    if (length > 0) {
        varbuf.buffer.len = (uint32_t)length - 1;
        CHECK_ERRNO(hypercall_xen_version(command, &varbuf), ENOBUFS);
    }
    unwritten(&varbuf, sizeof(varbuf));
    varbuf.buffer.len = 4096;
    CHECK_EQ(hypercall_xen_version(command, &varbuf), length);
    CHECK_EQ(strlen(limited) < limit - 1 ? strlen(limited) : (size_t)length, (size_t)length);
    CHECK_EQ(memcmp(varbuf.buffer.buf, limited, strlen(limited)), 0);
    CHECK_EQ(varbuf.buffer.buf[length], 0xff);
    /* Not a null handle, which only asks for the length. */
    void *nowhere = (void *)((uintptr_t)arch_unmapped_pointer() + sizeof(uint64_t));
    CHECK_ERRNO(hypercall_xen_version(command, nowhere), EFAULT);
}

/*
 * Background: Since 4.20 the texts have commands that do not cut them off.
 * Provoked by: no buffer; one that is too short; one that is long enough; one at no address.
 * Expected: the length; -ENOBUFS; the length, and the text of the older command; -EFAULT.
 * Source: version.h (XENVER_extraversion2, xen_varbuf_t); common/kernel.c, xenver_varbuf_op().
 */
TEST(version_unlimited, IDENTIFY, "the texts come at any length", .needs = "pv|hvm|arm")
{
    static xen_extraversion_t extra;
    static xen_capabilities_info_t capabilities;
    static xen_changeset_info_t changeset;

    CHECK_EQ(hypercall_xen_version(XENVER_extraversion, extra), 0);
    check_unlimited(XENVER_extraversion2, extra, sizeof(extra));
    CHECK_EQ(hypercall_xen_version(XENVER_capabilities, capabilities), 0);
    check_unlimited(XENVER_capabilities2, capabilities, sizeof(capabilities));
    CHECK_EQ(hypercall_xen_version(XENVER_changeset, changeset), 0);
    check_unlimited(XENVER_changeset2, changeset, sizeof(changeset));
}

/*
 * Background: Xen's command line is for dom0 only.
 * Provoked by: the same as above.
 * Expected: the same as above.
 * Source: version.h (XENVER_commandline2); common/kernel.c, xenver_varbuf_op().
 */
TEST(version_unlimited_commandline, IDENTIFY, "Xen's command line comes at any length",
     .needs = "dom0")
{
    static xen_commandline_t line;

    CHECK_EQ(hypercall_xen_version(XENVER_commandline, line), 0);
    check_unlimited(XENVER_commandline2, line, sizeof(line));
}
#endif
