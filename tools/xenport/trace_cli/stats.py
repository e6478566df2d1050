"""``xenport trace stats``: how often what was called, how it ended, how long it took."""

from collections import Counter
from pathlib import Path

import click
from rich.console import Console

from xenport.tables import add, put, say, table
from xenport.trace import read
from xenport.trace.decode import Decoder
from xenport.trace.stats import Row, stats as figures
from xenport.trace_cli.options import abi_of

_HEADINGS = (
    "hypercall, command",
    "calls",
    "share",
    "in multicalls",
    "median",
    "longest",
    "other results",
)


@click.command()
@click.argument("path", type=click.Path(path_type=Path), metavar="FILE")
def stats(path: Path) -> None:
    """Print how often each hypercall and command was called in the trace FILE, which errors they
    returned, and how long they took."""
    trace = read(path)
    found = figures(Decoder(abi_of(trace)), trace.records())
    console = Console(highlight=False)
    metadata = trace.metadata
    say(console, f"{path}: {metadata.architecture}, Xen {metadata.release}")
    say(console, metadata.provenance)
    span = ""
    if found.first is not None and found.last is not None:
        span = f" in {(found.last - found.first) / 1e9:.3f} s"
    callers = ", ".join(f"{count:,} by {who}" for who, count in found.callers.most_common())
    say(console, f"{found.hypercalls:,} hypercalls{span}" + (f": {callers}" if callers else ""))
    say(console, "")
    grid = table(console, _HEADINGS, right=range(1, 6))
    for name, row in _ordered(found.by_hypercall):
        add(grid, name, *_cells(row, found.hypercalls))
        commands = {key[1]: one for key, one in found.by_command.items() if key[0] == name}
        for command, one in _ordered(commands):
            add(grid, f"  {command}", *_cells(one, found.hypercalls))
    put(console, grid)


def _ordered(rows: dict[str, Row]) -> list[tuple[str, Row]]:
    return sorted(rows.items(), key=lambda item: (-item[1].calls - item[1].inner, item[0]))


def _cells(row: Row, whole: int) -> list[str]:
    others = Counter(row.errors)
    others["continued"] = row.continued
    others["no return"] = row.unreturned
    durations = row.durations
    return [
        f"{row.calls:,}",
        f"{100 * row.calls / whole:.2f} %" if whole else "",
        f"{row.inner:,}" if row.inner else "",
        _time(durations.median()) if durations.count else "",
        _time(durations.longest) if durations.count else "",
        ", ".join(f"{count:,} {name}" for name, count in others.most_common() if count),
    ]


def _time(nanoseconds: float) -> str:
    for unit, size in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if nanoseconds >= size:
            return f"{nanoseconds / size:.3g} {unit}"
    return f"{nanoseconds:.0f} ns"
