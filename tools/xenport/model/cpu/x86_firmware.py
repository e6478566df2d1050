"""platform_op about a PC: types of memory, a BIOS that says nothing, the symbols of Xen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenport.model.errors import XenError
from xenport.model.handlers import Handlers

if TYPE_CHECKING:
    from xenport.model.call import Call

handlers = Handlers()
command = handlers.command

_TYPE_REGISTERS = 8
_TYPES = (0, 1, 4, 5, 6)  #: of memory

#: Xen's code begins here; functions are so far apart.
_CODE, _DISTANCE = 0xFFFF_82D0_4020_0000, 0x40
_SYMBOLS = ("_stext", "hypercall", "dispatch")

# ---- Types of memory ----


@command("XENPF_add_memtype")
def add_memtype(call: Call) -> None:
    """Use a free register for a range."""
    new = call.view.u.add_memtype
    count = new.nr_mfns
    if not count or count & (count - 1) or new.mfn % count or new.type not in _TYPES:
        raise XenError("EINVAL")
    ranges = call.hypervisor.physical.memory_types
    free = [number for number in range(_TYPE_REGISTERS) if number not in ranges]
    if not free:
        raise XenError("ENOSPC")
    new.handle = 0
    new.reg = free[0]
    ranges[new.reg] = (new.mfn, count, new.type)


@command("XENPF_del_memtype")
def del_memtype(call: Call) -> None:
    """Free a register."""
    old = call.view.u.del_memtype
    ranges = call.hypervisor.physical.memory_types
    if old.handle or old.reg not in ranges:
        raise XenError("EINVAL")
    del ranges[old.reg]


@command("XENPF_read_memtype")
def read_memtype(call: Call) -> None:
    """What a register says."""
    asked = call.view.u.read_memtype
    if asked.reg >= _TYPE_REGISTERS:
        raise XenError("EINVAL")
    ranges = call.hypervisor.physical.memory_types
    asked.mfn, asked.nr_mfns, asked.type = ranges.get(asked.reg, (0, 0, 0))


# ---- Firmware ----


@command("XENPF_firmware_info")
def firmware_info(call: Call) -> None:
    """No key was held at the start, and there are no disks, no screen and no EFI."""
    asked = call.view.u.firmware_info
    abi = call.domain.abi
    if asked.type == abi.constant("XEN_FW_KBD_SHIFT_FLAGS") and not asked.index:
        asked.u.kbd_shift_flags = 0
        return
    if asked.type == abi.constant("XEN_FW_EFI_INFO"):
        raise XenError("ENOSYS")
    names = ("DISK_INFO", "DISK_MBR_SIGNATURE", "VBEDDC_INFO", "KBD_SHIFT_FLAGS")
    known = [abi.constant(f"XEN_FW_{name}") for name in names]
    raise XenError("ESRCH" if asked.type in known else "EINVAL")


@command("XENPF_efi_runtime_call")
def efi_runtime_call(_call: Call) -> None:
    """There is no EFI."""
    raise XenError("ENOSYS")


@command("XENPF_get_dom0_console")
def get_dom0_console(_call: Call) -> None:
    """There is no screen."""
    raise XenError("ENODEV")


@command("XENPF_platform_quirk")
def platform_quirk(call: Call) -> None:
    """Nothing here has any."""
    abi = call.domain.abi
    names = ("NOIRQBALANCING", "IOAPIC_BAD_REGSEL", "IOAPIC_GOOD_REGSEL")
    known = [abi.constant(f"QUIRK_{name}") for name in names]
    if call.view.u.platform_quirk.quirk_id not in known:
        raise XenError("EINVAL")


# ---- Xen's symbols ----


@command("XENPF_get_symbol")
def get_symbol(call: Call) -> None:
    """A symbol by its number, and the number of the next one."""
    asked = call.view.u.symdata
    number = asked.symnum
    if number > len(_SYMBOLS):
        raise XenError("ERANGE")
    name = b"\0"
    if number < len(_SYMBOLS):
        name = _SYMBOLS[number].encode() + b"\0"
        asked.symnum = number + 1
        asked.type = ord("T")
        asked.address = _CODE + number * _DISTANCE
    call.vcpu.copy_out(asked.name, name[: asked.namelen])
    asked.namelen = len(name)
