"""``xenport trace replay``: what the model answers to the hypercalls of a trace."""

import sys
from collections import Counter
from pathlib import Path

import click
from rich.console import Console

from xenport import port as ports
from xenport.tables import add, put, say, table
from xenport.trace import read
from xenport.trace.decode import Decoder
from xenport.trace.replay import KINDS, PortReplay, Replay, seen_in
from xenport.trace_cli.options import abi_of, most_option, signed
from xenport.trace_cli.show import text


@click.command()
@click.argument("path", type=click.Path(path_type=Path), metavar="FILE")
@click.option(
    "--port",
    default="model",
    show_default=True,
    metavar="PORT",
    help="Who is asked: a port, or the model of the trace's architecture without a processor.",
)
@click.option(
    "--environment",
    metavar="NAME",
    help="The port's environment that asks; default is the first with guests of the trace's kind.",
)
@click.option(
    "--hypervisor",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="PATH",
    help="An image in place of the port's own.",
)
@most_option(0, "Print so many of the differences.")
def replay(
    path: Path, port: str, environment: str | None, hypervisor: Path | None, most: int
) -> None:
    """Ask a port what the guests of the trace FILE asked, and compare the answers.

    The port "model" is the reference model, asked without a processor. On any other an agent kernel
    makes the calls, in a boot for each domain of the trace.

    What needs a guest's processor, or memory or numbers that the trace does not have, is not
    replayed; the reasons are counted. Addresses and the numbers of resources do not count as
    differences. Of the others, those that conformance/differences.yaml explains are counted with
    the explanation.

    The exit status is 0 if nothing else differs, and 1 if something does or nothing could be
    replayed.
    """
    trace = read(path)
    abi = abi_of(trace)
    replayed: Replay | PortReplay
    if port == "model":
        if environment is not None or hypervisor is not None:
            raise click.UsageError("the model without a processor has no environments and no image")
        replayed = Replay(trace.metadata, seen_in(trace.kinds(), abi))
    else:
        replayed = PortReplay(abi, ports.load(port), environment, hypervisor)
    decoder = Decoder(abi)
    counts: dict[str, Counter[str]] = {}
    reasons: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    total: Counter[str] = Counter()
    for record, outcome in replayed.outcomes(trace.records()):
        total[outcome.kind] += 1
        counts.setdefault(decoder.hypercall(record), Counter())[outcome.kind] += 1
        if outcome.reason:
            reasons[outcome.kind][outcome.reason] += 1
        if (
            outcome.answer is not None
            and outcome.kind == "different"
            and total["different"] <= most
        ):
            asked = outcome.asked or record
            click.echo(signed("-", text(replayed.decoder, asked)))
            click.echo(signed("+", text(replayed.decoder, outcome.answer)))
    console = Console(highlight=False)
    grid = table(console, ["hypercall", *KINDS], right=range(1, 1 + len(KINDS)))
    for name, row in sorted(counts.items(), key=lambda item: (-item[1].total(), item[0])):
        add(grid, name, *(f"{row[kind]:,}" if row[kind] else "" for kind in KINDS))
    put(console, grid)
    say(console, "")
    for kind in KINDS:
        say(console, f"{kind}: {total[kind]:,}{_share(total[kind], total.total())}")
        for reason, count in reasons[kind].most_common():
            say(console, f"  {reason}: {count:,}{_share(count, total.total())}")
    if total["different"] or (total and not total["equal"]):
        sys.exit(1)


def _share(count: int, whole: int) -> str:
    return f" ({100 * count / whole:.1f} %)" if whole else ""
