"""kexec_op: images that the control domain loads. None is ever started: a machine of the model ends
with its domains."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
_MACHINES = (3, 62)  #: of ELF, in whose modes an image can start
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
    """Start an image, which this machine cannot."""
    if _type(call, call.view.type) not in call.hypervisor.physical.images:
        raise XenError("ENOENT")
    raise XenError("EINVAL")


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
    """Keep that there is an image."""
    view = call.view
    if view.nr_segments > _MOST_SEGMENTS:
        raise XenError("EINVAL")
    size = call.domain.abi.sizeof("xen_kexec_segment")
    call.vcpu.copy_in(view.segments.h, size * view.nr_segments)
    _check_start(call, view.entry_maddr)
    if view.arch not in _MACHINES:
        raise XenError("EINVAL")
    _swap(call, is_loaded=True)


@command("KEXEC_CMD_kexec_load_v1")
def load_v1(call: Call) -> None:
    """The same for an image that is a list of pages; an empty one is all that is understood."""
    view = call.view
    frame = view.image.indirection_page // PAGE_SIZE
    memory = call.domain.memory
    content = memory.read(frame * PAGE_SIZE, 8) if memory.has_frame(frame) else bytes(8)
    if not int.from_bytes(content, "little") & _LIST_DONE:
        raise XenError("EINVAL")
    _check_start(call, view.image.start_address)
    _swap(call, is_loaded=True)


def _check_start(call: Call, address: int) -> None:
    """An image for a crash starts in the memory that is set aside, or at its end."""
    if _type(call, call.view.type) == call.domain.abi.constant("KEXEC_TYPE_CRASH"):
        start = _crash_start(call)
        if not start <= address <= start + _CRASH_SIZE:
            raise XenError("EADDRNOTAVAIL")


def _swap(call: Call, *, is_loaded: bool) -> None:
    """Each type has two places, which take turns with images and with none."""
    number = _type(call, call.view.type)
    machine = call.hypervisor.physical
    (machine.images.add if is_loaded else machine.images.discard)(number)
    machine.image_places[number] = 1 - machine.image_places.get(number, 0)


@command("KEXEC_CMD_kexec_unload", "KEXEC_CMD_kexec_unload_v1")
def unload(call: Call) -> None:
    """Forget the image, if there is one."""
    _swap(call, is_loaded=False)


@command("KEXEC_CMD_kexec_status")
def status(call: Call) -> int:
    """Which place has the image, or would have it."""
    return call.hypervisor.physical.image_places.get(_type(call, call.view.type), 0)
