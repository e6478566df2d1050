"""Descriptor tables of PV guests: what may be in them, and how they are set."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING

from xenport.model.cpu.x86_pv_context import MOST_GLOBAL_DESCRIPTORS, pv_cpu
from xenport.model.errors import XenError
from xenport.model.handlers import Handlers
from xenport.model.memory import PAGE_SIZE

if TYPE_CHECKING:
    from xenport.model.call import Call
    from xenport.model.cpu.x86_64_pv import PvCpu

handlers = Handlers()
command = handlers.command


@command("set_gdt")
def set_gdt(call: Call) -> None:
    """Frames that become the guest's part of the GDT."""
    entries = call["entries"]
    if entries > MOST_GLOBAL_DESCRIPTORS:
        raise XenError("EINVAL")
    count = (entries + 511) // 512
    cpu = pv_cpu(call)
    frames = [
        call.vcpu.read_word("xen_ulong_t", call["frame_list"], index) for index in range(count)
    ]
    check_gdt(cpu, frames)
    cpu.use_gdt(frames)
    cpu.flush()


def check_gdt(cpu: PvCpu, frames: Sequence[int]) -> None:
    """XenError EINVAL: one of the frames cannot hold descriptors."""
    if not all(_can_hold_descriptors(cpu, frame) for frame in frames):
        raise XenError("EINVAL")


def _can_hold_descriptors(cpu: PvCpu, frame: int) -> bool:
    machine = cpu.start.machine
    if not machine.owned(frame) or frame in machine.tables or machine.is_mapped_writable(frame):
        return False
    content = machine.memory.read(frame * PAGE_SIZE, PAGE_SIZE)
    return all(_safe_descriptor(value) is not None for (value,) in _DESCRIPTOR.iter_unpack(content))


_DESCRIPTOR = struct.Struct("<Q")
_DESCRIPTOR_PRESENT = 1 << 47
_DESCRIPTOR_ORDINARY = 1 << 44  # code or data, not a system segment
_DESCRIPTOR_RING_3 = 3 << 45


def _safe_descriptor(value: int) -> int | None:
    """The descriptor as it may be used: in ring 3 only. None: it may not be."""
    if not value & _DESCRIPTOR_PRESENT:
        return value
    return value | _DESCRIPTOR_RING_3 if value & _DESCRIPTOR_ORDINARY else None


@command("update_descriptor")
def update_descriptor(call: Call) -> None:
    """Write one descriptor."""
    address = call["gaddr"]
    machine = pv_cpu(call).start.machine
    descriptor = _safe_descriptor(call["desc"])
    if (
        address % 8
        or descriptor is None
        or not machine.owned(address // PAGE_SIZE)
        or address // PAGE_SIZE in machine.tables
    ):
        raise XenError("EINVAL")
    machine.memory.write(address, _DESCRIPTOR.pack(descriptor))
