"""What Xen keeps for the device models of an HVM domain: their ioreq servers, and what they said of
interrupts and memory. The domain itself never runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from xenport.model.errors import XenError

if TYPE_CHECKING:
    from xenport.model.domain import Domain
    from xenport.model.memory import Page

MOST_SERVERS = 8
MOST_RANGES = 256  #: of one type, of one server

Span = tuple[int, int]  # the first number and the last one


class Ranges:
    """A set of numbers, as few spans as may be."""

    def __init__(self) -> None:
        self._spans: list[Span] = []

    def touches(self, first: int, last: int) -> bool:
        """Is a number of the span in the set?"""
        return any(start <= last and first <= end for start, end in self._spans)

    def contains(self, first: int, last: int) -> bool:
        """Are all?"""
        return any(start <= first and last <= end for start, end in self._spans)

    def add(self, first: int, last: int) -> None:
        """Numbers that are not in it. XenError ENOMEM: too many spans."""
        joined = [span for span in self._spans if span[1] + 1 == first or span[0] == last + 1]
        kept = [span for span in self._spans if span not in joined]
        start = min([first, *(span[0] for span in joined)])
        end = max([last, *(span[1] for span in joined)])
        self._set([*kept, (start, end)])

    def remove(self, first: int, last: int) -> None:
        """Numbers that are in it. XenError ENOMEM: too many spans."""
        whole = next(span for span in self._spans if span[0] <= first and last <= span[1])
        kept = [span for span in self._spans if span != whole]
        rest = [(whole[0], first - 1), (last + 1, whole[1])]
        self._set([*kept, *(span for span in rest if span[0] <= span[1])])

    def _set(self, spans: list[Span]) -> None:
        if len(spans) > MOST_RANGES:
            raise XenError("ENOMEM")
        self._spans = spans


@dataclass(eq=False)
class Server:
    """An ioreq server."""

    emulator: Domain
    ports: list[
        int
    ]  #: of the guest: one for each vcpu, and the last for the buffer if there is one
    is_buffered: bool
    is_enabled: bool = False
    frames: list[int] = field(default_factory=list)  #: where its pages are in the guest
    pages: list[Page | None] = field(default_factory=list)  #: while they are not there
    taken: list[Page] = field(default_factory=list)  #: the same, once its owner has them
    ranges: list[Ranges] = field(default_factory=lambda: [Ranges(), Ranges(), Ranges()])

    @property
    def buffer_port(self) -> int:
        """The port for buffered requests; 0: there are none."""
        return self.ports[-1] if self.is_buffered else 0


@dataclass
class DeviceModel:
    """Of one domain."""

    servers: dict[int, Server] = field(default_factory=dict)
    type_server: Server | None = None  #: has the writes to pages of HVMMEM_ioreq_server
    types: dict[int, tuple[Page | None, int]] = field(default_factory=dict)
    """HVMMEM_ values by frame, of these pages; all others are as they are."""
    tracked: dict[int, Page | None] = field(default_factory=dict)
    """The frames whose writes are followed, with what was there when the model last asked."""
    pinned: dict[Span, int] = field(default_factory=dict)  #: how runs of frames are cached
    isa_irqs: int = 0  #: bits of those that are asserted
    pci_pins: int = 0  #: the same, at 4 * device + pin
    links: list[int] = field(default_factory=lambda: [0, 0, 0, 0])  #: ISA interrupts of PCI links
