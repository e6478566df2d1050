"""A PV guest without a processor: its page tables as far as its own hypercalls tell of them.

What was there when it began is unknown, and so is what it writes into a frame before that becomes a
table. So all frames are the domain's until it gives them back, frames are empty until a hypercall
writes to them, and where the way to a virtual address is not known there is taken to be one.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableSet
from typing import TYPE_CHECKING, Any

from xenport.model.cpu.detached import Detached
from xenport.model.cpu.x86_64_pv import PvCpu
from xenport.model.cpu.x86_pv_builder import PvStart
from xenport.model.cpu.x86_pv_frames import PvFrames
from xenport.model.cpu.x86_pv_memory import MachineMemory
from xenport.model.cpu.x86_pv_xen import XenSpace
from xenport.model.errors import NeedsGuest
from xenport.model.memory import PAGE_SIZE, Memory, MemoryFault

if TYPE_CHECKING:
    from xenport.model.domain import Domain
    from xenport.model.vcpu import Vcpu

_FRAMES = 1 << 40  # numbers of the machine's frames, as many as entries have room for
_MADE_UP = 1 << 41  # from here on: tables that must be there
_MOST_PAGES = 4096  # of ordinary memory that is kept
_MOST_ENTRIES = 1 << 22  # of page tables

_TABLES = ("mmu_update", "mmuext_op", "update_va_mapping", "memory_op", "grant_table_op")


class SparseMemory(Memory):
    """A whole machine's memory, of which only what is touched is kept."""

    def __init__(self) -> None:
        super().__init__(0, PAGE_SIZE)
        self._pages: dict[int, memoryview] = {}

    def _window(self, address: int) -> tuple[memoryview, int, int]:
        frame, offset = divmod(address, PAGE_SIZE)
        if frame >= _FRAMES:
            raise MemoryFault(address)
        page = self._replaced.get(frame)
        data = page.data if page is not None else self._pages.get(frame)
        if data is None:
            if len(self._pages) == _MOST_PAGES:
                raise NeedsGuest("it names more frames than there is room for")
            data = self._pages[frame] = memoryview(bytearray(PAGE_SIZE))
        return data, offset, PAGE_SIZE - offset

    def has_frame(self, frame: int) -> bool:
        """See `Memory`."""
        return 0 <= frame < _FRAMES


class _AllBut(MutableSet[int]):
    """All of the machine's frames but those that were given back."""

    def __init__(self) -> None:
        self._without: set[int] = set()

    def __contains__(self, frame: object) -> bool:
        return isinstance(frame, int) and 0 <= frame < _FRAMES and frame not in self._without

    def __iter__(self) -> Iterator[int]:
        raise NotImplementedError("there are too many")

    def __len__(self) -> int:
        return _FRAMES - len(self._without)

    def add(self, value: int) -> None:
        self._without.discard(value)

    def discard(self, value: int) -> None:
        self._without.add(value)


class DetachedMachine(MachineMemory):
    """A machine all of whose memory is the domain's."""

    def __init__(self) -> None:
        self._entries: dict[int, dict[int, int]] = {}  # by frame and offset
        self._count = 0
        self._known: set[int] = set()  # frames whose use as tables has been seen from the start
        super().__init__(_FRAMES - (1 << 16), 1 << 16, SparseMemory(), _AllBut())

    def read_entry(self, at: int) -> int:
        """See `MachineMemory`."""
        table = self._entries.get(at // PAGE_SIZE)
        return 0 if table is None else table.get(at % PAGE_SIZE, 0)

    def write_entry(self, at: int, entry: int) -> None:
        """See `MachineMemory`."""
        table = self._entries.get(at // PAGE_SIZE)
        if table is None:
            table = self._entries[at // PAGE_SIZE] = {}
        if at % PAGE_SIZE not in table:
            if self._count == _MOST_ENTRIES:
                raise NeedsGuest("it writes more page tables than there is room for")
            self._count += 1
        table[at % PAGE_SIZE] = entry

    def entries(self, frame: int) -> list[tuple[int, int]]:
        """See `MachineMemory`."""
        table = self._entries.get(frame, {})
        return [(offset // 8, entry) for offset, entry in table.items() if entry]

    def entry_address(self, root: int, address: int, level: int = 1) -> int | None:
        """See `MachineMemory`. What the trace has not written, its guest had."""
        found = super().entry_address(root, address, level)
        if found is not None:
            return found
        frame = _MADE_UP + (address >> 21)
        self.tables.setdefault(frame, level)
        return frame * PAGE_SIZE + 8 * (address >> 12 & 511)

    def promote(self, frame: int, level: int, *, privileged: bool) -> None:
        """See `MachineMemory`."""
        super().promote(frame, level, privileged=privileged)
        self._known.add(frame)

    def demote(self, frame: int) -> None:
        """See `MachineMemory`. What became a table before is one as often as it has to."""
        if frame in self._uses:
            super().demote(frame)

    def unpin(self, frame: int) -> None:
        """See `MachineMemory`. What was pinned before is only known by its end."""
        if frame in self._known:
            super().unpin(frame)
        self._known.add(frame)

    def forget(self) -> None:
        """What the domain's tables are, and what they map, is unknown again."""
        for known in (self.tables, self.pinned, self._writable, self._uses, self._known):
            known.clear()
        self._entries.clear()
        self._count = 0

    def set_machphys(self, frame: int, page: int) -> None:
        """Nobody reads that table."""


class _NoXenSpace(XenSpace):
    """Nobody walks through Xen's part of the tables."""

    def __init__(self, machine: MachineMemory) -> None:
        del machine

    def set_gdt(self, vcpu_id: int, frames: list[int]) -> None:
        """See `XenSpace`."""

    def install(self, top: int) -> None:
        """See `XenSpace`."""


class _Nothing:
    """Stands for registers and cores: what is done with it is of no consequence."""

    def __getattr__(self, _name: str) -> Any:
        return self

    def __call__(self, *_values: Any) -> int:
        return 0


class DetachedPvCpu(Detached, PvCpu):
    """See the module."""

    bind_pirq = PvCpu.bind_pirq

    def __init__(self, vcpu: Vcpu) -> None:
        super().__init__(vcpu)
        self._nothing: Any = _Nothing()

    @property
    def processor(self) -> Any:
        """None."""
        return self._nothing

    @classmethod
    def build_domain(cls, domain: Domain, image: bytes, command_line: str) -> None:
        """A machine, without a kernel."""
        del image, command_line
        machine = DetachedMachine()
        domain.built = PvStart(None, machine, _NoXenSpace(machine), 0, 0, 0, 0, None)
        domain.memory = machine.memory
        domain.frames = PvFrames(domain, machine)
        domain.total_pages = domain.max_pages = machine.count

    @classmethod
    def missed(cls, domain: Domain, hypercall: str) -> None:
        """See `Detached`."""
        if hypercall in _TABLES:
            machine: DetachedMachine = domain.built.machine
            machine.forget()

    def set_root(self, root: int) -> None:
        """Switch to other page tables."""
        self.root = root
