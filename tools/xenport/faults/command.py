"""``xenport faults``: break the reference model in many small ways and count who notices."""

import json
import sys
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from xenport import port as ports
from xenport.errors import InputError
from xenport.faults.figures import Row, by_hypercall, whole
from xenport.faults.kinds import Fault
from xenport.faults.reasons import Reasons, reasons
from xenport.faults.survey import Finding, faults as faults_in, places, survey
from xenport.suite.progress import recordings_bar
from xenport.tables import add, put, say, table

SCHEMA = 1  # raised when a key of the data changes its meaning or goes

_HEADINGS = ("hypercall", "commands", "faults", "caught", "share", "with a reason", "unexplained")


@click.command()
@click.option(
    "--port",
    "chosen",
    multiple=True,
    metavar="NAME",
    help="Reference model to break; may be repeated. Default: all of them.",
)
@click.option(
    "--command",
    "patterns",
    multiple=True,
    metavar="GLOB",
    help="Only faults of these commands or hypercalls, such as 'EVTCHNOP_*'; may be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what came of each, for programs.")
def faults(chosen: tuple[str, ...], patterns: tuple[str, ...], as_json: bool) -> None:
    """Break the reference model in many small ways, one at a time, and count which of them a
    conformance test notices.

    What survives is listed, with its reason if conformance/faults.yaml has one. The status is 1 if
    one has none.
    """
    models = _models(chosen)
    with recordings_bar(Console(stderr=True)) as watch:
        where_tested = places(models, watch)
    found = {
        fault: where
        for fault, where in faults_in(where_tested).items()
        if not patterns
        or any(fnmatchcase(name, p) for p in patterns for name in (fault.command, fault.hypercall))
    }
    if not found:
        raise InputError(f"no test calls a command that is like {', '.join(patterns)}")
    findings = _surveyed(found)
    excuses = reasons()
    if as_json:
        click.echo(json.dumps(_as_data(findings, excuses), indent=1))
    else:
        _print(findings, excuses)
    sys.exit(int(whole(findings, excuses).survivors > 0))


def _models(chosen: tuple[str, ...]) -> list[ports.Port]:
    models = [port for port in map(ports.load, ports.names()) if port.kind == "model"]
    if not chosen:
        return models
    known = {port.name: port for port in models}
    for name in chosen:
        if name not in known:
            raise InputError(f"no reference model '{name}'; there are: {', '.join(known)}")
    return [known[name] for name in chosen]


def _surveyed(found: Mapping[Fault, Any]) -> list[Finding]:
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TextColumn("[dim]{task.fields[fault]}"),
        console=console,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task("faults", total=len(found), fault="")
        return survey(found, lambda one: bar.update(task, advance=1, fault=one.fault.name))


def _print(findings: list[Finding], excuses: Reasons) -> None:
    console = Console(highlight=False)
    grid = table(console, _HEADINGS, right=range(1, len(_HEADINGS)))
    for name, row in by_hypercall(findings, excuses).items():
        add(grid, name, *_cells(row))
    add(grid, "all", *_cells(whole(findings, excuses)))
    put(console, grid)
    missed = [finding for finding in findings if finding.caught is None]
    if missed:
        say(console, "\nNoticed by no test:")
    for finding in missed:
        reason = excuses.of(finding.fault) or "no reason is known: it wants a test"
        say(console, f"{finding.fault.command} {finding.fault.text}: {reason}")


def _cells(row: Row) -> list[str]:
    share = f"{100 * row.caught / row.faults:.1f} %"
    numbers = (len(row.commands), row.faults, row.caught, share, row.excused, row.survivors)
    return [str(number) for number in numbers]


def _as_data(findings: Iterable[Finding], excuses: Reasons) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "faults": [
            {
                "name": finding.fault.name,
                "hypercall": finding.fault.hypercall,
                "command": finding.fault.command,
                "kind": finding.fault.kind,
                "detail": finding.fault.detail or None,
                "environments": list(finding.tried),
                "caught": finding.caught,
                "reason": excuses.of(finding.fault) if finding.caught is None else None,
            }
            for finding in findings
        ],
    }
