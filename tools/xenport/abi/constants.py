"""Constants: which definition of a name holds, and its value.

The number of every hypercall and command is a constant too.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from xenport.abi.layout import Place
from xenport.abi.schema import (
    FileSpec,
    HypercallSpec,
    Interface,
    Ranged,
    ValueSpec,
    c_text,
    interface_of,
)
from xenport.errors import InputError
from xenport.yamlsource import Document, suggestion


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
    interfaces: tuple[Interface, ...] = ()  # versions that all must hold for a guest to see it


class _Candidate(NamedTuple):
    """A definition, and of what must hold for it: what has releases or architectures, and what
    has conditions, outermost first."""

    item: ConstantItem
    ranged: tuple[Ranged, ...]
    conditional: tuple[tuple[Ranged, Place], ...]


@dataclass(frozen=True, eq=False)
class Source:
    """A file of the description."""

    document: Document
    spec: FileSpec

    @property
    def place(self) -> Place:
        """The whole file."""
        return Place(self.document, ())

    @cached_property
    def candidates(self) -> tuple[_Candidate, ...]:
        """Every definition of a constant, for any architecture and release."""
        return tuple(self._candidates())

    def _candidates(self) -> Iterator[_Candidate]:
        top = self.place
        file = (self.spec, top)
        for index, group in enumerate(self.spec.constants):
            place = top.at("constants", index)
            for name, values in group.values.items():
                for number, value in enumerate(values):
                    there = place.at("values", name, number)
                    yield self._candidate(
                        name, value, group.name, file, (group, place), (value, there)
                    )
        for name, calls in self.spec.hypercalls.items():
            for index, call in enumerate(calls):
                place = top.at("hypercalls", name, index)
                value = ValueSpec(value=call.number, doc=call.doc)
                chain = (file, (call, place))
                yield self._candidate(f"__HYPERVISOR_{name}", value, "hypercalls", *chain)
                yield from self._commands(name, call, *chain)

    def _commands(
        self, name: str, call: HypercallSpec, *chain: tuple[Ranged, Place]
    ) -> Iterator[_Candidate]:
        for command_name, commands in call.commands.items():
            for number, command in enumerate(commands):
                place = chain[-1][1].at("commands", command_name, number)
                value = ValueSpec(value=command.number, doc=command.doc)
                yield self._candidate(command_name, value, name, *chain, (command, place))

    def _candidate(
        self, name: str, spec: ValueSpec, group: str, *chain: tuple[Ranged, Place]
    ) -> _Candidate:
        return _Candidate(
            ConstantItem(
                name,
                spec,
                chain[-1][1],
                self.spec.header,
                group,
                tuple(
                    interface for one, _ in chain if (interface := interface_of(one)) is not None
                ),
            ),
            tuple(one for one, _ in chain if one.since or one.until or one.arches is not None),
            tuple((one, place) for one, place in chain if one.requires or one.unless),
        )


class Constants:
    """The constants of ``sources`` for one architecture and release.

    ``in_range`` says whether a release is one of a thing's, ``active`` whether its conditions hold
    as well. ``evaluate`` is set by the owner: the value of a definition that is a number;
    ``newest`` too: whether guests of the newest interface see what is for the versions it is given.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        in_range: Callable[[Ranged], bool],
        active: Callable[[Ranged, Place], bool],
    ) -> None:
        self._active = active
        self.evaluate: Callable[[ConstantItem], int]
        self.newest: Callable[[Interface], bool] = lambda interface: not interface.is_below
        self._candidates: dict[str, list[_Candidate]] = {}
        self._defined: dict[str, ConstantItem | None] = {}
        self._values: dict[str, int | str] = {}
        self._open: list[str] = []  # what is being looked up, to find circles
        for source in sources:
            for candidate in source.candidates:
                if all(map(in_range, candidate.ranged)):
                    self._candidates.setdefault(candidate.item.name, []).append(candidate)

    def items(self) -> Iterator[ConstantItem]:
        """Every definition that holds."""
        for name in self._candidates:
            item = self.item(name)
            if item is not None:
                yield item

    def item(self, name: str) -> ConstantItem | None:
        """The definition of ``name`` that holds, if there is one. Raises ``InputError`` for two."""
        if name in self._defined or name not in self._candidates:
            return self._defined.get(name)
        self._open.append(name)
        try:
            found: ConstantItem | None = None
            for item, _, conditional in self._candidates[name]:
                if all(map(self.newest, item.interfaces)) and self._holds(conditional):
                    if found is not None:
                        raise item.place.error(f"{name} is already defined at {found.place.name()}")
                    found = item
        finally:
            self._open.pop()
        self._defined[name] = found
        return found

    def older(self, name: str) -> Iterator[ConstantItem]:
        """The definitions of ``name`` that only guests of an older interface see."""
        for item, _, conditional in self._candidates.get(name, ()):
            hidden = [one for one in item.interfaces if not self.newest(one)]
            if hidden and all(one.is_below for one in hidden) and self._holds(conditional):
                yield item

    def _holds(self, conditional: tuple[tuple[Ranged, Place], ...]) -> bool:
        return all(self._active(spec, place) for spec, place in conditional)

    def is_defined(self, name: str, place: Place) -> bool:
        """Whether ``name`` is defined; asked at ``place``."""
        if name in self._open and name not in self._defined:
            raise place.error(f"whether {name} is defined depends on itself")
        return self.item(name) is not None

    def number(self, name: str, place: Place | None = None) -> int:
        """The value of ``name``, which stands at ``place``. Raises ``InputError``."""
        value = self.value(name, place)
        if isinstance(value, str):
            raise _error(f"{name} is a text; expected a number", place)
        return value

    def value(self, name: str, place: Place | None = None) -> int | str:
        """The number or text ``name``, which stands at ``place``. Raises ``InputError``."""
        if name in self._values:
            return self._values[name]
        item = self.item(name)
        if item is None:
            if name in self._candidates:
                raise _error(
                    f"the constant {name} is not defined for this architecture and release", place
                )
            raise _error(f"unknown constant '{name}'{suggestion(name, self._candidates)}", place)
        if name in self._open:
            raise item.place.error(f"the value of {name} depends on itself")
        self._open.append(name)
        try:
            value = item.spec.value
            is_text = isinstance(value, str) and not is_expression(value)
            self._values[name] = c_text(str(value)[1:-1]) if is_text else self.evaluate(item)
        finally:
            self._open.pop()
        return self._values[name]


def is_expression(value: int | str) -> bool:
    """Whether the value of a constant is an expression: neither a literal nor a C text."""
    return isinstance(value, str) and not value.startswith('"')


def _error(message: str, place: Place | None) -> InputError:
    return InputError(message) if place is None else place.error(message)
