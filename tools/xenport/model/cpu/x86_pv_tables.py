"""Page tables of PV guests: how their entries are written."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING

from xenport.model.cpu import x86_pv_xen
from xenport.model.cpu.x86_core import ADDRESS, PRESENT
from xenport.model.cpu.x86_pv_context import pv_cpu
from xenport.model.errors import XenError
from xenport.model.handlers import Handlers
from xenport.model.memory import PAGE_SIZE
from xenport.model.policy import require_control

if TYPE_CHECKING:
    from xenport.model.call import Call
    from xenport.model.domain import Domain

handlers = Handlers()
command = handlers.command


@command("XENMEM_machphys_mapping")
def machphys_mapping(call: Call) -> None:
    """Where the machine-to-physical table is."""
    view = call.view
    view.v_start = x86_pv_xen.MACH2PHYS_START
    view.v_end = x86_pv_xen.MACH2PHYS_END
    entries = (x86_pv_xen.MACH2PHYS_END - x86_pv_xen.MACH2PHYS_START) // 8
    view.max_mfn = (pv_cpu(call).start.machine.total if call.domain.is_control else entries) - 1


@command("update_va_mapping")
def update_va_mapping(call: Call) -> None:
    """Write the entry that maps a virtual address."""
    _update_va_mapping(call, call["val64"])


@command("update_va_mapping_otherdomain")
def update_va_mapping_otherdomain(call: Call) -> None:
    """The same for another domain's frame."""
    page_owner(call, call["domid"])
    owner = call.hypervisor.domains.get(call["domid"])
    entry = call["val64"]
    if owner is not None and entry & PRESENT:
        entry = _entry_of(call, owner, entry)
    _update_va_mapping(call, entry)


def _entry_of(call: Call, owner: Domain, entry: int) -> int:
    """An entry with the machine's frame in place of the one that ``owner`` knows it by. XenError
    EINVAL: nothing is there."""
    memory = getattr(owner, "memory", None)
    page = memory.page_at((entry & ADDRESS) // PAGE_SIZE) if memory is not None else None
    if page is None:
        raise XenError("EINVAL")
    frame = pv_cpu(call).start.machine.share(page)
    return entry & ~ADDRESS | frame * PAGE_SIZE


def page_owner(call: Call, number: int) -> Domain:
    """Whose frames are meant: DOMID_SELF, or another domain. XenError ESRCH: none such, or the
    caller by its number."""
    if number in (_SELF, call.domain.abi.constant("DOMID_IO")):
        return call.domain
    if number == call.domain.id:
        raise XenError("ESRCH")
    domain = call.hypervisor.domain(number)
    require_control(call.domain)
    return domain


def _update_va_mapping(call: Call, entry: int) -> None:
    cpu = pv_cpu(call)
    machine = cpu.start.machine
    at = machine.entry_address(cpu.root, call["va"])
    if at is None or machine.tables.get(at // PAGE_SIZE) != 1:
        raise XenError("EINVAL")
    machine.update(at, entry, privileged=call.domain.is_control)
    cpu.flush()


_SELF = 0x7FF0  # DOMID_SELF
_PREEMPTED = 1 << 31  # of a count: Xen goes on with what it interrupted


@command("mmu_update")
def mmu_update(call: Call) -> int | None:
    """Write entries by machine address, until one fails."""
    count = call["count"]
    if count == _PREEMPTED and not call["ureqs"]:
        return call.signed("foreigndom")  # all that Xen still had to say
    cpu = pv_cpu(call)
    machine = cpu.start.machine
    page_owner(call, call["foreigndom"] & 0xFFFF)
    done = 0
    try:
        for pointer, value in _requests(call, count & ~_PREEMPTED):
            at, kind = pointer & ~3, pointer & 3
            if kind in _WRITES:
                if at % 8:
                    raise XenError("EINVAL")
                if at // PAGE_SIZE in machine.tables:
                    machine.update(at, value, privileged=call.domain.is_control)
                elif machine.is_writable(at // PAGE_SIZE):
                    machine.write_entry(at, value)  # of a frame that is no table: just a write
                else:
                    raise XenError("EINVAL")
            elif kind == _MACHPHYS_UPDATE:
                if not machine.owned(at // PAGE_SIZE):
                    raise XenError("EINVAL")
                machine.set_machphys(at // PAGE_SIZE, value)
            else:
                raise XenError("ENOSYS")
            done += 1
    finally:
        cpu.flush()
        if call["pdone"]:
            call.vcpu.write_word("uint", done, call["pdone"])
    return None


_WRITES = (0, 2)  # MMU_NORMAL_PT_UPDATE, MMU_PT_UPDATE_PRESERVE_AD
_MACHPHYS_UPDATE = 1
_REQUEST = struct.Struct("<2Q")


def _requests(call: Call, count: int) -> Iterator[tuple[int, int]]:
    """Pointer and value of each request, read when it is its turn."""
    copy_in, handle, size = call.vcpu.copy_in, call["ureqs"], _REQUEST.size
    for index in range(count):
        yield _REQUEST.unpack(copy_in(handle, size, index * size))
