"""domctl: watching a domain. No domain that is watched runs here, so nothing is ever told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenport.model.domctl.life import other
from xenport.model.errors import XenError
from xenport.model.handlers import Handlers
from xenport.model.policy import require_control

if TYPE_CHECKING:
    from xenport.model.call import Call
    from xenport.model.domain import Domain

handlers = Handlers()
command = handlers.command

_EVENTS = 32


@command("XEN_DOMCTL_vm_event_op")
def vm_event_op(call: Call) -> None:
    """Set the ring of a monitor up, take it down, or read the responses in it."""
    view = call.view
    request = view.u.vm_event_op
    abi = call.domain.abi
    if request.op == abi.constant("XEN_VM_EVENT_GET_VERSION"):
        if view.domain != abi.constant("DOMID_INVALID"):
            call.hypervisor.domain(view.domain)
        request.u.version = abi.constant("VM_EVENT_INTERFACE_VERSION")
        return
    call.hypervisor.domain(view.domain)
    require_control(call.domain)
    domain = other(call)
    if not domain.vcpus:
        raise XenError("EINVAL")
    if request.mode != abi.constant("XEN_DOMCTL_VM_EVENT_OP_MONITOR"):
        raise XenError("ENOSYS")
    ring = domain.settings.monitor_port
    if request.op == abi.constant("XEN_VM_EVENT_ENABLE"):
        _enable(call, domain)
    elif request.op == abi.constant("XEN_VM_EVENT_DISABLE"):
        if not ring:
            raise XenError("EINVAL")
        domain.events.close(domain.events.existing(ring))
        domain.settings.monitor_port = 0
    elif request.op == abi.constant("XEN_VM_EVENT_RESUME"):
        if not ring:
            raise XenError("ENODEV")
    else:
        raise XenError("ENOSYS")


def _enable(call: Call, domain: Domain) -> None:
    abi = domain.abi
    if domain.settings.monitor_port:
        raise XenError("EBUSY")
    frame = domain.params.get(abi.constant("HVM_PARAM_MONITOR_RING_PFN"), 0)
    if not frame:
        raise XenError("EOPNOTSUPP")
    if not domain.memory.has_frame(frame):
        raise XenError("EINVAL")
    port = xen_port(domain, call.domain.id)
    domain.settings.monitor_port = port
    call.view.u.vm_event_op.u.enable.port = port


def xen_port(domain: Domain, remote: int) -> int:
    """A port of ``domain`` at which Xen itself waits for domain number ``remote``."""
    port = domain.events.free_port()
    port.remote_domid = remote
    domain.events.bind(port, "unbound")
    port.is_xens = True
    return port.number


@command("XEN_DOMCTL_monitor_op")
def monitor_op(call: Call) -> None:
    """Choose the events that are told."""
    domain = other(call, "EPERM")
    request = call.view.u.monitor_op
    abi = domain.abi
    chosen = domain.settings.monitored
    there = {
        abi.constant(f"XEN_DOMCTL_MONITOR_EVENT_{name}") for name in domain.cpu_class.monitor_events
    }
    if request.op == abi.constant("XEN_DOMCTL_MONITOR_OP_GET_CAPABILITIES"):
        request.event = sum(1 << event for event in there)
        return
    on = request.op == abi.constant("XEN_DOMCTL_MONITOR_OP_ENABLE")
    if not on and request.op != abi.constant("XEN_DOMCTL_MONITOR_OP_DISABLE"):
        raise XenError("EOPNOTSUPP")
    if request.event >= _EVENTS:
        raise XenError("EINVAL")
    if request.event not in there:
        raise XenError("EOPNOTSUPP")
    if on == (request.event in chosen):
        raise XenError("EEXIST")
    chosen.symmetric_difference_update({request.event})


@command("XEN_DOMCTL_set_access_required")
def set_access_required(call: Call) -> None:
    """What becomes of an access that nobody is there to be told of."""
    other(call, "EPERM")
