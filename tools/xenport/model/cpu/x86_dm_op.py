"""dm_op on x86: what a device model says of interrupts and of memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenport.model.cpu.x86_ioreq import guest
from xenport.model.domctl.vcpus import stored_cpu
from xenport.model.errors import XenError
from xenport.model.handlers import Handlers

if TYPE_CHECKING:
    from xenport.model.call import Call
    from xenport.model.domain import Domain

handlers = Handlers()
command = handlers.command
handlers.refuse_declared("dm_op")

ADDRESS_BITS = 40  #: of the processor
_MOST_PINNED = 64
_MSI_FIXED, _MSI_LOWEST_PRIORITY = 0, 1  # delivery modes


def _second(call: Call) -> tuple[int, int]:
    """Where the second buffer is, and its bytes."""
    buffer = call.vcpu.read_struct("xen_dm_op_buf", call["bufs"], 1)
    return buffer.h, buffer.size


@command("XEN_DMOP_nr_vcpus")
def nr_vcpus(call: Call) -> None:
    """How many vcpus the guest may have."""
    call.view.u.nr_vcpus.vcpus = guest(call).max_vcpus


@command("XEN_DMOP_remote_shutdown")
def remote_shutdown(call: Call) -> None:
    """Shut the guest down."""
    guest(call).shut_down(call.view.u.remote_shutdown.reason)


# ---- Interrupts ----


def _with_bit(bits: int, number: int, level: int) -> int:
    return bits | 1 << number if level else bits & ~(1 << number)


@command("XEN_DMOP_set_isa_irq_level")
def set_isa_irq_level(call: Call) -> None:
    """Assert an ISA interrupt, or not."""
    view = call.view.u.set_isa_irq_level
    devices = guest(call).settings.devices
    devices.isa_irqs = _with_bit(devices.isa_irqs, view.isa_irq, view.level)


@command("XEN_DMOP_set_pci_intx_level")
def set_pci_intx_level(call: Call) -> None:
    """The same for an interrupt pin of a PCI device."""
    view = call.view.u.set_pci_intx_level
    devices = guest(call).settings.devices
    devices.pci_pins = _with_bit(devices.pci_pins, 4 * view.device + view.intx, view.level)


@command("XEN_DMOP_set_pci_link_route")
def set_pci_link_route(call: Call) -> None:
    """The ISA interrupt of a link; 0: none."""
    view = call.view.u.set_pci_link_route
    guest(call).settings.devices.links[view.link] = view.isa_irq


@command("XEN_DMOP_inject_event")
def inject_event(call: Call) -> None:
    """An event that waits until the vcpu runs, which it never does."""
    cpu = stored_cpu(guest(call).vcpus[call.view.u.inject_event.vcpuid])
    if cpu.event_waits:
        raise XenError("EBUSY")
    cpu.event_waits = True


@command("XEN_DMOP_inject_msi")
def inject_msi(call: Call) -> None:
    """A message that nobody hears: the guest's local APICs are off, and no pirq of it is bound."""
    domain = guest(call)
    view = call.view.u.inject_msi
    mode = view.data >> 8 & 7
    if not view.data & 0xFF:
        pirq = view.addr >> 32 & 0xFFFF_FF00 | view.addr >> 12 & 0xFF
        if not pirq:
            raise XenError("ERANGE")
        if pirq >= domain.cpu_class.pirq_count:
            raise XenError("EINVAL")
    elif mode == _MSI_LOWEST_PRIORITY:
        raise XenError("ESRCH")
    elif mode != _MSI_FIXED:
        raise XenError("EINVAL")


# ---- Memory ----


def mem_type(domain: Domain, frame: int) -> int:
    """How accesses to a frame are treated: an HVMMEM_ value."""
    memory = domain.memory
    page, kind = domain.settings.devices.types.get(frame, (None, 0))
    if page is memory.page_at(frame) and page is not None:
        return kind
    return domain.abi.constant("HVMMEM_ram_rw" if memory.has_frame(frame) else "HVMMEM_mmio_dm")


@command("XEN_DMOP_set_mem_type")
def set_mem_type(call: Call) -> None:
    """Choose how accesses to frames are treated."""
    domain = guest(call)
    view = call.view.u.set_mem_type
    devices = domain.settings.devices
    memory = domain.memory
    abi = domain.abi
    plain, device = abi.constant("HVMMEM_ram_rw"), abi.constant("HVMMEM_mmio_dm")
    served = abi.constant("HVMMEM_ioreq_server")
    kind = view.mem_type
    if view.first_pfn + view.nr - 1 > memory.highest_frame():
        raise XenError("EINVAL")
    if kind == served and devices.type_server is None:
        raise XenError("EINVAL")
    for frame in range(view.first_pfn, view.first_pfn + view.nr):
        now = mem_type(domain, frame)
        if kind == served:
            may_change = now == plain
        elif now == served:
            may_change = kind == plain
        elif now == device:
            may_change = kind == device
        else:
            may_change = True
        if not may_change:
            raise XenError("EINVAL")
        devices.types[frame] = (memory.page_at(frame), kind)


@command("XEN_DMOP_track_dirty_vram")
def track_dirty_vram(call: Call) -> None:
    """Which frames of a run have another page than when they were last asked for; no guest that is
    asked about runs, so that nothing else is written."""
    domain = guest(call)
    view = call.view.u.track_dirty_vram
    devices = domain.settings.devices
    handle, size = _second(call)
    if not domain.vcpus or -(-view.nr // 8) > size:
        raise XenError("EINVAL")
    frames = range(view.first_pfn, view.first_pfn + view.nr)
    now = {frame: domain.memory.page_at(frame) for frame in frames}
    if list(devices.tracked) == list(frames):
        bits = sum(1 << i for i, frame in enumerate(frames) if now[frame] != devices.tracked[frame])
    else:
        bits = (1 << 8 * -(-view.nr // 8)) - 1
    devices.tracked = now
    call.vcpu.copy_out(handle, bits.to_bytes(-(-view.nr // 8), "little"))


@command("XEN_DMOP_modified_memory")
def modified_memory(call: Call) -> None:
    """Frames that the device model wrote; the last extent of the list is the first."""
    domain = guest(call)
    settings = domain.settings
    view = call.view.u.modified_memory
    extent_size = domain.abi.sizeof("xen_dm_op_modified_memory_extent")
    if not settings.logs_writes:
        return
    handle, size = _second(call)
    if size // extent_size < view.nr_extents:
        raise XenError("EINVAL")
    for index in reversed(range(view.nr_extents)):
        extent = call.vcpu.read_struct("xen_dm_op_modified_memory_extent", handle, index)
        end = extent.first_pfn + extent.nr
        if extent.pad or not extent.nr or end > domain.memory.highest_frame():
            raise XenError("EINVAL")
        if view.opaque >= extent.nr:
            raise XenError("EINVAL")
        frames = range(extent.first_pfn + view.opaque, end)
        settings.written.update(frame for frame in frames if domain.memory.has_frame(frame))
        view.opaque = 0


@command("XEN_DMOP_relocate_memory")
def relocate_memory(call: Call) -> None:
    """Move a run of pages."""
    domain = guest(call)
    view = call.view.u.relocate_memory
    limit = (1 << 64) - 1
    if max(view.src_gfn, view.dst_gfn) + view.size > limit and call.declares("EOVERFLOW"):
        raise XenError("EOVERFLOW")
    gmfn = domain.abi.constant("XENMAPSPACE_gmfn")
    for index in range(view.size):
        domain.frames.map_space(gmfn, view.src_gfn + index, view.dst_gfn + index)


@command("XEN_DMOP_pin_memory_cacheattr")
def pin_memory_cacheattr(call: Call) -> None:
    """Fix how a run of frames is cached, or forget that."""
    view = call.view.u.pin_memory_cacheattr
    pinned = guest(call).settings.devices.pinned
    abi = call.domain.abi
    run = view.start, view.end
    if view.end < view.start or (view.start | view.end) >> ADDRESS_BITS:
        raise XenError("EINVAL")
    if view.type == abi.constant("XEN_DMOP_DELETE_MEM_CACHEATTR"):
        if pinned.pop(run, None) is None:
            raise XenError("ENOENT")
        return
    kinds = ("UC", "WC", "WT", "WP", "WB", "UCM")
    if view.type not in {abi.constant(f"XEN_DMOP_MEM_CACHEATTR_{kind}") for kind in kinds}:
        raise XenError("EINVAL")
    if run not in pinned:
        if any(start <= view.end and view.start <= end for start, end in pinned):
            raise XenError("EBUSY")
        if len(pinned) == _MOST_PINNED:
            raise XenError("ENOSPC")
    pinned[run] = view.type
