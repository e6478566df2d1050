"""How a PV guest says where Xen may enter it, and leaves Xen again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenport.model.cpu import x86_pv_xen
from xenport.model.cpu.x86_pv_context import check_canonical, is_canonical, pv_cpu
from xenport.model.errors import XenError
from xenport.model.handlers import Handlers

if TYPE_CHECKING:
    from xenport.model.call import Call
    from xenport.model.cpu.x86_64_pv import PvCpu

handlers = Handlers()
command = handlers.command

_NULL = 0
_VECTORS = 256


@command("set_trap_table")
def set_trap_table(call: Call) -> None:
    """Handlers of exceptions, up to the first entry without an address. Entries before a bad one
    count."""
    cpu = pv_cpu(call)
    handle = call["traps"]
    if handle == _NULL:
        cpu.traps.clear()
        return
    for index in range(_VECTORS + 1):
        entry = call.vcpu.read_struct("trap_info", handle, index)
        if entry.address == 0:
            return
        check_canonical(entry.address)
        cpu.traps[entry.vector] = (entry.flags, entry.cs | 3, entry.address)


@command("set_callbacks")
def set_callbacks(call: Call) -> None:
    """Entries for events, failed returns and system calls; bad addresses are passed over."""
    cpu = pv_cpu(call)
    for name, argument in (
        ("event_address", "event_address"),
        ("failsafe_address", "failsafe_address"),
        ("syscall_address", "syscall_address"),
    ):
        if is_canonical(call[argument]):
            setattr(cpu, name, call[argument])


_MASK_EVENTS = 4  # flags of trap_info: as an interrupt gate
_NMI = 2


def _set_nmi_callback(cpu: PvCpu, address: int) -> None:
    check_canonical(address)
    cpu.traps[_NMI] = (_MASK_EVENTS, x86_pv_xen.FLAT_CS, address)


@command("CALLBACKOP_register")
def callback_register(call: Call) -> None:
    """Set one callback."""
    abi = call.domain.abi
    cpu = pv_cpu(call)
    view = call.view
    attributes = {
        abi.constant("CALLBACKTYPE_event"): "event_address",
        abi.constant("CALLBACKTYPE_failsafe"): "failsafe_address",
        abi.constant("CALLBACKTYPE_syscall"): "syscall_address",
        abi.constant("CALLBACKTYPE_sysenter"): "sysenter_address",
        abi.constant("CALLBACKTYPE_syscall32"): "syscall32_address",
    }
    check_canonical(view.address)
    if view.type == abi.constant("CALLBACKTYPE_nmi"):
        _set_nmi_callback(cpu, view.address)
    elif view.type in attributes:
        setattr(cpu, attributes[view.type], view.address)
    else:
        raise XenError("ENOSYS")


@command("CALLBACKOP_unregister")
def callback_unregister(call: Call) -> None:
    """Clear the NMI's callback, the only one that can do without."""
    abi = call.domain.abi
    kind = call.view.type
    if kind == abi.constant("CALLBACKTYPE_nmi"):
        pv_cpu(call).traps.pop(_NMI, None)
    elif kind in (
        abi.constant("CALLBACKTYPE_event"),
        abi.constant("CALLBACKTYPE_failsafe"),
        abi.constant("CALLBACKTYPE_syscall"),
        abi.constant("CALLBACKTYPE_sysenter"),
        abi.constant("CALLBACKTYPE_syscall32"),
    ):
        raise XenError("EINVAL")
    else:
        raise XenError("ENOSYS")


@command("XENNMI_register_callback")
def register_nmi_callback(call: Call) -> None:
    """Set the NMI's callback."""
    _set_nmi_callback(pv_cpu(call), call.view.handler_address)


@command("XENNMI_unregister_callback")
def unregister_nmi_callback(call: Call) -> None:
    """Clear the NMI's callback."""
    pv_cpu(call).traps.pop(_NMI, None)


@command("stack_switch")
def stack_switch(call: Call) -> None:
    """The stack for entries from user mode."""
    pv_cpu(call).kernel_stack = (call["ss"] | 3, call["esp"])


@command("iret")
def iret(call: Call) -> None:
    """Leave by the frame on the stack, when the hypercall is over."""
    pv_cpu(call).returning = True


@command("fpu_taskswitch")
def fpu_taskswitch(call: Call) -> None:
    """Make the next use of the FPU trap, or not."""
    pv_cpu(call).set_task_switched(bool(call["set"]))
