/*
 * Rung "control": devices of the machine and domains that have none: what is refused.
 */
#include <domctl.h>
#include <string.h>

#include "child.h"

#ifdef arch_child_config

/*
 * Background: A device can be given away only to a domain that was made with a context of the IOMMU.
 * Provoked by: a device for a domain without one, taken from it, and asked about; the devices that it
 * could not be told from; no domain at all.
 * Expected: -EOPNOTSUPP for all of these; -ESRCH.
 * Source: domctl.h (XEN_DOMCTL_assign_device, XEN_DOMCTL_get_device_group); drivers/passthrough/iommu.c,
 * iommu_do_domctl().
 */
TEST(domctl_assign_device_refused, CONTROL, "a domain without an IOMMU gets no device: EOPNOTSUPP",
     .needs = "dom0")
{
    static const uint32_t commands[] = {XEN_DOMCTL_assign_device, XEN_DOMCTL_test_assign_device,
                                        XEN_DOMCTL_deassign_device, XEN_DOMCTL_get_device_group};

    child_create(CHILD);
    for (unsigned int i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        CHECK_ERRNO(domctl(commands[i], CHILD), EOPNOTSUPP);
        CHECK_ERRNO(domctl(commands[i], NO_DOMAIN), ESRCH);
    }
    CHECK_ERRNO(domctl(XEN_DOMCTL_assign_device, DOMID_INVALID), ESRCH);
    CHECK_ERRNO(domctl(XEN_DOMCTL_deassign_device, DOMID_INVALID), ESRCH);
    child_destroy(CHILD);
}

/*
 * Background: Nobody can allow memory of devices that he may not use himself; some is Xen's alone.
 * Provoked by: all frames there are; no frames; frames beyond all numbers.
 * Expected: -EPERM; -EINVAL; -EINVAL.
 * Source: domctl.h (XEN_DOMCTL_iomem_permission); common/domctl.c.
 */
TEST(domctl_iomem_permission_refused, CONTROL, "not all memory of devices can be given away: EPERM",
     .needs = "dom0")
{
    child_create(CHILD);
    CHECK_ERRNO(child_allow_device(CHILD, 0, 0, true), EPERM);
    CHECK_ERRNO(child_allow_device(CHILD, 1, 0, true), EINVAL);
    CHECK_ERRNO(child_allow_device(CHILD, (uint64_t)-4, 8, true), EINVAL);
    child_destroy(CHILD);
}

/*
 * Background: Memory of a device is mapped for a domain that may use it.
 * Provoked by: frames that the domain may not use; none; frames beyond the machine's addresses.
 * Expected: -EPERM; -EINVAL; -EINVAL.
 * Source: domctl.h (XEN_DOMCTL_memory_mapping); common/domctl.c.
 */
TEST(domctl_memory_mapping_refused, CONTROL, "memory of devices that a domain may not use: EPERM",
     .needs = "dom0")
{
    uint64_t at = CHILD_FRAME + CHILD_PAGES;

    child_create_with_memory(CHILD);
    CHECK_ERRNO(child_map_device(CHILD, at, 0x9000, 1, true), EPERM);
    CHECK_ERRNO(child_map_device(CHILD, at, 0x9000, 0, true), EINVAL);
    CHECK_ERRNO(child_map_device(CHILD, at, (unsigned long)-1, 1, true), EINVAL);
    child_destroy(CHILD);
}

#endif
