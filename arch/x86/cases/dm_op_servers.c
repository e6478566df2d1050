/*
 * dm_op: ioreq servers, by which a device model gets the accesses of its guest to devices.
 */
#include <domctl.h>
#include <memory.h>
#include <string.h>

#include <hvm/hvm_op.h>
#include <hvm/params.h>

#include "dm_op_request.h"

#define NO_SERVER 7                /* a number that no server of a test has */
#define MOST_SERVERS 8
#define MOST_RANGES 256            /* of a type */
#define SERVER_FRAME (CHILD_FRAME + 8)    /* the first of the frames for pages of servers */
#define SERVER_PAGES 4

static long create(uint8_t buffered, ioservid_t *id)
{
    struct xen_dm_op *request = dm_request(XEN_DMOP_create_ioreq_server);
    long rc;

    request->u.create_ioreq_server.handle_bufioreq = buffered;
    request->u.create_ioreq_server.id = 0xffff;
    rc = dm_call();
    *id = request->u.create_ioreq_server.id;
    return rc;
}

static long destroy(ioservid_t id)
{
    dm_request(XEN_DMOP_destroy_ioreq_server)->u.destroy_ioreq_server.id = id;
    return dm_call();
}

static long ask(ioservid_t id, uint16_t flags, struct xen_dm_op_get_ioreq_server_info *info)
{
    struct xen_dm_op *request = dm_request(XEN_DMOP_get_ioreq_server_info);
    long rc;

    request->u.get_ioreq_server_info.id = id;
    request->u.get_ioreq_server_info.flags = flags;
    rc = dm_call();
    *info = request->u.get_ioreq_server_info;
    return rc;
}

static long set_state(ioservid_t id, uint8_t enabled)
{
    struct xen_dm_op *request = dm_request(XEN_DMOP_set_ioreq_server_state);

    request->u.set_ioreq_server_state.id = id;
    request->u.set_ioreq_server_state.enabled = enabled;
    return dm_call();
}

static long set_param(uint32_t index, uint64_t value)
{
    struct xen_hvm_param param = {.domid = CHILD, .index = index, .value = value};

    return hypercall_hvm_op(HVMOP_set_param, &param);
}

/*
 * Background: A guest may have several device models, and an ioreq server for each.
 * Provoked by: servers made until there is no room; one destroyed, twice, and made anew; a way to buffer that
 * there is not, padding, and a server that there is not.
 * Expected: the lowest free number each time, then -ENOSPC; 0, -ENOENT, its number; -EINVAL, -EINVAL, -ENOENT.
 * Source: hvm/dm_op.h (XEN_DMOP_create_ioreq_server, XEN_DMOP_destroy_ioreq_server); common/ioreq.c.
 */
TEST(dmop_ioreq_server, CONTROL, "a guest has room for eight ioreq servers", .needs = "pv|hvm dom0")
{
    struct xen_dm_op *request;
    ioservid_t id;

    child_create_with_vcpus(CHILD);
    for (unsigned int i = 0; i < MOST_SERVERS; i++) {
        CHECK_EQ(create(HVM_IOREQSRV_BUFIOREQ_OFF, &id), 0);
        CHECK_EQ(id, i);
    }
    CHECK_ERRNO(create(HVM_IOREQSRV_BUFIOREQ_OFF, &id), ENOSPC);
    CHECK_EQ(destroy(3), 0);
    CHECK_ERRNO(destroy(3), ENOENT);
    CHECK_EQ(create(HVM_IOREQSRV_BUFIOREQ_ATOMIC, &id), 0);
    CHECK_EQ(id, 3);
    CHECK_EQ(destroy(4), 0);
    CHECK_ERRNO(create(HVM_IOREQSRV_BUFIOREQ_ATOMIC + 1, &id), EINVAL);
    for (unsigned int i = 0; i < 3; i++) {
        dm_request(XEN_DMOP_create_ioreq_server)->u.create_ioreq_server.pad[i] = 1;
        CHECK_ERRNO(dm_call(), EINVAL);
    }
    request = dm_request(XEN_DMOP_destroy_ioreq_server);
    request->u.destroy_ioreq_server.pad = 1;
    CHECK_ERRNO(dm_call(), EINVAL);
    CHECK_ERRNO(destroy(MOST_SERVERS), ENOENT);
    child_destroy(CHILD);
}

static long bind_to_child(evtchn_port_t port, evtchn_port_t *own)
{
    struct evtchn_bind_interdomain bind = {.remote_dom = CHILD, .remote_port = port};
    long rc = hypercall_event_channel_op(EVTCHNOP_bind_interdomain, &bind);

    *own = bind.local_port;
    return rc;
}

/*
 * Background: A server with buffered requests has a port for them, which waits in the guest for the device model.
 * Provoked by: what there is to know of a server with them and of one without, but for its pages; the state of the
 * port; the port bound, and again after the server was destroyed. An unknown flag, and a server that there is not.
 * Expected: a port, and none; that it waits for this domain, which from 4.15 to 4.18 is Xen's secret (-EACCES); 0, and
 * it is closed: -EINVAL. -EINVAL, -ENOENT.
 * Source: hvm/dm_op.h (XEN_DMOP_get_ioreq_server_info); common/ioreq.c, ioreq_server_get_info().
 */
TEST(dmop_ioreq_server_port, CONTROL, "an ioreq server with a buffer has a port for it",
     .needs = "pv|hvm dom0")
{
    struct xen_dm_op_get_ioreq_server_info info;
    struct evtchn_status status = {.dom = CHILD};
    evtchn_port_t theirs, own, other;
    ioservid_t plain, buffered;

    child_create_with_vcpus(CHILD);
    CHECK_EQ(create(HVM_IOREQSRV_BUFIOREQ_OFF, &plain), 0);
    CHECK_EQ(create(HVM_IOREQSRV_BUFIOREQ_LEGACY, &buffered), 0);
    CHECK_EQ(ask(plain, XEN_DMOP_no_gfns, &info), 0);
    CHECK_EQ(info.bufioreq_port, 0);
    CHECK_EQ(ask(buffered, XEN_DMOP_no_gfns, &info), 0);
    CHECK(info.bufioreq_port != 0);
    CHECK_EQ(info.ioreq_gfn, 0);
    theirs = info.bufioreq_port;
    status.port = theirs;
    if (RELEASE_IS_AT_LEAST(4, 15) && !RELEASE_IS_AT_LEAST(4, 19)) {
        CHECK_ERRNO(hypercall_event_channel_op(EVTCHNOP_status, &status), EACCES);
    } else {
        CHECK_EQ(hypercall_event_channel_op(EVTCHNOP_status, &status), 0);
        CHECK_EQ(status.status, EVTCHNSTAT_unbound);
        CHECK_EQ(status.u.unbound.dom, own_domain());
    }
    CHECK_EQ(bind_to_child(theirs, &own), 0);
    CHECK_EQ(destroy(buffered), 0);
    CHECK_ERRNO(bind_to_child(theirs, &other), EINVAL);
    CHECK_EQ(event_close(own), 0);

    CHECK_ERRNO(ask(plain, 2, &info), EINVAL);
    CHECK_ERRNO(ask(NO_SERVER, XEN_DMOP_no_gfns, &info), ENOENT);
    child_destroy(CHILD);
}

/*
 * Background: The pages of a server have to be somewhere in the guest's memory until the device model has taken
 * them; then the guest is not to see them.
 * Provoked by: what there is to know of a server, with its pages, without frames for them and with; it is enabled, and
 * disabled; its frames after it was destroyed. Padding, and a server that there is not.
 * Expected: -ENOMEM from 4.19 on, then two of the frames; there is nothing, and there is RAM; RAM. -EINVAL, -ENOENT.
 * Source: hvm/dm_op.h (XEN_DMOP_get_ioreq_server_info, XEN_DMOP_set_ioreq_server_state); arch/x86/hvm/ioreq.c.
 */
TEST(dmop_ioreq_server_state, CONTROL, "the pages of an ioreq server leave the guest's memory",
     .needs = "pv|hvm dom0")
{
    struct xen_dm_op_get_ioreq_server_info info;
    struct xen_dm_op *request;
    ioservid_t id;

    child_create_with_memory(CHILD);
    CHECK_EQ(create(HVM_IOREQSRV_BUFIOREQ_ATOMIC, &id), 0);
    if (RELEASE_IS_AT_LEAST(4, 19))        /* takes frame 0 before */
        CHECK_ERRNO(ask(id, 0, &info), ENOMEM);
    CHECK_EQ(set_param(HVM_PARAM_IOREQ_SERVER_PFN, SERVER_FRAME), 0);
    CHECK_EQ(set_param(HVM_PARAM_NR_IOREQ_SERVER_PAGES, SERVER_PAGES), 0);
    CHECK_EQ(ask(id, 0, &info), 0);
    CHECK_EQ(info.ioreq_gfn, SERVER_FRAME);
    CHECK_EQ(info.bufioreq_gfn, SERVER_FRAME + 1);
    CHECK_EQ(child_mem_type(SERVER_FRAME), HVMMEM_ram_rw);
    CHECK_EQ(set_state(id, 1), 0);
    CHECK_EQ(child_mem_type(SERVER_FRAME), HVMMEM_mmio_dm);
    CHECK_EQ(child_mem_type(SERVER_FRAME + 1), HVMMEM_mmio_dm);
    CHECK_EQ(child_mem_type(SERVER_FRAME + 2), HVMMEM_ram_rw);
    CHECK_EQ(set_state(id, 0), 0);
    CHECK_EQ(child_mem_type(SERVER_FRAME), HVMMEM_ram_rw);
    CHECK_EQ(set_state(id, 1), 0);
    CHECK_EQ(destroy(id), 0);
    CHECK_EQ(child_mem_type(SERVER_FRAME + 1), HVMMEM_ram_rw);

    request = dm_request(XEN_DMOP_set_ioreq_server_state);
    request->u.set_ioreq_server_state.pad = 1;
    CHECK_ERRNO(dm_call(), EINVAL);
    CHECK_ERRNO(set_state(NO_SERVER, 1), ENOENT);
    child_destroy(CHILD);
}

static long range(uint32_t command, ioservid_t id, uint32_t type, uint64_t first, uint64_t last)
{
    struct xen_dm_op *request = dm_request(command);
    struct xen_dm_op_ioreq_server_range *range = &request->u.map_io_range_to_ioreq_server;

    range->id = id;
    range->type = type;
    range->start = first;
    range->end = last;
    return dm_call();
}

static long map(ioservid_t id, uint32_t type, uint64_t first, uint64_t last)
{
    return range(XEN_DMOP_map_io_range_to_ioreq_server, id, type, first, last);
}

static long unmap(ioservid_t id, uint32_t type, uint64_t first, uint64_t last)
{
    return range(XEN_DMOP_unmap_io_range_from_ioreq_server, id, type, first, last);
}

#define PORT XEN_DMOP_IO_RANGE_PORT
#define MEMORY XEN_DMOP_IO_RANGE_MEMORY
#define PCI XEN_DMOP_IO_RANGE_PCI

/*
 * Background: A server says which I/O ports, memory and PCI devices it serves.
 * Provoked by: ranges of each type; the part of one that the server has; of another type; the middle of one given back,
 * and mapped again; what was given back, given back again; a range without a beginning, a type and a server that there are
 * not; padding.
 * Expected: 0; -EEXIST; 0; 0, 0; -ENOENT; -EINVAL, -EINVAL, -ENOENT; -EINVAL.
 * Source: hvm/dm_op.h (XEN_DMOP_map_io_range_to_ioreq_server); common/ioreq.c, ioreq_server_map_io_range().
 */
TEST(dmop_io_range, CONTROL, "an ioreq server claims ranges and gives them back", .needs = "pv|hvm dom0")
{
    const uint32_t commands[] = {XEN_DMOP_map_io_range_to_ioreq_server,
                                 XEN_DMOP_unmap_io_range_from_ioreq_server};
    ioservid_t id, other;

    child_create_with_vcpus(CHILD);
    CHECK_EQ(create(HVM_IOREQSRV_BUFIOREQ_OFF, &id), 0);
    CHECK_EQ(create(HVM_IOREQSRV_BUFIOREQ_OFF, &other), 0);
    CHECK_EQ(map(id, PORT, 0x100, 0x1ff), 0);
    CHECK_ERRNO(map(id, PORT, 0x1ff, 0x200), EEXIST);
    CHECK_EQ(map(id, PORT, 0x200, 0x200), 0);
    CHECK_EQ(map(id, MEMORY, 0x100, 0x1ff), 0);
    CHECK_EQ(map(id, PCI, XEN_DMOP_PCI_SBDF(0, 0, 3, 0), XEN_DMOP_PCI_SBDF(0, 0, 3, 7)), 0);
    CHECK_EQ(map(other, PORT, 0x100, 0x1ff), 0);

    CHECK_ERRNO(unmap(id, PORT, 0xff, 0x100), ENOENT);
    CHECK_EQ(unmap(id, PORT, 0x180, 0x18f), 0);
    CHECK_ERRNO(unmap(id, PORT, 0x18f, 0x190), ENOENT);
    CHECK_EQ(map(id, PORT, 0x180, 0x187), 0);
    CHECK_EQ(unmap(id, PORT, 0x100, 0x187), 0);
    CHECK_EQ(unmap(id, PORT, 0x190, 0x200), 0);
    CHECK_EQ(unmap(id, MEMORY, 0x100, 0x1ff), 0);
    CHECK_ERRNO(unmap(id, MEMORY, 0x100, 0x1ff), ENOENT);
    for (unsigned int i = 0; i < 2; i++) {
        CHECK_ERRNO(range(commands[i], id, PORT, 2, 1), EINVAL);
        CHECK_ERRNO(range(commands[i], id, PCI + 1, 0, 0), EINVAL);
        CHECK_ERRNO(range(commands[i], NO_SERVER, PORT, 0, 0), ENOENT);
        dm_request(commands[i])->u.map_io_range_to_ioreq_server.pad = 1;
        CHECK_ERRNO(dm_call(), EINVAL);
    }
    child_destroy(CHILD);
}

/*
 * Background: How many ranges there may be has a limit, and giving back the middle of one makes two of it.
 * Provoked by: ranges that do not touch until there is no room; then the middle of one given back, and a part at its
 * end.
 * Expected: 256, then -ENOMEM; -ENOMEM, 0.
 * Source: common/ioreq.c (MAX_NR_IO_RANGES); common/rangeset.c.
 */
TEST(dmop_io_range_limit, CONTROL, "an ioreq server has room for 256 ranges of a type",
     .needs = "pv|hvm dom0")
{
    ioservid_t id;

    child_create_with_vcpus(CHILD);
    CHECK_EQ(create(HVM_IOREQSRV_BUFIOREQ_OFF, &id), 0);
    for (unsigned int i = 0; i < MOST_RANGES; i++)
        CHECK_EQ(map(id, MEMORY, 16 * i, 16 * i + 7), 0);
    CHECK_ERRNO(map(id, MEMORY, 16 * MOST_RANGES, 16 * MOST_RANGES), ENOMEM);
    CHECK_ERRNO(unmap(id, MEMORY, 2, 3), ENOMEM);
    CHECK_EQ(unmap(id, MEMORY, 6, 7), 0);
    child_destroy(CHILD);
}

static long map_type_from(ioservid_t id, uint16_t type, uint32_t flags, uint64_t opaque)
{
    struct xen_dm_op_map_mem_type_to_ioreq_server *map =
        &dm_request(XEN_DMOP_map_mem_type_to_ioreq_server)->u.map_mem_type_to_ioreq_server;
    long rc;

    map->id = id;
    map->type = type;
    map->flags = flags;
    map->opaque = opaque;
    rc = dm_call();
    CHECK_EQ(map->opaque, opaque);
    return rc;
}

static long map_type(ioservid_t id, uint16_t type, uint32_t flags)
{
    return map_type_from(id, type, flags, 0);
}

static long set_type(xen_pfn_t frame, uint16_t type)
{
    struct xen_dm_op *request = dm_request(XEN_DMOP_set_mem_type);

    request->u.set_mem_type.first_pfn = frame;
    request->u.set_mem_type.nr = 1;
    request->u.set_mem_type.mem_type = type;
    return dm_call();
}

/*
 * Background: A server can be told of the guest's writes to pages of a type, such as tables of a graphics card.
 * Provoked by: a page made of the type, before a server has it, after a call that only goes on with one, and after a
 * server has it; made read-only from that; the type given to another server, taken away by it, and by the one that has
 * it. Another type; an unknown flag; a server that there is not.
 * Expected: -EINVAL, -EINVAL, 0; -EINVAL; -EBUSY, -EINVAL, 0, and the page is plain RAM. -EINVAL; -EINVAL; -ENOENT.
 * Source: hvm/dm_op.h (XEN_DMOP_map_mem_type_to_ioreq_server); arch/x86/hvm/dm.c; arch/x86/mm/p2m.c,
 * p2m_set_ioreq_server().
 */
TEST(dmop_map_mem_type, CONTROL, "an ioreq server gets the writes to pages of a type",
     .needs = "pv|hvm dom0")
{
    const uint32_t write = XEN_DMOP_IOREQ_MEM_ACCESS_WRITE;
    ioservid_t id, other;

    child_create_with_memory(CHILD);
    CHECK_EQ(create(HVM_IOREQSRV_BUFIOREQ_OFF, &id), 0);
    CHECK_EQ(create(HVM_IOREQSRV_BUFIOREQ_OFF, &other), 0);
    CHECK_ERRNO(set_type(CHILD_FRAME, HVMMEM_ioreq_server), EINVAL);
    CHECK_EQ(map_type_from(id, HVMMEM_ioreq_server, write, 1), 0);
    CHECK_ERRNO(set_type(CHILD_FRAME, HVMMEM_ioreq_server), EINVAL);
    CHECK_EQ(map_type(id, HVMMEM_ioreq_server, write), 0);
    CHECK_EQ(set_type(CHILD_FRAME, HVMMEM_ioreq_server), 0);
    CHECK_EQ(child_mem_type(CHILD_FRAME), HVMMEM_ioreq_server);
    CHECK_ERRNO(set_type(CHILD_FRAME, HVMMEM_ram_ro), EINVAL);
    CHECK_ERRNO(map_type(other, HVMMEM_ioreq_server, write), EBUSY);
    CHECK_ERRNO(map_type(other, HVMMEM_ioreq_server, 0), EINVAL);
    CHECK_EQ(map_type(id, HVMMEM_ioreq_server, 0), 0);
    CHECK_EQ(child_mem_type(CHILD_FRAME), HVMMEM_ram_rw);
    CHECK_EQ(map_type(other, HVMMEM_ioreq_server, write), 0);

    CHECK_ERRNO(map_type(id, HVMMEM_ram_rw, write), EINVAL);
    CHECK_ERRNO(map_type(id, HVMMEM_ioreq_server, XEN_DMOP_IOREQ_MEM_ACCESS_READ), EINVAL);
    CHECK_ERRNO(map_type(NO_SERVER, HVMMEM_ioreq_server, write), ENOENT);
    child_destroy(CHILD);
}
