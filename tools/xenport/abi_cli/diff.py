"""``xenport abi diff``: what differs between two releases, and whom it breaks."""

import json
import sys
from collections.abc import Hashable, Sequence
from itertools import groupby

import click
from rich.console import Console

from xenport.abi.detail_text import audience_text, condensed
from xenport.abi.diff import Change, Difference, InterfaceVersion, difference
from xenport.abi.history import Inventory
from xenport.abi.load import Description, description
from xenport.abi_cli.options import RELEASE
from xenport.errors import InputError
from xenport.tables import say

_SIGNS = {"added": "+", "removed": "-", "changed": "~"}
_STYLES = {"breaks": "red", "behaviour": "yellow", "source": "cyan", "extends": "green"}
_EFFECTS = {
    "breaks": "breaks",
    "behaviour": "other behaviour for",
    "source": "sources only:",
    "extends": "for",
}


@click.command()
@click.argument("old", type=RELEASE, metavar="R1")
@click.argument("new", type=RELEASE, metavar="R2")
@click.option("--arch", metavar="A", help="Only this one. Default: all that have both releases.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--exit-code", is_flag=True, help="End with status 1 if something differs.")
def diff(old: str, new: str, arch: str | None, as_json: bool, exit_code: bool) -> None:
    """Say what differs between the releases R1 and R2, and whom that breaks."""
    found = difference(_pairs(description(), old, new, arch))
    if as_json:
        click.echo(json.dumps(found.as_data(), indent=1))
    else:
        _Printer(Console(highlight=False), found).print()
    if exit_code and found.changes:
        sys.exit(1)


def _pairs(
    whole: Description, old: str, new: str, arch: str | None
) -> list[tuple[Inventory, Inventory]]:
    """The two releases on each architecture that has both."""
    if arch is not None:
        names = [arch]
    else:
        names = [
            name for name, one in whole.architectures.items() if {old, new} <= set(one.releases)
        ]
        if not names:
            there = "; ".join(
                f"{name}: {', '.join(one.releases)}" for name, one in whole.architectures.items()
            )
            raise InputError(f"no architecture has both {old} and {new}; there are: {there}")
    abis = [(whole.abi(name, old), whole.abi(name, new)) for name in names]
    return [(Inventory(before), Inventory(after)) for before, after in abis]


class _Printer:
    def __init__(self, console: Console, found: Difference) -> None:
        self._console = console
        self._found = found

    def print(self) -> None:
        found = self._found
        say(self._console, f"{found.old} to {found.new} on {', '.join(found.arches)}", style="bold")
        say(self._console, self._summary())
        for header, changes in groupby(found.changes, key=lambda change: change.header):
            say(self._console, "")
            self._header(header, list(changes))

    def _summary(self) -> str:
        if not self._found.changes:
            return "No difference."
        counts: dict[str, int] = {}
        for change in self._found.changes:
            kind = f"{change.thing.kind} {change.what}"
            counts[kind] = counts.get(kind, 0) + 1
        text = ", ".join(f"{kind}: {number}" for kind, number in sorted(counts.items()))
        broken = self._found.broken()
        whom = ", ".join(f"{who} ({number})" for who, number in broken.items()) or "nobody"
        return f"{text}.\nBreaks {whom}."

    def _header(self, path: str, changes: Sequence[Change]) -> None:
        version = next((one for one in self._found.versions if one.header == path), None)
        say(self._console, path, style="bold")
        if version is not None:
            say(self._console, f"  {self._version(version, changes)}")
        for _, same in groupby(changes, _line_key):
            self._changes(list(same))

    def _version(self, version: InterfaceVersion, changes: Sequence[Change]) -> str:
        text = f"{version.name} {version.old:#x}"
        if version.old != version.new:
            errno = f"ends with {version.errno}" if version.errno else "is refused"
            text = f"{text} -> {version.new:#x}"
            return f"{text}: every call of a tool stack made for {self._found.old} {errno}"
        if any(change.effect == "breaks" for change in changes):
            return f"{text} in both: Xen cannot tell a tool stack made for the other release"
        return f"{text} in both"

    def _changes(self, same: Sequence[Change]) -> None:
        """One line for changes that differ in nothing but the name."""
        first = same[0]
        names = ", ".join(change.thing.name for change in same)
        kind = "" if first.thing.kind == "header" else f"{first.thing.kind} "
        on = "" if first.arches == self._found.arches else f"  [{', '.join(first.arches)}]"
        whom = f"{_EFFECTS[first.effect]} {audience_text(first.audience)}"
        style = _STYLES[first.effect]
        say(self._console, f"{_SIGNS[first.what]} {kind}{names}  ({whom}){on}", style=style)
        for line in condensed(first.details):
            say(self._console, f"    {line}")


def _line_key(change: Change) -> Hashable:
    """Changes that follow each other with the same key stand on one line."""
    name = change.thing.name if change.details else ""
    return change.what, change.thing.kind, name, change.effect, change.audience, change.arches
