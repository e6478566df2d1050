"""``xenport abi import``: a release's headers into the description."""

import re
from pathlib import Path

import click
from rich.console import Console

from xenport import content
from xenport.abi import Description
from xenport.abi.importer import Importer
from xenport.abi.releases import rank
from xenport.abi_cli.options import RELEASE
from xenport.emit import c
from xenport.errors import InputError
from xenport.tables import add, put, say, table


@click.command("import")
@click.option(
    "--release", type=RELEASE, required=True, metavar="R", help="Release that the headers are of."
)
@click.option(
    "--headers",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Its tree of public headers: the folder that has xen.h.",
)
def import_(release: str, headers: Path) -> None:
    """Bring the description up to a release, from its headers.

    Layouts, values and the releases they hold for are written into the YAML files of this
    checkout. What a program cannot know is left for you, and listed.
    """
    try:
        rank(release)
    except ValueError as error:
        raise InputError(f"{error}; a new one is added in tools/xenport/abi/releases.py") from None
    console = Console()
    errors = Console(stderr=True)
    with errors.status("") as status:
        found = Importer(
            content.folder("abi"), content.folder("arch"), release, headers, status.update
        ).run()
    for complaint in found.broken.values():
        say(console, f"does not compile, and was left out: {complaint}")
    rows = table(console, ("header", "new", "changed"))
    for header in sorted({*found.new, *found.changed}):
        add(
            rows,
            header,
            ", ".join(found.new.get(header, [])),
            ", ".join(found.changed.get(header, [])),
        )
    if found.new or found.changed:
        put(console, rows)
    emitted = _emitted(release)
    macros = [name for name in found.macros if name not in emitted]
    if macros:
        say(console, f"macros that are yet to be described: {', '.join(macros)}")
    for path in found.files:
        say(console, f"wrote {path}")
    if not found.files:
        say(console, "nothing to do: the description says what the headers say")


def _emitted(release: str) -> frozenset[str]:
    """The macros with parameters that generated headers have."""
    whole = Description(content.folder("abi"), content.folder("arch"))
    return frozenset(
        name
        for arch, one in whole.architectures.items()
        if release in one.releases
        for text in c.texts(whole.abi(arch, release)).values()
        for name in re.findall(r"^ *# *define (\w+)\(", text, re.MULTILINE)
    )
