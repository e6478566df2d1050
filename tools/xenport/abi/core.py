"""The ABI of one architecture at one release: what of the description holds there."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeVar

from xenport.abi import expressions
from xenport.abi.calls import Hypercall, build_hypercall
from xenport.abi.constants import Constant, ConstantItem, Constants, Source, is_expression
from xenport.abi.layout import Engine, Item, Layout, Place
from xenport.abi.reach import Reach
from xenport.abi.releases import Range, rank
from xenport.abi.rings import types_of
from xenport.abi.schema import (
    ByteRingSpec,
    EachSpec,
    FileSpec,
    GroupSpec,
    HypercallSpec,
    Interface,
    MacroSpec,
    Ranged,
    RingSpec,
    StructSpec,
    TypeSpec,
    interface_of,
)
from xenport.abi.view import View, make_view_class
from xenport.architecture import Architecture
from xenport.errors import InputError
from xenport.yamlsource import suggestion

NEWEST_INTERFACE = "__XEN_LATEST_INTERFACE_VERSION__"
"""The constant that says which version of its interface a release has."""

_SUFFIX_BITS = {"U": 32, "ULL": 64}
R = TypeVar("R", bound=Ranged)
AnyRing = TypeVar("AnyRing", RingSpec, ByteRingSpec)


@dataclass
class Group:
    """Constants that stand together in a header."""

    name: str
    kind: Literal["defines", "enum", "enumerators"]
    typedef: bool
    doc: str
    each: EachSpec | None = None
    constants: list[ConstantItem] = field(default_factory=list)
    seen: list[ConstantItem] = field(default_factory=list)  # also through an older interface only


@dataclass(frozen=True)
class SaveRecord:
    """A record of a saved HVM domain; ``compat``: the type of an older form that is still read."""

    name: str
    code: int
    type: str
    compat: str | None
    doc: str


@dataclass
class Header:
    """What one generated header holds, in the order of its file."""

    path: str
    doc: str
    tools: bool
    place: Place
    includes: list[str] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    types: dict[str, Item] = field(default_factory=dict)  # typedefs, structures, unions
    rings: dict[str, RingSpec | ByteRingSpec] = field(default_factory=dict)
    save_records: dict[str, SaveRecord] = field(default_factory=dict)
    macros: dict[str, MacroSpec] = field(default_factory=dict)
    older_groups: list[Group] = field(default_factory=list)  # through an older interface only
    older_types: dict[str, Item] = field(default_factory=dict)
    older_macros: list[tuple[str, MacroSpec]] = field(default_factory=list)
    hypercalls: list[tuple[str, HypercallSpec, Place]] = field(default_factory=list)


class Abi:
    """The ABI of ``architecture`` at ``release``.

    Names are looked up when asked for; ``check()`` looks everything up and so finds every mistake.
    """

    def __init__(self, architecture: Architecture, release: str, sources: Sequence[Source]) -> None:
        self.architecture = architecture
        self.release = release
        self._rank = rank(release)
        self._named = {architecture.name, architecture.family}
        self._views: dict[str, type[View]] = {}
        self.sources = [source for source in sources if self._holds_here(source.spec)]
        self._constants = Constants(self.sources, self._in_range, self._holds)
        if self._constants.item(NEWEST_INTERFACE) is not None:
            self._constants.newest = self._newest
        self._headers: dict[str, Header] = {}
        self._types: dict[str, tuple[Item, str]] = {}
        self._collect()
        self.engine = Engine(
            architecture.data_model,
            lambda name: self._types[name][0] if name in self._types else None,
            self._active,
            self._constants.number,
            self._type_names,
        )
        self._constants.evaluate = self._evaluate

    def __repr__(self) -> str:
        return f"<Abi {self.architecture.name} {self.release}>"

    # Constants

    @cached_property
    def constants(self) -> Mapping[str, Constant]:
        """Every constant by name, commands' and hypercalls' numbers included."""
        return {
            item.name: Constant(
                item.name,
                self._constants.value(item.name),
                item.spec.doc,
                item.header,
                item.group,
            )
            for item in self._constants.items()
        }

    def constant_item(self, name: str) -> ConstantItem | None:
        """The definition of the constant ``name`` that holds here, if there is one."""
        return self._constants.item(name)

    def constant(self, name: str) -> int:
        """The value of the constant ``name``. Raises ``InputError`` if there is no such number."""
        return self._constants.number(name)

    def errno(self, name: str) -> int:
        """The number of an error, such as ``EINVAL``. Raises ``InputError``."""
        try:
            return self._errnos[name]
        except KeyError:
            raise InputError(f"unknown errno '{name}'{suggestion(name, self._errnos)}") from None

    def errno_name(self, number: int) -> str:
        """The first name of the error ``number``. Raises ``InputError``."""
        for name, value in self._errnos.items():
            if value == number:
                return name
        raise InputError(f"no errno has the number {number}")

    @cached_property
    def _errnos(self) -> dict[str, int]:
        return {
            item.name.removeprefix("XEN_"): self._constants.number(item.name, item.place)
            for header in self._headers.values()
            for group in header.groups
            if group.name == "xen_errno"
            for item in group.constants
        }

    # Types

    def layout(self, type_text: str) -> Layout:
        """The layout of a type expression. Raises ``InputError``."""
        try:
            tree = expressions.type_expression(type_text)
        except ValueError as error:
            raise InputError(str(error)) from None
        return self.engine.layout(tree)

    def sizeof(self, type_text: str) -> int:
        """The size in bytes of a type. Raises ``InputError``."""
        return self.layout(type_text).size

    def offset(self, type_text: str, path: str) -> int:
        """Bytes from the start of a structure to the member at ``path``. Raises ``InputError``."""
        return self.layout(type_text).find(path)[0]

    def view(self, type_text: str, buffer: Any, offset: int = 0) -> Any:
        """The structure at ``offset`` of ``buffer``, with a member's value as an attribute."""
        view_class = self._views.get(type_text)
        if view_class is None:
            view_class = self.view_class(type_text)
        return view_class(buffer, offset)

    def view_class(self, type_text: str) -> type[View]:
        """The class of ``view``'s objects. Raises ``InputError``."""
        if type_text not in self._views:
            self._views[type_text] = make_view_class(
                self.layout(type_text), self.architecture.data_model.endian
            )
        return self._views[type_text]

    def struct(self, type_text: str) -> Any:
        """The type as a construct of the package ``construct``: ``.parse(data)``, ``.build(obj)``.

        What types become, and what a mapping to build from may leave out, is documented in
        ``xenport.emit.python`` and ``xenport.emit.structures``. Raises ``InputError``.
        """
        return self._constructs.of(type_text)

    @cached_property
    def _constructs(self) -> Any:
        from xenport.emit.python import Constructs  # who does not ask need not wait for it

        return Constructs(self)

    @property
    def structures(self) -> tuple[str, ...]:
        """The tags of all structures and unions."""
        return tuple(
            name for name, (item, _) in self._types.items() if item.kind in ("struct", "union")
        )

    def is_helper(self, name: str) -> bool:
        """Whether the structure ``name`` is private to one side and never crosses the boundary."""
        spec = self._types[name][0].spec if name in self._types else None
        return isinstance(spec, StructSpec) and spec.helper

    def is_unseen(self, name: str) -> bool:
        """Whether the headers of this release give a guest no such name for what is described."""
        if name in self._types:
            spec = self._types[name][0].spec
            until = spec.unnamed_until if isinstance(spec, StructSpec) else None
            return until is not None and self._rank <= rank(until)
        return name in self._internal

    @cached_property
    def _internal(self) -> frozenset[str]:
        """The commands that public headers show to Xen itself only."""
        return frozenset(
            name
            for header in self._headers.values()
            for _, call, _ in header.hypercalls
            for name, commands in call.commands.items()
            if any(command.internal for command in commands)
        )

    def rules(self, name: str) -> tuple[str, ...]:
        """What holds of the structure ``name`` at this release that its layout does not show."""
        item = self._types[name][0]
        if not isinstance(item.spec, StructSpec):
            return ()
        place = item.place.at("rules")
        return tuple(rule.doc for rule, _ in self.select(item.spec.rules, place))

    def header_of(self, name: str) -> str | None:
        """The header that defines the type or constant ``name``."""
        if name in self._types:
            return self._types[name][1]
        item = self.constant_item(name)
        return item.header if item else None

    # Hypercalls

    @cached_property
    def hypercalls(self) -> Mapping[str, Hypercall]:
        """Every hypercall by name. Raises ``InputError`` for a mistake in one."""
        found: dict[str, Hypercall] = {}
        for header in self._headers.values():
            for name, spec, place in header.hypercalls:
                found[name] = build_hypercall(self, name, spec, place, header.path)
        return found

    @cached_property
    def hypercall_by_number(self) -> Mapping[int, Hypercall]:
        """Every hypercall by number."""
        found: dict[int, Hypercall] = {}
        for header in self._headers.values():
            for name, _, place in header.hypercalls:
                hypercall = self.hypercalls[name]
                other = found.setdefault(hypercall.number, hypercall)
                if other is not hypercall:
                    raise place.error(
                        f"hypercall number {hypercall.number} is {other.name}'s", "number"
                    )
        return found

    # Headers

    def headers(self) -> tuple[Header, ...]:
        """The headers of this ABI, in the order of their paths."""
        return tuple(self._headers[path] for path in sorted(self._headers))

    def closure(self, path: str) -> frozenset[str]:
        """``path`` and every header that it includes, directly or not."""
        if path not in self._closures:
            found: set[str] = set()
            todo = [path]
            while todo:
                header = todo.pop()
                if header not in found:
                    found.add(header)
                    todo += self._headers[header].includes
            self._closures[path] = frozenset(found)
        return self._closures[path]

    @cached_property
    def _closures(self) -> dict[str, frozenset[str]]:
        return {}

    def check(self) -> None:
        """Look everything up. Raises ``InputError`` for the first mistake."""
        reach = Reach(self)
        for item in self._constants.items():
            self._constants.value(item.name)
            if is_expression(item.spec.value):
                tree = expressions.expression(str(item.spec.value))
                reach.expression(tree, item.header, item.place)
        for name, (type_item, header) in self._types.items():
            self.engine.named(name)
            reach.definition(type_item, header)
        for described in self._headers.values():
            for record in described.save_records.values():
                for text in (record.type, record.compat):
                    if text is not None:
                        self.layout(text)
        _ = self.hypercall_by_number

    # Selection

    def _holds_here(self, spec: FileSpec) -> bool:
        return self._in_range(spec)

    def _in_range(self, spec: Ranged) -> bool:
        """Whether ``spec`` is there on this architecture at this release."""
        if spec.arches is not None and not self._named.intersection(spec.arches):
            return False
        if spec.since is None and spec.until is None:
            return True
        first, last = Range.of(spec)
        return first <= self._rank <= last

    @cached_property
    def interface_version(self) -> int:
        """The newest version of the interface at this release: what Xen itself speaks."""
        item = self._constants.item(NEWEST_INTERFACE)
        if item is None:
            raise InputError(f"no file defines {NEWEST_INTERFACE} for {self!r}")
        if not isinstance(item.spec.value, int):
            raise item.place.error("expected a plain number: what there is depends on it", "value")
        return item.spec.value

    def _newest(self, interface: Interface) -> bool:
        return interface.holds(self.interface_version)

    def _active(self, spec: Ranged, place: Place) -> bool:
        """Whether ``spec`` holds at this release for guests of its newest interface."""
        return self._is_newest(spec) and self._holds(spec, place)

    def _is_newest(self, spec: Ranged) -> bool:
        interface = interface_of(spec)
        return interface is None or self._constants.newest(interface)

    def _holds(self, spec: Ranged, place: Place) -> bool:
        """Whether ``spec`` holds at this release and its conditions do."""
        if not self._in_range(spec):
            return False
        defined = self._constants.is_defined
        if spec.requires is not None and not defined(spec.requires, place.at("requires")):
            return False
        return spec.unless is None or not defined(spec.unless, place.at("unless"))

    def select(self, specs: Sequence[R], place: Place) -> Iterator[tuple[R, Place]]:
        """Those of ``specs``, which stand at ``place``, that hold here, each with its place."""
        for index, spec in enumerate(specs):
            here = place.at(index)
            if self._active(spec, here):
                yield spec, here

    def seen(self, specs: Sequence[R], place: Place) -> Iterator[tuple[R, Place, Interface | None]]:
        """Those of ``specs`` that guests of any interface of this release see.

        Each has its place, and the versions that it is for where these are not all.
        """
        for index, spec in enumerate(specs):
            here = place.at(index)
            if self._holds(spec, here):
                interface = self.limit(spec)
                if interface is None or interface.is_below or self._is_newest(spec):
                    yield spec, here, interface

    def limit(self, spec: Ranged) -> Interface | None:
        """The versions of the interface that ``spec`` is for; ``None``: all of this release."""
        interface = interface_of(spec)
        return None if interface is None or self._is_for_all(interface) else interface

    def limits(self, item: ConstantItem) -> tuple[Interface, ...]:
        """The same for a constant: the versions that must all hold."""
        return tuple(one for one in item.interfaces if not self._is_for_all(one))

    def _is_for_all(self, interface: Interface) -> bool:
        return interface.is_below and self._constants.newest(interface)

    def _older(self, specs: Sequence[R], place: Place) -> Iterator[tuple[R, Place]]:
        """Those of ``specs`` that only guests of an older interface see."""
        for spec, here, interface in self.seen(specs, place):
            if interface is not None and interface.is_below:
                yield spec, here

    def one(self, specs: Sequence[R], place: Place, name: str) -> tuple[R, Place] | None:
        """The alternative that holds here, if one does."""
        found = list(self.select(specs, place))
        if len(found) > 1:
            raise found[1][1].error(
                f"{name} is defined twice for {self.architecture.name} {self.release}"
            )
        return found[0] if found else None

    def _type_names(self) -> list[str]:
        return [*self._types, *expressions.PRIMITIVES]

    def _evaluate(self, item: ConstantItem) -> int:
        number = self.engine.evaluate(item.spec.value, item.place)
        if item.spec.suffix is not None:
            long_bits = self.architecture.data_model.sizes["long"] * 8
            number &= (1 << _SUFFIX_BITS.get(item.spec.suffix, long_bits)) - 1
        return number

    # Collection

    def _collect(self) -> None:
        """The headers and what is in them."""
        for source in self.sources:
            spec, top = source.spec, source.place
            if not self._active(spec, top):
                continue
            if spec.header in self._headers:
                other = self._headers[spec.header].place.document.path
                raise top.error(f"{spec.header} is already described in {other}", "header")
            header = Header(spec.header, spec.doc, spec.tools, top)
            self._headers[spec.header] = header
            for index, group in enumerate(spec.constants):
                self._collect_group(header, group, top.at("constants", index))
            for name, types in spec.types.items():
                self._collect_type(header, name, "type", types, top.at("types", name))
            for name, structs in spec.structs.items():
                self._collect_type(header, name, "struct", structs, top.at("structs", name))
            for name, unions in spec.unions.items():
                self._collect_type(header, name, "union", unions, top.at("unions", name))
            self._collect_rings(header, spec.rings, top.at("rings"))
            self._collect_rings(header, spec.byte_rings, top.at("byte_rings"))
            for name, records in spec.save_records.items():
                record = self.one(records, top.at("save_records", name), name)
                if record is not None:
                    header.save_records[name] = SaveRecord(
                        name, record[0].code, record[0].type, record[0].compat, record[0].doc
                    )
            for name, macros in spec.macros.items():
                macro = self.one(macros, top.at("macros", name), name)
                if macro is not None:
                    header.macros[name] = macro[0]
                older = self._older(macros, top.at("macros", name))
                header.older_macros += [(name, one) for one, _ in older]
            for name, calls in spec.hypercalls.items():
                one = self.one(calls, top.at("hypercalls", name), name)
                if one is not None:
                    header.hypercalls.append((name, *one))
        for source in self.sources:
            if source.spec.header in self._headers:
                for include in source.spec.includes:
                    path = self.architecture.header if include == "arch" else include
                    if path in self._headers:  # else: a header of another architecture or release
                        self._headers[source.spec.header].includes.append(path)

    def _collect_group(self, header: Header, spec: GroupSpec, place: Place) -> None:
        if not self._holds(spec, place):
            return
        group = Group(spec.name, spec.kind, spec.typedef, spec.doc, spec.each)
        for name in spec.values:
            item = self.constant_item(name)
            if item is not None and item.place.is_inside(place):
                group.constants.append(item)
                group.seen.append(item)
            older = self._constants.older(name)
            group.seen += [item for item in older if item.place.is_inside(place)]
        if group.constants:
            header.groups.append(group)
        elif group.seen:
            header.older_groups.append(group)
        if spec.kind == "enum" and self._is_newest(spec):
            self._add_type(header, spec.name, Item(spec, "enum", place))

    def _collect_type(
        self,
        header: Header,
        name: str,
        kind: Literal["type", "struct", "union"],
        specs: Sequence[TypeSpec] | Sequence[StructSpec],
        place: Place,
    ) -> None:
        one = self.one(specs, place, name)
        for older, there in self._older(specs, place):
            if one is not None or name in header.older_types:
                raise there.error(f"{name} is there for another interface; let its fields differ")
            header.older_types[name] = Item(older, kind, there)  # type: ignore[arg-type]
        if one is None:
            return
        self._add_type(header, name, Item(one[0], kind, one[1]))  # type: ignore[arg-type]

    def _collect_rings(
        self,
        header: Header,
        specs: Mapping[str, Sequence[AnyRing]],
        place: Place,
    ) -> None:
        for name, alternatives in specs.items():
            one = self.one(alternatives, place.at(name), name)
            if one is not None:
                header.rings[name] = one[0]
                for made in types_of(name, one[0]):
                    self._add_type(header, made.name, Item(made.spec, made.kind, one[1], name))

    def _add_type(self, header: Header, name: str, item: Item) -> None:
        if name in expressions.PRIMITIVES:
            raise item.place.error(f"{name} is a type of the grammar itself")
        if name in self._types:
            other = self._types[name][0].place.name()
            raise item.place.error(f"{name} is already defined at {other}")
        self._types[name] = (item, header.path)
        header.types[name] = item
