/*
 * sysctl that takes pages out of use, as tools do with memory that has errors.
 */
#include <memory.h>

#include "sysctl_request.h"

#ifdef XEN_SYSCTL_page_offline_op
static uint8_t own_page[PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));

static long pages_op(uint32_t command, uint64_t first, uint64_t last, void *status)
{
    sysctl_prepare();
    request.u.page_offline.cmd = command;
    request.u.page_offline.start = (uint32_t)first;
    request.u.page_offline.end = (uint32_t)last;
#ifdef __i386__
    /* A 64-bit Xen, which alone there is, takes its own layout for everybody's. */
    uint64_t address = arch_guest_address(status);

    memcpy((char *)&request.u.page_offline + 16, &address, sizeof(address));
#else
    handle_set(request.u.page_offline.status, status);
#endif

    long rc = sysctl(XEN_SYSCTL_page_offline_op);

    /* Xen makes an unsigned number of 32 bits of the error here, before it is one of 64 bits. */
    return command == sysctl_page_online ? (int32_t)rc : rc;
}

/*
 * Background: A page with errors is taken out of use: at once if it is free, else when its owner gives it
 * back. Until then it can be taken into use again.
 * Provoked by: a page of this domain asked about, taken out of use, asked about, taken into use again, twice,
 * and asked about.
 * Expected: in use; it will go, and who owns it; the same; it is back, and then nothing to do; in use.
 * Source: sysctl.h (XEN_SYSCTL_page_offline_op); common/page_alloc.c, offline_page(), online_page(),
 * query_page_offline().
 */
TEST(page_offline, MEMORY, "dom0 takes a page of its own out of use and into it again",
     .needs = "pv dom0")
{
    unsigned long frame = arch_frame(own_page);
    uint32_t status = ~0u;

    CHECK_EQ(pages_op(sysctl_query_page_offline, frame, frame, &status), 0);
    CHECK_EQ(status, 0);
    CHECK_EQ(pages_op(sysctl_page_offline, frame, frame, &status), 0);
    CHECK_EQ(status & (PG_OFFLINE_STATUS_MASK | PG_OFFLINE_OWNED),
             PG_OFFLINE_PENDING | PG_OFFLINE_OWNED);
    CHECK_EQ(status >> PG_OFFLINE_OWNER_SHIFT, own_domain());
    CHECK_EQ(pages_op(sysctl_query_page_offline, frame, frame, &status), 0);
    CHECK_EQ(status, PG_OFFLINE_STATUS_OFFLINE_PENDING);
    CHECK_EQ(pages_op(sysctl_page_online, frame, frame, &status), 0);
    CHECK_EQ(status, PG_ONLINE_ONLINED);
    CHECK_EQ(pages_op(sysctl_page_online, frame, frame, &status), 0);
    CHECK_EQ(status, 0);
    CHECK_EQ(pages_op(sysctl_query_page_offline, frame, frame, &status), 0);
    CHECK_EQ(status, 0);
}

/*
 * Background: What is no page cannot be dealt with.
 * Provoked by: a list that ends before it begins; a command that does not exist; a frame that is no
 * memory; a page to take into use that is in use, with room for the answer, and with none.
 * Expected: -EINVAL each time; 0, -EFAULT.
 * Source: sysctl.h (XEN_SYSCTL_page_offline_op); common/sysctl.c, do_sysctl().
 */
TEST(page_offline_refused, MEMORY, "pages that there are not cannot be taken out of use: EINVAL",
     .needs = "dom0")
{
    uint32_t status = ~0u, frame = (uint32_t)hypercall_memory_op(XENMEM_maximum_ram_page, NULL) - 1;

    CHECK_ERRNO(pages_op(sysctl_query_page_offline, frame, frame - 1, &status), EINVAL);
    CHECK_ERRNO(pages_op(sysctl_query_page_offline + 1, frame, frame, &status), EINVAL);
    for (uint32_t command = sysctl_page_offline; command <= sysctl_query_page_offline; command++)
        CHECK_ERRNO(pages_op(command, 0xfffffff0, 0xfffffff0, &status), EINVAL);
    CHECK_EQ(pages_op(sysctl_page_online, frame, frame, &status), 0);
    CHECK_EQ(status, 0);
    CHECK_ERRNO(pages_op(sysctl_page_online, frame, frame, nowhere()), EFAULT);
}

/*
 * Background: Arm's Xen keeps no record of what kind of memory is where.
 * Provoked by: a page of this domain asked about, and taken out of use.
 * Expected: -EINVAL, and the page stays.
 * Source: common/page_alloc.c, offline_page(), query_page_offline(); arch/arm/mm.c, page_is_ram_type().
 */
TEST(page_offline_on_arm, MEMORY, "Arm takes no pages out of use: EINVAL", .needs = "arm dom0")
{
    unsigned long frame = arch_frame(own_page);
    uint32_t status = ~0u;

    CHECK_ERRNO(pages_op(sysctl_query_page_offline, frame, frame, &status), EINVAL);
    CHECK_ERRNO(pages_op(sysctl_page_offline, frame, frame, &status), EINVAL);
    *(volatile uint8_t *)own_page = 0x5a;
    CHECK_EQ(*(volatile uint8_t *)own_page, 0x5a);
}
#endif
