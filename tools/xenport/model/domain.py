"""A domain: memory, vcpus, event channels, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from xenport.model.bits import Bits
from xenport.model.console_line import ConsoleLine
from xenport.model.errors import XenError
from xenport.model.events import EventChannels
from xenport.model.frames import Frames, TranslatedFrames
from xenport.model.grant_table import GrantTable
from xenport.model.memory import Buffer, Memory, Page
from xenport.model.settings import Settings
from xenport.model.vcpu import Vcpu
from xenport.model.watchdog import Watchdogs

if TYPE_CHECKING:
    from xenport.abi import Abi
    from xenport.model.console_ring import ConsoleRing
    from xenport.model.cpu.base import Cpu
    from xenport.model.hypervisor import Hypervisor

#: Ports a domain may have unless it is made with a limit.
NO_PORT_LIMIT = (1 << 31) - 1


@dataclass(frozen=True)
class InfoLayout:
    """Where the fields of vcpu_info are, in bytes from its start."""

    size: int
    pending: int
    mask: int
    selector: int


class Domain:
    """Domain ``id``. The CPU adapter's `build_domain` gives it its memory and vcpus; a domain
    without any (domain 0 beside a domain under test) just exists."""

    def __init__(
        self,
        hypervisor: Hypervisor,
        number: int,
        guest: str,
        cpu_class: type[Cpu],
        *,
        abi: Abi,
        is_control: bool,
        is_console: bool = False,
        max_vcpus: int = 1,
        max_port: int | None = None,
    ) -> None:
        self.hypervisor = hypervisor
        self.abi = abi
        self.id = number
        self.guest = guest
        self.cpu_class = cpu_class
        self.is_control = is_control
        self.is_console = is_console  #: may use console_io although it is not the control domain
        self.is_watched = False  #: its commands are followed (`xenport.model.recording`)
        self.console_ring: ConsoleRing | None = None  #: where it writes instead of console_io
        self.console_line = ConsoleLine(hypervisor.console)
        self.max_vcpus = max_vcpus
        self.max_port = NO_PORT_LIMIT if max_port is None else max_port
        self.handle = bytes(16)  #: UUID
        self.params: dict[int, int] = {}  #: HVM parameters
        self.settings = Settings()
        self.vm_assist = 0
        self.pirqs: dict[int, int] = {}  #: its numbers for interrupts of the machine; -1: reserved
        self.has_eoi_page = False
        self.vcpus: list[Vcpu] = []
        self.memory: Memory
        self.built: Any = None  #: what the CPU adapter's builder wants to keep
        self.max_pages = 0
        self.total_pages = 0
        self.pause_count = 0
        self.shutdown_code: int | None = None
        self.is_shut_down = False
        self.watchdogs = Watchdogs(self)
        endian: Literal["little", "big"] = hypervisor.architecture.data_model.endian
        self.byte_order = endian
        self.bits = Bits(endian, abi.layout("vcpu_info").by_name["evtchn_pending_sel"].size)
        self.shared_info = Page()
        self._no_info = Buffer(4096).data
        self.info_layout = self._layout_of_info()
        self._has_wide_seconds = "wc_sec_hi" in abi.layout("shared_info").by_name
        self.frames: Frames = TranslatedFrames(self)
        self.hypercalls = hypervisor.runners(guest, cpu_class) if cpu_class.runs else {}
        self.events = EventChannels(self)
        self.grants = GrantTable(self)

    def _layout_of_info(self) -> InfoLayout:
        abi = self.abi
        fields = {field.name for field in abi.layout("vcpu_info").fields}
        pending = abi.offset("vcpu_info", "evtchn_upcall_pending")
        # Where the ABI has no mask the byte after `pending` is padding, and nothing reads it.
        mask = (
            abi.offset("vcpu_info", "evtchn_upcall_mask")
            if "evtchn_upcall_mask" in fields
            else pending + 1
        )
        selector = abi.offset("vcpu_info", "evtchn_pending_sel")
        return InfoLayout(abi.sizeof("vcpu_info"), pending, mask, selector)

    @property
    def is_direct_mapped(self) -> bool:
        """Guest frames are machine frames, though Xen translates them (Arm's control domain)."""
        return self.cpu_class.translated and (
            "XENFEAT_direct_mapped" in self.cpu_class.features_of(self)
        )

    # ---- Vcpus ----

    def add_vcpu(self) -> Vcpu:
        """The next vcpu, offline. Calls the CPU adapter's constructor."""
        vcpu = Vcpu(self, len(self.vcpus))
        self.vcpus.append(vcpu)
        return vcpu

    def vcpu(self, number: int) -> Vcpu:
        """Vcpu ``number``; XenError ENOENT if there is none."""
        if number >= len(self.vcpus):
            raise XenError("ENOENT")
        return self.vcpus[number]

    def initial_info(self, number: int) -> tuple[memoryview, int, bool]:
        """Where vcpu_info of vcpu ``number`` is before the guest moves it: in shared_info for the
        first few vcpus; the others have none (False), only a place that nobody looks at."""
        size = self.info_layout.size
        array = next(f for f in self.abi.layout("shared_info").fields if f.name == "vcpu_info")
        if number < array.size // size:
            return self.shared_info.data, array.offset + number * size, True
        return self._no_info, 0, False

    # ---- Life ----

    @property
    def is_halted(self) -> bool:
        """True while no vcpu of it may run."""
        return self.is_shut_down or self.pause_count > 0

    def shut_down(self, reason: int) -> None:
        """SCHEDOP_shutdown and its like: stop all vcpus with ``reason`` (SHUTDOWN_…). A code that
        was stored before wins."""
        if self.is_shut_down:
            return
        if self.shutdown_code is None:
            self.shutdown_code = reason
        self.is_shut_down = True
        for vcpu in self.vcpus:
            vcpu.leave()
        suspended = self.shutdown_code == self.abi.constant("SHUTDOWN_suspend")
        if suspended and self.settings.suspend_port:
            self.events.send(self.settings.suspend_port)
        else:
            self.hypervisor.domain_ended(self)

    def resume(self) -> None:
        """Undo `shut_down`: the vcpus go on."""
        self.is_shut_down = False
        self.shutdown_code = None

    def crash(self, why: str) -> None:
        """The guest did what Xen does not survive with it; ``why`` goes to the diagnostics."""
        if not self.is_shut_down:
            self.hypervisor.report(f"domain {self.id} crashed: {why}")
            self.shutdown_code = None
        self.shut_down(self.abi.constant("SHUTDOWN_crash"))

    def write_wall_clock(self, at_boot: int) -> None:
        """Tell the guest that it was ``at_boot`` ns after the start of 1970 at system time 0."""
        shared = self.shared_view()
        seconds, nanoseconds = divmod(at_boot, 1_000_000_000)
        seconds += self.settings.time_offset
        shared.wc_version += 2
        shared.wc_sec = seconds & 0xFFFF_FFFF
        shared.wc_nsec = nanoseconds
        if self._has_wide_seconds:
            shared.wc_sec_hi = seconds >> 32 & 0xFFFF_FFFF

    def shared_view(self) -> Any:
        """A view of shared_info."""
        return self.abi.view("shared_info", self.shared_info.data)
