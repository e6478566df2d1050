"""A 64-bit x86 processor on Unicorn: registers, faults, page walks, the time stamp counter.

What `Processor` adds to Unicorn's CPU:

* a software interrupt or fault is never delivered by Unicorn (it does not look at the IDT); it ends
  `run`, and whoever called deals with it: that is the exception itself, or a guest's frame.
* Unicorn never forgets the last exception, and takes the next one for a double fault. `run` clears
  the field after each exception, and `_Core` after what Unicorn does to itself: to take memory
  away, it looks through the guest's page tables for each page of the piece, and where there is
  none it notes a page fault.
"""

from __future__ import annotations

import ctypes
import operator
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import unicorn
from unicorn import x86_const as x86

from xenport.model.cpu import code_traps
from xenport.model.cpu.unicorn_core import Context, UnicornCore
from xenport.model.errors import ModelError
from xenport.model.memory import PAGE_SIZE, Memory, MemoryFault

#: Ticks of the time stamp counter per ns. A power of two, so that guests can compute ns exactly.
TICKS_PER_NS = 2

NMI, UD, NM, DF, TS, NP, SS, GP, PF, AC = 2, 6, 7, 8, 10, 11, 12, 13, 14, 17
WITH_ERROR_CODE = frozenset({DF, TS, NP, SS, GP, PF, AC, 21, 29, 30})

CR0_PE, CR0_TS, CR0_WP, CR0_PG = 1 << 0, 1 << 3, 1 << 16, 1 << 31
CR4_PAE = 1 << 5
EFER_SCE, EFER_LME, EFER_LMA, EFER_NX = 1 << 0, 1 << 8, 1 << 10, 1 << 11
MSR_EFER = 0xC0000080
MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE = 0xC0000100, 0xC0000101, 0xC0000102

FLAG_TF, FLAG_IF, FLAG_NT = 1 << 8, 1 << 9, 1 << 14
FLAG_RF, FLAG_VM, FLAG_AC = 1 << 16, 1 << 17, 1 << 18
FLAG_IOPL = 3 << 12

PRESENT, WRITABLE, USER, ACCESSED, DIRTY, LARGE = 1, 2, 4, 0x20, 0x40, 0x80
ADDRESS = 0x000F_FFFF_FFFF_F000

HYPERCALL_PAGE_MSR = 0x40000000

E820_RAM, E820_RESERVED = 1, 2
SPARE_PAGES = 256  #: that a domain of a tool stack's may get after its start

_QWORD = struct.Struct("<Q")

_STATE = (
    x86.UC_X86_REG_RAX,
    x86.UC_X86_REG_RCX,
    x86.UC_X86_REG_RDX,
    x86.UC_X86_REG_RBX,
    x86.UC_X86_REG_RSP,
    x86.UC_X86_REG_RBP,
    x86.UC_X86_REG_RSI,
    x86.UC_X86_REG_RDI,
    *range(x86.UC_X86_REG_R8, x86.UC_X86_REG_R8 + 8),
    x86.UC_X86_REG_RIP,
)
RAX, RCX, RDX, RBX, RSI, RDI, R8, R9, R10, R11, RIP = (
    0,
    1,
    2,
    3,
    6,
    7,
    8,
    9,
    10,
    11,
    16,
)  #: in `state`

#: The registers of a hypercall's arguments, out of `state`.
arguments: Callable[[ctypes.Array[ctypes.c_uint64]], tuple[int, ...]] = operator.itemgetter(
    RDI, RSI, RDX, R10, R8, R9
)

#: Vendor, family and features of the processor that guests see. The vendor decides which
#: instruction makes a hypercall.
_VENDOR = b"GenuineIntel"
_SIGNATURE = 0x000306C3
_FEATURES_EDX = 0x078BFBFF & ~(1 << 9)  # no APIC
_FEATURES_ECX = 1 << 31  # runs under a hypervisor


@dataclass(frozen=True)
class Fault:
    """An exception of the guest: vector, error code (0 if it has none), CR2."""

    vector: int
    error_code: int = 0
    address: int = 0


class _Calibration:
    """Where Unicorn's context keeps the last exception and the error code of the present one."""

    def __init__(self) -> None:
        memory = Memory(0, 0x10000)
        core = UnicornCore(unicorn.UC_ARCH_X86, unicorn.UC_MODE_64)
        core.map_memory(memory)
        core.hook_interrupt(lambda _number: core.stop())
        memory.write(0x1000, bytes.fromhex("488902"))  # mov [rdx], rax
        for level, address in enumerate((0x2000, 0x3000, 0x4000)):
            entry = 0x3000 + 0x1000 * level if level < 2 else LARGE
            memory.write(address, _QWORD.pack(entry | PRESENT | WRITABLE))
        core.uc.reg_write(x86.UC_X86_REG_CR3, 0x2000)
        core.uc.reg_write(x86.UC_X86_REG_CR4, core.uc.reg_read(x86.UC_X86_REG_CR4) | CR4_PAE)
        core.uc.msr_write(MSR_EFER, EFER_LME | EFER_LMA)
        core.uc.reg_write(x86.UC_X86_REG_CR0, CR0_PG | CR0_PE)
        core.uc.reg_write(x86.UC_X86_REG_RDX, 1 << 32)
        context = Context(core)
        before = set(context.offsets_of(PF, 4))
        core.run(0x1000)
        context.load()
        found = [offset for offset in context.offsets_of(PF, 4) if offset not in before]
        if not found:
            raise ModelError("this build of Unicorn keeps the last exception elsewhere")
        self.last_exception = found[0]
        self.error_code = found[0] - 112
        core.uc.reg_write(x86.UC_X86_REG_RAX, 0x5A00_0000_1234)
        context.load()
        self.registers = context.offsets_of(0x5A00_0000_1234, 8)[0]
        if context.u32(self.error_code).value != 2:
            raise ModelError("this build of Unicorn keeps the error code elsewhere")


_calibration: list[_Calibration] = []


def _calibrated() -> _Calibration:
    if not _calibration:
        _calibration.append(_Calibration())
    return _calibration[0]


class _Core(UnicornCore):
    """A core that forgets exceptions that were none of the guest's."""

    def __init__(self) -> None:
        super().__init__(unicorn.UC_ARCH_X86, unicorn.UC_MODE_64)
        state = self.state(_STATE)
        #: The exception that Unicorn remembers, where it runs.
        self.last_exception = ctypes.c_int32.from_address(
            ctypes.addressof(state) + _calibrated().last_exception - _calibrated().registers
        )

    def unmap(self, address: int, size: int) -> None:
        """See `UnicornCore`."""
        super().unmap(address, size)
        self.last_exception.value = -1


class Processor:
    """One processor whose physical memory is ``memory``."""

    def __init__(self, memory: Memory) -> None:
        calibration = _calibrated()
        self.memory = memory
        self.core = _Core()
        self.core.map_memory(memory)
        self.uc = self.core.uc
        self._context = Context(self.core)
        self._error_code = self._context.i32(calibration.error_code)
        self._vector: int | None = None  # of an exception in this run
        self._raised: tuple[int, int] | None = None  # vector and place of `raise_fault`
        register = self.core.register
        self.rip = register(x86.UC_X86_REG_RIP)
        self.rsp = register(x86.UC_X86_REG_RSP)
        self.rflags = register(x86.UC_X86_REG_EFLAGS)
        self.rax = register(x86.UC_X86_REG_RAX)
        self.rbx = register(x86.UC_X86_REG_RBX)
        self.rcx = register(x86.UC_X86_REG_RCX)
        self.rdx = register(x86.UC_X86_REG_RDX)
        self.r11 = register(x86.UC_X86_REG_R11)
        self.cr2 = register(x86.UC_X86_REG_CR2)
        self.cr3 = register(x86.UC_X86_REG_CR3)
        #: rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8 to r15, rip
        self.state = self.core.state(_STATE)
        self.core.hook_interrupt(self._interrupted)
        self._forbidden = 0  # the page that was to be written and must not be
        self.core.hook_memory_fault(self._note_forbidden)

    # ---- Running ----

    def _note_forbidden(self, kind: int, address: int, _size: int, _value: int) -> bool:
        if kind == unicorn.UC_MEM_WRITE_PROT:
            self._forbidden = address & -PAGE_SIZE
        return False

    def _discard_write(self) -> None:
        """Carry out the present instruction, except that the page it writes stays as it is."""
        page = self._forbidden
        content = self.memory.read(page, PAGE_SIZE)
        self.uc.mem_protect(page, PAGE_SIZE, unicorn.UC_PROT_ALL)
        self.uc.emu_start(self.rip.get(), 0, count=1)
        self.uc.mem_protect(page, PAGE_SIZE, unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC)
        self.memory.write(page, content)

    def _interrupted(self, number: int) -> None:
        self._vector = number
        self.core.stop()

    def raise_fault(self, vector: int) -> None:
        """From a hook: the present instruction ends in an exception, with error code 0."""
        self._raised = (vector, self.rip.get())
        self.core.stop()

    def run(self) -> Fault | None:
        """Run until `core.stop`, or until an exception, which is returned."""
        self._vector = None
        self._raised = None
        status = self.core.run(self.rip.get())
        while status == unicorn.UC_ERR_WRITE_PROT:
            self._discard_write()
            status = self.core.run(self.rip.get())
        if self._raised is not None:
            vector, rip = self._raised
            self.rip.set(rip)
            return Fault(vector)
        if self._vector is not None:
            return self._fault(self._vector)
        if status == unicorn.UC_ERR_INSN_INVALID:
            return Fault(UD)
        if status in (unicorn.UC_ERR_FETCH_UNMAPPED, unicorn.UC_ERR_READ_UNMAPPED):
            raise ModelError(f"no memory behind an address used at {self.rip.get():#x}")
        if status != unicorn.UC_ERR_OK:
            raise ModelError(f"Unicorn: {unicorn.UcError(status)} at {self.rip.get():#x}")
        return None

    def _fault(self, vector: int) -> Fault:
        self._context.load()
        error_code = self._error_code.value if vector in WITH_ERROR_CODE else 0
        self.core.last_exception.value = -1
        return Fault(vector, error_code, self.cr2.get() if vector == PF else 0)

    def trap(
        self, segments: Iterable[code_traps.Segment], pattern: bytes, handler: Callable[[int], None]
    ) -> None:
        """Call ``handler(address)`` before each instruction of the kernel that matches."""
        code_traps.trap(self.core, segments, pattern, handler)

    def msr_write(self) -> tuple[int, int]:
        """The MSR, and what wrmsr is about to write to it."""
        low = self.rax.get() & 0xFFFF_FFFF
        return self.rcx.get() & 0xFFFF_FFFF, (self.rdx.get() & 0xFFFF_FFFF) << 32 | low

    # ---- Memory ----

    def walk(self, root: int, address: int, write: bool, user: bool) -> int | None:
        """The physical address behind a virtual one in the tables at ``root``, or None where the
        access would fault. ``user`` demands that every level allows user accesses."""
        if (address >> 47) not in (0, 0x1FFFF):
            return None
        table = root & ADDRESS
        wanted = PRESENT | (WRITABLE if write else 0) | (USER if user else 0)
        for shift in (39, 30, 21, 12):
            try:
                data, start = self.memory.locate(table + 8 * (address >> shift & 511))
            except MemoryFault:
                return None
            entry: int = _QWORD.unpack_from(data, start)[0]
            if entry & wanted != wanted:
                return None
            if shift in (30, 21) and entry & LARGE:
                mask = (1 << shift) - 1
                return entry & ADDRESS & ~mask | address & mask
            table = entry & ADDRESS
        return table | address & 0xFFF

    # ---- Time ----

    def read_counter(self, ns: int) -> None:
        """What rdtsc does, at ``ns`` since boot."""
        ticks = ns * TICKS_PER_NS
        self.rax.set(ticks & 0xFFFF_FFFF)
        self.rdx.set(ticks >> 32 & 0xFFFF_FFFF)


def cpuid(leaf: int) -> tuple[int, int, int, int]:
    """eax, ebx, ecx, edx of a leaf of the processor's own."""
    if leaf == 0:
        ebx, edx, ecx = struct.unpack("<3I", _VENDOR)
        return 1, ebx, ecx, edx
    if leaf == 1:
        return _SIGNATURE, 0, _FEATURES_ECX, _FEATURES_EDX
    if leaf == 0x80000000:
        return 0x80000001, 0, 0, 0
    if leaf == 0x80000001:
        return 0, 0, 0, 1 << 29 | 1 << 20 | 1 << 11  # long mode, no-execute, syscall
    return 0, 0, 0, 0
