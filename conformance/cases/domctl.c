/*
 * Rung "control": what one domain, without building another, can see of domctl.
 */
#include <domctl.h>
#include <memory.h>
#include <string.h>
#include <version.h>

#include "common.h"

static struct xen_domctl request;

static long domctl(unsigned int command, domid_t domain)
{
    memset(&request, 0, sizeof(request));
    request.cmd = command;
    request.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    request.domain = domain;
    return hypercall_domctl(&request);
}

/*
 * Background: The tools ask for a domain's state by its number.
 * Provoked by: the state of this domain.
 * Expected: its number, running and neither paused, dying nor shut down; one vcpu; the pages and
 * the handle that the domain knows itself; time that has been used.
 * Source: domctl.h (XEN_DOMCTL_getdomaininfo); common/domctl.c, getdomaininfo().
 */
TEST(domctl_getdomaininfo, CONTROL, "dom0 is told the state of itself", .needs = "dom0")
{
    struct xen_memory_domain self = {.domid = DOMID_SELF};
    xen_domain_handle_t handle;
    const struct xen_domctl_getdomaininfo *info = &request.u.getdomaininfo;
    domid_t domain = own_domain();
    const uint32_t ended = XEN_DOMINF_dying | XEN_DOMINF_shutdown | XEN_DOMINF_paused;

    CHECK_EQ(domctl(XEN_DOMCTL_getdomaininfo, domain), 0);
    CHECK_EQ(request.domain, domain);
    CHECK_EQ(info->domain, domain);
    CHECK_EQ(info->flags & ended, 0);
    CHECK(info->flags & XEN_DOMINF_running);
    CHECK_EQ(info->tot_pages, hypercall_memory_op(XENMEM_current_reservation, &self));
    CHECK(info->nr_online_vcpus >= 1);
    CHECK(info->max_vcpu_id + 1 >= info->nr_online_vcpus);
    CHECK(info->cpu_time > 0);
    CHECK_EQ(hypercall_xen_version(XENVER_guest_handle, handle), 0);
    CHECK_EQ(memcmp(info->handle, handle, sizeof(handle)), 0);
}

/*
 * Background: Tools list the domains by asking for the next one until there is none.
 * Provoked by: the state of a domain when there is none of this number nor of a higher one; of a
 * number that is no domain's.
 * Expected: -ESRCH; -EINVAL up to 4.17, then -ESRCH.
 * Source: domctl.h; common/domctl.c, do_domctl().
 */
TEST(domctl_getdomaininfo_of_none, CONTROL, "the state of a domain that does not exist: ESRCH",
     .needs = "dom0")
{
    CHECK_ERRNO(domctl(XEN_DOMCTL_getdomaininfo, NO_DOMAIN), ESRCH);
    if (RELEASE_IS_AT_LEAST(4, 18))
        CHECK_ERRNO(domctl(XEN_DOMCTL_getdomaininfo, DOMID_FIRST_RESERVED), ESRCH);
    else
        CHECK_ERRNO(domctl(XEN_DOMCTL_getdomaininfo, DOMID_FIRST_RESERVED), EINVAL);
}

/*
 * Background: A domain that paused itself would never come back.
 * Provoked by: this domain paused, and unpaused; a domain that does not exist.
 * Expected: -EINVAL; -EINVAL, since it is not paused; -ESRCH.
 * Source: domctl.h (XEN_DOMCTL_pausedomain, XEN_DOMCTL_unpausedomain); common/domctl.c,
 * do_domctl().
 */
TEST(domctl_pause_refused, CONTROL, "a domain cannot pause itself: EINVAL", .needs = "dom0")
{
    CHECK_ERRNO(domctl(XEN_DOMCTL_pausedomain, own_domain()), EINVAL);
    CHECK_ERRNO(domctl(XEN_DOMCTL_unpausedomain, own_domain()), EINVAL);
    CHECK_ERRNO(domctl(XEN_DOMCTL_pausedomain, NO_DOMAIN), ESRCH);
    CHECK_ERRNO(domctl(XEN_DOMCTL_unpausedomain, NO_DOMAIN), ESRCH);
}

/*
 * Background: The interface has no promise of stability; instead, each call names the version that
 * it means.
 * Provoked by: another version; an argument at no address; a command that does not exist.
 * Expected: -EACCES; -EFAULT; -ENOSYS. Until 4.14 the IOMMU's commands are looked for last, and where
 * the domain has none that fails with -EOPNOTSUPP.
 * Source: domctl.h (XEN_DOMCTL_INTERFACE_VERSION); common/domctl.c, do_domctl(); 4.14's
 * drivers/passthrough/iommu.c, iommu_do_domctl().
 */
TEST(domctl_refused, CONTROL, "domctl of another version: EACCES; unknown: ENOSYS",
     .needs = "dom0")
{
    long unknown;

    memset(&request, 0, sizeof(request));
    request.cmd = XEN_DOMCTL_getdomaininfo;
    request.interface_version = XEN_DOMCTL_INTERFACE_VERSION + 1;
    CHECK_ERRNO(hypercall_domctl(&request), EACCES);
    CHECK_ERRNO(hypercall_domctl(arch_unmapped_pointer()), EFAULT);
    unknown = domctl(9999, own_domain());
    if (RELEASE_IS_AT_LEAST(4, 15) || unknown != -XEN_EOPNOTSUPP)
        CHECK_ERRNO(unknown, ENOSYS);
}

/*
 * Background: Only the control domain controls.
 * Provoked by: a domU asks for its own state, that of domain 0, and that of no domain, and pauses
 * domain 0.
 * Expected: -EPERM; where there is no domain, -EPERM up to 4.17.5, -ESRCH since.
 * Source: xsm/dummy.h, xsm_getdomaininfo(), xsm_domctl(); common/domctl.c, do_domctl().
 */
TEST(domctl_denied, CONTROL, "domctl from a domU is refused with EPERM", .needs = "domu")
{
    CHECK_ERRNO(domctl(XEN_DOMCTL_getdomaininfo, own_domain()), EPERM);
    CHECK_ERRNO(domctl(XEN_DOMCTL_getdomaininfo, 0), EPERM);
    CHECK_ERRNO(domctl(XEN_DOMCTL_pausedomain, 0), EPERM);

    long rc = domctl(XEN_DOMCTL_getdomaininfo, NO_DOMAIN);

    if (rc != -XEN_EPERM)
        CHECK_ERRNO(rc, ESRCH);
}
