/*
 * hypfs_op: Xen's own files, about its build and its parameters.
 */
#if __has_include(<hypfs.h>)
#include <hypfs.h>
#include <string.h>
#include <version.h>

#include "common.h"

static uint8_t content[4096];

static long hypfs_op(unsigned int command, const void *path, size_t path_bytes, void *buffer,
                     size_t bytes)
{
    return arch_hypercall(__HYPERVISOR_hypfs_op, command, arch_guest_address(path), path_bytes,
                          arch_guest_address(buffer), bytes);
}

static long read_entry(const char *path, size_t room)
{
    memset(content, 0, sizeof(content));
    return hypfs_op(XEN_HYPFS_OP_read, path, strlen(path) + 1, content, room);
}

static long write_entry(const char *path, const void *text, size_t bytes)
{
    return hypfs_op(XEN_HYPFS_OP_write_contents, path, strlen(path) + 1, (void *)(uintptr_t)text,
                    bytes);
}

/* Whether it is built at all; where it is not, every command says so. */
static bool is_built(void)
{
    if (hypfs_op(XEN_HYPFS_OP_get_version, NULL, 0, NULL, 0) != -XEN_ENOSYS)
        return true;
    CHECK_ERRNO(read_entry("/", sizeof(content)), ENOSYS);
    CHECK_ERRNO(write_entry("/", content, 1), ENOSYS);
    return false;
}

static const struct xen_hypfs_direntry *entry(void)
{
    return (const struct xen_hypfs_direntry *)content;
}

/* What stands behind the entry that was read. */
static const char *text(void)
{
    return (const char *)content + sizeof(struct xen_hypfs_direntry);
}

static uint32_t number(void)
{
    uint32_t value;

    memcpy(&value, text(), sizeof(value));
    return value;
}

/*
 * Background: Tools ask for the version first.
 * Provoked by: the version; arguments that the command does not take.
 * Expected: the one that the headers name; -EINVAL.
 * Source: hypfs.h (XEN_HYPFS_OP_get_version); common/hypfs.c, do_hypfs_op().
 */
TEST(hypfs_version, CONTROL, "hypfs has a version, or is not built: ENOSYS", .needs = "dom0")
{
    if (!is_built())
        return;
    CHECK_EQ(hypfs_op(XEN_HYPFS_OP_get_version, NULL, 0, NULL, 0), XEN_HYPFS_VERSION);
    CHECK_ERRNO(hypfs_op(XEN_HYPFS_OP_get_version, "/", 0, NULL, 0), EINVAL);
    CHECK_ERRNO(hypfs_op(XEN_HYPFS_OP_get_version, NULL, 2, NULL, 0), EINVAL);
    CHECK_ERRNO(hypfs_op(XEN_HYPFS_OP_get_version, NULL, 0, content, 0), EINVAL);
    CHECK_ERRNO(hypfs_op(XEN_HYPFS_OP_get_version, NULL, 0, NULL, 1), EINVAL);
    CHECK_ERRNO(hypfs_op(NO_COMMAND, "/", 2, content, sizeof(content)), EOPNOTSUPP);
}

/*
 * Background: What xen_version says stands in files too.
 * Provoked by: the root; the halves of the version; the changeset; room for the head of an entry alone,
 * and for less.
 * Expected: a directory; numbers of 32 bits and a text, as xen_version says; -ENOBUFS, with the head;
 * -EINVAL.
 * Source: hypfs.h (struct xen_hypfs_direntry); docs/misc/hypfs-paths.pandoc.
 */
TEST(hypfs_read, CONTROL, "files about the version say what xen_version says", .needs = "dom0")
{
    static xen_changeset_info_t changeset;
    long version = hypercall_xen_version(XENVER_version, NULL);

    if (!is_built())
        return;
    CHECK_EQ(read_entry("/", sizeof(content)), 0);
    CHECK_EQ(entry()->type, XEN_HYPFS_TYPE_DIR);
    CHECK(entry()->content_len > 0);
    CHECK_EQ(entry()->max_write_len, 0);
    CHECK_EQ(read_entry("/buildinfo/version/major", sizeof(content)), 0);
    CHECK_EQ(entry()->type, XEN_HYPFS_TYPE_UINT);
    CHECK_EQ(entry()->content_len, 4);
    CHECK_EQ(number(), version >> 16);
    CHECK_EQ(read_entry("/buildinfo/version/minor", sizeof(content)), 0);
    CHECK_EQ(number(), version & 0xffff);
    CHECK_EQ(hypercall_xen_version(XENVER_changeset, changeset), 0);
    CHECK_EQ(read_entry("/buildinfo/changeset", sizeof(content)), 0);
    CHECK_EQ(entry()->type, XEN_HYPFS_TYPE_STRING);
    CHECK_EQ(strcmp(text(), changeset), 0);
    CHECK_EQ(entry()->content_len, strlen(changeset) + 1);
    CHECK_ERRNO(read_entry("/", sizeof(struct xen_hypfs_direntry)), ENOBUFS);
    CHECK_EQ(entry()->type, XEN_HYPFS_TYPE_DIR);
    CHECK_ERRNO(read_entry("/", sizeof(struct xen_hypfs_direntry) - 1), EINVAL);
}

/*
 * Background: A path is a text with a zero at its end, and begins at the root.
 * Provoked by: a path that leads nowhere; one without a zero; one that is too long; one without a
 * slash; one at no address; room at no address.
 * Expected: -ENOENT; -EINVAL; -EINVAL; -EINVAL (4.14: -ENOENT); -EFAULT; -EFAULT.
 * Source: hypfs.h; common/hypfs.c, hypfs_get_path_user(), hypfs_get_entry().
 */
TEST(hypfs_paths_refused, CONTROL, "paths that are none are refused", .needs = "dom0")
{
    if (!is_built())
        return;
    CHECK_ERRNO(read_entry("/xenport", sizeof(content)), ENOENT);
    CHECK_ERRNO(hypfs_op(XEN_HYPFS_OP_read, "/buildinfo", 10, content, sizeof(content)), EINVAL);
    CHECK_ERRNO(hypfs_op(XEN_HYPFS_OP_read, content, XEN_HYPFS_MAX_PATHLEN + 1, content,
                         sizeof(content)), EINVAL);
    if (RELEASE_IS_AT_LEAST(4, 15))
        CHECK_ERRNO(read_entry("buildinfo", sizeof(content)), EINVAL);
    else
        CHECK_ERRNO(read_entry("buildinfo", sizeof(content)), ENOENT);
    CHECK_ERRNO(hypfs_op(XEN_HYPFS_OP_read, arch_unmapped_pointer(), 2, content, sizeof(content)),
                EFAULT);
    CHECK_ERRNO(hypfs_op(XEN_HYPFS_OP_read, "/", 2, arch_unmapped_pointer(), sizeof(content)),
                EFAULT);
}

#define PARAMETER "/params/guest_loglvl"

/*
 * Background: Some parameters of Xen's command line can be changed while it runs.
 * Provoked by: the level of messages about guests read, and written as it is; a longer text than
 * there is room for; one without a zero; a directory and the version written.
 * Expected: a text, which stays; -ENOSPC; -EDOM; -EACCES.
 * Source: hypfs.h (XEN_HYPFS_OP_write_contents); common/hypfs.c, hypfs_write_custom().
 */
TEST(hypfs_write, CONTROL, "dom0 writes a runtime parameter, and nothing else", .needs = "dom0")
{
    static char level[64];
    uint32_t room;

    if (!is_built())
        return;
    CHECK_EQ(read_entry(PARAMETER, sizeof(content)), 0);
    CHECK_EQ(entry()->type, XEN_HYPFS_TYPE_STRING);
    room = entry()->max_write_len;
    CHECK(room > 1 && room < sizeof(content) && strlen(text()) < sizeof(level));
    memcpy(level, text(), strlen(text()) + 1);
    CHECK_EQ(write_entry(PARAMETER, level, strlen(level) + 1), 0);
    CHECK_EQ(read_entry(PARAMETER, sizeof(content)), 0);
    CHECK_EQ(strcmp(text(), level), 0);
    CHECK_ERRNO(write_entry(PARAMETER, content, sizeof(content)), ENOSPC);
    CHECK_ERRNO(write_entry(PARAMETER, level, strlen(level)), EDOM);
    CHECK_ERRNO(write_entry("/buildinfo", level, 1), EACCES);
    CHECK_ERRNO(write_entry("/buildinfo/version/major", level, 4), EACCES);
    CHECK_ERRNO(write_entry("/xenport", level, 1), ENOENT);
}

/*
 * Background: Xen's files are the control domain's.
 * Provoked by: every command from a domU.
 * Expected: -EPERM, or -ENOSYS where it is not built.
 * Source: xsm/dummy.h, xsm_hypfs_op().
 */
TEST(hypfs_denied, CONTROL, "hypfs_op from a domU is refused with EPERM", .needs = "domu")
{
    for (unsigned int command = XEN_HYPFS_OP_get_version; command <= XEN_HYPFS_OP_write_contents;
         command++) {
        long rc = hypfs_op(command, NULL, 0, NULL, 0);

        if (rc != -XEN_ENOSYS)
            CHECK_ERRNO(rc, EPERM);
    }
}
#endif
