"""64-bit PV guests: ring 3, page tables under Xen's eyes, frames on the stack for what happens."""

from __future__ import annotations

import ctypes
import struct
from typing import TYPE_CHECKING, Any

from unicorn import UcError, x86_const as x86

from xenport.model.clock import WALL_CLOCK_SECONDS
from xenport.model.console_ring import ConsoleRing
from xenport.model.cpu import (
    x86_domctl,
    x86_physdev,
    x86_pv_calls,
    x86_pv_context,
    x86_pv_descriptors,
    x86_pv_grants,
    x86_pv_hooks,
    x86_pvh_calls,
    x86_tools,
)
from xenport.model.cpu.base import Cpu
from xenport.model.cpu.x86_core import (
    CR0_PE,
    CR0_PG,
    CR0_TS,
    CR0_WP,
    CR4_PAE,
    E820_RAM,
    EFER_LMA,
    EFER_LME,
    EFER_NX,
    EFER_SCE,
    FLAG_AC,
    FLAG_IF,
    FLAG_IOPL,
    FLAG_NT,
    FLAG_RF,
    FLAG_TF,
    FLAG_VM,
    GP,
    MSR_EFER,
    MSR_FS_BASE,
    MSR_GS_BASE,
    MSR_KERNEL_GS_BASE,
    NM,
    NMI,
    PF,
    R11,
    RAX,
    RCX,
    RIP,
    SPARE_PAGES,
    UD,
    USER,
    WITH_ERROR_CODE,
    Fault,
    Processor,
    arguments,
)
from xenport.model.cpu.x86_pv_builder import Builder, PvStart, hypercall_page
from xenport.model.cpu.x86_pv_emulate import emulate
from xenport.model.cpu.x86_pv_frames import PvFrames, StoredPvFrames
from xenport.model.cpu.x86_pv_memory import XEN_END, XEN_START
from xenport.model.cpu.x86_pv_xen import FLAT_CS, FLAT_SS, STUB, STUB_CS, STUB_SS
from xenport.model.cpu.x86_time import TimeRecord
from xenport.model.errors import ModelError, XenError
from xenport.model.handlers import Handlers
from xenport.model.memory import PAGE_SIZE, MemoryFault

if TYPE_CHECKING:
    from xenport.abi import Abi
    from xenport.model.domain import Domain
    from xenport.model.grant_table import Granted
    from xenport.model.vcpu import Vcpu

_SYSCALL = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)
_WORD = (1 << 64) - 1
_FRAME = struct.Struct("<9Q")
_IRET_CONTEXT = struct.Struct("<9Q")

#: Flags that a frame's return clears, as an exception does on hardware.
_CLEARED = FLAG_AC | FLAG_VM | FLAG_RF | FLAG_NT | FLAG_TF


_GENERAL = (
    x86.UC_X86_REG_RAX,
    x86.UC_X86_REG_RBX,
    x86.UC_X86_REG_RCX,
    x86.UC_X86_REG_RDX,
    x86.UC_X86_REG_RBP,
    x86.UC_X86_REG_RSI,
    x86.UC_X86_REG_RDI,
    x86.UC_X86_REG_R8,
    x86.UC_X86_REG_R9,
    x86.UC_X86_REG_R10,
    x86.UC_X86_REG_R11,
    x86.UC_X86_REG_R12,
    x86.UC_X86_REG_R13,
    x86.UC_X86_REG_R14,
    x86.UC_X86_REG_R15,
)
_GENERAL_NAMES = [
    "rax",
    "rbx",
    "rcx",
    "rdx",
    "rbp",
    "rsi",
    "rdi",
    "r8",
    "r9",
    "r10",
    "r11",
    "r12",
    "r13",
    "r14",
    "r15",
]


_STUB_FRAME = 0x800  # where iretq's frame is in the page of Xen's code


_FPU_CONTROL = 0x37F  # what a processor begins with


def _stub_frame(rflags: int, rsp: int, cs: int, ss: int) -> bytes:
    return struct.pack("<5Q", STUB, cs, rflags | 2, rsp, ss)


class PvCpu(Cpu):
    """A vcpu of a 64-bit PV guest. The Unicorn instance is made when the vcpu gets registers."""

    handlers = Handlers(x86_pv_calls.handlers, x86_tools.handlers)
    built_by_tools = True
    capabilities = "xen-3.0-x86_64 hvm-3.0-x86_32 hvm-3.0-x86_32p hvm-3.0-x86_64"
    machine_capabilities = ("hvm", "pv", "hap")
    knows_memory_types = True
    features = (
        "XENFEAT_memory_op_vnode_supported",
        "XENFEAT_mmu_pt_update_preserve_ad",
        "XENFEAT_highmem_assist",
        "XENFEAT_gnttab_map_avail_bits",
        "XENFEAT_direct_mapped",
    )
    virt_start = XEN_START
    translated = False
    hvm = False
    assists = (
        "VMASST_TYPE_4gb_segments",
        "VMASST_TYPE_4gb_segments_notify",
        "VMASST_TYPE_writable_pagetables",
        "VMASST_TYPE_pae_extended_cr3",
        "VMASST_TYPE_architectural_iopl",
        "VMASST_TYPE_runstate_update_flag",
        "VMASST_TYPE_m2p_strict",
    )
    pirq_count = 272
    monitor_events = ()
    device_frames = x86_domctl.DEVICE_FRAMES

    def __init__(self, vcpu: Vcpu) -> None:
        super().__init__(vcpu)
        self.traps: dict[int, tuple[int, int, int]] = {}  #: vector -> flags, cs, address
        self.event_address = 0
        self.failsafe_address = 0
        self.syscall_address = 0
        self.sysenter_address = 0
        self.syscall32_address = 0
        self.nmi_masked = False  #: until the guest returns from the NMI by iret
        self.iopl = 0
        self._port_bitmap = (0, 0)  # handle, and how many ports it has
        self.kernel_stack = (0, 0)  #: ss, rsp: for entries from user mode
        self.debug_registers = [0] * 8
        self.returning = False  #: the iret hypercall is under way
        self.task_switched = False
        self._gdt_frames: list[int] = []
        self.root = 0  #: machine address of the top-level table
        self.user_root = 0  #: the same for user mode; 0: none
        self.local_descriptors = (0, 0)  #: address and entries of the LDT
        self._processor: Processor | None = None
        self._time = TimeRecord(vcpu)
        self._cr2_at = vcpu.domain.abi.offset("vcpu_info", "arch.cr2")

    @classmethod
    def check_config(cls, abi: Abi, config: Any) -> None:
        x86_tools.check_pv_config(abi, config)

    @classmethod
    def prepare_domain(cls, domain: Domain, config: Any) -> None:
        config.flags |= domain.abi.constant("XEN_DOMCTL_CDF_oos_off")
        domain.settings.emulated = config.arch.emulation_flags
        domain.frames = StoredPvFrames(domain)

    @classmethod
    def fill_info(cls, info: Any, domain: Domain) -> None:
        x86_tools.fill_info(info, domain)

    @classmethod
    def hypercall_page(cls, abi: Abi) -> bytes:
        return hypercall_page(abi.hypercalls["iret"].number)

    def check_context(self, context: Any) -> None:
        x86_pv_context.check_context(self.vcpu.domain.abi, context)
        x86_tools.check_pv_registers(self.vcpu, context)

    @property
    def start(self) -> PvStart:
        """What the domain was built with."""
        start: PvStart = self.vcpu.domain.built
        return start

    @property
    def processor(self) -> Processor:
        """The vcpu's processor; it must have been given registers."""
        assert self._processor is not None
        return self._processor

    # ---- Building ----

    @classmethod
    def features_of(cls, domain: Domain) -> tuple[str, ...]:
        # One assist shows as a feature.
        assist = domain.abi.constant("VMASST_TYPE_pae_extended_cr3")
        if domain.vm_assist >> assist & 1:
            return (*cls.features, "XENFEAT_pae_pgdir_above_4gb")
        return cls.features

    @classmethod
    def build_domain(cls, domain: Domain, image: bytes, command_line: str) -> None:
        """As Xen builds a PV dom0, and a tool stack other domains."""
        start = Builder(domain, image).build(command_line)
        domain.built = start
        domain.frames = PvFrames(domain, start.machine)
        domain.total_pages = start.machine.count
        domain.max_pages = 0xFFFF_FFFF if domain.is_control else start.machine.count + SPARE_PAGES
        if start.console is not None:
            domain.console_ring = ConsoleRing(domain, start.console)
        for _ in range(domain.max_vcpus):
            domain.add_vcpu()
        for info in domain.shared_view().vcpu_info:
            info.evtchn_upcall_mask = 1
        vcpu = domain.vcpus[0]
        domain.write_wall_clock(WALL_CLOCK_SECONDS * 1_000_000_000)
        cpu = vcpu.cpu
        assert isinstance(cpu, PvCpu)
        cpu.load(start.root, [])
        processor = cpu.processor
        processor.uc.reg_write(x86.UC_X86_REG_RSI, start.start_info)
        cpu.enter(start.entry, start.stack, FLAG_IF)
        vcpu.up()

    def load(self, root: int, gdt_frames: list[int]) -> None:
        """Make the processor: 64-bit mode, tables at ``root``, Xen's descriptors."""
        start = self.start
        assert start.kernel is not None
        processor = Processor(start.machine.memory)
        self._processor = processor
        self.root = root
        self.use_gdt(gdt_frames)
        start.xen.install(root >> 12)
        uc = processor.uc
        processor.cr3.set(root)
        uc.reg_write(x86.UC_X86_REG_CR4, uc.reg_read(x86.UC_X86_REG_CR4) | CR4_PAE)
        uc.msr_write(MSR_EFER, EFER_SCE | EFER_LME | EFER_LMA | EFER_NX)
        uc.reg_write(x86.UC_X86_REG_CR0, CR0_PG | CR0_WP | CR0_PE | 0x32)
        uc.reg_write(x86.UC_X86_REG_GDTR, (0, start.xen.gdt_address(self.vcpu.id), 0xFFFF, 0))
        self._general = processor.core.registers(_GENERAL)
        processor.core.hook_instruction_raw(x86.UC_X86_INS_SYSCALL, self._syscall_hook())
        x86_pv_hooks.install(self)
        processor.trap(start.kernel.code, rb"\x0f\x31", self._rdtsc)

    def use_gdt(self, frames: list[int]) -> None:
        """Make ``frames`` the guest's part of the GDT, instead of those before."""
        used = self.start.machine.descriptor_frames
        for frame in frames:
            used[frame] = used.get(frame, 0) + 1
        for frame in self._gdt_frames:
            used[frame] -= 1
            if not used[frame]:
                del used[frame]
        self._gdt_frames = frames
        self.start.xen.set_gdt(self.vcpu.id, frames)

    def enter(self, rip: int, rsp: int, rflags: int, cs: int = FLAT_CS, ss: int = FLAT_SS) -> None:
        """Put the processor into ring 3 at ``rip``. Unicorn changes its privilege level only by an
        instruction, so an iretq of Xen's own does it: to a page that ring 3 may not run, so that
        the processor stops there."""
        processor = self.processor
        memory = self.start.machine.memory
        memory.write(
            (self.start.xen.stub_frame << 12) + _STUB_FRAME,
            _stub_frame(rflags, rsp, cs | 3, ss | 3),
        )
        uc = processor.uc
        uc.reg_write(x86.UC_X86_REG_CS, STUB_CS)
        uc.reg_write(x86.UC_X86_REG_SS, STUB_SS)
        processor.rsp.set(STUB + _STUB_FRAME)
        processor.rip.set(STUB)
        fault = processor.run()
        if fault is not None and fault.vector == GP:
            self.vcpu.domain.crash(f"there are no segments {cs:#x} and {ss:#x} to begin in")
            return
        if fault is None or fault.vector != PF:
            raise ModelError(f"ring 3 was not reached: {fault}")
        for segment in (x86.UC_X86_REG_DS, x86.UC_X86_REG_ES):
            uc.reg_write(segment, FLAT_SS)
        processor.rip.set(rip)

    # ---- Running ----

    def run(self) -> None:
        """Run until the vcpu has to leave; exceptions become frames for the guest. The return from
        an upcall gives no time away: a guest whose events come fast would get nowhere."""
        fault = self.processor.run()
        while self.returning:
            self.returning = False
            self._iret()
            if self.vcpu.attention or self.event_deliverable():
                return
            fault = self.processor.run()
        if fault is not None:
            self._fault(fault)

    def stop(self) -> None:
        """Leave `run`."""
        if self._processor is not None:
            self._processor.core.stop()

    def _syscall_hook(self) -> object:
        """The hook of hypercalls, with all that it needs at hand: most of its time is Python's."""
        core = self.processor.core
        state = self.processor.state
        vcpu = self.vcpu
        hypercall = self.hypervisor.hypercall

        def hook(_uc: int, _data: int) -> None:
            try:
                result = hypercall(vcpu, state[RAX], arguments(state))
                if self.returning:
                    core.stop()
                    return
                state[RAX] = result
                # What syscall leaves there; of the flags only those that never change.
                state[RCX] = state[RIP] + 2
                state[R11] = FLAG_IF | 2
                if vcpu.attention or vcpu.info_data[vcpu.pending_at]:
                    self.after_trap()
            except BaseException as error:
                core.fail(error)

        return _SYSCALL(hook)

    def _rdtsc(self, address: int) -> None:
        self.processor.read_counter(self.hypervisor.clock.read())
        self.processor.rip.set(address + 2)
        self.after_trap()

    def _fault(self, fault: Fault) -> None:
        if fault.vector == NM and self.task_switched:
            self.set_task_switched(False)
        elif fault.vector in (GP, UD) and emulate(self, fault):
            return
        self.bounce_exception(fault)

    # ---- Frames ----

    def event_deliverable(self) -> bool:
        """Pending and not masked, or an NMI."""
        vcpu = self.vcpu
        if vcpu.nmi_pending and not self.nmi_masked:
            return True
        return vcpu.upcall_pending and not vcpu.upcall_masked

    def enable_events(self) -> None:
        """Clear the mask byte."""
        self.vcpu.upcall_masked = False

    def deliver_event(self) -> None:
        """A frame for the NMI's or the event callback."""
        if self.vcpu.nmi_pending and not self.nmi_masked:
            self.vcpu.nmi_pending = False
            if NMI in self.traps:
                self.nmi_masked = True
                self.bounce_exception(Fault(NMI))
                return
            if not self.event_deliverable():
                return
        self._bounce(self.event_address, mask_events=True, error_code=None)

    def bounce_exception(self, fault: Fault) -> None:
        """A frame for the guest's handler of an exception."""
        flags, _selector, address = self.traps.get(fault.vector, (0, 0, 0))
        error_code: int | None = None
        if fault.vector in WITH_ERROR_CODE:
            error_code = fault.error_code
        if fault.vector == PF:
            assert error_code is not None
            error_code &= ~USER  # the guest's kernel, as far as it knows, is not in user mode
            self.vcpu.write_info(self._cr2_at, struct.pack("<Q", fault.address))
        self._bounce(
            address,
            mask_events=bool(flags & 4),
            error_code=error_code,
            why=f"exception {fault.vector} at {self.processor.rip.get():#x}"
            + (f", address {fault.address:#x}" if fault.vector == PF else ""),
        )

    def _bounce(
        self, address: int, *, mask_events: bool, error_code: int | None, why: str = "event"
    ) -> None:
        processor = self.processor
        vcpu = self.vcpu
        if not address:
            vcpu.domain.crash(f"{why}, and the guest has no handler")
            return
        saved_mask = int(vcpu.upcall_masked)
        if mask_events:
            vcpu.upcall_masked = True
        flags = processor.rflags.get()
        rsp = processor.rsp.get()
        pushed_flags = flags & ~(FLAG_IF | FLAG_IOPL) | (0 if saved_mask else FLAG_IF)
        words = [
            processor.rcx.get(),
            processor.r11.get(),
            processor.rip.get(),
            FLAT_CS & ~3 | saved_mask << 32,
            pushed_flags | self._visible_iopl(),
            rsp,
            FLAT_SS,
        ]
        if error_code is not None:
            words.insert(2, error_code)
        new_rsp = (rsp & ~0xF) - 8 * len(words)
        try:
            vcpu.copy_out(new_rsp & _WORD, struct.pack(f"<{len(words)}Q", *words))
        except XenError:
            vcpu.domain.crash(f"{why}, and its frame does not fit on the stack at {rsp:#x}")
            return
        processor.rsp.set(new_rsp)
        processor.rip.set(address)
        processor.rflags.set(flags & ~_CLEARED)

    def _visible_iopl(self) -> int:
        """The IOPL that the guest sees in frames."""
        assist = self.vcpu.domain.abi.constants.get("VMASST_TYPE_architectural_iopl")
        if assist is not None and self.vcpu.domain.vm_assist >> int(assist.value) & 1:
            return self.iopl << 12
        return 0

    def _iret(self) -> None:
        """Leave by the iret_context on the stack."""
        processor = self.processor
        vcpu = self.vcpu
        try:
            content = vcpu.copy_in(processor.rsp.get(), _IRET_CONTEXT.size)
        except XenError:
            vcpu.domain.crash("iret with a bad stack")
            return
        rax, r11, rcx, flags, rip, selector, rflags, rsp, _stack = _IRET_CONTEXT.unpack(content)
        if selector & 3 == 3:
            vcpu.domain.crash("iret to user mode, for which the guest has no page tables")
            return
        in_syscall = vcpu.domain.abi.constant("VGCF_in_syscall")
        if not flags & in_syscall:
            processor.r11.set(r11)
            processor.rcx.set(rcx)
        processor.rax.set(rax)
        processor.rip.set(rip)
        processor.rsp.set(rsp)
        processor.rflags.set(rflags & ~(FLAG_IOPL | FLAG_VM) | FLAG_IF | 2)
        vcpu.upcall_masked = not rflags & FLAG_IF
        self.nmi_masked = False

    # ---- Memory ----

    def translate(self, handle: int, offset: int, write: bool) -> int | None:
        """Walk the guest's tables; Xen's addresses are none of the guest's."""
        address = handle + offset & _WORD
        if not self.may_hold(address):
            return None
        return self.processor.walk(self.root, address, write, True)

    def may_hold(self, handle: int) -> bool:
        """What is not Xen's is the guest's."""
        return not XEN_START <= handle < XEN_END

    grant_flags_refused = ()

    def map_grant(self, address: int, grant: Granted, flags: int) -> None:
        """By an entry of a page table, of which there has to be one."""
        at = x86_pv_grants.entry_address(self, address, flags)
        writable = not flags & self.vcpu.domain.abi.constant("GNTMAP_readonly")
        frame = x86_pv_grants.frame_of(self, grant)
        self.start.machine.set_grant_entry(at, frame, writable=writable)
        self.flush()

    def unmap_grant(self, address: int, grant: Granted, flags: int, new_address: int = 0) -> None:
        """The entry must be as `map_grant` made it."""
        x86_pv_grants.unmap(self, address, grant, flags, new_address)
        self.flush()

    def frame_is_writable(self, frame: int) -> bool:
        """The domain's own, and no table."""
        return self.start.machine.is_writable(frame)

    def memory_map(self) -> list[tuple[int, int, int]] | None:
        """Only a tool stack gives a PV domain one."""
        if self.vcpu.domain.is_control:
            return None
        return [(0, self.start.machine.count * PAGE_SIZE, E820_RAM)]

    def maximum_frame(self) -> int:
        """What the guest itself says in shared_info."""
        count: int = self.vcpu.domain.shared_view().arch.max_pfn
        return max(count, 1) - 1

    def flush(self) -> None:
        """Page tables have changed."""
        for vcpu in self.vcpu.domain.vcpus:
            cpu = vcpu.cpu
            if isinstance(cpu, PvCpu) and cpu._processor is not None:
                cpu._processor.core.flush_tlb()

    def set_root(self, root: int) -> None:
        """Switch to other page tables."""
        self.root = root
        self.start.xen.install(root >> 12)
        self.processor.cr3.set(root)
        self.processor.core.flush_tlb()

    def check_param(self, domain: Domain, index: int, value: int | None) -> None:
        x86_pvh_calls.check_param(self.vcpu, domain, index, value)

    # ---- State ----

    def set_task_switched(self, on: bool) -> None:
        """CR0.TS: the next use of the FPU traps."""
        self.task_switched = on
        uc = self.processor.uc
        cr0 = uc.reg_read(x86.UC_X86_REG_CR0)
        uc.reg_write(x86.UC_X86_REG_CR0, cr0 | CR0_TS if on else cr0 & ~CR0_TS)

    def set_context(self, context: Any) -> None:
        """Registers, traps, tables and callbacks of a vcpu that comes up."""
        x86_pv_context.check_context(self.vcpu.domain.abi, context)
        registers = context.user_regs
        root = context.ctrlreg[3]
        frames = [context.gdt_frames[i] for i in range((context.gdt_ents + 511) // 512)]
        x86_pv_descriptors.check_gdt(self, frames)
        try:
            self.start.machine.promote(root >> 12, 4, privileged=self.vcpu.domain.is_control)
        except (XenError, MemoryFault):
            raise XenError("EINVAL") from None
        self.load(root & ~0xFFF, frames)
        for entry in context.trap_ctxt:
            if entry.address:
                self.traps[entry.vector] = (entry.flags, entry.cs, entry.address)
        self.event_address = context.event_callback_eip
        self.failsafe_address = context.failsafe_callback_eip
        self.syscall_address = context.syscall_callback_eip
        self.kernel_stack = (context.kernel_ss, context.kernel_sp)
        self.local_descriptors = (context.ldt_base, context.ldt_ents)
        flags = registers.rflags & ~FLAG_IOPL | FLAG_IF
        self.enter(registers.rip, registers.rsp, flags, registers.cs, registers.ss)
        self._load_segments(context)
        self._load_fpu(context)
        values = self._general.values
        for index, name in enumerate(_GENERAL_NAMES):
            values[index] = getattr(registers, name)
        self._general.write()

    def _load_segments(self, context: Any) -> None:
        """Selectors, then bases, which win."""
        uc = self.processor.uc
        registers = context.user_regs
        for segment, selector in (
            (x86.UC_X86_REG_DS, registers.ds),
            (x86.UC_X86_REG_ES, registers.es),
            (x86.UC_X86_REG_FS, registers.fs),
            (x86.UC_X86_REG_GS, registers.gs),
        ):
            try:
                uc.reg_write(segment, selector)
            except UcError:
                self.vcpu.domain.crash(f"there is no segment {selector:#x}")
        uc.msr_write(MSR_FS_BASE, context.fs_base)
        uc.msr_write(MSR_GS_BASE, context.gs_base_kernel)
        uc.msr_write(MSR_KERNEL_GS_BASE, context.gs_base_user)

    def _load_fpu(self, context: Any) -> None:
        """Of its state the control word, the default one if the guest gives no state."""
        control = _FPU_CONTROL
        if context.flags & self.vcpu.domain.abi.constant("VGCF_i387_valid"):
            control = int.from_bytes(bytes(context.fpu_ctxt.x[i] for i in range(2)), "little")
        self.processor.uc.reg_write(x86.UC_X86_REG_FPCW, control)

    def time_changed(self) -> None:
        """The time record of vcpu_info."""
        self._time.write()

    # ---- Interrupts, ports ----

    def use_port_bitmap(self, handle: int, ports: int) -> None:
        """Ports with a clear bit in the bitmap are open."""
        self._port_bitmap = (handle, ports)

    def may_use_port(self, port: int, size: int) -> bool:
        """Is the level high enough for ports, or are these open?"""
        if self.iopl:
            return True
        handle, ports = self._port_bitmap
        if port + size > ports:
            return False
        try:
            bits = self.vcpu.copy_in(handle, size // 8 + 2, port // 8)
        except XenError:
            return False
        return not int.from_bytes(bits, "little") >> port % 8 & ((1 << size) - 1)

    def bind_pirq(self, pirq: int) -> None:
        """An interrupt that Xen uses itself it does not share."""
        if self.vcpu.domain.pirqs[pirq] == x86_physdev.SERIAL_INTERRUPT:
            raise XenError("EBUSY")

    def pirq_permitted(self, pirq: int) -> bool:
        """It has those that it has mapped."""
        return x86_physdev.has_interrupt(self.vcpu.domain, pirq)

    def may_give_pirq(self, pirq: int) -> bool:
        """The same."""
        return self.pirq_permitted(pirq)
