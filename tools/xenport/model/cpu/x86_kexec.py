"""kexec_op: images that the control domain loads and starts."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from xenport.model.cpu.x86_image import Image
from xenport.model.errors import XenError
from xenport.model.handlers import Handlers
from xenport.model.memory import PAGE_SIZE
from xenport.model.memory_op import machine_end
from xenport.model.policy import require_control

if TYPE_CHECKING:
    from xenport.model.call import Call

handlers = Handlers()
command = handlers.command

_MOST_SEGMENTS = 15
_EM_386, _EM_X86_64 = 3, 62  #: of ELF
_MACHINES = (_EM_386, _EM_X86_64)  #: in whose modes an image can start
_XEN_SIZE, _CRASH_SIZE = PAGE_SIZE, 1 << 20  #: bytes
_LIST_DONE = 4  #: flag of a list's last entry


@handlers.check("kexec_op")
def may_use(call: Call) -> None:
    """Only the control domain."""
    require_control(call.domain)


def _type(call: Call, number: int) -> int:
    abi = call.domain.abi
    if number not in (abi.constant("KEXEC_TYPE_DEFAULT"), abi.constant("KEXEC_TYPE_CRASH")):
        raise XenError("EINVAL")
    return number


@command("KEXEC_CMD_kexec")
def kexec(call: Call) -> None:
    """Start an image; Xen and its domains are gone then."""
    image = call.hypervisor.physical.images.get(_type(call, call.view.type))
    if image is None:
        raise XenError("ENOENT")
    if image.switches_off():
        call.hypervisor.power_off()
    else:
        call.hypervisor.panic("the image that was started does not switch the machine off")


def _crash_start(call: Call) -> int:
    return machine_end(call.domain) * PAGE_SIZE + _XEN_SIZE


@command("KEXEC_CMD_kexec_get_range")
def get_range(call: Call) -> None:
    """Xen lies behind what its domains have, and what is set aside for a crash behind Xen."""
    abi = call.domain.abi
    view = call.view
    crash, xen, cpu, info = (
        abi.constant(f"KEXEC_RANGE_MA_{name}") for name in ("CRASH", "XEN", "CPU", "VMCOREINFO")
    )
    view.start = view.size = 0
    if view.range == cpu:
        raise XenError("ERANGE" if view.nr >= call.hypervisor.physical.processors else "EINVAL")
    if view.range in (xen, info):
        view.start = machine_end(call.domain) * PAGE_SIZE
        view.size = _XEN_SIZE
    elif view.range == crash:
        view.start, view.size = _crash_start(call), _CRASH_SIZE
    else:
        raise XenError("EINVAL")


@command("KEXEC_CMD_kexec_load")
def load(call: Call) -> None:
    """An image in parts."""
    view = call.view
    if view.nr_segments > _MOST_SEGMENTS:
        raise XenError("EINVAL")
    abi = call.domain.abi
    size = abi.sizeof("xen_kexec_segment")
    content = bytearray(call.vcpu.copy_in(view.segments.h, size * view.nr_segments))
    segments = [
        abi.view("xen_kexec_segment", content[at : at + size])
        for at in range(0, len(content), size)
    ]
    _check_start(call, view.entry_maddr)
    _check_places(segments)
    parts = {
        segment.dest_maddr: bytes(
            call.vcpu.copy_in(segment.buf.h, segment.buf_size) if segment.buf.h else b""
        ).ljust(segment.dest_size, b"\0")
        for segment in segments
    }
    if view.arch not in _MACHINES:
        raise XenError("EINVAL")
    _swap(call, Image(parts, view.entry_maddr, is_64_bit=view.arch == _EM_X86_64))


def _check_places(segments: Sequence[Any]) -> None:
    """XenError EADDRNOTAVAIL: not of whole pages; EINVAL: they overlap, or one is too small."""
    places = [range(s.dest_maddr, s.dest_maddr + s.dest_size) for s in segments]
    if any(place.start % PAGE_SIZE or place.stop % PAGE_SIZE for place in places):
        raise XenError("EADDRNOTAVAIL")
    for one, other in itertools.combinations(places, 2):
        if one.stop > other.start and one.start < other.stop:
            raise XenError("EINVAL")
    if any(segment.buf_size > segment.dest_size for segment in segments):
        raise XenError("EINVAL")


@command("KEXEC_CMD_kexec_load_v1")
def load_v1(call: Call) -> None:
    """The same for an image that is a list of pages; an empty one is all that is understood."""
    view = call.view
    frame = view.image.indirection_page // PAGE_SIZE
    memory = call.domain.memory
    content = memory.read(frame * PAGE_SIZE, 8) if memory.has_frame(frame) else bytes(8)
    if not int.from_bytes(content, "little") & _LIST_DONE:
        raise XenError("EINVAL")
    start = view.image.start_address
    _check_start(call, start)
    _swap(call, Image({}, start, is_64_bit=True))


def _check_start(call: Call, address: int) -> None:
    """An image for a crash starts in the memory that is set aside, or at its end."""
    if _type(call, call.view.type) == call.domain.abi.constant("KEXEC_TYPE_CRASH"):
        start = _crash_start(call)
        if not start <= address <= start + _CRASH_SIZE:
            raise XenError("EADDRNOTAVAIL")


def _swap(call: Call, image: Image | None) -> None:
    """Each type has two places, which take turns with images and with none."""
    number = _type(call, call.view.type)
    machine = call.hypervisor.physical
    machine.images[number] = image
    machine.image_places[number] = 1 - machine.image_places.get(number, 0)


@command("KEXEC_CMD_kexec_unload", "KEXEC_CMD_kexec_unload_v1")
def unload(call: Call) -> None:
    """Forget the image, if there is one."""
    _swap(call, None)


@command("KEXEC_CMD_kexec_status")
def status(call: Call) -> int:
    """Which place has the image, or would have it."""
    return call.hypervisor.physical.image_places.get(_type(call, call.view.type), 0)
