"""ppc64: a guest of IBM's PowerPC port of Xen, on whatever processor it runs.

The port of today, which is little endian, has layouts but no way of calling Xen yet: its guests do
as IBM's.

The guest has the processor's supervisor state and its own exception vectors. Hypercalls are
``sc 1``; an event is an external interrupt that is only there when Xen returns to the guest; timers
make the decrementer run out. Guest handles are physical addresses: by IBM's ABI in one of the two
forms of xencomm, by that of today as they are.

Besides the registers of `cpu_user_regs` the processor has ``decrementer_end``: the value of the
timebase at which the decrementer becomes negative.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from xenport.model.cpu.guest import GuestCpu
from xenport.model.cpu.ppc64_domain import Loaded, load
from xenport.model.cpu.ppc64_ibm import GRANT_TABLE
from xenport.model.errors import GrantError, XenError
from xenport.model.grant_table import TableSize, has_old_rules
from xenport.model.handlers import Handlers
from xenport.model.memory import PAGE_SIZE, MemoryFault
from xenport.model.memory_op import EXTENT_SHIFT, NO_FRAME
from xenport.model.vcpu_op import target, vcpu_exists

if TYPE_CHECKING:
    from xenport.abi import Abi
    from xenport.model.call import Arguments, Call
    from xenport.model.domain import Domain
    from xenport.model.grant_table import Granted
    from xenport.model.vcpu import Vcpu

MSR_SF = 1 << 63  # 64-bit mode
MSR_HV = 1 << 60  # hypervisor state
MSR_EE = 1 << 15  # external interrupts and the decrementer
MSR_PR = 1 << 14  # problem state
MSR_FP = 1 << 13
MSR_ME = 1 << 12
MSR_FE0 = 1 << 11
MSR_SE = 1 << 10
MSR_BE = 1 << 9
MSR_FE1 = 1 << 8
MSR_IR = 1 << 5  # translation of instruction addresses
MSR_DR = 1 << 4  # and of data addresses
MSR_PMM = 1 << 2
MSR_RI = 1 << 1
MSR_LE = 1 << 0  # little endian

NEVER = (1 << 63) - 1  #: in ``decrementer_end``

_ALL_ONES = (1 << 64) - 1
_MARK = _ALL_ONES ^ 0xFFFF  # is set in the number of a hypercall; anything less is a PAPR call

# Results of PAPR calls.
_H_PRIVILEGE = -3
_H_PARAMETER = -4

_VECTOR_DATA_STORAGE = 0x300
_VECTOR_INSTRUCTION_STORAGE = 0x400
VECTOR_PROGRAM = 0x700

_PROGRAM_ILLEGAL = 1 << 19  # reason of a program interrupt, in SRR1

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


_handlers = Handlers()
_handlers.refuse_declared("XENMEM_translate_gpfn_list")


@_handlers.check("vcpu_op")
def vcpu_may_exist(call: Call) -> None:
    """3.2 tells numbers that can be no vcpu's from those that are none's."""
    abi = call.domain.abi
    if "MAX_VIRT_CPUS" in abi.constants and call["vcpuid"] >= abi.constant("MAX_VIRT_CPUS"):
        raise XenError("EINVAL")
    vcpu_exists(call)


@_handlers.command("sched_op_compat")
def sched_op(call: Call) -> int:
    """The old number is another one of the same hypercall."""
    number = call.domain.abi.hypercalls["sched_op"].number
    return call.hypervisor.dispatch(call.vcpu, number, call.args)


@_handlers.command("XENMEM_translate_gpfn_list")
def translate_gpfn_list(call: Call) -> None:
    """The machine's frames of a domain's own."""
    view, vcpu = call.view, call.vcpu
    frames = call.hypervisor.domain_by_id(vcpu, view.domid).frames
    if view.nr_gpfns >> 64 - EXTENT_SHIFT:
        raise XenError("EINVAL")  # nothing of the command's number would be left
    for index in range(view.nr_gpfns):
        guest = vcpu.read_word("xen_pfn_t", view.gpfn_list, index)
        machine = frames.machine_frame(guest) if frames.owns(guest) else NO_FRAME
        vcpu.write_word("xen_pfn_t", machine, view.mfn_list, index)


@_handlers.command("VCPUOP_down")
def vcpu_down(call: Call) -> None:
    """3.2 does not notice that it was the last one."""
    target(call).down()


class Ppc64Guest(GuestCpu):
    """The guest's side of a vcpu of a ppc64 guest."""

    handlers = _handlers
    capabilities = "xen-3.0-powerpc64 "
    features = ("XENFEAT_writable_page_tables", "XENFEAT_auto_translated_physmap")
    assists = (
        "VMASST_TYPE_4gb_segments",
        "VMASST_TYPE_4gb_segments_notify",
        "VMASST_TYPE_writable_pagetables",
        "VMASST_TYPE_pae_extended_cr3",
        "VMASST_TYPE_runstate_update_flag",
    )  # 3.2 takes all that are defined anywhere
    pirq_count = 256
    hvm = False
    map_spaces = ("XENMAPSPACE_shared_info", "XENMAPSPACE_grant_table")
    unknown_space = "ENOSYS"

    def __init__(self, vcpu: Vcpu) -> None:
        super().__init__(vcpu)
        architecture = self.hypervisor.architecture
        convention = architecture.hypercall
        self._result: str = convention["result"]
        self._call = self.reader([convention["number"], *convention["args"]])
        self._event_vector: int = architecture.vectors["event"]
        self._byte_order = MSR_LE if vcpu.domain.byte_order == "little" else 0
        memory = vcpu.domain.memory
        self._memory_end = memory.base + memory.size
        abi = vcpu.domain.abi
        self._is_ibm = has_old_rules(abi)
        if self._is_ibm:
            self.grant_flags_refused = ()
        self._inline_flag = (
            abi.constant("XENCOMM_INLINE_FLAG") if "XENCOMM_INLINE_FLAG" in abi.constants else None
        )

    @classmethod
    def features_of(cls, domain: Domain) -> tuple[str, ...]:
        mapped = "XENFEAT_not_direct_mapped"
        return (*cls.features, mapped) if mapped in domain.abi.constants else cls.features

    # ---- Grants: by IBM's port; today's has nothing of its own yet ----

    @classmethod
    def grant_table_size(cls, abi: Abi) -> TableSize:
        return GRANT_TABLE if has_old_rules(abi) else super().grant_table_size(abi)

    def map_grant(self, address: int, grant: Granted, flags: int) -> None:
        if self._is_ibm:
            self._panic("only domain 0 can map a grant entry")
        super().map_grant(address, grant, flags)

    def give_page_away(self) -> NoReturn:
        if self._is_ibm:
            self._panic("pages cannot be given away")
        super().give_page_away()

    def _panic(self, why: str) -> NoReturn:
        self.hypervisor.panic(why)
        raise GrantError("general_error")  # which nobody sees any more

    # ---- Building ----

    @classmethod
    def build_domain(cls, domain: Domain, image: bytes, command_line: str) -> None:
        loaded = load(domain, image, command_line, cls.counter_frequency)
        for _ in range(domain.max_vcpus):
            cpu = domain.add_vcpu().cpu
            assert isinstance(cpu, cls)
            cpu.set("decrementer_end", NEVER)
            cpu.loaded(loaded)
            if cpu.vcpu.id == 0:
                cpu._enter_kernel(loaded)
        domain.vcpus[0].up()

    def loaded(self, loaded: Loaded) -> None:
        """The kernel is in memory: whatever the processor wants to do about it."""

    def _enter_kernel(self, loaded: Loaded) -> None:
        """The state in which the builder starts the first vcpu: 32-bit mode, real mode."""
        entry = self.hypervisor.architecture.entry
        for number in range(32):
            self.set(f"r{number}", entry["fill"])
        for name in entry["zero"]:
            self.set(name, 0)
        self.set(entry["device_tree"], loaded.device_tree)
        self.set(entry["kernel"], loaded.kernel)
        self.set("msr", entry["msr"] | self._byte_order)
        self.set("pc", loaded.entry)

    def set_context(self, context: Any) -> None:
        registers = context.user_regs
        for number in range(32):
            self.set(f"r{number}", registers.gprs[number])
        for name in ("srr0", "srr1", "lr", "ctr", "xer", "cr", "pc"):
            self.set(name, getattr(registers, name))
        self.set("msr", registers.msr & ~MSR_HV | self._byte_order)

    # ---- Hypercalls ----

    def on_call(self) -> None:
        number, *arguments = self._call()
        self.set(self._result, self.call(number, arguments, self.get("msr")))

    def call(self, number: int, arguments: Arguments, msr: int) -> int:
        """The result of ``sc 1``."""
        if number < _MARK or msr & MSR_PR:
            return self._refused(number, msr)
        return self.hypervisor.hypercall(self.vcpu, number & 0xFFFF, arguments)

    def _refused(self, number: int, msr: int) -> int:
        """The result of calls that never reach a handler: PAPR's, and those of problem state."""
        if number >= _MARK:
            return -self.vcpu.domain.abi.errno("EPERM")
        return _H_PRIVILEGE if msr & MSR_PR else _H_PARAMETER

    # ---- Faults: what the processor itself does where real addresses end ----

    def on_no_memory(self, address: int, *, write: bool) -> None:
        self.set("dar", address)
        self.set("dsisr", _PROTECTION | (_DSISR_STORE if write else 0))
        self.enter(_VECTOR_DATA_STORAGE)

    def on_no_code(self) -> None:
        self.enter(_VECTOR_INSTRUCTION_STORAGE, _PROTECTION)

    def on_illegal(self) -> None:
        self.enter(VECTOR_PROGRAM, _PROGRAM_ILLEGAL)

    def enter(self, vector: int, reason: int = 0) -> None:
        """Take an interrupt that returns to where the PC is."""
        msr = self.get("msr")
        self.set("srr0", self.get("pc"))
        self.set("srr1", msr & ~_SRR1_REASON | reason)
        self.set("msr", msr & ~_INTERRUPT_CLEARS | MSR_SF | MSR_ME)
        self.set("pc", vector)

    # ---- Events ----

    def event_deliverable(self) -> bool:
        return self.vcpu.upcall_pending and self.get("msr") & MSR_EE != 0

    def deliver_event(self) -> None:
        if self.get("msr") & MSR_RI:
            self.enter(self._event_vector)
        else:
            self.vcpu.domain.crash(
                "an event with MSR[EE] set and MSR[RI] clear, which stops IBM's Xen,"
                f" at {self.get('pc'):#x}"
            )

    def enable_events(self) -> None:
        self.set("msr", self.get("msr") | MSR_EE)

    def pirq_permitted(self, _pirq: int) -> bool:
        return False  # no domain of the model is given a device

    def timer_interrupt(self) -> bool:
        self.set("decrementer_end", 0)
        self.vcpu.kick()
        return True

    # ---- Memory as the guest names it ----

    def maximum_frame(self) -> int:
        if self._is_ibm:
            raise XenError("ENOSYS")  # it keeps no account of it
        return super().maximum_frame()

    def translate(self, handle: int, offset: int, write: bool) -> int | None:  # noqa: ARG002
        if self._inline_flag is None:
            return handle + offset  # real mode: what a pointer says
        if handle & self._inline_flag:
            address: int | None = (handle ^ self._inline_flag) + offset
        else:
            try:
                address = self._described(handle, offset)
            except MemoryFault:
                return None
        # Behind its memory is the grant table, which is no place for handles.
        return address if address is not None and address < self._memory_end else None

    def _described(self, handle: int, offset: int) -> int | None:
        """Where byte ``offset`` is of the pages that the xencomm_desc at ``handle`` lists. Raises
        MemoryFault where the list has no memory."""
        abi = self.vcpu.domain.abi
        size = abi.sizeof("xencomm_desc")
        if handle % abi.layout("xencomm_desc").align or handle % PAGE_SIZE > PAGE_SIZE - size:
            return None
        head = abi.view("xencomm_desc", bytearray(self._read(handle, size)))
        if head.magic != abi.constant("XENCOMM_MAGIC"):
            return None
        for index in range(head.nr_addrs):
            address = int.from_bytes(self._read(handle + size + 8 * index, 8), "big")
            if address == abi.constant("XENCOMM_INVALID"):
                continue
            room = PAGE_SIZE - address % PAGE_SIZE
            if offset < room:
                return address + offset
            offset -= room
        return None

    def _read(self, address: int, length: int) -> bytes:
        if address >= self._memory_end:
            raise MemoryFault(address)
        return self.vcpu.domain.memory.read(address, length)


GUESTS = {"ppc": Ppc64Guest}
