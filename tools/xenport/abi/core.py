"""The ABI of one architecture at one release: what of the description holds there."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple, TypeVar

from xenport.abi import expressions
from xenport.abi.layout import Engine, Field, Item, Layout, Place
from xenport.abi.releases import Range, rank
from xenport.abi.schema import (
    ArgumentSpec,
    CallArgumentSpec,
    CallerSpec,
    CommandSpec,
    Direction,
    ErrorSpec,
    FieldSpec,
    FileSpec,
    GroupSpec,
    HypercallSpec,
    Ranged,
    StructSpec,
    TypeSpec,
    ValueSpec,
)
from xenport.abi.view import View, make_view_class
from xenport.architecture import Architecture
from xenport.errors import InputError
from xenport.yamlsource import Document, suggestion

_SUFFIX_BITS = {"U": 32, "ULL": 64}
R = TypeVar("R", bound=Ranged)


class Source(NamedTuple):
    """A file of the description."""

    document: Document
    spec: FileSpec

    @property
    def place(self) -> Place:
        """The whole file."""
        return Place(self.document, ())


@dataclass(frozen=True)
class Constant:
    """A constant; ``value`` is a ``str`` if it is a C text."""

    name: str
    value: int | str
    doc: str
    header: str
    group: str


@dataclass(frozen=True)
class ConstantItem:
    """The definition of a constant."""

    name: str
    spec: ValueSpec
    place: Place
    header: str
    group: str


@dataclass(frozen=True)
class Error:
    """An error that a caller can provoke.

    ``when`` maps a field of the argument, or an argument of the hypercall, to a condition; it is
    ``None`` where ``text`` says it in words.
    """

    errno: str  # without XEN_
    when: Mapping[str, Any] | None
    text: str
    callers: tuple[str, ...]  # the kinds of guest that can


@dataclass(frozen=True)
class Argument:
    """What a command's argument points to.

    ``member`` is the path of the part that belongs to the command, ``offset`` (bytes) where it is
    in the hypercall's structure, when the command itself sits there (domctl).
    """

    type: str
    layout: Layout
    direction: Direction  # of what is not a structure; else it stands on the fields
    count: str | None = None
    member: str | None = None
    offset: int = 0


@dataclass(frozen=True)
class Command:
    """A command of a hypercall. ``errors`` has those of the hypercall too."""

    name: str
    number: int
    hypercall: str
    arg: Argument | None
    callers: tuple[str, ...]
    privilege: Literal["any", "control"]
    errors: tuple[Error, ...]
    returns: str | None  # what success returns; None: 0
    doc: str


@dataclass(frozen=True)
class CallArgument:
    """An argument of a hypercall."""

    name: str
    type: str
    layout: Layout
    role: Literal["command", "argument"] | None
    direction: Direction
    count: str | None
    resource: str | None
    doc: str


@dataclass(frozen=True)
class Hypercall:
    """A hypercall. ``callers`` are kinds of guest of this architecture; others get ENOSYS."""

    name: str
    number: int
    args: tuple[CallArgument, ...]
    callers: tuple[str, ...]
    privilege: Literal["any", "control"]
    unknown_command: str | None
    selector: str | None  # the field of the argument that holds the command
    commands: Mapping[str, Command]
    errors: tuple[Error, ...]
    returns: str | None
    doc: str
    header: str

    @cached_property
    def command_by_number(self) -> Mapping[int, Command]:
        """The commands by number."""
        return {command.number: command for command in self.commands.values()}


@dataclass
class Group:
    """Constants that stand together in a header."""

    name: str
    kind: Literal["defines", "enum"]
    doc: str
    constants: list[ConstantItem] = field(default_factory=list)


@dataclass
class Header:
    """What one generated header holds, in the order of its file."""

    path: str
    doc: str
    tools: bool
    includes: list[str]
    groups: list[Group] = field(default_factory=list)
    types: dict[str, Item] = field(default_factory=dict)  # typedefs, structures, unions
    hypercalls: list[tuple[str, HypercallSpec, Place]] = field(default_factory=list)
    place: Place | None = None


class Abi:
    """The ABI of ``architecture`` at ``release``.

    Names are looked up when asked for; ``check()`` looks everything up and so finds every mistake.
    """

    def __init__(self, architecture: Architecture, release: str, sources: Sequence[Source]) -> None:
        self.architecture = architecture
        self.release = release
        self._rank = rank(release)
        self._constant_items: dict[str, list[tuple[ConstantItem, list[tuple[Ranged, Place]]]]] = {}
        self._values: dict[str, int | str] = {}
        self._defined: dict[str, ConstantItem | None] = {}
        self._open: list[str] = []
        self._views: dict[str, type[View]] = {}
        self._sources = [source for source in sources if self._holds_here(source.spec)]
        self._collect_constants()
        self._headers: dict[str, Header] = {}
        self._types: dict[str, tuple[Item, str]] = {}
        self._collect()
        self._engine = Engine(
            architecture.data_model,
            lambda name: self._types[name][0] if name in self._types else None,
            self._active,
            self._number,
            self._type_names,
        )

    def __repr__(self) -> str:
        return f"<Abi {self.architecture.name} {self.release}>"

    # Constants

    @cached_property
    def constants(self) -> Mapping[str, Constant]:
        """Every constant by name, commands' and hypercalls' numbers included."""
        found = {}
        for name in self._constant_items:
            item = self.constant_item(name)
            if item is not None:
                found[name] = Constant(
                    name, self._value(name, None), item.spec.doc, item.header, item.group
                )
        return found

    def constant(self, name: str) -> int:
        """The value of the constant ``name``. Raises ``InputError`` if there is no such number."""
        return self._number(name, None)

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
            item.name.removeprefix("XEN_"): self._number(item.name, item.place)
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
        return self._engine.layout(tree)

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

    @property
    def structures(self) -> tuple[str, ...]:
        """The tags of all structures and unions."""
        return tuple(name for name, (item, _) in self._types.items() if item.kind != "type")

    def header_of(self, name: str) -> str | None:
        """The header that defines the type or constant ``name``."""
        if name in self._types:
            return self._types[name][1]
        item = self.constant_item(name) if name in self._constant_items else None
        return item.header if item else None

    # Hypercalls

    @cached_property
    def hypercalls(self) -> Mapping[str, Hypercall]:
        """Every hypercall by name. Raises ``InputError`` for a mistake in one."""
        found: dict[str, Hypercall] = {}
        for header in self._headers.values():
            for name, spec, place in header.hypercalls:
                found[name] = self._hypercall(name, spec, place, header.path)
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
        for name in self._constant_items:
            item = self.constant_item(name)
            if item is not None:
                self._value(name, None)
                if isinstance(item.spec.value, str) and not item.spec.value.startswith('"'):
                    self._check_reach(
                        expressions.expression(item.spec.value), item.header, item.place
                    )
        for name, (type_item, header) in self._types.items():
            self._engine.named(name)
            self._check_type_reach(type_item, header)
        _ = self.hypercall_by_number

    # Selection

    def _holds_here(self, spec: FileSpec) -> bool:
        here = spec.arches is None or self.architecture.name in spec.arches
        return here and self._in_range(spec)

    def _in_range(self, spec: Ranged) -> bool:
        if spec.since is None and spec.until is None:
            return True
        first, last = Range.of(spec)
        return first <= self._rank <= last

    def _active(self, spec: Ranged, place: Place) -> bool:
        """Whether ``spec`` holds at this release and its conditions do."""
        if not self._in_range(spec):
            return False
        if spec.requires is not None and not self._is_defined(spec.requires, place.at("requires")):
            return False
        return spec.unless is None or not self._is_defined(spec.unless, place.at("unless"))

    def _is_defined(self, name: str, place: Place) -> bool:
        if name in self._open and name not in self._defined:
            raise place.error(f"whether {name} is defined depends on itself")
        return self.constant_item(name) is not None

    def select(self, specs: Sequence[R], place: Place) -> Iterator[tuple[R, Place]]:
        """Those of ``specs``, which stand at ``place``, that hold here, each with its place."""
        for index, spec in enumerate(specs):
            here = place.at(index)
            if self._active(spec, here):
                yield spec, here

    def _one(self, specs: Sequence[R], place: Place, name: str) -> tuple[R, Place] | None:
        """The alternative that holds here, if one does."""
        found = list(self.select(specs, place))
        if len(found) > 1:
            raise found[1][1].error(
                f"{name} is defined twice for {self.architecture.name} {self.release}"
            )
        return found[0] if found else None

    def constant_item(self, name: str) -> ConstantItem | None:
        """The definition of the constant ``name`` that holds here, if there is one."""
        if name in self._defined:
            return self._defined[name]
        self._open.append(name)
        try:
            found: ConstantItem | None = None
            for item, chain in self._constant_items.get(name, ()):
                if all(self._active(spec, place) for spec, place in chain):
                    if found is not None:
                        raise item.place.error(f"{name} is already defined at {found.place.name()}")
                    found = item
        finally:
            self._open.pop()
        self._defined[name] = found
        return found

    def _number(self, name: str, place: Place | None) -> int:
        value = self._value(name, place)
        if isinstance(value, str):
            message = f"{name} is a text; expected a number"
            raise place.error(message) if place else InputError(message)
        return value

    def _value(self, name: str, place: Place | None) -> int | str:
        if name in self._values:
            return self._values[name]
        item = self.constant_item(name) if name in self._constant_items else None
        if item is None:
            near = suggestion(name, self._constant_items)
            message = f"unknown constant '{name}'{near}"
            if name in self._constant_items:
                message = (
                    f"the constant {name} is not defined for"
                    f" {self.architecture.name} {self.release}"
                )
            raise place.error(message) if place else InputError(message)
        if name in self._open:
            raise item.place.error(f"the value of {name} depends on itself")
        self._open.append(name)
        try:
            self._values[name] = self._evaluate(item)
        finally:
            self._open.pop()
        return self._values[name]

    def _evaluate(self, item: ConstantItem) -> int | str:
        value = item.spec.value
        if isinstance(value, str) and value.startswith('"'):
            return value[1:-1]
        number = self._engine.evaluate(value, item.place)
        if item.spec.suffix is not None:
            long_bits = self.architecture.data_model.sizes["long"] * 8
            number &= (1 << _SUFFIX_BITS.get(item.spec.suffix, long_bits)) - 1
        return number

    def _type_names(self) -> list[str]:
        return [*self._types, *expressions.PRIMITIVES]

    # Collection

    def _collect_constants(self) -> None:
        """Every definition of every constant, whether or not it holds here."""

        def add(
            source: Source, name: str, spec: ValueSpec, group: str, *chain: tuple[Ranged, Place]
        ) -> None:
            if all(self._in_range(one) for one, _ in chain):
                place = chain[-1][1]
                item = ConstantItem(name, spec, place, source.spec.header, group)
                self._constant_items.setdefault(name, []).append((item, list(chain)))

        for source in self._sources:
            top = source.place
            file: tuple[Ranged, Place] = (source.spec, top)
            for index, group in enumerate(source.spec.constants):
                place = top.at("constants", index)
                for name, values in group.values.items():
                    for number, value in enumerate(values):
                        there = place.at("values", name, number)
                        add(source, name, value, group.name, file, (group, place), (value, there))
            for call_name, calls in source.spec.hypercalls.items():
                for index, call in enumerate(calls):
                    place = top.at("hypercalls", call_name, index)
                    value = ValueSpec(value=call.number, doc=call.doc)
                    add(
                        source,
                        f"__HYPERVISOR_{call_name}",
                        value,
                        "hypercalls",
                        file,
                        (call, place),
                    )
                    for name, commands in call.commands.items():
                        for number, command in enumerate(commands):
                            there = place.at("commands", name, number)
                            value = ValueSpec(value=command.number, doc=command.doc)
                            add(
                                source,
                                name,
                                value,
                                call_name,
                                file,
                                (call, place),
                                (command, there),
                            )

    def _collect(self) -> None:
        """The headers and what is in them."""
        for source in self._sources:
            spec, top = source.spec, source.place
            if not self._active(spec, top):
                continue
            if spec.header in self._headers:
                other = self._headers[spec.header].place
                assert other is not None
                raise top.error(
                    f"{spec.header} is already described in {other.document.path}", "header"
                )
            header = Header(spec.header, spec.doc, spec.tools, [], place=top)
            self._headers[spec.header] = header
            for index, group in enumerate(spec.constants):
                self._collect_group(header, group, top.at("constants", index))
            for name, types in spec.types.items():
                self._collect_type(header, name, "type", types, top.at("types", name))
            for name, structs in spec.structs.items():
                self._collect_type(header, name, "struct", structs, top.at("structs", name))
            for name, unions in spec.unions.items():
                self._collect_type(header, name, "union", unions, top.at("unions", name))
            for name, calls in spec.hypercalls.items():
                one = self._one(calls, top.at("hypercalls", name), name)
                if one is not None:
                    header.hypercalls.append((name, *one))
        for source in self._sources:
            if source.spec.header in self._headers:
                for include in source.spec.includes:
                    path = self.architecture.header if include == "arch" else include
                    if path in self._headers:  # else: a header of another architecture or release
                        self._headers[source.spec.header].includes.append(path)

    def _collect_group(self, header: Header, spec: GroupSpec, place: Place) -> None:
        if not self._active(spec, place):
            return
        group = Group(spec.name, spec.kind, spec.doc)
        for name in spec.values:
            item = self.constant_item(name)
            if item is not None and item.place.where[: len(place.where)] == place.where:
                group.constants.append(item)
        if group.constants:
            header.groups.append(group)

    def _collect_type(
        self,
        header: Header,
        name: str,
        kind: Literal["type", "struct", "union"],
        specs: Sequence[TypeSpec] | Sequence[StructSpec],
        place: Place,
    ) -> None:
        one = self._one(specs, place, name)
        if one is None:
            return
        if name in expressions.PRIMITIVES:
            raise one[1].error(f"{name} is a type of the grammar itself")
        if name in self._types:
            raise one[1].error(f"{name} is already defined at {self._types[name][0].place.name()}")
        item = Item(one[0], kind, one[1])  # type: ignore[arg-type]
        self._types[name] = (item, header.path)
        header.types[name] = item

    # Hypercalls in detail

    def _hypercall(self, name: str, spec: HypercallSpec, place: Place, header: str) -> Hypercall:
        callers = self._callers(spec.callers, place.at("callers"))
        args: tuple[CallArgument, ...] = ()
        structure = unknown = None
        errors: tuple[Error, ...] = ()
        names: list[str] = []
        if callers:  # else: its number is known here, but its types need not exist
            args = tuple(self._call_arguments(spec, place))
            names = [arg.name for arg in args]
            structure = self._argument_structure(args)
            if spec.selector is not None and (
                structure is None or spec.selector not in structure.by_name
            ):
                raise place.error(
                    f"selector: the argument has no field '{spec.selector}'", "selector"
                )
            unknown = self._unknown_command(spec, place.at("unknown_command"), callers)
            errors = tuple(
                self._error_list(spec.errors, place.at("errors"), callers, structure, names)
            )
        commands: dict[str, Command] = {}
        numbers: dict[int, str] = {}
        for command_name, specs in spec.commands.items():
            one = self._one(specs, place.at("commands", command_name), command_name)
            if one is None:
                continue
            command = self._command(
                command_name, *one, name, spec, structure, names, callers, errors
            )
            other = numbers.setdefault(command.number, command_name)
            if other != command_name:
                raise one[1].error(f"command number {command.number} is {other}'s", "number")
            commands[command_name] = command
        return Hypercall(
            name,
            self._engine.evaluate(spec.number, place.at("number")),
            args,
            callers,
            spec.privilege,
            unknown,
            spec.selector,
            commands,
            errors,
            spec.returns.doc if spec.returns else None,
            spec.doc,
            header,
        )

    def _call_arguments(self, spec: HypercallSpec, place: Place) -> Iterator[CallArgument]:
        active = [(arg, here) for arg, here in self.select(spec.args, place.at("args"))]
        names = [arg.name for arg, _ in active]
        for arg, here in active:
            if names.count(arg.name) > 1:
                raise here.error(f"two arguments are named '{arg.name}'", "name")
            yield self._call_argument(arg, here, names)

    def _call_argument(
        self, arg: CallArgumentSpec, place: Place, names: Sequence[str]
    ) -> CallArgument:
        layout = self._engine.layout(expressions.type_expression(arg.type), place.at("type"))
        if layout.kind == "handle" and layout.target != "void":
            self._engine.layout(expressions.type_expression(layout.target or ""), place.at("type"))
        if arg.count is not None:
            self._engine.check_count(arg.count, place.at("count"), names)
        return CallArgument(
            arg.name,
            arg.type,
            layout,
            arg.role,
            arg.dir or "in",
            arg.count,
            arg.resource or layout.resource,
            arg.doc,
        )

    def _argument_structure(self, args: Sequence[CallArgument]) -> Layout | None:
        """The structure that the argument with ``role: argument`` points to, if it says one."""
        for arg in args:
            if arg.role == "argument" and arg.layout.target not in (None, "void"):
                layout = self._engine.layout(expressions.type_expression(arg.layout.target or ""))
                return layout if layout.fields else None
        return None

    def _command(
        self,
        name: str,
        spec: CommandSpec,
        place: Place,
        hypercall: str,
        call: HypercallSpec,
        structure: Layout | None,
        names: Sequence[str],
        callers: tuple[str, ...],
        errors: tuple[Error, ...],
    ) -> Command:
        if spec.callers is not None:
            narrower = self._callers(spec.callers, place.at("callers"))
            callers = tuple(caller for caller in callers if caller in narrower)
        arg = None
        own: tuple[Error, ...] = ()
        if callers:  # else: of no use here, and what it points to need not exist
            if spec.arg is not None:
                arg = self._argument(spec.arg, place.at("arg"), structure, names)
            layout = arg.layout if arg else structure
            errors_place = place.at("errors")
            own = tuple(
                self._error_list(spec.errors, errors_place, callers, layout, names, structure)
            )
        return Command(
            name,
            self._engine.evaluate(spec.number, place.at("number")),
            hypercall,
            arg,
            callers,
            spec.privilege or call.privilege,
            (*errors, *own),
            spec.returns.doc if spec.returns else None,
            spec.doc,
        )

    def _argument(
        self, spec: ArgumentSpec, place: Place, structure: Layout | None, names: Sequence[str]
    ) -> Argument:
        if spec.member is not None:
            path, offset, member = _find_member(structure, spec.member, place)
            return Argument(
                member.layout.name,
                member.layout,
                spec.dir or member.direction,
                spec.count,
                path,
                offset,
            )
        assert spec.type is not None
        layout = self._engine.layout(expressions.type_expression(spec.type), place.at("type"))
        if spec.count is not None:
            self._engine.check_count(spec.count, place.at("count"), [*names, *layout.by_name])
        return Argument(spec.type, layout, spec.dir or "in", spec.count)

    def _callers(self, specs: Sequence[CallerSpec], place: Place) -> tuple[str, ...]:
        """The kinds of guest of this architecture among ``specs``."""
        return tuple(
            spec.guest
            for spec, _ in self.select(specs, place)
            if spec.guest in self.architecture.guests
        )

    def _unknown_command(
        self, spec: HypercallSpec, place: Place, callers: Sequence[str]
    ) -> str | None:
        """What an unknown command returns here; all guests of one architecture get the same."""
        found = [
            (one.errno, here)
            for one, here in self.select(spec.unknown_command, place)
            if one.callers is None or set(callers) & set(self._callers(one.callers, here))
        ]
        for errno, here in found:
            self._check_errno(errno, here)
        if len(found) > 1:
            raise found[1][1].error("expected one errno for the callers of an architecture")
        return found[0][0] if found else None

    def _error_list(
        self,
        specs: Sequence[ErrorSpec],
        place: Place,
        callers: tuple[str, ...],
        layout: Layout | None,
        names: Sequence[str],
        outer: Layout | None = None,
    ) -> Iterator[Error]:
        for spec, here in self.select(specs, place):
            self._check_errno(spec.errno, here.at("errno"))
            who = callers
            if spec.callers is not None:
                provoking = self._callers(spec.callers, here.at("callers"))
                who = tuple(caller for caller in callers if caller in provoking)
            if not who:
                continue
            if isinstance(spec.when, dict):
                for target, condition in spec.when.items():
                    self._check_condition(target, condition, here.at("when"), layout, names, outer)
                yield Error(spec.errno, spec.when, spec.doc, who)
            else:
                yield Error(spec.errno, None, spec.when or spec.doc, who)

    def _check_errno(self, name: str, place: Place) -> None:
        if name not in self._errnos:
            raise place.error(f"unknown errno '{name}'{suggestion(name, self._errnos)}")

    def _check_condition(
        self,
        target: str,
        condition: Any,
        place: Place,
        layout: Layout | None,
        names: Sequence[str],
        outer: Layout | None,
    ) -> None:
        """The target is a field or argument, and the condition's expressions have values."""
        fields: list[str] = []
        for structure in (layout, outer):
            if structure is not None:
                fields += [path for path, _, _ in structure.walk()]
        if target not in names and target not in fields:
            near = suggestion(target, [*names, *fields])
            raise Place(place.document, (*place.where, target)).document.error(
                f"when: '{target}' is no field of the argument{near}",
                *place.where,
                target,
                key=True,
            )
        if isinstance(condition, dict):
            for kind, value in condition.items():
                if kind in ("no_such", "state", "not_state"):
                    continue
                for number in value if isinstance(value, list) else [value]:
                    self._engine.evaluate(number, place.at(target, kind))

    # Includes

    def _check_reach(self, tree: expressions.Expression, header: str, place: Place) -> None:
        """What ``tree`` names is in ``header`` or in what it includes."""
        for name in expressions.names(tree):
            self._reaches(name, header, place)
        for type_tree in expressions.types(tree):
            self._check_tree_reach(type_tree, header, place)

    def _check_tree_reach(self, tree: expressions.Type, header: str, place: Place) -> None:
        match tree:
            case expressions.Named():
                self._reaches(tree.name, header, place)
            case expressions.Array():
                self._check_tree_reach(tree.element, header, place)
                if tree.length is not None:
                    self._check_reach(tree.length, header, place)
            case expressions.Handle():
                self._check_tree_reach(tree.target, header, place)

    def _check_type_reach(self, item: Item, header: str) -> None:
        if isinstance(item.spec, TypeSpec):
            tree = expressions.type_expression(item.spec.type)
            self._check_tree_reach(tree, header, item.place.at("type"))
        else:
            self._check_fields_reach(item.spec.fields, header, item.place.at("fields"))

    def _check_fields_reach(self, specs: Sequence[FieldSpec], header: str, place: Place) -> None:
        for spec, here in self.select(specs, place):
            if spec.type is not None:
                tree = expressions.type_expression(spec.type)
                self._check_tree_reach(tree, header, here.at("type"))
            self._check_fields_reach(spec.union or [], header, here.at("union"))
            self._check_fields_reach(spec.struct or [], header, here.at("struct"))

    def _reaches(self, name: str, header: str, place: Place) -> None:
        there = self.header_of(name)
        if there is not None and there not in self.closure(header):
            raise place.error(
                f"{name} is in {there}, which {header} does not include; add it to includes"
            )


def _find_member(structure: Layout | None, name: str, place: Place) -> tuple[str, int, Field]:
    """Path, offset and field of the member ``name`` of the structure or of a union in it."""
    if structure is not None:
        for path, offset, member in structure.walk():
            if path == name or path.endswith(f".{name}"):
                return path, offset, member
    known = [path.rpartition(".")[2] for path, _, _ in structure.walk()] if structure else []
    raise place.error(
        f"the hypercall's argument has no member '{name}'{suggestion(name, known)}", "member"
    )
