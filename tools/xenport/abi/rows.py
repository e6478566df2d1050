"""A structure as a table: every member at every depth, and the bytes that no member has."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from xenport.abi.contract import count_text
from xenport.abi.layout import Field, Layout

RowKind = Literal["member", "hole", "tail"]


@dataclass(frozen=True)
class Row:
    """One line of the table. Two rows are equal if they say the same of the ABI: not ``doc``.

    A *hole* is room that alignment leaves between members, the *tail* that behind the last one.
    """

    kind: RowKind
    path: str  # from the outermost structure: "u.open.port", "vcpu_info[].time"
    name: str
    depth: int  # 0: a member of the outermost structure
    offset: int  # bytes from its start; in an array, those of the first element
    size: int  # bytes; of a bit field and a hole inside a unit those it touches
    type: str = ""  # "struct", "union" or an array of these where it is written in place
    elements: tuple[int, int] | None = None  # of an array: how many of how many bytes
    bits: tuple[int, int] | None = None  # of a bit field: lowest and number, by value of its unit
    start: int = field(default=0, compare=False)  # first bit, counted along memory
    end: int = field(default=0, compare=False)  # the one behind its last
    direction: str | None = None  # in, out, inout; None between members
    count: str | None = None
    resource: str | None = None
    varies: bool = False
    doc: str = field(default="", compare=False)

    @property
    def remarks(self) -> str:
        """What the columns do not say: elements of an array, what a handle reaches, resource."""
        notes = []
        if self.elements is not None and f"[{self.elements[0]}]" not in self.type:
            notes.append("{} of {} bytes".format(*self.elements))
        if self.count is not None:
            notes.append(f"reaches {count_text(self.count)}")
        if self.resource is not None:
            notes.append(f"a {self.resource}")
        if self.varies:
            notes.append("varies")
        return "; ".join(notes)

    @property
    def is_padding(self) -> bool:
        """Whether nobody reads it: room between members, or a member that its name says is room."""
        return self.kind != "member" or self.name.strip("_0123456789") in _PADDING


_PADDING = ("pad", "padding", "reserved", "rsvd", "unused")


def rows(layout: Layout, endian: str, *, expand: bool) -> tuple[Row, ...]:
    """The table of the structure or union ``layout``.

    Directions have a meaning only if it is (part of) an argument. With ``expand`` the members of
    structures that are defined elsewhere follow too, not only of those written in place.
    """
    return tuple(_Table(endian, expand).of(layout, "", 0, 0))


def is_inline(layout: Layout) -> bool:
    """Whether a structure is written where it is used: it has no name of its own."""
    return layout.kind in ("struct", "union") and "." in layout.name


def _type_text(layout: Layout) -> str:
    """The type of a member: as in a type expression, or what is written in place."""
    element = layout
    while element.element is not None:
        element = element.element
    if is_inline(element):
        return element.kind + layout.name.removeprefix(element.name)
    return layout.name


class _Table:
    def __init__(self, endian: str, expand: bool) -> None:
        self._endian = endian
        self._expand = expand

    def of(self, layout: Layout, prefix: str, base: int, depth: int) -> Iterator[Row]:
        """The rows of ``layout``, which is ``base`` bytes from the start of the outermost one."""
        covered = 0  # bits from the start of layout
        last = ""
        for member in layout.fields:
            start, end = self._extent(member)
            if start > covered:
                yield self._gap("hole", prefix, last, depth, base, (covered, start))
            covered = max(covered, end)
            last = member.name
            yield self._member(member, prefix, base, depth, (start, end))
            yield from self._inside(member, prefix, base, depth)
        if layout.size * 8 > covered:
            yield self._gap("tail", prefix, last, depth, base, (covered, layout.size * 8))

    @staticmethod
    def _elements(layout: Layout) -> tuple[int, int] | None:
        if layout.element is None or layout.length is None:
            return None
        return layout.length, layout.element.size

    def _inside(self, member: Field, prefix: str, base: int, depth: int) -> Iterator[Row]:
        inner, path = member.layout, prefix + member.name
        while inner.element is not None:
            inner, path = inner.element, f"{path}[]"
        if inner.fields and (self._expand or is_inline(inner)):
            yield from self.of(inner, f"{path}.", base + member.offset, depth + 1)

    def _extent(self, member: Field) -> tuple[int, int]:
        """The first bit of ``member`` and the one behind its last, counted along memory."""
        if member.bits is None or member.bit_offset is None:
            return member.offset * 8, (member.offset + member.size) * 8
        first = member.bit_offset
        if self._endian == "big":
            first = member.size * 8 - first - member.bits
        return member.offset * 8 + first, member.offset * 8 + first + member.bits

    def _member(
        self, member: Field, prefix: str, base: int, depth: int, extent: tuple[int, int]
    ) -> Row:
        is_bits = member.bits is not None and member.bit_offset is not None
        return Row(
            "member",
            prefix + member.name,
            member.name,
            depth,
            base + member.offset,
            member.size,
            _type_text(member.layout),
            self._elements(member.layout),
            (member.bit_offset or 0, member.bits or 0) if is_bits else None,
            base * 8 + extent[0],
            base * 8 + extent[1],
            member.direction,
            member.count,
            member.resource,
            member.varies,
            member.doc,
        )

    @staticmethod
    def _gap(
        kind: RowKind, prefix: str, after: str, depth: int, base: int, extent: tuple[int, int]
    ) -> Row:
        first, end = extent
        size = (end + 7) // 8 - first // 8
        bits = (first % 8, end - first) if first % 8 or end % 8 else None
        path = f"{prefix}{after}+{kind}"
        return Row(
            kind,
            path,
            "",
            depth,
            base + first // 8,
            size,
            bits=bits,
            start=base * 8 + first,
            end=base * 8 + end,
        )


def merged(tables: Sequence[Sequence[Row]]) -> list[list[Row | None]]:
    """``tables`` side by side: each line has one row of each table, or ``None``.

    Rows stand on one line if they have the same path and the same type, whatever their place.
    """
    lines: list[list[Row | None]] = []
    index: dict[tuple[str, str], int] = {}
    for number, table in enumerate(tables):
        at = 0  # where the next new line goes
        for row in table:
            key = (row.path, row.type)
            found = index.get(key)
            if found is None or lines[found][number] is not None:
                line: list[Row | None] = [None] * len(tables)
                lines.insert(at, line)
                index = {name: spot + (spot >= at) for name, spot in index.items()}
                found = index[key] = at
            lines[found][number] = row
            at = max(at, found + 1)
    return lines
