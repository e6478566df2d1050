"""Take the facts of a release's headers over into the description.

What is new is added, what changed gets the releases in which it was so, and what is gone ends with
the release before. Documentation, directions, lengths and rules are for people to write.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from xenport.abi import style
from xenport.abi.check import compare
from xenport.abi.facts import Facts, read_tree
from xenport.abi.importer.conditions import World
from xenport.abi.importer.described import shapes_of
from xenport.abi.importer.merge import Merger
from xenport.abi.importer.shapes import Shapes, shapes
from xenport.abi.importer.update import Files, Tree, Updater
from xenport.abi.load import Description
from xenport.abi.releases import rank
from xenport.errors import InputError
from xenport.yamlsource import Document


@dataclass
class Import:
    """What an import found and wrote."""

    files: list[Path] = field(default_factory=list)  # that changed, or are new
    new: dict[str, list[str]] = field(default_factory=dict)  # header: names that it did not have
    changed: dict[str, list[str]] = field(default_factory=dict)  # names that were otherwise
    broken: dict[str, str] = field(default_factory=dict)  # headers that do not compile
    macros: list[str] = field(default_factory=list)  # that only a person can describe


class Importer:
    """Imports one release into ``description``, whose files are in ``abi`` and ``arch``.

    ``headers`` is the release's tree of public headers. Every architecture that lists the release
    takes part.
    """

    def __init__(
        self, abi: Path, arch: Path, release: str, headers: Path, say: Callable[[str], None]
    ) -> None:
        self._folders = (abi, arch)
        self._release = release
        self._headers = headers
        self._say = say
        self._description = Description(abi, arch)
        self._architectures = {
            name: one.at(release)
            for name, one in self._description.architectures.items()
            if release in one.releases
        }
        if not self._architectures:
            raise InputError(
                f"no architecture has the release {release}; add it to 'releases' of each that"
                f" has it, in {arch}/FAMILY/NAME.yaml"
            )
        self._facts: dict[World, Facts] = {}

    def run(self) -> Import:
        """Import, and write the files that change."""
        result = Import()
        for name, one in self._architectures.items():
            self._say(f"reading the headers for {name}")
            facts = self._facts[World(name, self._release)] = read_tree(self._headers, one)
            result.broken.update(facts.broken)
            for macro in facts.macros.values():
                if macro.parameters is not None and macro.name not in result.macros:
                    result.macros.append(macro.name)
        before = self._read_files()
        untouched = copy.deepcopy(before.data)
        stale = self._stale(result)
        self._say("merging")
        self._update(before, stale)
        for header, data in before.data.items():
            if untouched.get(header) != data:
                path = before.paths[header]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(style.dump(data), encoding="utf-8")
                result.files.append(path)
        result.macros = [name for name in result.macros if name not in self._macros(before)]
        return result

    def _read_files(self) -> Files:
        files = Files({}, {})
        abi, arch = self._folders
        for path in sorted([*abi.rglob("*.yaml"), *arch.glob("*/abi/**/*.yaml")]):
            document = Document(path)
            header = document.data["header"]
            files.data[header], files.paths[header] = document.data, path
        return files

    def _macros(self, files: Files) -> set[str]:
        return {name for data in files.data.values() for name in data.get("macros", {})}

    def _stale(self, result: Import) -> set[str]:
        """Names whose description is wrong at the release; notes them and the new ones."""
        stale = set()
        for world, facts in self._facts.items():
            comparison = compare(self._description.abi(*world), facts, whole=True)
            for one in comparison.differences:
                into = result.new if one.side == "only in C" else result.changed
                names = into.setdefault(one.header, [])
                if one.name not in names:
                    names.append(one.name)
                if one.side != "only in C":
                    stale.add(one.name)
        return stale

    def _update(self, files: Files, stale: set[str]) -> None:
        worlds: list[Shapes] = []
        trees: dict[str, Tree] = {}
        for name, one in self._description.architectures.items():
            for release in one.releases:
                world = World(name, release)
                if world in self._facts:
                    facts = self._facts[world]
                    long_bits = one.at(release).data_model.sizes["long"] * 8
                    worlds.append(shapes(world, facts, self._headers, long_bits))
                    tree = trees.setdefault(release, Tree(self._headers))
                    tree.headers[world] = facts.headers
                else:
                    abi = self._description.abi(name, release)
                    worlds.append(shapes_of(abi))
                    tree = trees.setdefault(release, Tree(None))
                    tree.headers[world] = [header.path for header in abi.headers()]
        families = {name: one.family for name, one in self._description.architectures.items()}
        merger = Merger(worlds, families)
        ordered = [trees[release] for release in sorted(trees, key=rank)]
        updater = Updater(files, merger, ordered, stale)
        updater.update(lambda header, there: self._place(header, there))

    def _place(self, header: str, worlds: Sequence[World] | set[World]) -> Path:
        """Where the file of a new header goes: beside its like."""
        abi, arch = self._folders
        stem = header.removesuffix(".h")
        if not header.startswith("arch-"):
            return abi / f"{stem}.yaml"
        family = next(
            self._description.architectures[world.arch].family for world in sorted(worlds)
        )
        folder, _, name = stem.partition("/")
        return arch / family / "abi" / f"{name or folder}.yaml"
