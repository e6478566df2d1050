"""The registers of a PV guest's vcpu: which Xen takes, and the vcpu that a hypercall comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xenport.model.errors import XenError
from xenport.model.memory import PAGE_SIZE

if TYPE_CHECKING:
    from xenport.abi import Abi
    from xenport.model.call import Call
    from xenport.model.cpu.x86_64_pv import PvCpu

MOST_GLOBAL_DESCRIPTORS = 7168  #: FIRST_RESERVED_GDT_ENTRY
MOST_LOCAL_DESCRIPTORS = 8192

_CANONICAL = (0, 0x1FFFF)  # bits 47 and up of an address


def pv_cpu(call: Call) -> PvCpu:
    """The processor of the vcpu that calls, a PV guest's."""
    cpu: PvCpu = call.vcpu.cpu  # type: ignore[assignment]
    return cpu


def is_canonical(address: int) -> bool:
    """Is ``address`` one that a processor with 48 bits of address can use?"""
    return address >> 47 in _CANONICAL


def check_canonical(address: int) -> None:
    """XenError EINVAL: ``address`` is not canonical."""
    if not is_canonical(address):
        raise XenError("EINVAL")


_ADDRESSES = (
    "ldt_base",
    "kernel_sp",
    "event_callback_eip",
    "failsafe_callback_eip",
    "syscall_callback_eip",
    "fs_base",
    "gs_base_kernel",
    "gs_base_user",
)


def check_context(abi: Abi, context: Any) -> None:
    """Can a vcpu have the registers of a ``vcpu_guest_context`` at all? XenError EINVAL."""
    addresses = [getattr(context, name) for name in _ADDRESSES]
    traps = [entry.address for entry in context.trap_ctxt]
    for address in (context.user_regs.rip, context.user_regs.rsp, *addresses, *traps):
        check_canonical(address)
    has_user_mode = context.flags & abi.constant("VGCF_in_kernel") or context.ctrlreg[1]
    if (
        context.ldt_base % PAGE_SIZE
        or context.ldt_ents > MOST_LOCAL_DESCRIPTORS
        or context.gdt_ents > MOST_GLOBAL_DESCRIPTORS
        or not has_user_mode
    ):
        raise XenError("EINVAL")
