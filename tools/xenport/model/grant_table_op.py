"""grant_table_op: mapping and copying by grants, and the own table."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from xenport.abi.releases import rank
from xenport.model.errors import GrantError, XenError
from xenport.model.grant_table import Granted, Mapping, has_old_rules, own_page
from xenport.model.handlers import Handlers
from xenport.model.memory import PAGE_SIZE, Page
from xenport.model.policy import require_target

if TYPE_CHECKING:
    import xenport.abi
    from xenport.model.call import Call
    from xenport.model.domain import Domain

handlers = Handlers()
command = handlers.command

#: The rest of the command's number says where an interrupted command goes on.
COMMAND_BITS = 12
handlers.command_masks["grant_table_op"] = (1 << COMMAND_BITS) - 1


@functools.cache
def most_requests(abi: xenport.abi.Abi) -> int:
    """How many requests a call may have: the bound that abi/ gives ``count`` for all commands."""
    conditions = [error.when or {} for error in abi.hypercalls["grant_table_op"].errors]
    (bound,) = (when["count"]["above"] for when in conditions if "count" in when)
    return int(bound)


@handlers.check("grant_table_op")
def check_call(call: Call) -> None:
    """What is wrong with any command."""
    abi = call.domain.abi
    if call["count"] > most_requests(abi):
        raise XenError("EINVAL")
    number, rest = call["cmd"] & ~(-1 << COMMAND_BITS), call["cmd"] >> COMMAND_BITS
    if not rest:
        return
    if has_old_rules(abi):
        raise XenError("ENOSYS")  # there are no such commands
    flush = abi.constants.get("GNTTABOP_cache_flush")
    if flush is None or number != flush.value:
        raise XenError(call.vcpu.domain.cpu_class.grant_command_errno)


# ---- Requests ----


def _for_each(call: Call, structure: str, handle_request: Callable[[Call, Any], None]) -> None:
    """Carry out an array of requests with a status each. XenError EFAULT ends it."""
    abi = call.domain.abi
    size = abi.sizeof(structure)
    for index in range(call["count"]):
        buffer = call.vcpu.copy_in(call.handle, size, index * size)
        view = abi.view(structure, buffer)
        view.status = _status_of(call, handle_request, view)
        call.vcpu.copy_out(call.handle, buffer, index * size)


def _status_of(call: Call, handle_request: Callable[[Call, Any], None], view: Any) -> int:
    abi = call.domain.abi
    try:
        handle_request(call, view)
    except GrantError as error:
        return abi.constant(f"GNTST_{error.status}")
    return abi.constant("GNTST_okay")


def _single(call: Call, handle_request: Callable[[Call, Any], None]) -> None:
    """A command that takes one request."""
    if call["count"] != 1:
        raise XenError("EINVAL")
    view = call.view
    view.status = _status_of(call, handle_request, view)


def _domain(call: Call, number: int) -> Domain:
    """GrantError bad_domain: there is none of the number."""
    try:
        return call.hypervisor.domain(number)
    except XenError:
        raise GrantError("bad_domain") from None


def _named(call: Call, number: int) -> Domain:
    """The same; DOMID_SELF is the caller."""
    if number == call.domain.abi.constant("DOMID_SELF"):
        return call.domain
    return _domain(call, number)


def _subject(call: Call, number: int) -> Domain:
    """A domain whose table the caller may ask about."""
    caller = call.domain
    if has_old_rules(caller.abi) and not caller.is_control:
        if number != caller.abi.constant("DOMID_SELF"):
            raise GrantError("permission_denied")
        return caller
    domain = _named(call, number)
    try:
        require_target(call.domain, domain)
    except XenError:
        raise GrantError("permission_denied") from None
    return domain


def _may_share(call: Call, one: Domain, other: Domain) -> None:
    try:
        call.hypervisor.policy.check_interdomain(one, one, other)
    except XenError:
        raise GrantError("permission_denied") from None


def _flag(call: Call, name: str, flags: int) -> bool:
    return bool(flags & call.domain.abi.constant(name))


# ---- The table ----


@command("GNTTABOP_query_size")
def query_size(call: Call) -> None:
    """How many pages a table has, and may have."""

    def query(call: Call, view: Any) -> None:
        domain = _subject(call, view.dom)
        view.nr_frames = len(domain.grants.pages)
        view.max_nr_frames = domain.grants.size.most

    _single(call, query)


def _check_list(call: Call, handle: int) -> None:
    """A list in Xen's part of the address space is no list. XenError EFAULT."""
    if not call.vcpu.cpu.may_hold(handle):
        raise XenError("EFAULT")


def _list_pages(call: Call, domain: Domain, pages: list[Page], kind: str, handle: int) -> None:
    try:
        for index, page in enumerate(pages):
            call.vcpu.write_word(kind, domain.frames.place_of(page), handle, index)
    except XenError:
        if not has_old_rules(domain.abi):
            raise GrantError("bad_virt_addr") from None


@command("GNTTABOP_setup_table")
def setup_table(call: Call) -> None:
    """List the pages of a table, after making it larger."""

    def setup(call: Call, view: Any) -> None:
        _check_list(call, view.frame_list)
        if has_old_rules(call.domain.abi) and view.nr_frames > call.domain.grants.size.most:
            raise GrantError("general_error")
        domain = _subject(call, view.dom)
        try:
            domain.grants.grow(view.nr_frames)
        except XenError:
            raise GrantError("general_error") from None
        pages = domain.grants.pages[: view.nr_frames]
        _list_pages(call, domain, pages, "xen_pfn_t", view.frame_list)

    _single(call, setup)


@command("GNTTABOP_get_status_frames")
def get_status_frames(call: Call) -> None:
    """List the status pages of a table."""

    def list_them(call: Call, view: Any) -> None:
        _check_list(call, view.frame_list)
        domain = _subject(call, view.dom)
        pages = domain.grants.status_pages
        if view.nr_frames > len(pages):
            raise GrantError("general_error")
        _list_pages(call, domain, pages[: view.nr_frames], "uint64", view.frame_list)

    _single(call, list_them)


@command("GNTTABOP_get_version")
def get_version(call: Call) -> None:
    """The layout of a table."""
    view = call.view
    domain = call.hypervisor.domain_by_id(call.vcpu, view.dom)
    require_target(call.domain, domain)
    view.version = domain.grants.version


@command("GNTTABOP_set_version")
def set_version(call: Call) -> None:
    """Choose the layout of the own table."""
    view = call.view
    table = call.domain.grants
    wanted = view.version
    view.version = table.version
    try:
        if wanted not in (1, 2):
            raise XenError("EINVAL")
        if wanted > call.domain.cpu_class.max_grant_version:
            raise XenError("ENOSYS")
        if wanted != table.version:
            table.set_version(wanted, call.domain.abi.constant("GNTTAB_NR_RESERVED_ENTRIES"))
            view.version = wanted
    except XenError:
        call.finish()  # also after an error the guest is told
        raise


@command("GNTTABOP_swap_grant_ref")
def swap_grant_ref(call: Call) -> None:
    """Exchange entries of the own table."""

    def swap(call: Call, view: Any) -> None:
        call.domain.grants.swap(view.ref_a, view.ref_b)

    _for_each(call, "gnttab_swap_grant_ref", swap)


# ---- Mapping ----


def _kinds(call: Call, flags: int) -> tuple[str, ...]:
    """How a mapping uses the grant."""
    access = "read" if _flag(call, "GNTMAP_readonly", flags) else "write"
    devices = (f"device_{access}",) if _flag(call, "GNTMAP_device_map", flags) else ()
    hosts = (f"host_{access}",) if _flag(call, "GNTMAP_host_map", flags) else ()
    return devices + hosts


def _map(call: Call, view: Any) -> None:
    caller = call.domain
    kinds = _kinds(call, view.flags)
    if not kinds:
        raise GrantError("bad_gntref")
    cpu = call.vcpu.cpu
    if any(_flag(call, name, view.flags) for name in cpu.grant_flags_refused):
        raise GrantError("general_error")
    owner = _domain(call, view.dom)
    _may_share(call, caller, owner)
    granted = owner.grants.acquire(caller, view.ref, kinds, mapping=True)
    try:
        if not _flag(call, "GNTMAP_readonly", view.flags):
            _check_writable(granted)
        if _flag(call, "GNTMAP_host_map", view.flags):
            cpu.map_grant(view.host_addr, granted, view.flags)
    except GrantError:
        owner.grants.release(view.ref, kinds)
        raise
    view.handle = caller.grants.add_mapping(Mapping(owner, view.ref, view.flags))
    view.dev_bus_addr = granted.domain.frames.machine_frame(granted.frame) * PAGE_SIZE


def _check_writable(granted: Granted) -> None:
    """GrantError general_error: it is in use as something that must not be written."""
    if not granted.domain.vcpus[0].cpu.frame_is_writable(granted.frame):
        raise GrantError("general_error")


@command("GNTTABOP_map_grant_ref")
def map_grant_ref(call: Call) -> None:
    """Map pages that were granted."""
    _for_each(call, "gnttab_map_grant_ref", _map)


def _undo(call: Call, handle: int, addresses: tuple[int, int], new_address: int = 0) -> None:
    """Undo the mapping of a handle at the host's and the device's address; 0 leaves it."""
    caller = call.domain
    abi = caller.abi
    mapping = caller.grants.mappings.get(handle)
    if mapping is None:
        raise GrantError("bad_handle")
    at_host, at_device = addresses
    granted = mapping.domain.grants.granted(mapping.ref)
    done = 0
    machine_address = granted.domain.frames.machine_frame(granted.frame) * PAGE_SIZE
    if has_old_rules(abi):
        at_device &= -PAGE_SIZE  # only the frame counts
    if at_device and at_device != machine_address:
        if rank(abi.release) < rank("4.16"):
            raise GrantError("general_error")
        if _flag(call, "GNTMAP_device_map", mapping.flags):
            raise GrantError("bad_dev_addr")
    if at_host and _flag(call, "GNTMAP_host_map", mapping.flags):
        call.vcpu.cpu.unmap_grant(at_host, granted, mapping.flags, new_address)
        done |= abi.constant("GNTMAP_host_map")
    if at_device and _flag(call, "GNTMAP_device_map", mapping.flags):
        done |= abi.constant("GNTMAP_device_map")
    if done:
        read_only = mapping.flags & abi.constant("GNTMAP_readonly")
        mapping.flags &= ~done
        mapping.domain.grants.release(mapping.ref, _kinds(call, done | read_only))
        if not _kinds(call, mapping.flags):
            caller.grants.remove_mapping(handle)


@command("GNTTABOP_unmap_grant_ref")
def unmap_grant_ref(call: Call) -> None:
    """Undo mappings."""

    def unmap(call: Call, view: Any) -> None:
        _undo(call, view.handle, (view.host_addr, view.dev_bus_addr))

    _for_each(call, "gnttab_unmap_grant_ref", unmap)


@command("GNTTABOP_unmap_and_replace")
def unmap_and_replace(call: Call) -> None:
    """Undo mappings, and move another one to where each was."""
    if call.declares("ENOSYS"):
        raise XenError("ENOSYS")

    def replace(call: Call, view: Any) -> None:
        _undo(call, view.handle, (view.host_addr, 0), view.new_addr)

    _for_each(call, "gnttab_unmap_and_replace", replace)


# ---- Copying ----


def _side_domain(call: Call, side: Any, *, by_grant: bool) -> Domain:
    if not by_grant and side.domid != call.domain.abi.constant("DOMID_SELF"):
        raise GrantError("permission_denied")
    return _named(call, side.domid)


class _Side:
    """One side of a copy, while it lasts."""

    def __init__(self, call: Call, domain: Domain, side: Any, *, by_grant: bool, kind: str) -> None:
        self._release: Callable[[], None] = lambda: None
        self.offset = side.offset
        if by_grant:
            ref = side.u.ref
            self.granted = domain.grants.acquire(call.domain, ref, (kind,), mapping=False)
            self._release = lambda: domain.grants.release(ref, (kind,))
        else:
            self.granted = own_page(domain, side.u.gmfn)

    def leaves_grant(self, length: int) -> bool:
        """Are there bytes that are not granted?"""
        granted = self.granted
        end = granted.start + granted.length
        return bool(self.offset < granted.start or self.offset + length > end)

    def release(self) -> None:
        """The copy is over."""
        self._release()


def _copy(call: Call, view: Any) -> None:
    length = view.len
    if not length and rank(call.domain.abi.release) >= rank("4.19"):
        return
    if has_old_rules(call.domain.abi):
        _check_in_page(length, view.source, view.dest)
    from_grant = _flag(call, "GNTCOPY_source_gref", view.flags)
    to_grant = _flag(call, "GNTCOPY_dest_gref", view.flags)
    source_domain = _side_domain(call, view.source, by_grant=from_grant)
    target_domain = _side_domain(call, view.dest, by_grant=to_grant)
    _may_share(call, source_domain, target_domain)
    source = _Side(call, source_domain, view.source, by_grant=from_grant, kind="host_read")
    try:
        target = _Side(call, target_domain, view.dest, by_grant=to_grant, kind="host_write")
        try:
            _check_writable(target.granted)
            _check_in_page(length, view.source, view.dest)
            _copy_between(source, target, length)
        finally:
            target.release()
    finally:
        source.release()


def _check_in_page(length: int, *sides: Any) -> None:
    """GrantError bad_copy_arg: the bytes do not lie in one page on every side."""
    if any(side.offset + length > PAGE_SIZE for side in sides):
        raise GrantError("bad_copy_arg")


def _copy_between(source: _Side, target: _Side, length: int) -> None:
    if source.leaves_grant(length) or target.leaves_grant(length):
        raise GrantError("general_error")
    content = bytes(source.granted.page.data[source.offset : source.offset + length])
    target.granted.page.data[target.offset : target.offset + length] = content


@command("GNTTABOP_copy")
def copy(call: Call) -> None:
    """Copy bytes between pages."""
    _for_each(call, "gnttab_copy", _copy)


# ---- Giving pages away ----


@command("GNTTABOP_transfer")
def transfer(call: Call) -> None:
    """Give pages away."""
    if call.domain.cpu_class.translated:
        if call.declares("EOPNOTSUPP"):
            raise XenError("EOPNOTSUPP")
        _for_each(call, "gnttab_transfer", _keep)
    else:
        _for_each(call, "gnttab_transfer", _give)


def _keep(call: Call, view: Any) -> None:
    """A translated domain cannot give a page away."""
    if not call.domain.frames.owns(view.mfn):
        raise GrantError("bad_page")
    call.vcpu.cpu.give_page_away()


def _give(call: Call, view: Any) -> None:
    try:
        content = call.domain.frames.steal(view.mfn)
    except XenError:
        raise GrantError("bad_page") from None
    receiver = _domain(call, view.domid)
    table = receiver.grants
    if view.ref >= table.entries or receiver.total_pages >= receiver.max_pages:
        raise GrantError("general_error")
    header = table.header(view.ref)
    accepts = call.domain.abi.constant("GTF_accept_transfer")
    if header.flags != accepts or header.domid != call.domain.id:
        raise GrantError("general_error")
    entry = table.entry(view.ref)
    wanted = entry.frame if table.version == 1 else entry.full_page.frame
    frame = receiver.frames.get(wanted, 1)
    receiver.memory.write(frame * PAGE_SIZE, content)
    if table.version == 1:
        entry.frame = frame
    else:
        entry.full_page.frame = frame
    header.flags |= call.domain.abi.constant("GTF_transfer_committed")
    header.flags |= call.domain.abi.constant("GTF_transfer_completed")


# ---- Caches ----


@command("GNTTABOP_cache_flush")
def cache_flush(call: Call) -> None:
    """There are no caches; the requests are checked."""
    for index in range(call["count"]):
        request = call.vcpu.read_struct("gnttab_cache_flush", call.handle, index)
        _check_flush(call, request)


def _check_flush(call: Call, request: Any) -> None:
    abi = call.domain.abi
    known = abi.constant("GNTTAB_CACHE_CLEAN") | abi.constant("GNTTAB_CACHE_INVAL")
    if (
        request.offset >= PAGE_SIZE
        or request.offset + request.length > PAGE_SIZE
        or request.op & ~known
    ):
        raise XenError("EINVAL")
    if not request.length or not request.op:
        if call["cmd"] >> COMMAND_BITS:
            raise XenError("EILSEQ")
        return
    frame = request.a.dev_bus_addr // PAGE_SIZE
    owner, own = _owner_of(call, frame)
    if owner is not call.domain and not owner.grants.lends(call.domain, owner, own):
        raise XenError("EINVAL")
    if request.op == abi.constant("GNTTAB_CACHE_INVAL") and call.declares("EOPNOTSUPP"):
        raise XenError("EOPNOTSUPP")


def _owner_of(call: Call, machine_frame: int) -> tuple[Domain, int]:
    """Whose memory a machine frame is, and its number there. XenError EINVAL: it is no memory."""
    for domain in (call.domain, *call.hypervisor.domains.values()):
        frame = domain.frames.frame_of(machine_frame) if domain.vcpus else None
        if frame is not None:
            return domain, frame
    raise XenError("EINVAL")
