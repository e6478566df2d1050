"""Memory of a 64-bit PV domain: the machine frames it owns, and what its page tables may say.

A PV guest sees machine addresses and writes its page tables through hypercalls only. Xen keeps that
safe by types: a frame in use as a page table cannot be mapped writable, and the other way round.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, MutableSet

from xenport.model.cpu.x86_core import (
    ACCESSED,
    ADDRESS,
    DIRTY,
    LARGE,
    PRESENT,
    USER,
    WRITABLE,
)
from xenport.model.errors import XenError
from xenport.model.memory import PAGE_SIZE, Memory, MemoryFault, Page

GUEST_KERNEL = 1 << 52  #: Xen's mark of entries that the guest gave no USER bit
_GLOBAL = 1 << 8
_PWT, _PCD, _PAT = 1 << 3, 1 << 4, 1 << 7
_AVAILABLE_HIGH = 0x7FF << 52  # bits that Xen keeps for itself
_TABLE_DISALLOWED = _PWT | _PCD | _GLOBAL | LARGE | _AVAILABLE_HIGH

#: First and one past the last slot of a top-level table that are Xen's.
XEN_SLOTS = range(256, 272)

XEN_START = 0xFFFF_8000_0000_0000
XEN_END = 0xFFFF_8800_0000_0000

SPARE = 64  #: frames of the machine that nobody has

_ENTRY = struct.Struct("<Q")
_ENTRIES = struct.Struct("<512Q")


class MachineMemory:
    """The machine's memory and the part of it that is the domain's.

    Frames below ``first`` are Xen's own; ``first`` and the following ``count`` belong to the
    domain, unless ``owned`` says which do. Tables are numbered by level, 1 (maps pages) to 4.
    """

    def __init__(
        self,
        first: int,
        count: int,
        memory: Memory | None = None,
        owned: MutableSet[int] | None = None,
    ) -> None:
        self.memory = memory or Memory(0, (first + count + SPARE) * PAGE_SIZE)
        self.first = first
        self.count = count
        self.total = first + count + SPARE  #: frames of the machine
        self._owned = set(range(first, first + count)) if owned is None else owned
        self._free = list(range(first + count, self.total))  # the last one is given out next
        self.tables: dict[int, int] = {}  #: frame -> level, while it is in use as a table
        self.pinned: set[int] = set()
        self.descriptor_frames: dict[int, int] = {}  #: in use in a GDT: how often
        self.machphys_frames: list[int] = []  #: the machine-to-physical table
        self._writable: dict[int, int] = {}  # frame -> number of writable mappings
        self._uses: dict[int, int] = {}  # table frame -> number of references
        self._shared: set[int] = set()  # Xen's frames that the domain may map
        self._shared_pages: dict[Page, int] = {}
        self._next = 0x10  # Xen's own frames are handed out from here
        self.xen_frame_of_zeros = self.xen_frame()

    # ---- Frames ----

    def xen_frame(self) -> int:
        """A frame for Xen itself."""
        self._next += 1
        assert self._next < self.first
        return self._next

    def share(self, page: Page) -> int:
        """Put ``page`` into the machine's memory, where it is not yet; the domain may map it.
        Returns its frame."""
        if page in self._shared_pages:
            return self._shared_pages[page]
        frame = self._shared_pages[page] = self.xen_frame()
        self.memory.replace(frame, page)
        self._shared.add(frame)
        return frame

    def unshare(self, page: Page) -> None:
        """The domain may not map Xen's page any more. XenError EBUSY: it does."""
        frame = self._shared_pages.get(page)
        if frame is None:
            return
        if self.is_mapped_writable(frame):
            raise XenError("EBUSY")
        del self._shared_pages[page]
        self._shared.discard(frame)

    def owned(self, frame: int) -> bool:
        """Is the frame RAM of the domain?"""
        return frame in self._owned

    def give(self) -> int:
        """One more frame for the domain. XenError ENOMEM."""
        if not self._free:
            raise XenError("ENOMEM")
        frame = self._free.pop()
        self._owned.add(frame)
        return frame

    def take_back(self, frame: int) -> None:
        """The domain gives a frame back. XenError EINVAL: it is not its own, or in use."""
        if not self.owned(frame) or not self.is_writable(frame):
            raise XenError("EINVAL")
        self._owned.discard(frame)
        self._free.append(frame)

    def set_machphys(self, frame: int, page: int) -> None:
        """The entry of the machine-to-physical table for ``frame``."""
        index, offset = divmod(frame * 8, PAGE_SIZE)
        self.write_entry(self.machphys_frames[index] * PAGE_SIZE + offset, page)

    def is_writable(self, frame: int) -> bool:
        """May the frame be used as ordinary memory?"""
        return (
            (self.owned(frame) or frame in self._shared)
            and frame not in self.tables
            and frame not in self.descriptor_frames
        )

    def is_mapped_writable(self, frame: int) -> bool:
        """Has any table a writable entry for it?"""
        return self._writable.get(frame, 0) > 0

    # ---- Entries ----

    def entry_address(self, root: int, address: int, level: int = 1) -> int | None:
        """The machine address of the entry for a virtual address in the table of ``level``."""
        table = root & ADDRESS
        for shift in range(39, 2 + 9 * level, -9):
            at = table + 8 * (address >> shift & 511)
            if shift == 3 + 9 * level:
                return at
            entry = self.read_entry(at)
            if not entry & PRESENT or (shift <= 30 and entry & LARGE):
                return None
            table = entry & ADDRESS
        return None

    def read_entry(self, at: int) -> int:
        """The entry at a machine address; 0 where there is no memory."""
        try:
            entry: int = _ENTRY.unpack(self.memory.read(at, 8))[0]
        except MemoryFault:
            return 0
        return entry

    def write_entry(self, at: int, entry: int) -> None:
        """Store an entry without looking at it."""
        self.memory.write(at, _ENTRY.pack(entry))

    def update(self, at: int, entry: int, *, privileged: bool) -> None:
        """The guest's wish to change the entry at machine address ``at`` of one of its tables.

        ``privileged`` domains may map memory that is no RAM. XenError EINVAL, EPERM, EBUSY as Xen.
        """
        level = self.tables[at // PAGE_SIZE]
        if level == 4 and at % PAGE_SIZE // 8 in XEN_SLOTS:
            raise XenError("EINVAL")
        entry = self._take(level, entry, privileged=privileged)
        old = self.read_entry(at)
        self.write_entry(at, entry)
        self._drop(level, old)

    def _take(self, level: int, entry: int, *, privileged: bool) -> int:
        """Check an entry and count what it refers to; returns it as it is stored."""
        if not entry & PRESENT:
            return entry
        frame = (entry & ADDRESS) // PAGE_SIZE
        if level > 1:
            if entry & _TABLE_DISALLOWED:
                raise XenError("EINVAL")
            self.promote(frame, level - 1, privileged=privileged)
            return entry | USER
        if entry & (_GLOBAL | _AVAILABLE_HIGH & ~GUEST_KERNEL):
            raise XenError("EINVAL")
        if entry & (_PWT | _PCD | _PAT) and not privileged:
            raise XenError("EINVAL")
        if not entry & USER:
            entry |= USER | GUEST_KERNEL
        if not self.memory.has_frame(frame):
            if not privileged:
                raise XenError("EPERM")
            return entry
        if not (self.owned(frame) or frame in self._shared):
            raise XenError("EBUSY")
        if entry & WRITABLE:
            if not self.is_writable(frame):
                raise XenError("EBUSY")
            self._writable[frame] = self._writable.get(frame, 0) + 1
        return entry

    def _drop(self, level: int, entry: int) -> None:
        """An entry is gone."""
        if not entry & PRESENT:
            return
        frame = (entry & ADDRESS) // PAGE_SIZE
        if level > 1:
            self.demote(frame)
        elif entry & WRITABLE and frame in self._writable:
            self._writable[frame] -= 1

    # ---- Grants ----

    def set_grant_entry(self, at: int, frame: int, *, writable: bool) -> None:
        """Map a frame by a grant, with the entry at a machine address of a table of level 1."""
        entry = frame * PAGE_SIZE | PRESENT | ACCESSED | DIRTY | USER | GUEST_KERNEL
        if writable:
            entry |= WRITABLE
            self._writable[frame] = self._writable.get(frame, 0) + 1
        self.move_entry(at, entry)

    def take_entry(self, at: int) -> int:
        """The entry at a machine address, which is empty from now on; still counted as mapping what
        it does."""
        entry = self.read_entry(at)
        self.write_entry(at, 0)
        return entry

    def move_entry(self, at: int, entry: int) -> None:
        """Store an entry that is counted already in place of another."""
        old = self.read_entry(at)
        self.write_entry(at, entry)
        self._drop(1, old)

    # ---- Tables ----

    def promote(self, frame: int, level: int, *, privileged: bool) -> None:
        """Use a frame as a table of ``level``: all its entries must be allowed. XenError EINVAL."""
        if self.tables.get(frame) == level:
            self._uses[frame] += 1
            return
        if frame in self.tables or not self.owned(frame) or self.is_mapped_writable(frame):
            raise XenError("EINVAL")
        self.tables[frame] = level
        self._uses[frame] = 1
        done: list[int] = []
        try:
            for at, old in self._guests_entries(frame, level):
                entry = self._take(level, old, privileged=privileged)
                done.append(entry)
                if entry != old:
                    self.write_entry(at, entry)
        except XenError:
            for entry in done:
                self._drop(level, entry)
            del self.tables[frame]
            del self._uses[frame]
            raise XenError("EINVAL") from None

    def unpin(self, frame: int) -> None:
        """Undo a pin. XenError EINVAL: there is none."""
        if frame not in self.pinned:
            raise XenError("EINVAL")
        self.pinned.discard(frame)
        self.demote(frame)

    def demote(self, frame: int) -> None:
        """One use less; the last one makes ordinary memory of the table."""
        self._uses[frame] -= 1
        if self._uses[frame]:
            return
        level = self.tables.pop(frame)
        del self._uses[frame]
        for _, entry in self._guests_entries(frame, level):
            self._drop(level, entry)

    def _guests_entries(self, frame: int, level: int) -> Iterator[tuple[int, int]]:
        """The entries of a table that are not empty and not Xen's: machine address and value."""
        for index, entry in self.entries(frame):
            if level < 4 or index not in XEN_SLOTS:
                yield frame * PAGE_SIZE + 8 * index, entry

    def entries(self, frame: int) -> list[tuple[int, int]]:
        """Index and value of all that is not empty in a frame."""
        content = self.memory.read(frame * PAGE_SIZE, PAGE_SIZE)
        return [(index, entry) for index, entry in enumerate(_ENTRIES.unpack(content)) if entry]
