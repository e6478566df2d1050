"""Registers that a PV guest cannot set by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenport.model.cpu import x86_core
from xenport.model.cpu.x86_pv_context import check_canonical, is_canonical, pv_cpu
from xenport.model.cpu.x86_pv_memory import XEN_END, XEN_START
from xenport.model.errors import XenError
from xenport.model.handlers import Handlers

if TYPE_CHECKING:
    from xenport.model.call import Call

handlers = Handlers()
command = handlers.command


@command("set_segment_base")
def set_segment_base(call: Call) -> None:
    """FS, GS and the other GS."""
    abi = call.domain.abi
    uc = pv_cpu(call).processor.uc
    which, base = call["which"], call["base"]
    msrs = {
        abi.constant("SEGBASE_FS"): x86_core.MSR_FS_BASE,
        # In the kernel, the user's GS is in the MSR that swapgs takes it from.
        abi.constant("SEGBASE_GS_USER"): x86_core.MSR_KERNEL_GS_BASE,
        abi.constant("SEGBASE_GS_KERNEL"): x86_core.MSR_GS_BASE,
    }
    if which in msrs:
        check_canonical(base)
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
        if not is_canonical(value) or XEN_START <= value < XEN_END:
            raise XenError("EPERM")
    elif value >> 32:
        raise XenError("EINVAL")
    elif number == _DR6:
        value = value & ~_DR6_ZERO | _DR6_ONE
    else:
        value = value & ~(_DR7_ZERO & ~_DR7_GUARD) | _DR7_ONE
        if value & _DR7_GUARD:
            raise XenError("EPERM")
    pv_cpu(call).debug_registers[number] = value


@command("get_debugreg")
def get_debugreg(call: Call) -> int:
    """The value itself is the result."""
    return pv_cpu(call).debug_registers[_debug_register(call)]


@command("PHYSDEVOP_set_iopl")
def set_iopl(call: Call) -> None:
    """The I/O privilege level."""
    level = call.view.iopl
    if level > 3:
        raise XenError("EINVAL")
    pv_cpu(call).iopl = level
