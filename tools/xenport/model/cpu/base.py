"""What an architecture gives the model, and what it gets: the interface of the CPU adapters.

An adapter module (named by ``model: {cpu: …}`` of the architecture's YAML) exports

    CPUS: Mapping[str, type[Cpu]]     # guest kind ("pv", "hvm", "arm", "ppc") -> class

and, of kinds that are special, "hvm pc" and "arm gicv2" by the platform that a guest finds, and
"arm32 arm" by an architecture that is not that of Xen.

One `Cpu` object is one vcpu's processor: a Unicorn instance and everything that hardware and Xen's
architecture code do around it. The model's core is architecture-neutral and never looks inside.

What an adapter uses of the core:

    vcpu.domain.memory          Memory: guest-physical memory (machine memory for PV); see memory.py
                                  memory.read(address, length), memory.write(address, data),
                                  memory.attach(core): maps all of it into a UnicornCore
                                    (UnicornCore.map_memory does that) and keeps it in step
    vcpu.domain.hypervisor      Hypervisor
        .hypercall(vcpu, number, args) -> int    the whole hypercall: dispatch, copies, result
                                  (negative errno on failure); `args` is a sequence of unsigned ints
        .clock                  Clock: .read() advances time a little and returns ns since
                                  boot (use it for every counter read), .now without advancing
        .clock.timer(callback)  Timer with .set(deadline_ns) and .cancel(); fires between two runs
    vcpu.domain                 .id, .guest ("pv" …), .is_control, .vcpus, .shared_info (Page),
                                  .add_vcpu() -> Vcpu, .shut_down(reason), .crash(text)
    vcpu.upcall_pending         bool: evtchn_upcall_pending in the vcpu's vcpu_info
    vcpu.info                   view of its vcpu_info (slow path)
    vcpu.block() / .wake()      leave the CPU until woken (wfi, hlt) / wake it (own interrupts)
    vcpu.up() / .down()         PSCI and friends
    vcpu.attention              bool that the core sets when the vcpu has to leave `run`; adapters
                                  look at it after every hypercall and counter read (`after_trap`)

Everything must be deterministic: no host time, no randomness, no iteration over sets.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn

from xenport.model.errors import GrantError, XenError
from xenport.model.frames import TranslatedFrames
from xenport.model.grant_table import TableSize
from xenport.model.handlers import Handlers
from xenport.model.memory import PAGE_SIZE, Window

if TYPE_CHECKING:
    from xenport.abi import Abi
    from xenport.model.domain import Domain
    from xenport.model.grant_table import Granted
    from xenport.model.vcpu import Vcpu


class Cpu(ABC):
    """The processor of one vcpu."""

    #: Handlers of hypercalls that only this architecture has, or that it does its own way; they
    #: come before the core's. Adapters of one module may share one registry.
    handlers: ClassVar[Handlers]

    #: XENVER_capabilities; ``{release}`` is replaced by "major.minor".
    capabilities: ClassVar[str]

    #: Names of the XENFEAT_ bits of XENVER_get_features submap 0. XENFEAT_dom0 is added for the
    #: control domain by the core.
    features: ClassVar[tuple[str, ...]]

    #: Ends of the names of the XEN_SYSCTL_PHYSCAP_ bits of XEN_SYSCTL_physinfo; those of the grant
    #: table are added by the core.
    machine_capabilities: ClassVar[tuple[str, ...]] = ("hvm", "hap")

    #: Xen knows which frames of the machine are ordinary memory.
    knows_memory_types: ClassVar[bool] = False

    #: XENVER_platform_parameters
    virt_start: ClassVar[int] = 0

    #: Names of the VMASST_TYPE_ assists that a guest may switch.
    assists: ClassVar[tuple[str, ...]] = ("VMASST_TYPE_runstate_update_flag",)

    #: Guest frame numbers are translated by Xen (all but PV guests).
    translated: ClassVar[bool] = True

    #: An HVM guest in Xen's terms (is_hvm_domain): x86's HVM and all of Arm's.
    hvm: ClassVar[bool] = True

    #: What XENMEM_add_to_physmap maps, of shared_info, grant_table and gmfn; the errno for others;
    #: whether it also maps devices.
    map_spaces: ClassVar[tuple[str, ...]] = (
        "XENMAPSPACE_shared_info",
        "XENMAPSPACE_grant_table",
        "XENMAPSPACE_gmfn",
    )
    unknown_space: ClassVar[str] = "EINVAL"
    maps_devices: ClassVar[bool] = False

    @classmethod
    def grant_table_size(cls, _abi: Abi) -> TableSize:
        """How large the table of a domain is, and may become."""
        return TableSize()

    #: The newest version of the grant table.
    max_grant_version: ClassVar[int] = 2

    #: What a command of grant_table_op with more bits than its number ends with.
    grant_command_errno: ClassVar[str] = "EINVAL"

    #: A page of a domain's own is at one frame only: mapping it by a grant takes it away from
    #: where it was.
    own_page_moves: ClassVar[bool] = False

    #: Physical interrupts a domain can name.
    pirq_count: ClassVar[int] = 0

    #: An HVM domain has the devices of a PC, as far as hypercalls show it: their interrupts may be
    #: pirqs, and the ports of the ACPI timer can be chosen.
    emulates_pc: ClassVar[bool] = False

    #: A domain that is not the control domain has a console ring and may not use console_io: a tool
    #: stack builds it, not Xen itself.
    built_by_tools: ClassVar[bool] = False

    #: XEN_DOMCTL_setvcpucontext gives a vcpu its first registers. x86 HVM vcpus get them by
    #: XEN_DOMCTL_sethvmcontext.
    starts_by_context: ClassVar[bool] = True

    #: Events that a monitor can be told, without XEN_DOMCTL_MONITOR_EVENT_.
    monitor_events: ClassVar[tuple[str, ...]] = ("GUEST_REQUEST",)

    #: A domain can have device models (ioreq servers).
    has_device_models: ClassVar[bool] = False

    #: It can map resources of other domains already with 4.14's Xen.
    maps_resources_early: ClassVar[bool] = True

    #: Frames of devices that the control domain may give away.
    device_frames: ClassVar[range] = range(0)

    #: Its vcpus can run; False where a domain is only looked at from outside.
    runs: ClassVar[bool] = True

    #: The adapter of the domains beside one under test of this kind, where they are of another.
    beside: ClassVar[type[Cpu] | None] = None

    #: Xen is built with the SILO policy on this architecture (Arm's default).
    silo: ClassVar[bool] = False

    def __init__(self, vcpu: Vcpu) -> None:
        self.vcpu = vcpu
        self.hypervisor = vcpu.domain.hypervisor

    # ---- Building ----

    @classmethod
    @abstractmethod
    def build_domain(cls, domain: Domain, image: bytes, command_line: str) -> None:
        """Load ``image`` (the file of the kernel: an ELF or a flat image, as ``architecture.image``
        says) as Xen's domain builder does, and leave vcpu 0 ready to run.

        Gives the domain its memory (``domain.memory = Memory(base, size)``), fills start info /
        device tree / page tables, makes vcpu 0 with ``domain.add_vcpu()`` (which calls this class)
        plus as many further, offline vcpus as the environment has (``domain.max_vcpus``), and puts
        vcpu 0's registers into the entry state and calls its ``up()``. Raises InputError for an
        image that Xen would refuse.
        """

    #: A domain can be started anew in its memory (XEN_DOMCTL_soft_reset).
    soft_reset: ClassVar[bool] = False

    @classmethod  # noqa: B027
    def check_config(cls, _abi: Abi, _config: Any) -> None:
        """May a domain of this kind be made with this xen_domctl_createdomain? XenError."""

    @classmethod  # noqa: B027
    def prepare_domain(cls, _domain: Domain, _config: Any) -> None:
        """Give a domain that was just made so what is the architecture's own."""

    @classmethod  # noqa: B027
    def fill_info(cls, _info: Any, _domain: Domain) -> None:
        """Tell what is the architecture's own of a domain, in an xen_domctl_getdomaininfo."""

    @classmethod
    def hypercall_page(cls, _abi: Abi) -> bytes:
        """A page with the entries of hypercalls. XenError ENOSYS: there is no such page."""
        raise XenError("ENOSYS")

    # ---- Running ----

    @abstractmethod
    def run(self) -> None:
        """Run the guest from where it stands until `stop` is called (or ``vcpu.attention`` is set
        in a trap). Guest faults and privileged instructions are dealt with inside."""

    @abstractmethod
    def stop(self) -> None:
        """Make `run` return soon; called from within a hook, or when nothing runs (no effect)."""

    @abstractmethod
    def event_deliverable(self) -> bool:
        """Would the guest take an event upcall right now? (pending, and neither masked nor with
        interrupts off). Called after every trap: must be fast."""

    @abstractmethod
    def deliver_event(self) -> None:
        """Enter the guest's event upcall (frame, vector, interrupt line). Called by the machine
        before `run` when `event_deliverable`; never while the Unicorn instance runs. Adapters whose
        guest takes other interrupts too (a timer's) deal with them here as well and answer
        for them in `event_deliverable`."""

    @abstractmethod
    def enable_events(self) -> None:
        """Let the guest take events: clear evtchn_upcall_mask, or turn interrupts on. SCHEDOP_block
        does that before it blocks."""

    def event_raised(self) -> None:  # noqa: B027 (most architectures need nothing)
        """The core has just set evtchn_upcall_pending of this vcpu (interrupt line goes up)."""

    def timer_interrupt(self) -> bool:
        """A timer of the vcpu (set_timer_op, VCPUOP_set_singleshot_timer …) has run out. True: the
        adapter interrupts the guest in its own way; False: the guest gets VIRQ_TIMER."""
        return False

    def after_trap(self) -> None:
        """To be called by the adapter at the end of each trap (hypercall, counter read)."""
        if self.vcpu.attention or self.event_deliverable():
            self.stop()

    def pirq_permitted(self, _pirq: int) -> bool:
        """May the domain use this physical interrupt?"""
        return True

    def may_give_pirq(self, _pirq: int) -> bool:
        """May the control domain allow others this physical interrupt?"""
        return False

    def bind_pirq(self, _pirq: int) -> None:
        """Route a physical interrupt to the domain. XenError where Xen cannot; the default is an
        architecture whose Xen has no such thing."""
        raise XenError("ENOMEM")

    def unbind_pirq(self, pirq: int) -> None:  # noqa: B027
        """Undo `bind_pirq`."""

    # ---- Memory as the guest names it ----

    @abstractmethod
    def translate(self, handle: int, offset: int, write: bool) -> int | None:
        """The address in ``domain.memory`` of byte ``offset`` of what the guest handle ``handle``
        points to, or None where Xen cannot read (write) it: hypercalls then fail with EFAULT.

        The core asks once per page of the answer (pages of ``data_model.page_size``), so an answer
        must hold to the end of its page. Flat virtual addresses: walk the guest's tables for
        ``handle + offset``; ppc64: inline or xencomm descriptor.
        """

    @classmethod
    def features_of(cls, _domain: Domain) -> tuple[str, ...]:
        """`features` for a domain, where not all of a kind have the same."""
        return cls.features

    @classmethod
    def mapped_again(cls, _abi: Abi) -> Literal["moves", "adds", "fails"]:
        """What mapping a page of Xen's does that is mapped already: it moves the page, adds another
        place to the first, or fails with EBUSY."""
        return "moves"

    def maximum_frame(self) -> int:
        """XENMEM_maximum_gpfn of the domain."""
        return self.vcpu.domain.memory.highest_frame()

    def memory_map(self) -> list[tuple[int, int, int]] | None:
        """XENMEM_memory_map: start, size (bytes) and kind (E820) of each range; None: there is no
        map."""
        return None

    #: An index past HVM_NR_PARAMS is refused before the domain is looked at.
    param_index_first: ClassVar[bool] = True

    def check_param(self, _domain: Domain, _index: int, _value: int | None) -> None:
        """May this vcpu read (``_value`` None) or set a parameter of the domain? XenError EPERM,
        EINVAL. Architectures with hvm_op say which."""
        raise XenError("EINVAL")

    def set_upcall_vector(self, _vector: int) -> None:
        """HVMOP_set_evtchn_upcall_vector (x86 only)."""
        raise XenError("ENOSYS")

    #: The GNTMAP_ flags that this kind of guest may not use.
    grant_flags_refused: tuple[str, ...] = (
        "GNTMAP_device_map",
        "GNTMAP_application_map",
        "GNTMAP_contains_pte",
    )

    def map_grant(self, address: int, grant: Granted, flags: int) -> None:
        """Map a granted page at an address of the guest's. GrantError general_error: Xen cannot."""
        frames = self.vcpu.domain.frames
        assert isinstance(frames, TranslatedFrames)
        if self.own_page_moves and grant.domain is self.vcpu.domain:
            frames.move_away(grant.frame)
        read_only = bool(flags & self.vcpu.domain.abi.constant("GNTMAP_readonly"))
        window = Window(grant.page.data, grant.page.address, read_only)
        frames.map_window(address // PAGE_SIZE, window)

    def unmap_grant(self, address: int, grant: Granted, flags: int, new_address: int = 0) -> None:
        """Undo `map_grant`, and put what is at ``new_address``, if that is not 0, in its place.
        GrantError general_error: it is not mapped there, or not so."""
        del flags
        frames = self.vcpu.domain.frames
        assert isinstance(frames, TranslatedFrames)
        if new_address or not frames.unmap_grant(address // PAGE_SIZE, grant.page):
            raise GrantError("general_error")

    def give_page_away(self) -> NoReturn:
        """The guest, which Xen translates, is to lose a page for good (GNTTABOP_transfer).
        GrantError general_error: Xen cannot."""
        raise GrantError("general_error")

    def frame_is_writable(self, _frame: int) -> bool:
        """May Xen share this frame, which has memory, with the guest as a writable one?"""
        return True

    def may_hold(self, _handle: int) -> bool:
        """Is the address one of the guest's, whether or not anything is there now?"""
        return True

    # ---- State ----

    @abstractmethod
    def set_context(self, context: Any) -> None:
        """Load a ``vcpu_guest_context`` (a view), for VCPUOP_initialise. Raises XenError where the
        context is one that Xen refuses."""

    def check_context(self, _context: Any) -> None:  # noqa: B027
        """Are these registers that XEN_DOMCTL_setvcpucontext takes? XenError."""

    def time_changed(self) -> None:  # noqa: B027 (Arm and PowerPC keep no time in vcpu_info)
        """Write the vcpu's time record (``vcpu_info.time``); called when the vcpu starts to run and
        when its vcpu_info moves."""
