"""domctl: what the control domain does to domains, by topic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenport.model.domctl import info, life, memory, vcpus
from xenport.model.errors import XenError
from xenport.model.handlers import Handlers
from xenport.model.policy import require_control

if TYPE_CHECKING:
    from xenport.model.call import Call

handlers = Handlers(info.handlers, life.handlers, memory.handlers, vcpus.handlers)

#: Those that look after domain and privilege themselves.
_OWN_CHECKS = ("XEN_DOMCTL_getdomaininfo",)


@handlers.check("domctl")
def may_control(call: Call) -> None:
    """Version, domain and privilege, in this order."""
    view = call.view
    abi = call.domain.abi
    if view.interface_version != abi.constant("XEN_DOMCTL_INTERFACE_VERSION"):
        raise XenError("EACCES")
    if view.cmd in [abi.constant(name) for name in _OWN_CHECKS]:
        return
    if view.cmd != abi.constant("XEN_DOMCTL_createdomain"):
        call.hypervisor.domain(view.domain)
    require_control(call.domain)
