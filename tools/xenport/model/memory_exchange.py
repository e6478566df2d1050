"""memory_op: pages exchanged for others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenport.model.errors import XenError
from xenport.model.handlers import Handlers
from xenport.model.memory_op import MAX_ORDER, not_continued
from xenport.model.policy import require_target

if TYPE_CHECKING:
    from xenport.model.call import Call

handlers = Handlers()
command = handlers.command


@command("XENMEM_exchange")
def exchange(call: Call) -> None:
    """Give pages back and get others for them."""
    not_continued(call)
    view = call.view
    old, new = getattr(view, "in"), view.out
    if max(old.extent_order, new.extent_order) > MAX_ORDER:
        raise XenError("EPERM")
    pages = old.nr_extents << old.extent_order
    if (
        view.nr_exchanged > old.nr_extents
        or old.domid != new.domid
        or pages != new.nr_extents << new.extent_order
    ):
        raise XenError("EINVAL")
    domain = call.hypervisor.domain_by_id(call.vcpu, old.domid)
    require_target(call.domain, domain)
    for index in range(view.nr_exchanged, old.nr_extents):
        frame = call.vcpu.read_word("xen_pfn_t", old.extent_start, index)
        if domain.cpu_class.translated:
            raise XenError("EOPNOTSUPP" if domain.frames.owns(frame) else "EINVAL")
        for page in range(1 << old.extent_order):
            domain.frames.steal(frame + page)
    for index in range(new.nr_extents):
        wanted = call.vcpu.read_word("xen_pfn_t", new.extent_start, index)
        frame = domain.frames.get(wanted, 1 << new.extent_order)
        call.vcpu.write_word("xen_pfn_t", frame, new.extent_start, index)
    view.nr_exchanged = old.nr_extents
