/*
 * sysctl: what everybody gets who calls it, and what the control domain is told about domains and about
 * Xen's console. The machine is in sysctl_machine.c, schedulers and CPU pools are in sysctl_pools.c, and
 * what a Xen may be built without is in sysctl_options.c.
 */
#include <timing.h>

#include "sysctl_request.h"

/*
 * Background: The interface has no promise of stability; instead, each call names the version that it
 * means.
 * Provoked by: another version; an argument at no address; a command that does not exist.
 * Expected: -EACCES; -EFAULT; -ENOSYS.
 * Source: sysctl.h (XEN_SYSCTL_INTERFACE_VERSION); common/sysctl.c, do_sysctl().
 */
TEST(sysctl_refused, CONTROL, "sysctl of another version: EACCES; unknown: ENOSYS", .needs = "dom0")
{
    sysctl_prepare();
    request.cmd = XEN_SYSCTL_physinfo;
    request.interface_version = XEN_SYSCTL_INTERFACE_VERSION + 1;
    CHECK_ERRNO(hypercall_sysctl(&request), EACCES);
    CHECK_ERRNO(hypercall_sysctl(nowhere()), EFAULT);
    CHECK_ERRNO(sysctl_plain(9999), ENOSYS);
}

/*
 * Background: Only the control domain controls the machine.
 * Provoked by: every command from a domU, with all members zero, and one that does not exist.
 * Expected: -EPERM.
 * Source: xsm/dummy.h, xsm_sysctl().
 */
TEST(sysctl_denied, CONTROL, "sysctl from a domU is refused with EPERM", .needs = "domu")
{
    for (unsigned int command = 1; command <= 40; command++) {
        long rc = sysctl_plain(command);

        if (rc != -XEN_EPERM)
            FAIL("command %u returned %ld", command, rc);
    }
}

/* ---- Domains ---- */

#define DOMAINS 8

static struct xen_domctl_getdomaininfo domains[DOMAINS];

static long list_domains(domid_t first, uint32_t room, void *buffer)
{
    sysctl_prepare();
    request.u.getdomaininfolist.first_domain = first;
    request.u.getdomaininfolist.max_domains = room;
    handle_set(request.u.getdomaininfolist.buffer, buffer);
    return sysctl(XEN_SYSCTL_getdomaininfolist);
}

/*
 * Background: Tools list the domains with one call.
 * Provoked by: the list from domain 0 on, and the state of each that domctl tells; room for none; a list
 * from behind the last one on; a list that goes to no address.
 * Expected: domains in order, domain 0 first, with what domctl says (but for the time used, which goes
 * on); none; none; -EFAULT.
 * Source: sysctl.h (XEN_SYSCTL_getdomaininfolist); common/sysctl.c, do_sysctl().
 */
TEST(sysctl_getdomaininfolist, CONTROL, "dom0 lists the domains, and domctl says the same of each",
     .needs = "dom0")
{
    static struct xen_domctl one;
    uint32_t count;

    memset(domains, 0, sizeof(domains));
    CHECK_EQ(list_domains(0, DOMAINS, domains), 0);
    count = request.u.getdomaininfolist.num_domains;
    CHECK(count >= 1 && count <= DOMAINS);
    CHECK_EQ(domains[0].domain, 0);
    for (uint32_t i = 0; i < count; i++) {
        const struct xen_domctl_getdomaininfo *info = &one.u.getdomaininfo;

        memset(&one, 0, sizeof(one));
        one.cmd = XEN_DOMCTL_getdomaininfo;
        one.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
        one.domain = domains[i].domain;
        CHECK_EQ(hypercall_domctl(&one), 0);
        CHECK(i == 0 || domains[i].domain > domains[i - 1].domain);
        CHECK_EQ(info->domain, domains[i].domain);
        CHECK_EQ(info->flags, domains[i].flags);
        CHECK_EQ(info->tot_pages, domains[i].tot_pages);
        CHECK_EQ(info->max_pages, domains[i].max_pages);
        CHECK_EQ(info->nr_online_vcpus, domains[i].nr_online_vcpus);
        CHECK_EQ(info->max_vcpu_id, domains[i].max_vcpu_id);
        CHECK_EQ(memcmp(info->handle, domains[i].handle, sizeof(info->handle)), 0);
        CHECK(info->cpu_time >= domains[i].cpu_time);
    }
    CHECK_EQ(list_domains(0, 0, domains), 0);
    CHECK_EQ(request.u.getdomaininfolist.num_domains, 0);
    CHECK_EQ(list_domains(NO_DOMAIN, DOMAINS, domains), 0);
    CHECK_EQ(request.u.getdomaininfolist.num_domains, 0);
    CHECK_ERRNO(list_domains(0, DOMAINS, nowhere()), EFAULT);
}

/* ---- Xen's console ---- */

#define ROOM 16
#define BEHIND 0x7f

static char console_text[ROOM + 1];        /* a byte more than Xen is told of */

/* Reads on from index, or from the start; the bytes read. */
static uint32_t read_console(bool on, uint32_t index, bool clear)
{
    sysctl_prepare();
    request.u.readconsole.incremental = on;
    request.u.readconsole.index = index;
    request.u.readconsole.clear = clear;
    request.u.readconsole.count = ROOM;
    console_text[ROOM] = BEHIND;
    handle_set(request.u.readconsole.buffer, console_text);
    CHECK_EQ(sysctl(XEN_SYSCTL_readconsole), 0);
    CHECK(request.u.readconsole.count <= ROOM);
    CHECK_EQ(console_text[ROOM], BEHIND);
    return request.u.readconsole.count;
}

/* Reads all there is; where it ends. */
static uint32_t console_end(bool clear)
{
    uint32_t index = 0;

    for (bool on = false; read_console(on, index, clear) > 0; on = true)
        index = request.u.readconsole.index;
    return request.u.readconsole.index;
}

static long press(const void *keys, uint32_t count)
{
    sysctl_prepare();
    handle_set(request.u.debug_keys.keys, keys);
    request.u.debug_keys.nr_keys = count;
    return sysctl(XEN_SYSCTL_debug_keys);
}

/*
 * Background: What Xen prints stays in a ring, which tools read, also without taking it away.
 * Provoked by: the ring read to its end, from the start and then from where the last call stopped; the
 * same again; a read from the end on.
 * Expected: each piece moves the index by its length; the same end; nothing.
 * Source: sysctl.h (XEN_SYSCTL_readconsole); drivers/char/console.c, read_console_ring().
 */
TEST(sysctl_readconsole, CONTROL, "dom0 reads what Xen printed, in pieces", .needs = "dom0")
{
    uint32_t first = read_console(false, 0, false), index = request.u.readconsole.index, end;
    static char again[sizeof(console_text)];

    CHECK(first > 0);
    memcpy(again, console_text, sizeof(again));
    CHECK_EQ(read_console(false, index, false), first);    /* from the start, whatever the index is */
    CHECK_EQ(request.u.readconsole.index, index);
    CHECK_EQ(memcmp(again, console_text, first), 0);
    for (;;) {
        uint32_t count = read_console(true, index, false);

        CHECK_EQ(request.u.readconsole.index, index + count);
        index += count;
        if (count == 0)
            break;
    }
    end = console_end(false);
    CHECK_EQ(end, index);
    CHECK_EQ(read_console(true, end, false), 0);
    sysctl_prepare();
    request.u.readconsole.count = 1;
    handle_set(request.u.readconsole.buffer, nowhere());
    CHECK_ERRNO(sysctl(XEN_SYSCTL_readconsole), EFAULT);
}

/*
 * Background: The keys that work on Xen's console work by hypercall too; h prints what they are. What
 * was read from the ring may be taken away.
 * Provoked by: the ring read to its end and cleared; no keys; a key that does nothing; h; keys at no
 * address.
 * Expected: the ring is empty, and stays so; then it has text; -EFAULT.
 * Source: sysctl.h (XEN_SYSCTL_debug_keys, XEN_SYSCTL_readconsole); common/keyhandler.c,
 * handle_keypress().
 */
TEST(sysctl_debug_keys, CONTROL, "a debug key makes Xen print, and the ring can be cleared",
     .needs = "dom0")
{
    console_end(true);
    CHECK_EQ(read_console(false, 0, false), 0);
    CHECK_EQ(press("", 0), 0);
    CHECK_EQ(press("\x01h", 1), 0);
    CHECK_EQ(read_console(false, 0, false), 0);
    CHECK_EQ(press("h", 1), 0);
    CHECK(WAIT_UNTIL(read_console(false, 0, false) > 0, MILLISECONDS(200)));
    CHECK_ERRNO(press(nowhere(), 1), EFAULT);
}
