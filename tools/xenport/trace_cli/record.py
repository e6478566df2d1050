"""``xenport trace record``: what hypervisors are asked."""

import sys
from pathlib import Path

import click
from rich.console import Console

from xenport.abi_cli.options import RELEASE
from xenport.trace.recorder import record as record_tests


@click.command()
@click.option("--port", required=True, metavar="NAME|FILE", help="The port to record.")
@click.option("--release", type=RELEASE, metavar="R", help="As for `xenport run`.")
@click.option("-k", "expression", metavar="EXPR", help="Only tests that match, as for `run`.")
@click.option(
    "-o", "out", required=True, type=click.Path(path_type=Path), help="The trace to write."
)
def record(port: str, release: str | None, expression: str | None, out: Path) -> None:
    """Run tests on a port and record every hypercall that its guests make.

    Ports under QEMU need QEMU 10 (`xenport fetch qemu`). While it is recorded, and when it was cut
    off, the folder OUT.parts has all but the last second.
    """
    done = record_tests(port, out, expression, release, Console())
    if done.skipped:
        click.echo(
            f"xenport: {done.skipped:,} hypercalls of guests of another width are left out: they "
            "are another architecture's",
            err=True,
        )
    click.echo(f"{out}: {done.hypercalls:,} hypercalls")
    sys.exit(done.status)
