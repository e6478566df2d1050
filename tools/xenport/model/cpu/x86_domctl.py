"""domctl on x86."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenport.model.domctl.life import other
from xenport.model.domctl.memory import set_pool
from xenport.model.errors import XenError
from xenport.model.handlers import Handlers
from xenport.model.memory import PAGE_SIZE

if TYPE_CHECKING:
    from xenport.model.call import Call

handlers = Handlers()
command = handlers.command


@command("XEN_DOMCTL_shadow_op")
def shadow_op(call: Call) -> None:
    """The pool for page tables, and the log of written frames."""
    domain = other(call)
    view = call.view.u.shadow_op
    abi = call.domain.abi
    if not domain.vcpus:
        raise XenError("EINVAL")
    if view.op == abi.constant("XEN_DOMCTL_SHADOW_OP_SET_ALLOCATION"):
        set_pool(domain, (view.mb << 20) // PAGE_SIZE)
    elif view.op == abi.constant("XEN_DOMCTL_SHADOW_OP_GET_ALLOCATION"):
        view.mb = -(-domain.settings.pool_pages * PAGE_SIZE >> 20)
    else:
        raise XenError("EINVAL")
