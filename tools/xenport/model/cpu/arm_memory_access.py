"""memory_op on Arm: what a monitor lets a guest do with its pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenport.model.errors import XenError
from xenport.model.handlers import Handlers

if TYPE_CHECKING:
    from xenport.model.call import Call
    from xenport.model.domain import Domain

handlers = Handlers()
command = handlers.command
handlers.refuse_declared("XENMEM_access_op")

_EVERY_FRAME = (1 << 64) - 1


@command("XENMEM_access_op")
def access_op(call: Call) -> None:
    """Set the access to pages, or ask for it."""
    view = call.view
    abi = call.domain.abi
    domain = call.hypervisor.domain(view.domid)
    if not domain.settings.monitor_port:
        raise XenError("ENODEV")
    known = {abi.constant(f"XENMEM_access_op_{op}_access"): op for op in ("set", "get")}
    op = known.get(view.op)
    if op is None:
        multi = abi.constant("XENMEM_access_op_set_access_multi")
        raise XenError("EOPNOTSUPP" if view.op == multi else "ENOSYS")
    last = view.pfn + (view.nr - 1 if op == "set" else 0)
    if view.pfn != _EVERY_FRAME and last > domain.memory.highest_frame():
        raise XenError("EINVAL")
    if op == "set":
        _set(domain, view.pfn, view.nr, view.access)
    else:
        view.access = _get(domain, view.pfn)


def _set(domain: Domain, first: int, count: int, access: int) -> None:
    abi = domain.abi
    settings = domain.settings
    everything = abi.constant("XENMEM_access_rwx")
    if access == abi.constant("XENMEM_access_default"):
        access = settings.default_access
    elif access > abi.constant("XENMEM_access_n2rwx"):
        raise XenError("EINVAL")
    if first == _EVERY_FRAME:
        settings.default_access = access
        return
    for frame in range(first, first + count):
        settings.access.pop(frame, None)
        if access != everything and domain.memory.has_frame(frame):
            settings.access[frame] = access


def _get(domain: Domain, frame: int) -> int:
    settings = domain.settings
    if frame == _EVERY_FRAME:
        return settings.default_access
    if not domain.memory.has_frame(frame):
        raise XenError("ESRCH")
    return settings.access.get(frame, domain.abi.constant("XENMEM_access_rwx"))
