/*
 * memory_op of the control domain: pages that Xen has made for another domain, and access to its memory.
 */
#include "child.h"

#ifdef arch_child_config
#include <grants.h>
#include <memory.h>
#include <string.h>

#include <hvm/params.h>

#define GRANT_FRAMES 4             /* as a child has */
#define MOST_FRAMES_AT_ONCE 32     /* until 4.14 */

static bool is_pv(void)
{
    return strcmp(boot_info.guest, "pv") == 0;
}

static xen_pfn_t frames[2];

static struct xen_mem_acquire_resource grants(uint32_t id, uint64_t first, uint32_t count)
{
    struct xen_mem_acquire_resource resource = {
        .domid = CHILD, .type = XENMEM_resource_grant_table, .id = id, .frame = first, .nr_frames = count};

    handle_set(resource.frame_list, frames);
    return resource;
}

static long acquire(struct xen_mem_acquire_resource resource)
{
    return hypercall_memory_op(XENMEM_acquire_resource, &resource);
}

/*
 * Background: The tools fill in the first grants of a domain that they build.
 * Provoked by: the size of a child's grant table; a frame of it mapped. A frame past it; no frames; a list for the
 * size; padding; a part and a type that there are not; status frames of a table of version 1.
 * Expected: what the child was made with, up to 4.14 what one call maps; 0, but -EOPNOTSUPP on Arm up to 4.14. -EINVAL
 * each time, but for the type until 4.17: -EOPNOTSUPP.
 * Source: memory.h (XENMEM_acquire_resource); common/memory.c, acquire_resource(); common/grant_table.c.
 */
TEST(memory_resource_grants, CONTROL, "the control domain gets the frames of another domain's grant table",
     .needs = "dom0")
{
    static char page[PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));
    struct xen_mem_acquire_resource size = {.domid = CHILD, .type = XENMEM_resource_grant_table}, wrong;

    child_create(CHILD);
    CHECK_EQ(hypercall_memory_op(XENMEM_acquire_resource, &size), 0);
    CHECK_EQ(size.nr_frames, RELEASE_IS_AT_LEAST(4, 15) ? GRANT_FRAMES : MOST_FRAMES_AT_ONCE);
    size.nr_frames = 1;
    CHECK_ERRNO(hypercall_memory_op(XENMEM_acquire_resource, &size), EINVAL);

    frames[0] = arch_frame(page);
    memset(page, 0x5a, sizeof(page));
    if (!is_pv())
        CHECK_EQ(arch_vacate(page), 0);
    if (!RELEASE_IS_AT_LEAST(4, 15) && strcmp(boot_info.guest, "arm") == 0) {
        CHECK_ERRNO(acquire(grants(XENMEM_resource_grant_table_id_shared, 1, 1)), EOPNOTSUPP);
        CHECK_EQ(arch_occupy(page), 0);
        child_destroy(CHILD);
        return;
    }
    CHECK_EQ(acquire(grants(XENMEM_resource_grant_table_id_shared, 1, 1)), 0);
    if (is_pv()) {
        CHECK(frames[0] != arch_frame(page));
    } else {
        struct xen_remove_from_physmap remove = {.domid = DOMID_SELF, .gpfn = arch_frame(page)};

        CHECK_EQ(page[0], 0);              /* no grants */
        CHECK_EQ(page[PAGE_BYTES - 1], 0);
        CHECK_EQ(hypercall_memory_op(XENMEM_remove_from_physmap, &remove), 0);
        CHECK_EQ(arch_occupy(page), 0);
    }

    CHECK_ERRNO(acquire(grants(XENMEM_resource_grant_table_id_shared, GRANT_FRAMES, 1)), EINVAL);
    CHECK_ERRNO(acquire(grants(XENMEM_resource_grant_table_id_status, 0, 1)), EINVAL);
    if (RELEASE_IS_AT_LEAST(4, 15)) {
        CHECK_ERRNO(acquire(grants(XENMEM_resource_grant_table_id_shared, 0, 0)), EINVAL);
        CHECK_ERRNO(acquire(grants(XENMEM_resource_grant_table_id_shared, 1ull << 32, 1)), EINVAL);
    }
    CHECK_ERRNO(acquire(grants(2, 0, 1)), EINVAL);
    wrong = grants(XENMEM_resource_grant_table_id_shared, 0, 1);
    wrong.pad = 1;
    CHECK_ERRNO(acquire(wrong), EINVAL);
    wrong.pad = 0;
    wrong.type = 99;
    if (RELEASE_IS_AT_LEAST(4, 18))
        CHECK_ERRNO(acquire(wrong), EINVAL);
    else
        CHECK_ERRNO(acquire(wrong), EOPNOTSUPP);
    child_destroy(CHILD);
}

/*
 * Background: A monitor restricts what a guest may do with its pages.
 * Provoked by: the rights of a page of a domain that has no monitor.
 * Expected: on x86 -EINVAL, without nested paging of Intel's; on Arm -ENODEV, or -ENOSYS where it is not built.
 * Source: memory.h (XENMEM_access_op); common/mem_access.c, mem_access_memop().
 */
TEST(memory_access_without_monitor, CONTROL, "rights of pages are a monitor's to ask for", .needs = "dom0")
{
    struct xen_mem_access_op access = {
        .op = XENMEM_access_op_get_access, .domid = CHILD, .pfn = CHILD_FRAME};
    long rc;

    child_create_with_memory(CHILD);
    rc = hypercall_memory_op(XENMEM_access_op, &access);
    if (strcmp(boot_info.guest, "arm") != 0)
        CHECK_ERRNO(rc, EINVAL);
    else if (rc != -XEN_ENOSYS)
        CHECK_ERRNO(rc, ENODEV);
    child_destroy(CHILD);
}

#endif
