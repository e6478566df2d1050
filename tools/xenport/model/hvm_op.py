"""hvm_op: the parameters of HVM and Arm domains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xenport.model.errors import XenError
from xenport.model.handlers import Handlers
from xenport.model.policy import require_target

if TYPE_CHECKING:
    from xenport.model.call import Call
    from xenport.model.domain import Domain

handlers = Handlers()
command = handlers.command


def _domain(call: Call, view: Any) -> Domain:
    domain = call.hypervisor.domain_by_id(call.vcpu, view.domid)
    if not domain.cpu_class.hvm:
        raise XenError("EINVAL")
    require_target(call.domain, domain)
    return domain


@command("HVMOP_set_param")
def set_param(call: Call) -> None:
    """Set a parameter of a domain."""
    view = call.view
    domain = _checked(call, view)
    call.vcpu.cpu.check_param(domain, view.index, view.value)
    domain.params[view.index] = view.value


@command("HVMOP_get_param")
def get_param(call: Call) -> None:
    """Read a parameter of a domain."""
    view = call.view
    domain = _checked(call, view)
    call.vcpu.cpu.check_param(domain, view.index, None)
    view.value = domain.params.get(view.index, 0)


def _checked(call: Call, view: Any) -> Domain:
    """The domain that is named; the architecture may look at the index before that."""
    if call.vcpu.cpu.param_index_first and view.index >= call.domain.abi.constant("HVM_NR_PARAMS"):
        raise XenError("EINVAL")
    return _domain(call, view)


@command("HVMOP_flush_tlbs")
def flush_tlbs(call: Call) -> None:
    """Forget translations; they are not kept beyond what the processor does."""
    if call.handle or not call.vcpu.cpu.hvm:
        raise XenError("EINVAL")


@command("HVMOP_get_time")
def get_time(call: Call) -> None:
    """System time."""
    call.view.now = call.hypervisor.clock.now


@command("HVMOP_guest_request_vm_event")
def guest_request_vm_event(call: Call) -> None:
    """Tell a monitor, of which there is none."""
    if call.handle:
        raise XenError("EINVAL")


@command("HVMOP_set_evtchn_upcall_vector")
def set_evtchn_upcall_vector(call: Call) -> None:
    """The vector of a vcpu's event upcall, instead of the domain's."""
    if not call.vcpu.cpu.hvm:
        raise XenError("EINVAL")
    view = call.view
    if view.vector < 0x10:
        raise XenError("EINVAL")
    call.domain.vcpu(view.vcpu).cpu.set_upcall_vector(view.vector)
