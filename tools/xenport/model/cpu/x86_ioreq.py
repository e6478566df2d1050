"""dm_op on x86: ioreq servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xenport.model.device_model import MOST_SERVERS, Server
from xenport.model.domctl.monitor import xen_port
from xenport.model.errors import XenError
from xenport.model.handlers import Handlers

if TYPE_CHECKING:
    from xenport.model.call import Call
    from xenport.model.device_model import Ranges
    from xenport.model.domain import Domain

handlers = Handlers()
command = handlers.command


def guest(call: Call) -> Domain:
    """The domain whose device model calls. XenError EINVAL: the request has padding."""
    if call.view.pad:
        raise XenError("EINVAL")
    return call.hypervisor.domain(call["domid"])


def _server(call: Call, number: int) -> Server:
    server = guest(call).settings.devices.servers.get(number)
    if server is None:
        raise XenError("ENOENT")
    if server.emulator is not call.domain:
        raise XenError("EPERM")
    return server


@command("XEN_DMOP_create_ioreq_server")
def create_ioreq_server(call: Call) -> None:
    """A new server, disabled."""
    view = call.view.u.create_ioreq_server
    domain = guest(call)
    servers = domain.settings.devices.servers
    if len(servers) == MOST_SERVERS:
        raise XenError("ENOSPC")
    is_buffered = view.handle_bufioreq != call.domain.abi.constant("HVM_IOREQSRV_BUFIOREQ_OFF")
    count = len(domain.vcpus) + is_buffered
    ports = [xen_port(domain, call.domain.id) for _ in range(count)]
    view.id = next(number for number in range(MOST_SERVERS) if number not in servers)
    servers[view.id] = Server(call.domain, ports, is_buffered)


@command("XEN_DMOP_get_ioreq_server_info")
def get_ioreq_server_info(call: Call) -> None:
    """The port of a server, and its pages, which are in the guest from then on."""
    view = call.view.u.get_ioreq_server_info
    server = _server(call, view.id)
    if not view.flags & call.domain.abi.constant("XEN_DMOP_no_gfns"):
        if server.taken:
            raise XenError("EPERM")
        if not server.frames:
            server.frames = _frames(call, 1 + server.is_buffered)
        view.ioreq_gfn = server.frames[0]
        if server.is_buffered:
            view.bufioreq_gfn = server.frames[1]
    if server.is_buffered:
        view.bufioreq_port = server.buffer_port


def _frames(call: Call, count: int) -> list[int]:
    """Frames that were set apart for pages of servers. XenError ENOMEM, EINVAL."""
    domain = guest(call)
    abi = domain.abi

    def param(name: str) -> int:
        return domain.params.get(abi.constant(f"HVM_PARAM_{name}"), 0)

    taken = {
        frame for server in domain.settings.devices.servers.values() for frame in server.frames
    }
    first = param("IOREQ_SERVER_PFN")
    apart = range(first, first + param("NR_IOREQ_SERVER_PAGES"))
    free = [frame for frame in apart if frame not in taken][:count]
    if len(free) < count:
        if call.declares("ENOMEM"):
            raise XenError("ENOMEM")
        free = [param("IOREQ_PFN")] * count  # old releases take it, set apart or not
    if not all(domain.memory.has_frame(frame) for frame in free):
        raise XenError("EINVAL")
    return free


@command("XEN_DMOP_set_ioreq_server_state")
def set_ioreq_server_state(call: Call) -> None:
    """The guest does not see the pages of an enabled server."""
    view = call.view.u.set_ioreq_server_state
    _set_state(guest(call), _server(call, view.id), enabled=view.enabled != 0)


def _set_state(domain: Domain, server: Server, *, enabled: bool) -> None:
    if enabled is server.is_enabled:
        return
    server.is_enabled = enabled
    memory = domain.memory
    if enabled:
        server.pages = [memory.page_at(frame) for frame in server.frames]
    for frame, page in zip(server.frames, server.pages, strict=True):
        memory.replace(frame, None if enabled else page)


@command("XEN_DMOP_destroy_ioreq_server")
def destroy_ioreq_server(call: Call) -> None:
    """Remove a server."""
    number = call.view.u.destroy_ioreq_server.id
    server = _server(call, number)
    domain = guest(call)
    devices = domain.settings.devices
    _set_state(domain, server, enabled=False)
    for port in server.ports:
        domain.events.close(domain.events.existing(port))
    if devices.type_server is server:
        devices.type_server = None
    del devices.servers[number]


def _ranges(call: Call, wanted: Any) -> Ranges:
    """A server's ranges of the kind of one. XenError EINVAL: it ends before it starts."""
    if wanted.start > wanted.end:
        raise XenError("EINVAL")
    ranges: Ranges = _server(call, wanted.id).ranges[wanted.type]
    return ranges


@command("XEN_DMOP_map_io_range_to_ioreq_server")
def map_io_range_to_ioreq_server(call: Call) -> None:
    """Claim a range."""
    wanted = call.view.u.map_io_range_to_ioreq_server
    ranges = _ranges(call, wanted)
    if ranges.touches(wanted.start, wanted.end):
        raise XenError("EEXIST")
    ranges.add(wanted.start, wanted.end)


@command("XEN_DMOP_unmap_io_range_from_ioreq_server")
def unmap_io_range_from_ioreq_server(call: Call) -> None:
    """Give it back."""
    wanted = call.view.u.unmap_io_range_from_ioreq_server
    ranges = _ranges(call, wanted)
    if not ranges.contains(wanted.start, wanted.end):
        raise XenError("ENOENT")
    ranges.remove(wanted.start, wanted.end)


@command("XEN_DMOP_map_mem_type_to_ioreq_server")
def map_mem_type_to_ioreq_server(call: Call) -> None:
    """Give a server the writes to pages of HVMMEM_ioreq_server, or take them away; such pages are
    plain RAM then."""
    view = call.view.u.map_mem_type_to_ioreq_server
    if view.opaque:
        return  # goes on with a call that was interrupted; here none ever is
    server = _server(call, view.id)
    devices = guest(call).settings.devices
    kind = call.domain.abi.constant("HVMMEM_ioreq_server")
    if view.flags:
        if devices.type_server is not None:
            raise XenError("EBUSY")
        devices.type_server = server
        return
    if devices.type_server is not server:
        raise XenError("EINVAL")
    devices.type_server = None
    devices.types = {
        frame: (page, other) for frame, (page, other) in devices.types.items() if other != kind
    }
