"""domctl: how much memory a domain may have, and what Xen itself has for its page tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenport.model.domctl.life import target
from xenport.model.errors import XenError
from xenport.model.handlers import Handlers
from xenport.model.memory import PAGE_SIZE

if TYPE_CHECKING:
    from xenport.model.call import Call
    from xenport.model.domain import Domain

handlers = Handlers()
command = handlers.command

MOST_PAGES = 0xFFFF_FFFE
MACHINE_BYTES = 256 << 20  #: no pool is larger


@command("XEN_DOMCTL_max_mem")
def max_mem(call: Call) -> None:
    """The most pages that a domain may have. What it has it keeps."""
    pages = call.view.u.max_mem.max_memkb // (PAGE_SIZE // 1024)
    target(call).max_pages = min(pages, MOST_PAGES)


def _pooled(call: Call) -> Domain:
    domain = target(call)
    if not domain.cpu_class.translated:
        raise XenError("EOPNOTSUPP")
    return domain


@command("XEN_DOMCTL_get_paging_mempool_size")
def get_paging_mempool_size(call: Call) -> None:
    """The size of the pool."""
    call.view.u.paging_mempool.size = _pooled(call).settings.pool_pages * PAGE_SIZE


@command("XEN_DOMCTL_set_paging_mempool_size")
def set_paging_mempool_size(call: Call) -> None:
    """Make the pool as large."""
    domain = _pooled(call)
    size = call.view.u.paging_mempool.size
    if size % PAGE_SIZE:
        raise XenError("EINVAL")
    set_pool(domain, size // PAGE_SIZE)


def set_pool(domain: Domain, pages: int) -> None:
    """XenError ENOMEM: so much memory there is not."""
    if pages * PAGE_SIZE > MACHINE_BYTES:
        raise XenError("ENOMEM")
    domain.settings.pool_pages = pages
