"""platform_op about processors of x86, whose registers are few."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from xenport.abi.releases import rank
from xenport.model.cpu.x86_core import TICKS_PER_NS, cpuid
from xenport.model.errors import XenError
from xenport.model.handlers import Handlers

if TYPE_CHECKING:
    from xenport.model.call import Call

handlers = Handlers()
command = handlers.command

_MOST_IDS = 1 << 15  #: numbers that APICs and ACPI give to processors
_MOST_PROXIMITIES = 256
_BOOT_PROCESSOR = 0xFFFF_FFFF  #: stands for the one that Xen was started on
_MSR_TSC = 0x10
_MOST_ENTRIES = 3  #: of XENPF_resource_op

# ---- Which there are ----


@command("XENPF_get_cpuinfo")
def get_cpuinfo(call: Call) -> None:
    """Numbers and state of a processor."""
    info = call.view.u.pcpu_info
    machine = call.hypervisor.physical
    info.flags = 0
    info.apic_id = info.acpi_id = info.xen_cpuid
    if info.xen_cpuid >= machine.processors:
        info.flags = call.domain.abi.constant("XEN_PCPU_FLAGS_INVALID")
    elif machine.is_online(info.xen_cpuid):
        info.flags = call.domain.abi.constant("XEN_PCPU_FLAGS_ONLINE")
    info.max_present = machine.processors - 1


@command("XENPF_get_cpu_version")
def get_cpu_version(call: Call) -> None:
    """Maker and model of a processor."""
    info = call.view.u.pcpu_version
    vendor, signature = bytes(12), 0
    if info.xen_cpuid < call.hypervisor.physical.processors:
        _, b, c, d = cpuid(0)
        vendor = struct.pack("<3I", b, d, c)
        signature = cpuid(1)[0]
    info.vendor_id[:] = vendor
    info.family = signature >> 8 & 0xF
    info.model = signature >> 4 & 0xF | signature >> 12 & 0xF0
    info.stepping = signature & 0xF
    info.max_present = call.hypervisor.physical.processors - 1


@command("XENPF_get_ucode_revision")
def get_ucode_revision(call: Call) -> None:
    """None was ever loaded."""
    if call.view.u.ucode_revision.cpu >= call.hypervisor.physical.processors:
        raise XenError("ENOENT")


# ---- Starting and stopping ----


@command("XENPF_cpu_online")
def cpu_online(call: Call) -> None:
    """Start a processor, if it does not run."""
    machine = call.hypervisor.physical
    number = call.view.u.cpu_ol.cpuid
    if number >= machine.processors:
        raise XenError("EINVAL")
    if not machine.is_online(number):
        machine.start(number)


@command("XENPF_cpu_offline")
def cpu_offline(call: Call) -> None:
    """Stop a processor, if it runs. The first one goes on."""
    machine = call.hypervisor.physical
    number = call.view.u.cpu_ol.cpuid
    if number == 0:
        raise XenError("EOPNOTSUPP")
    if number >= machine.processors:
        raise XenError("EINVAL")
    if machine.is_online(number):
        machine.stop(number)


@command("XENPF_cpu_hotadd")
def cpu_hotadd(call: Call) -> None:
    """There is no place for another processor."""
    new = call.view.u.cpu_add
    if max(new.apic_id, new.acpi_id) >= _MOST_IDS or new.pxm >= _MOST_PROXIMITIES:
        raise XenError("EINVAL")
    if new.acpi_id < call.hypervisor.physical.processors:
        raise XenError("EEXIST" if new.apic_id == new.acpi_id else "EINVAL")
    raise XenError("ENOSPC")


@command("XENPF_mem_hotadd")
def mem_hotadd(_call: Call) -> None:
    """There is no place for more memory."""
    raise XenError("EINVAL")


@command("XENPF_core_parking")
def core_parking(call: Call) -> None:
    """Leave some processors unused, of all but the first."""
    parking = call.view.u.core_parking
    abi = call.domain.abi
    machine = call.hypervisor.physical
    if parking.type == abi.constant("XEN_CORE_PARKING_GET"):
        parking.idle_nums = len(machine.parked)
    elif parking.type == abi.constant("XEN_CORE_PARKING_SET"):
        wanted = min(parking.idle_nums, machine.processors - 1)
        while len(machine.parked) < wanted:
            machine.parked.append(machine.online()[-1])
            machine.stop(machine.parked[-1])
        while len(machine.parked) > wanted:
            machine.start(machine.parked.pop())
    else:
        raise XenError("EINVAL")


# ---- Registers, microcode ----


@command("XENPF_resource_op")
def resource_op(call: Call) -> int:
    """Read registers until one is refused; only the time stamp may be read."""
    asked = call.view.u.resource_op
    if asked.nr_entries > _MOST_ENTRIES:
        raise XenError("EINVAL")
    vcpu = call.vcpu
    name = "xenpf_resource_entry"
    size = call.domain.abi.sizeof(name)
    content = vcpu.copy_in(asked.entries, size * asked.nr_entries) if asked.nr_entries else b""
    done = 0
    for index in range(asked.nr_entries):
        entry = call.domain.abi.view(name, bytearray(content[index * size : (index + 1) * size]))
        refused = _refusal(call, entry)
        if refused is not None:
            entry.u.ret = -call.domain.abi.errno(refused)
        elif asked.cpu >= call.hypervisor.physical.processors:
            raise XenError("ENODEV")
        else:
            entry.val = call.hypervisor.clock.now * TICKS_PER_NS
        vcpu.write_struct(name, asked.entries, index, idx=entry.idx, val=entry.val, rsvd=entry.rsvd)
        vcpu.write_word("uint32", entry.u.ret, asked.entries + index * size)
        if refused is not None:
            break
        done += 1
    return done


def _refusal(call: Call, entry: Any) -> str | None:
    abi = call.domain.abi
    read, write = (abi.constant(f"XEN_RESOURCE_OP_MSR_{name}") for name in ("READ", "WRITE"))
    if entry.rsvd:
        return "EINVAL"
    if entry.u.cmd not in (read, write):
        return "EOPNOTSUPP"
    if entry.idx >> 32:
        return "EINVAL"
    if entry.idx != _MSR_TSC:
        return "EPERM" if rank(abi.release) >= rank("4.16") else "EACCES"
    return "EPERM" if entry.u.cmd == write else None


@command("XENPF_microcode_update", "XENPF_microcode_update2")
def microcode_update(_call: Call) -> None:
    """None can be loaded into this processor."""
    raise XenError("EINVAL")


# ---- Power ----


@command("XENPF_change_freq", "XENPF_getidletime")
def speed(_call: Call) -> None:
    """The control domain does not choose the speed."""
    raise XenError("ENOSYS")


@command("XENPF_set_processor_pminfo")
def set_processor_pminfo(call: Call) -> None:
    """The bits of _PDC are taken as they are; nothing about states is known."""
    told = call.view.u.set_pminfo
    abi = call.domain.abi
    if told.type == abi.constant("XEN_PM_PDC"):
        revision, words = (call.vcpu.read_word("uint32", told.u.pdc, i) for i in range(2))
        if revision != 1 or not words:
            raise XenError("EINVAL")
        if told.id != _BOOT_PROCESSOR and not call.hypervisor.physical.is_online(told.id):
            raise XenError("EINVAL")
    elif told.type in (abi.constant("XEN_PM_TX"), abi.constant("XEN_PM_CX")):
        raise XenError("ENOSYS")
    else:
        raise XenError("EINVAL")
