"""Structures in memory as Python objects.

``make_view_class`` makes a class whose objects look at a structure in a writable buffer: a member
is an attribute, an array a sequence, a nested structure a view of its own. Nothing is copied, so
what another party writes to the buffer is seen at once. Every access is one call of ``struct``,
prepared when the class was made.
"""

import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from xenport.abi.layout import Field, Layout

_LETTERS = {1: "B", 2: "H", 4: "I", 8: "Q"}


class View:
    """A structure at ``offset`` bytes of ``buffer``. Members are attributes of the subclasses.

    ``bytes(view)`` gives its bytes. A value that does not fit in a member raises ``struct.error``;
    assigning to a nested structure raises ``AttributeError``: assign to its members.
    """

    __slots__ = ("_buffer", "_offset")

    _layout: Layout

    def __init__(self, buffer: Any, offset: int = 0) -> None:
        """Raises ``IndexError`` if the structure is not wholly inside the buffer."""
        if offset < 0 or offset + self._layout.size > len(buffer):
            raise IndexError(f"{self._layout.name} at {offset} is not inside {len(buffer)} bytes")
        self._buffer = buffer
        self._offset = offset

    def __bytes__(self) -> bytes:
        return bytes(self._buffer[self._offset : self._offset + self._layout.size])

    def __repr__(self) -> str:
        members = (f"{name}={getattr(self, name)!r}" for name in self._layout.by_name)
        return f"{self._layout.name}({', '.join(members)})"


class ArrayView(Sequence[Any]):
    """An array in a buffer, as a sequence of integers or of views.

    Integers are also written: by index, or as a slice from integers or bytes of the same number.
    ``bytes(array)`` gives its bytes.
    """

    __slots__ = ("_access", "_buffer", "_length", "_offset", "_step")

    def __init__(self, buffer: Any, offset: int, length: int, step: int, access: "_Access") -> None:
        self._buffer = buffer
        self._offset = offset
        self._length = length
        self._step = step
        self._access = access

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(self._length))]
        return self._access.get(self._buffer, self._at(index))

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(index, slice):
            numbers = range(*index.indices(self._length))
            values = list(value)
            if len(values) != len(numbers):
                raise ValueError(f"{len(values)} values for {len(numbers)} elements")
            for number, one in zip(numbers, values, strict=True):
                self[number] = one
        else:
            self._access.set(self._buffer, self._at(index), value)

    def __bytes__(self) -> bytes:
        return bytes(self._buffer[self._offset : self._offset + self._length * self._step])

    def __repr__(self) -> str:
        return repr(list(self))

    def _at(self, index: int) -> int:
        if index < 0:
            index += self._length
        if not 0 <= index < self._length:
            raise IndexError(f"index {index} of {self._length}")
        return self._offset + index * self._step


class _Access(NamedTuple):
    """How a value of one type is read from and written to ``(buffer, offset)``."""

    get: Callable[[Any, int], Any]
    set: Callable[[Any, int, Any], None]


def make_view_class(layout: Layout, endian: str) -> type[View]:
    """The view class of the structure or union ``layout`` in ``little`` or ``big`` endian."""
    if layout.kind not in ("struct", "union"):
        raise TypeError(f"{layout.name} is no structure; there are views of structures only")
    return _Maker("<" if endian == "little" else ">").view_class(layout)


class _Maker:
    """Makes classes for one byte order."""

    def __init__(self, order: str) -> None:
        self._order = order

    def view_class(self, layout: Layout) -> type[View]:
        members: dict[str, Any] = {member.name: self._property(member) for member in layout.fields}
        return type(layout.name, (View,), {"__slots__": (), "_layout": layout, **members})

    def _property(self, member: Field) -> property:
        layout, offset = member.layout, member.offset
        if layout.kind in ("int", "handle"):
            packer = self._packer(layout)
            if member.bits is not None and member.bit_offset is not None:
                return _bit_property(packer, offset, member.bit_offset, member.bits, layout.signed)
            return _number_property(packer, offset)
        access = self._access(layout)

        def get(view: View, _get: Any = access.get, _offset: int = offset) -> Any:
            return _get(view._buffer, view._offset + _offset)

        def put(view: View, value: Any, _set: Any = access.set, _offset: int = offset) -> None:
            _set(view._buffer, view._offset + _offset, value)

        return property(get, put)

    def _packer(self, layout: Layout) -> struct.Struct:
        letter = _LETTERS[layout.size]
        return struct.Struct(self._order + (letter.lower() if layout.signed else letter))

    def _access(self, layout: Layout) -> _Access:
        if layout.kind in ("int", "handle"):
            packer = self._packer(layout)
            unpack, pack = packer.unpack_from, packer.pack_into
            return _Access(
                lambda buffer, offset: unpack(buffer, offset)[0],
                lambda buffer, offset, value: pack(buffer, offset, value),
            )
        if layout.kind == "array":
            return self._array_access(layout)
        return _Access(self.view_class(layout), _refuse)

    def _array_access(self, layout: Layout) -> _Access:
        element, length = layout.element, layout.length
        assert element is not None
        access, step = self._access(element), element.size

        def get(buffer: Any, offset: int) -> ArrayView:
            there = (len(buffer) - offset) // max(step, 1) if length is None else length
            return ArrayView(buffer, offset, there, step, access)

        def put(buffer: Any, offset: int, value: Iterable[Any]) -> None:
            get(buffer, offset)[:] = value

        return _Access(get, put)


def _number_property(packer: struct.Struct, offset: int) -> property:
    # Defaults instead of a closure: a local variable is the fastest there is.
    def get(view: View, _unpack: Any = packer.unpack_from, _offset: int = offset) -> Any:
        return _unpack(view._buffer, view._offset + _offset)[0]

    def put(view: View, value: int, _pack: Any = packer.pack_into, _offset: int = offset) -> None:
        _pack(view._buffer, view._offset + _offset, value)

    return property(get, put)


def _bit_property(
    packer: struct.Struct, offset: int, shift: int, bits: int, signed: bool
) -> property:
    mask = (1 << bits) - 1
    unit = (1 << packer.size * 8) - 1

    def get(view: View) -> int:
        value = int(packer.unpack_from(view._buffer, view._offset + offset)[0]) >> shift & mask
        return value - mask - 1 if signed and value >> (bits - 1) else value

    def put(view: View, value: int) -> None:
        if not (-(mask + 1) // 2 <= value <= mask // 2 if signed else 0 <= value <= mask):
            raise struct.error(f"{value} does not fit in {bits} bits")
        at = view._offset + offset
        old = packer.unpack_from(view._buffer, at)[0] & unit
        new = old & ~(mask << shift) | (value & mask) << shift
        if signed and new >> (packer.size * 8 - 1):
            new -= unit + 1
        packer.pack_into(view._buffer, at, new)

    return property(get, put)


def _refuse(_buffer: Any, _offset: int, _value: Any) -> None:
    raise AttributeError("a nested structure cannot be assigned to; assign to its members")
