"""domctl: devices of the machine. There is no IOMMU, and no device but those of the processor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenport.model.domctl.life import target
from xenport.model.errors import XenError
from xenport.model.handlers import Handlers
from xenport.model.policy import require_control

if TYPE_CHECKING:
    from xenport.abi import Abi
    from xenport.model.call import Call
    from xenport.model.domain import Domain

handlers = Handlers()
command = handlers.command

ADDRESS_BITS = 40


@command(
    "XEN_DOMCTL_assign_device",
    "XEN_DOMCTL_deassign_device",
    "XEN_DOMCTL_get_device_group",
    "XEN_DOMCTL_test_assign_device",
)
def without_iommu(call: Call) -> None:
    """No domain can have a device."""
    abi = call.domain.abi
    number = call.view.domain
    asked = call.view.cmd == abi.constant("XEN_DOMCTL_test_assign_device")
    if not (asked and number == abi.constant("DOMID_INVALID")):
        target(call)
    raise XenError("EOPNOTSUPP")


# ---- Memory ----


def _frames(abi: Abi, first: int, count: int) -> range:
    """XenError EINVAL: the last one is beyond all numbers."""
    mask = (1 << 8 * abi.sizeof("ulong")) - 1
    first &= mask
    last = first + count - 1 & mask
    if last < first:
        raise XenError("EINVAL")
    return range(first, last + 1)


def may_use(domain: Domain, frames: range) -> bool:
    """Has the domain been allowed all of these?"""
    if domain.is_control:
        allowed = domain.cpu_class.device_frames
        return frames.start >= allowed.start and frames.stop <= allowed.stop
    return all(frame in domain.settings.device_frames for frame in frames)


@command("XEN_DOMCTL_iomem_permission")
def iomem_permission(call: Call) -> None:
    """Allow or forbid memory of devices."""
    domain = target(call)
    view = call.view.u.iomem_permission
    frames = _frames(call.domain.abi, view.first_mfn, view.nr_mfns)
    if not may_use(call.domain, frames):
        raise XenError("EPERM")
    if view.allow_access:
        domain.settings.device_frames.update(frames)
    else:
        domain.settings.device_frames.difference_update(frames)


@command("XEN_DOMCTL_memory_mapping")
def memory_mapping(call: Call) -> None:
    """Map memory of a device for a domain, or unmap it."""
    domain = target(call)
    view = call.view.u.memory_mapping
    frames = _frames(call.domain.abi, view.first_mfn, view.nr_mfns)
    if frames.stop - 1 >> ADDRESS_BITS - 12:
        raise XenError("EINVAL")
    _frames(call.domain.abi, view.first_gfn, view.nr_mfns)
    require_control(call.domain)
    if not domain.cpu_class.translated:
        return
    if call.declares("E2BIG") and len(frames) > 64:
        raise XenError("E2BIG")
    if not may_use(call.domain, frames) or not may_use(domain, frames):
        raise XenError("EPERM")
    places = domain.settings.device_places
    for index, frame in enumerate(frames):
        place = view.first_gfn + index
        if view.add_mapping:
            places[place] = frame
        elif places.pop(place, None) != frame:
            raise XenError("EILSEQ" if call.declares("EILSEQ") else "EINVAL")


@command("XENMEM_reserved_device_memory_map")
def reserved_device_memory_map(call: Call) -> None:
    """What devices need at its own address: nothing."""
    view = call.view
    if view.flags & ~call.domain.abi.constant("XENMEM_RDM_ALL"):
        raise XenError("EINVAL")
    view.nr_entries = 0


# ---- Interrupts ----


@command("XEN_DOMCTL_irq_permission")
def irq_permission(call: Call) -> None:
    """Allow or forbid an interrupt."""
    domain = target(call)
    view = call.view.u.irq_permission
    cpu = call.vcpu.cpu
    if call.declares("EILSEQ"):
        raise XenError("EILSEQ")
    if view.pirq >= cpu.pirq_count:
        raise XenError("EINVAL")
    if not cpu.may_give_pirq(view.pirq):
        raise XenError("EPERM")
    if view.allow_access:
        domain.settings.interrupts.add(view.pirq)
    else:
        domain.settings.interrupts.discard(view.pirq)
