"""A Unicorn core for 32-bit Arm in supervisor mode: registers of coprocessor 15, entry to and
return from exceptions, and what an abort was about.

Unicorn reports exceptions to a hook and enters no vector. It opens the CPU in the secure state;
SCR has to be set before ``hvc`` is an instruction. What an abort was about is in no register then,
but in the saved context of the CPU, at a position found by calibration. Registers of coprocessor 15
cannot be hooked: see `coprocessor_access`.
"""

from __future__ import annotations

import ctypes
import functools
from dataclasses import dataclass
from typing import NamedTuple

import unicorn
from unicorn import arm_const
from unicorn.unicorn_py3.unicorn import uclib

from xenport.model.cpu.arm_core import IRQ_MASK, ArmCore
from xenport.model.cpu.unicorn_core import Context, UnicornCore
from xenport.model.errors import ModelError
from xenport.model.memory import PAGE_SIZE, Buffer

INSTRUCTION_SIZE = 4

# Program status.
_ABORT_MASK = 1 << 8
_MODE = 0x1F
_MODE_IRQ = 0x12
_MODE_SUPERVISOR = 0x13
_MODE_ABORT = 0x17
_MODE_UNDEFINED = 0x1B
_KEPT_BY_EXCEPTIONS = 0xF80F_01C0  # not IT, J, GE, E, T and mode

# Vectors: offsets from VBAR.
_UNDEFINED = 0x04
_SUPERVISOR_CALL = 0x08
_PREFETCH_ABORT = 0x0C
_DATA_ABORT = 0x10
_INTERRUPT = 0x18

#: Fault status of what Xen injects: a debug event, in the long format.
_INJECTED = 1 << 9 | 0x22

Encoding = tuple[int, int, int, int]
"""A register of coprocessor 15, as MRC names it: opc1, CRn, CRm, opc2."""

WideEncoding = tuple[int, int]
"""One of 64 bits, as MRRC names it: opc1, CRm."""

_VMPIDR: Encoding = (4, 0, 0, 5)
_SCTLR: Encoding = (0, 1, 0, 0)
_SCR: Encoding = (0, 1, 1, 0)
_TTBCR: Encoding = (0, 2, 0, 2)
_DFSR: Encoding = (0, 5, 0, 0)
_IFSR: Encoding = (0, 5, 0, 1)
_DFAR: Encoding = (0, 6, 0, 0)
_IFAR: Encoding = (0, 6, 0, 2)
_VBAR: Encoding = (0, 12, 0, 0)
_CNTFRQ: Encoding = (0, 14, 0, 0)

_SCR_GUEST = 0x101  # non-secure, HVC
_MPIDR_RES1 = 1 << 31
_LONG_DESCRIPTORS = 1 << 31  # in TTBCR


class _EncodedRegister(ctypes.Structure):
    """Unicorn's uc_arm_cp_reg. ``sec`` is 0 for the non-secure copy."""

    _fields_ = (
        ("cp", ctypes.c_uint32),
        ("is64", ctypes.c_uint32),
        ("sec", ctypes.c_uint32),
        ("crn", ctypes.c_uint32),
        ("crm", ctypes.c_uint32),
        ("opc1", ctypes.c_uint32),
        ("opc2", ctypes.c_uint32),
        ("value", ctypes.c_uint64),
    )


class CoprocessorRegister:
    """One register of coprocessor 15, read and written without checks and side effects."""

    def __init__(self, core: UnicornCore, register: Encoding) -> None:
        opc1, crn, crm, opc2 = register
        self._register = _EncodedRegister(cp=15, crn=crn, crm=crm, opc1=opc1, opc2=opc2)
        self._arguments = (
            core.handle,
            arm_const.UC_ARM_REG_CP_REG,
            ctypes.byref(self._register),
        )

    def get(self) -> int:
        """Its value."""
        uclib.uc_reg_read(*self._arguments)
        value: int = self._register.value
        return value

    def set(self, value: int) -> None:
        """Write ``value``."""
        self._register.value = value
        uclib.uc_reg_write(*self._arguments)


@dataclass(frozen=True)
class CoprocessorAccess:
    """MRC, MCR, MRRC or MCRR of coprocessor 15. ``general`` has the numbers of the registers on the
    other side: one, or the lower and the upper half."""

    register: Encoding | WideEncoding
    reads: bool
    general: tuple[int, ...]


def coprocessor_access(word: int) -> CoprocessorAccess:
    """What the instruction ``word``, which is one of these, does."""
    first = word >> 12 & 15
    if word & 0x0F00_0010 == 0x0E00_0010:
        register = (word >> 21 & 7, word >> 16 & 15, word & 15, word >> 5 & 7)
        return CoprocessorAccess(register, bool(word >> 20 & 1), (first,))
    return CoprocessorAccess(
        (word >> 4 & 15, word & 15), bool(word >> 20 & 1), (first, word >> 16 & 15)
    )


class _Layout(NamedTuple):
    """Offsets in the saved context of a CPU, in bytes."""

    status: int  # 32 bits
    address: int  # 64 bits


class Arm32Core(ArmCore):
    """The core of vcpu ``number``, in supervisor mode with the MMU off."""

    WORD = ctypes.c_uint32

    def __init__(self, number: int = 0) -> None:
        super().__init__(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_ARM, arm_const.UC_CPU_ARM_CORTEX_A15)
        self.coprocessor(_SCR).set(_SCR_GUEST)
        self.coprocessor(_VMPIDR).set(_MPIDR_RES1 | number)
        self.general = [self.register(general_register(n)) for n in range(15)]
        self.pc = self.register(arm_const.UC_ARM_REG_PC)
        self.status = self.register(arm_const.UC_ARM_REG_CPSR)
        self._sp = self.register(arm_const.UC_ARM_REG_SP)
        self._lr = self.register(arm_const.UC_ARM_REG_LR)
        self._spsr = self.register(arm_const.UC_ARM_REG_SPSR)
        self._vbar = self.coprocessor(_VBAR)
        self._context = Context(self)

    def coprocessor(self, register: Encoding) -> CoprocessorRegister:
        """The register of coprocessor 15."""
        return CoprocessorRegister(self, register)

    def reset(
        self, pc: int, arguments: tuple[int, ...], cpsr: int, sctlr: int, frequency: int
    ) -> None:
        """The state in which a vcpu starts; ``arguments`` are in r0 and up, ``frequency`` is of the
        counters in Hz."""
        self.coprocessor(_SCTLR).set(sctlr)
        self.coprocessor(_CNTFRQ).set(frequency)
        self.status.set(cpsr)
        for register in self.general:
            register.set(0)
        for register, value in zip(self.general, arguments, strict=False):
            register.set(value)
        self._go_to(pc)

    def run(self, pc: int) -> int:
        return super().run(pc | self._thumb())

    def _go_to(self, pc: int) -> None:
        """Set the PC. Unicorn takes the state, ARM or Thumb, from its lowest bit."""
        self.pc.set(pc | self._thumb())

    def _thumb(self) -> int:
        return self.status.get() >> 5 & 1

    # ---- Exceptions ----

    def take_interrupt(self) -> None:
        self._enter(_MODE_IRQ, _INTERRUPT, self.pc.get() + 4)

    def take_undefined(self) -> None:
        """Enter the vector for the undefined instruction at the PC."""
        self._enter(_MODE_UNDEFINED, _UNDEFINED, self.pc.get() + 4)

    def take_supervisor_call(self) -> None:
        """Enter the vector for SVC; the PC is behind it."""
        self._enter(_MODE_SUPERVISOR, _SUPERVISOR_CALL, self.pc.get())

    def take_prefetch_abort(self, status: int, address: int) -> None:
        """Enter the vector for an instruction that cannot be fetched, or BKPT, at the PC."""
        self.coprocessor(_IFSR).set(status)
        self.coprocessor(_IFAR).set(address)
        self._enter(_MODE_ABORT, _PREFETCH_ABORT, self.pc.get() + 4)

    def take_data_abort(self, status: int, address: int) -> None:
        """Enter the vector for an access of the instruction at the PC."""
        self.coprocessor(_DFSR).set(status)
        self.coprocessor(_DFAR).set(address)
        self._enter(_MODE_ABORT, _DATA_ABORT, self.pc.get() + 8)

    def inject_undefined(self) -> None:
        # Xen counts from the PC, which is behind the call.
        self._enter(_MODE_UNDEFINED, _UNDEFINED, self.pc.get() + 4)

    def inject_abort(self, address: int, *, fetch: bool) -> None:
        for register, value in (
            (_IFSR if fetch else _DFSR, _INJECTED),
            (_IFAR if fetch else _DFAR, address),
        ):
            self.coprocessor(register).set(value)
        # Xen leaves the return address at the instruction.
        self._enter(_MODE_ABORT, _PREFETCH_ABORT if fetch else _DATA_ABORT, self.pc.get())

    def _enter(self, mode: int, vector: int, return_address: int) -> None:
        status = self.status.get()
        masks = IRQ_MASK | (_ABORT_MASK if mode in (_MODE_IRQ, _MODE_ABORT) else 0)
        self.status.set(status & _KEPT_BY_EXCEPTIONS | mode | masks)  # and with it the stack
        self._spsr.set(status)
        self._lr.set(return_address)
        self.pc.set(self._vbar.get() + vector)

    def return_from_exception(self, pc: int, status: int) -> None:
        """Go on at ``pc`` in the mode that ``status`` says."""
        self.status.set(status)
        self._go_to(pc)

    def saved_status(self) -> int:
        """SPSR of the present mode."""
        return self._spsr.get()

    def abort(self) -> tuple[int, int]:
        """Status, as in DFSR and IFSR, and address of the abort that was hooked last."""
        layout = _calibrate()
        self._context.load()
        return (
            self._context.u32(layout.status).value,
            self._context.u64(layout.address).value & 0xFFFF_FFFF,
        )


def general_register(n: int) -> int:
    """Unicorn's identifier of rn."""
    names = {13: "SP", 14: "LR", 15: "PC"}
    identifier: int = getattr(arm_const, f"UC_ARM_REG_{names.get(n, f'R{n}')}")
    return identifier


# Calibration: a load at _FAULTING from an address that no table maps, with the MMU on.
_LOAD = 0xE5914008  # ldr r4, [r1, #8]
_BASE = 0x7123_4560
_FAULTING = _BASE + 8
_TRANSLATION_FAULT = 1 << 9 | 5  # long descriptors, at level 1
_BLOCK = 0x701  # the first GiB, onto itself
_TTBR0: Encoding = (0, 2, 0, 0)


@functools.cache
def _calibrate() -> _Layout:
    """Find status and fault address in this Unicorn's CPU state."""
    core = Arm32Core()
    memory = Buffer(2 * PAGE_SIZE)
    memory.data[:4] = _LOAD.to_bytes(4, "little")
    memory.data[PAGE_SIZE : PAGE_SIZE + 8] = _BLOCK.to_bytes(8, "little")
    core.map(0, memory.size, memory.address, memory)
    core.status.set(_MODE_SUPERVISOR | IRQ_MASK)
    core.coprocessor(_TTBR0).set(PAGE_SIZE)
    core.coprocessor(_TTBCR).set(_LONG_DESCRIPTORS)
    core.coprocessor(_SCTLR).set(core.coprocessor(_SCTLR).get() | 1)
    core.flush_tlb()
    core.general[1].set(_BASE)
    core.hook_interrupt(lambda _number: core.stop())
    core.run(0)

    context = Context(core)
    context.load()
    statuses = context.offsets_of(_TRANSLATION_FAULT, size=4)
    addresses = context.offsets_of(_FAULTING, size=8, step=8)
    if len(statuses) != 1 or len(addresses) != 1:
        raise ModelError(
            f"Unicorn's context has statuses at {statuses} and fault addresses at {addresses}, "
            "expected one place each"
        )
    return _Layout(statuses[0], addresses[0])
