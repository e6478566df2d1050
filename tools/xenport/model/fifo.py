"""The FIFO event channel ABI: an event word per port, and queues by priority per vcpu."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from xenport.model.errors import XenError
from xenport.model.memory import PAGE_SIZE, MemoryFault

if TYPE_CHECKING:
    from xenport.model.domain import Domain
    from xenport.model.events import Port
    from xenport.model.vcpu import Vcpu

WORD_SIZE = 4
WORDS_PER_PAGE = PAGE_SIZE // WORD_SIZE


class Fifo:
    """Event array and control blocks of a domain that has switched to FIFO events."""

    def __init__(self, domain: Domain) -> None:
        abi = domain.abi
        self._domain = domain
        self._word = struct.Struct("<I" if domain.byte_order == "little" else ">I")
        self._pages: list[tuple[memoryview, int]] = []
        self._pending = 1 << abi.constant("EVTCHN_FIFO_PENDING")
        self._masked = 1 << abi.constant("EVTCHN_FIFO_MASKED")
        self._linked = 1 << abi.constant("EVTCHN_FIFO_LINKED")
        self._link_mask = (1 << abi.constant("EVTCHN_FIFO_LINK_BITS")) - 1
        self._lowest = abi.constant("EVTCHN_FIFO_PRIORITY_MIN")
        self._default = abi.constant("EVTCHN_FIFO_PRIORITY_DEFAULT")
        self._ready = abi.offset("evtchn_fifo_control_block", "ready")
        self._head = abi.offset("evtchn_fifo_control_block", "head")
        self.max_ports = 1 << abi.constant("EVTCHN_FIFO_LINK_BITS")
        self._tails: dict[tuple[int, int], int] = {}  # last port of each (vcpu, priority)

    # ---- Set-up ----

    def map_control_block(self, vcpu: Vcpu, frame: int, offset: int) -> None:
        """The control block of ``vcpu``. XenError EINVAL: it has one, or no memory is there."""
        if vcpu.fifo_control is not None:
            raise XenError("EINVAL")
        vcpu.fifo_control = self._locate(frame, offset)

    def add_page(self, frame: int) -> None:
        """A further page of event words. XenError EINVAL: no memory there; ENOSPC: enough."""
        if len(self._pages) * WORDS_PER_PAGE >= self.max_ports:
            raise XenError("ENOSPC")
        first = len(self._pages) * WORDS_PER_PAGE
        self._pages.append(self._locate(frame, 0))
        for port in self._domain.events.ports[first : first + WORDS_PER_PAGE]:
            if port.is_pending:
                self.set_pending(self._domain.vcpus[port.vcpu_id], port)

    def adopt(self, port: Port, *, pending: bool) -> None:
        """A port from before the switch keeps its state."""
        port.is_pending = pending
        port.priority = self._default

    def _locate(self, frame: int, offset: int) -> tuple[memoryview, int]:
        try:
            return self._domain.memory.locate(frame * PAGE_SIZE + offset)
        except MemoryFault:
            raise XenError("EINVAL") from None

    # ---- Event words ----

    def _place(self, number: int) -> tuple[memoryview, int] | None:
        page, index = divmod(number, WORDS_PER_PAGE)
        if page >= len(self._pages):
            return None
        data, start = self._pages[page]
        return data, start + index * WORD_SIZE

    def _read(self, place: tuple[memoryview, int]) -> int:
        word: int = self._word.unpack_from(*place)[0]
        return word

    def _write(self, place: tuple[memoryview, int], word: int) -> None:
        self._word.pack_into(*place, word)

    # ---- Delivery ----

    def bound(self, port: Port) -> None:
        """Default priority; an old pending bit is cleared."""
        port.priority = self._default
        port.is_pending = False
        place = self._place(port.number)
        if place is not None:
            self._write(place, self._read(place) & ~self._pending)

    def set_pending(self, vcpu: Vcpu, port: Port) -> None:
        """Pending bit; an unmasked port that is in no queue joins that of its priority."""
        place = self._place(port.number)
        if place is None:
            port.is_pending = True
            return
        word = self._read(place)
        self._write(place, word | self._pending)
        if not word & (self._masked | self._linked):
            self._enqueue(vcpu, port, place)
        if not word & self._pending:
            self._domain.events.wake_pollers(port.number)

    def _enqueue(self, vcpu: Vcpu, port: Port, place: tuple[memoryview, int]) -> None:
        if vcpu.fifo_control is None:
            return
        word = self._read(place) & ~self._link_mask
        self._write(place, word | self._linked)
        data, start = vcpu.fifo_control
        queue = (vcpu.id, port.priority)
        head = (data, start + self._head + port.priority * WORD_SIZE)
        tail = self._tails.get(queue, 0)
        self._tails[queue] = port.number
        tail_place = self._place(tail) if tail else None
        # The tail is still queued only while its LINKED bit is set and nothing follows it.
        if tail_place is not None and tail != port.number:
            tail_word = self._read(tail_place)
            if tail_word & self._linked and self._read(head):
                self._write(tail_place, tail_word & ~self._link_mask | port.number)
                return
        self._write(head, port.number)
        ready = (data, start + self._ready)
        before = self._read(ready)
        self._write(ready, before | 1 << port.priority)
        if not before >> port.priority & 1:
            vcpu.mark_events_pending()

    def clear_pending(self, port: Port) -> None:
        """Pending bit off."""
        port.is_pending = False
        place = self._place(port.number)
        if place is not None:
            self._write(place, self._read(place) & ~self._pending)

    def unmask(self, port: Port) -> None:
        """Mask bit off; what is pending is queued."""
        place = self._place(port.number)
        if place is None:
            return
        word = self._read(place) & ~self._masked
        self._write(place, word)
        if word & self._pending:
            self.set_pending(self._domain.vcpus[port.vcpu_id], port)

    def is_pending(self, port: Port) -> bool:
        """Pending bit?"""
        place = self._place(port.number)
        return place is not None and bool(self._read(place) & self._pending)

    def set_priority(self, port: Port, priority: int) -> None:
        """XenError EINVAL: no such priority."""
        if priority > self._lowest:
            raise XenError("EINVAL")
        port.priority = priority
