"""memory_op for tool stacks: claims, and what is shared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenport.model.errors import XenError
from xenport.model.handlers import Handlers
from xenport.model.memory_op import not_continued

if TYPE_CHECKING:
    from xenport.model.call import Call

handlers = Handlers()
command = handlers.command

FREE_PAGES = 1 << 16  #: of the machine


@command("XENMEM_get_sharing_freed_pages", "XENMEM_get_sharing_shared_pages")
def sharing_counts(_call: Call) -> int:
    """Pages that are shared, or saved by that: none."""
    return 0


@command("XENMEM_claim_pages")
def claim_pages(call: Call) -> None:
    """Set memory aside for a domain that is to have ``nr_extents`` pages."""
    not_continued(call)
    view = call.view
    if view.extent_start or view.extent_order or view.mem_flags:
        raise XenError("EINVAL")
    domain = call.hypervisor.domains.get(view.domid)
    if domain is None:
        raise XenError("EINVAL")
    wanted = view.nr_extents
    if not wanted:
        domain.settings.claimed = 0
        return
    if domain.settings.claimed or not domain.total_pages < wanted <= domain.max_pages:
        raise XenError("EINVAL")
    if wanted - domain.total_pages > FREE_PAGES:
        raise XenError("ENOMEM")
    domain.settings.claimed = wanted - domain.total_pages
