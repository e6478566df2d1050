"""Hypercalls of old, that carry their command inside the argument."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenport.model.errors import XenError
from xenport.model.handlers import Handlers

if TYPE_CHECKING:
    from xenport.model.call import Call

handlers = Handlers()
command = handlers.command


def _forward(call: Call, hypercall: str, structure: str, last: int | None) -> int:
    """Make the new hypercall with the union inside the old structure as its argument."""
    handle = call["uop"]
    old = call.vcpu.read_struct(structure, handle)
    if last is not None and old.cmd > last:
        raise XenError("ENOSYS")
    abi = call.domain.abi
    argument = handle + abi.offset(structure, "u")
    return call.hypervisor.dispatch(
        call.vcpu, abi.hypercalls[hypercall].number, [old.cmd, argument, 0, 0, 0, 0]
    )


@command("event_channel_op_compat")
def event_channel_op_compat(call: Call) -> int:
    """event_channel_op with the commands that there were then."""
    last = call.domain.abi.constant("EVTCHNOP_unmask")
    return _forward(call, "event_channel_op", "evtchn_op", last)


@command("physdev_op_compat")
def physdev_op_compat(call: Call) -> int:
    """physdev_op."""
    return _forward(call, "physdev_op", "physdev_op", None)
