"""arm64: a guest on a Unicorn core at EL1, with Xen's interrupt controller, timer and firmware.

Hypercalls are ``hvc`` with XEN_HYPERCALL_TAG. Events are a level of a private interrupt: it is
asserted for as long as evtchn_upcall_pending is set. Guest handles are virtual addresses.

Unicorn reports exceptions to a hook and enters no vector by itself, so `run` does what the processor
would. It also takes no interrupts: those are delivered between two runs, and the instructions that
unmask interrupts (writes to DAIF, ERET) are trapped so that a run ends there when one is waiting.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import unicorn
from unicorn import arm64_const

from xenport.model.cpu import arm64_firmware, code_traps
from xenport.model.cpu.arm64_core import (
    CLASS_DATA_ABORT,
    CLASS_INSTRUCTION_ABORT,
    CLASS_SHIFT,
    CLASS_WAIT,
    DAIF,
    EXCEPTION_BRK,
    EXCEPTION_DATA_ABORT,
    EXCEPTION_HVC,
    EXCEPTION_INSTRUCTION_ABORT,
    EXCEPTION_SMC,
    EXCEPTION_SVC,
    EXCEPTION_UNDEFINED,
    PSTATE_IRQ_MASK,
    SYNDROME_LONG,
    SYNDROME_UNDEFINED,
    Arm64Core,
    general_register,
    system_register,
)
from xenport.model.cpu.arm64_domain import Map, load, memory_map
from xenport.model.cpu.arm64_gic import REDISTRIBUTOR_SIZE, SPURIOUS, Distributor, Gic
from xenport.model.cpu.arm64_timer import FREQUENCY, VirtualTimer
from xenport.model.cpu.base import Cpu
from xenport.model.errors import XenError
from xenport.model.handlers import Handlers
from xenport.model.memory import MemoryFault

if TYPE_CHECKING:
    from xenport.model.domain import Domain
    from xenport.model.vcpu import Vcpu

_INSTRUCTION_SIZE = 4

# Instructions, as regular expressions over their bytes, or as mask and value of the word.
_MSR_DAIFCLR = rb"\xff[\x40-\x4f]\x03\xd5"
_ERET = rb"\xe0\x03\x9f\xd6"
_MOVE_SYSTEM = (0xFFD00000, 0xD5100000)  # MRS and MSR of a register
_MOVE_IS_READ = 1 << 21
_ZERO_REGISTER = 31

#: Exceptions that the guest gets as they are, and whether their PC is behind the instruction; for all
#: of them that is what the guest returns to.
_GUEST_EXCEPTIONS = {
    EXCEPTION_UNDEFINED,
    EXCEPTION_SVC,
    EXCEPTION_INSTRUCTION_ABORT,
    EXCEPTION_DATA_ABORT,
    EXCEPTION_BRK,
}

_DATA_ABORT = CLASS_DATA_ABORT << CLASS_SHIFT | SYNDROME_LONG
_INSTRUCTION_ABORT = CLASS_INSTRUCTION_ABORT << CLASS_SHIFT | SYNDROME_LONG


class Arm64Cpu(Cpu):
    """A vcpu of an arm64 guest."""

    handlers = Handlers()
    capabilities = "xen-3.0-aarch64 xen-3.0-armv7l "
    silo = True

    def __init__(self, vcpu: Vcpu) -> None:
        super().__init__(vcpu)
        domain = vcpu.domain
        self.features = (
            "XENFEAT_memory_op_vnode_supported",
            "XENFEAT_writable_page_tables",
            "XENFEAT_auto_translated_physmap",
            "XENFEAT_ARM_SMCCC_supported",
            # Dom0's RAM is where it says it is.
            "XENFEAT_direct_mapped" if domain.is_control else "XENFEAT_not_direct_mapped",
        )
        self._tag = domain.abi.constant("XEN_HYPERCALL_TAG")
        self._clock = self.hypervisor.clock
        self._map: Map = memory_map(domain)
        self._event_level = 1 << self._map.event_interrupt
        self._timer_level = 1 << domain.abi.constant("GUEST_TIMER_VIRT_PPI")
        self._exception: int | None = None  # to be taken when the core has stopped
        self._bad_access: tuple[int, int] | None = None  # kind and address, where no memory is
        self._hypercalls: set[int] = set()  # addresses behind the instructions seen so far

        self.core = Arm64Core(vcpu.id)
        self.core.map_memory(domain.memory)
        # The number, the arguments in x0 to x4, and where it comes from.
        self._call = self.core.registers(
            [
                general_register(16),
                *(general_register(n) for n in range(5)),
                arm64_const.UC_ARM64_REG_PC,
            ]
        )
        self._result = self.core.x[0]
        self.timer = VirtualTimer(self._clock, vcpu.kick)
        self.distributor = self._shared_distributor()
        self.gic = Gic(
            self.distributor,
            vcpu.id,
            is_last=vcpu.id == domain.max_vcpus - 1,
            levels=self._levels,
        )
        self._hook()

    def _shared_distributor(self) -> Distributor:
        vcpus = self.vcpu.domain.vcpus
        return self._of(vcpus[0]).distributor if vcpus else Distributor()

    @staticmethod
    def _of(vcpu: Vcpu) -> Arm64Cpu:
        cpu = vcpu.cpu
        assert isinstance(cpu, Arm64Cpu)
        return cpu

    def _hook(self) -> None:
        core = self.core
        core.hook_interrupt(self._interrupt)
        core.hook_memory_fault(self._no_memory)
        readers = {register: self._read(reader) for register, reader in self.timer.readers.items()}
        writers = {register: self._write(writer) for register, writer in self.timer.writers.items()}
        writers[DAIF] = self._write_daif
        core.hook_system_registers(readers, writers)
