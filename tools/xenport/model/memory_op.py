"""memory_op: how much memory a domain has, giving it back, getting it, mapping Xen's pages."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from xenport.model.errors import XenError
from xenport.model.frames import TranslatedFrames
from xenport.model.handlers import Handlers
from xenport.model.memory import PAGE_SIZE, MemoryFault
from xenport.model.policy import require_target

if TYPE_CHECKING:
    from xenport.model.call import Call
    from xenport.model.domain import Domain

handlers = Handlers()
command = handlers.command

#: The rest of the command's number says where an interrupted command goes on.
EXTENT_SHIFT = 6
handlers.command_masks["memory_op"] = (1 << EXTENT_SHIFT) - 1

MAX_ORDER = 9  #: pages of the largest extent, as a power of two
MAX_EXTENTS = 0xFFFF_FFFF >> EXTENT_SHIFT
NO_FRAME = (1 << 64) - 1


def _start(call: Call) -> int:
    return call["cmd"] >> EXTENT_SHIFT


def not_continued(call: Call) -> None:
    """Commands that are never interrupted; old releases do not look."""
    if _start(call) and call.declares("EINVAL"):
        raise XenError("EINVAL")


# ---- Counts ----


def machine_end(domain: Domain) -> int:
    """The first frame after the machine's memory, as ``domain`` sees it."""
    return (domain.memory.base + domain.memory.size) // PAGE_SIZE


@command("XENMEM_maximum_ram_page")
def maximum_ram_page(call: Call) -> int:
    """The first frame after the machine's memory."""
    not_continued(call)
    return machine_end(call.domain)


def _asked_about(call: Call) -> Domain:
    not_continued(call)
    domain = call.hypervisor.domain_by_id(call.vcpu, call.view.domid)
    require_target(call.domain, domain)
    return domain


@command("XENMEM_current_reservation")
def current_reservation(call: Call) -> int:
    """Pages that the domain has."""
    return _asked_about(call).total_pages


@command("XENMEM_maximum_reservation")
def maximum_reservation(call: Call) -> int:
    """Pages that it may have."""
    return _asked_about(call).max_pages


@command("XENMEM_maximum_gpfn")
def maximum_gpfn(call: Call) -> int:
    """The largest frame that is mapped."""
    domain = _asked_about(call)
    return domain.vcpus[0].cpu.maximum_frame() if domain.vcpus else 0


# ---- Extents ----


def _extents(call: Call) -> tuple[Domain, Any] | None:
    """The domain and what it is about; None where nothing can be done at all."""
    try:
        view = call.view
        domain = call.hypervisor.domain_by_id(call.vcpu, view.domid)
        require_target(call.domain, domain)
    except XenError:
        return None
    if view.nr_extents > MAX_EXTENTS or view.extent_order > MAX_ORDER:
        return None
    return domain, view


def _for_each(call: Call, *, release: bool, mapped: bool) -> int:
    """Carry out the extents one after the other until one fails; the number that were done."""
    done = _start(call)
    found = _extents(call)
    if found is None:
        return done
    domain, view = found
    frames = domain.frames
    with suppress(XenError):
        while done < view.nr_extents:
            pages = 1 << view.extent_order
            wanted: int | None = None
            if mapped:
                wanted = call.vcpu.read_word("xen_pfn_t", view.extent_start, done)
            if release:
                assert wanted is not None
                frames.release(wanted, pages)
            else:
                got = frames.get(wanted, pages)
                if not domain.cpu_class.translated and view.extent_start:
                    call.vcpu.write_word("xen_pfn_t", got, view.extent_start, done)
            done += 1
    return done


@command("XENMEM_increase_reservation")
def increase_reservation(call: Call) -> int:
    """Get pages that are mapped nowhere."""
    return _for_each(call, release=False, mapped=False)


@command("XENMEM_decrease_reservation")
def decrease_reservation(call: Call) -> int:
    """Give pages back."""
    return _for_each(call, release=True, mapped=True)


@command("XENMEM_populate_physmap")
def populate_physmap(call: Call) -> int:
    """Get pages for frames that have none."""
    return _for_each(call, release=False, mapped=True)


# ---- Mapping ----


def _may_map(call: Call, domain: Domain, space: int) -> None:
    if not domain.cpu_class.translated:
        raise XenError("EACCES")
    abi = domain.abi
    device = abi.constants.get("XENMAPSPACE_dev_mmio")
    if (
        device is not None
        and space == device.value
        and not (domain.is_control and domain is call.domain)
    ):
        raise XenError("EACCES")
    require_target(call.domain, domain)


@command("XENMEM_add_to_physmap")
def add_to_physmap(call: Call) -> None:
    """Map a page of Xen's, or move one of the domain's own."""
    view = call.view
    abi = call.domain.abi
    if view.space == abi.constant("XENMAPSPACE_gmfn_foreign"):
        raise XenError("ENOSYS")
    domain = call.hypervisor.domain_by_id(call.vcpu, view.domid)
    _may_map(call, domain, view.space)
    if view.gpfn == NO_FRAME:
        raise XenError("EINVAL")
    if view.space != abi.constant("XENMAPSPACE_gmfn_range"):
        domain.frames.map_space(view.space, view.idx, view.gpfn)
        return
    if max(view.gpfn, view.idx) + view.size > NO_FRAME:
        raise XenError("EOVERFLOW")
    for index in range(view.size):
        space = abi.constant("XENMAPSPACE_gmfn")
        domain.frames.map_space(space, view.idx + index, view.gpfn + index)


@command("XENMEM_add_to_physmap_batch")
def add_to_physmap_batch(call: Call) -> None:
    """The same for several frames, with a result for each."""
    view = call.view
    vcpu = call.vcpu
    abi = call.domain.abi
    if view.space == abi.constant("XENMAPSPACE_gmfn_range"):
        raise XenError("EOPNOTSUPP")
    domain = call.hypervisor.domain_by_id(vcpu, view.domid)
    _may_map(call, domain, view.space)
    foreign = view.space == abi.constant("XENMAPSPACE_gmfn_foreign")
    for index in range(view.size):
        source = vcpu.read_word("xen_ulong_t", view.idxs, index)
        frame = vcpu.read_word("xen_pfn_t", view.gpfns, index)
        if frame == NO_FRAME:
            raise XenError("EINVAL")
        try:
            if foreign:
                _map_foreign(call, domain, view.u.foreign_domid, source, frame)
            else:
                domain.frames.map_space(view.space, source, frame)
            result = 0
        except XenError as error:
            result = -abi.errno(error.errno)
        vcpu.write_word("int", result, view.errs, index)


def _map_foreign(call: Call, domain: Domain, number: int, source: int, frame: int) -> None:
    """A page of another domain, in place of what is at the frame."""
    other = call.hypervisor.domain_by_id(call.vcpu, number)
    if other is domain:
        raise XenError("EINVAL")
    require_target(domain, other)
    if domain.is_control and isinstance(domain.frames, TranslatedFrames):
        try:
            window = other.memory.window(source)
        except (AttributeError, MemoryFault):  # it has no memory at all, or none there
            raise XenError("EINVAL") from None
        domain.frames.map_window(frame, window)
        return
    raise XenError("EINVAL")


@command("XENMEM_remove_from_physmap")
def remove_from_physmap(call: Call) -> None:
    """Unmap a frame; the page stays the domain's."""
    not_continued(call)
    view = call.view
    domain = call.hypervisor.domain_by_id(call.vcpu, view.domid)
    if not domain.cpu_class.translated:
        raise XenError("EACCES")
    require_target(call.domain, domain)
    domain.frames.unmap(view.gpfn)


# ---- Maps ----


_MAP_ENTRY = 20  #: bytes of an entry: start, size and kind
_MOST_ENTRIES = 1024


@command("XENMEM_memory_map")
def memory_map(call: Call) -> None:
    """The memory map that the domain was given."""
    view = call.view
    content = call.domain.settings.memory_map
    if content is None:
        content = b"".join(
            start.to_bytes(8, call.domain.byte_order)
            + size.to_bytes(8, call.domain.byte_order)
            + kind.to_bytes(4, call.domain.byte_order)
            for start, size, kind in call.vcpu.cpu.memory_map() or ()
        )
    if not content:
        raise XenError("ENOSYS")
    count = min(view.nr_entries, len(content) // _MAP_ENTRY)
    call.vcpu.copy_out(view.buffer, content[: count * _MAP_ENTRY])
    view.nr_entries = count


@command("XENMEM_set_memory_map")
def set_memory_map(call: Call) -> None:
    """Give a domain a memory map."""
    view = call.view
    if view.map.nr_entries > _MOST_ENTRIES:
        raise XenError("EINVAL")
    domain = call.hypervisor.domain_by_id(call.vcpu, view.domid)
    require_target(call.domain, domain)
    content = call.vcpu.copy_in(view.map.buffer, view.map.nr_entries * _MAP_ENTRY)
    domain.settings.memory_map = bytes(content)
