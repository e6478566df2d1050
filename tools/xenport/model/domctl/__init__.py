"""domctl: what the control domain does to domains, by topic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenport.abi.releases import rank
from xenport.model.domctl import devices, info, life, memory, monitor, nodes, scheduler, vcpus
from xenport.model.errors import XenError
from xenport.model.handlers import Handlers
from xenport.model.policy import require_control

if TYPE_CHECKING:
    from xenport.model.call import Call

_PARTS = (devices, info, life, memory, monitor, nodes, scheduler, vcpus)
handlers = Handlers(*(part.handlers for part in _PARTS))

#: Commands that look after the domain themselves.
_OF_NO_DOMAIN = (
    "XEN_DOMCTL_createdomain",
    "XEN_DOMCTL_getdomaininfo",
    "XEN_DOMCTL_test_assign_device",
    "XEN_DOMCTL_vm_event_op",
)
#: Commands that a device model may use, and that look after privilege themselves since 4.17.
_LATE = (
    "XEN_DOMCTL_bind_pt_irq",
    "XEN_DOMCTL_ioport_mapping",
    "XEN_DOMCTL_memory_mapping",
    "XEN_DOMCTL_unbind_pt_irq",
    "XEN_DOMCTL_vm_event_op",
)


@handlers.check("domctl")
def may_control(call: Call) -> None:
    """Version, domain and privilege, in this order."""
    view = call.view
    abi = call.domain.abi
    if view.interface_version != abi.constant("XEN_DOMCTL_INTERFACE_VERSION"):
        raise XenError("EACCES")
    command = abi.hypercalls["domctl"].command_by_number.get(view.cmd)
    name = command.name if command is not None else ""
    if name not in _OF_NO_DOMAIN:
        call.hypervisor.domain(view.domain)
    late = name in _LATE and rank(abi.release) >= rank("4.17")
    if not late and name != "XEN_DOMCTL_getdomaininfo":
        require_control(call.domain)
