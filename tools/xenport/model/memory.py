"""A domain's memory: what its physical addresses mean, for the model and for its CPUs.

Addresses are guest-physical; for PV domains, which see the machine's, they are machine addresses.
RAM is one host buffer that CPUs map directly, so that the model and the guest see the same bytes
without copies. Single pages can be replaced (shared info, grant frames) or taken away.
"""

from __future__ import annotations

import ctypes
import mmap
from typing import Protocol

PAGE_SIZE = 4096  #: of the model's memory; all releases and architectures described use 4 KiB

#: RAM is mapped into cores in pieces of this many bytes: taking a page away costs Unicorn time for
#: every page of the piece that it is in.
MAPPING_SIZE = 2 << 20


class Buffer:
    """Page-aligned host memory. ``data`` is a writable view of it, ``address`` its host address."""

    read_only = False  #: a guest that has it mapped must not write it

    def __init__(self, size: int) -> None:
        self._map = mmap.mmap(-1, size)
        self.size = size
        self.data = memoryview(self._map)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self._map))


class Page(Buffer):
    """One page that is not part of any RAM buffer: shared info, grant table frames."""

    def __init__(self) -> None:
        super().__init__(PAGE_SIZE)


class Window(Page):
    """One page of other memory, to be at a second place. ``read_only`` there, if so."""

    def __init__(self, data: memoryview, address: int, read_only: bool) -> None:
        self.size = PAGE_SIZE
        self.data = data
        self.address = address
        self.read_only = read_only


class MemoryFault(Exception):
    """An address that has no memory behind it."""

    def __init__(self, address: int) -> None:
        super().__init__(f"no memory at {address:#x}")
        self.address = address


class Mapper(Protocol):
    """What runs a guest and has to know where its memory is."""

    def map(self, address: int, size: int, host_address: int, owner: Buffer) -> None:
        """``size`` bytes at this address of the host's, part of ``owner``, are at ``address``."""
        ...

    def unmap(self, address: int, size: int) -> None:
        """Nothing is there any more."""
        ...

    def flush_tlb(self) -> None:
        """What is mapped has changed."""
        ...


class Memory:
    """RAM of ``size`` bytes from ``base`` (both multiples of the page size) plus replaced pages."""

    def __init__(self, base: int, size: int) -> None:
        self.base = base
        self.size = size
        self.ram = Buffer(max(size, PAGE_SIZE))  # the host has no mapping without a page
        self._replaced: dict[int, Page | None] = {}  # by frame number; None: a hole
        self._cores: list[Mapper] = []

    # ---- Access by the model ----

    def read(self, address: int, length: int) -> bytes:
        """The bytes at ``address``; raises MemoryFault where there are none."""
        parts = []
        while length:
            data, start, room = self._window(address)
            part = min(length, room)
            parts.append(bytes(data[start : start + part]))
            address += part
            length -= part
        return b"".join(parts)

    def write(self, address: int, content: bytes | bytearray | memoryview) -> None:
        """Store ``content`` at ``address``; raises MemoryFault where there is no memory."""
        view = memoryview(content)
        while len(view):
            data, start, room = self._window(address)
            part = min(len(view), room)
            data[start : start + part] = view[:part]
            address += part
            view = view[part:]

    def locate(self, address: int) -> tuple[memoryview, int]:
        """The writable buffer that holds the page of ``address``, and the offset in it. Good to the
        end of the page. Raises MemoryFault."""
        data, start, _ = self._window(address)
        return data, start

    def _window(self, address: int) -> tuple[memoryview, int, int]:
        """Buffer, offset, and how many bytes follow there."""
        frame, offset = divmod(address, PAGE_SIZE)
        if self._replaced and frame in self._replaced:
            page = self._replaced[frame]
            if page is None:
                raise MemoryFault(address)
            return page.data, offset, PAGE_SIZE - offset
        start = address - self.base
        if not 0 <= start < self.size:
            raise MemoryFault(address)
        room = PAGE_SIZE - offset if self._replaced else self.size - start
        return self.ram.data, start, room

    def has_frame(self, frame: int) -> bool:
        """Is there memory at this frame number?"""
        if frame in self._replaced:
            return self._replaced[frame] is not None
        return 0 <= frame * PAGE_SIZE - self.base < self.size

    def page_at(self, frame: int) -> Page | None:
        """The page that was put at this frame; None where it is RAM or nothing."""
        return self._replaced.get(frame)

    def window(self, frame: int, *, read_only: bool = False) -> Window:
        """What is at this frame now, for another place. Raises MemoryFault where nothing is."""
        page = self._replaced.get(frame)
        if page is not None:
            return Window(page.data, page.address, read_only)
        data, start, _ = self._window(frame * PAGE_SIZE)
        part = data[start : start + PAGE_SIZE]
        return Window(part, self.ram.address + start, read_only)

    def is_ram(self, frame: int) -> bool:
        """Was the frame RAM to begin with?"""
        return 0 <= frame * PAGE_SIZE - self.base < self.size

    def highest_frame(self) -> int:
        """The largest frame with memory; 0 if there is none."""
        first = self.base // PAGE_SIZE
        frames = range(first, first + self.size // PAGE_SIZE)
        last = next((frame for frame in reversed(frames) if self.has_frame(frame)), 0)
        return max([last, *(f for f, page in self._replaced.items() if page is not None)])

    # ---- Changes ----

    def replace(self, frame: int, page: Page | None) -> None:
        """Put ``page`` at ``frame``, whatever is there; None leaves a hole."""
        had = self.has_frame(frame)
        self._replaced[frame] = page
        for core in self._cores:
            self._update(core, frame, had)

    def restore(self, frame: int) -> None:
        """Undo `replace`: the RAM of that frame (or nothing) is there again."""
        if frame not in self._replaced:
            return
        had = self.has_frame(frame)
        del self._replaced[frame]
        for core in self._cores:
            self._update(core, frame, had)

    def _update(self, core: Mapper, frame: int, had: bool) -> None:
        address = frame * PAGE_SIZE
        if had:
            core.unmap(address, PAGE_SIZE)
        page = self._replaced.get(frame)
        if page is not None:
            core.map(address, PAGE_SIZE, page.address, page)
        elif self.has_frame(frame):
            core.map(address, PAGE_SIZE, self.ram.address + address - self.base, self.ram)
        core.flush_tlb()

    def attach(self, core: Mapper) -> None:
        """Map everything into ``core``, now and after every change."""
        for start in range(0, self.size, MAPPING_SIZE):
            size = min(MAPPING_SIZE, self.size - start)
            core.map(self.base + start, size, self.ram.address + start, self.ram)
        for frame, page in sorted(self._replaced.items(), key=lambda item: item[0]):
            address = frame * PAGE_SIZE
            if 0 <= address - self.base < self.size:
                core.unmap(address, PAGE_SIZE)
            if page is not None:
                core.map(address, PAGE_SIZE, page.address, page)
        self._cores.append(core)
