"""Structures with members at fixed offsets, for the package ``construct``.

The ``Struct`` of ``construct`` lays members one behind the other, and its ``Union`` and
``BitStruct`` cannot be mixed with that. Here every member has its offset, so padding, unions,
members of anonymous structures and bit fields are the same thing: members, of which some lie over
others.
"""

import functools
import io
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from construct import (
    Array,
    Construct,
    ConstructError,
    Container,
    GreedyBytes,
    GreedyRange,
    IntegerError,
    Renamed,
    SizeofError,
    stream_read,
    stream_read_entire,
    stream_write,
)

_IMAGE = "_bytes()"  # where a parsed structure keeps its bytes; no name of a member


class At(NamedTuple):
    """A member: its offset in bytes, and its type with its name, ``"port" / Int32ul``."""

    offset: int
    subcon: Any


class Bits(Construct):
    """A bit field: bit ``shift`` and the next of an integer of ``length`` bytes."""

    def __init__(
        self,
        length: int,
        order: Literal["little", "big"],
        shift: int,
        bits: int,
        signed: bool = False,
    ) -> None:
        super().__init__()
        self.length = length
        self.order = order
        self.shift = shift
        self.bits = bits
        self.signed = signed

    @property
    def mask(self) -> bytes:
        """The bits that are the field's own, in the order of memory."""
        return ((1 << self.bits) - 1 << self.shift).to_bytes(self.length, self.order)

    def _parse(self, stream: Any, context: Any, path: str) -> int:
        unit = int.from_bytes(stream_read(stream, self.length, path), self.order)
        value = unit >> self.shift & (1 << self.bits) - 1
        return value - (1 << self.bits) if self.signed and value >> self.bits - 1 else value

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        least = -(1 << self.bits - 1) if self.signed else 0
        if not isinstance(obj, int) or not least <= obj < least + (1 << self.bits):
            raise IntegerError(f"{obj!r} does not fit in {self.bits} bits", path=path)
        unit = (obj & (1 << self.bits) - 1) << self.shift
        stream_write(stream, unit.to_bytes(self.length, self.order), self.length, path)
        return obj

    def _sizeof(self, context: Any, path: str) -> int:
        return self.length


class Structure(Construct):
    """A structure or union of ``size`` bytes.

    Parsing gives a ``Container`` with every member. Building takes a mapping of some or all of
    them: what is not given stays as it was parsed, or is zero. Of members that lie over each other,
    as those of a union do, the ones count whose value is another than what was parsed (or zero);
    if two of these disagree, building fails.

    ``flexible`` structures end in an array that reaches to the end of the stream, or of the
    structure around.
    """

    def __init__(self, name: str, size: int, *members: At, flexible: bool = False) -> None:
        super().__init__()
        self.name = name
        self.size = size
        self.members = members
        self.flexible = flexible
        self._names = frozenset(member.subcon.name for member in members)

    @functools.cached_property
    def mask(self) -> bytes:
        """The bits that are some member's, not padding."""
        whole = bytearray(self.size)
        for offset, subcon in self.members:
            length = self.size - offset if _is_open(subcon.subcon) else subcon.sizeof()
            for at, bits in enumerate(_mask(subcon.subcon, length), offset):
                whole[at] |= bits
        return bytes(whole)

    def _parse(self, stream: Any, context: Any, path: str) -> Any:
        data = stream_read(stream, self.size, path)
        if self.flexible:
            data += stream_read_entire(stream, path)
        found = Container()
        inner = io.BytesIO(data)
        for offset, subcon in self.members:
            inner.seek(offset)
            found[subcon.name] = subcon._parsereport(inner, context, path)
        found[_IMAGE] = data
        return found

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        if not isinstance(obj, Mapping):
            raise ConstructError(f"expected the members of {self.name}, found {obj!r}", path=path)
        for key in obj:
            if key not in self._names and not key.startswith("_"):
                raise ConstructError(f"{self.name} has no member '{key}'", path=path)
        before = obj.get(_IMAGE, b"").ljust(self.size, b"\0")
        image = bytearray(before)
        edits: list[tuple[str, int, bytes, bytes]] = []
        for offset, subcon in self.members:
            if subcon.name not in obj:
                continue
            part = io.BytesIO()
            subcon._build(obj[subcon.name], part, context, path)
            data = part.getvalue()
            end = offset + len(data)
            if end > self.size and not self.flexible:
                raise ConstructError(f"{subcon.name} has too many elements", path=path)
            if self.flexible and subcon is self.members[-1].subcon:
                image[end:] = bytes(max(0, self.size - end))  # it may be shorter than before
            image.extend(bytes(max(0, end - len(image))))
            mask = _mask(subcon.subcon, len(data))
            data = _masked(data, mask)
            if _masked(before[offset:end].ljust(len(data), b"\0"), mask) != data:
                edits.append((subcon.name, offset, data, mask))
        for _, offset, data, mask in edits:
            for at, (byte, bits) in enumerate(zip(data, mask, strict=True), offset):
                image[at] = image[at] & ~bits | byte
        for name, offset, data, mask in edits:
            if _masked(image[offset : offset + len(data)], mask) != data:
                others = ", ".join(other for other, *_ in edits if other != name)
                raise ConstructError(
                    f"{name} lies over other members of {self.name} that are given other values"
                    f" ({others}); give one of them",
                    path=path,
                )
        stream_write(stream, bytes(image), len(image), path)
        return obj

    def _sizeof(self, context: Any, path: str) -> int:
        if self.flexible:
            raise SizeofError(f"{self.name} ends in an array of any length", path=path)
        return self.size


def _plain(subcon: Any) -> Any:
    """``subcon`` without its names: with a name and a sentence it has two."""
    while isinstance(subcon, Renamed):
        subcon = subcon.subcon
    return subcon


def _is_open(subcon: Any) -> bool:
    """Whether ``subcon`` reaches to the end of the data."""
    subcon = _plain(subcon)
    return (
        subcon is GreedyBytes
        or isinstance(subcon, GreedyRange)
        or getattr(subcon, "flexible", False)
    )


def _mask(subcon: Any, length: int) -> bytes:
    """The bits of ``length`` bytes that ``subcon`` writes and reads."""
    subcon = _plain(subcon)
    if isinstance(subcon, Structure):
        return subcon.mask.ljust(length, b"\xff")
    if isinstance(subcon, Bits):
        return subcon.mask
    if isinstance(subcon, Array) and subcon.count:
        return _mask(subcon.subcon, length // subcon.count) * int(subcon.count)
    return b"\xff" * length


def _masked(data: bytes | bytearray, mask: bytes) -> bytes:
    return bytes(byte & bits for byte, bits in zip(data, mask, strict=True))
