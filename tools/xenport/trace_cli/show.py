"""``xenport trace show``: the records of a trace, decoded."""

import sys
from pathlib import Path

import click

from xenport.trace import read
from xenport.trace.decode import Decoder, facts
from xenport.trace.record import Record
from xenport.trace.where import condition
from xenport.trace_cli.options import abi_of


@click.command()
@click.argument("path", type=click.Path(path_type=Path), metavar="FILE")
@click.option(
    "--where",
    metavar="EXPR",
    help="Only records for which EXPR holds, such as \"domain == 1 and error == 'ENOENT'\". "
    "Names are the columns of traces/README.md, and hypercall, command, error, duration.",
)
def show(path: Path, where: str | None) -> None:
    """Print every hypercall of the trace FILE with its command, arguments, memory and result."""
    trace = read(path)
    holds = condition(where) if where is not None else None
    decoder = Decoder(abi_of(trace))
    for record in trace.records():
        if holds is None or holds(facts(decoder, record)):
            sys.stdout.write(text(decoder, record) + "\n")


def text(decoder: Decoder, record: Record) -> str:
    """A record in lines: the call, and below it what memory it read and wrote."""
    time = "" if record.time is None else f"{record.time / 1e9:.6f}"
    domain = "?" if record.domain is None else record.domain
    vcpu = "?" if record.vcpu is None else record.vcpu
    boot = f" {record.boot}" if record.boot else ""
    head = f"{record.sequence:>7} {time:>12}{boot} d{domain}v{vcpu} {decoder.call(record)}"
    return "\n".join(
        [head, *(f"{'':21}{name}: {kind} {said}" for name, kind, said in decoder.memory(record))]
    )
