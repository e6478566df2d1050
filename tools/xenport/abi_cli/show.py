"""``xenport abi show``: what a name stands for, on one architecture or on all."""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace

import click
from rich.console import Console

from xenport.abi.constants import ConstantItem
from xenport.abi.contract import Contract, Refusal
from xenport.abi.detail_text import condensed
from xenport.abi.diff import steps
from xenport.abi.history import (
    History,
    Inventory,
    StructFace,
    TextFace,
    Thing,
    TypeFace,
    ValueFace,
    callable_places,
    spans,
    where,
)
from xenport.abi.load import description
from xenport.abi.rows import Row, merged
from xenport.abi_cli.options import RELEASE
from xenport.errors import InputError
from xenport.tables import add, put, say, table


@click.command()
@click.argument("name")
@click.option("--arch", metavar="A", help="Only this architecture. Default: all that have NAME.")
@click.option(
    "--release", type=RELEASE, metavar="R", help="This release. Default: the newest that has NAME."
)
def show(name: str, arch: str | None, release: str | None) -> None:
    """Say what NAME is: a structure, type, constant, hypercall, command or header.

    What looks the same on several architectures is said once.
    """
    whole = description()
    if arch is not None:
        whole.abi(arch, release or whole.architecture(arch).releases[-1])
    history = History(whole.abis())
    if release not in (None, *history.all_releases):
        known = ", ".join(history.all_releases)
        raise InputError(f"release '{release}' is not described; there are: {known}")
    chosen = [
        (thing, places)
        for thing in history.find(name)
        if (places := _places(history, thing, arch, release))
    ]
    if not chosen:
        raise InputError(_nowhere(history, name, arch, release))
    _Printer(Console(highlight=False), history).print(chosen)


def _places(
    history: History, thing: Thing, arch: str | None, release: str | None
) -> list[Inventory]:
    """The ABIs to show ``thing`` of: for each architecture one."""
    places = [
        place
        for place in history.things[thing]
        if arch in (None, place.abi.architecture.name) and release in (None, place.abi.release)
    ]
    return list({place.abi.architecture.name: place for place in places}.values())


def _nowhere(history: History, name: str, arch: str | None, release: str | None) -> str:
    asked = [f"on {arch}"] if arch else []
    asked += [f"in release {release}"] if release else []
    there = "; ".join(exists(history, thing) for thing in history.find(name))
    return f"there is no '{name}' {' '.join(asked)}; it exists {there}"


def exists(history: History, thing: Thing) -> str:
    """Where ``thing`` exists, in words."""
    presence = history.presence(thing)
    if presence == dict(history.releases):
        return "in every described release of every architecture"
    texts: dict[str, list[str]] = {}
    for arch, releases in presence.items():
        texts.setdefault(spans(releases, history.releases[arch]), []).append(arch)
    return "; ".join(f"on {', '.join(arches)} in {text}" for text, arches in texts.items())


def _groups(
    places: Sequence[Inventory], faces: Sequence[Hashable]
) -> list[tuple[Hashable, list[Inventory]]]:
    """``places`` with the same face together."""
    found: dict[Hashable, list[Inventory]] = {}
    for place, face in zip(places, faces, strict=True):
        found.setdefault(face, []).append(place)
    return list(found.items())


class _Printer:
    def __init__(self, console: Console, history: History) -> None:
        self._console = console
        self._history = history

    def print(self, chosen: Sequence[tuple[Thing, list[Inventory]]]) -> None:
        for number, (thing, places) in enumerate(chosen):
            if number:
                say(self._console, "")
            self._thing(thing, places)

    def _thing(self, thing: Thing, places: list[Inventory]) -> None:
        seen = places[-1].things[thing]
        paths = dict.fromkeys(place.things[thing].header.path for place in places)
        source = "" if thing.kind == "header" else f"  in {', '.join(paths)}"
        tools = "  (for tool stacks)" if seen.header.tools else ""
        say(self._console, f"{thing}{source}{tools}", style="bold")
        doc = places[-1].doc(thing)
        if doc:
            say(self._console, doc)
        match thing.kind:
            case "struct" | "union":
                self._structure(thing, places)
            case "type" | "enum":
                self._type(thing, places)
            case "constant":
                self._constant(thing, places)
            case "hypercall" | "command":
                self._contract(thing, places)
            case "ring" | "record" | "macro":
                self._text(thing, places)
            case "group" | "header":
                self._listing(thing, places[-1])
        say(self._console, f"Exists {exists(self._history, thing)}.")
        if thing.kind not in ("header", "group"):
            self._steps(thing)

    def _steps(self, thing: Thing) -> None:
        """How it changed from release to release."""
        described = tuple(self._history.presence(thing))
        for step in steps(self._history.things[thing], thing):
            on = "" if step.arches == described else f" on {', '.join(step.arches)}"
            say(self._console, f"Changed in {step.new} (before: {step.old}){on}:")
            for line in condensed(step.details):
                say(self._console, f"  {line}")

    def _agreement(self, groups: Sequence[object], places: Sequence[Inventory]) -> None:
        """Whether the architectures agree."""
        if len(groups) > 1:
            say(self._console, f"Differs between architectures: {where(places)}.")
        elif len(places) > 1:
            say(self._console, f"Identical on {where(places)}.")
        else:
            say(self._console, f"On {where(places)}.")

    # Structures

    def _structure(self, thing: Thing, places: list[Inventory]) -> None:
        faces = [
            StructFace(
                layout.size,
                layout.align,
                place.rows(thing.name, expand=True),
                place.abi.rules(thing.name),
            )
            for place in places
            for layout in [place.abi.engine.named(thing.name)]
        ]
        groups = _groups(places, faces)
        self._agreement(groups, places)
        tables = [face for face, _ in groups if isinstance(face, StructFace)]
        lines = merged([face.rows for face in tables])
        headings: list[str] = []
        for _, members in groups:
            title = "\n".join(place.abi.architecture.name for place in members)
            prefix = f"{title}\n" if len(groups) > 1 else ""
            headings += [f"{prefix}offset", "size"]
        right = range(len(headings))
        users = list(
            dict.fromkeys(user for place in places for user in place.arguments.get(thing.name, ()))
        )
        headings += ["type", "name", *(["dir"] if users else []), "notes"]
        made = table(self._console, headings, right)
        for line in lines:
            row = next(row for row in line if row is not None)
            cells = [cell for one in line for cell in _place_cells(one)]
            direction = [row.direction or ""] if users else []
            alike = len({(one.offset, one.size) if one else None for one in line}) == 1
            style = "dim" if row.is_padding else "" if alike else "yellow"
            add(made, *cells, row.type, _name(row), *direction, _notes(row), style=style)
        total = [cell for face in tables for cell in ("total", str(face.size))]
        aligns = ", ".join(dict.fromkeys(str(face.align) for face in tables))
        add(made, *total, "", f"aligned to {aligns}", style="bold")
        put(self._console, made)
        if all(place.abi.is_helper(thing.name) for place in places):
            say(self._console, "Private to one side: it never crosses the boundary.")
        for face, members in groups:
            assert isinstance(face, StructFace)
            self._rules(face.rules, members if len(groups) > 1 else [])
        if users:
            say(self._console, f"Argument, or part of one, of {', '.join(users)}.")

    def _rules(self, rules: Sequence[str], places: Sequence[Inventory]) -> None:
        for rule in rules:
            on = f" (on {where(places)})" if places else ""
            say(self._console, f"Rule: {rule}{on}")

    # Values

    def _type(self, thing: Thing, places: list[Inventory]) -> None:
        groups = _groups(places, [place.face(thing) for place in places])
        self._agreement(groups, places)
        made = table(self._console, ["stands for", "size", "aligned to", "resource", "on"], (1, 2))
        for face, members in groups:
            assert isinstance(face, TypeFace)
            resource = members[0].abi.engine.named(thing.name).resource or ""
            add(made, face.text, str(face.size), str(face.align), resource, where(members))
        put(self._console, made)
        if thing.kind == "enum":
            self._listing(thing, places[-1])

    def _text(self, thing: Thing, places: list[Inventory]) -> None:
        groups = _groups(places, [place.face(thing) for place in places])
        self._agreement(groups, places)
        made = table(self._console, ["definition", "on"])
        for face, members in groups:
            assert isinstance(face, TextFace)
            add(made, face.text, where(members))
        put(self._console, made)

    def _constant(self, thing: Thing, places: list[Inventory]) -> None:
        groups = _groups(places, [place.face(thing) for place in places])
        self._agreement(groups, places)
        made = table(self._console, ["value", "hex", "written as", "group", "on"], (0, 1))
        for face, members in groups:
            assert isinstance(face, ValueFace)
            item = members[0].things[thing].item
            assert isinstance(item, ConstantItem)
            written = str(getattr(item.spec.value, "text", item.spec.value))
            add(made, *_value_cells(face.value), written, item.group, where(members))
        put(self._console, made)

    # Contracts

    def _contract(self, thing: Thing, places: list[Inventory]) -> None:
        called = callable_places(thing, places)
        faces = []
        for place in called:
            face = place.face(thing)
            assert isinstance(face, Contract)
            faces.append(face)
        # Kinds of guest belong to architectures: they alone make no difference.
        groups = _groups(called, [replace(face, callers=()) for face in faces])
        self._agreement(groups, called)
        nobody = [place for place in places if place not in called]
        if nobody:
            say(self._console, f"Nobody has it on {where(nobody)}.")
        for face, members in groups:
            assert isinstance(face, Contract)
            if len(groups) > 1:
                say(self._console, f"\nOn {where(members)}:", style="bold")
            self._contract_of(thing, face, members)
        if thing.kind == "hypercall":
            self._commands(thing, places)

    def _contract_of(self, thing: Thing, face: Contract, places: list[Inventory]) -> None:
        made = table(self._console, ["", ""])
        if thing.kind == "command":
            hypercall = places[0].abi.hypercalls[places[0].command(thing.name).hypercall]
            add(made, "number", f"{face.number} of {hypercall.name} ({hypercall.number})")
        else:
            add(made, "number", str(face.number))
        add(made, "callers", _callers(thing, places))
        privilege = "control domain only" if face.privilege == "control" else "any domain"
        add(made, "privilege", privilege)
        add(made, "argument" if thing.kind == "command" else "arguments", face.argument or "-")
        if face.returns:
            add(made, "returns", face.returns)
        if face.unknown_command:
            add(made, "unknown command", face.unknown_command)
        put(self._console, made)
        self._rules(face.rules, [])
        self._refusals("Errors, the first that holds:", "errno", face.refusals)
        self._refusals(
            "Results in the argument's entries, the first that holds:", "status", face.statuses
        )

    def _refusals(self, title: str, what: str, refusals: Sequence[Refusal]) -> None:
        if not refusals:
            return
        say(self._console, title)
        made = table(self._console, ["", what, "when", "only for"])
        some = any(refusal.callers for refusal in refusals)
        if not some:
            made = table(self._console, ["", what, "when"])
        for number, refusal in enumerate(refusals, 1):
            only = [", ".join(refusal.callers)] if some else []
            add(made, str(number), refusal.errno, refusal.condition, *only)
        put(self._console, made)

    def _commands(self, thing: Thing, places: list[Inventory]) -> None:
        commands: dict[str, list[Inventory]] = {}
        for place in places:
            for name in place.abi.hypercalls[thing.name].commands:
                commands.setdefault(name, []).append(place)
        if not commands:
            return
        everywhere = all(len(found) == len(places) for found in commands.values())
        made = table(
            self._console, ["number", "command", "argument", *([] if everywhere else ["on"])], (0,)
        )
        for name, found in commands.items():
            face = found[-1].face(Thing("command", name))
            assert isinstance(face, Contract)
            on = [] if everywhere else ["all" if len(found) == len(places) else where(found)]
            add(made, str(face.number), name, face.argument or "-", *on)
        put(self._console, made)

    # Listings

    def _listing(self, thing: Thing, place: Inventory) -> None:
        say(self._console, f"On {where([place])}.")
        made = table(self._console, ["kind", "name", "value or size", "notes"], (2,))
        for inner, (header, item) in place.things.items():
            if inner.kind in ("header", "group") or header is not place.things[thing].header:
                continue
            if thing.kind in ("group", "enum") and not (
                isinstance(item, ConstantItem) and item.group == thing.name
            ):
                continue
            add(made, inner.kind, inner.name, _measure(place.face(inner)), place.doc(inner))
        put(self._console, made)


def _measure(face: Hashable) -> str:
    match face:
        case StructFace() | TypeFace():
            return f"{face.size} bytes"
        case ValueFace():
            return str(face.value)
        case Contract():
            return str(face.number)
        case TextFace():
            return face.text
        case _:
            return ""


def _value_cells(value: int | str) -> Iterator[str]:
    if isinstance(value, str):
        yield f'"{value}"'
        yield ""
    else:
        yield str(value)
        yield f"{value:#x}"


def _place_cells(row: Row | None) -> tuple[str, str]:
    """Offset and size of a row."""
    if row is None:
        return "", ""
    if row.bits is None:
        return str(row.offset), str(row.size)
    first, number = row.bits
    if row.kind != "member":
        return str(row.offset), f"{number} bit" if number == 1 else f"{number} bits"
    last = first + number - 1
    return str(row.offset), f"bit {first}" if number == 1 else f"bits {first}-{last}"


def _name(row: Row) -> str:
    indent = "  " * row.depth
    words = {"hole": "-- hole --", "tail": "-- padding at the end --"}
    return indent + (row.name or words.get(row.kind, ""))


def _notes(row: Row) -> str:
    facts = row.remarks
    return f"{facts}. {row.doc}" if facts and row.doc else facts or row.doc


def _callers(thing: Thing, places: Sequence[Inventory]) -> str:
    """Who may call, with the architectures."""
    found: dict[tuple[str, ...], list[str]] = {}
    for place in places:
        face = place.face(thing)
        assert isinstance(face, Contract)
        found.setdefault(face.callers, []).append(place.abi.architecture.name)
    return "; ".join(
        f"{', '.join(callers) or 'nobody'} on {', '.join(arches)}"
        for callers, arches in found.items()
    )
