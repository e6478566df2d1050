"""arm64: a guest on a Unicorn core at EL1, with Xen's interrupt controller, timer and firmware.

Hypercalls are ``hvc`` with XEN_HYPERCALL_TAG. Events are a level of a private interrupt: it is
asserted for as long as evtchn_upcall_pending is set. Guest handles are virtual addresses.

Unicorn reports exceptions to a hook and enters no vector by itself, so `run` does what the
processor would. It also takes no interrupts: those are delivered between two runs, and the
instructions that unmask interrupts (writes to DAIF, ERET) are trapped so that a run ends there when
one is waiting.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar

from unicorn import (
    UC_ERR_OK,
    UC_MEM_FETCH_PROT,
    UC_MEM_FETCH_UNMAPPED,
    UcError,
    arm64_const,
)

from xenport.abi.releases import rank
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
    PSTATE_MASKS,
    SYNDROME_LONG,
    SYNDROME_UNDEFINED,
    Arm64Core,
    general_register,
)
from xenport.model.cpu.arm64_domain import Map, load, memory_map
from xenport.model.cpu.arm64_gic import REDISTRIBUTOR_SIZE, SPURIOUS, Distributor, Gic
from xenport.model.cpu.arm64_timer import (
    COUNTERS,
    FREQUENCY,
    PHYSICAL,
    VIRTUAL,
    GenericTimer,
    read_counter,
)
from xenport.model.cpu.base import Cpu
from xenport.model.errors import XenError
from xenport.model.handlers import Handlers
from xenport.model.memory import MemoryFault

if TYPE_CHECKING:
    from xenport.abi import Abi
    from xenport.model.domain import Domain
    from xenport.model.vcpu import Vcpu

_P = ParamSpec("_P")
_T = TypeVar("_T")

_INSTRUCTION_SIZE = 4

_STATE_PC = 32  # the PC's place behind x0 to x30 and SP, in UnicornCore.state

# Instructions that may unmask interrupts, as bytes.
_MSR_DAIFCLR = rb"\xff[\x40-\x4f]\x03\xd5"
_ERET = rb"\xe0\x03\x9f\xd6"

# MRS and MSR with a register, as words: bits 5 to 20 are the system register.
_MOVE_SYSTEM_MASK = 0xFFD00000
_MOVE_SYSTEM = 0xD5100000
_MOVE_SYSTEM_READS = 1 << 21
_ZERO_REGISTER = 31

#: Exceptions that are the guest's own affair.
_GUEST_EXCEPTIONS = (
    EXCEPTION_UNDEFINED,
    EXCEPTION_SVC,
    EXCEPTION_INSTRUCTION_ABORT,
    EXCEPTION_DATA_ABORT,
    EXCEPTION_BRK,
)

# Aborts that Xen injects say no more than their class.
_DATA_ABORT = CLASS_DATA_ABORT << CLASS_SHIFT | SYNDROME_LONG
_INSTRUCTION_ABORT = CLASS_INSTRUCTION_ABORT << CLASS_SHIFT | SYNDROME_LONG

_FEATURES = (
    "XENFEAT_memory_op_vnode_supported",
    "XENFEAT_writable_page_tables",
    "XENFEAT_auto_translated_physmap",
    "XENFEAT_ARM_SMCCC_supported",
)

#: Parameters of a domain that exist on Arm, and those that a domain cannot read of itself. It can
#: set none.
_PARAMS = (
    "HVM_PARAM_CALLBACK_IRQ",
    "HVM_PARAM_STORE_PFN",
    "HVM_PARAM_STORE_EVTCHN",
    "HVM_PARAM_CONSOLE_PFN",
    "HVM_PARAM_CONSOLE_EVTCHN",
    "HVM_PARAM_MONITOR_RING_PFN",
)
_UNREADABLE_PARAM = "HVM_PARAM_MONITOR_RING_PFN"


class Arm64Cpu(Cpu):
    """A vcpu of an arm64 guest."""

    handlers = Handlers()
    capabilities = "xen-3.0-aarch64 xen-3.0-armv7l "
    features = _FEATURES
    map_spaces = ("XENMAPSPACE_shared_info", "XENMAPSPACE_grant_table")
    unknown_space = "ENOSYS"
    maps_devices = True
    pirq_count = 1024
    silo = True
    param_index_first = False

    def __init__(self, vcpu: Vcpu) -> None:
        super().__init__(vcpu)
        domain = vcpu.domain
        abi = domain.abi
        layout = memory_map(domain)
        self._clock = self.hypervisor.clock
        self._tag = abi.constant("XEN_HYPERCALL_TAG")
        self._event_level = 1 << layout.event_interrupt
        self._exception: int | None = None  # to be dealt with when the core has stopped
        self._missing: tuple[int, int] | None = None  # kind and address of an access without memory
        self._hypercalls: set[int] = set()  # addresses behind the instructions seen so far
        self._virtual_level = 1 << abi.constant("GUEST_TIMER_VIRT_PPI")
        self._physical_level = 1 << abi.constant("GUEST_TIMER_PHYS_NS_PPI")
        self._virtual_timer = GenericTimer(VIRTUAL, self._clock, vcpu.kick)
        self._physical_timer = GenericTimer(PHYSICAL, self._clock, vcpu.kick)
        self.distributor: Distributor = (
            self._of(domain.vcpus[0]).distributor if vcpu.id else Distributor()
        )
        self.gic = Gic(
            self.distributor,
            vcpu.id,
            is_last=vcpu.id == domain.max_vcpus - 1,
            levels=self._levels,
        )
        self.core = Arm64Core(vcpu.id)
        self.core.map_memory(domain.memory)
        self._hook_registers(layout)
        self.core.hook_interrupt(self._exception_hook())
        self.core.hook_memory_fault(self._no_memory)

    def _hook_registers(self, layout: Map) -> None:
        """Registers that Xen carries out accesses to: of the GIC in memory, and of the timers."""
        for region, read, write in (
            (layout.distributor, self.distributor.read, self.distributor.write),
            (layout.redistributors, self._read_redistributor, self._write_redistributor),
        ):
            self.core.map_registers(region.start, region.size, read, self._then_look(write))
        count: Callable[[], int] = functools.partial(read_counter, self._clock)
        readers = dict.fromkeys(COUNTERS, count)
        writers: dict[int, Callable[[int], None]] = {DAIF: self._write_daif}
        for timer in (self._virtual_timer, self._physical_timer):
            readers |= timer.readers
            writers |= timer.writers
        self.core.hook_system_registers(
            {number: self._then_look(reader) for number, reader in readers.items()},
            {number: self._then_look(writer) for number, writer in writers.items()},
        )

    @staticmethod
    def _of(vcpu: Vcpu) -> Arm64Cpu:
        cpu = vcpu.cpu
        assert isinstance(cpu, Arm64Cpu)
        return cpu

    def _then_look(self, function: Callable[_P, _T]) -> Callable[_P, _T]:
        """``function``, and then whether it has made an interrupt deliverable."""

        def call(*args: _P.args, **kwargs: _P.kwargs) -> _T:
            result = function(*args, **kwargs)
            self.after_trap()
            return result

        return call

    # ---- Building ----

    @classmethod
    def build_domain(cls, domain: Domain, image: bytes, command_line: str) -> None:
        abi = domain.abi
        layout = memory_map(domain)
        loaded = load(domain, layout, image, command_line)
        if domain.is_control:
            domain.params[abi.constant("HVM_PARAM_CALLBACK_IRQ")] = (
                abi.constant("HVM_PARAM_CALLBACK_TYPE_PPI") << 56
                | abi.constant("HVM_PARAM_CALLBACK_TYPE_PPI_FLAG_LOW_LEVEL") << 8
                | layout.event_interrupt
            )
        for _ in range(domain.max_vcpus):
            cpu = cls._of(domain.add_vcpu())
            for pattern, handler in (
                (_MSR_DAIFCLR, cpu._unmask),
                (_ERET, cpu._return_from_exception),
            ):
                code_traps.trap(cpu.core, loaded.code, pattern, handler, alignment=4)
        cls.start(domain.vcpus[0], loaded.entry, loaded.device_tree)

    @classmethod
    def start(cls, vcpu: Vcpu, entry: int, argument: int) -> None:
        """Bring a vcpu up at ``entry``, with ``argument`` in x0."""
        abi = vcpu.domain.abi
        cls._of(vcpu).core.reset(
            entry,
            argument,
            pstate=abi.constant("PSR_GUEST64_INIT"),
            sctlr=abi.constant("SCTLR_GUEST_INIT"),
            frequency=FREQUENCY,
        )
        vcpu.up()

    def set_context(self, context: Any) -> None:  # noqa: ARG002
        raise XenError("EINVAL")  # vcpu_op does not have the command here

    # ---- Running ----

    def run(self) -> None:
        core = self.core
        while True:
            status = core.run(core.pc.get())
            if self._missing is not None:
                self._inject_abort(*self._missing)
                self._missing = None
            elif status != UC_ERR_OK:
                self._crash(f"the processor stopped: {UcError(status)}")
            elif self._exception is not None:
                exception, self._exception = self._exception, None
                self._handle(exception)
            else:
                return
            if self.vcpu.attention or self.event_deliverable():
                return

    def stop(self) -> None:
        self.core.stop()

    def _crash(self, why: str) -> None:
        self.vcpu.domain.crash(f"{why}, at {self.core.pc.get():#x}")

    # ---- Exceptions ----

    def _exception_hook(self) -> Callable[[int], None]:
        """The hook of exceptions: hypercalls are carried out in it, everything else when the core
        has stopped. A closure, because it is what the model's speed depends on."""
        vcpu = self.vcpu
        core = self.core
        descriptions = vcpu.domain.abi.hypercalls.values()
        count = max(len(h.args) for h in descriptions if vcpu.domain.guest in h.callers)
        state = core.state(
            [
                *(general_register(n) for n in range(31)),
                arm64_const.UC_ARM64_REG_SP,
                arm64_const.UC_ARM64_REG_PC,
            ]
        )
        known = self._hypercalls
        carry_out = self.hypervisor.hypercall

        def hook(exception: int) -> None:
            if exception == EXCEPTION_HVC:
                behind = state[_STATE_PC]
                if behind in known or self._is_hypercall(behind):
                    state[0] = carry_out(vcpu, state[16], state[:count])
                    if vcpu.attention:  # set, among others, by all that makes an event deliverable
                        core.stop()
                    return
            self._exception = exception
            core.stop()

        return hook

    def _no_memory(self, kind: int, address: int, _size: int, _value: int) -> bool:
        self._missing = kind, address
        return False

    def _is_hypercall(self, behind: int) -> bool:
        """Is the HVC that ends at ``behind`` a hypercall? Those that are, are remembered."""
        if self._immediate(behind) != self._tag:
            return False
        self._hypercalls.add(behind)
        return True

    def _immediate(self, behind: int) -> int:
        return self._word(behind - _INSTRUCTION_SIZE) >> 5 & 0xFFFF

    def _word(self, address: int) -> int:
        """The instruction at a virtual address. One that cannot be read is 0: undefined."""
        physical = self.core.translate(address, write=False)
        if physical is None:
            return 0
        try:
            return int.from_bytes(self.vcpu.domain.memory.read(physical, 4), "little")
        except MemoryFault:
            return 0

    def _handle(self, exception: int) -> None:
        pc = self.core.pc.get()
        if exception in (EXCEPTION_HVC, EXCEPTION_SMC):
            if self._immediate(pc) == 0:
                self.core.x[0].set(arm64_firmware.call(self, [x.get() for x in self.core.x[:4]]))
            else:
                self.core.take_exception(pc, SYNDROME_UNDEFINED)
        elif exception in _GUEST_EXCEPTIONS:
            syndrome, address = self.core.syndrome()
            if syndrome >> CLASS_SHIFT == CLASS_WAIT:
                self.core.pc.set(pc + _INSTRUCTION_SIZE)
                self.wait()
            elif exception != EXCEPTION_UNDEFINED or not self._access_gic(pc):
                self.core.take_exception(pc, syndrome, address)
        else:
            self._crash(f"exception {exception}, which the model does not know")

    def _inject_abort(self, kind: int, address: int) -> None:
        """What Xen does on an access to a guest-physical address that has nothing behind it. The
        address is taken for the virtual one: kernels map such places onto themselves."""
        fetch = kind in (UC_MEM_FETCH_UNMAPPED, UC_MEM_FETCH_PROT)
        pc = self.core.pc.get()
        self.core.take_exception(pc, _INSTRUCTION_ABORT if fetch else _DATA_ABORT, address)

    def wait(self) -> None:
        """Leave the processor until there is an interrupt, masked or not."""
        if self.gic.highest() == SPURIOUS:
            self.vcpu.block()

    # ---- Interrupts ----

    def _levels(self) -> int:
        levels = self._event_level if self.vcpu.upcall_pending else 0
        if self._clock.now >= self._virtual_timer.deadline:
            levels |= self._virtual_level
        if self._clock.now >= self._physical_timer.deadline:
            levels |= self._physical_level
        return levels

    def event_deliverable(self) -> bool:
        if not self._levels() or self.core.pstate.get() & PSTATE_IRQ_MASK:
            return False
        return self.gic.highest() != SPURIOUS

    def deliver_event(self) -> None:
        self.core.take_interrupt()

    def enable_events(self) -> None:
        self.core.pstate.set(self.core.pstate.get() & ~PSTATE_IRQ_MASK)
        if self.event_deliverable():
            self.vcpu.leave()

    def _write_daif(self, value: int) -> None:
        """MSR DAIF, Xn"""
        self.core.pstate.set(self.core.pstate.get() & ~PSTATE_MASKS | value & PSTATE_MASKS)

    def _unmask(self, address: int) -> None:
        """MSR DAIFCLR, #mask: carried out here if an interrupt is waiting for it."""
        if self.gic.highest() == SPURIOUS:
            return
        mask = self._word(address) >> 8 & 15
        self.core.pstate.set(self.core.pstate.get() & ~(mask << 6))
        self.core.pc.set(address + _INSTRUCTION_SIZE)
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
        word = self._word(pc)
        if word & _MOVE_SYSTEM_MASK != _MOVE_SYSTEM:
            return False
        register = word >> 5 & 0xFFFF
        general = word & 31
        if word & _MOVE_SYSTEM_READS:
            reader = self.gic.readers.get(register)
            if reader is None:
                return False
            value = reader()
            if general != _ZERO_REGISTER:
                self.core.x[general].set(value)
        else:
            writer = self.gic.writers.get(register)
            if writer is None:
                return False
            writer(0 if general == _ZERO_REGISTER else self.core.x[general].get())
        self.core.pc.set(pc + _INSTRUCTION_SIZE)
        return True

    def _read_redistributor(self, offset: int, size: int) -> int:
        number, offset = divmod(offset, REDISTRIBUTOR_SIZE)
        vcpus = self.vcpu.domain.vcpus
        return self._of(vcpus[number]).gic.read(offset, size) if number < len(vcpus) else 0

    def _write_redistributor(self, offset: int, size: int, value: int) -> None:
        number, offset = divmod(offset, REDISTRIBUTOR_SIZE)
        vcpus = self.vcpu.domain.vcpus
        if number < len(vcpus):
            self._of(vcpus[number]).gic.write(offset, size, value)

    # ---- What Xen's architecture code decides ----

    @classmethod
    def features_of(cls, domain: Domain) -> tuple[str, ...]:
        # Domain 0's RAM is at its physical address.
        direct = "XENFEAT_direct_mapped" if domain.is_control else "XENFEAT_not_direct_mapped"
        return (*cls.features, direct)

    @classmethod
    def mapped_again(cls, abi: Abi) -> Literal["moves", "adds", "fails"]:
        return "adds" if rank(abi.release) < rank("4.17") else "fails"

    def check_param(self, domain: Domain, index: int, value: int | None) -> None:
        abi = domain.abi
        if index not in {abi.constant(name) for name in _PARAMS}:
            raise XenError("EINVAL")
        if domain is not self.vcpu.domain:
            return
        if value is not None or index == abi.constant(_UNREADABLE_PARAM):
            raise XenError("EPERM")

    # ---- Memory as the guest names it ----

    def translate(self, handle: int, offset: int, write: bool) -> int | None:
        return self.core.translate(handle + offset, write)


CPUS = {"arm": Arm64Cpu}
