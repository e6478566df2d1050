"""Hypercalls that only PV guests have."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from xenport.abi.releases import rank
from xenport.model import livepatch
from xenport.model.cpu import (
    x86_core,
    x86_firmware,
    x86_kexec,
    x86_machine_memory,
    x86_physdev,
    x86_pins,
    x86_platform,
    x86_profiling,
    x86_pv_xen,
    x86_sysctl,
)
from xenport.model.cpu.x86_core import ADDRESS, PRESENT
from xenport.model.cpu.x86_pv_memory import XEN_END, XEN_START
from xenport.model.errors import XenError
from xenport.model.handlers import Handlers
from xenport.model.memory import PAGE_SIZE, MemoryFault
from xenport.model.policy import require_control

if TYPE_CHECKING:
    from xenport.abi import Abi
    from xenport.model.call import Call
    from xenport.model.cpu.x86_64_pv import PvCpu
    from xenport.model.domain import Domain

handlers = Handlers(
    livepatch.handlers,
    x86_firmware.handlers,
    x86_kexec.handlers,
    x86_machine_memory.handlers,
    x86_physdev.handlers,
    x86_platform.handlers,
    x86_profiling.handlers,
    x86_sysctl.handlers,
)
command = handlers.command

MAX_GDT_ENTRIES = 7168  #: FIRST_RESERVED_GDT_ENTRY

_NULL = 0
_VECTORS = 256
_CANONICAL = (0, 0x1FFFF)


def _cpu(call: Call) -> PvCpu:
    cpu: PvCpu = call.vcpu.cpu  # type: ignore[assignment]
    return cpu


def _check_canonical(address: int) -> None:
    if address >> 47 not in _CANONICAL:
        raise XenError("EINVAL")


_MOST_LOCAL_DESCRIPTORS = 8192

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
        _check_canonical(address)
    has_user_mode = context.flags & abi.constant("VGCF_in_kernel") or context.ctrlreg[1]
    if (
        context.ldt_base % PAGE_SIZE
        or context.ldt_ents > _MOST_LOCAL_DESCRIPTORS
        or context.gdt_ents > MAX_GDT_ENTRIES
        or not has_user_mode
    ):
        raise XenError("EINVAL")


# ---- Entries into the guest ----


@command("set_trap_table")
def set_trap_table(call: Call) -> None:
    """Handlers of exceptions, up to the first entry without an address. Entries before a bad one
    count."""
    cpu = _cpu(call)
    handle = call["traps"]
    if handle == _NULL:
        cpu.traps.clear()
        return
    for index in range(_VECTORS + 1):
        entry = call.vcpu.read_struct("trap_info", handle, index)
        if entry.address == 0:
            return
        _check_canonical(entry.address)
        cpu.traps[entry.vector] = (entry.flags, entry.cs | 3, entry.address)


@command("set_callbacks")
def set_callbacks(call: Call) -> None:
    """Entries for events, failed returns and system calls; bad addresses are passed over."""
    cpu = _cpu(call)
    for name, argument in (
        ("event_address", "event_address"),
        ("failsafe_address", "failsafe_address"),
        ("syscall_address", "syscall_address"),
    ):
        if call[argument] >> 47 in _CANONICAL:
            setattr(cpu, name, call[argument])


_MASK_EVENTS = 4  # flags of trap_info: as an interrupt gate
_NMI = 2


def _set_nmi_callback(cpu: PvCpu, address: int) -> None:
    _check_canonical(address)
    cpu.traps[_NMI] = (_MASK_EVENTS, x86_pv_xen.FLAT_CS, address)


@command("CALLBACKOP_register")
def callback_register(call: Call) -> None:
    """Set one callback."""
    abi = call.domain.abi
    cpu = _cpu(call)
    view = call.view
    attributes = {
        abi.constant("CALLBACKTYPE_event"): "event_address",
        abi.constant("CALLBACKTYPE_failsafe"): "failsafe_address",
        abi.constant("CALLBACKTYPE_syscall"): "syscall_address",
        abi.constant("CALLBACKTYPE_sysenter"): "sysenter_address",
        abi.constant("CALLBACKTYPE_syscall32"): "syscall32_address",
    }
    _check_canonical(view.address)
    if view.type == abi.constant("CALLBACKTYPE_nmi"):
        _set_nmi_callback(cpu, view.address)
    elif view.type in attributes:
        setattr(cpu, attributes[view.type], view.address)
    else:
        raise XenError("ENOSYS")


@command("CALLBACKOP_unregister")
def callback_unregister(call: Call) -> None:
    """Clear the NMI's callback, the only one that can do without."""
    abi = call.domain.abi
    kind = call.view.type
    if kind == abi.constant("CALLBACKTYPE_nmi"):
        _cpu(call).traps.pop(_NMI, None)
    elif kind in (
        abi.constant("CALLBACKTYPE_event"),
        abi.constant("CALLBACKTYPE_failsafe"),
        abi.constant("CALLBACKTYPE_syscall"),
        abi.constant("CALLBACKTYPE_sysenter"),
        abi.constant("CALLBACKTYPE_syscall32"),
    ):
        raise XenError("EINVAL")
    else:
        raise XenError("ENOSYS")


@command("XENNMI_register_callback")
def register_nmi_callback(call: Call) -> None:
    """Set the NMI's callback."""
    _set_nmi_callback(_cpu(call), call.view.handler_address)


@command("XENNMI_unregister_callback")
def unregister_nmi_callback(call: Call) -> None:
    """Clear the NMI's callback."""
    _cpu(call).traps.pop(_NMI, None)


@command("stack_switch")
def stack_switch(call: Call) -> None:
    """The stack for entries from user mode."""
    _cpu(call).kernel_stack = (call["ss"] | 3, call["esp"])


@command("iret")
def iret(call: Call) -> None:
    """Leave by the frame on the stack, when the hypercall is over."""
    _cpu(call).returning = True


@command("fpu_taskswitch")
def fpu_taskswitch(call: Call) -> None:
    """Make the next use of the FPU trap, or not."""
    _cpu(call).set_task_switched(bool(call["set"]))


# ---- Registers ----


@command("set_segment_base")
def set_segment_base(call: Call) -> None:
    """FS, GS and the other GS."""
    abi = call.domain.abi
    uc = _cpu(call).processor.uc
    which, base = call["which"], call["base"]
    msrs = {
        abi.constant("SEGBASE_FS"): x86_core.MSR_FS_BASE,
        # In the kernel, the user's GS is in the MSR that swapgs takes it from.
        abi.constant("SEGBASE_GS_USER"): x86_core.MSR_KERNEL_GS_BASE,
        abi.constant("SEGBASE_GS_KERNEL"): x86_core.MSR_GS_BASE,
    }
    if which in msrs:
        _check_canonical(base)
        uc.msr_write(msrs[which], base)
    elif which != abi.constant("SEGBASE_GS_USER_SEL"):
        raise XenError("EINVAL")


_DEBUG_ADDRESS = range(4)
_DR6, _DR7 = 6, 7
_DR6_ZERO, _DR6_ONE = 0x1000, 0xFFFF0FF0  # reserved bits
_DR7_ZERO, _DR7_ONE = 0xD800, 0x0400
_DR7_GUARD = 1 << 13
#: Debug registers 4 and 5 are other names of 6 and 7 while CR4.DE is off, as it is here.
_ALIASES = {4: _DR6, 5: _DR7}


def _debug_register(call: Call) -> int:
    number = _ALIASES.get(call.signed("reg"), call.signed("reg"))
    if number not in (*_DEBUG_ADDRESS, _DR6, _DR7):
        raise XenError("ENODEV")
    return number


@command("set_debugreg")
def set_debugreg(call: Call) -> None:
    """Debug registers keep what could do no harm; nothing breaks on them here."""
    number, value = _debug_register(call), call["value"]
    if number in _DEBUG_ADDRESS:
        if value >> 47 not in _CANONICAL or XEN_START <= value < XEN_END:
            raise XenError("EPERM")
    elif value >> 32:
        raise XenError("EINVAL")
    elif number == _DR6:
        value = value & ~_DR6_ZERO | _DR6_ONE
    else:
        value = value & ~(_DR7_ZERO & ~_DR7_GUARD) | _DR7_ONE
        if value & _DR7_GUARD:
            raise XenError("EPERM")
    _cpu(call).debug_registers[number] = value


@command("get_debugreg")
def get_debugreg(call: Call) -> int:
    """The value itself is the result."""
    return _cpu(call).debug_registers[_debug_register(call)]


@command("PHYSDEVOP_set_iopl")
def set_iopl(call: Call) -> None:
    """The I/O privilege level."""
    level = call.view.iopl
    if level > 3:
        raise XenError("EINVAL")
    _cpu(call).iopl = level


# ---- Descriptors ----


@command("set_gdt")
def set_gdt(call: Call) -> None:
    """Frames that become the guest's part of the GDT."""
    entries = call["entries"]
    if entries > MAX_GDT_ENTRIES:
        raise XenError("EINVAL")
    count = (entries + 511) // 512
    cpu = _cpu(call)
    frames = [
        call.vcpu.read_word("xen_ulong_t", call["frame_list"], index) for index in range(count)
    ]
    check_gdt(cpu, frames)
    cpu.use_gdt(frames)
    cpu.flush()


def check_gdt(cpu: PvCpu, frames: Sequence[int]) -> None:
    """XenError EINVAL: one of the frames cannot hold descriptors."""
    if not all(_can_hold_descriptors(cpu, frame) for frame in frames):
        raise XenError("EINVAL")


def _can_hold_descriptors(cpu: PvCpu, frame: int) -> bool:
    machine = cpu.start.machine
    if not machine.owned(frame) or frame in machine.tables or machine.is_mapped_writable(frame):
        return False
    content = machine.memory.read(frame * PAGE_SIZE, PAGE_SIZE)
    return all(_safe_descriptor(value) is not None for (value,) in _DESCRIPTOR.iter_unpack(content))


_DESCRIPTOR = struct.Struct("<Q")
_DESCRIPTOR_PRESENT = 1 << 47
_DESCRIPTOR_ORDINARY = 1 << 44  # code or data, not a system segment
_DESCRIPTOR_RING_3 = 3 << 45


def _safe_descriptor(value: int) -> int | None:
    """The descriptor as it may be used: in ring 3 only. None: it may not be."""
    if not value & _DESCRIPTOR_PRESENT:
        return value
    return value | _DESCRIPTOR_RING_3 if value & _DESCRIPTOR_ORDINARY else None


@command("update_descriptor")
def update_descriptor(call: Call) -> None:
    """Write one descriptor."""
    address = call["gaddr"]
    machine = _cpu(call).start.machine
    descriptor = _safe_descriptor(call["desc"])
    if (
        address % 8
        or descriptor is None
        or not machine.owned(address // PAGE_SIZE)
        or address // PAGE_SIZE in machine.tables
    ):
        raise XenError("EINVAL")
    machine.memory.write(address, _DESCRIPTOR.pack(descriptor))


# ---- Page tables ----


@command("XENMEM_machphys_mapping")
def machphys_mapping(call: Call) -> None:
    """Where the machine-to-physical table is."""
    view = call.view
    view.v_start = x86_pv_xen.MACH2PHYS_START
    view.v_end = x86_pv_xen.MACH2PHYS_END
    entries = (x86_pv_xen.MACH2PHYS_END - x86_pv_xen.MACH2PHYS_START) // 8
    view.max_mfn = (_cpu(call).start.machine.total if call.domain.is_control else entries) - 1


@command("update_va_mapping")
def update_va_mapping(call: Call) -> None:
    """Write the entry that maps a virtual address."""
    _update_va_mapping(call, call["val64"])


@command("update_va_mapping_otherdomain")
def update_va_mapping_otherdomain(call: Call) -> None:
    """The same for another domain's frame."""
    _page_owner(call, call["domid"])
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
    frame = _cpu(call).start.machine.share(page)
    return entry & ~ADDRESS | frame * PAGE_SIZE


def _page_owner(call: Call, number: int) -> Domain:
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
    cpu = _cpu(call)
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
    cpu = _cpu(call)
    machine = cpu.start.machine
    _page_owner(call, call["foreigndom"] & 0xFFFF)
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


@handlers.check("mmuext_op")
def mmuext_owner(call: Call) -> None:
    """Whose frames the operations are about. XenError EINVAL: an HVM domain's."""
    if _owner(call).cpu_class.hvm:
        raise XenError("EINVAL")


def _owner(call: Call) -> Domain:
    return _page_owner(call, call["foreigndom"] & 0xFFFF)


def _check_own(call: Call) -> None:
    """XenError EPERM: the operation is for the caller itself, and another domain is named."""
    if _owner(call) is not call.domain:
        raise XenError("EPERM")


def _operand(call: Call) -> int:
    """The frame that an operation is about; XenError EINVAL if it is not the domain's."""
    frame: int = call.view.arg1.mfn
    if not _cpu(call).start.machine.owned(frame):
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
    machine = _cpu(call).start.machine
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
        _cpu(call).start.machine.unpin(_operand(call))
    else:
        x86_pins.unpin(owner, call.view.arg1.mfn)


@command("MMUEXT_NEW_BASEPTR")
def new_baseptr(call: Call) -> None:
    """Switch to other tables."""
    _check_own(call)
    cpu = _cpu(call)
    frame = _operand(call)
    cpu.start.machine.promote(frame, 4, privileged=call.domain.is_control)
    old = cpu.root // PAGE_SIZE
    cpu.set_root(frame * PAGE_SIZE)
    cpu.start.machine.demote(old)


@command("MMUEXT_NEW_USER_BASEPTR")
def new_user_baseptr(call: Call) -> None:
    """Tables for user mode; 0 for none."""
    _check_own(call)
    cpu = _cpu(call)
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
    _cpu(call).flush()


@command("MMUEXT_TLB_FLUSH_MULTI", "MMUEXT_INVLPG_MULTI")
def flush_tlb_of(call: Call) -> None:
    """The same on the vcpus of a bitmap."""
    _check_own(call)
    try:
        call.vcpu.read_word("ulong", call.view.arg2.vcpumask)
    except XenError:
        raise XenError("EINVAL") from None
    _cpu(call).flush()


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
    if entries > 8192 or (entries and address % PAGE_SIZE):
        raise XenError("EINVAL")
    _cpu(call).local_descriptors = (address, entries)


@command("MMUEXT_CLEAR_PAGE")
def clear_page(call: Call) -> None:
    """Fill a frame with zeros."""
    machine = _cpu(call).start.machine
    frame = _operand(call)
    if not machine.is_writable(frame):
        raise XenError("EINVAL")
    machine.memory.write(frame * PAGE_SIZE, bytes(PAGE_SIZE))


@command("MMUEXT_COPY_PAGE")
def copy_page(call: Call) -> None:
    """Copy a frame."""
    machine = _cpu(call).start.machine
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
