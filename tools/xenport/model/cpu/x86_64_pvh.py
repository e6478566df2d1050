"""HVM guests that are entered the PVH way: a whole processor, exceptions and events by the IDT."""

from __future__ import annotations

import ctypes
import struct
from typing import TYPE_CHECKING, Any, ClassVar

from unicorn import x86_const as x86

from xenport.errors import InputError
from xenport.model.clock import WALL_CLOCK_SECONDS
from xenport.model.console_ring import ConsoleRing
from xenport.model.cpu import x86_domctl, x86_pvh_builder, x86_pvh_calls, x86_tools
from xenport.model.cpu.base import Cpu
from xenport.model.cpu.x86_core import (
    CR0_PG,
    DF,
    FLAG_IF,
    FLAG_NT,
    FLAG_RF,
    FLAG_TF,
    FLAG_VM,
    GP,
    HYPERCALL_PAGE_MSR,
    NMI,
    RAX,
    RIP,
    SPARE_PAGES,
    UD,
    WITH_ERROR_CODE,
    Fault,
    Processor,
    arguments,
)
from xenport.model.cpu.x86_leaves import guest_cpuid, hypercall_page_frame, is_xen_msr
from xenport.model.cpu.x86_time import TimeRecord
from xenport.model.errors import XenError
from xenport.model.handlers import Handlers
from xenport.model.memory import PAGE_SIZE, MemoryFault

if TYPE_CHECKING:
    from xenport.abi import Abi
    from xenport.model.domain import Domain
    from xenport.model.vcpu import Vcpu

_VMCALL, _VMMCALL = b"\x0f\x01\xc1", b"\x0f\x01\xd9"
_HLT = 0xF4
_INTERRUPT_GATE, _TRAP_GATE = 0xE, 0xF
_GATE = struct.Struct("<HHBBHII")
_RETURN = struct.Struct("<5Q")
_IN = ctypes.CFUNCTYPE(
    ctypes.c_uint32, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_void_p
)
_CALLBACK_VECTOR = 2  # HVM_PARAM_CALLBACK_TYPE_VECTOR


class DeliveryFailed(Exception):
    """An exception cannot be delivered."""


class PvhCpu(Cpu):
    """A vcpu of a PVH guest."""

    handlers = Handlers(x86_pvh_calls.handlers, x86_tools.handlers)
    built_by_tools = True
    capabilities = "xen-3.0-x86_64 hvm-3.0-x86_32 hvm-3.0-x86_32p hvm-3.0-x86_64"
    machine_capabilities = ("hvm", "pv", "hap")
    knows_memory_types = True
    features: ClassVar[tuple[str, ...]] = (
        "XENFEAT_memory_op_vnode_supported",
        "XENFEAT_writable_page_tables",
        "XENFEAT_auto_translated_physmap",
        "XENFEAT_hvm_safe_pvclock",
        "XENFEAT_hvm_callback_vector",
        "XENFEAT_not_direct_mapped",
    )
    virt_start = 0xFFFF_8000_0000_0000
    pirq_count = 272
    has_device_models = True
    device_frames = x86_domctl.DEVICE_FRAMES
    grant_command_errno = "ENOSYS"
    own_page_moves = True
    starts_by_context = False
    soft_reset = True

    #: The widest address and register.
    word: ClassVar[int] = (1 << 64) - 1

    #: The instruction that returns from an exception, as a regular expression.
    return_instruction: ClassVar[bytes] = rb"\x48\xcf"

    def __init__(self, vcpu: Vcpu) -> None:
        super().__init__(vcpu)
        self._processor: Processor | None = None
        self._time = TimeRecord(vcpu)
        self._upcall_vector = 0  # of this vcpu; 0: the domain's
        self._upcall_raised = False  # once per event, for the vcpu's own vector
        self._callback_index = vcpu.domain.abi.constant("HVM_PARAM_CALLBACK_IRQ")

    # ---- Building ----

    @classmethod
    def build_domain(cls, domain: Domain, image: bytes, command_line: str) -> None:
        """As Xen builds a PVH dom0, and a tool stack other domains."""
        built = x86_pvh_builder.build(domain, image, command_line)
        domain.built = built
        domain.memory = built.memory
        domain.total_pages = built.memory.size // PAGE_SIZE
        domain.max_pages = 0xFFFF_FFFF if domain.is_control else domain.total_pages + SPARE_PAGES
        if built.console is not None:
            domain.params[domain.abi.constant("HVM_PARAM_CONSOLE_PFN")] = built.console // PAGE_SIZE
            domain.console_ring = ConsoleRing(domain, built.console)
        for _ in range(domain.max_vcpus):
            domain.add_vcpu()
        vcpu = domain.vcpus[0]
        domain.write_wall_clock(WALL_CLOCK_SECONDS * 1_000_000_000)
        cpu = vcpu.cpu
        if not isinstance(cpu, PvhCpu):
            raise InputError("a PVH domain needs PVH vcpus")
        cpu.load()
        x86_pvh_builder.enter_flat(cpu.processor, built.entry)
        cpu.processor.rbx.set(built.start_info)
        vcpu.up()

    @classmethod
    def check_config(cls, abi: Abi, config: Any) -> None:
        x86_tools.check_hvm_config(abi, config)

    @classmethod
    def prepare_domain(cls, domain: Domain, config: Any) -> None:
        domain.settings.emulated = config.arch.emulation_flags

    @classmethod
    def fill_info(cls, info: Any, domain: Domain) -> None:
        x86_tools.fill_info(info, domain)

    @classmethod
    def hypercall_page(cls, _abi: Abi) -> bytes:
        return x86_pvh_builder.hypercall_page()

    def load(self) -> None:
        """Make the processor."""
        built = self.vcpu.domain.built
        processor = Processor(self.vcpu.domain.memory)
        self._processor = processor
        core = processor.core
        self._results = core.registers((x86.UC_X86_REG_RAX, x86.UC_X86_REG_RIP))
        self.paging = core.registers((x86.UC_X86_REG_CR0, x86.UC_X86_REG_CR3))
        core.hook_invalid(self._invalid)
        prototype = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
        core.hook_instruction_raw(x86.UC_X86_INS_CPUID, prototype(self._cpuid))
        core.hook_instruction_raw(x86.UC_X86_INS_IN, _IN(self._in))
        code = built.kernel.code
        processor.trap(code, rb"\x0f\x31", self._rdtsc)
        processor.trap(code, rb"\x0f\x30", self._wrmsr)
        processor.trap(code, rb"\x0f\x32", self._rdmsr)
        processor.trap(code, rb"\xfb", self._sti)
        processor.trap(code, rb"\x9d", self._popf)
        processor.trap(code, self.return_instruction, self.return_from_exception)

    def arguments(self, state: ctypes.Array[ctypes.c_uint64]) -> tuple[int, ...]:
        """Those of a hypercall, out of the general registers."""
        return arguments(state)

    @property
    def processor(self) -> Processor:
        """The vcpu's processor; it must have been given registers."""
        assert self._processor is not None
        return self._processor

    # ---- Running ----

    def run(self) -> None:
        """Run until the vcpu has to leave."""
        processor = self.processor
        fault = processor.run()
        if fault is not None:
            self._deliver_fault(fault)
        elif not processor.core.stopped:
            self._stopped_by_itself()

    def _stopped_by_itself(self) -> None:
        """After hlt; and sometimes before a hypercall whose page was translated before memory next
        to it was taken away, again and again."""
        if self.fetch(self.processor.rip.get(), 3) in (_VMCALL, _VMMCALL):
            self._invalid()
        else:
            self._halt()

    def stop(self) -> None:
        """Leave `run`."""
        if self._processor is not None:
            self._processor.core.stop()

    def _halt(self) -> None:
        """hlt: wait for an event; with interrupts off, nothing can come: the vcpu is done."""
        if self.processor.rflags.get() & FLAG_IF:
            self.vcpu.block()
            return
        domain = self.vcpu.domain
        if all(other.is_down for other in domain.vcpus if other is not self.vcpu):
            domain.shut_down(domain.abi.constant("SHUTDOWN_poweroff"))
        else:
            self.vcpu.down()

    def _invalid(self) -> bool:
        state = self.processor.state
        rip = state[RIP]
        if self.fetch(rip, 3) not in (_VMCALL, _VMMCALL):
            self.processor.raise_fault(UD)
            return True
        number = state[RAX] & 0xFFFF_FFFF
        result = self.hypervisor.hypercall(self.vcpu, number, self.arguments(state))
        written = self._results.values
        written[0] = result & self.word
        written[1] = rip + 3
        self._results.write()
        self.after_trap()
        return True

    def fetch(self, address: int, length: int) -> bytes:
        """Bytes of the guest's memory; none if they cannot be read."""
        try:
            return bytes(self.vcpu.copy_in(address, length))
        except XenError:
            return b""

    def _cpuid(self, _uc: int, _data: int) -> int:
        processor = self.processor
        leaf, subleaf = (one.get() & 0xFFFF_FFFF for one in (processor.rax, processor.rcx))
        values = guest_cpuid(self.vcpu, leaf, subleaf)
        registers = (processor.rax, processor.rbx, processor.rcx, processor.rdx)
        for register, value in zip(registers, values, strict=True):
            register.set(value)
        return 1

    def _in(self, _uc: int, port: int, size: int, _data: int) -> int:
        value = self.read_port(port, size)
        self.after_trap()
        return value

    def read_port(self, _port: int, size: int) -> int:
        """What an I/O port of ``size`` bytes holds: nothing is at any."""
        return (1 << 8 * size) - 1

    def _rdtsc(self, address: int) -> None:
        self.processor.read_counter(self.hypervisor.clock.read())
        self.processor.rip.set(address + 2)
        self.after_trap()

    # The processor itself deals with MSRs that are not Xen's.

    def _rdmsr(self, address: int) -> None:
        processor = self.processor
        msr = processor.rcx.get() & 0xFFFF_FFFF
        if msr == HYPERCALL_PAGE_MSR:
            processor.rax.set(0)
            processor.rdx.set(0)
            processor.rip.set(address + 2)
        elif is_xen_msr(msr):
            processor.raise_fault(GP)

    def _wrmsr(self, address: int) -> None:
        processor = self.processor
        msr, value = processor.msr_write()
        if not is_xen_msr(msr):
            return
        frame = hypercall_page_frame(msr, value)
        if frame is None or not self._fill(frame):
            processor.raise_fault(GP)
        else:
            processor.rip.set(address + 2)

    def _fill(self, frame: int) -> bool:
        try:
            self.vcpu.domain.memory.write(frame * PAGE_SIZE, x86_pvh_builder.hypercall_page())
        except MemoryFault:
            return False
        return True

    # Unicorn tells nobody when interrupts go on, so the instructions that do it are carried out
    # here while an event waits.

    def _sti(self, address: int) -> None:
        if not self.waits() or self.fetch(address + 1, 1) == bytes([_HLT]):
            return
        self.resume(address + 1, self.processor.rflags.get() | FLAG_IF)

    def _popf(self, address: int) -> None:
        if not self.waits():
            return
        processor = self.processor
        rsp = processor.rsp.get()
        size = self.word.bit_length() // 8
        flags = int.from_bytes(self.fetch(rsp, size), "little")
        processor.rsp.set(rsp + size)
        self.resume(address + 1, flags | 2)

    def return_from_exception(self, _address: int) -> None:
        """The instruction at its end."""
        if not self.waits():
            return
        processor = self.processor
        content = self.fetch(processor.rsp.get(), _RETURN.size)
        if len(content) < _RETURN.size:
            return
        rip, _selector, flags, rsp, _stack = _RETURN.unpack(content)
        processor.rsp.set(rsp)
        self.resume(rip, flags | 2)

    def resume(self, rip: int, flags: int) -> None:
        """Go on there, after the event that waits."""
        self.processor.rflags.set(flags)
        self.processor.rip.set(rip)
        self.processor.core.stop()

    # ---- Events ----

    def waits(self) -> bool:
        """Is there something to deliver, once interrupts are on?"""
        return bool(self._vector())

    def _vector(self) -> int:
        """The vector that an event is to be delivered at now; 0: there is none."""
        if self._upcall_vector:
            return self._upcall_vector if self._upcall_raised else 0
        if not self.vcpu.upcall_pending:
            return 0
        callback = self.vcpu.domain.params.get(self._callback_index, 0)
        return callback & 0xFF if callback >> 56 == _CALLBACK_VECTOR else 0

    def event_deliverable(self) -> bool:
        """Something waits, and interrupts are on."""
        if self.vcpu.nmi_pending:
            return True
        return bool(self._vector()) and bool(self.processor.rflags.get() & FLAG_IF)

    def enable_events(self) -> None:
        """The mask byte, which nothing looks at; the interrupt flag is the guest's own business."""
        self.vcpu.upcall_masked = False

    def event_raised(self) -> None:
        """The vcpu's own vector is raised once per event."""
        self._upcall_raised = True

    def deliver_event(self) -> None:
        """The NMI, or the event's vector."""
        if self.vcpu.nmi_pending:
            self.vcpu.nmi_pending = False
            vector = NMI
        else:
            vector = self._vector()
            self._upcall_raised = False
        self._deliver_fault(Fault(vector))

    def set_upcall_vector(self, vector: int) -> None:
        """HVMOP_set_evtchn_upcall_vector."""
        self._upcall_vector = vector

    # ---- The interrupt descriptor table ----

    def _deliver_fault(self, fault: Fault) -> None:
        try:
            self.deliver(fault)
            return
        except DeliveryFailed:
            pass
        try:
            self.deliver(Fault(DF))
        except DeliveryFailed:
            self._triple_fault(fault)

    def _triple_fault(self, fault: Fault) -> None:
        domain = self.vcpu.domain
        self.hypervisor.report(
            f"domain {domain.id}: triple fault at {self.processor.rip.get():#x}, first exception"
            f" {fault.vector}, address {fault.address:#x}"
        )
        index = domain.abi.constants.get("HVM_PARAM_TRIPLE_FAULT_REASON")
        default = domain.abi.constant("SHUTDOWN_reboot")
        reason = default if index is None else domain.params.get(int(index.value), default)
        domain.shut_down(reason)

    def deliver(self, fault: Fault) -> None:
        """Enter the guest's handler as the processor does in 64-bit mode."""
        processor = self.processor
        uc = processor.uc
        _selector, table, limit, _flags = uc.reg_read(x86.UC_X86_REG_IDTR)
        at = 16 * fault.vector
        if at + 15 > limit or not processor.uc.reg_read(x86.UC_X86_REG_CR0) & CR0_PG:
            raise DeliveryFailed
        low, _code, stack, kind, middle, high, _reserved = _GATE.unpack(self.read(table + at, 16))
        if not kind & 0x80 or kind & 0xF not in (_INTERRUPT_GATE, _TRAP_GATE):
            raise DeliveryFailed
        flags = processor.rflags.get()
        rsp = processor.rsp.get()
        words = [
            processor.rip.get(),
            uc.reg_read(x86.UC_X86_REG_CS),
            flags,
            rsp,
            uc.reg_read(x86.UC_X86_REG_SS),
        ]
        if fault.vector in WITH_ERROR_CODE:
            words.insert(0, fault.error_code)
        top = self._stack_of_task(stack & 7) if stack & 7 else rsp
        new_rsp = (top & ~0xF) - 8 * len(words)
        try:
            self.vcpu.copy_out(new_rsp & self.word, struct.pack(f"<{len(words)}Q", *words))
        except XenError:
            raise DeliveryFailed from None
        cleared = FLAG_TF | FLAG_NT | FLAG_RF | FLAG_VM
        if kind & 0xF == _INTERRUPT_GATE:
            cleared |= FLAG_IF
        processor.rsp.set(new_rsp)
        processor.rflags.set(flags & ~cleared)
        processor.rip.set(low | middle << 16 | high << 32)

    def read(self, address: int, length: int) -> bytes:
        """Bytes of the guest's memory that are needed to deliver an exception."""
        try:
            return bytes(self.vcpu.copy_in(address, length))
        except XenError:
            raise DeliveryFailed from None

    def _stack_of_task(self, number: int) -> int:
        """Stack ``number`` of the interrupt stack table."""
        _selector, base, _limit, _flags = self.processor.uc.reg_read(x86.UC_X86_REG_TR)
        return int.from_bytes(self.read(base + 0x24 + 8 * (number - 1), 8), "little")

    # ---- Memory ----

    def translate(self, handle: int, offset: int, write: bool) -> int | None:
        """Walk the guest's tables, if it has paging on."""
        address = handle + offset & self.word
        cr0, root = self.paging.read()
        if not cr0 & CR0_PG:
            return address & 0xFFFF_FFFF
        return self.walk(root, address, write)

    def walk(self, root: int, address: int, write: bool) -> int | None:
        """The physical address behind a virtual one in the tables at ``root``, if there is one."""
        return self.processor.walk(root, address, write, False)

    def memory_map(self) -> list[tuple[int, int, int]]:
        """RAM, and what is reserved behind it."""
        map_of: list[tuple[int, int, int]] = self.vcpu.domain.built.memory_map
        return map_of

    # ---- State ----

    def set_context(self, context: Any) -> None:
        """A vcpu_hvm_context: flat 32-bit protected mode, or 64-bit mode with paging."""
        x86_pvh_calls.set_hvm_context(self, context)

    def time_changed(self) -> None:
        """The time record of vcpu_info."""
        self._time.write()

    # ---- Parameters ----

    def check_param(self, domain: Domain, index: int, value: int | None) -> None:
        """May the caller read (``value`` None) or set this parameter?"""
        x86_pvh_calls.check_param(self.vcpu, domain, index, value)

    # ---- Interrupts ----

    def bind_pirq(self, _pirq: int) -> None:
        """An HVM domain's pirqs are emulated: nothing can go wrong."""

    def unbind_pirq(self, pirq: int) -> None:
        """Nothing to undo."""
