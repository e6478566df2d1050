"""A ppc64 guest on a Unicorn core.

Unicorn reports every exception to a hook and enters no vector by itself, so `run` does what the
processor would. The timebase and the decrementer, which Unicorn takes from the host's clock or does
not have, are trapped instruction by instruction.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from unicorn import UC_ERR_OK, UcError, ppc_const

from xenport.model.cpu import code_traps
from xenport.model.cpu.ppc64_core import (
    EXCEPTION_ALIGNMENT,
    EXCEPTION_DATA_SEGMENT,
    EXCEPTION_FACILITY_UNAVAILABLE,
    EXCEPTION_FP_UNAVAILABLE,
    EXCEPTION_HDSI,
    EXCEPTION_HISI,
    EXCEPTION_ILLEGAL,
    EXCEPTION_INSTRUCTION_SEGMENT,
    EXCEPTION_PROGRAM,
    EXCEPTION_SYSTEM_CALL,
    EXCEPTION_VECTOR_UNAVAILABLE,
    EXCEPTION_VSX_UNAVAILABLE,
    SPR_DAR,
    SPR_DSISR,
    SPR_HDAR,
    SPR_HDSISR,
    SPR_SRR0,
    SPR_SRR1,
    Ppc64Core,
)
from xenport.model.cpu.ppc64_domain import Loaded
from xenport.model.cpu.ppc64_guest import MSR_EE, NEVER, VECTOR_PROGRAM, Ppc64Guest

if TYPE_CHECKING:
    from xenport.model.vcpu import Vcpu

#: sc 1, as it reads on this machine in the guest's memory
_SYSTEM_CALL_1 = int.from_bytes(bytes.fromhex("44000022"), sys.byteorder)
_ALL_ONES = (1 << 64) - 1

#: What counts of an address in real mode.
_REAL_ADDRESS = _ALL_ONES >> 4

_VECTOR_SYSTEM_CALL = 0xC00

#: Exceptions that go to the guest's vector as they are.
_VECTORS = {
    EXCEPTION_DATA_SEGMENT: 0x380,
    EXCEPTION_INSTRUCTION_SEGMENT: 0x480,
    EXCEPTION_ALIGNMENT: 0x600,
    EXCEPTION_FP_UNAVAILABLE: 0x800,
    EXCEPTION_VECTOR_UNAVAILABLE: 0xF20,
}

#: What a PowerPC 970 does not know at all, as a POWER10 says it.
_ILLEGAL = {EXCEPTION_ILLEGAL, EXCEPTION_VSX_UNAVAILABLE, EXCEPTION_FACILITY_UNAVAILABLE}

# Reasons of a program interrupt, in SRR1.
_PROGRAM_PRIVILEGED = 1 << 18
_PROGRAM_TRAP = 1 << 17

_STORE = 0x02000000  # in HDSISR

_FREQUENCY = 100_000_000
_TICK_NS = 1_000_000_000 // _FREQUENCY

# mtspr, and the bits that make it one.
_MTSPR = 31 << 26 | 467 << 1
_MOVE = 0x3F << 26 | 0x3FF << 1

# Special-purpose registers of the clocks; the remaining one is the timebase as a whole.
_DECREMENTER = 22
_TIMEBASE_UPPER = 269

#: Moves from and to them: the low five bits of the register's number are in the second byte, the
#: others and the opcode's rest in the two that follow.
_CLOCK_MOVE = (
    rb"[\x7c-\x7f](?:[\x0c\x0d\x2c\x2d\x4c\x4d\x6c\x6d\x8c\x8d\xac\xad\xcc\xcd\xec\xed]\x42[\xa6\xe6]"
    rb"|[\x16\x36\x56\x76\x96\xb6\xd6\xf6][\x02\x03]\xa6)"
)


_SPRS = {"srr0": SPR_SRR0, "srr1": SPR_SRR1, "dar": SPR_DAR, "dsisr": SPR_DSISR}


def _number(name: str) -> int:
    """The number of a general register, "r3"."""
    return int(name.removeprefix("r"))


def _gpr(name: str) -> int:
    """Unicorn's number of it."""
    first: int = ppc_const.UC_PPC_REG_0
    return first + _number(name)


class Ppc64Cpu(Ppc64Guest):
    """A vcpu of a ppc64 guest."""

    #: It divides a second's nanoseconds, so that Xen's conversion of ticks into system time, which
    #: multiplies by a rounded factor, is exact.
    counter_frequency = _FREQUENCY

    def __init__(self, vcpu: Vcpu) -> None:
        self.core = core = Ppc64Core()
        memory = vcpu.domain.memory
        core.map_memory(memory)
        core.enter_guest_state(memory.size)
        self._memory = memory
        self._instructions = memory.ram.data.cast("I")
        self._gprs = [core.register(_gpr(f"r{n}")) for n in range(32)]
        self._registers = {
            **{f"r{number}": register for number, register in enumerate(self._gprs)},
            "lr": core.register(ppc_const.UC_PPC_REG_LR),
            "ctr": core.register(ppc_const.UC_PPC_REG_CTR),
            "xer": core.register(ppc_const.UC_PPC_REG_XER),
            "cr": core.register(ppc_const.UC_PPC_REG_CR),
            "msr": core.msr,
            "pc": core.pc,
        }
        super().__init__(vcpu)
        self._clock = self.hypervisor.clock
        self._timer_vector: int = self.hypervisor.architecture.vectors["timer"]
        self._exception: int | None = None  # to be taken when the core has stopped
        self._decrementer_end = NEVER * _TICK_NS  # ns since boot at which it becomes negative
        self.core.hook_interrupt(self._hook())

    # ---- Registers ----

    def get(self, register: str) -> int:
        if register in self._registers:
            return self._registers[register].get()
        return self.core.sprs(_SPRS[register])[0]

    def set(self, register: str, value: int) -> None:
        if register in self._registers:
            self._registers[register].set(value)
        elif register == "decrementer_end":
            self._decrementer_end = value * _TICK_NS
        else:
            self.core.set_sprs({_SPRS[register]: value})

    def loaded(self, loaded: Loaded) -> None:
        self._trap_clocks(code_traps.find(loaded.code, _CLOCK_MOVE, alignment=4))

    # ---- Running ----

    def run(self) -> None:
        core = self.core
        while not self.vcpu.domain.is_halted:
            status = core.run(core.pc.get())
            if status != UC_ERR_OK:
                self._crash(f"the processor stopped: {UcError(status)}")
            if self._exception is None:
                return
            exception, self._exception = self._exception, None
            self._take(exception)

    def stop(self) -> None:
        self.core.stop()

    def _crash(self, why: str) -> None:
        self.vcpu.domain.crash(f"{why}, at {self.core.pc.get():#x}")

    # ---- Exceptions ----

    def _hook(self) -> Callable[[int], None]:
        """Unicorn's hook of exceptions; the PC is already behind the instruction. Most are
        hypercalls, so all that they need is at hand."""
        core, vcpu = self.core, self.vcpu
        gprs, next_instruction, msr = core.gprs, core.next_instruction, core.msr_in_hooks()
        instructions = self._instructions
        convention = self.hypervisor.architecture.hypercall
        number_at, result_at = (_number(convention[role]) for role in ("number", "result"))
        arguments: Callable[[Any], Any] = operator.itemgetter(*map(_number, convention["args"]))
        call = self.call

        def hook(exception: int) -> None:
            if exception == EXCEPTION_SYSTEM_CALL:
                at = ((next_instruction[0] & _REAL_ADDRESS) >> 2) - 1
                if instructions[at] == _SYSTEM_CALL_1:
                    gprs[result_at] = call(gprs[number_at], arguments(gprs), msr.value)
                    if vcpu.attention or vcpu.info_data[vcpu.pending_at]:
                        self.after_trap()
                    return
            self._exception = exception
            core.stop()

        return hook

    def _take(self, exception: int) -> None:
        """Do to the guest what the processor does on ``exception``."""
        core = self.core
        if exception == EXCEPTION_SYSTEM_CALL:
            self.enter(_VECTOR_SYSTEM_CALL)
            return
        at = core.pc.get() - 4 & _ALL_ONES
        core.pc.set(at)
        if exception == EXCEPTION_HDSI:
            address, status = core.sprs(SPR_HDAR, SPR_HDSISR)
            self.on_no_memory(address, write=status & _STORE != 0)
        elif exception == EXCEPTION_HISI:
            self.on_no_code()
        elif exception == EXCEPTION_PROGRAM:
            reason = _PROGRAM_TRAP if self._is_trap(at) else _PROGRAM_PRIVILEGED
            self.enter(VECTOR_PROGRAM, reason)
        elif exception in _ILLEGAL:
            self.on_illegal()
        elif exception in _VECTORS:
            self.enter(_VECTORS[exception])
        else:
            self._crash(f"exception {exception}, which the model does not know")

    def _is_trap(self, address: int) -> bool:
        """Is the instruction at ``address`` one of tdi, twi, tw, td?"""
        word = int.from_bytes(self._memory.read(address & _REAL_ADDRESS, 4), "big")
        opcode = word >> 26
        return opcode in (2, 3) or (opcode == 31 and word >> 1 & 0x3FF in (4, 68))

    # ---- Events ----

    def event_deliverable(self) -> bool:
        if self.vcpu.upcall_pending or self._clock.now >= self._decrementer_end:
            return self.core.msr.get() & MSR_EE != 0
        return False

    def deliver_event(self) -> None:
        if self.vcpu.upcall_pending:
            super().deliver_event()
        else:
            self.enter(self._timer_vector)

    # ---- Timebase and decrementer ----

    def _trap_clocks(self, moves: list[int]) -> None:
        """Do the instructions at these addresses, which move a clock, in virtual time."""
        for address in moves:
            word = int.from_bytes(self._memory.read(address, 4), "big")
            self.core.hook_code(address, address, self._clock_move(word))

    def _clock_move(self, word: int) -> Callable[[int], None]:
        register = self._gprs[word >> 21 & 31]
        number = word >> 16 & 31 | word >> 6 & 0x3E0  # its halves are swapped

        def move(address: int) -> None:
            if word & _MOVE == _MTSPR:
                self._set_decrementer(register.get() & 0xFFFFFFFF)
            elif number == _DECREMENTER:
                register.set(self._decrementer())
            elif number == _TIMEBASE_UPPER:
                register.set(self._timebase() >> 32)
            else:
                register.set(self._timebase())
            self.core.pc.set(address + 4)
            self.after_trap()

        return move

    def _timebase(self) -> int:
        return self._clock.read() // _TICK_NS

    def _decrementer(self) -> int:
        return (self._decrementer_end - self._clock.read()) // _TICK_NS - 1 & 0xFFFFFFFF

    def _set_decrementer(self, ticks: int) -> None:
        if ticks >> 31:
            self._decrementer_end = self._clock.now  # it is negative now
        else:
            self._decrementer_end = self._clock.now + (ticks + 1) * _TICK_NS


CPUS = {"ppc": Ppc64Cpu}
