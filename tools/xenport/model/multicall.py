"""multicall: several hypercalls in one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenport.model.errors import XenError
from xenport.model.handlers import Handlers

if TYPE_CHECKING:
    from xenport.model.call import Call

handlers = Handlers()

_WORD = (1 << 64) - 1


@handlers.command("multicall")
def multicall(call: Call) -> None:
    """Carry out the entries of a list in turn; each entry gets its result. Ends early only when an
    entry cannot be read or written."""
    vcpu = call.vcpu
    if vcpu.in_multicall:
        raise XenError("EINVAL")
    abi = call.domain.abi
    size = abi.sizeof("multicall_entry")
    result_at = abi.offset("multicall_entry", "result")
    handle = call["call_list"]
    vcpu.in_multicall = True
    try:
        for index in range(call["nr_calls"] & 0xFFFF_FFFF):
            entry = vcpu.read_struct("multicall_entry", handle, index)
            result = call.hypervisor.dispatch(vcpu, entry.op, list(entry.args))
            content = (result & _WORD).to_bytes(8, call.domain.byte_order)
            vcpu.copy_out(handle, content, index * size + result_at)
    finally:
        vcpu.in_multicall = False
