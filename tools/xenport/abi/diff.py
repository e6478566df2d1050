"""What differs between two releases, and whom it breaks."""

import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal

from xenport.abi.contract import Contract, Refusal
from xenport.abi.history import Inventory, StructFace, TextFace, Thing, TypeFace, ValueFace
from xenport.abi.releases import rank
from xenport.abi.rows import Row

Effect = Literal["breaks", "behaviour", "source", "extends"]
EFFECTS: tuple[Effect, ...] = ("breaks", "behaviour", "source", "extends")
"""What a difference does to who was made for the older release, worst first.

``breaks``: what is compiled no longer works. ``behaviour``: the same call may end another way.
``source``: compiled programs work on, their sources no longer compile. ``extends``: nothing.
"""

_LIMIT = re.compile(r"(^|_)(max|last|num|nr|mask|latest)(_|$)", re.IGNORECASE)
"""In the name of a constant that says how many there are: it grows with what it counts."""

What = Literal["added", "removed", "changed"]


@dataclass(frozen=True)
class Detail:
    """One fact that differs. ``old`` is ``None`` if it is new, ``new`` if it is gone."""

    what: str  # size, alignment, member, offset, type, value, callers, error, …
    where: str  # the member, the condition of an error, or nothing
    old: str | None
    new: str | None
    effect: Effect

    def __str__(self) -> str:
        head = f"{self.what} {self.where}".strip()
        if self.what == "error" and (self.old is None or self.new is None):
            sign = "added" if self.old is None else "removed"
            return f"error {sign}: {self.old or self.new} {self.where}"
        if self.old is None:
            return f"{head} added: {self.new}" if self.new else f"{head} added"
        if self.new is None:
            return f"{head} removed: {self.old}" if self.old else f"{head} removed"
        return f"{head}: {self.old or 'none'} -> {self.new or 'none'}"


@dataclass(frozen=True)
class Change:
    """A thing that differs, in the same way on ``arches``."""

    thing: Thing
    header: str
    what: What
    effect: Effect
    audience: tuple[str, ...]  # whom it concerns
    details: tuple[Detail, ...]
    arches: tuple[str, ...]


@dataclass(frozen=True)
class InterfaceVersion:
    """The version a caller of ``header`` states; Xen answers another one with ``errno``."""

    header: str
    name: str
    old: int
    new: int
    errno: str | None


@dataclass(frozen=True)
class Difference:
    """Everything that differs between two releases on ``arches``."""

    old: str
    new: str
    arches: tuple[str, ...]
    changes: tuple[Change, ...]
    versions: tuple[InterfaceVersion, ...]

    def broken(self) -> dict[str, int]:
        """How many changes break each audience."""
        found: dict[str, int] = {}
        for change in self.changes:
            if change.effect == "breaks":
                for who in change.audience:
                    found[who] = found.get(who, 0) + 1
        return found

    def as_data(self) -> dict[str, Any]:
        """The difference as JSON has it.

        ``schema`` is raised when a key changes its meaning or goes. A change has the worst effect
        of its details; what is added or removed has no details. Old and new facts are texts.
        """
        return {
            "schema": 1,
            "old": self.old,
            "new": self.new,
            "arches": list(self.arches),
            "changes": [
                {
                    "kind": change.thing.kind,
                    "name": change.thing.name,
                    "header": change.header,
                    "what": change.what,
                    "effect": change.effect,
                    "audience": list(change.audience),
                    "arches": list(change.arches),
                    "details": [
                        {
                            "what": detail.what,
                            "where": detail.where,
                            "old": detail.old,
                            "new": detail.new,
                            "effect": detail.effect,
                        }
                        for detail in change.details
                    ],
                }
                for change in self.changes
            ],
            "interface_versions": [
                {
                    "header": version.header,
                    "name": version.name,
                    "old": version.old,
                    "new": version.new,
                    "errno": version.errno,
                }
                for version in self.versions
            ],
        }


def difference(pairs: Sequence[tuple[Inventory, Inventory]]) -> Difference:
    """What differs between the older and the newer inventory of each pair.

    All pairs are of the same two releases, each of another architecture. What differs in the same
    way on several is one change.
    """
    old, new = pairs[0][0].abi.release, pairs[0][1].abi.release
    found: dict[tuple[Hashable, ...], list[Change]] = {}
    versions: dict[InterfaceVersion, None] = {}
    order: dict[Thing, tuple[str, int]] = {}
    for before, after in pairs:
        for place in (after, before):
            for number, (thing, seen) in enumerate(place.things.items()):
                order.setdefault(thing, (seen.header.path, number))
        for change in _changes(before, after):
            key = (change.thing, change.header, change.what, change.effect, change.details)
            found.setdefault(key, []).append(change)
        versions.update(dict.fromkeys(_versions(before, after)))
    changes = [_united(same) for same in found.values()]
    changes.sort(key=lambda change: (change.header, order[change.thing][1]))
    arches = tuple(before.abi.architecture.name for before, _ in pairs)
    return Difference(old, new, arches, tuple(changes), tuple(versions))


def _united(same: Sequence[Change]) -> Change:
    first = same[0]
    audience = dict.fromkeys(who for change in same for who in change.audience)
    arches = tuple(arch for change in same for arch in change.arches)
    return Change(
        first.thing,
        first.header,
        first.what,
        first.effect,
        tuple(audience),
        first.details,
        arches,
    )


@dataclass(frozen=True)
class Step:
    """A change of one thing between two releases that follow each other, on ``arches``."""

    old: str
    new: str
    details: tuple[Detail, ...]
    arches: tuple[str, ...]


def steps(places: Iterable[Inventory], thing: Thing) -> list[Step]:
    """Every change of ``thing``, which is in all of ``places``, oldest first."""
    found: dict[tuple[str, str, tuple[Detail, ...]], list[str]] = {}
    by_arch: dict[str, list[Inventory]] = {}
    for place in places:
        by_arch.setdefault(place.abi.architecture.name, []).append(place)
    for arch, places in by_arch.items():
        for before, after in pairwise(places):
            details = compare(before, after, thing)
            if details:
                key = (before.abi.release, after.abi.release, details)
                found.setdefault(key, []).append(arch)
    made = [Step(*key, tuple(arches)) for key, arches in found.items()]
    return sorted(made, key=lambda step: (rank(step.new), rank(step.old)))


def compare(before: Inventory, after: Inventory, thing: Thing) -> tuple[Detail, ...]:
    """What differs in ``thing``, which is in both."""
    paths = [place.things[thing].header.path for place in (before, after)]
    moved = paths[0] != paths[1]
    where = (_changed("header", "", paths[0], paths[1], "source"),) if moved else ()
    return where + _compare(before.face(thing), after.face(thing), thing)


def _compare(old: Hashable, new: Hashable, thing: Thing) -> tuple[Detail, ...]:
    if old == new:
        return ()
    match old, new:
        case StructFace(), StructFace():
            return tuple(_structures(old, new))
        case TypeFace(), TypeFace():
            return tuple(_types(old, new))
        case ValueFace(), ValueFace():
            effect: Effect = "extends" if _LIMIT.search(thing.name) else "breaks"
            return (_changed("value", "", _value(old.value), _value(new.value), effect),)
        case TextFace(), TextFace():
            worst_of: Effect = "source" if thing.kind == "macro" else "breaks"
            return (_changed("definition", "", old.text, new.text, worst_of),)
        case Contract(), Contract():
            return tuple(_contracts(old, new))
    raise AssertionError(f"{thing} has no face")


def worst(details: Iterable[Detail]) -> Effect:
    """The worst effect of ``details``, of which there is one at least."""
    return min((detail.effect for detail in details), key=EFFECTS.index)


# What differs in one architecture


def _changes(before: Inventory, after: Inventory) -> Iterator[Change]:
    old_readers, new_readers = Readers(before), Readers(after)
    arches = (before.abi.architecture.name,)
    for thing in {**before.things, **after.things}:
        if thing.kind == "group":
            continue
        old, new = before.things.get(thing), after.things.get(thing)
        if old is not None and new is not None:
            details = compare(before, after, thing)
            if details:
                readers = dict.fromkeys([*old_readers.of(thing), *new_readers.of(thing)])
                path, effect = new.header.path, worst(details)
                if effect == "breaks" and after.abi.is_helper(thing.name):
                    effect = "source"  # nobody else looks at it
                yield Change(thing, path, "changed", effect, tuple(readers), details, arches)
        elif new is not None:
            who = new_readers.of(thing)
            yield Change(thing, new.header.path, "added", "extends", who, (), arches)
        elif old is not None:
            gone: Effect = "breaks" if thing.kind in ("command", "hypercall") else "source"
            who = old_readers.of(thing)
            yield Change(thing, old.header.path, "removed", gone, who, (), arches)


def _changed(what: str, where: str, old: str, new: str, effect: Effect) -> Detail:
    return Detail(what, where, old, new, effect)


def _value(value: int | str) -> str:
    return f'"{value}"' if isinstance(value, str) else f"{value} ({value:#x})"


def _types(old: TypeFace, new: TypeFace) -> Iterator[Detail]:
    if old.size != new.size:
        yield _changed("size", "", str(old.size), str(new.size), "breaks")
    if old.align != new.align:
        yield _changed("alignment", "", str(old.align), str(new.align), "breaks")
    if old.text != new.text:
        yield _changed("type", "", old.text, new.text, "source")


def _structures(old: StructFace, new: StructFace) -> Iterator[Detail]:
    if old.size != new.size:
        yield _changed("size", "", str(old.size), str(new.size), "breaks")
    if old.align != new.align:
        yield _changed("alignment", "", str(old.align), str(new.align), "breaks")
    before = {row.path: row for row in old.rows if row.kind == "member"}
    after = {row.path: row for row in new.rows if row.kind == "member"}
    gone = {path: row for path, row in before.items() if path not in after}
    fresh = {path: row for path, row in after.items() if path not in before}
    for path, row in list(fresh.items()):
        was = next((one for one in gone.values() if _same_place(one, row)), None)
        if was is not None:
            del gone[was.path], fresh[path]
            yield _renamed(was, row)
    for path, row in gone.items():
        effect: Effect = "extends" if row.is_padding else "breaks"
        yield Detail("member", path, _place(row), None, effect)
    for path, row in fresh.items():
        yield Detail("member", path, None, _place(row), "extends")
    for path, row in before.items():
        if path in after:
            yield from _members(path, row, after[path])
    yield from _rules(old.rules, new.rules)


def _same_place(one: Row, other: Row) -> bool:
    same = (one.start, one.end, one.depth, one.type) == (
        *(other.start, other.end, other.depth, other.type),
    )
    return same and one.path.rpartition(".")[0] == other.path.rpartition(".")[0]


def _renamed(old: Row, new: Row) -> Detail:
    """A member in the place of another; taking the place of padding breaks nothing."""
    effect: Effect = "extends" if old.is_padding else "breaks" if new.is_padding else "source"
    return _changed("name", f"at offset {new.offset}", old.path, new.path, effect)


def _place(row: Row) -> str:
    if row.bits is not None:
        return f"{row.bits[1]} bits from bit {row.bits[0]} at offset {row.offset}, {row.type}"
    return f"offset {row.offset}, size {row.size}, {row.type}"


def _members(path: str, old: Row, new: Row) -> Iterator[Detail]:
    facts: list[tuple[str, Any, Any, Effect]] = [
        ("offset", old.offset, new.offset, "breaks"),
        ("size", old.size, new.size, "breaks"),
        ("bits", _bits(old), _bits(new), "breaks"),
        ("type", old.type, new.type, "source"),
        ("direction", old.direction, new.direction, "behaviour"),
        ("count", old.count, new.count, "behaviour"),
        ("resource", old.resource, new.resource, "behaviour"),
        ("varies", old.varies, new.varies, "behaviour"),
    ]
    for what, before, after, effect in facts:
        if before != after:
            none_before = "none" if before is None else str(before)
            none_after = "none" if after is None else str(after)
            yield _changed(what, f"of {path}", none_before, none_after, effect)


def _bits(row: Row) -> str | None:
    return None if row.bits is None else f"{row.bits[1]} from bit {row.bits[0]}"


def _contracts(old: Contract, new: Contract) -> Iterator[Detail]:
    if old.number != new.number:
        yield _changed("number", "", str(old.number), str(new.number), "breaks")
    for caller in old.callers:
        if caller not in new.callers:
            yield Detail("caller", caller, "", None, "breaks")
    for caller in new.callers:
        if caller not in old.callers:
            yield Detail("caller", caller, None, "", "extends")
    if not (old.callers and new.callers):
        return  # nobody has it on one side, and nothing else is known there
    if old.privilege != new.privilege:
        narrower: Effect = "breaks" if new.privilege == "control" else "extends"
        yield _changed("privilege", "", old.privilege, new.privilege, narrower)
    if old.argument != new.argument:
        yield _changed("argument", "", old.argument, new.argument, "breaks")
    if old.returns != new.returns:
        yield _changed("returns", "", old.returns, new.returns, "behaviour")
    if old.unknown_command != new.unknown_command:
        yield _changed("unknown command", "", old.unknown_command, new.unknown_command, "behaviour")
    yield from _refusals("error", old.own, new.own)
    yield from _refusals("status", old.statuses, new.statuses)
    yield from _rules(old.rules, new.rules)


def _rules(old: Sequence[str], new: Sequence[str]) -> Iterator[Detail]:
    for rule in old:
        if rule not in new:
            yield Detail("rule", "", rule, None, "behaviour")
    for rule in new:
        if rule not in old:
            yield Detail("rule", "", None, rule, "behaviour")


def _refusals(kind: str, old: Sequence[Refusal], new: Sequence[Refusal]) -> Iterator[Detail]:
    gone = [one for one in old if one not in new]
    fresh = [one for one in new if one not in old]
    for one in list(fresh):
        was = next((other for other in gone if other.condition == one.condition), None)
        if was is not None:
            gone.remove(was)
            fresh.remove(one)
            yield _changed(kind, f"when {one.condition}", _errno(was), _errno(one), "behaviour")
    for one in gone:
        yield Detail(kind, f"when {one.condition}", _errno(one), None, "behaviour")
    for one in fresh:
        yield Detail(kind, f"when {one.condition}", None, _errno(one), "behaviour")
    kept_before = [one for one in old if one in new]
    kept_after = [one for one in new if one in old]
    if kept_before != kept_after:
        texts = [", ".join(_errno(one) for one in kept) for kept in (kept_before, kept_after)]
        which = {"error": "errors", "status": "statuses"}[kind]
        yield _changed(f"order of {which}", "", texts[0], texts[1], "behaviour")


def _errno(refusal: Refusal) -> str:
    return f"{refusal.errno} for {', '.join(refusal.callers)}" if refusal.callers else refusal.errno


# Whom it concerns


class Readers:
    """Who looks at the things of one ABI."""

    def __init__(self, place: Inventory) -> None:
        self._place = place

    def of(self, thing: Thing) -> tuple[str, ...]:
        """Whom ``thing`` concerns, from the header it is in and the calls that take it."""
        header = self._place.things[thing].header
        if header.tools:
            return ("tool stack",)
        if header.path.startswith("io/"):
            return ("frontend and backend",)
        users = self._place.arguments.get(thing.name, ())
        if thing.kind in ("command", "hypercall"):
            users = (thing.name,)
        contracts = [self._contracts[user] for user in users if user in self._contracts]
        if not contracts:
            return self._everybody(header.path)
        found: dict[str, None] = {}
        for one in contracts:
            if one.privilege == "control":
                found["control domain"] = None
            else:
                found.update(dict.fromkeys(f"{caller} guest" for caller in one.callers))
        return tuple(found)

    def _everybody(self, path: str) -> tuple[str, ...]:
        """Whom what no call takes concerns."""
        calls = [call for call in self._place.abi.hypercalls.values() if call.header == path]
        commands = [command for call in calls for command in call.commands.values()]
        if commands and all(command.privilege == "control" for command in commands):
            return ("control domain",)
        return tuple(f"{guest} guest" for guest in self._place.abi.architecture.guests)

    @cached_property
    def _contracts(self) -> Mapping[str, Contract]:
        found: dict[str, Contract] = {}
        for thing in self._place.things:
            if thing.kind in ("command", "hypercall"):
                face = self._place.face(thing)
                assert isinstance(face, Contract)
                found[thing.name] = face
        return found


def _versions(before: Inventory, after: Inventory) -> Iterator[InterfaceVersion]:
    """The interface versions of the headers that have one in both releases."""
    for thing, seen in after.things.items():
        if thing.kind != "constant" or not thing.name.endswith("_INTERFACE_VERSION"):
            continue
        if thing not in before.things or not seen.header.tools:
            continue
        old, new = before.abi.constant(thing.name), after.abi.constant(thing.name)
        errno = next(
            (
                error.errno
                for call in after.abi.hypercalls.values()
                for error in call.errors
                if error.when is not None
                and {"is_not": thing.name}
                in [dict(one) for one in error.when.values() if isinstance(one, dict)]
            ),
            None,
        )
        yield InterfaceVersion(seen.header.path, thing.name, old, new, errno)
