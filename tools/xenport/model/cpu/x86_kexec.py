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


@command("KEXEC_CMD_kexec_get_range")
def get_range(call: Call) -> None:
    """Nothing is set aside for a crash; Xen lies behind what its domains have."""
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
        view.size = PAGE_SIZE
    elif view.range != crash:
        raise XenError("EINVAL")


@command("KEXEC_CMD_kexec_load")
def load(call: Call) -> None:
    """Keep that there is an image."""
    view = call.view
    if view.nr_segments > _MOST_SEGMENTS:
        raise XenError("EINVAL")
    size = call.domain.abi.sizeof("xen_kexec_segment")
    call.vcpu.copy_in(view.segments.h, size * view.nr_segments)
    call.hypervisor.physical.images.add(_type(call, view.type))


@command("KEXEC_CMD_kexec_load_v1")
def load_v1(call: Call) -> None:
    """The same for an image that is a list of pages; an empty one is all that is understood."""
    view = call.view
    frame = view.image.indirection_page // PAGE_SIZE
    memory = call.domain.memory
    content = memory.read(frame * PAGE_SIZE, 8) if memory.has_frame(frame) else bytes(8)
    if not int.from_bytes(content, "little") & _LIST_DONE:
        raise XenError("EINVAL")
    call.hypervisor.physical.images.add(_type(call, view.type))


@command("KEXEC_CMD_kexec_unload", "KEXEC_CMD_kexec_unload_v1")
def unload(call: Call) -> None:
    """Forget the image, if there is one."""
    call.hypervisor.physical.images.discard(_type(call, call.view.type))


@command("KEXEC_CMD_kexec_status")
def status(call: Call) -> int:
    """Is there one?"""
    return int(_type(call, call.view.type) in call.hypervisor.physical.images)
