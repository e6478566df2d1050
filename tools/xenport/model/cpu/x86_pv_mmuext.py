"""mmuext_op: what PV guests do with whole page tables, pages and caches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenport.abi.releases import rank
from xenport.model.cpu import x86_pins
from xenport.model.cpu.x86_pv_context import MOST_LOCAL_DESCRIPTORS, pv_cpu
from xenport.model.cpu.x86_pv_tables import page_owner
from xenport.model.errors import XenError
from xenport.model.handlers import Handlers
from xenport.model.memory import PAGE_SIZE, MemoryFault

if TYPE_CHECKING:
    from xenport.model.call import Call
    from xenport.model.domain import Domain

handlers = Handlers()
command = handlers.command


@handlers.check("mmuext_op")
def mmuext_owner(call: Call) -> None:
    """Whose frames the operations are about. XenError EINVAL: an HVM domain's."""
    if _owner(call).cpu_class.hvm:
        raise XenError("EINVAL")


def _owner(call: Call) -> Domain:
    return page_owner(call, call["foreigndom"] & 0xFFFF)


def _check_own(call: Call) -> None:
    """XenError EPERM: the operation is for the caller itself, and another domain is named."""
    if _owner(call) is not call.domain:
        raise XenError("EPERM")


def _operand(call: Call) -> int:
    """The frame that an operation is about; XenError EINVAL if it is not the domain's."""
    frame: int = call.view.arg1.mfn
    if not pv_cpu(call).start.machine.owned(frame):
        raise XenError("EINVAL")
    return frame


@command("MMUEXT_PIN_L1_TABLE", "MMUEXT_PIN_L2_TABLE", "MMUEXT_PIN_L3_TABLE", "MMUEXT_PIN_L4_TABLE")
def pin_table(call: Call) -> None:
    """Keep a frame as a page table of the command's level."""
    level = x86_pins.level_of(call)
    owner = _owner(call)
    if owner is not call.domain:
        x86_pins.pin(owner, call.view.arg1.mfn, level)
        return
    machine = pv_cpu(call).start.machine
    frame = _operand(call)
    if frame in machine.pinned:
        raise XenError("EINVAL")
    try:
        machine.promote(frame, level, privileged=call.domain.is_control)
    except MemoryFault:
        raise XenError("EINVAL") from None
    machine.pinned.add(frame)


@command("MMUEXT_UNPIN_TABLE")
def unpin_table(call: Call) -> None:
    """Undo a pin."""
    owner = _owner(call)
    if owner is call.domain:
        pv_cpu(call).start.machine.unpin(_operand(call))
    else:
        x86_pins.unpin(owner, call.view.arg1.mfn)


@command("MMUEXT_NEW_BASEPTR")
def new_baseptr(call: Call) -> None:
    """Switch to other tables."""
    _check_own(call)
    cpu = pv_cpu(call)
    frame = _operand(call)
    cpu.start.machine.promote(frame, 4, privileged=call.domain.is_control)
    old = cpu.root // PAGE_SIZE
    cpu.set_root(frame * PAGE_SIZE)
    cpu.start.machine.demote(old)


@command("MMUEXT_NEW_USER_BASEPTR")
def new_user_baseptr(call: Call) -> None:
    """Tables for user mode; 0 for none."""
    _check_own(call)
    cpu = pv_cpu(call)
    frame = call.view.arg1.mfn
    machine = cpu.start.machine
    if frame:
        machine.promote(_operand(call), 4, privileged=call.domain.is_control)
        cpu.start.xen.install(frame)
    if cpu.user_root:
        machine.demote(cpu.user_root // PAGE_SIZE)
    cpu.user_root = frame * PAGE_SIZE


@command(
    "MMUEXT_TLB_FLUSH_LOCAL",
    "MMUEXT_INVLPG_LOCAL",
    "MMUEXT_TLB_FLUSH_ALL",
    "MMUEXT_INVLPG_ALL",
)
def flush_tlb(call: Call) -> None:
    """Forget translations. Forgetting all of them is always right."""
    _check_own(call)
    pv_cpu(call).flush()


@command("MMUEXT_TLB_FLUSH_MULTI", "MMUEXT_INVLPG_MULTI")
def flush_tlb_of(call: Call) -> None:
    """The same on the vcpus of a bitmap."""
    _check_own(call)
    try:
        call.vcpu.read_word("ulong", call.view.arg2.vcpumask)
    except XenError:
        raise XenError("EINVAL") from None
    pv_cpu(call).flush()


@command("MMUEXT_FLUSH_CACHE")
def flush_cache(call: Call) -> None:
    """There are no caches; only who has devices may ask."""
    _check_own(call)
    if not call.domain.is_control:
        raise XenError("EACCES")


@command("MMUEXT_FLUSH_CACHE_GLOBAL")
def flush_cache_global(call: Call) -> None:
    """The same on all processors, with another errno up to 4.19."""
    _check_own(call)
    if not call.domain.is_control:
        is_newer = rank(call.domain.abi.release) >= rank("4.20")
        raise XenError("EACCES" if is_newer else "EINVAL")


@command("MMUEXT_SET_LDT")
def set_ldt(call: Call) -> None:
    """Descriptors at a page-aligned address of the guest's."""
    _check_own(call)
    view = call.view
    address, entries = view.arg1.linear_addr, view.arg2.nr_ents
    if entries > MOST_LOCAL_DESCRIPTORS or (entries and address % PAGE_SIZE):
        raise XenError("EINVAL")
    pv_cpu(call).local_descriptors = (address, entries)


@command("MMUEXT_CLEAR_PAGE")
def clear_page(call: Call) -> None:
    """Fill a frame with zeros."""
    machine = pv_cpu(call).start.machine
    frame = _operand(call)
    if not machine.is_writable(frame):
        raise XenError("EINVAL")
    machine.memory.write(frame * PAGE_SIZE, bytes(PAGE_SIZE))


@command("MMUEXT_COPY_PAGE")
def copy_page(call: Call) -> None:
    """Copy a frame."""
    machine = pv_cpu(call).start.machine
    source = call.view.arg2.src_mfn
    target = _operand(call)
    if not machine.owned(source) or not machine.is_writable(target):
        raise XenError("EINVAL")
    content = machine.memory.read(source * PAGE_SIZE, PAGE_SIZE)
    machine.memory.write(target * PAGE_SIZE, content)


@command("MMUEXT_MARK_SUPER", "MMUEXT_UNMARK_SUPER")
def mark_super(_call: Call) -> None:
    """Large pages are off."""
    raise XenError("EOPNOTSUPP")
