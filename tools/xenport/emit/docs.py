"""The ABI as static HTML: a page for each header, for all architectures and releases at once.

The pages need no network and no server: they link to each other, to one style sheet and to one
script, which searches an index that is a script too.
"""

import json
import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from xenport.abi import Abi
from xenport.abi.constants import ConstantItem
from xenport.abi.contract import Contract
from xenport.abi.core import Group, Header
from xenport.abi.detail_text import audience_text, condensed
from xenport.abi.diff import Readers, Step, steps
from xenport.abi.history import (
    History,
    Inventory,
    Kind,
    StructFace,
    Thing,
    callable_places,
    spans,
    where,
)
from xenport.abi.rows import Row, merged
from xenport.emit.drawing import Line, draw
from xenport.emit.tree import MARK

_TEMPLATES = Path(__file__).parent / "templates" / "docs"
_CELL = 9  # pixels of a release in a bar
_SHADES = 3  # colours of a bar that follow each other where the thing changed
_WORD = re.compile(r"[A-Za-z_]\w*")
_LINKED: tuple[Kind, ...] = (
    *("struct", "union", "type", "enum", "command", "constant", "hypercall", "ring", "macro"),
)
_SECTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Hypercalls", ("hypercall",)),
    ("Commands", ("command",)),
    ("Rings", ("ring",)),
    ("Records of a saved domain", ("record",)),
    ("Structures and unions", ("struct", "union")),
    ("Types", ("type", "enum")),
    ("Macros", ("macro",)),
)


def texts(abis: Iterable[Abi]) -> dict[str, str]:
    """The text of every file of the reference by its path."""
    return _Site(History(abis)).texts()


@dataclass(frozen=True)
class Bar:
    """In which releases something exists on ``arches``; ``style`` is the class that draws it."""

    style: str
    arches: str
    releases: str


@dataclass
class Column:
    """Architectures that agree, and what they agree on."""

    arches: str
    face: Any
    places: list[Inventory]
    drawing: list[Line] = field(default_factory=list)


@dataclass
class Entry:
    """A thing on the page of a header."""

    thing: Thing
    anchor: str
    doc: str
    bars: list[Bar]
    steps: list[Step]
    columns: list[Column]
    places: tuple[Inventory, ...]  # the newest of each architecture
    like_header: bool  # it exists wherever its header does, and never changed
    elsewhere: list[str]  # other headers that define it, for other architectures
    lines: list[list[Row | None]] = field(default_factory=list)  # of a structure, side by side
    users: list[Thing] = field(default_factory=list)  # whose argument a structure is
    helper: bool = False  # private to one side


@dataclass
class Page:
    """A header."""

    path: str
    file: str
    doc: str
    tools: bool
    bars: list[Bar]
    sections: list[tuple[str, list[Entry]]]
    groups: list[tuple[Group, list[Entry]]]
    audience: str
    places: list[Inventory]  # the newest of each architecture

    @property
    def count(self) -> int:
        """How many things the header has."""
        return sum(len(entries) for _, entries in [*self.sections, *self.groups])


class _Site:
    def __init__(self, history: History) -> None:
        self._history = history
        self._files = {
            path: path.removesuffix(".h").replace("/", "_") + ".html" for path in self._paths()
        }
        self._bar_styles: dict[tuple[int, ...], str] = {}
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_TEMPLATES),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=jinja2.StrictUndefined,
        )
        self._templates.globals |= {
            "mark": f"{MARK} all described architectures and releases. Do not edit.",
            "files": self._files,
            "condensed": condensed,
            "link": self._link,
            "call": lambda thing: self._anchor(thing, history.things[thing][-1]),
            "callers": _callers,
            "directions": _directions,
        }

    def _paths(self) -> list[str]:
        return sorted(thing.name for thing in self._history.things if thing.kind == "header")

    def texts(self) -> dict[str, str]:
        pages = [self._page(path) for path in self._files]
        texts = {"index.html": self._index(pages)}
        for page in pages:
            texts[page.file] = self._render("header.html.j2", page=page, pages=pages)
        texts["index.js"] = self._search_index(pages)
        texts["search.js"] = self._render("search.js.j2")
        texts["style.css"] = self._render("style.css.j2", bars=self._bar_rules())
        return texts

    def _render(self, template: str, **context: Any) -> str:
        return self._templates.get_template(template).render(**context)

    # Pages

    def _page(self, path: str) -> Page:
        thing = Thing("header", path)
        presence = self._presence(self._history.things[thing])
        here: dict[Thing, list[Inventory]] = {}
        for place in self._history.things[thing]:
            for inner, seen in place.things.items():
                if seen.header.path == path and inner.kind not in ("header", "group"):
                    here.setdefault(inner, []).append(place)
        newest = self._newest(self._history.things[thing])
        page = Page(
            path,
            self._files[path],
            newest[-1].things[thing].header.doc,
            newest[-1].things[thing].header.tools,
            self._bars(presence, {}),
            [],
            [],
            audience_text(
                list(dict.fromkeys(who for place in newest for who in Readers(place).of(thing)))
            ),
            newest,
        )
        entries = {
            inner: self._entry(inner, places, path, presence) for inner, places in here.items()
        }
        for title, kinds in _SECTIONS:
            section = [entry for inner, entry in entries.items() if inner.kind in kinds]
            if section:
                page.sections.append((title, section))
        headers = [place.things[thing].header for place in self._history.things[thing]]
        page.groups = self._groups(headers, here, entries)
        return page

    @staticmethod
    def _groups(
        headers: Sequence[Header],
        here: Mapping[Thing, Sequence[Inventory]],
        entries: Mapping[Thing, Entry],
    ) -> list[tuple[Group, list[Entry]]]:
        """The constants by group, each where its newest definition is."""
        groups: dict[str, tuple[Group, list[Entry]]] = {
            group.name: (group, []) for header in headers for group in header.groups
        }
        for inner, places in here.items():
            if inner.kind == "constant":
                item = places[-1].things[inner].item
                assert isinstance(item, ConstantItem)
                groups[item.group][1].append(entries[inner])
        return [(group, found) for group, found in groups.values() if found]

    def _entry(
        self,
        thing: Thing,
        places: Sequence[Inventory],
        path: str,
        around: Mapping[str, tuple[str, ...]],
    ) -> Entry:
        newest = self._newest(places)
        changes = steps(places, thing)
        presence = self._presence(places)
        others = dict.fromkeys(
            place.things[thing].header.path for place in self._history.things[thing]
        )
        entry = Entry(
            thing,
            f"{thing.kind}-{thing.name}",
            newest[-1].doc(thing),
            self._bars(presence, _turns(changes)),
            changes,
            [],
            tuple(newest),
            presence == dict(around) and not changes,
            [other for other in others if other != path],
        )
        self._fill(entry)
        return entry

    def _fill(self, entry: Entry) -> None:
        """How the thing looks in the newest release of each architecture."""
        groups: dict[Hashable, list[Inventory]] = {}
        for place in callable_places(entry.thing, entry.places):
            face = place.face(entry.thing)
            if isinstance(face, Contract):
                face = replace(face, callers=())  # belong to the architecture
            groups.setdefault(face, []).append(place)
        for face, members in groups.items():
            column = Column(where(members), face, members)
            if isinstance(face, StructFace):
                column.drawing = draw(face.rows, face.size, union=entry.thing.kind == "union")
            entry.columns.append(column)
        faces = [face for face in groups if isinstance(face, StructFace)]
        entry.lines = merged([face.rows for face in faces])
        if faces:
            entry.helper = all(place.abi.is_helper(entry.thing.name) for place in entry.places)
            names = dict.fromkeys(
                user for place in entry.places for user in place.arguments.get(entry.thing.name, ())
            )
            entry.users = [self._call(name) for name in names]

    def _call(self, name: str) -> Thing:
        command = Thing("command", name)
        return command if command in self._history.things else Thing("hypercall", name)

    # Releases

    @staticmethod
    def _newest(places: Iterable[Inventory]) -> list[Inventory]:
        return list({place.abi.architecture.name: place for place in places}.values())

    @staticmethod
    def _presence(places: Iterable[Inventory]) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for place in places:
            arch = place.abi.architecture.name
            found[arch] = (*found.get(arch, ()), place.abi.release)
        return found

    def _bars(
        self, presence: Mapping[str, Sequence[str]], turns: Mapping[str, set[str]]
    ) -> list[Bar]:
        """One bar for architectures that look the same; ``turns``: where the thing changed."""
        by_pattern: dict[tuple[int, ...], list[str]] = {}
        for arch, there in presence.items():
            pattern, shade = [], 0
            for release in self._history.all_releases:
                if release in there:
                    shade += release in turns.get(arch, ())
                    pattern.append(2 + shade % _SHADES)
                else:
                    pattern.append(1 if release in self._history.releases[arch] else 0)
            by_pattern.setdefault(tuple(pattern), []).append(arch)
        bars = []
        for key, arches in by_pattern.items():
            style = self._bar_styles.setdefault(key, f"b{len(self._bar_styles)}")
            described = self._history.releases[arches[0]]
            bars.append(Bar(style, ", ".join(arches), spans(presence[arches[0]], described)))
        return bars

    def _bar_rules(self) -> Markup:
        """The style of every bar: one stripe a release."""
        colours = ("transparent", "var(--absent)", *(f"var(--era{n})" for n in range(_SHADES)))
        rules = []
        for pattern, style in self._bar_styles.items():
            stops = []
            for number, kind in enumerate(pattern):
                start, end = number * _CELL, (number + 1) * _CELL
                stops.append(f"{colours[kind]} {start}px {end - 1}px")
                stops.append(f"transparent {end - 1}px {end}px")
            rules.append(f".{style}{{background:linear-gradient(90deg,{','.join(stops)})}}")
        rules.append(f".bar{{width:{len(self._history.all_releases) * _CELL}px}}")
        return Markup("\n".join(rules))

    # Links

    def _anchor(self, thing: Thing, place: Inventory) -> Markup:
        """A link to ``thing``, to the header that has it in ``place``."""
        file = self._files[place.things[thing].header.path]
        return Markup('<a href="{}#{}-{}">{}</a>').format(file, thing.kind, thing.name, thing.name)

    def _link(self, text: str, places: Sequence[Inventory], is_code: bool = False) -> Markup:
        """``text`` with links at the names of what there is in ``places``, and code in `` ` ``.

        In prose, which is not code, a word without an underscore is no name.
        """
        made = Markup()
        for number, part in enumerate(text.split("`")):
            made += (
                Markup("<code>{}</code>").format(part)
                if number % 2
                else self._plain(part, places, is_code)
            )
        return made

    def _plain(self, text: str, places: Sequence[Inventory], is_code: bool) -> Markup:
        made = Markup()
        end = 0
        for word in _WORD.finditer(text):
            is_name = is_code or "_" in word[0]
            target = self._target(word[0], places) if is_name else None
            if target is not None:
                made += text[end : word.start()] + target
                end = word.end()
        return made + text[end:]

    def _target(self, word: str, places: Sequence[Inventory]) -> Markup | None:
        for place in reversed(places):
            for kind in _LINKED:
                thing = Thing(kind, word)
                if thing in place.things:
                    return self._anchor(thing, place)
        return None

    def _index(self, pages: Sequence[Page]) -> str:
        history = self._history
        calls = [
            (page, entry)
            for page in pages
            for _, entries in page.sections
            for entry in entries
            if entry.thing.kind == "hypercall"
        ]
        calls.sort(key=lambda one: (one[1].columns[-1].face.number, one[0].path))
        kinds = ("struct", "union", "type", "constant", "hypercall", "command")
        counts = {kind: sum(thing.kind == kind for thing in history.things) for kind in kinds}
        return self._render(
            "index.html.j2",
            pages=pages,
            calls=calls,
            counts=counts,
            arches=[
                (place.abi.architecture, spans(described, described), len(described))
                for place in self._newest(history.inventories)
                for described in [history.releases[place.abi.architecture.name]]
            ],
        )

    @staticmethod
    def _search_index(pages: Sequence[Page]) -> str:
        """``[name, kind, where, doc, members]`` of everything, as a script."""
        found: list[tuple[str, str, str, str, str]] = []
        for page in pages:
            found.append((page.path, "header", page.file, page.doc, ""))
            for _, entries in [*page.sections, *page.groups]:
                for entry in entries:
                    members = dict.fromkeys(
                        row.name for line in entry.lines for row in line if row and row.name
                    )
                    where = f"{page.file}#{entry.anchor}"
                    thing = entry.thing
                    found.append((thing.name, thing.kind, where, entry.doc, " ".join(members)))
        lines = ",\n".join(json.dumps(one, separators=(",", ":")) for one in found)
        return f"// {MARK} the search of these pages.\nwindow.xenportIndex = [\n{lines}\n];\n"


def _turns(changes: Iterable[Step]) -> dict[str, set[str]]:
    """The releases in which something changed, by architecture."""
    found: dict[str, set[str]] = {}
    for step in changes:
        for arch in step.arches:
            found.setdefault(arch, set()).add(step.new)
    return found


def _callers(thing: Thing, places: Iterable[Inventory]) -> list[tuple[str, str]]:
    """The kinds of guest that have a call, with their architectures."""
    found: dict[str, list[str]] = {}
    for place in places:
        face = place.face(thing)
        assert isinstance(face, Contract)
        found.setdefault(", ".join(face.callers) or "nobody", []).append(
            place.abi.architecture.name
        )
    names = [(callers, ", ".join(arches)) for callers, arches in found.items()]
    return sorted(names, key=lambda one: one[0] == "nobody")


def _directions(thing: Thing, place: Inventory) -> list[tuple[str, str]]:
    """What of its argument a command reads and writes: direction and members."""
    arg = place.command(thing.name).arg if thing.kind == "command" else None
    if arg is None or not arg.layout.fields:
        return []
    found: dict[str, list[str]] = {}
    for member in arg.layout.fields:
        found.setdefault(member.direction, []).append(member.name)
    return [(way, ", ".join(found[way])) for way in ("in", "inout", "out") if way in found]
