"""sysctl: trace buffers. Nothing is ever traced here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xenport.model.errors import XenError
from xenport.model.handlers import Handlers
from xenport.model.memory import PAGE_SIZE
from xenport.model.memory_op import machine_end

if TYPE_CHECKING:
    from xenport.model.call import Call
    from xenport.model.physical import Trace

handlers = Handlers()


@handlers.command("XEN_SYSCTL_tbuf_op")
def tbuf_op(call: Call) -> None:
    """Ask, choose, make, and switch."""
    view = call.view.u.tbuf_op
    prefix = "XEN_SYSCTL_TBUFOP_"
    constants = call.domain.abi.constants
    names = {constants[prefix + name].value: name for name in _OPERATIONS}
    if view.cmd not in names:
        raise XenError("EINVAL")
    _OPERATIONS[names[view.cmd]](call, view, call.hypervisor.physical.trace)


def _get_info(call: Call, view: Any, trace: Trace) -> None:
    view.evt_mask = trace.events
    view.size = PAGE_SIZE if trace.pages else 0
    view.buffer_mfn = machine_end(call.domain) if trace.pages else 0


def _set_cpu_mask(call: Call, view: Any, _trace: Trace) -> None:
    call.vcpu.copy_in(view.cpu_mask.bitmap, (view.cpu_mask.nr_bits + 7) // 8)


def _set_evt_mask(_call: Call, view: Any, trace: Trace) -> None:
    trace.events = view.evt_mask


def _set_size(_call: Call, view: Any, trace: Trace) -> None:
    if trace.pages:
        raise XenError("EBUSY" if view.size == trace.pages else "EINVAL")
    if not view.size:
        raise XenError("EINVAL")
    trace.pages = view.size


def _enable(_call: Call, _view: Any, trace: Trace) -> None:
    if not trace.pages:
        raise XenError("EINVAL")


def _disable(_call: Call, _view: Any, _trace: Trace) -> None:
    pass


_OPERATIONS = {
    "get_info": _get_info,
    "set_cpu_mask": _set_cpu_mask,
    "set_evt_mask": _set_evt_mask,
    "set_size": _set_size,
    "enable": _enable,
    "disable": _disable,
}
