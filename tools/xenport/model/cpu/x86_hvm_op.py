"""hvm_op on x86: what Arm has no use for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenport.abi.releases import rank
from xenport.model.cpu.x86_dm_op import mem_type
from xenport.model.errors import XenError
from xenport.model.handlers import Handlers
from xenport.model.policy import require_target

if TYPE_CHECKING:
    from xenport.model.call import Call

handlers = Handlers()
command = handlers.command

_MOST_EVENTS = 0x1000  #: of a guest
_MOST_BYTES = 28


@command("HVMOP_get_mem_type")
def get_mem_type(call: Call) -> None:
    """How accesses to a frame are treated."""
    view = call.view
    domain = call.hypervisor.domain_by_id(call.vcpu, view.domid)
    require_target(call.domain, domain)
    if not domain.cpu_class.hvm:
        raise XenError("EINVAL")
    view.mem_type = mem_type(domain, view.pfn)


@command("HVMOP_xentrace")
def xentrace(call: Call) -> None:
    """An event of the guest's own, which nobody reads."""
    view = call.view
    if view.extra_bytes > _MOST_BYTES or view.event >= _MOST_EVENTS:
        raise XenError("EINVAL")
    if view.extra_bytes % 4 and rank(call.domain.abi.release) >= rank("4.18"):
        raise XenError("EINVAL")


@command("HVMOP_pagetable_dying")
def pagetable_dying(call: Call) -> None:
    """Only for shadow page tables, which no domain has."""
    domain = call.hypervisor.domain_by_id(call.vcpu, call.view.domid)
    raise XenError("EINVAL" if domain is call.domain else "EOPNOTSUPP")
