"""hvm_op on x86: what Arm has no use for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenport.model.cpu.x86_dm_op import mem_type
from xenport.model.errors import XenError
from xenport.model.handlers import Handlers
from xenport.model.policy import require_target

if TYPE_CHECKING:
    from xenport.model.call import Call

handlers = Handlers()
command = handlers.command


@command("HVMOP_get_mem_type")
def get_mem_type(call: Call) -> None:
    """How accesses to a frame are treated."""
    view = call.view
    domain = call.hypervisor.domain_by_id(call.vcpu, view.domid)
    require_target(call.domain, domain)
    if not domain.cpu_class.hvm:
        raise XenError("EINVAL")
    view.mem_type = mem_type(domain, view.pfn)
