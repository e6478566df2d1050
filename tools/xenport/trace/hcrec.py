"""Recordings of a plugin for QEMU that hooks the hypervisor's or the guest's hypercalls.

The file, maybe compressed by xz, is little-endian. A hypercall is an entry and, if it came back, a
return: ``_HEADER`` and then that many buffers, each ``_BUFFER`` and its bytes. An entry (kind 1)
has the argument registers, a return (kind 2) the result and the program counter; the same sequence
number ties them together.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from lzma import LZMAError
from typing import IO, NamedTuple

from xenport.abi import Abi, Hypercall
from xenport.trace.reach import Reach, comes_back
from xenport.trace.record import Buffer, Record, signed

_HEADER = struct.Struct("<BBHHHIIQd6Q")  # kind mode domain vcpu buffers number flags sequence time
_BUFFER = struct.Struct("<QIBBH")  # address length argument readable unused
_ENTRY, _RETURN = 1, 2
_HVM, _NARROW = 1, 2  # mode: an HVM guest; one that runs in 32-bit mode
_CONTINUED = 1  # flags of a return
_LONGEST = 1 << 24  # bytes of a buffer; recorders cut at 64 KiB
_WINDOW = 1 << 16  # hypercalls that may wait for the return of one before them


class _Piece(NamedTuple):
    """Recorded memory."""

    address: int
    argument: int
    content: bytes


class _Half(NamedTuple):
    """An entry or a return."""

    kind: int
    mode: int
    domain: int
    vcpu: int
    number: int
    flags: int
    sequence: int
    seconds: float
    values: tuple[int, ...]
    pieces: tuple[_Piece, ...]


@dataclass
class Damage:
    """Why a recording ends before its time, and at which byte."""

    reason: str = ""
    offset: int = 0


def looks_like(start: bytes) -> bool:
    """Whether a file that begins so is such a recording."""
    if len(start) < _HEADER.size:
        return False
    kind, mode, _, _, buffers, _, flags, *_ = _HEADER.unpack_from(start)
    return kind in (_ENTRY, _RETURN) and mode <= 3 and buffers <= 64 and flags <= _CONTINUED


class Recording:
    """The hypercalls of ``file`` by the ABI ``abi``, one after the other.

    ``damage`` says afterwards where it was cut off or makes no sense, ``skipped`` how many
    hypercalls were left out because they are of guests of the other width, ``strays`` how many
    returns had no entry.
    """

    def __init__(self, file: IO[bytes], abi: Abi) -> None:
        self._file = file
        self._abi = abi
        self._reach = Reach(abi)
        self._is_narrow = abi.architecture.data_model.sizes["pointer"] == 4
        guests = abi.architecture.guests
        first = next(iter(guests))
        self._callers = (first, "hvm" if "hvm" in guests else first)
        self._tells_width = "hvm" in guests
        self.damage = Damage()
        self.skipped = 0
        self.strays = 0

    def records(self) -> Iterator[Record]:
        """The hypercalls in the order in which they were made."""
        waiting: dict[int, tuple[_Half, _Half | None]] = {}
        number = 0
        for half in self._halves():
            if self._tells_width and bool(half.mode & _NARROW) != self._is_narrow:
                self.skipped += half.kind == _ENTRY
            elif half.kind == _ENTRY:
                waiting[half.sequence] = half, None
            elif half.sequence in waiting:
                waiting[half.sequence] = waiting[half.sequence][0], half
            else:
                self.strays += 1
            while waiting:
                first = next(iter(waiting))
                entry, back = waiting[first]
                if back is None and len(waiting) < _WINDOW:
                    break
                del waiting[first]
                yield self._record(number, entry, back)
                number += 1
        for entry, back in waiting.values():
            yield self._record(number, entry, back)
            number += 1

    def _halves(self) -> Iterator[_Half]:
        offset = 0
        while head := self._read(_HEADER.size, offset):
            kind, mode, domain, vcpu, count, number, flags, sequence, seconds, *values = (
                _HEADER.unpack(head)
            )
            if kind not in (_ENTRY, _RETURN) or not 0 <= seconds < 1e9:
                self.damage = Damage("what follows is neither an entry nor a return", offset)
                return
            at = offset + len(head)
            pieces = []
            for _ in range(count):
                head = self._read(_BUFFER.size, at)
                if not head:
                    return
                address, length, argument, readable, _ = _BUFFER.unpack(head)
                if length > _LONGEST:
                    self.damage = Damage(f"a buffer claims {length:,} bytes", at)
                    return
                at += len(head)
                content = self._read(length, at) if length else b""
                if length and not content:
                    return
                at += length
                if readable:
                    pieces.append(_Piece(address, argument, content))
            offset = at
            yield _Half(
                kind,
                mode,
                domain,
                vcpu,
                number,
                flags,
                sequence,
                seconds,
                tuple(values),
                tuple(pieces),
            )

    def _read(self, size: int, offset: int) -> bytes:
        """``size`` bytes, or none and what is wrong with the file at ``offset``."""
        try:
            content = self._file.read(size)
        except (EOFError, OSError, ValueError, LZMAError) as error:
            self.damage = Damage(str(error), offset)
            return b""
        is_end = not content and size == _HEADER.size
        if len(content) < size and not is_end:
            self.damage = Damage("cut off in the middle of a hypercall", offset)
            return b""
        return content

    def _record(self, sequence: int, entry: _Half, back: _Half | None) -> Record:
        hypercall = self._abi.hypercall_by_number.get(entry.number)
        arguments = entry.values[: len(hypercall.args)] if hypercall else entry.values
        continued = back is not None and bool(back.flags & _CONTINUED)
        return Record(
            sequence,
            "",
            round(entry.seconds * 1e9),
            round(back.seconds * 1e9) if back else None,
            entry.domain,
            entry.vcpu,
            self._callers[entry.mode & _HVM],
            entry.number,
            arguments,
            signed(back.values[0], 64)
            if back and not continued and comes_back(hypercall)
            else None,
            continued,
            tuple(self._buffers(hypercall, entry, back)),
        )

    def _buffers(
        self, hypercall: Hypercall | None, entry: _Half, back: _Half | None
    ) -> Iterator[Buffer]:
        after = back.pieces if back else ()
        if hypercall is None:
            for piece in entry.pieces:
                name = f"argument{piece.argument}"
                yield Buffer(name, piece.address, piece.content, _find(after, *_span(piece)))
            return
        pieces = entry.pieces

        def read(address: int, size: int) -> bytes | None:
            return _find(pieces, address, size)

        for reached in self._reach.buffers(entry.number, entry.values, read):
            yield Buffer(
                reached.name,
                reached.address,
                _find(pieces, reached.address, reached.size),
                _find(after, reached.address, reached.size),
            )


def _span(piece: _Piece) -> tuple[int, int]:
    return piece.address, len(piece.content)


def _find(pieces: Sequence[_Piece], address: int, size: int) -> bytes | None:
    """What of the ``size`` bytes at ``address`` was recorded, if their beginning was."""
    for start, _, content in pieces:
        offset = address - start
        if 0 <= offset < len(content):
            return content[offset : offset + size]
    return None
