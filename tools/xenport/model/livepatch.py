"""sysctl: live patches, where Xen is built with them. No payload is one of this Xen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xenport.model.errors import XenError
from xenport.model.handlers import Handlers

if TYPE_CHECKING:
    from xenport.model.call import Call

handlers = Handlers()

_MOST_LISTED = 1024
_LARGEST = 2 << 20  #: bytes of a payload


@handlers.command("XEN_SYSCTL_livepatch_op")
def livepatch_op(call: Call) -> None:
    """Payloads are refused, and none exists."""
    view = call.view.u.livepatch
    prefix = "XEN_SYSCTL_LIVEPATCH_"
    abi = call.domain.abi
    constants = abi.constants
    names = {constants[prefix + name].value: name for name in _OPERATIONS}
    if "LIVEPATCH_FLAG_FORCE" in constants:  # `pad` was there before
        unknown = view.flags & ~abi.constant("LIVEPATCH_FLAGS_MASK")
        refused = unknown and not view.flags & abi.constant("LIVEPATCH_FLAG_FORCE")
    else:
        refused = view.pad
    if refused:
        raise XenError("EINVAL")
    if view.cmd not in names:
        raise XenError("EOPNOTSUPP")
    _OPERATIONS[names[view.cmd]](call, getattr(view.u, names[view.cmd].lower()))


def _check_name(call: Call, name: Any, unreadable: str) -> None:
    if not 0 < name.size <= call.domain.abi.constant("XEN_LIVEPATCH_NAME_SIZE"):
        raise XenError("EINVAL")
    if any(name.pad):
        raise XenError("EINVAL")
    try:
        text = call.vcpu.copy_in(name.name, name.size)
    except XenError:
        raise XenError(unreadable) from None
    if text[-1]:
        raise XenError("EINVAL")


def _upload(call: Call, view: Any) -> None:
    _check_name(call, view.name, "EINVAL")
    if not 0 < view.size <= _LARGEST:
        raise XenError("EINVAL")
    call.vcpu.copy_in(view.payload, view.size)
    raise XenError("EINVAL")


def _get(call: Call, view: Any) -> None:
    _check_name(call, view.name, "EFAULT")
    raise XenError("ENOENT")


def _list(_call: Call, view: Any) -> None:
    if view.nr > _MOST_LISTED:
        raise XenError("E2BIG")
    if view.pad:
        raise XenError("EINVAL")
    view.nr = view.name_total_size = view.metadata_total_size = 0


_OPERATIONS = {"UPLOAD": _upload, "GET": _get, "LIST": _list, "ACTION": _get}
