"""``xenport abi docs``: the ABI as static HTML."""

from pathlib import Path

import click

from xenport.abi.load import description
from xenport.abi_cli.options import RELEASE
from xenport.emit import docs as emitter
from xenport.emit.tree import write_tree
from xenport.errors import InputError


@click.command()
@click.option("--arch", "arches", multiple=True, metavar="A", help="Only this; may be repeated.")
@click.option(
    "--release",
    "releases",
    type=RELEASE,
    multiple=True,
    metavar="R",
    help="Only this; may be repeated.",
)
@click.option(
    "-o",
    "out",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder to write; made whole or not at all. Open its index.html.",
)
def docs(arches: tuple[str, ...], releases: tuple[str, ...], out: Path) -> None:
    """Write a reference of the ABI to browse: HTML, with search, that needs no network.

    Without options it has every architecture and release.
    """
    whole = description()
    for arch in arches:
        whole.architecture(arch)
    abis = [
        abi
        for abi in whole.abis()
        if (not arches or abi.architecture.name in arches)
        and (not releases or abi.release in releases)
    ]
    missing = set(releases) - {abi.release for abi in abis}
    if missing:
        raise InputError(f"release '{min(missing)}' is not described for these architectures")
    for abi in abis:
        abi.check()
    write_tree(emitter.texts(abis), out)
