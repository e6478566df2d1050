"""The shared console ring: a page of a domain's memory, and the tool stack that reads it."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from xenport.model.memory import MemoryFault

if TYPE_CHECKING:
    from xenport.model.domain import Domain


class ConsoleRing:
    """What ``domain`` writes to the ring at ``address`` of its memory (see io/console.h)."""

    def __init__(self, domain: Domain, address: int) -> None:
        abi = domain.abi
        self._domain = domain
        self._out = address + abi.offset("xencons_interface", "out")
        self._consumer = address + abi.offset("xencons_interface", "out_cons")
        self._producer = address + abi.offset("xencons_interface", "out_prod")
        field = next(f for f in abi.layout("xencons_interface").fields if f.name == "out")
        self._size = field.size
        self._index = struct.Struct("<I" if domain.byte_order == "little" else ">I")

    def drain(self) -> None:
        """Pass on what is new. The guest may write what it likes to its indices, and give the page
        away."""
        memory = self._domain.memory
        try:
            start = self._read_index(self._consumer)
            end = self._read_index(self._producer)
            if start == end:
                return
            count = end - start & 0xFFFF_FFFF
            if count <= self._size:
                ring = memory.read(self._out, self._size) * 2
                first = start % self._size
                self._domain.hypervisor.console(ring[first : first + count])
            memory.write(self._consumer, self._index.pack(end))
        except MemoryFault:
            self._domain.console_ring = None

    def _read_index(self, address: int) -> int:
        value: int = self._index.unpack(self._domain.memory.read(address, self._index.size))[0]
        return value
