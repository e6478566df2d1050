"""In which architectures and releases something exists, and how it looks in each.

A *thing* is what a name of the description stands for. Two ABIs agree on a thing if its *face* is
the same in both: everything that counts for who uses it, documentation not included.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

from xenport.abi import contract
from xenport.abi.calls import Command
from xenport.abi.constants import ConstantItem
from xenport.abi.core import Abi, Group, Header, SaveRecord
from xenport.abi.expressions import Array, Handle, Named, Type, type_expression
from xenport.abi.layout import Item, Layout
from xenport.abi.releases import rank
from xenport.abi.rows import Row, rows
from xenport.abi.schema import ByteRingSpec, MacroSpec, RingSpec, StructSpec, TypeSpec
from xenport.errors import InputError
from xenport.yamlsource import suggestion

Kind = Literal[
    "header",
    "struct",
    "union",
    "type",
    "enum",
    "ring",
    "record",  # of a saved HVM domain
    "macro",
    "group",  # of constants
    "constant",
    "hypercall",
    "command",
]


class Thing(NamedTuple):
    """What a name stands for; a name may stand for several."""

    kind: Kind
    name: str

    def __str__(self) -> str:
        return self.name if self.kind == "header" else f"{self.kind} {self.name}"


@dataclass(frozen=True)
class StructFace:
    """A structure or union: sizes in bytes, its members as ``rows`` gives them, and its rules.

    Structures that are defined elsewhere are not looked into; they have faces of their own.
    """

    size: int
    align: int
    rows: tuple[Row, ...]
    rules: tuple[str, ...] = ()


@dataclass(frozen=True)
class TypeFace:
    """A typedef or enum: what it stands for, and its size and alignment in bytes."""

    text: str
    size: int
    align: int


@dataclass(frozen=True)
class ValueFace:
    """A constant."""

    value: int | str


@dataclass(frozen=True)
class TextFace:
    """What is defined by text alone: a macro, a ring, a record of a saved domain."""

    text: str


class Seen(NamedTuple):
    """A thing in one ABI: the header it is in, and its definition where there is one."""

    header: Header
    item: Item | ConstantItem | Group | SaveRecord | MacroSpec | RingSpec | ByteRingSpec | None


class Inventory:
    """What there is in one ABI."""

    def __init__(self, abi: Abi) -> None:
        self.abi = abi

    @cached_property
    def things(self) -> dict[Thing, Seen]:
        """Everything there is, in the order of the headers."""
        return dict(self._things())

    def _things(self) -> Iterator[tuple[Thing, Seen]]:
        for header in self.abi.headers():
            yield Thing("header", header.path), Seen(header, None)
            for group in header.groups:
                yield Thing("group", group.name), Seen(header, group)
                for constant in group.constants:
                    yield Thing("constant", constant.name), Seen(header, constant)
            for name, item in header.types.items():
                yield Thing(item.kind, name), Seen(header, item)
            for name, ring in header.rings.items():
                yield Thing("ring", name), Seen(header, ring)
            for name, record in header.save_records.items():
                yield Thing("record", name), Seen(header, record)
            for name, macro in header.macros.items():
                yield Thing("macro", name), Seen(header, macro)
            for name, spec, _ in header.hypercalls:
                yield Thing("hypercall", name), Seen(header, None)
                for command in spec.commands:
                    constant_item = self.abi.constant_item(command)
                    if constant_item is not None and constant_item.group == name:
                        yield Thing("command", command), Seen(header, constant_item)

    @cached_property
    def arguments(self) -> Mapping[str, tuple[str, ...]]:
        """The hypercalls and commands whose argument a structure is or is part of, by its tag."""
        found: dict[str, dict[str, None]] = {}
        for hypercall in self.abi.hypercalls.values():
            for arg in hypercall.args:
                if arg.layout.target is not None:
                    self._reach(type_expression(arg.layout.target), hypercall.name, found)
            for command in hypercall.commands.values():
                if command.arg is not None and not command.arg.member:
                    self._reach(type_expression(command.arg.type), command.name, found)
                elif command.arg is not None:
                    self._reach(Named(command.arg.layout.name), command.name, found)
        return {name: tuple(callers) for name, callers in found.items()}

    def _reach(self, tree: Type, caller: str, found: dict[str, dict[str, None]]) -> None:
        """Note ``caller`` at every structure in ``tree`` and behind its handles."""
        match tree:
            case Handle():
                self._reach(tree.target, caller, found)
            case Array():
                self._reach(tree.element, caller, found)
            case Named():
                self._reach_named(tree.name, caller, found)

    def _reach_named(self, name: str, caller: str, found: dict[str, dict[str, None]]) -> None:
        callers = found.setdefault(name, {})
        if caller in callers:
            return
        callers[caller] = None
        for kind in ("struct", "union", "type"):
            seen = self.things.get(Thing(kind, name))
            if seen is None or not isinstance(seen.item, Item):
                continue
            if isinstance(seen.item.spec, TypeSpec):
                self._reach(type_expression(seen.item.spec.type), caller, found)
            elif isinstance(seen.item.spec, StructSpec):
                self._reach_layout(self.abi.engine.named(name), caller, found)

    def _reach_layout(self, layout: Layout, caller: str, found: dict[str, dict[str, None]]) -> None:
        for member in layout.fields:
            inner = member.layout
            while inner.element is not None:
                inner = inner.element
            if inner.target is not None:
                self._reach(type_expression(inner.target), caller, found)
            elif inner.fields and "." in inner.name:
                self._reach_layout(inner, caller, found)
            elif inner.fields:
                self._reach_named(inner.name, caller, found)

    def rows(self, name: str, *, expand: bool) -> tuple[Row, ...]:
        """The table of the structure or union ``name``."""
        return rows(
            self.abi.engine.named(name),
            self.abi.architecture.data_model.endian,
            expand=expand,
        )

    def face(self, thing: Thing) -> Hashable:
        """How ``thing``, which is here, looks here."""
        if thing not in self._faces:
            self._faces[thing] = self._face(thing)
        return self._faces[thing]

    @cached_property
    def _faces(self) -> dict[Thing, Hashable]:
        return {}

    def _face(self, thing: Thing) -> Hashable:
        seen = self.things[thing]
        match thing.kind:
            case "struct" | "union":
                layout = self.abi.engine.named(thing.name)
                table = self.rows(thing.name, expand=False)
                return StructFace(layout.size, layout.align, table, self.abi.rules(thing.name))
            case "type" | "enum":
                assert isinstance(seen.item, Item)
                layout = self.abi.engine.named(thing.name)
                spec = seen.item.spec
                enum = "int" if layout.signed else "uint"
                text = spec.type if isinstance(spec, TypeSpec) else enum
                return TypeFace(text, layout.size, layout.align)
            case "constant":
                return ValueFace(self.abi.constants[thing.name].value)
            case "ring" | "record" | "macro":
                return TextFace(_text(seen.item))
            case "hypercall":
                return contract.of_hypercall(self.abi.hypercalls[thing.name])
            case "command":
                command = self.command(thing.name)
                return contract.of_command(command, self.abi.hypercalls[command.hypercall])
            case _:
                return None

    def doc(self, thing: Thing) -> str:
        """What the description says of ``thing``."""
        header, item = self.things[thing]
        match thing.kind:
            case "header":
                return header.doc
            case "hypercall":
                return self.abi.hypercalls[thing.name].doc
            case "command":
                return self.command(thing.name).doc
        if isinstance(item, (Item, ConstantItem)):
            return item.spec.doc
        return item.doc if item is not None else ""

    def command(self, name: str) -> Command:
        """The command ``name``."""
        return self._commands[name]

    @cached_property
    def _commands(self) -> dict[str, Command]:
        return {
            name: command
            for hypercall in self.abi.hypercalls.values()
            for name, command in hypercall.commands.items()
        }


def _text(item: object) -> str:
    """A macro, a ring or a record in words."""
    match item:
        case MacroSpec():
            return item.value if item.params is None else f"({', '.join(item.params)}) {item.value}"
        case RingSpec():
            return f"requests {item.request}, responses {item.response}"
        case ByteRingSpec():
            return "bytes both ways" + (", and their page of indexes" if item.interface else "")
        case SaveRecord():
            older = f", or the older {item.compat}" if item.compat else ""
            return f"code {item.code}, {item.type}{older}"
    raise AssertionError(f"{item} has no text")


class History:
    """What there is in several ABIs, of any number of architectures and releases."""

    def __init__(self, abis: Iterable[Abi]) -> None:
        self.inventories = tuple(Inventory(abi) for abi in abis)

    @cached_property
    def things(self) -> Mapping[Thing, tuple[Inventory, ...]]:
        """Where each thing exists."""
        found: dict[Thing, list[Inventory]] = {}
        for inventory in self.inventories:
            for thing in inventory.things:
                found.setdefault(thing, []).append(inventory)
        return {thing: tuple(places) for thing, places in found.items()}

    @cached_property
    def releases(self) -> Mapping[str, tuple[str, ...]]:
        """The described releases of each architecture, oldest first."""
        found: dict[str, list[str]] = {}
        for inventory in self.inventories:
            found.setdefault(inventory.abi.architecture.name, []).append(inventory.abi.release)
        return {arch: tuple(releases) for arch, releases in found.items()}

    @cached_property
    def all_releases(self) -> tuple[str, ...]:
        """Every release that is described for some architecture, oldest first."""
        found = {release for releases in self.releases.values() for release in releases}
        return tuple(sorted(found, key=rank))

    def find(self, name: str) -> list[Thing]:
        """What ``name`` stands for. Raises ``InputError`` if that is nothing.

        The typedef of a structure stands for it, ``__HYPERVISOR_x`` for the hypercall ``x``, and an
        error for its constant. A group of constants gives way to anything else of its name.
        """
        for alias in (name, self._aliases.get(name, name)):
            found = [Thing(kind, alias) for kind in _KINDS if Thing(kind, alias) in self.things]
            plain = [thing for thing in found if thing.kind != "group"]
            if found:
                return plain or found
        known = [*(thing.name for thing in self.things), *self._aliases]
        raise InputError(f"unknown name '{name}'{suggestion(name, known)}")

    @cached_property
    def _aliases(self) -> Mapping[str, str]:
        found: dict[str, str] = {}
        for inventory in self.inventories:
            for thing, seen in inventory.things.items():
                if thing.kind == "hypercall":
                    found[f"__HYPERVISOR_{thing.name}"] = thing.name
                elif thing.kind == "constant" and thing.name.startswith("XEN_E"):
                    found[thing.name.removeprefix("XEN_")] = thing.name
                elif isinstance(seen.item, Item) and isinstance(seen.item.spec, StructSpec):
                    typedef = seen.item.spec.typedef
                    if typedef is not False:
                        found[typedef or f"{thing.name}_t"] = thing.name
        return found

    def presence(self, thing: Thing) -> dict[str, tuple[str, ...]]:
        """The releases that have ``thing``, by architecture; without those that never had it."""
        found: dict[str, list[str]] = {}
        for inventory in self.things.get(thing, ()):
            found.setdefault(inventory.abi.architecture.name, []).append(inventory.abi.release)
        return {arch: tuple(releases) for arch, releases in found.items()}

    def newest(self, thing: Thing) -> dict[str, Inventory]:
        """For each architecture the newest release that has ``thing``."""
        return {place.abi.architecture.name: place for place in self.things.get(thing, ())}


_KINDS: tuple[Kind, ...] = (
    *("struct", "union", "type", "enum", "ring", "record", "macro"),
    *("hypercall", "command", "constant", "header", "group"),
)


def _callers(face: Hashable) -> tuple[str, ...]:
    assert isinstance(face, contract.Contract)
    return face.callers


def callable_places(thing: Thing, places: Sequence[Inventory]) -> Sequence[Inventory]:
    """``places`` without those where nobody has the call ``thing``, if anybody has it at all.

    There only its number is known.
    """
    if thing.kind not in ("hypercall", "command"):
        return places
    return [place for place in places if _callers(place.face(thing))] or places


def where(places: Iterable[Inventory]) -> str:
    """Architectures and releases in words: ``x86_64, arm64 4.17; ppc64 3.2``."""
    by_release: dict[str, list[str]] = {}
    for place in places:
        by_release.setdefault(place.abi.release, []).append(place.abi.architecture.name)
    return "; ".join(f"{', '.join(arches)} {release}" for release, arches in by_release.items())


def spans(releases: Sequence[str], described: Sequence[str]) -> str:
    """``releases`` in words: ``4.14 to 4.17, 4.19``, where ``described`` are all there are."""
    runs: list[list[str]] = []
    for release in described:
        if release not in releases:
            continue
        before = described.index(release) - 1
        if runs and before >= 0 and runs[-1][-1] == described[before]:
            runs[-1].append(release)
        else:
            runs.append([release])
    return ", ".join(run[0] if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs)
