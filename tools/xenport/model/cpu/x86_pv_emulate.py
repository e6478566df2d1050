"""Instructions that a PV kernel may not execute, and that Xen carries out for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenport.model.cpu.x86_core import GP, UD, Fault, cpuid
from xenport.model.errors import XenError

if TYPE_CHECKING:
    from xenport.model.cpu.x86_64_pv import PvCpu

_CLI, _STI = 0xFA, 0xFB
_CPUID = b"\x0f\xa2"
#: ud2 and "xen": the next instruction is to be emulated whether or not it faults.
_FORCED = b"\x0f\x0bxen"
_OPERAND_SIZE = b"\x66"
#: in, out: with a port in the instruction, and with one in dx; bit 0: not a byte, bit 1: out.
_PORT_INSTRUCTIONS = (0xE4, 0xE5, 0xE6, 0xE7, 0xEC, 0xED, 0xEE, 0xEF)
_CLTS = b"\x0f\x06"


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
    if _port_access(cpu, code):
        return True
    if code[:2] == _CLTS:
        cpu.set_task_switched(False)
        processor.rip.set(rip + 2)
        return True
    return False


def _port_access(cpu: PvCpu, code: bytes) -> bool:
    """in and out, for a kernel that has the level: there are no devices."""
    width = 4
    length = 1
    if code[:1] == _OPERAND_SIZE:
        width = 2
        length = 2
        code = code[1:]
    if not code or code[0] not in _PORT_INSTRUCTIONS or cpu.iopl < 1:
        return False
    opcode = code[0]
    if not opcode & 1:
        width = 1
    if opcode < 0xE8:
        length += 1  # the port follows
    if not opcode & 2:  # in
        mask = (1 << 8 * width) - 1
        rax = cpu.processor.rax
        rax.set(mask if width == 4 else rax.get() & ~mask | mask)
    cpu.processor.rip.set(cpu.processor.rip.get() + length)
    return True


def do_cpuid(cpu: PvCpu) -> None:
    """Answer with the processor's and Xen's leaves."""
    processor = cpu.processor
    leaf = processor.rax.get() & 0xFFFF_FFFF
    values = cpuid(leaf, cpu.hypervisor.version)
    registers = (processor.rax, processor.rbx, processor.rcx, processor.rdx)
    for register, value in zip(registers, values, strict=True):
        register.set(value)


def _fetch(cpu: PvCpu, address: int, length: int) -> bytes:
    """As many of the bytes at ``address`` as can be read."""
    for size in range(length, 0, -1):
        try:
            return bytes(cpu.vcpu.copy_in(address, size))
        except XenError:
            continue
    return b""
