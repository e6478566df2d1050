"""``xenport trace record``: what hypervisors are asked."""

import sys
from pathlib import Path

import click
from rich.console import Console

from xenport.abi_cli.options import RELEASE
from xenport.errors import InputError
from xenport.trace import guest as guests
from xenport.trace.recorder import record as record_tests

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option("--port", required=True, metavar="NAME|FILE", help="The port to record.")
@click.option("--release", type=RELEASE, metavar="R", help="As for `xenport run`.")
@click.option("-k", "expression", metavar="EXPR", help="Only tests that match, as for `run`.")
@click.option("--kernel", type=_FILE, help="Record this kernel as dom0 instead of the tests.")
@click.option("--initrd", type=_FILE, help="Its initial RAM disk.")
@click.option("--append", metavar="TEXT", help="Its command line.")
@click.option(
    "--environment", metavar="NAME", help="Where it is dom0; default: the port's first that fits."
)
@click.option(
    "--memory",
    type=click.IntRange(min=32),
    default=512,
    show_default=True,
    metavar="MIB",
    help="Memory of that dom0.",
)
@click.option(
    "--limit",
    type=click.FloatRange(min=1),
    default=300,
    show_default=True,
    metavar="SECONDS",
    help="End its boot after so long.",
)
@click.option(
    "-o", "out", required=True, type=click.Path(path_type=Path), help="The trace to write."
)
def record(
    port: str,
    release: str | None,
    expression: str | None,
    kernel: Path | None,
    initrd: Path | None,
    append: str | None,
    environment: str | None,
    memory: int,
    limit: float,
    out: Path,
) -> None:
    """Run tests on a port, or a kernel of yours, and record every hypercall that guests make.

    Ports under QEMU need QEMU 10 (`xenport fetch qemu`). While it is recorded, and when it was cut
    off, the folder OUT.parts has all but the last second.
    """
    if kernel is None:
        for name, value in (
            ("--initrd", initrd), ("--append", append), ("--environment", environment)
        ):  # fmt: skip
            if value is not None:
                raise InputError(f"{name} belongs to --kernel")
        done = record_tests(port, out, expression, release, Console())
        _say(out, done.hypercalls, done.skipped)
        sys.exit(done.status)
    if expression is not None:
        raise InputError("-k selects tests; with --kernel there are none")
    guest = guests.Guest(kernel, initrd, append or "", environment, memory, limit)
    booted = guests.record(port, guest, out, release, click.echo)
    click.echo(f"{booted.ended.kind} after {booted.ended.seconds:.1f} s: {booted.ended.detail}")
    _say(out, booted.hypercalls, booted.skipped)
    sys.exit(booted.ended.kind not in ("poweroff", "reboot", "timeout"))


def _say(out: Path, hypercalls: int, skipped: int) -> None:
    if skipped:
        click.echo(
            f"xenport: {skipped:,} hypercalls of guests of another width are left out: they are "
            "another architecture's",
            err=True,
        )
    click.echo(f"{out}: {hypercalls:,} hypercalls")
