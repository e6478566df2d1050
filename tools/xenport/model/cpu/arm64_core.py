"""A Unicorn AArch64 core at EL1: system registers by their encoding, entry to and return from
exceptions, and what an exception was about.

Unicorn reports exceptions to a hook and enters no vector. It opens the CPU in the secure state
without an EL2 above EL1; registers of EL2 and EL3 have to be set before ``hvc`` is an instruction
and the MMU works. The syndrome of an exception is in no register then, but in the saved context of
the CPU, at a position found by calibration.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from typing import NamedTuple

import unicorn
from unicorn import arm64_const
from unicorn.unicorn_py3.unicorn import uclib

from xenport.model.cpu.arm_core import ArmCore
from xenport.model.cpu.unicorn_core import Context, UnicornCore
from xenport.model.errors import ModelError
from xenport.model.memory import PAGE_SIZE, Buffer

# Process state.
PSTATE_MASKS = 0x3C0  # of debug exceptions, SError, IRQ, FIQ: what DAIF shows

_PSTATE_SPX = 1 << 0  # SP is that of the exception level, not SP_EL0
_PSTATE_EL = 0xC
_PSTATE_OF_HANDLERS = 0x3C5  # all masked, EL1, SP_EL1

# Vectors: offsets from VBAR_EL1, by where the exception comes from, and of the kind.
_FROM_SP_EL0 = 0x000
_FROM_SP_EL1 = 0x200
_FROM_EL0 = 0x400
_SYNCHRONOUS = 0x000
_INTERRUPT = 0x080

# Classes of exceptions, in the syndrome.
CLASS_SHIFT = 26
CLASS_WAIT = 0x01  # WFI
_CLASS_INSTRUCTION_ABORT = 0x21
_CLASS_DATA_ABORT = 0x25

# Syndromes of what the hypervisor injects.
_SYNDROME_LONG = 1 << 25  # the instruction has 32 bits
_SYNDROME_UNDEFINED = _SYNDROME_LONG


def system_register(op0: int, op1: int, crn: int, crm: int, op2: int) -> int:
    """The number of a system register: its encoding in MRS and MSR as one integer."""
    return op0 << 14 | op1 << 11 | crn << 7 | crm << 3 | op2


DAIF = system_register(3, 3, 4, 2, 1)
_SP_EL0 = system_register(3, 0, 4, 1, 0)
_SP_EL1 = system_register(3, 4, 4, 1, 0)
_SPSR_EL1 = system_register(3, 0, 4, 0, 0)
_ELR_EL1 = system_register(3, 0, 4, 0, 1)
_ESR_EL1 = system_register(3, 0, 5, 2, 0)
_FAR_EL1 = system_register(3, 0, 6, 0, 0)
_VBAR_EL1 = system_register(3, 0, 12, 0, 0)
_TTBR0_EL1 = system_register(3, 0, 2, 0, 0)
_TCR_EL1 = system_register(3, 0, 2, 0, 2)
_SCTLR_EL1 = system_register(3, 0, 1, 0, 0)
_CNTFRQ_EL0 = system_register(3, 3, 14, 0, 0)
_HCR_EL2 = system_register(3, 4, 1, 1, 0)
_VMPIDR_EL2 = system_register(3, 4, 0, 0, 5)
_SCR_EL3 = system_register(3, 6, 1, 1, 0)

_SCR_GUEST = 0x531  # non-secure, HVC, AArch64 below
_HCR_GUEST = 1 << 31 | 1 << 13  # EL1 is AArch64; WFI is an exception
_MPIDR_RES1 = 1 << 31


class _EncodedRegister(ctypes.Structure):
    """Unicorn's uc_arm64_cp_reg."""

    _fields_ = (
        ("crn", ctypes.c_uint32),
        ("crm", ctypes.c_uint32),
        ("op0", ctypes.c_uint32),
        ("op1", ctypes.c_uint32),
        ("op2", ctypes.c_uint32),
        ("value", ctypes.c_uint64),
    )


_SYSTEM_HOOK = ctypes.CFUNCTYPE(
    ctypes.c_uint32,
    ctypes.c_void_p,
    ctypes.c_uint32,
    ctypes.POINTER(_EncodedRegister),
    ctypes.c_void_p,
)


class SystemRegister:
    """One system register, read and written without checks and side effects."""

    def __init__(self, core: UnicornCore, number: int) -> None:
        self._register = _EncodedRegister(
            crn=number >> 7 & 15,
            crm=number >> 3 & 15,
            op0=number >> 14,
            op1=number >> 11 & 7,
            op2=number & 7,
        )
        self._arguments = (
            core.handle,
            arm64_const.UC_ARM64_REG_CP_REG,
            ctypes.byref(self._register),
        )
        self._read = uclib["uc_reg_read"]
        self._write = uclib["uc_reg_write"]

    def get(self) -> int:
        """Its value."""
        self._read(*self._arguments)
        value: int = self._register.value
        return value

    def set(self, value: int) -> None:
        """Write ``value``."""
        self._register.value = value
        self._write(*self._arguments)


class _Layout(NamedTuple):
    """Offsets in the saved context of a CPU, in bytes."""

    syndrome: int  # 32 bits
    fault_address: int  # 64 bits


class Arm64Core(ArmCore):
    """The core of vcpu ``number``, at EL1 with the MMU off."""

    def __init__(self, number: int = 0) -> None:
        super().__init__(unicorn.UC_ARCH_ARM64, unicorn.UC_MODE_ARM, arm64_const.UC_CPU_ARM64_MAX)
        for register, value in (
            (_SCR_EL3, _SCR_GUEST),
            (_HCR_EL2, _HCR_GUEST),
            (_VMPIDR_EL2, _MPIDR_RES1 | number),
        ):
            self.system(register).set(value)
        self.general = [self.register(general_register(n)) for n in range(31)]
        self.pc = self.register(arm64_const.UC_ARM64_REG_PC)
        self.status = self.register(arm64_const.UC_ARM64_REG_PSTATE)
        self._sp = self.register(arm64_const.UC_ARM64_REG_SP)
        self._sp_el0 = self.system(_SP_EL0)
        self._sp_el1 = self.system(_SP_EL1)
        self._spsr = self.system(_SPSR_EL1)
        self._elr = self.system(_ELR_EL1)
        self._esr = self.system(_ESR_EL1)
        self._far = self.system(_FAR_EL1)
        self._vbar = self.system(_VBAR_EL1)
        self._context = Context(self)

    # ---- Registers ----

    def system(self, number: int) -> SystemRegister:
        """The system register with this `system_register` number."""
        return SystemRegister(self, number)

    def reset(self, pc: int, x0: int, pstate: int, sctlr: int, frequency: int) -> None:
        """The state in which a vcpu starts; ``frequency`` of the counters in Hz."""
        for register in self.general:
            register.set(0)
        self.general[0].set(x0)
        self.system(_SCTLR_EL1).set(sctlr)
        self.system(_CNTFRQ_EL0).set(frequency)
        self.status.set(pstate)
        self.pc.set(pc)

    # ---- Exceptions ----

    def take_interrupt(self) -> None:
        """Enter the vector for interrupts."""
        self._enter(_INTERRUPT, self.pc.get())

    def take_exception(self, return_address: int, syndrome: int, address: int = 0) -> None:
        """Enter the vector for synchronous exceptions; ``address`` is that of an abort."""
        self._esr.set(syndrome)
        self._far.set(address)
        self._enter(_SYNCHRONOUS, return_address)

    def inject_undefined(self) -> None:
        self.take_exception(self.pc.get(), _SYNDROME_UNDEFINED)

    def inject_abort(self, address: int, *, fetch: bool) -> None:
        # Xen says no more than the class.
        kind = _CLASS_INSTRUCTION_ABORT if fetch else _CLASS_DATA_ABORT
        self.take_exception(self.pc.get(), kind << CLASS_SHIFT | _SYNDROME_LONG, address)

    def _enter(self, kind: int, return_address: int) -> None:
        pstate = self.status.get()
        if pstate & _PSTATE_SPX:
            origin = _FROM_SP_EL1
        else:
            origin = _FROM_SP_EL0 if pstate & _PSTATE_EL else _FROM_EL0
            # Unicorn changes stacks in its own instructions, but not when PSTATE is written.
            self._sp_el0.set(self._sp.get())
            self._sp.set(self._sp_el1.get())
        self._spsr.set(pstate)
        self._elr.set(return_address)
        self.status.set(_PSTATE_OF_HANDLERS)
        self.pc.set(self._vbar.get() + origin + kind)

    def return_from_exception(self) -> None:
        """What ERET does."""
        new = self._spsr.get()
        old = self.status.get()
        if old & _PSTATE_SPX and not new & _PSTATE_SPX:
            self._sp_el1.set(self._sp.get())
            self._sp.set(self._sp_el0.get())
        elif new & _PSTATE_SPX and not old & _PSTATE_SPX:
            self._sp_el0.set(self._sp.get())
            self._sp.set(self._sp_el1.get())
        self.status.set(new)
        self.pc.set(self._elr.get())

    def syndrome(self) -> tuple[int, int]:
        """Syndrome, as in ESR_EL1, and fault address of the exception that was hooked last."""
        layout = _calibrate()
        self._context.load()
        return (
            self._context.u32(layout.syndrome).value,
            self._context.u64(layout.fault_address).value,
        )

    # ---- Hooks ----

    def hook_system_registers(
        self, readers: dict[int, Callable[[], int]], writers: dict[int, Callable[[int], None]]
    ) -> None:
        """Let functions carry out MRS and MSR of some registers, by number. The CPU must know the
        registers; for those that it does not, the exception comes first."""

        def on_read(
            _uc: int, general: int, encoded: ctypes._Pointer[_EncodedRegister], _data: int
        ) -> int:
            try:
                reader = readers.get(_number(encoded.contents))
                if reader is None:
                    return 0
                value = ctypes.c_uint64(reader())
                if general != arm64_const.UC_ARM64_REG_XZR:
                    uclib.uc_reg_write(self.handle, general, ctypes.byref(value))
            except BaseException as error:
                self.fail(error)
            return 1

        def on_write(
            _uc: int, _general: int, encoded: ctypes._Pointer[_EncodedRegister], _data: int
        ) -> int:
            try:
                writer = writers.get(_number(encoded.contents))
                if writer is None:
                    return 0
                writer(encoded.contents.value)
            except BaseException as error:
                self.fail(error)
            return 1

        self.hook_instruction_raw(arm64_const.UC_ARM64_INS_MRS, _SYSTEM_HOOK(on_read))
        self.hook_instruction_raw(arm64_const.UC_ARM64_INS_MSR, _SYSTEM_HOOK(on_write))


def general_register(n: int) -> int:
    """Unicorn's identifier of xn."""
    identifier: int = getattr(arm64_const, f"UC_ARM64_REG_X{n}")
    return identifier


def _number(encoded: _EncodedRegister) -> int:
    return system_register(encoded.op0, encoded.op1, encoded.crn, encoded.crm, encoded.op2)


# Calibration: a load at _FAULTING from an address that no table maps, with the MMU on.
_LOAD = 0xF9400424  # ldr x4, [x1, #8]
_BASE = 0x71_2345_6780
_FAULTING = _BASE + 8
_TRANSLATION_FAULT = _CLASS_DATA_ABORT << CLASS_SHIFT | _SYNDROME_LONG | 5  # at level 1
_BLOCK = 0x701  # the first GiB, onto itself
_TCR = 64 - 39 | 1 << 23  # 39-bit addresses, TTBR0 only


@functools.cache
def _calibrate() -> _Layout:
    """Find syndrome and fault address in this Unicorn's CPU state."""
    core = Arm64Core()
    memory = Buffer(2 * PAGE_SIZE)
    memory.data[:4] = _LOAD.to_bytes(4, "little")
    memory.data[PAGE_SIZE : PAGE_SIZE + 8] = _BLOCK.to_bytes(8, "little")
    core.map(0, memory.size, memory.address, memory)
    core.system(_TTBR0_EL1).set(PAGE_SIZE)
    core.system(_TCR_EL1).set(_TCR)
    core.system(_SCTLR_EL1).set(core.system(_SCTLR_EL1).get() | 1)
    core.flush_tlb()
    core.general[1].set(_BASE)
    core.hook_interrupt(lambda _number: core.stop())
    core.run(0)

    context = Context(core)
    context.load()
    syndromes = context.offsets_of(_TRANSLATION_FAULT, size=4)
    addresses = context.offsets_of(_FAULTING, size=8, step=8)
    if len(syndromes) != 1 or len(addresses) != 1:
        raise ModelError(
            f"Unicorn's context has syndromes at {syndromes} and fault addresses at {addresses}, "
            "expected one place each"
        )
    return _Layout(syndromes[0], addresses[0])
