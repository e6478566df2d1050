"""sysctl: pages out of use, which here are always those that a domain has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenport.model.errors import XenError
from xenport.model.handlers import Handlers

if TYPE_CHECKING:
    from xenport.model.call import Call

handlers = Handlers()

_ALL_BYTES = 0x0101_0101
_STATUS_AT = 16  #: where Xen has the handle in the argument, also of callers with shorter handles


@handlers.command("XEN_SYSCTL_page_offline_op")
def page_offline_op(call: Call) -> int:
    """Deal with each page until one fails. The results are told whatever came of it."""
    view = call.view.u.page_offline
    if view.end < view.start:
        raise XenError("EINVAL")
    statuses: list[int] = []
    failed: XenError | None = None
    for frame in range(view.start, view.end + 1):
        try:
            statuses.append(_deal_with(call, view.cmd, frame))
        except XenError as error:
            failed = error
            break
    invalid = call.domain.abi.constant("PG_OFFLINE_INVALID") * _ALL_BYTES
    rest = [invalid] * (view.end - view.start + 1 - len(statuses))
    assert call.buffer is not None
    at = call.domain.abi.offset("xen_sysctl", "u") + _STATUS_AT
    handle = int.from_bytes(call.buffer[at : at + 8], call.domain.byte_order)
    for index, status in enumerate(statuses + rest):
        call.vcpu.write_word("uint32", status, handle, index)
    if failed is None:
        return 0
    if view.cmd == call.domain.abi.constant("sysctl_page_online"):
        # Xen makes an unsigned number of 32 bits of the error before it is a longer one.
        return -call.domain.abi.errno(failed.errno) & 0xFFFF_FFFF
    raise failed


def _deal_with(call: Call, operation: int, frame: int) -> int:
    abi = call.domain.abi
    cpu = call.domain.cpu_class
    offlining = call.hypervisor.physical.offlining
    owner = next(
        (
            d
            for d in call.hypervisor.domains.values()
            if d.vcpus and d.frames.frame_of(frame) is not None
        ),
        None,
    )
    exists = owner is not None or call.domain.memory.is_ram(frame)
    if operation == abi.constant("sysctl_page_online") and exists:
        was_offlining = frame in offlining
        offlining.discard(frame)
        return abi.constant("PG_ONLINE_ONLINED") if was_offlining else 0
    if not exists or not cpu.knows_memory_types:
        raise XenError("EINVAL")
    if operation == abi.constant("sysctl_page_offline"):
        offlining.add(frame)
        if owner is None:
            return abi.constant("PG_OFFLINE_OFFLINED")
        shifted = owner.id << abi.constant("PG_OFFLINE_OWNER_SHIFT")
        return abi.constant("PG_OFFLINE_OWNED") | abi.constant("PG_OFFLINE_PENDING") | shifted
    if operation != abi.constant("sysctl_query_page_offline"):
        raise XenError("EINVAL")
    pending = abi.constant("PG_OFFLINE_STATUS_OFFLINE_PENDING")
    return pending if frame in offlining else 0
