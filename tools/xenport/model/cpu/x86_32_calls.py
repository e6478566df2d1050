"""Hypercalls that Xen answers 32-bit guests in another way: it translates their structures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenport.abi.releases import rank
from xenport.model import grant_table_op, memory_op, sysctl_pages, vcpu_op
from xenport.model.errors import XenError
from xenport.model.handlers import Handlers
from xenport.model.sched_op import set_singleshot

if TYPE_CHECKING:
    from xenport.model.call import Call

_LARGEST = (1 << 31) - 1

handlers = Handlers()
command = handlers.command


@command("set_timer_op")
def set_timer_op(call: Call) -> None:
    """The time comes as two arguments, the low half first."""
    low, high = (call.args[index] & 0xFFFF_FFFF for index in (0, 1))
    timeout = high << 32 | low
    set_singleshot(call.vcpu, timeout - (timeout >> 63 << 64))


@command("XENMEM_maximum_reservation")
def maximum_reservation(call: Call) -> int:
    """No more than a result has room for."""
    return min(memory_op.maximum_reservation(call), _LARGEST)


@command("XEN_SYSCTL_page_offline_op")
def page_offline_op(call: Call) -> int:
    """Nothing translates sysctl: Xen looks for the list where its own structure has it."""
    view = call.view.u.page_offline
    assert call.buffer is not None
    at = call.domain.abi.offset("xen_sysctl", "u") + 16
    told = view.status
    view.status = int.from_bytes(call.buffer[at : at + 4], "little")
    try:
        return sysctl_pages.page_offline_op(call)
    finally:
        view.status = told


@command("GNTTABOP_setup_table")
def setup_table(call: Call) -> None:
    """No request is no error; that a list cannot be written is found too late to be told."""
    if call["count"] == 0:
        return
    grant_table_op.setup_table(call)
    abi = call.domain.abi
    if call.view.status == abi.constant("GNTST_bad_virt_addr"):
        call.view.status = abi.constant("GNTST_okay")


@command("VCPUOP_register_vcpu_time_memory_area")
def register_vcpu_time_memory_area(call: Call) -> None:
    """Forgotten in the translation of older releases."""
    if rank(call.domain.abi.release) < rank("4.15"):
        raise XenError("ENOSYS")
    vcpu_op.register_vcpu_time_memory_area(call)
