/* Domains that tests make; see child.h. */
#include "child.h"

#ifdef arch_child_config
#include <domctl.h>
#include <memory.h>
#include <string.h>
#include <timing.h>

#define GRANT_FRAMES 4
#define MAPTRACK_FRAMES 4

static struct xen_domctl request;

struct xen_domctl *domctl_request(uint32_t command, domid_t domain)
{
    memset(&request, 0, sizeof(request));
    request.cmd = command;
    request.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    request.domain = domain;
    return &request;
}

long domctl_unanswered(struct xen_domctl *asked)
{
    struct xen_domctl before = *asked;
    long rc = hypercall_domctl(asked);

    CHECK_EQ(memcmp(asked, &before, sizeof(before)), 0);
    return rc;
}

long domctl(uint32_t command, domid_t domain)
{
    return hypercall_domctl(domctl_request(command, domain));
}

/* Old releases answer with the next domain where there is none of that number. */
static bool exists(domid_t domain)
{
    long rc = domctl(XEN_DOMCTL_getdomaininfo, domain);

    if (rc == 0)
        return request.domain == domain;
    CHECK_ERRNO(rc, ESRCH);
    return false;
}

const struct xen_domctl_getdomaininfo *domain_info(domid_t domain)
{
    CHECK_EQ(domctl(XEN_DOMCTL_getdomaininfo, domain), 0);
    CHECK_EQ(request.domain, domain);
    return &request.u.getdomaininfo;
}

struct xen_domctl *child_request(domid_t child)
{
    domctl_request(XEN_DOMCTL_createdomain, child);
    request.u.createdomain = (struct xen_domctl_createdomain){
        .handle = {0xc0, 0xff, 0xee},
        .max_vcpus = CHILD_VCPUS,
        .max_evtchn_port = CHILD_PORTS - 1,
        .max_grant_frames = GRANT_FRAMES,
        .max_maptrack_frames = MAPTRACK_FRAMES,
#ifdef XEN_DOMCTL_GRANT_version
        .grant_opts = XEN_DOMCTL_GRANT_version(1),
#endif
    };
    arch_child_config(&request.u.createdomain);
    return &request;
}

long child_allow_device(domid_t child, uint64_t frame, uint64_t count, bool allow)
{
    domctl_request(XEN_DOMCTL_iomem_permission, child);
    request.u.iomem_permission = (struct xen_domctl_iomem_permission){
        .first_mfn = frame,
        .nr_mfns = count,
        .allow_access = allow,
    };
    return hypercall_domctl(&request);
}

long child_map_device(domid_t child, uint64_t at, uint64_t frame, uint64_t count, bool add)
{
    domctl_request(XEN_DOMCTL_memory_mapping, child);
    request.u.memory_mapping = (struct xen_domctl_memory_mapping){
        .first_gfn = at,
        .first_mfn = frame,
        .nr_mfns = count,
        .add_mapping = add ? DPCI_ADD_MAPPING : DPCI_REMOVE_MAPPING,
    };
    return hypercall_domctl(&request);
}

void child_destroy(domid_t child)
{
    CHECK_EQ(domctl(XEN_DOMCTL_destroydomain, child), 0);
    CHECK(WAIT_UNTIL(!exists(child), MILLISECONDS(200)));
}

void child_create(domid_t child)
{
    arch_child_unmap();
    if (exists(child))
        child_destroy(child);
    CHECK_EQ(hypercall_domctl(child_request(child)), 0);
    CHECK_EQ(request.domain, child);
}

void child_create_with_vcpus(domid_t child)
{
    child_create(child);
    domctl_request(XEN_DOMCTL_max_vcpus, child)->u.max_vcpus.max = CHILD_VCPUS;
    CHECK_EQ(hypercall_domctl(&request), 0);
}

void *child_map(domid_t child, xen_pfn_t frame)
{
    void *page;

    CHECK_EQ(arch_child_map(child, frame, &page), 0);
    return page;
}

long child_populate(domid_t child, xen_pfn_t first, unsigned int pages)
{
    static xen_pfn_t frames[CHILD_PAGES];
    struct xen_memory_reservation memory = {.nr_extents = pages, .domid = child};

    CHECK(pages <= CHILD_PAGES);
    for (unsigned int i = 0; i < pages; i++)
        frames[i] = first + i;
    handle_set(memory.extent_start, frames);
    return hypercall_memory_op(XENMEM_populate_physmap, &memory);
}

void child_create_with_memory(domid_t child)
{
    child_create_with_vcpus(child);
    CHECK_EQ(arch_child_prepare(child), 0);
    domctl_request(XEN_DOMCTL_max_mem, child)->u.max_mem.max_memkb =
        2 * CHILD_PAGES * (PAGE_BYTES / 1024);
    CHECK_EQ(hypercall_domctl(&request), 0);
    CHECK_EQ(child_populate(child, CHILD_FRAME, CHILD_PAGES), CHILD_PAGES);
}

long child_set_registers(domid_t child, uint32_t vcpu, bool online)
{
    static struct ARCH_CHILD(vcpu_guest_context) context;

    memset(&context, 0, sizeof(context));
    arch_child_context(&context);
    if (online)
        context.flags |= VGCF_online;
    domctl_request(XEN_DOMCTL_setvcpucontext, child)->u.vcpucontext.vcpu = vcpu;
    handle_set(request.u.vcpucontext.ctxt, &context);
    return hypercall_domctl(&request);
}

#endif
