"""What both Arm architectures have in common: a guest on a Unicorn core, with Xen's interrupt
controller, timer and firmware.

Hypercalls are ``hvc`` with XEN_HYPERCALL_TAG. Events are a level of a private interrupt: it is
asserted for as long as evtchn_upcall_pending is set. Guest handles are virtual addresses.

Unicorn reports exceptions to a hook and enters no vector by itself, so `run` does what the
processor would. It also takes no interrupts: those are delivered between two runs, and the
instructions that unmask interrupts are trapped so that a run ends there when one is waiting.
"""

from __future__ import annotations

import ctypes
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, ParamSpec, Self, TypeVar

from unicorn import (
    UC_ERR_INSN_INVALID,
    UC_ERR_OK,
    UC_MEM_FETCH_PROT,
    UC_MEM_FETCH_UNMAPPED,
    UcError,
)

from xenport.abi.releases import rank
from xenport.model import unbuilt
from xenport.model.cpu import arm_domctl, arm_firmware, arm_memory_access, code_traps
from xenport.model.cpu.arm_core import (
    EXCEPTION_BREAKPOINT,
    EXCEPTION_DATA_ABORT,
    EXCEPTION_HVC,
    EXCEPTION_INSTRUCTION_ABORT,
    EXCEPTION_SMC,
    EXCEPTION_SVC,
    EXCEPTION_UNDEFINED,
    IRQ_MASK,
    ArmCore,
)
from xenport.model.cpu.arm_domain import CLOCK, GuestKind, load, memory_map
from xenport.model.cpu.arm_gic import SPURIOUS, Gic
from xenport.model.cpu.arm_timer import GenericTimer, read_counter
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

INSTRUCTION_SIZE = 4

#: Exceptions that are the guest's own affair.
_GUEST_EXCEPTIONS = (
    EXCEPTION_UNDEFINED,
    EXCEPTION_SVC,
    EXCEPTION_INSTRUCTION_ABORT,
    EXCEPTION_DATA_ABORT,
    EXCEPTION_BREAKPOINT,
)

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


class ArmCpu(Cpu):
    """A vcpu of an Arm guest."""

    handlers = Handlers(arm_domctl.handlers, arm_memory_access.handlers)
    handlers.check("physdev_op")(unbuilt.refuse_all)
    features = _FEATURES
    map_spaces = ("XENMAPSPACE_shared_info", "XENMAPSPACE_grant_table")
    unknown_space = "ENOSYS"
    max_grant_version = 1
    maps_resources_early = False
    maps_devices = True
    device_frames = CLOCK.frames
    pirq_count = 1024
    silo = True
    monitor_events = ("GUEST_REQUEST", "PRIVILEGED_CALL")
    param_index_first = False

    #: What the domain builder has to know.
    kind: ClassVar[GuestKind]

    #: 64-bit functions of the firmware may be called; how many levels an affinity has.
    has_wide_calls: ClassVar[bool]
    affinity_levels: ClassVar[int]

    #: In `_state`: where the number of a hypercall is, and the PC.
    _number_at: ClassVar[int]
    _pc_at: ClassVar[int]

    core: ArmCore
    gic: Gic

    def __init__(self, vcpu: Vcpu) -> None:
        super().__init__(vcpu)
        domain = vcpu.domain
        abi = domain.abi
        layout = memory_map(domain, self.kind)
        self._clock = self.hypervisor.clock
        self._tag = abi.constant("XEN_HYPERCALL_TAG")
        self._event_level = 1 << layout.event_interrupt
        self._exception: int | None = None  # to be dealt with when the core has stopped
        self._missing: tuple[int, int] | None = None  # kind and address of an access without memory
        self._hypercalls: set[int] = set()  # addresses behind the instructions seen so far
        self._virtual_level = 1 << abi.constant("GUEST_TIMER_VIRT_PPI")
        self._physical_level = 1 << abi.constant("GUEST_TIMER_PHYS_NS_PPI")
        self._virtual_timer = GenericTimer(self._clock, vcpu.kick)
        self._physical_timer = GenericTimer(self._clock, vcpu.kick)
        distributor = self.of(domain.vcpus[0]).gic.distributor if vcpu.id else None
        self.gic = self.kind.gic.make(vcpu.id, domain.max_vcpus, self._levels, distributor)
        self.core = self._make_core()
        self.core.map_memory(domain.memory)
        regions = (layout.distributor, layout.gic_cpu)
        for region, (read, write) in zip(regions, self.gic.in_memory(), strict=True):
            self.core.map_registers(region.start, region.size, read, self._then_look(write))
        self._hook_registers()
        self.core.hook_interrupt(self._exception_hook())
        self.core.hook_memory_fault(self._no_memory)

    @abstractmethod
    def _make_core(self) -> ArmCore:
        """The core, as it is before its start."""

    @abstractmethod
    def _hook_registers(self) -> None:
        """Let Xen carry out accesses to system registers of the GIC and of the timers."""

    @abstractmethod
    def _traps(self) -> Mapping[bytes, Callable[[int], None]]:
        """Instructions that Unicorn cannot be asked to report, as patterns of bytes, and what to do
        before each of them: ``function(address)``."""

    @abstractmethod
    def _state(self) -> ctypes.Array[Any]:
        """The core's general registers, from the first one on, and the PC: see
        `UnicornCore.state`."""

    @abstractmethod
    def _reset(self, entry: int, argument: int, *, boot: bool) -> None:
        """Put the core into the state in which a vcpu starts. ``boot``: by the domain builder, and
        the argument is the device tree's address; else by the firmware."""

    @abstractmethod
    def _take_own_exception(self, exception: int) -> None:
        """Enter the guest's vector for an exception that is its own affair."""

    @staticmethod
    @abstractmethod
    def _immediate_of(word: int) -> int:
        """The immediate of an HVC or SMC instruction."""

    @classmethod
    def of(cls, vcpu: Vcpu) -> Self:
        """The processor of a vcpu of this kind."""
        cpu = vcpu.cpu
        assert isinstance(cpu, cls)
        return cpu

    def _count(self) -> int:
        return read_counter(self._clock)

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
        layout = memory_map(domain, cls.kind)
        loaded = load(domain, layout, cls.kind, image, command_line)
        if domain.is_control:
            domain.params[abi.constant("HVM_PARAM_CALLBACK_IRQ")] = (
                abi.constant("HVM_PARAM_CALLBACK_TYPE_PPI") << 56
                | abi.constant("HVM_PARAM_CALLBACK_TYPE_PPI_FLAG_LOW_LEVEL") << 8
                | layout.event_interrupt
            )
        for _ in range(domain.max_vcpus):
            cpu = cls.of(domain.add_vcpu())
            for pattern, handler in cpu._traps().items():
                code_traps.trap(cpu.core, loaded.code, pattern, handler, INSTRUCTION_SIZE)
        first = domain.vcpus[0]
        cls.of(first)._reset(loaded.entry, loaded.device_tree, boot=True)
        first.up()

    @classmethod
    def start(cls, vcpu: Vcpu, entry: int, argument: int) -> None:
        """Bring a vcpu up at ``entry``, as the firmware does, with ``argument`` in its first
        register."""
        cls.of(vcpu)._reset(entry, argument, boot=False)
        vcpu.up()

    @classmethod
    def check_config(cls, abi: Abi, config: Any) -> None:
        arm_domctl.check_config(abi, config, abi.constant(cls.kind.gic.config))

    @classmethod
    def fill_info(cls, info: Any, domain: Domain) -> None:
        abi = domain.abi
        arm_domctl.fill_info(info, abi, abi.constant(cls.kind.gic.config))

    def set_context(self, context: Any) -> None:  # noqa: ARG002
        raise XenError("EINVAL")  # vcpu_op does not have the command here

    def check_context(self, context: Any) -> None:
        arm_domctl.check_registers(context, self.vcpu.domain.settings.bits)

    # ---- Running ----

    def run(self) -> None:
        core = self.core
        while True:
            status = core.run(core.pc.get())
            if self._missing is not None:
                kind, address = self._missing
                self._missing = None
                # The address is taken for the virtual one: kernels map such places onto themselves.
                fetch = kind in (UC_MEM_FETCH_UNMAPPED, UC_MEM_FETCH_PROT)
                core.inject_abort(address, fetch=fetch)
            elif status == UC_ERR_INSN_INVALID:
                self._take_own_exception(EXCEPTION_UNDEFINED)
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
        state = self._state()
        number_at = self._number_at
        pc_at = self._pc_at
        known = self._hypercalls
        carry_out = self.hypervisor.hypercall

        def hook(exception: int) -> None:
            if exception == EXCEPTION_HVC:
                behind = state[pc_at]
                if behind in known or self._is_hypercall(behind):
                    state[0] = carry_out(vcpu, state[number_at], state[:count])
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
        return self._immediate_of(self.word(behind - INSTRUCTION_SIZE))

    def word(self, address: int) -> int:
        """The instruction at a virtual address. One that cannot be read is 0: undefined."""
        physical = self.core.translate(address, write=False)
        if physical is None:
            return 0
        try:
            return int.from_bytes(self.vcpu.domain.memory.read(physical, 4), "little")
        except MemoryFault:
            return 0

    def _handle(self, exception: int) -> None:
        core = self.core
        if exception in (EXCEPTION_HVC, EXCEPTION_SMC):
            if self._immediate(core.pc.get()) == 0:
                arguments = [register.get() for register in core.general[:4]]
                core.general[0].set(arm_firmware.call(self, arguments))
                self._clock.hypercall()
            else:
                core.inject_undefined()
        elif exception in _GUEST_EXCEPTIONS:
            self._take_own_exception(exception)
        else:
            self._crash(f"exception {exception}, which the model does not know")

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
        if not self._levels() or self.core.status.get() & IRQ_MASK:
            return False
        return self.gic.highest() != SPURIOUS

    def deliver_event(self) -> None:
        self.core.take_interrupt()

    def enable_events(self) -> None:
        self.core.status.set(self.core.status.get() & ~IRQ_MASK)
        if self.event_deliverable():
            self.vcpu.leave()

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
