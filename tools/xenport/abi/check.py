"""Compare the description with the facts of compiled C: a tree of headers, or an ELF with DWARF."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from xenport.abi.core import Abi, SaveRecord
from xenport.abi.facts import Aggregate, Facts, Member
from xenport.abi.layout import Field, Layout
from xenport.abi.schema import StructSpec, c_text

Side = Literal["differs", "only in C", "only in the description"]

_EMPTY = "xen_nothing"  # what the C emitter puts in an empty structure
_RECORD = "__HVM_SAVE_TYPE_"
_WORD = (1 << 64) - 1


@dataclass(frozen=True)
class Difference:
    """Something that is not the same; ``header`` is where it is defined, if that is known."""

    header: str
    name: str
    side: Side
    text: str

    def __str__(self) -> str:
        return f"{self.header}: {self.text}" if self.header else self.text


@dataclass
class Comparison:
    """What a comparison found, and how much it looked at."""

    differences: list[Difference] = field(default_factory=list)
    broken: dict[str, str] = field(default_factory=dict)  # headers that do not compile: complaint
    structures: int = 0  # compared, and so on
    members: int = 0
    typedefs: int = 0
    constants: int = 0


def compare(abi: Abi, facts: Facts, *, whole: bool) -> Comparison:
    """What differs between ``abi`` and ``facts``.

    ``whole``: the facts are a whole tree of headers, so that what only one side has is a
    difference; else only what both have is compared.
    """
    return _Comparer(abi, facts, whole).result


class _Comparer:
    def __init__(self, abi: Abi, facts: Facts, whole: bool) -> None:
        self._abi = abi
        self._facts = facts
        self._whole = whole
        self.result = Comparison(broken=dict(facts.broken))
        self._compare_structures()
        self._compare_typedefs()
        self._compare_constants()

    def _report(self, header: str, name: str, side: Side, text: str) -> None:
        self.result.differences.append(Difference(header, name, side, text))

    def _only_described(self, name: str, what: str) -> None:
        """``name`` is not in C. That is no difference where C could not be asked."""
        header = self._abi.header_of(name) or ""
        unseen = header in self._facts.broken or self._abi.is_unseen(name)
        if self._whole and not unseen:
            self._report(
                header, name, "only in the description", f"{what} {name} is not in the headers"
            )

    def _only_in_c(self, header: str, name: str, what: str) -> None:
        if self._whole:
            self._report(header, name, "only in C", f"{what} {name} is not described")

    # Structures

    def _compare_structures(self) -> None:
        theirs = dict(self._facts.structures)
        records = {
            name.removeprefix(_RECORD): theirs.pop(name)
            for name in list(theirs)
            if name.startswith(_RECORD)
        }
        for name in self._abi.structures:
            found = theirs.pop(name, None)
            layout = self._abi.layout(name)
            if found is None:
                self._only_described(name, layout.kind)
                continue
            header = self._abi.header_of(name) or ""
            self.result.structures += 1
            align = self._facts.aligns.get(name)
            if align is not None and align != layout.align:
                self._report(
                    header,
                    name,
                    "differs",
                    f"{name}: aligned to {align} bytes in C, {layout.align} in the description",
                )
            if found.kind != layout.kind:
                self._report(
                    header, name, "differs", f"{name}: a {found.kind} in C, a {layout.kind} here"
                )
            for text in self._aggregates(layout, found, name):
                self._report(header, name, "differs", text)
        for name, found in theirs.items():
            self._only_in_c(found.source.path, name, found.kind)
        self._compare_records(records)

    def _compare_records(self, theirs: dict[str, Aggregate]) -> None:
        for header in self._abi.headers():
            for record in header.save_records.values():
                found = theirs.pop(record.name, None)
                if found is None:
                    if self._whole and header.path not in self._facts.broken:
                        self._report(
                            header.path,
                            record.name,
                            "only in the description",
                            f"the save record {record.name} is not in the headers",
                        )
                    continue
                for text in self._record(record, found):
                    self._report(header.path, record.name, "differs", text)
        for name, found in theirs.items():
            self._only_in_c(found.source.path, name, "the save record")

    def _record(self, record: SaveRecord, found: Aggregate) -> Iterator[str]:
        sizes = {name: member.type.size for name, _, member in found.flat()}
        size = self._abi.sizeof(record.type)
        for what, ours, theirs in (
            ("code", record.code, sizes.get("c")),
            ("size", size, sizes.get("t")),
            ("number of forms", 2 if record.compat else 1, sizes.get("cpt")),
        ):
            if ours != theirs:
                yield f"save record {record.name}: {what} {theirs} in C, {ours} in the description"

    def _aggregates(self, layout: Layout, found: Aggregate, path: str) -> Iterator[str]:
        if found.size != layout.size:
            yield f"{path}: {found.size} bytes in C, {layout.size} in the description"
        theirs = {name: (offset, member) for name, offset, member in found.flat()}
        theirs.pop(_EMPTY, None)
        for member in layout.fields:
            where = f"{path}.{member.name}"
            if member.name not in theirs:
                yield f"{where} is not in C"
                continue
            self.result.members += 1
            yield from self._members(member, *theirs.pop(member.name), where)
        for name in theirs:
            yield f"{path}.{name} is not described"

    def _members(self, ours: Field, offset: int, theirs: Member, where: str) -> Iterator[str]:
        if (ours.bits is None) != (theirs.bits is None):
            yield f"{where} is {'no' if theirs.bits is None else 'a'} bit field in C"
        elif ours.bits is not None and ours.bit_offset is not None:
            unit = ours.size * 8
            little = self._facts.little_endian
            start = ours.bit_offset if little else unit - ours.bit_offset - ours.bits
            first = ours.offset * 8 + start
            if (first, ours.bits) != (offset, theirs.bits):
                yield (
                    f"{where}: bits {offset}+{theirs.bits} in C,"
                    f" {first}+{ours.bits} in the description"
                )
        elif offset != ours.offset * 8:
            yield f"{where}: offset {offset // 8} in C, {ours.offset} in the description"
        if ours.size != theirs.type.size:
            yield f"{where}: {theirs.type.size} bytes in C, {ours.size} in the description"
        both = ours.layout.kind == "int" and theirs.type.base == "int" and ours.size > 1
        if both and ours.layout.signed != theirs.type.signed:
            yield f"{where} is {'' if theirs.type.signed else 'un'}signed in C"
        inner = ours.layout
        while inner.kind == "array" and inner.element is not None:
            inner = inner.element
        if theirs.type.inner is not None:
            if inner.fields:
                yield from self._aggregates(inner, theirs.type.inner, where)
            else:
                yield f"{where} is a {theirs.type.inner.kind} in C"
        elif inner.fields and not self._same_named(inner, theirs):
            yield f"{where} has the type {theirs.type.text} in C, {inner.name} in the description"

    def _same_named(self, inner: Layout, theirs: Member) -> bool:
        """Whether a member's named structure is the one that is described."""
        named = theirs.type.text.partition("[")[0]
        alias = self._facts.typedefs.get(inner.name)
        return named == inner.name or (alias is not None and alias[0].text == named)

    # Typedefs

    def _compare_typedefs(self) -> None:
        theirs = dict(self._facts.typedefs)
        for header in self._abi.headers():
            for name, item in header.types.items():
                if item.kind == "type":
                    found = theirs.pop(name, None)
                    if found is None:
                        self._only_described(name, "type")
                        continue
                    self.result.typedefs += 1
                    size = self._abi.sizeof(name)
                    if found[0].size != size:
                        self._report(
                            header.path,
                            name,
                            "differs",
                            f"{name}: {found[0].size} bytes in C, {size} in the description",
                        )
                elif item.kind == "enum":
                    theirs.pop(name, None)
                elif isinstance(item.spec, StructSpec):
                    theirs.pop(item.spec.typedef or f"{name}_t", None)
                    theirs.pop(name, None)
        for name, (target, source) in theirs.items():
            if target.text not in self._facts.structures:  # else that is what is missing
                self._only_in_c(source.path, name, "type")

    # Constants

    def _compare_constants(self) -> None:
        theirs = dict(self._facts.constants)
        for name, constant in self._abi.constants.items():
            found = theirs.pop(name, None)
            if found is None:
                self._only_described(name, "constant")
                continue
            self.result.constants += 1
            ours = constant.value & _WORD if isinstance(constant.value, int) else constant.value
            theirs_value = found.value if isinstance(found.value, int) else c_text(found.value)
            if ours != theirs_value:
                self._report(
                    constant.header,
                    name,
                    "differs",
                    f"{name} is {_shown(found.value)} in C, {_shown(ours)} in the description",
                )
        for name, found in theirs.items():
            self._only_in_c(found.source.path, name, "constant")


def _shown(value: int | str) -> str:
    return f"{value:#x}" if isinstance(value, int) else f'"{value}"'
