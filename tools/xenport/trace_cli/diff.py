"""``xenport trace diff``: where two traces part."""

import sys
from itertools import islice
from pathlib import Path

import click

from xenport.trace import read
from xenport.trace.decode import Decoder
from xenport.trace.diff import differences
from xenport.trace.record import Record
from xenport.trace_cli.options import abi_of, most_option, signed
from xenport.trace_cli.show import text

_MOST = 8  # calls of one difference that are printed


@click.command()
@click.argument("first", type=click.Path(path_type=Path), metavar="A")
@click.argument("second", type=click.Path(path_type=Path), metavar="B")
@most_option(1, "Stop after so many differences.")
@click.option("--exit-code", is_flag=True, help="End with status 1 if there is a difference.")
def diff(first: Path, second: Path, most: int, exit_code: bool) -> None:
    """Print the first differences between the traces A and B, both sides decoded.

    Addresses, the numbers of ports, grants, domains and frames, and what the ABI says may vary from
    run to run do not count.
    """
    traces = [read(first), read(second)]
    abis = [abi_of(trace) for trace in traces]
    left, right = (
        (Decoder(abi, comparable=True), trace.records())
        for abi, trace in zip(abis, traces, strict=True)
    )
    decoders = [Decoder(abi) for abi in abis]
    found = list(islice(differences(left, right), most + 1))
    for difference in found[:most]:
        click.echo("@@")
        for sign, decoder, records in zip(
            "-+", decoders, (difference.left, difference.right), strict=True
        ):
            _print(sign, decoder, records)
    if len(found) > most:
        click.echo(f"There are more; --max shows more than {most}.")
    elif not found:
        click.echo("No difference.")
    if found and exit_code:
        sys.exit(1)


def _print(sign: str, decoder: Decoder, records: tuple[Record, ...]) -> None:
    for record in records[:_MOST]:
        click.echo(signed(sign, text(decoder, record)))
    if len(records) > _MOST:
        click.echo(f"{sign} ... and {len(records) - _MOST:,} more calls")
