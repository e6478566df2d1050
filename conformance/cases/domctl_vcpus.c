/*
 * Rung "control": the vcpus of a domain that the control domain makes: their number, registers, CPUs.
 */
#include <domctl.h>
#include <string.h>

#include "child.h"

#ifdef arch_child_config

/*
 * Background: A domain's vcpus are made at once, as many as it was created for.
 * Provoked by: fewer, and more, than that; the right number, and once more; the state afterwards; vcpus
 * for this domain.
 * Expected: -EINVAL twice; 0 twice; vcpus that are there and down; -EINVAL.
 * Source: domctl.h (XEN_DOMCTL_max_vcpus); common/domctl.c.
 */
TEST(domctl_max_vcpus, CONTROL, "a domain gets the vcpus that it was created for", .needs = "dom0")
{
    const struct xen_domctl_getdomaininfo *info;
    struct xen_domctl *request;

    child_create(CHILD);
    request = domctl_request(XEN_DOMCTL_max_vcpus, CHILD);
    request->u.max_vcpus.max = CHILD_VCPUS - 1;
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);
    request->u.max_vcpus.max = CHILD_VCPUS + 1;
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);
    request->u.max_vcpus.max = CHILD_VCPUS;
    CHECK_EQ(hypercall_domctl(request), 0);
    CHECK_EQ(hypercall_domctl(request), 0);
    info = domain_info(CHILD);
    CHECK_EQ(info->max_vcpu_id, CHILD_VCPUS - 1);
    CHECK_EQ(info->nr_online_vcpus, 0);
    child_destroy(CHILD);
    request = domctl_request(XEN_DOMCTL_max_vcpus, own_domain());
    request->u.max_vcpus.max = 1;
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);
}

/*
 * Background: Tools show what each vcpu does.
 * Provoked by: a vcpu that is down; the vcpu that calls; one that was not made yet; one beyond all.
 * Expected: neither up, blocked nor running, and no time used; up and running, with time used; -ESRCH,
 * -EINVAL (both -ENOENT from 4.22 on).
 * Source: domctl.h (XEN_DOMCTL_getvcpuinfo); common/domctl.c.
 */
TEST(domctl_getvcpuinfo, CONTROL, "the control domain sees what a vcpu does", .needs = "dom0")
{
    const struct xen_domctl_getvcpuinfo *info;
    struct xen_domctl *request;

    child_create(CHILD);
    request = domctl_request(XEN_DOMCTL_getvcpuinfo, CHILD);
    CHECK_ERRNO(hypercall_domctl(request), ESRCH);
    request->u.getvcpuinfo.vcpu = CHILD_VCPUS;
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);

    child_create_with_vcpus(CHILD);
    request = domctl_request(XEN_DOMCTL_getvcpuinfo, CHILD);
    info = &request->u.getvcpuinfo;
    request->u.getvcpuinfo.vcpu = 1;
    CHECK_EQ(hypercall_domctl(request), 0);
    CHECK_EQ(info->online, 0);
    CHECK_EQ(info->blocked, 0);
    CHECK_EQ(info->running, 0);
    CHECK_EQ(info->cpu_time, 0);
    child_destroy(CHILD);

    CHECK_EQ(domctl(XEN_DOMCTL_getvcpuinfo, own_domain()), 0);
    CHECK_EQ(info->online, 1);
    CHECK_EQ(info->blocked, 0);
    CHECK_EQ(info->running, 1);
    CHECK(info->cpu_time > 0);
}

/*
 * Background: The first registers of a vcpu come from who builds the domain.
 * Provoked by: registers asked for before there are some; given, with the vcpu down and up; taken away again
 * by a null handle; a vcpu that does not exist; registers at no address; this domain.
 * Expected: -ENODATA; 0, and down or up; down; -EINVAL; -EFAULT; -EINVAL.
 * Source: domctl.h (XEN_DOMCTL_setvcpucontext, XEN_DOMCTL_getvcpucontext); common/domctl.c; the
 * architecture's arch_set_info_guest().
 */
TEST(domctl_setvcpucontext, CONTROL, "a vcpu that is given registers is up, if they say so",
     .needs = "dom0")
{
    static struct ARCH_CHILD(vcpu_guest_context) context;
    struct xen_domctl *request;

    child_create_with_memory(CHILD);
    request = domctl_request(XEN_DOMCTL_getvcpucontext, CHILD);
    handle_set(request->u.vcpucontext.ctxt, &context);
    CHECK_ERRNO(hypercall_domctl(request), ENODATA);

    CHECK_EQ(child_set_registers(CHILD, 0, false), 0);
    CHECK_EQ(domain_info(CHILD)->nr_online_vcpus, 0);
    CHECK_EQ(child_set_registers(CHILD, 1, true), 0);
    CHECK_EQ(domain_info(CHILD)->nr_online_vcpus, 1);
    request = domctl_request(XEN_DOMCTL_setvcpucontext, CHILD);
    request->u.vcpucontext.vcpu = 1;
    CHECK_EQ(hypercall_domctl(request), 0);
    CHECK_EQ(domain_info(CHILD)->nr_online_vcpus, 0);

    request = domctl_request(XEN_DOMCTL_getvcpucontext, CHILD);
    request->u.vcpucontext.vcpu = CHILD_VCPUS;
    handle_set(request->u.vcpucontext.ctxt, &context);
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);
    CHECK_ERRNO(child_set_registers(CHILD, CHILD_VCPUS, false), EINVAL);
    request = domctl_request(XEN_DOMCTL_setvcpucontext, CHILD);
    handle_set(request->u.vcpucontext.ctxt, nowhere());
    CHECK_ERRNO(hypercall_domctl(request), EFAULT);
    child_destroy(CHILD);

    domid_t self = own_domain();
    CHECK_ERRNO(child_set_registers(self, 0, true), EINVAL);
    request = domctl_request(XEN_DOMCTL_getvcpucontext, self);
    handle_set(request->u.vcpucontext.ctxt, &context);
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);
}

static struct xen_domctl *affinity_request(uint32_t command, domid_t domain, uint8_t *hard,
                                           uint8_t *soft)
{
    struct xen_domctl *request = domctl_request(command, domain);

    request->u.vcpuaffinity.vcpu = CHILD_VCPUS - 1;
    if (hard) {
        request->u.vcpuaffinity.flags |= XEN_VCPUAFFINITY_HARD;
        request->u.vcpuaffinity.cpumap_hard.nr_bits = 8;
        handle_set(request->u.vcpuaffinity.cpumap_hard.bitmap, hard);
    }
    if (soft) {
        request->u.vcpuaffinity.flags |= XEN_VCPUAFFINITY_SOFT;
        request->u.vcpuaffinity.cpumap_soft.nr_bits = 8;
        handle_set(request->u.vcpuaffinity.cpumap_soft.bitmap, soft);
    }
    return request;
}

/*
 * Background: A vcpu has CPUs that it may run on, and CPUs that it should run on. Maps have bits for as many CPUs
 * as their owner says.
 * Provoked by: both asked for of a new vcpu; each set to CPU 0, and asked for; maps without bits.
 * Expected: CPU 0 is among both; CPU 0 alone; without bits, nothing is written, and no CPU is meant.
 * Source: domctl.h (XEN_DOMCTL_setvcpuaffinity); common/sched/core.c, vcpu_affinity_domctl().
 */
TEST(domctl_vcpuaffinity, CONTROL, "the CPUs of a vcpu can be chosen", .needs = "dom0")
{
    struct xen_domctl *request;
    uint8_t hard = 0, soft = 0;

    child_create_with_vcpus(CHILD);
    CHECK_EQ(hypercall_domctl(affinity_request(XEN_DOMCTL_getvcpuaffinity, CHILD, &hard, &soft)), 0);
    CHECK(hard & 1);
    CHECK(soft & 1);
    hard = 1;
    CHECK_EQ(hypercall_domctl(affinity_request(XEN_DOMCTL_setvcpuaffinity, CHILD, &hard, NULL)), 0);
    CHECK_EQ(hard, 1);
    soft = 1;
    CHECK_EQ(hypercall_domctl(affinity_request(XEN_DOMCTL_setvcpuaffinity, CHILD, NULL, &soft)), 0);
    hard = soft = 0;
    CHECK_EQ(hypercall_domctl(affinity_request(XEN_DOMCTL_getvcpuaffinity, CHILD, &hard, &soft)), 0);
    CHECK_EQ(hard, 1);
    CHECK_EQ(soft, 1);

    hard = 0xee;
    request = affinity_request(XEN_DOMCTL_getvcpuaffinity, CHILD, &hard, NULL);
    request->u.vcpuaffinity.cpumap_hard.nr_bits = 0;
    CHECK_EQ(hypercall_domctl(request), 0);
    CHECK_EQ(hard, 0xee);
    hard = 1;
    request = affinity_request(XEN_DOMCTL_setvcpuaffinity, CHILD, &hard, NULL);
    request->u.vcpuaffinity.cpumap_hard.nr_bits = 0;
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);
    soft = 1;
    request = affinity_request(XEN_DOMCTL_setvcpuaffinity, CHILD, NULL, &soft);
    request->u.vcpuaffinity.cpumap_soft.nr_bits = 0;
    CHECK_EQ(hypercall_domctl(request), 0);
    CHECK_EQ(hypercall_domctl(affinity_request(XEN_DOMCTL_getvcpuaffinity, CHILD, &hard, &soft)), 0);
    CHECK_EQ(soft, 0);
    child_destroy(CHILD);
}

/*
 * Background: A vcpu must be able to run somewhere.
 * Provoked by: no CPU; none of the two maps; a map at no address; a vcpu that does not exist yet, one
 * beyond all; a domain that does not exist.
 * Expected: -EINVAL; -EINVAL; -EFAULT; -ESRCH; -EINVAL; -ESRCH.
 * Source: domctl.h (XEN_DOMCTL_setvcpuaffinity); common/sched/core.c, vcpu_affinity_domctl().
 */
TEST(domctl_vcpuaffinity_refused, CONTROL, "a vcpu cannot be left without a CPU: EINVAL",
     .needs = "dom0")
{
    static const uint32_t commands[] = {XEN_DOMCTL_setvcpuaffinity, XEN_DOMCTL_getvcpuaffinity};
    struct xen_domctl *request;
    uint8_t none = 0, first = 1;

    child_create(CHILD);
    for (unsigned int i = 0; i < 2; i++) {
        request = affinity_request(commands[i], CHILD, &first, NULL);
        CHECK_ERRNO(hypercall_domctl(request), ESRCH);
        request->u.vcpuaffinity.vcpu = CHILD_VCPUS;
        CHECK_ERRNO(hypercall_domctl(request), EINVAL);
        request->domain = NO_DOMAIN;
        CHECK_ERRNO(hypercall_domctl(request), ESRCH);
    }
    child_create_with_vcpus(CHILD);
    request = affinity_request(XEN_DOMCTL_setvcpuaffinity, CHILD, &none, NULL);
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);
    for (unsigned int i = 0; i < 2; i++) {
        CHECK_ERRNO(domctl(commands[i], CHILD), EINVAL);
        request = affinity_request(commands[i], CHILD, &first, NULL);
        handle_set(request->u.vcpuaffinity.cpumap_hard.bitmap, nowhere());
        CHECK_ERRNO(hypercall_domctl(request), EFAULT);
    }
    child_destroy(CHILD);
}

static struct xen_domctl *nodes_request(uint32_t command, uint8_t *nodes)
{
    struct xen_domctl *request = domctl_request(command, CHILD);

    request->u.nodeaffinity.nodemap.nr_bits = 8;
    handle_set(request->u.nodeaffinity.nodemap.bitmap, nodes);
    return request;
}

/*
 * Background: Memory may be near to some CPUs and far from others; a domain can have its from chosen nodes.
 * Provoked by: the nodes of a new domain; node 0 chosen; a map without bits; no node; a map at no address.
 * Expected: node 0 is among them; 0, and node 0 alone; nothing is written, -EINVAL; -EINVAL; -EFAULT.
 * Source: domctl.h (XEN_DOMCTL_setnodeaffinity); common/domain.c, domain_set_node_affinity().
 */
TEST(domctl_nodeaffinity, CONTROL, "the memory nodes of a domain can be chosen", .needs = "dom0")
{
    struct xen_domctl *request;
    uint8_t nodes = 0;

    child_create_with_vcpus(CHILD);
    CHECK_EQ(hypercall_domctl(nodes_request(XEN_DOMCTL_getnodeaffinity, &nodes)), 0);
    CHECK(nodes & 1);
    nodes = 1;
    CHECK_EQ(hypercall_domctl(nodes_request(XEN_DOMCTL_setnodeaffinity, &nodes)), 0);
    nodes = 0;
    CHECK_EQ(hypercall_domctl(nodes_request(XEN_DOMCTL_getnodeaffinity, &nodes)), 0);
    CHECK_EQ(nodes, 1);
    nodes = 0xee;
    request = nodes_request(XEN_DOMCTL_getnodeaffinity, &nodes);
    request->u.nodeaffinity.nodemap.nr_bits = 0;
    CHECK_EQ(hypercall_domctl(request), 0);
    CHECK_EQ(nodes, 0xee);
    nodes = 1;
    request = nodes_request(XEN_DOMCTL_setnodeaffinity, &nodes);
    request->u.nodeaffinity.nodemap.nr_bits = 0;
    CHECK_ERRNO(hypercall_domctl(request), EINVAL);
    nodes = 0;
    CHECK_ERRNO(hypercall_domctl(nodes_request(XEN_DOMCTL_setnodeaffinity, &nodes)), EINVAL);
    request = nodes_request(XEN_DOMCTL_setnodeaffinity, &nodes);
    handle_set(request->u.nodeaffinity.nodemap.bitmap, nowhere());
    CHECK_ERRNO(hypercall_domctl(request), EFAULT);
    request->cmd = XEN_DOMCTL_getnodeaffinity;
    CHECK_ERRNO(hypercall_domctl(request), EFAULT);
    child_destroy(CHILD);
}

#endif
