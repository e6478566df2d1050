"""Where the bytes of a type are: sizes, alignments and offsets for one data model.

The rules are those of the System V ABIs, which all architectures of Xen follow: a member is aligned
to its type, a structure to its widest member, and a bit field stays inside one aligned unit of its
type. What differs (the width of ``long``, the order of bytes) comes from ``DataModel``.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, NamedTuple

from xenport.abi import expressions
from xenport.abi.expressions import Array, Handle, Named, Primitive, Type
from xenport.abi.schema import (
    Direction,
    FieldSpec,
    GroupSpec,
    Ranged,
    StructSpec,
    TypeSpec,
)
from xenport.architecture import DataModel
from xenport.errors import InputError
from xenport.yamlsource import Document, Key, suggestion

LARGEST = 1 << 30
"""No type is larger, in bytes: a limit against mistakes."""

_FIXED = {"char": 1, "int8": 1, "int16": 2, "int32": 4, "int64": 8, "int64_aligned": 8}
_STEP = re.compile(r"([A-Za-z_]\w*)((?:\[\d+\])*)")


class Place(NamedTuple):
    """A place in a file: what an error is about."""

    document: Document
    where: tuple[Key, ...]

    def at(self, *steps: Key) -> "Place":
        """The place ``steps`` further inside."""
        return Place(self.document, (*self.where, *steps))

    def is_inside(self, other: "Place") -> bool:
        """Whether this is ``other`` or a place in it."""
        around = self.where[: len(other.where)]
        return self.document is other.document and around == other.where

    def error(self, message: str, *steps: Key) -> InputError:
        """The error ``message`` here, or ``steps`` further inside."""
        return self.document.error(message, *self.where, *steps)

    def error_at_key(self, message: str) -> InputError:
        """The error ``message`` at the key of this place, not at its value."""
        return self.document.error(message, *self.where, key=True)

    def name(self) -> str:
        """``path:line`` for a message about another place."""
        error = self.error("")
        return f"{error.path}:{error.line}"


class Item(NamedTuple):
    """A definition of a type and its place; ``ring``: the ring that it is made for."""

    spec: TypeSpec | StructSpec | GroupSpec
    kind: Literal["type", "struct", "union", "enum"]
    place: Place
    ring: str | None = None


@dataclass(frozen=True, eq=False)
class Field:
    """A member; members of anonymous structures and unions belong to what surrounds them.

    Of a bit field, ``offset`` and ``size`` are those of its aligned unit, and ``bit_offset`` counts
    from the least significant bit of the unit read as an integer.
    """

    name: str
    offset: int  # bytes from the start of the structure
    size: int  # bytes; 0 for a flexible array
    layout: "Layout"
    direction: Direction = "in"  # seen from Xen
    bit_offset: int | None = None
    bits: int | None = None
    count: str | None = None  # elements that a handle reaches; "nul": ends with a zero
    resource: str | None = None
    varies: bool = False
    doc: str = ""


@dataclass(frozen=True, eq=False)
class Layout:
    """A type in memory; ``size`` and ``align`` in bytes."""

    kind: Literal["int", "handle", "array", "struct", "union", "void"]
    name: str  # as in a type expression
    size: int
    align: int
    signed: bool = False
    fields: tuple[Field, ...] = ()  # of a struct or union
    element: "Layout | None" = None  # of an array
    length: int | None = None  # of an array; None: flexible
    target: str | None = None  # of a handle: the type it points to
    const: bool = False  # of a handle
    resource: str | None = None

    @property
    def is_flexible(self) -> bool:
        """Whether it ends in a flexible array."""
        if not self.fields:
            return False
        last = self.fields[-1].layout
        return last.kind == "array" and last.length is None

    @cached_property
    def by_name(self) -> dict[str, Field]:
        """The members by name."""
        return {member.name: member for member in self.fields}

    def find(self, path: str) -> tuple[int, "Layout", Field]:
        """Offset, layout and member at ``path``, such as ``time.system_time`` or ``args[2]``.

        Raises ``InputError`` if nothing is there.
        """
        layout, offset, member = self, 0, None
        for step in path.split("."):
            match = _STEP.fullmatch(step)
            if match is None:
                raise InputError(f"bad path '{path}': expected names, dots and [indexes]")
            member = layout.by_name.get(match[1])
            if member is None:
                near = suggestion(match[1], layout.by_name)
                raise InputError(f"{layout.name} has no member '{match[1]}'{near}")
            offset, layout = offset + member.offset, member.layout
            for index in re.findall(r"\d+", match[2]):
                if layout.element is None or int(index) >= (layout.length or LARGEST):
                    raise InputError(f"'{path}': no element [{index}] in {layout.name}")
                layout = layout.element
                offset += int(index) * layout.size
        assert member is not None
        return offset, layout, member

    def walk(self, prefix: str = "", base: int = 0) -> Iterator[tuple[str, int, Field]]:
        """Every member at every depth but inside arrays: dotted path, offset, member."""
        for member in self.fields:
            path = prefix + member.name
            yield path, base + member.offset, member
            yield from member.layout.walk(f"{path}.", base + member.offset)


@dataclass
class _Cursor:
    """Where the next member of a structure or union goes."""

    union: bool
    bits: int = 0  # the next free bit
    end: int = 0  # bytes in use
    align: int = 1
    fields: list[Field] = field(default_factory=list)

    def place(self, size: int, align: int) -> int:
        """Room for ``size`` bytes: its offset."""
        offset = 0 if self.union else _up(_up(self.bits, 8) // 8, align)
        self.bits = (offset + size) * 8
        self.end = max(self.end, offset + size)
        self.align = max(self.align, align)
        return offset

    def place_bits(self, bits: int, size: int, align: int) -> tuple[int, int]:
        """Room for a bit field: the offset of its unit of ``size`` bytes, the first bit in it."""
        step = align * 8
        start = 0 if self.union else self.bits
        if start % step + bits > size * 8:
            start = _up(start, step)
        self.bits = start + bits
        self.end = max(self.end, _up(self.bits, 8) // 8)
        self.align = max(self.align, align)
        return start // step * align, start % step


class Engine:
    """Layouts of the types of one ABI, each computed once.

    ``find`` gives the definition of a name or ``None``; ``active`` says whether a field is there at
    all; ``constant`` gives the value of a constant named at a place.
    """

    def __init__(
        self,
        model: DataModel,
        find: Callable[[str], Item | None],
        active: Callable[[Ranged, Place], bool],
        constant: Callable[[str, Place | None], int],
        known: Callable[[], Sequence[str]],
    ) -> None:
        self._model = model
        self._find = find
        self._active = active
        self._constant = constant
        self._known = known
        self._named: dict[str, Layout] = {}
        self._open: list[str] = []  # what is being laid out, to find recursion

    def layout(self, tree: Type, place: Place | None = None) -> Layout:
        """The layout of ``tree``, which stands at ``place``."""
        match tree:
            case Primitive():
                return self._primitive(tree.name)
            case Handle():
                return self._handle(tree, place)
            case Array():
                return self._array(tree, place)
            case Named():
                return self.named(tree.name, place)

    def named(self, name: str, place: Place | None = None) -> Layout:
        """The layout of the typedef, structure or union ``name``."""
        done = self._named.get(name)
        if done is not None:
            return done
        item = self._find(name)
        if item is None:
            raise _error(f"unknown type '{name}'{suggestion(name, self._known())}", place)
        if name in self._open:
            ring = " in ".join([name, *reversed(self._open[self._open.index(name) :])])
            raise _error(f"{name} contains itself: {ring}", place)
        self._open.append(name)
        try:
            self._named[name] = self._define(name, item)
        finally:
            self._open.pop()
        return self._named[name]

    def evaluate(self, text: str | int, place: Place | None) -> int:
        """The value of an integer or expression at ``place``."""
        if isinstance(text, int):
            return int(text)
        try:
            return expressions.evaluate(
                expressions.expression(text),
                lambda name: self._constant(name, place),
                lambda tree: self.layout(tree, place).size,
            )
        except ValueError as error:
            raise _error(f"{error} in '{text}'", place) from None

    def _define(self, name: str, item: Item) -> Layout:
        spec = item.spec
        if isinstance(spec, TypeSpec):
            place = item.place.at("type")
            layout = self.layout(expressions.type_expression(spec.type), place)
            if layout.kind == "array" and layout.length is None:
                raise place.error("a typedef of a flexible array; give it a length")
            if layout.kind == "void":
                raise place.error("a typedef of void")
            return replace(layout, name=name, resource=spec.resource or layout.resource)
        if isinstance(spec, GroupSpec):
            return self._enum(name, spec, item.place)
        cursor = _Cursor(union=item.kind == "union")
        self._members(cursor, spec.fields, item.place.at("fields"), "in", (), name)
        return _finish("union" if cursor.union else "struct", name, cursor)

    def _enum(self, name: str, spec: GroupSpec, place: Place) -> Layout:
        """An enum is an ``int`` if it has a negative value, and ``unsigned int`` if not."""
        signed = any(
            self.evaluate(value.value, place) < 0
            for alternatives in spec.values.values()
            for value in alternatives
            if self._active(value, place)
        )
        size = self._model.sizes["int"]
        return Layout("int", name, size, size, signed)

    def _members(
        self,
        cursor: _Cursor,
        specs: Sequence[FieldSpec],
        place: Place,
        direction: Direction,
        scope: tuple[str, ...],
        owner: str,
    ) -> None:
        """Lay ``specs`` out at ``cursor``; ``scope``: the fields around that ``count`` may name."""
        active = [
            (index, spec) for index, spec in enumerate(specs) if self._active(spec, place.at(index))
        ]
        scope = (*scope, *_visible(spec for _, spec in active))
        for number, (index, spec) in enumerate(active):
            here = place.at(index)
            toward = spec.dir or direction
            if spec.type is not None:
                last = number == len(active) - 1 and number > 0 and not cursor.union
                self._member(cursor, spec, here, toward, last)
            else:
                self._nested(cursor, spec, here, toward, scope, owner)
            if spec.count is not None and spec.count != "nul":
                self.check_count(spec.count, here.at("count"), scope)
        names = set()
        for member in cursor.fields:
            if member.name in names:
                again = [i for i, spec in active if member.name in _visible([spec])]
                raise place.at(again[-1] if again else 0).error(
                    f"{owner} has two members named '{member.name}'", "name"
                )
            names.add(member.name)

    def check_count(self, count: str, place: Place, scope: Sequence[str]) -> None:
        """Every name in ``count`` is one of ``scope`` or a constant. Raises ``InputError``."""
        if count == "nul":
            return
        for name in expressions.names(expressions.expression(count)):
            if name in scope:
                continue
            try:
                self._constant(name, place)
            except InputError:
                near = suggestion(name, scope)
                raise place.error(f"count: '{name}' is no field and no constant{near}") from None

    def _member(
        self, cursor: _Cursor, spec: FieldSpec, place: Place, direction: Direction, last: bool
    ) -> None:
        assert spec.name is not None and spec.type is not None
        layout = self.layout(expressions.type_expression(spec.type), place.at("type"))
        if layout.kind == "void":
            raise place.error("void has no size; it stands only in a handle", "type")
        if layout.kind == "array" and layout.length is None and not last:
            raise place.error(
                "a flexible array is the last of several members of a structure", "type"
            )
        if layout.kind == "struct" and layout.is_flexible and not cursor.union:
            raise place.error(f"{layout.name} ends in a flexible array and has no size", "type")
        bit_offset = None
        if spec.bits is None:
            offset = cursor.place(layout.size, layout.align)
        else:
            if layout.kind != "int":
                raise place.error(f"a bit field of {layout.name}; expected an integer", "type")
            if not 1 <= spec.bits <= layout.size * 8:
                raise place.error(
                    f"{spec.bits} bits in {layout.name}; expected 1 to {layout.size * 8}", "bits"
                )
            offset, bit_offset = cursor.place_bits(spec.bits, layout.size, layout.align)
            if self._model.endian == "big":
                bit_offset = layout.size * 8 - bit_offset - spec.bits
        cursor.fields.append(
            Field(
                spec.name,
                offset,
                layout.size,
                layout,
                direction,
                bit_offset,
                spec.bits,
                spec.count,
                spec.resource or layout.resource,
                spec.varies,
                spec.doc,
            )
        )

    def _nested(
        self,
        cursor: _Cursor,
        spec: FieldSpec,
        place: Place,
        direction: Direction,
        scope: tuple[str, ...],
        owner: str,
    ) -> None:
        """A structure or union that is written where it is used."""
        kind: Literal["struct", "union"] = "union" if spec.union is not None else "struct"
        specs = (spec.union if spec.union is not None else spec.struct) or []
        name = f"{owner}.{spec.name}" if spec.name else owner
        inner = _Cursor(union=kind == "union")
        self._members(inner, specs, place.at(kind), direction, scope, name)
        layout = _finish(kind, name, inner)
        if layout.is_flexible:
            raise place.error("a flexible array in a nested structure")
        if spec.length is not None:
            layout = self._array_of(layout, spec.length, place.at("length"))
        offset = cursor.place(layout.size, layout.align)
        if spec.name is None:
            cursor.fields += [
                replace(member, offset=member.offset + offset) for member in layout.fields
            ]
        else:
            cursor.fields.append(
                Field(
                    spec.name,
                    offset,
                    layout.size,
                    layout,
                    direction,
                    varies=spec.varies,
                    doc=spec.doc,
                )
            )

    def _array_of(self, element: Layout, text: str, place: Place) -> Layout:
        """An array of a nested structure or union."""
        length = self.evaluate(text, place)
        if length < 1 or length * element.size > LARGEST:
            raise place.error(f"array length {length}; expected 1 or more, below 1 GiB")
        return Layout(
            "array",
            f"{element.name}[{text}]",
            length * element.size,
            element.align,
            element=element,
            length=length,
        )

    def _primitive(self, name: str) -> Layout:
        done = self._named.get(name)
        if done is None:
            done = self._named[name] = self._new_primitive(name)
        return done

    def _new_primitive(self, name: str) -> Layout:
        if name == "void":
            return Layout("void", name, 0, 1)
        sizes = self._model.sizes
        base = name.removeprefix("u")
        if base in _FIXED:
            size = _FIXED[base]
        elif name in ("size_t", "pointer"):
            size, base = sizes["pointer"], "pointer"
        else:
            size = {"short": sizes["short"], "int": sizes["int"], "long": sizes["long"]}[base]
        natural = 8 if base == "int64_aligned" else self._model.align.get(_same_size(size), size)
        align = self._model.align.get(base, natural)
        signed = base == name and name not in ("char", "size_t", "pointer")
        return Layout("int", name, size, align, signed)

    def _handle(self, tree: Handle, place: Place | None) -> Layout:
        self._check_target(tree.target, place)
        text = type_text(tree)
        handle = self._model.guest_handle
        size, align = (8, 8) if tree.wide else (handle.size, handle.align)
        return Layout("handle", text, size, align, target=type_text(tree.target), const=tree.const)

    def _check_target(self, target: Type, place: Place | None) -> None:
        """What a handle points to must exist, but may be what is being laid out."""
        match target:
            case Named():
                if self._find(target.name) is None:
                    near = suggestion(target.name, self._known())
                    raise _error(f"unknown type '{target.name}'{near}", place)
            case Handle():
                raise _error("a handle to a handle; name the inner one with a typedef", place)
            case Array():
                raise _error("a handle to an array; give the element and a count", place)

    def _array(self, tree: Array, place: Place | None) -> Layout:
        element = self.layout(tree.element, place)
        if element.kind == "void" or (element.kind == "array" and element.length is None):
            raise _error("an array of what has no size", place)
        text = type_text(tree)
        if tree.length is None:
            return Layout("array", text, 0, element.align, element=element)
        if element.is_flexible:
            raise _error(f"an array of {element.name}, which ends in a flexible array", place)
        try:
            length = expressions.evaluate(
                tree.length,
                lambda name: self._constant(name, place),
                lambda inner: self.layout(inner, place).size,
            )
        except ValueError as error:
            raise _error(f"{error} in '{text}'", place) from None
        if length < 1 or length * element.size > LARGEST:
            raise _error(
                f"array length {length} in '{text}'; expected 1 or more, below 1 GiB", place
            )
        return Layout(
            "array",
            text,
            length * element.size,
            element.align,
            element=element,
            length=length,
            resource=element.resource,
        )


def type_text(tree: Type) -> str:
    """``tree`` as a type expression."""
    match tree:
        case Primitive() | Named():
            return tree.name
        case Handle():
            const = "const " if tree.const else ""
            return f"handle{'64' if tree.wide else ''}({const}{type_text(tree.target)})"
        case Array():
            lengths = ""
            inner: Type = tree
            while isinstance(inner, Array):
                lengths += f"[{expression_text(inner.length) if inner.length else ''}]"
                inner = inner.element
            return type_text(inner) + lengths


def expression_text(
    tree: expressions.Expression,
    sizeof: Callable[[Type], str] = type_text,
    number: Callable[[str], str] = str,
) -> str:
    """``tree`` as text; ``sizeof`` writes a type and ``number`` a literal."""
    match tree:
        case expressions.Number():
            return number(tree.text)
        case expressions.Name():
            return tree.name
        case expressions.SizeOf():
            return f"sizeof({sizeof(tree.type)})"
        case expressions.Unary():
            return tree.sign + _operand_text(tree.operand, sizeof, number)
        case expressions.Binary():
            left = _operand_text(tree.left, sizeof, number)
            shift = tree.sign in ("<<", ">>")  # its distance has no influence on the type
            right = _operand_text(tree.right, sizeof, str if shift else number)
            return f"{left} {tree.sign} {right}"


def _operand_text(
    tree: expressions.Expression, sizeof: Callable[[Type], str], number: Callable[[str], str]
) -> str:
    text = expression_text(tree, sizeof, number)
    return f"({text})" if isinstance(tree, expressions.Binary) else text


def _visible(specs: "Iterator[FieldSpec] | Sequence[FieldSpec]") -> tuple[str, ...]:
    """The names that ``specs`` give to what surrounds them."""
    found: list[str] = []
    for spec in specs:
        if spec.name is not None:
            found.append(spec.name)
        else:
            found += _visible(spec.union or spec.struct or [])
    return tuple(found)


def _finish(kind: Literal["struct", "union"], name: str, cursor: _Cursor) -> Layout:
    size = _up(cursor.end, cursor.align)
    return Layout(kind, name, size, cursor.align, fields=tuple(cursor.fields))


def _same_size(size: int) -> str:
    return f"int{size * 8}"


def _up(value: int, unit: int) -> int:
    return (value + unit - 1) // unit * unit


def _error(message: str, place: Place | None) -> InputError:
    return InputError(message) if place is None else place.error(message)
