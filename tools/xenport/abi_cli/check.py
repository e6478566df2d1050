"""``xenport abi check``: the description against headers, or against any ELF with DWARF."""

import json
import sys
from pathlib import Path

import click
from rich.console import Console

from xenport.abi import Abi, load
from xenport.abi.check import Comparison, compare
from xenport.abi.facts import Facts, read_elf, read_tree
from xenport.abi.load import description
from xenport.abi_cli.options import RELEASE
from xenport.errors import InputError
from xenport.tables import add, put, say, table

SCHEMA = 1
"""Version of the JSON that ``--json`` prints."""


@click.command()
@click.option("--arch", required=True, metavar="A", help="Architecture, such as arm64.")
@click.option(
    "--release", type=RELEASE, metavar="R", help="Release of Xen; default: the newest described."
)
@click.option(
    "--headers",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="A tree of Xen's public headers: the folder that has xen.h.",
)
@click.option(
    "--elf",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="An ELF with debugging information: a kernel, a hypervisor, a tool.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(
    arch: str, release: str | None, headers: Path | None, elf: Path | None, as_json: bool
) -> None:
    """Compare the description with what a compiler makes of headers, or with an ELF.

    Every size, alignment, offset, bit field and value is compared, and what only one side has is
    named; of an ELF, what both have. The exit status is 1 if something differs.
    """
    if (headers is None) == (elf is None):
        raise InputError("expected one of --headers and --elf")
    abi = load(arch, release or description().architecture(arch).releases[-1])
    if headers is not None:
        result = compare(abi, read_tree(headers, abi.architecture), whole=True)
    else:
        assert elf is not None
        result = compare(abi, _facts_of(elf, abi), whole=False)
        if not result.structures:
            raise InputError(
                f"has no structure of the ABI: {len(abi.structures)} are described", elf
            )
    if as_json:
        click.echo(json.dumps(_data(abi, result), indent=2))
    else:
        _print(abi, result, Console())
    sys.exit(1 if result.differences else 0)


def _facts_of(elf: Path, abi: Abi) -> Facts:
    """The facts in ``elf``, which must be for the architecture."""
    facts = read_elf(elf)
    model = abi.architecture.data_model
    here = (8 * model.sizes["pointer"], model.endian)
    there = (facts.bits, "little" if facts.little_endian else "big")
    if here != there:
        raise InputError(
            f"is for another architecture: {there[0]}-bit {there[1]} endian, and"
            f" {abi.architecture.name} is {here[0]}-bit {here[1]} endian",
            elf,
        )
    return facts


def _print(abi: Abi, result: Comparison, console: Console) -> None:
    for difference in result.differences:
        say(console, str(difference))
    for complaint in result.broken.values():
        say(console, f"does not compile, and was left out: {complaint}")
    if result.differences or result.broken:
        say(console, "")
    counts = table(console, ("", "compared", "described"), right=(1, 2))
    typedefs = sum(
        item.kind == "type" for header in abi.headers() for item in header.types.values()
    )
    for what, compared, described in (
        ("structures", result.structures, len(abi.structures)),
        ("members", result.members, None),
        ("typedefs", result.typedefs, typedefs),
        ("constants", result.constants, len(abi.constants)),
    ):
        add(counts, what, str(compared), "" if described is None else str(described))
    put(console, counts)
    number = len(result.differences)
    end = "no difference" if not number else f"{number} difference{'s' * (number > 1)}"
    say(console, f"{abi.architecture.name} {abi.release}: {end}")


def _data(abi: Abi, result: Comparison) -> dict[str, object]:
    return {
        "schema": SCHEMA,
        "architecture": abi.architecture.name,
        "release": abi.release,
        "compared": {
            "structures": result.structures,
            "members": result.members,
            "typedefs": result.typedefs,
            "constants": result.constants,
        },
        "differences": [
            {
                "header": one.header,
                "name": one.name,
                "side": one.side,
                "text": one.text,
            }
            for one in result.differences
        ],
        "broken": result.broken,
    }
