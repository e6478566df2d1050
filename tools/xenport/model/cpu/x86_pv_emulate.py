"""Instructions that a PV kernel may not execute, and that Xen carries out for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenport.model.cpu.x86_core import (
    GP,
    HYPERCALL_PAGE_MSR,
    MSR_FS_BASE,
    MSR_GS_BASE,
    MSR_KERNEL_GS_BASE,
    UD,
    Fault,
)
from xenport.model.cpu.x86_leaves import guest_cpuid, hypercall_page_frame
from xenport.model.errors import XenError
from xenport.model.memory import PAGE_SIZE

if TYPE_CHECKING:
    from xenport.model.cpu.x86_64_pv import PvCpu

_CLI, _STI = 0xFA, 0xFB
_CPUID = b"\x0f\xa2"
#: ud2 and "xen": the next instruction is to be emulated whether or not it faults.
_FORCED = b"\x0f\x0bxen"
_CLTS = b"\x0f\x06"
_WRMSR, _RDMSR = b"\x0f\x30", b"\x0f\x32"
_BASES = (MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE)


def emulate(cpu: PvCpu, fault: Fault) -> bool:
    """Carry out the instruction that faulted; False: it is the guest's fault."""
    processor = cpu.processor
    rip = processor.rip.get()
    code = _fetch(cpu, rip, 7)
    if fault.vector == UD:
        if code[:5] == _FORCED and code[5:7] == _CPUID:
            do_cpuid(cpu)
            processor.rip.set(rip + 7)
            return True
        return False
    assert fault.vector == GP
    if code[:1] and code[0] in (_CLI, _STI):
        # Without the right to do so it is a fault; with it, nothing: Xen takes no such risk.
        if cpu.iopl < 1:
            return False
        processor.rip.set(rip + 1)
        return True
    if code[:2] == _CLTS:
        cpu.set_task_switched(False)
    elif code[:2] == _RDMSR:
        if not _do_rdmsr(cpu):
            return False
    elif code[:2] == _WRMSR:
        if not _do_wrmsr(cpu):
            return False
    else:
        return False
    processor.rip.set(rip + 2)
    return True


def do_cpuid(cpu: PvCpu) -> None:
    """Answer with the processor's and Xen's leaves."""
    processor = cpu.processor
    leaf, subleaf = (register.get() & 0xFFFF_FFFF for register in (processor.rax, processor.rcx))
    values = guest_cpuid(cpu.vcpu, leaf, subleaf)
    registers = (processor.rax, processor.rbx, processor.rcx, processor.rdx)
    for register, value in zip(registers, values, strict=True):
        register.set(value)


def _do_rdmsr(cpu: PvCpu) -> bool:
    """Only the bases of segments and Xen's own register can be read."""
    processor = cpu.processor
    number = processor.rcx.get() & 0xFFFF_FFFF
    if number in _BASES:
        value = processor.uc.msr_read(number)
    elif number == HYPERCALL_PAGE_MSR:
        value = 0
    else:
        return False
    processor.rax.set(value & 0xFFFF_FFFF)
    processor.rdx.set(value >> 32)
    return True


def _do_wrmsr(cpu: PvCpu) -> bool:
    """Only Xen's own register can be written."""
    frame = hypercall_page_frame(*cpu.processor.msr_write())
    machine = cpu.start.machine
    if frame is None or not machine.is_writable(frame):
        return False
    machine.memory.write(frame * PAGE_SIZE, cpu.hypercall_page(cpu.vcpu.domain.abi))
    return True


def _fetch(cpu: PvCpu, address: int, length: int) -> bytes:
    """As many of the bytes at ``address`` as can be read."""
    for size in range(length, 0, -1):
        try:
            return bytes(cpu.vcpu.copy_in(address, size))
        except XenError:
            continue
    return b""
