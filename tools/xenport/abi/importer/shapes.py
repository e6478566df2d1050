"""What one world has, in the grammar's terms, so that worlds can be compared and merged."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal

from xenport.abi.facts import Aggregate, Facts, Member
from xenport.abi.importer import spelling
from xenport.abi.importer.conditions import World

_RECORD = "__HVM_SAVE_TYPE_"
_NESTED_ARRAY = re.compile(r"\[(\d+)\]$")
_HANDLE = re.compile(r"(handle(?:64)?\((?:const )?)(\w+)\)")
_SAVE = re.compile(r"DECLARE_HVM_SAVE_TYPE_COMPAT\s*\(\s*(\w+)\s*,[^,]*,[^,]*,[\s\\]*struct (\w+)")


@dataclass(frozen=True)
class FieldShape:
    """A member: of a type, or with members of its own."""

    name: str | None
    type: str | None = None
    bits: int | None = None
    kind: Literal["struct", "union"] | None = None
    length: str | None = None  # of an array of what is nested
    inner: tuple["FieldShape", ...] = ()

    @property
    def first_name(self) -> str:
        """Its name, or that of the first member in it that has one."""
        if self.name is not None:
            return self.name
        return self.inner[0].first_name if self.inner else ""


@dataclass(frozen=True)
class StructShape:
    """A structure or union."""

    kind: Literal["struct", "union"]
    typedef: str | Literal[False] | None
    fields: tuple[FieldShape, ...]


@dataclass
class Shapes:
    """Everything that one world has. Where a thing stands: header and line."""

    world: World
    structs: dict[str, StructShape] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    enums: dict[str, tuple[bool, tuple[tuple[str, int], ...]]] = field(default_factory=dict)
    constants: dict[str, tuple[int | str, int | str, str | None]] = field(default_factory=dict)
    rings: dict[str, tuple[str, str]] = field(default_factory=dict)
    byte_rings: dict[str, bool] = field(default_factory=dict)
    save_records: dict[str, tuple[int, str, str | None]] = field(default_factory=dict)
    places: dict[str, tuple[str, int]] = field(default_factory=dict)


def shapes(world: World, facts: Facts, tree: Path, long_bits: int) -> Shapes:
    """The shapes of ``facts``, which were read from the headers in ``tree``."""
    return _Reader(world, facts, tree, long_bits).shapes


class _Reader:
    def __init__(self, world: World, facts: Facts, tree: Path, long_bits: int) -> None:
        self._facts = facts
        self._tree = tree
        self.shapes = Shapes(world)
        structures = dict(facts.structures)
        self._read_rings(structures)
        self._read_records(structures)
        aliases: dict[str, list[str]] = {}
        for name, (target, _) in facts.typedefs.items():
            if target.text in structures:
                aliases.setdefault(target.text, []).append(name)
        enums = {one.name: one for one in facts.enumerations if one.name}
        for name, found in structures.items():
            self._place(name, found.source)
            own = aliases.get(name, [])
            typedef: str | Literal[False] | None = False
            if f"{name}_t" in own:
                typedef = None
            elif own or name in facts.typedefs:
                typedef = own[0] if own else name
            fields = tuple(self._fields(found))
            self.shapes.structs[name] = StructShape(found.kind, typedef, fields)
            for alias in own:
                if alias not in (f"{name}_t", typedef):
                    self.shapes.types[alias] = name
                    self._place(alias, facts.typedefs[alias][1])
        for name, (target, source) in facts.typedefs.items():
            if name in structures or target.text in structures or name in enums:
                continue
            if target.base in ("struct", "union"):
                continue
            self.shapes.types[name] = self._array_length(target.text, name, source)
            self._place(name, source)
        for one in facts.enumerations:
            if one.name:
                values = tuple(one.values.items())
                self.shapes.enums[one.name] = (one.name in facts.typedefs, values)
                self._place(one.name, one.source)
        for name, constant in facts.constants.items():
            if constant.enumeration:
                continue
            spelled, suffix = spelling.value(constant, facts, long_bits)
            self.shapes.constants[name] = (constant.value, spelled, suffix)
            self._place(name, constant.source)

    def _place(self, name: str, source: tuple[str, int]) -> None:
        self.shapes.places.setdefault(name, (source[0], source[1]))

    def _read_rings(self, structures: dict[str, Aggregate]) -> None:
        for name in [name for name in structures if name.endswith("_sring")]:
            ring = name.removesuffix("_sring")
            entry = structures.get(f"{ring}_sring_entry")
            if entry is None:
                continue
            types = {member.name: member.type.text for member in entry.members}
            self.shapes.rings[ring] = (types["req"], types["rsp"])
            self._place(ring, structures[name].source)
            for end in ("_sring", "_sring_entry", "_front_ring", "_back_ring"):
                structures.pop(f"{ring}{end}", None)
        for name in [name for name in structures if name.endswith("_data")]:
            if [member.name for member in structures[name].members] == ["in", "out"]:
                ring = name.removesuffix("_data")
                page = structures.get(f"{name}_intf")
                source = structures.pop(name).source
                own = page is not None and page.source == source
                if own:
                    structures.pop(f"{name}_intf")
                self.shapes.byte_rings[ring] = own
                self._place(ring, source)

    def _read_records(self, structures: dict[str, Aggregate]) -> None:
        for name in [name for name in structures if name.startswith(_RECORD)]:
            found = structures.pop(name)
            members = {member.name: member.type for member in found.members}
            record = name.removeprefix(_RECORD)
            compat = None
            if members["cpt"].size == 2:
                older = dict(_SAVE.findall("\n".join(_lines(self._tree / found.source.path))))
                compat = older.get(record)
            self.shapes.save_records[record] = (members["c"].size, members["t"].text, compat)
            self._place(f"record {record}", found.source)

    def _fields(self, found: Aggregate) -> Iterator[FieldShape]:
        for member in found.members:
            yield self._field(member, found)

    def _field(self, member: Member, owner: Aggregate) -> FieldShape:
        inner = member.type.inner
        if inner is not None:
            length = _NESTED_ARRAY.match(member.type.text)
            return FieldShape(
                member.name,
                kind=inner.kind,
                length=length[1] if length else None,
                inner=tuple(self._fields(inner)),
            )
        text = _HANDLE.sub(self._tag, member.type.text)
        if member.align == 8 and text.removeprefix("u") == "int64":
            text += "_aligned"
        return FieldShape(
            member.name, self._array_length(text, member.name or "", owner.source), member.bits
        )

    def _tag(self, handle: re.Match[str]) -> str:
        """A guest handle to a typedef of a structure, as one to the structure."""
        target = self._facts.typedefs.get(handle[2])
        tag = target[0].text if target is not None else ""
        return f"{handle[1]}{tag if tag in self._facts.structures else handle[2]})"

    def _array_length(self, text: str, name: str, source: tuple[str, int]) -> str:
        """``text`` with the length of an array as its declaration writes it, if that is a name."""
        match = re.fullmatch(r"(\w+)\[(\d+)\]", text)
        if match is None:
            return text
        lines = _lines(self._tree / source[0])
        pattern = re.compile(rf"\b{re.escape(name)}\s*\[([^\]]+)\]")
        for line in lines[source[1] - 1 : source[1] + 400]:
            declared = pattern.search(line)
            if declared is not None:
                written = declared[1].strip()
                length = spelling.length(written, int(match[2]), self._facts)
                return text if length is None else f"{match[1]}[{length}]"
        return text


@lru_cache(maxsize=400)
def _lines(path: Path) -> Sequence[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return ()
