"""``xenport trace import``: recordings of other tools as traces."""

from pathlib import Path

import click

from xenport.abi_cli.options import RELEASE
from xenport.errors import InputError
from xenport.trace.importing import import_ as import_recording


@click.command("import")
@click.argument("source", type=click.Path(exists=True, path_type=Path), metavar="FILE")
@click.option(
    "-o", "out", required=True, type=click.Path(path_type=Path), help="The trace to write."
)
@click.option("--arch", metavar="A", help="Architecture of the guests.")
@click.option("--release", type=RELEASE, metavar="R", help="Release of Xen that ran.")
@click.option("--provenance", metavar="TEXT", help="What ran where; kept in the trace.")
@click.option(
    "--tsc-mhz",
    type=click.FloatRange(min=0, min_open=True),
    metavar="F",
    help="Frequency of the time stamps of xentrace; without it the trace has no times.",
)
def import_(
    source: Path,
    out: Path,
    arch: str | None,
    release: str | None,
    provenance: str | None,
    tsc_mhz: float | None,
) -> None:
    """Make a trace of FILE.

    FILE is a recording of the plugin for QEMU, a file of xentrace, or the folder of parts that a
    trace leaves whose recording was cut off; that one knows its --arch and --release itself.
    """
    done = import_recording(source, out, arch, release, provenance, tsc_mhz)
    for note in done.notes:
        click.echo(f"xenport: {source}: {note}", err=True)
    if done.damage:
        raise InputError(
            f"{done.damage}; {out} has the {done.hypercalls:,} hypercalls before", source
        )
    click.echo(f"{out}: {done.hypercalls:,} hypercalls")
