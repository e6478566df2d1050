"""memory_op on x86 for tool stacks: what is populated on demand, and rights of pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenport.abi.releases import rank
from xenport.model.errors import XenError
from xenport.model.handlers import Handlers

if TYPE_CHECKING:
    from xenport.model.call import Call

handlers = Handlers()
command = handlers.command
handlers.refuse_declared("XENMEM_access_op")


@command("XENMEM_set_pod_target", "XENMEM_get_pod_target")
def pod_target(call: Call) -> None:
    """How much of a domain is populated on demand: nothing, whatever its target."""
    view = call.view
    abi = call.domain.abi
    domain = call.hypervisor.domain_by_id(call.vcpu, view.domid)
    if not domain.cpu_class.hvm and rank(abi.release) >= rank("4.17"):
        raise XenError("EINVAL")
    is_set = call["cmd"] == abi.constant("XENMEM_set_pod_target")
    if is_set and view.target_pages > domain.max_pages:
        raise XenError("EINVAL")
    view.tot_pages = domain.total_pages
    view.pod_cache_pages = view.pod_entries = 0


@command("XENMEM_access_op")
def access_op(call: Call) -> None:
    """Only Intel's nested paging has rights of pages, so no domain does."""
    call.hypervisor.domain(call.view.domid)
    raise XenError("EINVAL")
