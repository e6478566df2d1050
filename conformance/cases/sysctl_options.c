/*
 * sysctl for what a Xen may be built with or without: counters, coverage, tracing, patches, PCI. Where it
 * is left out the call says so; where it is there it works.
 */
#include "sysctl_request.h"

#ifdef XEN_SYSCTL_livepatch_op
/*
 * Background: A Xen for developers counts what it does.
 * Provoked by: how many counters there are; a command that does not exist.
 * Expected: some, with a value each or more, and -EINVAL; or -ENOSYS both times.
 * Source: sysctl.h (XEN_SYSCTL_perfc_op); common/sysctl.c, do_sysctl(); common/perfc.c,
 * perfc_control().
 */
TEST(sysctl_perfc, CONTROL, "performance counters are told, or not built: ENOSYS", .needs = "dom0")
{
    sysctl_prepare();
    request.u.perfc_op.cmd = XEN_SYSCTL_PERFCOP_query;

    long rc = sysctl(XEN_SYSCTL_perfc_op);

    if (rc == 0) {
        CHECK(request.u.perfc_op.nr_counters > 0);
        CHECK(request.u.perfc_op.nr_vals >= request.u.perfc_op.nr_counters);
        request.u.perfc_op.cmd = XEN_SYSCTL_PERFCOP_query + 1;
        CHECK_ERRNO(sysctl(XEN_SYSCTL_perfc_op), EINVAL);
    } else {
        CHECK_ERRNO(rc, ENOSYS);
        CHECK_ERRNO(sysctl_plain(XEN_SYSCTL_perfc_op), ENOSYS);
    }
}

/*
 * Background: A Xen for developers measures how long its locks are held.
 * Provoked by: how many locks there are; a command that does not exist.
 * Expected: some, and -EINVAL; or -ENOSYS both times.
 * Source: sysctl.h (XEN_SYSCTL_lockprof_op); common/sysctl.c, do_sysctl(); common/spinlock.c,
 * spinlock_profile_control().
 */
TEST(sysctl_lockprof, CONTROL, "locks are measured, or that is not built: ENOSYS", .needs = "dom0")
{
    sysctl_prepare();
    request.u.lockprof_op.cmd = XEN_SYSCTL_LOCKPROF_query;

    long rc = sysctl(XEN_SYSCTL_lockprof_op);

    if (rc == 0) {
        CHECK(request.u.lockprof_op.nr_elem > 0);
        CHECK_ERRNO(sysctl_plain(XEN_SYSCTL_lockprof_op), EINVAL);
    } else {
        CHECK_ERRNO(rc, ENOSYS);
        CHECK_ERRNO(sysctl_plain(XEN_SYSCTL_lockprof_op), ENOSYS);
    }
}

/*
 * Background: A Xen for developers notes which of its code is executed.
 * Provoked by: the size of that; a command that does not exist.
 * Expected: a size, or -EOPNOTSUPP; -EOPNOTSUPP.
 * Source: sysctl.h (XEN_SYSCTL_coverage_op); common/coverage/coverage.c, sysctl_cov_op().
 */
TEST(sysctl_coverage, CONTROL, "coverage has a size, or is not built: EOPNOTSUPP", .needs = "dom0")
{
    sysctl_prepare();
    request.u.coverage_op.cmd = XEN_SYSCTL_COVERAGE_get_size;

    long rc = sysctl(XEN_SYSCTL_coverage_op);

    if (rc == 0)
        CHECK(request.u.coverage_op.size > 0);
    else
        CHECK_ERRNO(rc, EOPNOTSUPP);
    request.u.coverage_op.cmd = XEN_SYSCTL_COVERAGE_reset + 1;
    CHECK_ERRNO(sysctl(XEN_SYSCTL_coverage_op), EOPNOTSUPP);
}

/* ---- Tracing ---- */

static long trace_op(uint32_t command)
{
    request.u.tbuf_op.cmd = command;
    return sysctl(XEN_SYSCTL_tbuf_op);
}

static long trace_plain(uint32_t command)
{
    sysctl_prepare();
    return trace_op(command);
}

static long trace_events(uint32_t mask)
{
    sysctl_prepare();
    request.u.tbuf_op.evt_mask = mask;
    return trace_op(XEN_SYSCTL_TBUFOP_set_evt_mask);
}

static long trace_size(uint32_t pages)
{
    sysctl_prepare();
    request.u.tbuf_op.size = pages;
    return trace_op(XEN_SYSCTL_TBUFOP_set_size);
}

static long trace_processors(const void *map, uint32_t bits)
{
    sysctl_prepare();
    handle_set(request.u.tbuf_op.cpu_mask.bitmap, map);
    request.u.tbuf_op.cpu_mask.nr_bits = bits;
    return trace_op(XEN_SYSCTL_TBUFOP_set_cpu_mask);
}

/*
 * Background: Xen notes what happens in buffers that tools map. They are made once and stay.
 * Provoked by: the state; other events; processors; tracing on without buffers; buffers of no pages, of
 * one, again, and of two; tracing off, on and off; a map at no address, and one without bits there; a command
 * that does not exist.
 * Expected: no buffers; the events; 0; -EINVAL; -EINVAL, buffers at a frame, -EBUSY, -EINVAL; 0 each
 * time; -EFAULT, 0; -EINVAL. No events are traced at the end.
 * Source: sysctl.h (XEN_SYSCTL_tbuf_op); common/trace.c, tb_control().
 */
TEST(sysctl_tbuf, CONTROL, "dom0 makes trace buffers and switches tracing", .needs = "dom0")
{
    static const uint8_t all = 0xff;

    CHECK_EQ(trace_plain(XEN_SYSCTL_TBUFOP_get_info), 0);
    CHECK_EQ(request.u.tbuf_op.buffer_mfn, 0);
    CHECK_ERRNO(trace_plain(XEN_SYSCTL_TBUFOP_enable), EINVAL);
    CHECK_EQ(trace_events(0x10000), 0);
    CHECK_EQ(trace_plain(XEN_SYSCTL_TBUFOP_get_info), 0);
    CHECK_EQ(request.u.tbuf_op.evt_mask, 0x10000);
    CHECK_EQ(trace_events(0), 0);
    CHECK_EQ(trace_processors(&all, 8), 0);
    CHECK_ERRNO(trace_processors(nowhere(), 8), EFAULT);
    CHECK_EQ(trace_processors(nowhere(), 0), 0);
    CHECK_EQ(trace_processors(&all, 8), 0);
    CHECK_ERRNO(trace_size(0), EINVAL);
    CHECK_EQ(trace_size(1), 0);
    CHECK_EQ(trace_plain(XEN_SYSCTL_TBUFOP_get_info), 0);
    CHECK(request.u.tbuf_op.buffer_mfn != 0);
    CHECK(request.u.tbuf_op.size >= PAGE_BYTES && request.u.tbuf_op.size % PAGE_BYTES == 0);
    CHECK_EQ(request.u.tbuf_op.evt_mask, 0);
    CHECK_ERRNO(trace_size(1), EBUSY);
    CHECK_ERRNO(trace_size(2), EINVAL);
    CHECK_EQ(trace_plain(XEN_SYSCTL_TBUFOP_disable), 0);
    CHECK_EQ(trace_plain(XEN_SYSCTL_TBUFOP_enable), 0);
    CHECK_EQ(trace_plain(XEN_SYSCTL_TBUFOP_disable), 0);
    CHECK_ERRNO(trace_plain(XEN_SYSCTL_TBUFOP_disable + 1), EINVAL);
}

/* ---- Live patches ---- */

static long patch_op(uint32_t command)
{
    request.u.livepatch.cmd = command;
    return sysctl(XEN_SYSCTL_livepatch_op);
}

static void set_patch_name(struct xen_livepatch_name *name, const char *text)
{
    handle_set(name->name, text);
    name->size = (uint16_t)(strlen(text) + 1);
}

static long patch_list(uint32_t room, uint32_t pad)
{
    sysctl_prepare();
    request.u.livepatch.u.list.nr = room;
    request.u.livepatch.u.list.pad = pad;
    return patch_op(XEN_SYSCTL_LIVEPATCH_LIST);
}

/*
 * Background: Xen is patched while it runs, by payloads. Here it has none.
 * Provoked by: the list of payloads; more room than any list needs; a field that must be zero; another
 * command than there is; a flag that there is not, also with the one that says not to mind.
 * Expected: 0 and none left; -E2BIG; -EINVAL; -EOPNOTSUPP; -EINVAL, 0.
 * Source: sysctl.h (XEN_SYSCTL_livepatch_op); common/livepatch.c, livepatch_list().
 */
TEST(livepatch_list, CONTROL, "live patches are listed", .needs = "dom0 !no-livepatch")
{
    CHECK_EQ(patch_list(0, 0), 0);
    CHECK_EQ(request.u.livepatch.u.list.nr, 0);
    CHECK_EQ(request.u.livepatch.u.list.name_total_size, 0);
    CHECK_ERRNO(patch_list(1025, 0), E2BIG);
    CHECK_ERRNO(patch_list(0, 1), EINVAL);
    sysctl_prepare();
    CHECK_ERRNO(patch_op(XEN_SYSCTL_LIVEPATCH_ACTION + 1), EOPNOTSUPP);
#ifdef LIVEPATCH_FLAGS_MASK
    sysctl_prepare();
    request.u.livepatch.flags = LIVEPATCH_FLAGS_MASK + 1;
    CHECK_ERRNO(patch_op(XEN_SYSCTL_LIVEPATCH_LIST), EINVAL);
    sysctl_prepare();
    request.u.livepatch.flags = (LIVEPATCH_FLAGS_MASK + 1) | LIVEPATCH_FLAG_FORCE;
    CHECK_EQ(patch_op(XEN_SYSCTL_LIVEPATCH_LIST), 0);
#endif
}

static long patch_upload(const char *name, uint64_t size, const void *payload)
{
    sysctl_prepare();
    set_patch_name(&request.u.livepatch.u.upload.name, name);
    request.u.livepatch.u.upload.size = size;
    handle_set(request.u.livepatch.u.upload.payload, payload);
    return patch_op(XEN_SYSCTL_LIVEPATCH_UPLOAD);
}

static long patch_get(const char *name, uint16_t size)
{
    sysctl_prepare();
    handle_set(request.u.livepatch.u.get.name.name, name);
    request.u.livepatch.u.get.name.size = size;
    return patch_op(XEN_SYSCTL_LIVEPATCH_GET);
}

static long patch_action(const char *name, uint32_t action)
{
    sysctl_prepare();
    set_patch_name(&request.u.livepatch.u.action.name, name);
    request.u.livepatch.u.action.cmd = action;
    return patch_op(XEN_SYSCTL_LIVEPATCH_ACTION);
}

/*
 * Background: A payload is an ELF file with what Xen needs to know; it has a name.
 * Provoked by: a payload that is none; one of no bytes; one at no address; the state of one that does not exist,
 * and of one without a name; the name at no address; each action for one that does not exist.
 * Expected: -EINVAL; -EINVAL; -EFAULT; -ENOENT, -EINVAL; -EFAULT; -ENOENT.
 * Source: sysctl.h (XEN_SYSCTL_livepatch_op); common/livepatch.c, livepatch_op().
 */
TEST(livepatch_refused, CONTROL, "live patches that do not exist or are none",
     .needs = "dom0 !no-livepatch")
{
    static uint8_t none[256];

    CHECK_ERRNO(patch_upload("xenport", sizeof(none), none), EINVAL);
    CHECK_ERRNO(patch_upload("xenport", 0, none), EINVAL);
    CHECK_ERRNO(patch_upload("xenport", sizeof(none), nowhere()), EFAULT);
    CHECK_ERRNO(patch_get("xenport", 8), ENOENT);
    CHECK_ERRNO(patch_get("xenport", 0), EINVAL);
    CHECK_ERRNO(patch_get("xenport", 7), EINVAL);
    CHECK_ERRNO(patch_get(nowhere(), 8), EFAULT);
    for (uint32_t action = LIVEPATCH_ACTION_UNLOAD; action <= LIVEPATCH_ACTION_REPLACE; action++)
        CHECK_ERRNO(patch_action("xenport", action), ENOENT);
}

#ifdef XEN_SYSCTL_DT_OVERLAY_ADD
/*
 * Background: Devices come and go with overlays of Arm's device tree.
 * Provoked by: an operation that does not exist; an overlay of no bytes to add.
 * Expected: -EOPNOTSUPP; -EINVAL, or -EOPNOTSUPP where overlays are not built.
 * Source: sysctl.h (XEN_SYSCTL_dt_overlay); common/device-tree/dt-overlay.c, dt_overlay_sysctl().
 */
TEST(sysctl_dt_overlay, CONTROL, "an empty overlay is refused, or overlays are not built",
     .needs = "arm dom0")
{
    CHECK_ERRNO(sysctl_plain(XEN_SYSCTL_dt_overlay), EOPNOTSUPP);
    sysctl_prepare();
    request.u.dt_overlay.overlay_op = XEN_SYSCTL_DT_OVERLAY_ADD;

    long rc = sysctl(XEN_SYSCTL_dt_overlay);

    if (rc != -XEN_EOPNOTSUPP)
        CHECK_ERRNO(rc, EINVAL);
}
#endif

/* ---- PCI ---- */

static long ask_nodes(const void *devices, void *nodes, uint32_t count)
{
    sysctl_prepare();
    request.u.pcitopoinfo.num_devs = count;
    handle_set(request.u.pcitopoinfo.devs, devices);
    handle_set(request.u.pcitopoinfo.nodes, nodes);
    return sysctl(XEN_SYSCTL_pcitopoinfo);
}

/*
 * Background: Devices are near to one node of the machine or another.
 * Provoked by: the nodes of two devices that do not exist, of three; no list; lists at no address.
 * Expected: the value that says so, of the two; -EINVAL; -EFAULT. Without PCI -ENOSYS each time.
 * Source: sysctl.h (XEN_SYSCTL_pcitopoinfo); common/sysctl.c, do_sysctl().
 */
TEST(sysctl_pcitopoinfo, CONTROL, "a PCI device's node is told, or PCI is not built: ENOSYS",
     .needs = "dom0")
{
    struct physdev_pci_device none[3] = {
        {.seg = 0xfffe, .bus = 0xfd}, {.seg = 0xfffe, .bus = 0xfe}, {.seg = 0xfffe, .bus = 0xff}};
    uint32_t nodes[3] = {0, 0, 0};
    long rc = ask_nodes(none, nodes, 2);

    if (rc == -XEN_ENOSYS)
        return;
    CHECK_EQ(rc, 0);
    CHECK_EQ(request.u.pcitopoinfo.num_devs, 2);
    CHECK_EQ(nodes[0], XEN_INVALID_DEV);
    CHECK_EQ(nodes[1], XEN_INVALID_DEV);
    CHECK_EQ(nodes[2], 0);
    CHECK_ERRNO(ask_nodes(NULL, nodes, 1), EINVAL);
    CHECK_ERRNO(ask_nodes(none, NULL, 1), EINVAL);
    CHECK_ERRNO(ask_nodes(nowhere(), nodes, 1), EFAULT);
    CHECK_ERRNO(ask_nodes(none, nowhere(), 1), EFAULT);
}
#endif
