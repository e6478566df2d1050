"""``xenport trace record``: what the reference model is asked."""

import sys
from pathlib import Path

import click
from rich.console import Console

from xenport.abi_cli.options import RELEASE
from xenport.trace.recorder import record as record_model


@click.command()
@click.option("--port", required=True, metavar="NAME|FILE", help="A port of the reference model.")
@click.option("--release", type=RELEASE, metavar="R", help="As for `xenport run`.")
@click.option("-k", "expression", metavar="EXPR", help="Only tests that match, as for `run`.")
@click.option(
    "-o", "out", required=True, type=click.Path(path_type=Path), help="The trace to write."
)
def record(port: str, release: str | None, expression: str | None, out: Path) -> None:
    """Run tests on the reference model and record every hypercall that their guests make."""
    count, status = record_model(port, out, expression, release, Console())
    click.echo(f"{out}: {count:,} hypercalls")
    sys.exit(status)
