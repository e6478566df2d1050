"""arm64: a guest at EL1, and what Xen for it has of guests: those of 32 bits too."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from unicorn import arm64_const

from xenport.model.cpu.arm import INSTRUCTION_SIZE, ArmCpu
from xenport.model.cpu.arm32 import Arm32Cpu
from xenport.model.cpu.arm64_core import (
    CLASS_SHIFT,
    CLASS_WAIT,
    DAIF,
    PSTATE_MASKS,
    Arm64Core,
    general_register,
    system_register,
)
from xenport.model.cpu.arm_core import EXCEPTION_UNDEFINED
from xenport.model.cpu.arm_domain import ARM32, ARM64, GICV2, GICV3
from xenport.model.cpu.arm_gic import SPURIOUS
from xenport.model.cpu.arm_timer import FREQUENCY

# Instructions that may unmask interrupts, as bytes.
_MSR_DAIFCLR = rb"\xff[\x40-\x4f]\x03\xd5"
_ERET = rb"\xe0\x03\x9f\xd6"

# MRS and MSR with a register, as words: bits 5 to 20 are the system register.
_MOVE_SYSTEM_MASK = 0xFFD00000
_MOVE_SYSTEM = 0xD5100000
_MOVE_SYSTEM_READS = 1 << 21
_ZERO_REGISTER = 31

# CNTPCT and CNTVCT, and CRm of the registers of each timer, which differ in op2.
_COUNTERS = (system_register(3, 3, 14, 0, 1), system_register(3, 3, 14, 0, 2))
_PHYSICAL = 2
_VIRTUAL = 3


class Arm64Cpu(ArmCpu):
    """A vcpu of an arm64 guest."""

    capabilities = "xen-3.0-aarch64 xen-3.0-armv7l "
    kind = ARM64
    has_wide_calls = True
    affinity_levels = 4
    _number_at = 16
    _pc_at = 32  # behind x0 to x30 and SP

    core: Arm64Core

    def _make_core(self) -> Arm64Core:
        return Arm64Core(self.vcpu.id)

    def _hook_registers(self) -> None:
        self._gic_readers = {system_register(3, *at): read for at, read in self.gic.readers.items()}
        self._gic_writers = {system_register(3, *at): do for at, do in self.gic.writers.items()}
        readers: dict[int, Callable[[], int]] = dict.fromkeys(_COUNTERS, self._count)
        writers: dict[int, Callable[[int], None]] = {DAIF: self._write_daif}
        for kind, timer in ((_VIRTUAL, self._virtual_timer), (_PHYSICAL, self._physical_timer)):
            value, control, compare = (system_register(3, 3, 14, kind, op2) for op2 in range(3))
            readers |= {
                value: timer.read_value,
                control: timer.read_control,
                compare: timer.read_compare,
            }
            writers |= {
                value: timer.write_value,
                control: timer.write_control,
                compare: timer.write_compare,
            }
        self.core.hook_system_registers(
            {number: self._then_look(reader) for number, reader in readers.items()},
            {number: self._then_look(writer) for number, writer in writers.items()},
        )

    def _traps(self) -> Mapping[bytes, Callable[[int], None]]:
        return {_MSR_DAIFCLR: self._unmask, _ERET: self._return_from_exception}

    def _state(self) -> ctypes.Array[Any]:
        return self.core.state(
            [
                *(general_register(n) for n in range(31)),
                arm64_const.UC_ARM64_REG_SP,
                arm64_const.UC_ARM64_REG_PC,
            ]
        )

    def _reset(self, entry: int, argument: int, *, boot: bool) -> None:  # noqa: ARG002
        abi = self.vcpu.domain.abi
        self.core.reset(
            entry,
            argument,
            pstate=abi.constant("PSR_GUEST64_INIT"),
            sctlr=abi.constant("SCTLR_GUEST_INIT"),
            frequency=FREQUENCY,
        )

    # ---- Exceptions ----

    def _take_own_exception(self, exception: int) -> None:
        core = self.core
        pc = core.pc.get()
        syndrome, address = core.syndrome()
        if syndrome >> CLASS_SHIFT == CLASS_WAIT:
            core.pc.set(pc + INSTRUCTION_SIZE)
            self.wait()
        elif exception != EXCEPTION_UNDEFINED or not self._access_gic(pc):
            core.take_exception(pc, syndrome, address)

    @staticmethod
    def _immediate_of(word: int) -> int:
        return word >> 5 & 0xFFFF

    # ---- Interrupts ----

    def _write_daif(self, value: int) -> None:
        """MSR DAIF, Xn"""
        self.core.status.set(self.core.status.get() & ~PSTATE_MASKS | value & PSTATE_MASKS)

    def _unmask(self, address: int) -> None:
        """MSR DAIFCLR, #mask: carried out here if an interrupt is waiting for it."""
        if self.gic.highest() == SPURIOUS:
            return
        mask = self.word(address) >> 8 & 15
        self.core.status.set(self.core.status.get() & ~(mask << 6))
        self.core.pc.set(address + INSTRUCTION_SIZE)
        self.after_trap()

    def _return_from_exception(self, _address: int) -> None:
        """ERET: carried out here if an interrupt is waiting."""
        if self.gic.highest() != SPURIOUS:
            self.core.return_from_exception()
            self.after_trap()

    # ---- The interrupt controller's registers ----

    def _access_gic(self, pc: int) -> bool:
        """Carry out MRS or MSR at ``pc`` if it is for the GIC's CPU interface, which this core does
        not have."""
        word = self.word(pc)
        if word & _MOVE_SYSTEM_MASK != _MOVE_SYSTEM:
            return False
        register = word >> 5 & 0xFFFF
        general = word & 31
        if word & _MOVE_SYSTEM_READS:
            reader = self._gic_readers.get(register)
            if reader is None:
                return False
            value = reader()
            if general != _ZERO_REGISTER:
                self.core.general[general].set(value)
        else:
            writer = self._gic_writers.get(register)
            if writer is None:
                return False
            writer(0 if general == _ZERO_REGISTER else self.core.general[general].get())
        self.core.pc.set(pc + INSTRUCTION_SIZE)
        return True


class Arm64GicV2Cpu(Arm64Cpu):
    """The same on a machine with GICv2."""

    kind = replace(ARM64, gic=GICV2)


class Arm32On64Cpu(Arm32Cpu):
    """A vcpu of a 32-bit guest of Xen for arm64, which never is the control domain."""

    capabilities = Arm64Cpu.capabilities
    kind = replace(ARM32, gic=GICV3)
    affinity_levels = Arm64Cpu.affinity_levels
    beside = Arm64Cpu


class Arm32On64GicV2Cpu(Arm32On64Cpu):
    """The same on a machine with GICv2."""

    kind = replace(ARM32, gic=GICV2)
    beside = Arm64GicV2Cpu


CPUS: dict[str, type[ArmCpu]] = {
    "arm": Arm64Cpu,
    "arm gicv2": Arm64GicV2Cpu,
    "arm32 arm": Arm32On64Cpu,
    "arm32 arm gicv2": Arm32On64GicV2Cpu,
}
