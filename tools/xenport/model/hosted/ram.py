"""The memory of the machine, which is a file that QEMU and this process both map.

The model makes its buffers (a domain's RAM, shared pages) as anonymous memory. What a guest is to
see of them has to be part of the machine's memory; `Ram.adopt` replaces what is mapped at a
buffer's address by a piece of the file. The buffer, and every view of it, stays where it is.
"""

from __future__ import annotations

import bisect
import ctypes
import mmap
import os

from xenport.model.errors import ModelError
from xenport.model.memory import PAGE_SIZE, Buffer

_MAP_FIXED = 0x10
_ALIGNMENT = 2 << 20  # so that buffers of this size and more can have large pages
_PIECE = 64 << 10  # of a buffer, when it is looked through

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = (
    *(ctypes.c_void_p, ctypes.c_size_t),
    *(ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long),
)


class Ram:
    """A machine's memory of ``size`` bytes, in the file ``descriptor``, from address 0.

    What lies before ``free`` is the shim's and the machine's own; the rest is handed out.
    """

    def __init__(self, descriptor: int, size: int, free: int) -> None:
        os.ftruncate(descriptor, size)
        self._descriptor = descriptor
        self.size = size
        self.data = memoryview(mmap.mmap(descriptor, size))
        self._next = free
        self._places: list[int] = []  # addresses here of adopted buffers, sorted
        self._adopted: dict[int, tuple[int, Buffer]] = {}  # address here -> address there

    def allocate(self, size: int) -> int:
        """The address of ``size`` bytes of the machine's memory that nobody has. Zero."""
        alignment = _ALIGNMENT if size >= _ALIGNMENT else PAGE_SIZE
        address = self._next + alignment - 1 & -alignment
        end = address + (size + PAGE_SIZE - 1 & -PAGE_SIZE)
        if end > self.size:
            raise ModelError(f"the machine's {self.size >> 20} MiB are used up")
        self._next = end
        return address

    def adopt(self, buffer: Buffer) -> int:
        """Make ``buffer`` a part of the machine's memory, with what it holds; its address there.
        One that is already, or is a window of one that is, is left alone."""
        index = bisect.bisect_right(self._places, buffer.address)
        if index:
            place = self._places[index - 1]
            target, adopted = self._adopted[place]
            if buffer.address < place + adopted.size:
                return target + buffer.address - place
        target = self._move(buffer)
        self._places.insert(index, buffer.address)
        self._adopted[buffer.address] = target, buffer
        return target

    def _move(self, buffer: Buffer) -> int:
        target = self.allocate(buffer.size)
        copy = self.data[target : target + buffer.size]
        for piece in _pieces_in_use(buffer):
            copy[piece] = buffer.data[piece]
        mapped = _libc.mmap(
            buffer.address,
            buffer.size,
            mmap.PROT_READ | mmap.PROT_WRITE,
            mmap.MAP_SHARED | _MAP_FIXED,
            self._descriptor,
            target,
        )
        if mapped != buffer.address:
            raise ModelError(f"a buffer cannot be mapped: {os.strerror(ctypes.get_errno())}")
        return target


def _pieces_in_use(buffer: Buffer) -> list[slice]:
    """The parts of it that hold anything but zeros."""
    pieces = [slice(start, start + _PIECE) for start in range(0, buffer.size, _PIECE)]
    return [piece for piece in pieces if any(buffer.data[piece].cast("Q"))]
