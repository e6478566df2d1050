"""``xenport trace export``: a trace for timeline viewers."""

from pathlib import Path

import click

from xenport.errors import InputError
from xenport.trace import read, timeline
from xenport.trace.decode import Decoder
from xenport.trace_cli.options import abi_of


@click.command()
@click.argument("path", type=click.Path(path_type=Path), metavar="FILE")
@click.option(
    "-o", "out", required=True, type=click.Path(path_type=Path), help="The JSON file to write."
)
def export(path: Path, out: Path) -> None:
    """Write the trace FILE in Chrome's trace event format, for ui.perfetto.dev and its like."""
    trace = read(path)
    decoder = Decoder(abi_of(trace))
    unfinished = out.with_name(out.name + ".unfinished")
    try:
        with unfinished.open("w") as file:
            file.writelines(timeline.lines(decoder, trace.records()))
        unfinished.replace(out)
    except OSError as error:
        raise InputError(error.strerror or str(error), out) from None
    finally:
        unfinished.unlink(missing_ok=True)
