"""The ``xenport`` command."""

import json
import pkgutil
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from xenport import __version__, emit, port as ports
from xenport.abi import load as load_abi
from xenport.abi_cli.options import RELEASE
from xenport.errors import InputError
from xenport.suite import coverage as suite_coverage, outcomes, session
from xenport.suite.coverage_table import print_coverage
from xenport.suite.progress import recordings_bar

_MODEL = "model"  # all ports of that kind

_ELSEWHERE = {
    "abi": "xenport.abi_cli:abi",
    "faults": "xenport.faults.command:faults",
    "trace": "xenport.trace_cli:trace",
}
"""Commands that are imported when they are used: the libraries of one take others half a second."""


class _Group(click.Group):
    """Prints bad input as one line and ends with status 2; anything else is a bug and shows."""

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted([*super().list_commands(context), *_ELSEWHERE])

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name in _ELSEWHERE:
            found: click.Command = pkgutil.resolve_name(_ELSEWHERE[name])
            return found
        return super().get_command(context, name)

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except InputError as error:
            click.echo(f"xenport: {error}", err=True)
            sys.exit(2)
        except KeyboardInterrupt:
            click.echo("xenport: interrupted", err=True)
            sys.exit(130)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Conformance suite and ABI toolkit for ports of Xen's guest ABI."""


@main.command()
@click.option(
    "--port",
    "chosen",
    multiple=True,
    metavar="NAME|FILE",
    help="Port to test; may be repeated. Default: model, which is every reference model.",
)
@click.option(
    "--release",
    type=RELEASE,
    metavar="R",
    help="Test against the ABI of this release of Xen instead of the port's own.",
)
@click.option(
    "--hypervisor",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Hypervisor image to test in place of the port's own.",
)
@click.option(
    "--headers",
    "tree",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Public headers of the port, the folder with xen.h: compare them with the ABI.",
)
@click.option(
    "-k",
    "expression",
    metavar="EXPR",
    help="Only tests that match, as pytest's -k; also slow ones that it names, or their rung.",
)
@click.option(
    "--report", type=click.Path(path_type=Path), metavar="DIR", help="Write the report folder."
)
@click.option(
    "--compiler",
    metavar="COMMAND",
    help="C compiler for the test kernels (default: the zig of the ziglang package).",
)
@click.option("--slow", is_flag=True, help="Also run the tests that take long, a boot each.")
@click.option(
    "--silence",
    type=click.FloatRange(min=0.1),
    metavar="SECONDS",
    help="Give a boot up after so long without a line.",
)
def run(
    chosen: tuple[str, ...],
    release: str | None,
    hypervisor: Path | None,
    tree: Path | None,
    expression: str | None,
    report: Path | None,
    compiler: str | None,
    slow: bool,
    silence: float | None,
) -> None:
    """Run the conformance suite and say how far each port is."""
    names = _named(chosen, release)
    options = session.Options(
        names, release, hypervisor, tree, expression, report, compiler, slow, silence
    )
    sys.exit(session.run(options, Console()))


def _named(chosen: tuple[str, ...], release: str | None) -> tuple[str, ...]:
    """The ports ``chosen``; ``model``, and nothing at all, stand for the model's of every kind."""
    names: list[str] = []
    for name in chosen or (_MODEL,):
        names += _models(release) if name == _MODEL else (name,)
    return tuple(dict.fromkeys(names))


def _models(release: str | None) -> tuple[str, ...]:
    """The reference model's ports, or those of them that are described for ``release``."""
    models = [port for port in map(ports.load, ports.names()) if port.kind == "model"]
    described = [
        port.name
        for port in models
        if release is None
        or (release in port.arch.releases and ports.load(port.name, release).arch.model)
    ]
    if not described:
        known = {known for port in models for known in port.arch.releases}
        raise InputError(f"no model of release {release}; there are: {', '.join(sorted(known))}")
    return tuple(described)


@main.command()
@click.option("--arch", required=True, metavar="A", help="Architecture, such as arm64.")
@click.option(
    "--release", type=RELEASE, required=True, metavar="R", help="Release of Xen, such as 4.17."
)
@click.option("--lang", type=click.Choice(emit.LANGUAGES), default="c", show_default=True)
@click.option(
    "-o",
    "out",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder to write; made whole or not at all.",
)
def headers(arch: str, release: str, lang: str, out: Path) -> None:
    """Write the ABI's headers for one architecture and release."""
    emit.write(load_abi(arch=arch, release=release), lang, out)


@main.command()
@click.option(
    "--port",
    "chosen",
    multiple=True,
    metavar="NAME|FILE",
    help="Port to look at; may be repeated. Default: model, as for `run`.",
)
@click.option("--release", type=RELEASE, metavar="R", help="As for `run`.")
@click.option("--json", "as_json", is_flag=True, help="Print the table for programs, with tests.")
def coverage(chosen: tuple[str, ...], release: str | None, as_json: bool) -> None:
    """Show which commands of the ABI the tests reach, and how these tests ended last.

    Which test calls what is found out by running the tests on the reference model. For a real port
    the outcomes are those of its last `xenport run` on this machine.
    """
    selected = [ports.load(name, release) for name in _named(chosen, release)]
    with recordings_bar(Console(stderr=True)) as watch:
        table = suite_coverage.coverage(selected, outcomes.last, watch)
    if as_json:
        click.echo(json.dumps(suite_coverage.as_data(table), indent=1))
    else:
        print_coverage(Console(), table)


@main.command("ports")
def list_ports() -> None:
    """List the ports, what this machine lacks for each, and the command that gets it."""
    table = Table(box=None, pad_edge=False)
    for heading in ("port", "architecture", "release", "environments"):
        table.add_column(heading, no_wrap=True)
    for heading in ("ready", "get what is missing"):
        table.add_column(heading, overflow="fold")
    for name in ports.names():
        port = ports.load(name)
        missing = ports.missing(port)
        table.add_row(
            port.name,
            port.architecture,
            port.release,
            "\n".join(port.environments),
            "no: " + ", ".join(lack.what for lack in missing) if missing else "yes",
            "; ".join(lack.command for lack in missing),
        )
    Console().print(table)


@main.command()
@click.argument("port")
def fetch(port: str) -> None:
    """Fetch what PORT needs and pip cannot give, without root: its hypervisor image, or `qemu`."""
    ports.fetch(port, click.echo)


if __name__ == "__main__":
    main()
