"""Commands that this Xen, like Debian's, is built without: refused, with the errno for that."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from xenport.model.errors import XenError
from xenport.model.handlers import Handlers

if TYPE_CHECKING:
    from xenport.model.call import Call

handlers = Handlers()

#: Commands by errno. An architecture whose Xen has one supplies a handler of its own.
_REFUSED = {
    "ENOSYS": (
        "PHYSDEVOP_pci_device_add",
        "PHYSDEVOP_pci_device_remove",
        "PHYSDEVOP_pci_device_reset",
        "XEN_SYSCTL_perfc_op",
        "XEN_SYSCTL_lockprof_op",
        "XEN_SYSCTL_livepatch_op",
        "XEN_SYSCTL_pcitopoinfo",
    ),
    "EOPNOTSUPP": (
        "XEN_SYSCTL_coverage_op",
        "XEN_SYSCTL_dt_overlay",
    ),
}


def refuse_all(_call: Call) -> None:
    """The whole hypercall is not there, though its number is."""
    raise XenError("ENOSYS")


for _name in ("argo_op", "xsm_op"):
    handlers.check(_name)(refuse_all)


def _refusal(errno: str) -> Callable[[Call], int]:
    def refuse(_call: Call) -> int:
        raise XenError(errno)

    return refuse


for _errno, _names in _REFUSED.items():
    handlers.command(*_names)(_refusal(_errno))
