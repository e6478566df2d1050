"""On which architectures and releases something is, as the conditions of the grammar say it."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from xenport.abi.releases import RELEASES, rank


class World(NamedTuple):
    """One architecture at one release."""

    arch: str
    release: str


@dataclass(frozen=True)
class _Run:
    """Releases of one architecture that follow each other; ranks.

    The release that began it is after ``before`` and not after ``first``; the one that ended it is
    not before ``last`` and before ``after``.
    """

    before: int
    first: int
    last: int
    after: int


def conditions(
    there: Collection[World],
    around: Collection[World],
    families: dict[str, str],
) -> list[dict[str, Any]]:
    """``arches``, ``since`` and ``until`` that pick the worlds ``there`` from those ``around``.

    ``families`` maps each architecture to its family. There is more than one set of conditions
    where one cannot say it; one without keys where ``there`` is all of ``around``.
    """
    by_arch: dict[str, list[_Run]] = {}
    for arch in sorted({world.arch for world in there}):
        by_arch[arch] = list(_runs(arch, there, around))
    whole = _join(by_arch, around, families)
    if whole is not None:
        return [whole]
    parts = []
    for family in dict.fromkeys(families[arch] for arch in by_arch):
        members = {arch: runs for arch, runs in by_arch.items() if families[arch] == family}
        joined = _join(members, around, families)
        if joined is not None:
            parts.append(joined)
            continue
        for arch, runs in members.items():
            for run in runs:
                single = _join({arch: [run]}, around, families)
                assert single is not None
                parts.append(single)
    return parts


def _runs(arch: str, there: Collection[World], around: Collection[World]) -> Iterable[_Run]:
    known = sorted(rank(world.release) for world in around if world.arch == arch)
    has = {rank(world.release) for world in there if world.arch == arch}
    run: list[int] = []
    before = -1
    for index, release in enumerate(known):
        if release in has:
            if not run:
                before = known[index - 1] if index else -1
            run.append(release)
        if run and (release not in has or index == len(known) - 1):
            after = release if release not in has else len(RELEASES)
            yield _Run(before, run[0], run[-1], after)
            run = []


def _join(
    by_arch: dict[str, list[_Run]], around: Collection[World], families: dict[str, str]
) -> dict[str, Any] | None:
    """One set of conditions for all of ``by_arch``, if one can say it."""
    runs = [run for own in by_arch.values() for run in own]
    if any(len(own) > 1 for own in by_arch.values()):
        return None
    first, before = min(run.first for run in runs), max(run.before for run in runs)
    last, after = max(run.last for run in runs), min(run.after for run in runs)
    if before >= first or after <= last:
        return None
    found: dict[str, Any] = {}
    since = first if before >= 0 else -1
    until = last if after < len(RELEASES) else len(RELEASES)
    others = {
        world.arch
        for world in around
        if world.arch not in by_arch and since <= rank(world.release) <= until
    }
    if others:
        found["arches"] = _named(set(by_arch), others, families)
    if since >= 0:
        found["since"] = RELEASES[since]
    if until < len(RELEASES):
        found["until"] = RELEASES[until]
    return found


def _named(arches: set[str], others: set[str], families: dict[str, str]) -> list[str]:
    """Names of families where all of one are meant, of architectures where not."""
    names = []
    for family in dict.fromkeys(families[arch] for arch in sorted(arches)):
        if any(families[arch] == family for arch in others):
            names += sorted(arch for arch in arches if families[arch] == family)
        else:
            names.append(family)
    return names
