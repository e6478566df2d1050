"""A virtual CPU: its state as the hypervisor keeps it, and its view of the domain's memory."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from xenport.model.errors import XenError
from xenport.model.memory import PAGE_SIZE, MemoryFault
from xenport.model.runstate import Runstate

if TYPE_CHECKING:
    from xenport.model.clock import Timer
    from xenport.model.domain import Domain


class Vcpu:
    """Vcpu ``id`` of ``domain``. Made by `Domain.add_vcpu`; offline until `up`.

    It runs when it is neither down (`is_down`) nor blocked (`is_blocked`) and the domain neither
    paused nor shut down.
    """

    def __init__(self, domain: Domain, number: int) -> None:
        hypervisor = domain.hypervisor
        clock = hypervisor.clock
        self.domain = domain
        self.id = number
        self.hypercalls = domain.hypercalls
        self.is_initialised = False
        self.is_down = True
        self.is_blocked = False
        self.in_multicall = False
        self.nmi_pending = False
        self.attention = False  #: leave the CPU's `run` after the present trap
        self.virq_ports: dict[int, int] = {}  #: virq -> port
        self.poll_port: int | None = None  #: of SCHEDOP_poll; 0: several
        self.pinned_by_override = False
        self.runstate = Runstate(self, clock)
        self.time_area = 0  #: handle of VCPUOP_register_vcpu_time_memory_area, 0: none
        self.physical_time_area: tuple[memoryview, int] | None = None
        self.singleshot_timer: Timer = clock.timer(self._timer_event)
        self.periodic_timer: Timer = clock.timer(self._periodic_event)
        self.poll_timer: Timer = clock.timer(self.wake)
        self.period_ns = 0
        self.fifo_control: tuple[memoryview, int] | None = None  #: control block, FIFO events
        self.info_is_registered = False
        self.has_info = False  #: False: no vcpu_info yet (its events go nowhere)
        self._info_layout = domain.info_layout
        data, offset, has_info = domain.initial_info(number)
        self.set_info_location(data, offset, real=has_info)
        self.cpu = domain.cpu_class(self)

    # ---- vcpu_info ----

    def set_info_location(self, data: memoryview, offset: int, *, real: bool = True) -> None:
        """vcpu_info is at ``data[offset:]``; ``real`` is False for the stand-in of vcpus that have
        none yet."""
        self.has_info = real
        self.info_data = data
        self._info_offset = offset
        self.pending_at = offset + self._info_layout.pending
        self.mask_at = offset + self._info_layout.mask
        self._selector_at = offset + self._info_layout.selector

    @property
    def info(self) -> Any:
        """A view of vcpu_info where it is now."""
        return self.domain.abi.view("vcpu_info", self.info_data, self._info_offset)

    def forget_areas(self) -> None:
        """Move vcpu_info back to where it was at first, and keep no areas up to date."""
        data, offset, has_info = self.domain.initial_info(self.id)
        self.set_info_location(data, offset, real=has_info)
        self.info_is_registered = False
        self.runstate.area = self.time_area = 0
        self.runstate.physical_area = self.physical_time_area = None

    def info_bytes(self) -> bytes:
        """The present content of vcpu_info."""
        size = self._info_layout.size
        return bytes(self.info_data[self._info_offset : self._info_offset + size])

    def write_info(self, offset: int, content: bytes) -> None:
        """Store bytes at ``offset`` of vcpu_info."""
        start = self._info_offset + offset
        self.info_data[start : start + len(content)] = content

    @property
    def upcall_pending(self) -> bool:
        """evtchn_upcall_pending"""
        return self.info_data[self.pending_at] != 0

    @property
    def upcall_masked(self) -> bool:
        """evtchn_upcall_mask (only where the ABI has it)"""
        return self.info_data[self.mask_at] != 0

    @upcall_masked.setter
    def upcall_masked(self, masked: bool) -> None:
        self.info_data[self.mask_at] = masked

    def select_word(self, word: int) -> bool:
        """Set bit ``word`` of evtchn_pending_sel; was it set before?"""
        return self.domain.bits.test_and_set(self.info_data, self._selector_at, word)

    def select_all(self) -> None:
        """Set every bit of evtchn_pending_sel."""
        self.domain.bits.fill(self.info_data, self._selector_at, 1)

    def mark_events_pending(self) -> None:
        """Set evtchn_upcall_pending and let the vcpu notice."""
        if not self.info_data[self.pending_at]:
            self.info_data[self.pending_at] = 1
            if self.has_info:
                self.cpu.event_raised()
        self.kick()

    # ---- Scheduling ----

    @property
    def is_runnable(self) -> bool:
        """Can it run now?"""
        return not (self.is_down or self.is_blocked or self.domain.is_halted)

    def kick(self) -> None:
        """Something is there for the vcpu to take: it neither sleeps on nor runs on."""
        self.wake()
        self.attention = True

    def block(self) -> None:
        """Wait for an event, unless one can be taken at once."""
        if not self.cpu.event_deliverable():
            self.is_blocked = True
            self.leave()

    def wake(self) -> None:
        """End a block or poll."""
        self.is_blocked = False
        self.poll_port = None
        self.poll_timer.cancel()

    def leave(self) -> None:
        """Leave the CPU as soon as the present trap is over."""
        self.attention = True

    def up(self) -> None:
        """Bring it online."""
        self.is_initialised = True
        self.is_down = False

    def down(self) -> None:
        """Take it offline."""
        self.is_down = True
        self.leave()

    def set_runstate(self, state: int) -> None:
        """Count what the vcpu does from now on as ``state``."""
        if state != self.runstate.state:
            self.runstate.change(state)
            self.update_runstate_area()

    def update_runstate_area(self) -> None:
        """Store the runstate where the guest wants it. What cannot be written is skipped."""
        area = self.runstate.physical_area
        if area is not None:
            content = self.runstate.encode()
            area[0][area[1] : area[1] + len(content)] = content
        if self.runstate.area:
            with suppress(XenError):
                self.copy_out(self.runstate.area, self.runstate.encode())

    # ---- Timers ----

    def set_period(self, period_ns: int) -> None:
        """The periodic timer of ``period_ns``; 0 stops it."""
        self.period_ns = period_ns
        if period_ns:
            self.periodic_timer.set(self.domain.hypervisor.clock.now + period_ns)
        else:
            self.periodic_timer.cancel()

    def _periodic_event(self) -> None:
        self.periodic_timer.set(self.domain.hypervisor.clock.now + self.period_ns)
        self._timer_event()

    def _timer_event(self) -> None:
        self.domain.events.raise_timer(self)

    # ---- Memory ----

    def copy_in(self, handle: int, length: int, offset: int = 0) -> bytearray:
        """``length`` bytes from ``offset`` of what ``handle`` points to. XenError EFAULT if any of
        them cannot be read."""
        content = bytearray(length)
        done = 0
        while done < length:
            data, start, part = self._piece(handle, offset + done, length - done, False)
            content[done : done + part] = data[start : start + part]
            done += part
        return content

    def copy_out(self, handle: int, content: bytes | bytearray, offset: int = 0) -> None:
        """Store ``content`` at ``offset`` of what ``handle`` points to. XenError EFAULT if some of
        it cannot be written; what comes before is written then."""
        length = len(content)
        done = 0
        while done < length:
            data, start, part = self._piece(handle, offset + done, length - done, True)
            data[start : start + part] = content[done : done + part]
            done += part

    def _piece(self, handle: int, offset: int, most: int, write: bool) -> tuple[Any, int, int]:
        """What of the guest's memory lies together at ``offset`` of ``handle``: the host's buffer,
        where it begins there, and how long it is, at most ``most``. XenError EFAULT."""
        physical = self.cpu.translate(handle, offset, write)
        if physical is None:
            raise XenError("EFAULT")
        try:
            data, start = self.domain.memory.locate(physical)
        except MemoryFault:
            raise XenError("EFAULT") from None
        return data, start, min(most, PAGE_SIZE - physical % PAGE_SIZE)

    def read_struct(self, name: str, handle: int, index: int = 0) -> Any:
        """A view of a copy of element ``index`` of the array of structures at ``handle``."""
        abi = self.domain.abi
        size = abi.sizeof(name)
        return abi.view(name, self.copy_in(handle, size, index * size))

    def write_struct(self, name: str, handle: int, index: int = 0, **members: int) -> None:
        """Store a structure with these members, the others zero, where `read_struct` reads one."""
        abi = self.domain.abi
        size = abi.sizeof(name)
        buffer = bytearray(size)
        view = abi.view(name, buffer)
        for member, value in members.items():
            setattr(view, member, value)
        self.copy_out(handle, buffer, index * size)

    def read_word(self, kind: str, handle: int, index: int = 0) -> int:
        """Element ``index`` of the array of unsigned integers of type ``kind`` at ``handle``."""
        size = self.domain.abi.sizeof(kind)
        content = self.copy_in(handle, size, index * size)
        return int.from_bytes(content, self.domain.byte_order)

    def write_word(self, kind: str, value: int, handle: int, index: int = 0) -> None:
        """Store an integer where `read_word` reads one."""
        size = self.domain.abi.sizeof(kind)
        content = (value & ((1 << 8 * size) - 1)).to_bytes(size, self.domain.byte_order)
        self.copy_out(handle, content, index * size)
