"""32-bit HVM guests: those of 64-bit ones that stay in the mode of the PVH entry.

They may run without paging, with two levels of page tables, or with PAE's three.
"""

from __future__ import annotations

import ctypes
import operator
import struct
from collections.abc import Callable

from unicorn import x86_const as x86

from xenport.model.cpu import x86_32_calls
from xenport.model.cpu.x86_64_pvh import DeliveryFailed, PvhCpu
from xenport.model.cpu.x86_core import (
    CR4_PAE,
    FLAG_IF,
    FLAG_NT,
    FLAG_RF,
    FLAG_TF,
    FLAG_VM,
    LARGE,
    PRESENT,
    RBX,
    RCX,
    RDI,
    RDX,
    RSI,
    WITH_ERROR_CODE,
    WRITABLE,
    Fault,
)
from xenport.model.cpu.x86_pc import PcCpu
from xenport.model.errors import XenError
from xenport.model.handlers import Handlers
from xenport.model.memory import MemoryFault

_arguments: Callable[[ctypes.Array[ctypes.c_uint64]], tuple[int, ...]] = operator.itemgetter(
    RBX, RCX, RDX, RSI, RDI
)

_INTERRUPT_GATE, _TRAP_GATE, _TASK_GATE = 0xE, 0xF, 0x5
_GATE = struct.Struct("<HHBBH")
_RETURN = struct.Struct("<3I")
_TASK = struct.Struct("<17I")  # of a TSS, from CR3: it, eip, eflags, eax to edi, es to gs
_TASK_AT = 0x1C
_BUSY = 0x2

#: The general registers in the order of a TSS.
_GENERAL = (
    x86.UC_X86_REG_EIP,
    x86.UC_X86_REG_EFLAGS,
    x86.UC_X86_REG_EAX,
    x86.UC_X86_REG_ECX,
    x86.UC_X86_REG_EDX,
    x86.UC_X86_REG_EBX,
    x86.UC_X86_REG_ESP,
    x86.UC_X86_REG_EBP,
    x86.UC_X86_REG_ESI,
    x86.UC_X86_REG_EDI,
)


class Hvm32Cpu(PvhCpu):
    """A vcpu of a 32-bit HVM guest."""

    handlers = Handlers(x86_32_calls.handlers, PvhCpu.handlers)
    virt_start = 0  # of a Xen without 32-bit PV guests
    word = (1 << 32) - 1
    return_instruction = rb"\xcf"

    def arguments(self, state: ctypes.Array[ctypes.c_uint64]) -> tuple[int, ...]:
        """Those of a hypercall, out of the general registers."""
        return _arguments(state)

    def return_from_exception(self, _address: int) -> None:
        """iret to the same privilege."""
        if not self.waits():
            return
        processor = self.processor
        content = self.fetch(processor.rsp.get(), _RETURN.size)
        if len(content) < _RETURN.size:
            return
        eip, _selector, flags = _RETURN.unpack(content)
        processor.rsp.set(processor.rsp.get() + _RETURN.size)
        self.resume(eip, flags | 2)

    def walk(self, root: int, address: int, write: bool) -> int | None:
        """By the tables of two levels, or PAE's."""
        pae = self.processor.uc.reg_read(x86.UC_X86_REG_CR4) & CR4_PAE
        size, levels = (8, (30, 21, 12)) if pae else (4, (22, 12))
        table = root & (~0x1F if pae else ~0xFFF)
        for shift in levels:
            index = address >> shift & (4096 // size - 1)
            try:
                data, start = self.processor.memory.locate(table + size * index)
            except MemoryFault:
                return None
            entry = int.from_bytes(data[start : start + size], "little")
            # Entries of PAE's first level have no right to write of their own.
            wanted = PRESENT | (WRITABLE if write and shift != 30 else 0)
            if entry & wanted != wanted:
                return None
            if shift in (21, 22) and entry & LARGE:
                mask = (1 << shift) - 1
                return entry & 0x000F_FFFF_FFFF_F000 & ~mask | address & mask
            table = entry & 0x000F_FFFF_FFFF_F000
        return table | address & 0xFFF

    # ---- The interrupt descriptor table ----

    def deliver(self, fault: Fault) -> None:
        """Enter the guest's handler as the processor does in 32-bit mode, at the same privilege."""
        processor = self.processor
        uc = processor.uc
        _selector, table, limit, _flags = uc.reg_read(x86.UC_X86_REG_IDTR)
        at = 8 * fault.vector
        if at + 7 > limit:
            raise DeliveryFailed
        low, selector, _reserved, kind, high = _GATE.unpack(self.read(table + at, _GATE.size))
        if not kind & 0x80 or kind & 0xF not in (_INTERRUPT_GATE, _TRAP_GATE, _TASK_GATE):
            raise DeliveryFailed
        words = [fault.error_code] if fault.vector in WITH_ERROR_CODE else []
        if kind & 0xF == _TASK_GATE:
            self._switch_task(selector)
        else:
            flags = processor.rflags.get()
            words += [processor.rip.get(), uc.reg_read(x86.UC_X86_REG_CS), flags]
            cleared = FLAG_TF | FLAG_NT | FLAG_RF | FLAG_VM
            if kind & 0xF == _INTERRUPT_GATE:
                cleared |= FLAG_IF
            self._push(words)
            processor.rflags.set(flags & ~cleared)
            processor.rip.set(low | high << 16)
            return
        self._push(words)

    def _push(self, words: list[int]) -> None:
        rsp = self.processor.rsp.get() - 4 * len(words) & self.word
        try:
            self.vcpu.copy_out(rsp, struct.pack(f"<{len(words)}I", *words))
        except XenError:
            raise DeliveryFailed from None
        self.processor.rsp.set(rsp)

    def _switch_task(self, selector: int) -> None:
        """Save the registers in the present task's state, take those of another; both have the same
        flat segments."""
        uc = self.processor.uc
        _selector, gdt, _limit, _flags = uc.reg_read(x86.UC_X86_REG_GDTR)
        old_selector, old, _limit, _flags = uc.reg_read(x86.UC_X86_REG_TR)
        descriptor = bytearray(self.read(gdt + (selector & ~7), 8))
        if descriptor[5] & _BUSY:
            raise DeliveryFailed
        new = int.from_bytes(descriptor[2:5] + descriptor[7:8], "little")
        before = [self.paging.read()[1], *(uc.reg_read(register) for register in _GENERAL)]
        state = _TASK.unpack(self.read(new + _TASK_AT, _TASK.size))
        descriptor[5] |= _BUSY
        try:
            self.vcpu.copy_out(old + _TASK_AT + 4, struct.pack("<10I", *before[1:]))
            self.vcpu.copy_out(new, struct.pack("<I", old_selector))
            self.vcpu.copy_out(gdt + (selector & ~7), bytes(descriptor))
        except XenError:
            raise DeliveryFailed from None
        if state[0] != before[0]:
            uc.reg_write(x86.UC_X86_REG_CR3, state[0])
        for register, value in zip(_GENERAL, state[1:], strict=False):
            uc.reg_write(register, value | FLAG_NT if register == x86.UC_X86_REG_EFLAGS else value)
        uc.reg_write(x86.UC_X86_REG_TR, (selector, new, 0x67, 0x8B00))


class Pc32Cpu(PcCpu, Hvm32Cpu):
    """A vcpu of a guest with the devices of a PC."""

    beside = Hvm32Cpu
