/*
 * memory_op on x86: what the control domain says of the memory of a domain that it builds.
 */
#include <string.h>

#include <grants.h>
#include <memory.h>

#include "dm_op_request.h"
#include "x86.h"

static long pod(uint32_t command, uint64_t target, struct xen_pod_target *answer)
{
    *answer = (struct xen_pod_target){.domid = CHILD, .target_pages = target};
    return hypercall_memory_op(command, answer);
}

/*
 * Background: A guest may be built with less memory than it thinks it has; Xen gives it pages when it uses them.
 * Provoked by: how much of a domain is so; a target set, one above what the domain may have; a PV domain.
 * Expected: its pages, and none that wait; 0, -EINVAL; -EINVAL, until 4.16 its pages.
 * Source: memory.h (XENMEM_set_pod_target, XENMEM_get_pod_target); arch/x86/mm.c, arch_memory_op().
 */
TEST(memory_pod_target, CONTROL, "the control domain asks what is populated on demand",
     .needs = "pv|hvm dom0")
{
    struct xen_pod_target answer;

    child_create_with_memory(CHILD);
    CHECK_EQ(pod(XENMEM_get_pod_target, 0, &answer), 0);
    CHECK_EQ(answer.tot_pages, CHILD_PAGES);
    CHECK_EQ(answer.pod_cache_pages, 0);
    CHECK_EQ(answer.pod_entries, 0);
    CHECK_EQ(pod(XENMEM_set_pod_target, CHILD_PAGES / 2, &answer), 0);
    CHECK_EQ(answer.tot_pages, CHILD_PAGES);
    CHECK_EQ(answer.pod_cache_pages, 0);
    CHECK_EQ(answer.pod_entries, 0);
    CHECK_EQ(pod(XENMEM_set_pod_target, 2 * CHILD_PAGES, &answer), 0);
    CHECK_ERRNO(pod(XENMEM_set_pod_target, 2 * CHILD_PAGES + 1, &answer), EINVAL);
    child_create_pv(CHILD);
    if (RELEASE_IS_AT_LEAST(4, 17)) {
        CHECK_ERRNO(pod(XENMEM_get_pod_target, 0, &answer), EINVAL);
        CHECK_ERRNO(pod(XENMEM_set_pod_target, 1, &answer), EINVAL);
    } else {
        CHECK_EQ(pod(XENMEM_get_pod_target, 0, &answer), 0);
        CHECK_EQ(answer.tot_pages, CHILD_PAGES);
    }
    child_destroy(CHILD);
}

#define MORE_FRAMES 2

/*
 * Background: The pages of an ioreq server can be taken from Xen, so that the guest never has them.
 * Provoked by: the pages of a server with a buffer, and their frames asked for as well; the buffer's page of one without;
 * a page that there is not; a server that there is not.
 * Expected: 0, and different frames for a PV domain, empty pages for others; -EPERM; -ENOENT; -EINVAL; -ENOENT.
 * Source: memory.h (XENMEM_resource_ioreq_server); common/ioreq.c, ioreq_server_get_frame().
 */
TEST(memory_resource_ioreq, CONTROL, "a device model takes the pages of its ioreq server",
     .needs = "pv|hvm dom0")
{
    static unsigned char pages[MORE_FRAMES][PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));
    xen_pfn_t frames[MORE_FRAMES];
    struct xen_mem_acquire_resource resource = {
        .domid = CHILD, .type = XENMEM_resource_ioreq_server, .nr_frames = MORE_FRAMES};
    struct xen_dm_op *request;

    child_create_with_memory(CHILD);
    request = dm_request(XEN_DMOP_create_ioreq_server);
    request->u.create_ioreq_server.handle_bufioreq = HVM_IOREQSRV_BUFIOREQ_ATOMIC;
    CHECK_EQ(dm_call(), 0);
    resource.id = request->u.create_ioreq_server.id;
    handle_set(resource.frame_list, frames);
    for (unsigned int i = 0; i < MORE_FRAMES; i++) {
        memset(pages[i], 0x5a, PAGE_BYTES);
        frames[i] = arch_frame(pages[i]);
        if (!arch_is_pv())
            CHECK_EQ(arch_vacate(pages[i]), 0);
    }
    CHECK_EQ(hypercall_memory_op(XENMEM_acquire_resource, &resource), 0);
    for (unsigned int i = 0; i < MORE_FRAMES; i++) {
        struct xen_remove_from_physmap remove = {.domid = DOMID_SELF, .gpfn = arch_frame(pages[i])};

        if (arch_is_pv())
            continue;
        CHECK_EQ(pages[i][0], 0);
        CHECK_EQ(pages[i][PAGE_BYTES - 1], 0);
        CHECK_EQ(hypercall_memory_op(XENMEM_remove_from_physmap, &remove), 0);
        CHECK_EQ(arch_occupy(pages[i]), 0);
    }
    CHECK(frames[0] != frames[1]);
    dm_request(XEN_DMOP_get_ioreq_server_info)->u.get_ioreq_server_info.id = resource.id;
    CHECK_ERRNO(dm_call(), EPERM);

    resource.frame = XENMEM_resource_ioreq_server_frame_ioreq(1);
    resource.nr_frames = 1;
    CHECK_ERRNO(hypercall_memory_op(XENMEM_acquire_resource, &resource), EINVAL);
    resource.frame = XENMEM_resource_ioreq_server_frame_bufioreq;
    resource.id = 7;
    CHECK_ERRNO(hypercall_memory_op(XENMEM_acquire_resource, &resource), ENOENT);
    request = dm_request(XEN_DMOP_create_ioreq_server);
    CHECK_EQ(dm_call(), 0);
    resource.id = request->u.create_ioreq_server.id;
    CHECK_ERRNO(hypercall_memory_op(XENMEM_acquire_resource, &resource), ENOENT);
    child_destroy(CHILD);
}
