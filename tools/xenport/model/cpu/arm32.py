"""arm32: a guest in the modes of 32-bit Arm.

Unicorn tells of no access to coprocessor 15 and of no WFI. Such instructions are found in the
kernel's code, those that are always executed.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from typing import Any

from xenport.model.cpu.arm import INSTRUCTION_SIZE, ArmCpu
from xenport.model.cpu.arm32_core import (
    Arm32Core,
    Encoding,
    WideEncoding,
    coprocessor_access,
    general_register,
)
from xenport.model.cpu.arm_core import (
    EXCEPTION_DATA_ABORT,
    EXCEPTION_SVC,
    EXCEPTION_UNDEFINED,
)
from xenport.model.cpu.arm_domain import ARM32
from xenport.model.cpu.arm_gic import SPURIOUS
from xenport.model.cpu.arm_timer import FREQUENCY

# Instructions as bytes, condition "always".
_MOVE_TIMER = rb"[\x12\x13\x32\x33][\x0f-\xff][\x0e\x1e]\xee"  # MRC, MCR: CNTP_, CNTV_TVAL, _CTL
_MOVE_WIDE_TIMER = rb"[\x0e\x1e\x2e\x3e][\x0f-\xff][\x40-\x5f]\xec"  # MRRC, MCRR: CNT, CVAL
_MOVE_GIC = rb"[\x1c\x3c\x5c\x7b-\x7c\x9c\xbc\xfc][\x0f-\xff][\x0c\x1c]\xee"  # MRC, MCR: ICC_
_MOVE_PRIORITY_MASK = rb"\x16[\x0f-\xff][\x04\x14]\xee"
_YIELD_WFE = rb"[\x01\x02]\xf0\x20\xe3"  # are undefined to Unicorn
_WFI = rb"\x03\xf0\x20\xe3"

# Those that may unmask interrupts.
_CPSIE = rb"[\x80-\xff][\x00\x01][\x08\x0a]\xf1"
_MSR_CPSR = rb"[\x00-\x0e]\xf0[\x21\x23\x25\x27\x29\x2b\x2d\x2f]\xe1"
_RFEIA = rb"\x00\x0a[\x90-\x9f\xb0-\xbf]\xf8"
_SUBS_PC_LR = rb"[\x00-\xff]\xf0\x5e\xe2"
_MOVS_PC_LR = rb"\x0e\xf0\xb0\xe1"

_MODE = 0x1F
_THUMB = 1 << 5
_MASKS = 0x1C0  # of SErrors, IRQ, FIQ
_CPS_CHANGES_MODE = 1 << 17
_RFE_WRITES_BACK = 1 << 21
_LINK = 14
_NO_MACHINE = 0xFFFF_FFFF

_COUNTERS: tuple[WideEncoding, ...] = ((0, 14), (1, 14))


class Arm32Cpu(ArmCpu):
    """A vcpu of an arm32 guest."""

    capabilities = "xen-3.0-armv7l "
    kind = ARM32
    has_wide_calls = False
    affinity_levels = 3
    _number_at = 12
    _pc_at = 15

    core: Arm32Core

    def _make_core(self) -> Arm32Core:
        return Arm32Core(self.vcpu.id)

    def _hook_registers(self) -> None:
        self._readers: dict[Encoding | WideEncoding, Callable[[], int]] = {}
        self._writers: dict[Encoding | WideEncoding, Callable[[int], None]] = {}
        self._readers.update(self.gic.readers.items())
        self._writers.update(self.gic.writers.items())
        self._readers |= dict.fromkeys(_COUNTERS, self._count)
        for crm, opc1, timer in ((2, 2, self._physical_timer), (3, 3, self._virtual_timer)):
            value, control, compare = (0, 14, crm, 0), (0, 14, crm, 1), (opc1, 14)
            self._readers |= {
                value: timer.read_value,
                control: timer.read_control,
                compare: timer.read_compare,
            }
            self._writers |= {
                value: timer.write_value,
                control: timer.write_control,
                compare: timer.write_compare,
            }

    def _traps(self) -> Mapping[bytes, Callable[[int], None]]:
        return {
            _MOVE_TIMER: self._access_coprocessor,
            _MOVE_WIDE_TIMER: self._access_coprocessor,
            _MOVE_GIC: self._access_coprocessor,
            _MOVE_PRIORITY_MASK: self._access_coprocessor,
            _YIELD_WFE: self._go_on,
            _WFI: self._wait_at,
            _CPSIE: self._unmask,
            _MSR_CPSR: self._write_status,
            _RFEIA: self._return_by_memory,
            _SUBS_PC_LR: self._return_by_link,
            _MOVS_PC_LR: self._return_by_link,
        }

    def _state(self) -> ctypes.Array[Any]:
        return self.core.state([general_register(n) for n in range(16)])

    def _reset(self, entry: int, argument: int, *, boot: bool) -> None:
        abi = self.vcpu.domain.abi
        cpsr = abi.constant("PSR_GUEST32_INIT") | (_THUMB if entry & 1 else 0)
        self.core.reset(
            entry & ~1,
            (0, _NO_MACHINE, argument) if boot else (argument,),
            cpsr=cpsr,
            sctlr=abi.constant("SCTLR_GUEST_INIT"),
            frequency=FREQUENCY,
        )

    # ---- Exceptions ----

    def _take_own_exception(self, exception: int) -> None:
        core = self.core
        if exception == EXCEPTION_UNDEFINED:
            core.take_undefined()
        elif exception == EXCEPTION_SVC:
            core.take_supervisor_call()
        elif exception == EXCEPTION_DATA_ABORT:
            core.take_data_abort(*core.abort())
        else:
            core.take_prefetch_abort(*core.abort())

    @staticmethod
    def _immediate_of(word: int) -> int:
        return word >> 4 & 0xFFF0 | word & 15

    # ---- Instructions that Unicorn does not report ----

    def _go_on(self, address: int) -> None:
        """Behind the instruction that has been carried out."""
        self.core.pc.set(address + INSTRUCTION_SIZE)
        self.after_trap()

    def _access_coprocessor(self, address: int) -> None:
        """MRC, MCR, MRRC, MCRR."""
        access = coprocessor_access(self.word(address))
        general = [self.core.general[n] for n in access.general]
        if access.reads:
            reader = self._readers.get(access.register)
            if reader is None:
                return
            value = reader()
            for position, register in enumerate(general):
                register.set(value >> 32 * position)
        else:
            writer = self._writers.get(access.register)
            if writer is None:
                return
            writer(sum(r.get() << 32 * position for position, r in enumerate(general)))
        self._go_on(address)

    def _wait_at(self, address: int) -> None:
        """WFI"""
        self.wait()
        self._go_on(address)

    # Those that may unmask interrupts are carried out here if one is waiting.

    def _unmask(self, address: int) -> None:
        """CPSIE"""
        if self.gic.highest() == SPURIOUS:
            return
        word = self.word(address)
        status = self.core.status.get() & ~(word & _MASKS)
        if word & _CPS_CHANGES_MODE:
            status = status & ~_MODE | word & _MODE
        self.core.status.set(status)
        self._go_on(address)

    def _write_status(self, address: int) -> None:
        """MSR CPSR_fields, Rn"""
        if self.gic.highest() == SPURIOUS:
            return
        word = self.word(address)
        mask = sum(0xFF << 8 * field for field in range(4) if word >> 16 + field & 1)
        value = self.core.general[word & 15].get()
        self.core.status.set(self.core.status.get() & ~mask | value & mask)
        self._go_on(address)

    def _return_by_memory(self, address: int) -> None:
        """RFEIA"""
        if self.gic.highest() == SPURIOUS:
            return
        word = self.word(address)
        register = self.core.general[word >> 16 & 15]
        at = register.get()
        pc, status = self.word(at), self.word(at + 4)
        if word & _RFE_WRITES_BACK:
            register.set(at + 8)
        self.core.return_from_exception(pc, status)
        self.after_trap()

    def _return_by_link(self, address: int) -> None:
        """SUBS PC, LR, #n and MOVS PC, LR"""
        if self.gic.highest() == SPURIOUS:
            return
        word = self.word(address)
        back = word & 0xFF if word >> 25 & 1 else 0
        core = self.core
        core.return_from_exception(core.general[_LINK].get() - back, core.saved_status())
        self.after_trap()


CPUS = {"arm": Arm32Cpu}
