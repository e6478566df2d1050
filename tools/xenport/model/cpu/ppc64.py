"""ppc64, big endian: a guest of IBM's PowerPC port of Xen on a Unicorn core.

The guest has the processor's supervisor state and its own exception vectors. Hypercalls are
``sc 1``; an event is an external interrupt that is only there when Xen returns to the guest; timers
make the decrementer run out. Guest handles are physical addresses, in one of the two forms of
xencomm.

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
from xenport.model.cpu.base import Cpu
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
    MSR_BE,
    MSR_DR,
    MSR_EE,
    MSR_FE0,
    MSR_FE1,
    MSR_FP,
    MSR_HV,
    MSR_IR,
    MSR_ME,
    MSR_PMM,
    MSR_PR,
    MSR_RI,
    MSR_SE,
    MSR_SF,
    SPR_DAR,
    SPR_DSISR,
    SPR_HDAR,
    SPR_HDSISR,
    SPR_SRR0,
    SPR_SRR1,
    Ppc64Core,
)
from xenport.model.cpu.ppc64_domain import TIMEBASE_FREQUENCY, Loaded, load
from xenport.model.errors import XenError
from xenport.model.handlers import Handlers
from xenport.model.memory import PAGE_SIZE, MemoryFault
from xenport.model.vcpu_op import target, vcpu_exists

if TYPE_CHECKING:
    from collections.abc import Callable

    from xenport.model.call import Call
    from xenport.model.domain import Domain
    from xenport.model.vcpu import Vcpu

#: sc 1, as it reads on this machine in the guest's memory
_SYSTEM_CALL_1 = int.from_bytes(bytes.fromhex("44000022"), sys.byteorder)
_ALL_ONES = (1 << 64) - 1
_MARK = _ALL_ONES ^ 0xFFFF  # is set in the number of a hypercall; anything less is a PAPR call

#: What counts of an address in real mode.
_REAL_ADDRESS = _ALL_ONES >> 4

# Results of PAPR calls.
_H_PRIVILEGE = -3
_H_PARAMETER = -4

_VECTOR_DATA_STORAGE = 0x300
_VECTOR_INSTRUCTION_STORAGE = 0x400
_VECTOR_PROGRAM = 0x700
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
_PROGRAM_ILLEGAL = 1 << 19
_PROGRAM_PRIVILEGED = 1 << 18
_PROGRAM_TRAP = 1 << 17

#: An access behind the real mode area counts as one that protection forbids: in DSISR, or SRR1.
_PROTECTION = 0x08000000
_DSISR_STORE = 0x02000000

#: SRR1 gets the MSR without these bits, which say why the interrupt was taken.
_SRR1_REASON = 0x783F0000

#: Bits of the MSR that an interrupt turns off.
_INTERRUPT_CLEARS = (
    MSR_IR | MSR_DR | MSR_FE0 | MSR_FE1 | MSR_EE | MSR_RI
    | MSR_BE | MSR_FP | MSR_PMM | MSR_PR | MSR_SE
)  # fmt: skip

_TICK_NS = 1_000_000_000 // TIMEBASE_FREQUENCY
_NEVER = 1 << 200

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


def _gpr(name: str) -> int:
    """Unicorn's number of a general register, "r3"."""
    number: int = ppc_const.UC_PPC_REG_0 + int(name.removeprefix("r"))
    return number


_handlers = Handlers()


@_handlers.check("vcpu_op")
def vcpu_may_exist(call: Call) -> None:
    """3.2 tells numbers that can be no vcpu's from those that are none's."""
    if call["vcpuid"] >= call.domain.abi.constant("MAX_VIRT_CPUS"):
        raise XenError("EINVAL")
    vcpu_exists(call)


@_handlers.command("sched_op_compat")
def sched_op(call: Call) -> int:
    """The old number is another one of the same hypercall."""
    number = call.domain.abi.hypercalls["sched_op"].number
    return call.hypervisor.dispatch(call.vcpu, number, call.args)


@_handlers.command("VCPUOP_down")
def vcpu_down(call: Call) -> None:
    """3.2 does not notice that it was the last one."""
    target(call).down()


class Ppc64Cpu(Cpu):
    """A vcpu of a ppc64 guest."""

    handlers = _handlers
    capabilities = "xen-3.0-powerpc64 "
    features = ("XENFEAT_writable_page_tables", "XENFEAT_auto_translated_physmap")
    assists = (
        "VMASST_TYPE_4gb_segments",
        "VMASST_TYPE_4gb_segments_notify",
        "VMASST_TYPE_writable_pagetables",
        "VMASST_TYPE_pae_extended_cr3",
    )  # 3.2 takes all that are defined anywhere
    pirq_count = 256
    hvm = False

    def __init__(self, vcpu: Vcpu) -> None:
        super().__init__(vcpu)
        self.core = Ppc64Core()
        memory = vcpu.domain.memory
        self.core.map_memory(memory)
        self.core.enter_guest_state(memory.size)
        self._memory = memory
        self._instructions = memory.ram.data.cast("I")
        self._clock = self.hypervisor.clock
        self._gprs = [self.core.register(_gpr(f"r{n}")) for n in range(32)]
        architecture = self.hypervisor.architecture
        convention = architecture.hypercall
        self._number = _gpr(convention["number"]) - ppc_const.UC_PPC_REG_0
        self._result = _gpr(convention["result"]) - ppc_const.UC_PPC_REG_0
        self._arguments: Callable[[Any], Any] = operator.itemgetter(
            *(_gpr(name) - ppc_const.UC_PPC_REG_0 for name in convention["args"])
        )
        self._event_vector: int = architecture.vectors["event"]
        self._timer_vector: int = architecture.vectors["timer"]
        self._exception: int | None = None  # to be taken when the core has stopped
        self._inline_flag = vcpu.domain.abi.constant("XENCOMM_INLINE_FLAG")
        self._decrementer_end = _NEVER  # ns since boot at which it becomes negative
        self.core.hook_interrupt(self._hook())

    # ---- Building ----

    @classmethod
    def build_domain(cls, domain: Domain, image: bytes, command_line: str) -> None:
        loaded = load(domain, image, command_line)
        moves = code_traps.find(loaded.code, _CLOCK_MOVE, alignment=4)
        for _ in range(domain.max_vcpus):
            cpu = domain.add_vcpu().cpu
            assert isinstance(cpu, cls)
            cpu._trap_clocks(moves)
            if cpu.vcpu.id == 0:
                cpu._enter_kernel(loaded)
        domain.vcpus[0].up()

    def _enter_kernel(self, loaded: Loaded) -> None:
        """The state in which the builder starts the first vcpu: 32-bit mode, real mode."""
        entry = self.hypervisor.architecture.entry
        for register in self._gprs:
            register.set(entry["fill"])
        for name in entry["zero"]:
            self.core.register(_gpr(name)).set(0)
        self.core.register(_gpr(entry["device_tree"])).set(loaded.device_tree)
        self.core.register(_gpr(entry["kernel"])).set(loaded.kernel)
        self.core.msr.set(entry["msr"])
        self.core.pc.set(loaded.entry)

    def set_context(self, context: Any) -> None:
        registers = context.user_regs
        for number, register in enumerate(self._gprs):
            register.set(registers.gprs[number])
        self.core.set_sprs({SPR_SRR0: registers.srr0, SPR_SRR1: registers.srr1})
        for identifier, value in (
            (ppc_const.UC_PPC_REG_LR, registers.lr),
            (ppc_const.UC_PPC_REG_CTR, registers.ctr),
            (ppc_const.UC_PPC_REG_XER, registers.xer),
            (ppc_const.UC_PPC_REG_CR, registers.cr),
        ):
            self.core.register(identifier).set(value)
        self.core.msr.set(registers.msr & ~MSR_HV)
        self.core.pc.set(registers.pc)

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
        number_at, result_at, arguments = self._number, self._result, self._arguments
        hypercall = self.hypervisor.hypercall

        def hook(exception: int) -> None:
            if exception == EXCEPTION_SYSTEM_CALL:
                at = ((next_instruction[0] & _REAL_ADDRESS) >> 2) - 1
                if instructions[at] == _SYSTEM_CALL_1:
                    number = gprs[number_at]
                    if number < _MARK or msr.value & MSR_PR:
                        gprs[result_at] = self._refused(number, msr.value)
                        return
                    gprs[result_at] = hypercall(vcpu, number & 0xFFFF, arguments(gprs))
                    if vcpu.attention or vcpu.info_data[vcpu.pending_at]:
                        self.after_trap()
                    return
            self._exception = exception
            core.stop()

        return hook

    def _refused(self, number: int, msr: int) -> int:
        """The result of calls that never reach a handler: PAPR's, and those of problem state."""
        if number >= _MARK:
            return -self.vcpu.domain.abi.errno("EPERM")
        return _H_PRIVILEGE if msr & MSR_PR else _H_PARAMETER

    def _take(self, exception: int) -> None:
        """Do to the guest what the processor does on ``exception``."""
        core = self.core
        after = core.pc.get()
        at = after - 4 & _ALL_ONES
        if exception == EXCEPTION_SYSTEM_CALL:
            self._enter(_VECTOR_SYSTEM_CALL, after)
        elif exception == EXCEPTION_HDSI:
            address, status = core.sprs(SPR_HDAR, SPR_HDSISR)
            core.set_sprs({SPR_DAR: address, SPR_DSISR: _PROTECTION | status & _DSISR_STORE})
            self._enter(_VECTOR_DATA_STORAGE, at)
        elif exception == EXCEPTION_HISI:
            self._enter(_VECTOR_INSTRUCTION_STORAGE, at, _PROTECTION)
        elif exception == EXCEPTION_PROGRAM:
            reason = _PROGRAM_TRAP if self._is_trap(at) else _PROGRAM_PRIVILEGED
            self._enter(_VECTOR_PROGRAM, at, reason)
        elif exception in _ILLEGAL:
            self._enter(_VECTOR_PROGRAM, at, _PROGRAM_ILLEGAL)
        elif exception in _VECTORS:
            self._enter(_VECTORS[exception], at)
        else:
            self._crash(f"exception {exception}, which the model does not know")

    def _is_trap(self, address: int) -> bool:
        """Is the instruction at ``address`` one of tdi, twi, tw, td?"""
        word = int.from_bytes(self._memory.read(address & _REAL_ADDRESS, 4), "big")
        opcode = word >> 26
        return opcode in (2, 3) or (opcode == 31 and word >> 1 & 0x3FF in (4, 68))

    def _enter(self, vector: int, return_address: int, reason: int = 0) -> None:
        """Take an interrupt."""
        core = self.core
        msr = core.msr.get()
        core.set_sprs({SPR_SRR0: return_address, SPR_SRR1: msr & ~_SRR1_REASON | reason})
        core.msr.set(msr & ~_INTERRUPT_CLEARS | MSR_SF | MSR_ME)
        core.pc.set(vector)

    # ---- Events ----

    def event_deliverable(self) -> bool:
        if self.vcpu.upcall_pending or self._clock.now >= self._decrementer_end:
            return self.core.msr.get() & MSR_EE != 0
        return False

    def deliver_event(self) -> None:
        core = self.core
        if not self.vcpu.upcall_pending:
            self._enter(self._timer_vector, core.pc.get())
        elif core.msr.get() & MSR_RI:
            self._enter(self._event_vector, core.pc.get())
        else:
            self._crash("an event with MSR[EE] set and MSR[RI] clear, which stops IBM's Xen")

    def enable_events(self) -> None:
        self.core.msr.set(self.core.msr.get() | MSR_EE)

    def pirq_permitted(self, _pirq: int) -> bool:
        return False  # no domain of the model is given a device

    def timer_interrupt(self) -> bool:
        self._decrementer_end = self._clock.now
        self.vcpu.kick()
        return True

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

    # ---- Memory as the guest names it ----

    def translate(self, handle: int, offset: int, write: bool) -> int | None:  # noqa: ARG002
        if handle & self._inline_flag:
            return (handle ^ self._inline_flag) + offset
        try:
            return self._described(handle, offset)
        except MemoryFault:
            return None

    def _described(self, handle: int, offset: int) -> int | None:
        """Where byte ``offset`` is of the pages that the xencomm_desc at ``handle`` lists. Raises
        MemoryFault where the list has no memory."""
        abi = self.vcpu.domain.abi
        size = abi.sizeof("xencomm_desc")
        if handle % abi.layout("xencomm_desc").align or handle % PAGE_SIZE > PAGE_SIZE - size:
            return None
        head = abi.view("xencomm_desc", bytearray(self._memory.read(handle, size)))
        if head.magic != abi.constant("XENCOMM_MAGIC"):
            return None
        for index in range(head.nr_addrs):
            address = int.from_bytes(self._memory.read(handle + size + 8 * index, 8), "big")
            if address == abi.constant("XENCOMM_INVALID"):
                continue
            room = PAGE_SIZE - address % PAGE_SIZE
            if offset < room:
                return address + offset
            offset -= room
        return None


CPUS = {"ppc": Ppc64Cpu}
