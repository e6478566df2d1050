"""Hypercalls and their commands: what holds of them for one architecture and release."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Protocol, TypeVar

from xenport.abi import expressions
from xenport.abi.layout import Engine, Field, Layout, Place
from xenport.abi.schema import (
    XEN,
    ArgumentSpec,
    CallArgumentSpec,
    CallerSpec,
    CommandSpec,
    Direction,
    ErrorSpec,
    HypercallSpec,
    Ranged,
)
from xenport.architecture import Architecture
from xenport.errors import InputError
from xenport.yamlsource import suggestion

R = TypeVar("R", bound=Ranged)

CALLER = "caller"
"""What a condition names that is about the calling domain itself."""

ALWAYS = "always"
"""The sentence of an error that needs nothing but the call."""

_UNPRIVILEGED = {CALLER: {"not_state": "control"}}


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
    place: Place | None = field(default=None, compare=False, repr=False)  # that declares it


@dataclass(frozen=True)
class Status:
    """A result in an entry of the argument, as ``Error``."""

    status: str  # the constant
    when: Mapping[str, Any] | None
    text: str
    callers: tuple[str, ...]


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
    statuses: tuple[Status, ...]  # in the entries of the argument; the call returns 0
    returns: str | None  # what success returns; None: 0
    rules: tuple[str, ...]  # behaviour that depends on the release
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
    holds: str | None  # the structure in the buffer that the first element names (dm_op)
    resource: str | None
    doc: str


@dataclass(frozen=True)
class Hypercall:
    """A hypercall. ``callers`` are kinds of guest of this architecture; others get ENOSYS."""

    name: str
    number: int
    args: tuple[CallArgument, ...]
    structure: Layout | None  # what the argument of all commands points to (domctl)
    callers: tuple[str, ...]
    privilege: Literal["any", "control"]
    unknown_command: str | None
    unknown_when: str  # what else has to hold for that; mostly nothing
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


class Scope(Protocol):
    """What of an ABI is needed here."""

    architecture: Architecture
    engine: Engine

    def select(self, specs: Sequence[R], place: Place) -> Iterator[tuple[R, Place]]: ...
    def one(self, specs: Sequence[R], place: Place, name: str) -> tuple[R, Place] | None: ...
    def errno(self, name: str) -> int: ...


def build_hypercall(
    abi: Scope, name: str, spec: HypercallSpec, place: Place, header: str
) -> Hypercall:
    """The hypercall ``name`` that ``spec`` describes. Raises ``InputError`` for a mistake."""
    return _Builder(abi, spec, place).hypercall(name, header)


class _Builder:
    """Puts one hypercall together."""

    def __init__(self, abi: Scope, spec: HypercallSpec, place: Place) -> None:
        self._abi = abi
        self._spec = spec
        self._place = place
        self._callers = self._guests(spec.callers, place.at("callers"))
        # Where nobody has the hypercall its number is known, but its types need not exist.
        self._args = tuple(self._call_arguments()) if self._callers else ()
        self._names = [arg.name for arg in self._args]
        self._structure = self._argument_structure()
        self._errors = self._error_list(
            spec.errors, place.at("errors"), self._callers, self._structure
        )

    def hypercall(self, name: str, header: str) -> Hypercall:
        """The hypercall, which is called ``name``."""
        spec = self._spec
        self._check_selector()
        return Hypercall(
            name,
            self._abi.engine.evaluate(spec.number, self._place.at("number")),
            self._args,
            self._structure,
            self._callers,
            spec.privilege,
            *self._unknown_command(),
            spec.selector,
            self._commands(name),
            self._errors,
            spec.returns.doc if spec.returns else None,
            spec.doc,
            header,
        )

    def _check_selector(self) -> None:
        selector = self._spec.selector
        if selector is None or not self._callers:
            return
        if self._structure is None or selector not in self._structure.by_name:
            raise self._place.error(f"the argument has no field '{selector}'", "selector")

    def _guests(self, specs: Sequence[CallerSpec], place: Place) -> tuple[str, ...]:
        """The kinds of guest of this architecture among ``specs``."""
        return tuple(
            spec.guest
            for spec, _ in self._abi.select(specs, place)
            if spec.guest in self._abi.architecture.guests
        )

    def _narrowed(
        self, callers: tuple[str, ...], specs: Sequence[CallerSpec] | None, place: Place
    ) -> tuple[str, ...]:
        """Those of ``callers`` that ``specs`` name too, or all."""
        if specs is None:
            return callers
        named = self._guests(specs, place.at("callers"))
        return tuple(caller for caller in callers if caller in named)

    # Arguments

    def _call_arguments(self) -> Iterator[CallArgument]:
        active = list(self._abi.select(self._spec.args, self._place.at("args")))
        names = [arg.name for arg, _ in active]
        for arg, here in active:
            if names.count(arg.name) > 1:
                raise here.error(f"two arguments are named '{arg.name}'", "name")
            yield self._call_argument(arg, here, names)

    def _call_argument(
        self, arg: CallArgumentSpec, place: Place, names: Sequence[str]
    ) -> CallArgument:
        layout = self._layout(arg.type, place)
        if layout.target not in (None, "void"):
            self._layout(layout.target or "", place)
        if arg.count is not None:
            self._abi.engine.check_count(arg.count, place.at("count"), names)
        return CallArgument(
            arg.name,
            arg.type,
            layout,
            arg.role,
            arg.dir or "in",
            arg.count,
            arg.holds,
            arg.resource or layout.resource,
            arg.doc,
        )

    def _layout(self, type_text: str, place: Place) -> Layout:
        return self._abi.engine.layout(expressions.type_expression(type_text), place.at("type"))

    def _argument_structure(self) -> Layout | None:
        """The structure that the argument with ``role: argument`` leads to, if it says one."""
        for arg in self._args:
            target = arg.holds or arg.layout.target
            if arg.role == "argument" and target not in (None, "void"):
                layout = self._layout(target or "", self._place)
                return layout if layout.fields else None
        return None

    # Commands

    def _commands(self, hypercall: str) -> dict[str, Command]:
        commands: dict[str, Command] = {}
        numbers: dict[int, str] = {}
        for name, specs in self._spec.commands.items():
            one = self._abi.one(specs, self._place.at("commands", name), name)
            if one is not None:
                command = self._command(name, *one, hypercall)
                other = numbers.setdefault(command.number, name)
                if other != name:
                    raise one[1].error(f"command number {command.number} is {other}'s", "number")
                commands[name] = command
        return commands

    def _command(self, name: str, spec: CommandSpec, place: Place, hypercall: str) -> Command:
        callers = self._narrowed(self._callers, spec.callers, place)
        arg = None
        own: tuple[Error, ...] = ()
        statuses: tuple[Status, ...] = ()
        if callers:  # else: as with hypercalls
            if spec.arg is not None:
                arg = self._argument(spec.arg, place.at("arg"))
            layout = arg.layout if arg is not None else None
            own = self._error_list(
                spec.errors, place.at("errors"), callers, layout, self._structure
            )
            statuses = tuple(self._statuses(spec, place.at("statuses"), callers, layout))
        privilege = spec.privilege or self._spec.privilege
        if privilege == "control":
            own = self._with_privilege(own, callers, place)
        return Command(
            name,
            self._abi.engine.evaluate(spec.number, place.at("number")),
            hypercall,
            arg,
            callers,
            privilege,
            (*self._errors, *own),
            statuses,
            spec.returns.doc if spec.returns else None,
            tuple(rule.doc for rule, _ in self._abi.select(spec.rules, place.at("rules"))),
            spec.doc,
        )

    def _argument(self, spec: ArgumentSpec, place: Place) -> Argument:
        if spec.member is not None:
            path, offset, member = self._find_member(spec.member, place)
            direction = spec.dir or member.direction
            return Argument(member.layout.name, member.layout, direction, spec.count, path, offset)
        assert spec.type is not None
        layout = self._layout(spec.type, place)
        if spec.count is not None:
            scope = [*self._names, *layout.by_name]
            self._abi.engine.check_count(spec.count, place.at("count"), scope)
        return Argument(spec.type, layout, spec.dir or "in", spec.count)

    def _find_member(self, name: str, place: Place) -> tuple[str, int, Field]:
        """Path, offset and field of the member ``name`` of the structure or of a union in it; the
        outermost one if members have members of that name too."""
        members = list(self._structure.walk()) if self._structure else []
        found = [one for one in members if one[0] == name or one[0].endswith(f".{name}")]
        if found:
            return min(found, key=lambda one: one[0].count("."))
        near = suggestion(name, [path.rpartition(".")[2] for path, _, _ in members])
        raise place.error(f"the hypercall's argument has no member '{name}'{near}", "member")

    # Errors

    def _unknown_command(self) -> tuple[str | None, str]:
        """What an unknown command returns here, and if what else holds; all guests of one
        architecture get the same."""
        place = self._place.at("unknown_command")
        found = self._error_list(self._spec.unknown_command, place, self._callers)
        if len(found) > 1:
            raise place.error("expected one errno for the callers of an architecture", 1)
        return (found[0].errno, found[0].text) if found else (None, "")

    def _error_list(
        self,
        specs: Sequence[ErrorSpec],
        place: Place,
        callers: tuple[str, ...],
        *structures: Layout | None,
    ) -> tuple[Error, ...]:
        """The errors that ``callers`` can provoke by arguments and fields of ``structures``."""
        found = []
        for spec, here in self._abi.select(specs, place):
            try:
                self._abi.errno(spec.errno)
            except InputError as error:
                raise here.error(error.message, "errno") from None
            who = self._narrowed(callers, spec.callers, here)
            if not who:
                continue
            if isinstance(spec.when, dict):
                self._check_when(spec.when, here.at("when"), structures)
                found.append(Error(spec.errno, spec.when, spec.doc, who, here))
            else:
                found.append(Error(spec.errno, None, spec.when or spec.doc, who, here))
        return tuple(found)

    def _with_privilege(
        self, errors: tuple[Error, ...], callers: tuple[str, ...], place: Place
    ) -> tuple[Error, ...]:
        """``errors`` of a command at ``place`` with the one that callers without privileges get.
        Where none says when Xen asks for them, that is once it has read the argument and found the
        domain."""
        every = (*self._errors, *errors)
        if any(error.errno == "EPERM" and CALLER in (error.when or {}) for error in every):
            return errors
        arguments = [arg.name for arg in self._args if arg.role == "argument"]
        before = 0
        for index, error in enumerate(errors):
            when = error.when or {}
            if any(when.get(name) == "unreadable" for name in arguments) or any(
                condition == {"no_such": "domain"} for condition in when.values()
            ):
                before = index + 1
        denied = Error("EPERM", _UNPRIVILEGED, "", callers, place)
        return (*errors[:before], denied, *errors[before:])

    def _statuses(
        self, spec: CommandSpec, place: Place, callers: tuple[str, ...], layout: Layout | None
    ) -> Iterator[Status]:
        for one, here in self._abi.select(spec.statuses, place):
            who = self._narrowed(callers, one.callers, here)
            if not who:
                continue
            self._abi.engine.evaluate(one.status, here.at("status"))
            if isinstance(one.when, dict):
                self._check_when(one.when, here.at("when"), (layout, self._structure))
                yield Status(one.status, one.when, "", who)
            else:
                yield Status(one.status, None, one.when, who)

    def _check_when(
        self, when: Mapping[str, Any], place: Place, structures: Sequence[Layout | None]
    ) -> None:
        """The targets are arguments or fields, and the conditions' expressions have values."""
        fields = [path for one in structures if one is not None for path, _, _ in one.walk()]
        for target, condition in when.items():
            if target not in (CALLER, XEN) and target not in self._names and target not in fields:
                near = suggestion(target, [*self._names, *fields])
                raise place.at(target).error_at_key(
                    f"when: '{target}' is no field of the argument{near}"
                )
            for kind, value in condition.items() if isinstance(condition, dict) else ():
                if kind not in ("no_such", "state", "not_state"):
                    for number in value if isinstance(value, list) else [value]:
                        self._abi.engine.evaluate(number, place.at(target, kind))
