"""Bring the YAML files up to date with what the worlds have, keeping what people wrote.

Layouts, values, conditions and new names come from the worlds. Documentation, directions, lengths,
resources and hypercalls stay as they are, and so does everything that no world contradicts.
"""

import os.path
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xenport.abi.importer.conditions import World
from xenport.abi.importer.merge import Merger
from xenport.abi.importer.shapes import Shapes

_ANNOTATIONS = ("dir", "count", "resource", "varies", "doc")
_STRUCT_ANNOTATIONS = ("doc", "helper", "rules")
_MOST_GAP = 12  # lines between constants of one group
_INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
_TOOLS = re.compile(r"__XEN_TOOLS__[^\n]*\n(?:[^\n]*\n){0,2}#\s*error")


@dataclass(frozen=True)
class Tree:
    """The headers of one release; ``headers`` by world: what compiled there.

    ``folder`` is where they are, or ``None`` for a release that is known from the description.
    """

    folder: Path | None
    headers: dict[World, list[str]] = field(default_factory=dict)


@dataclass
class Files:
    """The description's files: data by header, and where each is."""

    data: dict[str, dict[str, Any]]
    paths: dict[str, Path]


class Updater:
    """Updates ``files``. ``stale`` are names whose description is wrong in some world."""

    def __init__(
        self,
        files: Files,
        merger: Merger,
        trees: Sequence[Tree],
        stale: Collection[str],
    ) -> None:
        self._files = files
        self._merger = merger
        self._trees = trees
        self._stale = frozenset(stale)
        self._worlds: dict[str, set[World]] = {}
        for tree in trees:
            for world, headers in tree.headers.items():
                for header in headers:
                    self._worlds.setdefault(header, set()).add(world)
        self._places: dict[tuple[str, str], int] = {}
        self._new: set[tuple[str, str]] = set()

    def update(self, place: Callable[[str, set[World]], Path]) -> None:
        """Update everything; ``place`` says where the file of a new header goes."""
        known = _known_names(self._files.data)
        gather = self._merger.gathered
        self._structs(gather(_at_home(lambda one: one.structs)), known)
        self._types(gather(_at_home(lambda one: one.types)), known)
        self._enums(gather(_at_home(lambda one: one.enums)), known)
        self._simple("rings", gather(_at_home(lambda one: one.rings)), _ring, known)
        self._simple("byte_rings", gather(_at_home(lambda one: one.byte_rings)), _bytes, known)
        records = gather(_at_home(lambda one: one.save_records, "record "))
        self._simple("save_records", records, _record, known)
        self._constants(gather(_at_home(lambda one: one.constants)), known)
        for header in self._worlds:
            self._file(header)
        for header, data in self._files.data.items():
            if header not in self._files.paths:
                self._files.paths[header] = place(header, self._worlds.get(header, set()))
            self._sort(header, data)

    # Files

    def _file(self, header: str) -> None:
        """The includes of a header, and its conditions if it has no file yet."""
        data = self._data(header)
        texts = list(self._texts(header))
        includes = list(data.get("includes", []))
        for text in texts:
            for path in _INCLUDE.findall(text):
                there = os.path.normpath(os.path.join(os.path.dirname(header), path))  # noqa: PTH118, PTH120
                own = there.startswith("arch-") and "arch" in includes
                if there in self._worlds and there not in (header, *includes) and not own:
                    includes.append(there)
        if includes:
            data["includes"] = includes
        if header in self._files.paths:
            return
        if any(_TOOLS.search(text) for text in texts):
            data["tools"] = True
        everywhere = {world for worlds in self._worlds.values() for world in worlds}
        found = self._merger.conditions(self._worlds[header], everywhere)
        if len(found) > 1:  # what stands in the file has conditions of its own
            found = [{"arches": [arch for one in found for arch in one.get("arches", [])]}]
        data.update(found[0])

    def _data(self, header: str) -> dict[str, Any]:
        return self._files.data.setdefault(header, {"header": header})

    def _texts(self, header: str) -> Iterator[str]:
        """The header in each tree, newest first."""
        for tree in reversed(self._trees):
            if tree.folder is None:
                continue
            path = tree.folder / header
            if path.is_file():
                yield path.read_text(errors="replace")

    def _around(self, header: str) -> set[World]:
        return self._worlds.get(header, set())

    # What stands in them

    def _wanted(self, name: str, header: str, known: Mapping[str, set[str]]) -> bool:
        """Whether ``name`` of ``header`` is to be written: it is new, or wrong."""
        if header not in known.get(name, ()):
            self._new.add((header, name))
            return True
        return name in self._stale

    def _structs(self, things: Mapping[Any, dict[World, Any]], known: Any) -> None:
        for (header, name), worlds in things.items():
            shapes = {world: shape for world, (shape, _) in worlds.items()}
            kind = next(iter(shapes.values())).kind
            self._note(header, name, worlds)
            if not self._wanted(name, header, known):
                continue
            section = self._data(header).setdefault(f"{kind}s", {})
            old = _listed(section.get(name))
            new = self._merger.struct(shapes, self._around(header))
            for one in new:
                for key in _STRUCT_ANNOTATIONS:
                    kept = [before[key] for before in old if key in before]
                    if kept:
                        one[key] = kept[0]
                _annotate(one["fields"], [before.get("fields", []) for before in old])
            section[name] = new[0] if len(new) == 1 else new

    def _types(self, things: Mapping[Any, dict[World, Any]], known: Any) -> None:
        for (header, name), worlds in things.items():
            self._note(header, name, worlds)
            if not self._wanted(name, header, known):
                continue
            section = self._data(header).setdefault("types", {})
            old = _listed(section.get(name))
            texts = {world: text for world, (text, _) in worlds.items()}
            new = self._merger.alternatives(
                texts, lambda text: {"type": text}, self._around(header)
            )
            for one in new:
                for before in old:
                    if isinstance(before, dict):
                        for key in ("resource", "doc"):
                            if key in before:
                                one.setdefault(key, before[key])
            section[name] = new[0] if len(new) == 1 else new

    def _enums(self, things: Mapping[Any, dict[World, Any]], known: Any) -> None:
        for (header, name), worlds in things.items():
            self._note(header, name, worlds)
            if not self._wanted(name, header, known):
                continue
            groups = self._data(header).setdefault("constants", [])
            group = next((one for one in groups if one["name"] == name), None)
            if group is None:
                group = {"name": name, "kind": "enum", "values": {}}
                groups.append(group)
            if any(typedef for (typedef, _), _ in worlds.values()):
                group["typedef"] = True
            condition = self._merger.conditions(set(worlds), self._around(header))
            group.update(condition[0])
            values: dict[str, dict[World, Any]] = {}
            for world, ((_, pairs), _) in worlds.items():
                for one, number in pairs:
                    values.setdefault(one, {})[world] = (number, number, None)
            for one, found in values.items():
                group["values"][one] = _value(
                    self._merger.constant(found, set(worlds)), group["values"].get(one)
                )

    def _simple(
        self,
        section_name: str,
        things: Mapping[Any, dict[World, Any]],
        data: Callable[[Any], dict[str, Any]],
        known: Any,
    ) -> None:
        for (header, name), worlds in things.items():
            self._note(header, name, worlds)
            if not self._wanted(name, header, known):
                continue
            section = self._data(header).setdefault(section_name, {})
            old = _listed(section.get(name))
            found = {world: thing for world, (thing, _) in worlds.items()}
            new = self._merger.alternatives(found, data, self._around(header))
            for one in new:
                one.update(
                    {key: value for before in old for key, value in before.items() if key == "doc"}
                )
            section[name] = new[0] if len(new) == 1 else new

    def _constants(self, things: Mapping[Any, dict[World, Any]], known: Any) -> None:
        calls = {
            f"__HYPERVISOR_{name}"
            for data in self._files.data.values()
            for name in data.get("hypercalls", {})
        }
        by_header: dict[str, list[tuple[int, str, dict[World, Any]]]] = {}
        for (header, name), worlds in things.items():
            line = next(iter(worlds.values()))[1]
            by_header.setdefault(header, []).append((line, name, worlds))
        for header, named in by_header.items():
            named.sort(key=lambda one: one[0])
            groups = self._data(header).get("constants", [])
            holder = {name: group for group in groups for name in group["values"]}
            commands = _commands(self._data(header))
            previous: tuple[int, str] | None = None
            fresh: list[dict[str, Any]] = []
            for line, name, worlds in named:
                if name in commands or name in calls:
                    continue
                group = holder.get(name)
                if group is None and not self._wanted(name, header, known):
                    continue
                if group is None:
                    group = self._group_of(name, line, previous, holder)
                    if group is None:
                        prefixes = {_prefix(list(one["values"])): one for one in fresh}
                        group = _by_prefix(name, prefixes)
                    if group is None:
                        group = {"name": "", "values": {}}
                        groups.append(group)
                        fresh.append(group)
                    holder[name] = group
                    found = {world: thing for world, (thing, _) in worlds.items()}
                    new = self._merger.constant(found, self._around(header))
                    group["values"][name] = _value(new, None)
                elif name in self._stale:
                    found = {world: thing for world, (thing, _) in worlds.items()}
                    new = self._merger.constant(found, self._around(header))
                    group["values"][name] = _value(new, group["values"][name])
                previous = (line, name)
            for group in fresh:
                group["name"] = _prefix(list(group["values"]))
            if groups:
                self._data(header)["constants"] = groups

    def _group_of(
        self,
        name: str,
        line: int,
        previous: tuple[int, str] | None,
        holder: Mapping[str, dict[str, Any]],
    ) -> dict[str, Any] | None:
        """The group that a new constant at ``line`` continues."""
        if previous is None or line - previous[0] > _MOST_GAP:
            return None
        return holder.get(previous[1]) if _alike(previous[1], name) else None

    def _note(self, header: str, name: str, worlds: Mapping[World, Any]) -> None:
        self._places.setdefault((header, name), next(iter(worlds.values()))[1])

    def _sort(self, header: str, data: dict[str, Any]) -> None:
        """Put new types where the header has them; the others keep their order."""
        for section in ("types", "structs", "unions", "rings", "byte_rings"):
            if section not in data:
                continue
            old = [name for name in data[section] if (header, name) not in self._new]
            order = list(old)
            for name in data[section]:
                if (header, name) in self._new:
                    order.insert(self._position(header, name, order), name)
            data[section] = {name: data[section][name] for name in order}

    def _position(self, header: str, name: str, order: Sequence[str]) -> int:
        """Where ``name`` goes in ``order``: behind what is before it in the header."""
        line = self._places[header, name]
        before = [
            index
            for index, other in enumerate(order)
            if self._places.get((header, other), line) < line
        ]
        return before[-1] + 1 if before else 0


def _at_home(
    pick: Callable[[Shapes], Mapping[str, Any]], prefix: str = ""
) -> Callable[[Shapes], Mapping[Any, Any]]:
    """What ``pick`` gives, by header and name, each with its line."""

    def found(shapes: Shapes) -> Mapping[Any, Any]:
        return {
            (shapes.places[prefix + name][0], name): (thing, shapes.places[prefix + name][1])
            for name, thing in pick(shapes).items()
        }

    return found


def _known_names(files: Mapping[str, dict[str, Any]]) -> dict[str, set[str]]:
    """The headers that each name is described in."""
    known: dict[str, set[str]] = {}
    for header, data in files.items():
        names: list[str] = []
        for section in ("types", "structs", "unions", "rings", "byte_rings", "save_records"):
            names += data.get(section, {})
        for group in data.get("constants", []):
            names += group["values"]
            names.append(group["name"])
        names += _commands(data)
        for name in names:
            known.setdefault(name, set()).add(header)
    return known


def _commands(data: Mapping[str, Any]) -> set[str]:
    """The commands of a file's hypercalls."""
    return {
        command
        for calls in data.get("hypercalls", {}).values()
        for call in _listed(calls)
        for command in call.get("commands", {})
    }


def _listed(thing: Any) -> list[Any]:
    if thing is None:
        return []
    return thing if isinstance(thing, list) else [thing]


def _annotate(fields: list[dict[str, Any]], before: Sequence[list[dict[str, Any]]]) -> None:
    """Take over what people wrote about members of the same name."""
    for one in fields:
        same = [old for olds in before for old in olds if _identity(old) == _identity(one)]
        for key in _ANNOTATIONS:
            for old in same:
                if key in old:
                    one.setdefault(key, old[key])
        for kind in ("struct", "union"):
            if kind in one:
                _annotate(one[kind], [old.get(kind, []) for old in same])


def _identity(one: Mapping[str, Any]) -> Any:
    name = one.get("name")
    if name is not None:
        return name
    inner = one.get("union") or one.get("struct") or [{}]
    return ("in", _identity(inner[0]) if inner[0] else None)


def _value(new: list[dict[str, Any]], old: Any) -> Any:
    """The alternatives ``new`` of a constant with the documentation that ``old`` had."""
    docs = [
        before["doc"] for before in _listed(old) if isinstance(before, dict) and "doc" in before
    ]
    for one in new:
        if docs:
            one["doc"] = docs[0]
    if len(new) > 1:
        return new
    return new[0]["value"] if list(new[0]) == ["value"] else new[0]


def _common(names: Sequence[str]) -> str:
    """The letters that all of ``names`` begin with."""
    least, most = min(names), max(names)
    differ = (
        index for index, pair in enumerate(zip(least, most, strict=False)) if len(set(pair)) > 1
    )
    return least[: next(differ, len(least))]


def _alike(one: str, other: str) -> bool:
    """Whether two names begin with the same word or words."""
    common = _common([one.strip("_"), other.strip("_")])
    return "_" in common or len(common) >= 6


def _by_prefix(name: str, prefixes: Mapping[str, dict[str, Any]]) -> dict[str, Any] | None:
    """The group whose common prefix ``name`` has too; the longest one."""
    bare = name.strip("_")
    fitting = [prefix for prefix in prefixes if bare.startswith(f"{prefix}_")]
    return prefixes[max(fitting, key=len)] if fitting else None


def _prefix(names: list[str]) -> str:
    """What the names of a group have in common, at the end of a word."""
    common = _common([name.strip("_") for name in names])
    if len(names) > 1 and "_" in common:
        common = common[: common.rindex("_")]
    return common.rstrip("_") or names[0]


def _ring(thing: tuple[str, str]) -> dict[str, Any]:
    return {"request": thing[0], "response": thing[1]}


def _bytes(interface: bool) -> dict[str, Any]:
    return {"interface": True} if interface else {}


def _record(thing: tuple[int, str, str | None]) -> dict[str, Any]:
    return {"code": thing[0], "type": thing[1], **({"compat": thing[2]} if thing[2] else {})}
