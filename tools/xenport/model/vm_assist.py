"""vm_assist: help for guests that do not follow the ABI to the letter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenport.model.errors import XenError
from xenport.model.handlers import Handlers

if TYPE_CHECKING:
    from xenport.model.call import Call

handlers = Handlers()


@handlers.check("vm_assist")
def assist_exists(call: Call) -> None:
    """Which assist is asked before which command."""
    abi = call.domain.abi
    if call["type"] not in [abi.constant(n) for n in call.vcpu.cpu.assists if n in abi.constants]:
        raise XenError("EINVAL")


@handlers.command("VMASST_CMD_enable")
def enable(call: Call) -> None:
    """Switch it on."""
    call.domain.vm_assist |= 1 << call["type"]


@handlers.command("VMASST_CMD_disable")
def disable(call: Call) -> None:
    """Switch it off."""
    call.domain.vm_assist &= ~(1 << call["type"])
