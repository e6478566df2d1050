"""What a domain builder needs of an ELF kernel: segments, and Xen's notes."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from xenport.errors import InputError

_EXECUTABLE = 1


@dataclass(frozen=True)
class Segment:
    """A loadable segment; ``data`` is as long as in memory."""

    virtual: int
    physical: int
    data: bytes
    executable: bool


class ElfKernel:
    """A kernel image. Raises InputError if it is not an ELF executable."""

    def __init__(self, image: bytes) -> None:
        try:
            elf = ELFFile(io.BytesIO(image))
            self.entry: int = elf.header.e_entry
            self.segments = [
                Segment(
                    segment["p_vaddr"],
                    segment["p_paddr"],
                    segment.data().ljust(segment["p_memsz"], b"\0"),
                    bool(segment["p_flags"] & _EXECUTABLE),
                )
                for segment in elf.iter_segments("PT_LOAD")
            ]
            self._order = "<" if elf.little_endian else ">"
            self._notes = dict(
                note
                for segment in elf.iter_segments("PT_NOTE")
                for note in self._xen_notes(segment.data())
            )
        except (ELFError, struct.error, KeyError) as error:
            raise InputError(f"the kernel is not an ELF executable: {error}") from None
        if not self.segments:
            raise InputError("the kernel has no segment to load")

    def _xen_notes(self, data: bytes) -> list[tuple[int, bytes]]:
        notes = []
        at = 0
        while at + 12 <= len(data):
            name_size, size, kind = struct.unpack_from(self._order + "3I", data, at)
            name_at = at + 12
            data_at = name_at + (name_size + 3 & ~3)
            if data[name_at : name_at + name_size] == b"Xen\0":
                notes.append((kind, data[data_at : data_at + size]))
            at = data_at + (size + 3 & ~3)
        return notes

    @property
    def code(self) -> list[tuple[int, bytes]]:
        """Virtual address and bytes of each executable segment."""
        return [(s.virtual, s.data) for s in self.segments if s.executable]

    def number(self, kind: int) -> int | None:
        """The value of a note that is a number of 4 or 8 bytes; None if there is none."""
        value = self._notes.get(kind)
        if value is None:
            return None
        return int.from_bytes(value, "little" if self._order == "<" else "big")

    def text(self, kind: int) -> str | None:
        """The value of a note that is a string."""
        value = self._notes.get(kind)
        return None if value is None else value.split(b"\0")[0].decode("ascii", "replace")
