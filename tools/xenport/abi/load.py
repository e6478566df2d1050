"""The description as a whole: which files there are, and the ABIs they describe."""

import functools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from xenport import architecture, content
from xenport.abi.constants import Source
from xenport.abi.core import Abi
from xenport.abi.layout import Place
from xenport.abi.releases import Range, rank, resolve
from xenport.abi.schema import (
    CallerSpec,
    ErrorSpec,
    FieldSpec,
    FileSpec,
    Ranged,
    StatusSpec,
    interface_of,
)
from xenport.architecture import Architecture
from xenport.errors import InputError
from xenport.yamlsource import Document, suggestion


class Description:
    """The files below ``abi`` and ``arch`` (folders). Each is read when it is first needed."""

    def __init__(self, abi: Path, arch: Path) -> None:
        self._abi_folder = abi
        self._arch_folder = arch
        self._abis: dict[tuple[str, str], Abi] = {}
        self._families: dict[str, list[Source]] = {}

    @functools.cached_property
    def architectures(self) -> dict[str, Architecture]:
        """All architectures by name."""
        paths = sorted(self._arch_folder.glob("*/*.yaml"))
        return {path.stem: _architecture(path) for path in paths}

    def architecture(self, arch: str) -> Architecture:
        """The architecture ``arch``. Raises ``InputError`` if there is none."""
        known = {path.stem: path for path in self._arch_folder.glob("*/*.yaml")}
        if arch not in known:
            raise InputError(f"unknown architecture '{arch}'{suggestion(arch, known)}")
        return _architecture(known[arch])

    def abi(self, arch: str, release: str) -> Abi:
        """The ABI of ``arch`` at ``release``. Raises ``InputError`` if there is none."""
        key = (arch, release)
        if key not in self._abis:
            one = self.architecture(arch)
            if release not in one.releases:
                raise InputError(
                    f"release '{release}' of {arch} is not described; there are:"
                    f" {', '.join(one.releases)}"
                )
            self._abis[key] = Abi(one.at(release), release, self._sources(one.family))
        return self._abis[key]

    def model_abi(self, arch: str, release: str) -> Abi:
        """Like `abi`, with the guests that no Xen runs yet but the model does."""
        abi = self.abi(arch, release)
        one = abi.architecture
        if not one.model_guests:
            return abi
        guests = [*one.guests, *one.model_guests]
        return Abi(one.model_copy(update={"guests": guests}), release, self._sources(one.family))

    def abis(self) -> Iterator[Abi]:
        """Every ABI: each architecture at each of its releases."""
        for name, one in self.architectures.items():
            for release in one.releases:
                yield self.abi(name, release)

    def check(self) -> None:
        """Check everything, for all architectures and releases. Raises ``InputError``."""
        sources = [
            source
            for family in {one.family: None for one in self.architectures.values()}
            for source in self._sources(family)
        ]
        guests = sorted({guest for one in self.architectures.values() for guest in one.guests})
        facts = _Facts(
            constants=_constant_names(sources),
            headers={source.spec.header for source in sources}
            | {one.header for one in self.architectures.values()},
            guests=guests,
            arches=_arches(self.architectures.values()),
        )
        for source in sources:
            _check_file(source, facts)
        for abi in self.abis():
            abi.check()
            if abi.architecture.model_guests:
                self.model_abi(abi.architecture.name, abi.release).check()

    @functools.cached_property
    def _shared(self) -> list[Source]:
        return [_read(path) for path in sorted(self._abi_folder.rglob("*.yaml"))]

    def _sources(self, family: str) -> list[Source]:
        """The files that hold for an architecture family."""
        if family not in self._families:
            own = sorted((self._arch_folder / family / "abi").rglob("*.yaml"))
            self._families[family] = [*self._shared, *(_read(path) for path in own)]
        return self._families[family]


@functools.cache
def description() -> Description:
    """xenport's own description."""
    return Description(content.folder("abi"), content.folder("arch"))


def load(arch: str, release: str) -> Abi:
    """The ABI of ``arch`` at ``release``, such as ``load("arm64", "4.17")``; ``head`` is one too.

    Raises ``InputError`` for an unknown name and for files that are not in the grammar. Mistakes
    in what a file refers to are found when that is used; ``load_description()`` finds them all.
    """
    return description().abi(arch, resolve(release))


@functools.cache
def load_for_model(arch: str, release: str) -> Abi:
    """The ABI that the model serves: with the guests that no Xen runs yet. See `load`."""
    return description().model_abi(arch, release)


def load_description() -> Description:
    """xenport's own description, checked for all architectures and releases."""
    whole = description()
    whole.check()
    return whole


class _Facts:
    """What there is in the whole description; ``arches`` maps a name to what it stands for."""

    def __init__(
        self,
        constants: set[str],
        headers: set[str],
        guests: list[str],
        arches: dict[str, frozenset[str]],
    ) -> None:
        self.constants = constants
        self.headers = headers
        self.guests = guests
        self.arches = arches

    def arches_of(self, spec: Ranged) -> frozenset[str]:
        """The architectures that ``spec`` is for."""
        named = self.arches if spec.arches is None else spec.arches
        return frozenset().union(*(self.arches[name] for name in named))


def _arches(all_of_them: Iterable[Architecture]) -> dict[str, frozenset[str]]:
    """Each architecture by its name, and those of each family by the family's."""
    found: dict[str, frozenset[str]] = {}
    for one in all_of_them:
        found[one.name] = frozenset({one.name})
        found[one.family] = found.get(one.family, frozenset()) | {one.name}
    return found


def _architecture(path: Path) -> Architecture:
    """The architecture in the file ``path``, with releases that there are."""
    one = architecture.read(path)
    for index, release in enumerate(one.releases):
        try:
            rank(release)
        except ValueError as error:
            raise Document(path).error(str(error), "releases", index) from None
    return one


def _read(path: Path) -> Source:
    document = Document(path)
    return Source(document, document.parse(FileSpec))


def _constant_names(sources: Sequence[Source]) -> set[str]:
    found: set[str] = set()
    for source in sources:
        for group in source.spec.constants:
            found.update(group.values)
        for name, calls in source.spec.hypercalls.items():
            found.add(f"__HYPERVISOR_{name}")
            for call in calls:
                found.update(call.commands)
    return found


def _check_file(source: Source, facts: _Facts) -> None:
    """What can be said about a file without choosing an architecture and a release."""
    spec, top = source.spec, source.place
    for index, name in enumerate(spec.includes):
        if name != "arch" and name not in facts.headers:
            raise top.error(
                f"no file describes the header '{name}'{suggestion(name, facts.headers)}",
                "includes",
                index,
            )
    _check_conditions(spec, top, facts)
    for index, group in enumerate(spec.constants):
        place = top.at("constants", index)
        _check_conditions(group, place, facts)
        for name, values in group.values.items():
            _check_alternatives(values, place.at("values", name), facts)
    for name, types in spec.types.items():
        _check_alternatives(types, top.at("types", name), facts)
    for section, structs in (("structs", spec.structs), ("unions", spec.unions)):
        for name, alternatives in structs.items():
            place = top.at(section, name)
            _check_alternatives(alternatives, place, facts)
            for index, struct in enumerate(alternatives):
                _check_fields(struct.fields, place.at(index, "fields"), facts)
                _check_list(struct.rules, place.at(index, "rules"), facts)
    for section in ("rings", "byte_rings", "save_records", "macros"):
        for name, things in getattr(spec, section).items():
            _check_alternatives(things, top.at(section, name), facts)
    for name, calls in spec.hypercalls.items():
        place = top.at("hypercalls", name)
        _check_alternatives(calls, place, facts)
        for index, call in enumerate(calls):
            here = place.at(index)
            _check_list(call.args, here.at("args"), facts)
            _check_errors(call.errors, here.at("errors"), facts)
            _check_errors(call.unknown_command, here.at("unknown_command"), facts)
            _check_callers(call.callers, here.at("callers"), facts)
            for command_name, commands in call.commands.items():
                inner = here.at("commands", command_name)
                _check_alternatives(commands, inner, facts)
                for number, command in enumerate(commands):
                    _check_list(command.rules, inner.at(number, "rules"), facts)
                    _check_errors(command.statuses, inner.at(number, "statuses"), facts)
                    _check_errors(command.errors, inner.at(number, "errors"), facts)
                    _check_callers(command.callers or [], inner.at(number, "callers"), facts)


def _check_conditions(spec: Ranged, place: Place, facts: _Facts) -> None:
    for index, name in enumerate(spec.arches or []):
        if name not in facts.arches:
            raise place.error(
                f"unknown architecture '{name}'{suggestion(name, facts.arches)}", "arches", index
            )
    for key in ("requires", "unless"):
        name = getattr(spec, key)
        if name is not None and name not in facts.constants:
            raise place.error(
                f"{key}: no file defines the constant '{name}'{suggestion(name, facts.constants)}",
                key,
            )


def _check_list(specs: Sequence[Ranged], place: Place, facts: _Facts) -> None:
    for index, spec in enumerate(specs):
        _check_conditions(spec, place.at(index), facts)


def _check_alternatives(specs: Sequence[Ranged], place: Place, facts: _Facts) -> None:
    """Alternatives without conditions have disjoint ranges."""
    _check_list(specs, place, facts)
    plain = [
        (index, Range.of(spec), facts.arches_of(spec))
        for index, spec in enumerate(specs)
        if spec.requires is None and spec.unless is None and interface_of(spec) is None
    ]
    for number, (index, one, here) in enumerate(plain):
        for _, other, there in plain[:number]:
            if one.overlaps(other) and here & there:
                raise place.error(
                    "the releases overlap with those of an entry above; give since and until",
                    index,
                )


def _check_fields(specs: Sequence[FieldSpec], place: Place, facts: _Facts) -> None:
    _check_list(specs, place, facts)
    for index, spec in enumerate(specs):
        _check_fields(spec.union or [], place.at(index, "union"), facts)
        _check_fields(spec.struct or [], place.at(index, "struct"), facts)


def _check_errors(specs: Sequence[ErrorSpec | StatusSpec], place: Place, facts: _Facts) -> None:
    _check_list(specs, place, facts)
    for index, spec in enumerate(specs):
        _check_callers(spec.callers or [], place.at(index, "callers"), facts)


def _check_callers(specs: Sequence[CallerSpec], place: Place, facts: _Facts) -> None:
    _check_list(specs, place, facts)
    for index, spec in enumerate(specs):
        if spec.guest not in facts.guests:
            near = suggestion(spec.guest, facts.guests)
            raise place.error(f"unknown caller '{spec.guest}'{near}", index)
