"""The coverage of the ABI for a person to read: a table in text."""

from rich.console import Console
from rich.table import Table

from xenport.suite.coverage import LEGEND, Coverage, Row, by_hypercall
from xenport.tables import put, say


def print_coverage(console: Console, table: Coverage) -> None:
    """Prints the table, its sums, and what no test reaches."""
    put(console, _matrix(table))
    say(console, f"\n{LEGEND}\n")
    put(console, _sums(table))
    if table.unreached:
        say(console, "\nReached by no test here:")
        for reason, names in _by_reason(table.unreached).items():
            say(console, f"{reason}: {', '.join(names)}")


def _matrix(table: Coverage) -> Table:
    drawn = Table(box=None, pad_edge=False)
    drawn.add_column("command", overflow="fold")
    for port, environment in table.places:
        drawn.add_column(f"{port}\n{environment}", overflow="fold")
    for hypercall, rows in by_hypercall(table.rows).items():
        if [row.command for row in rows] != [hypercall]:
            drawn.add_row(f"[bold]{hypercall}[/]")
        for row in rows:
            indent = "" if row.command == hypercall else "  "
            cells = (row.cells[place] for place in table.places)
            drawn.add_row(
                indent + row.command,
                *(cell.text if cell.tests else f"[dim]{cell.text}[/]" for cell in cells),
            )
    return drawn


def _sums(table: Coverage) -> Table:
    drawn = Table(box=None, pad_edge=False)
    drawn.add_column("environment", overflow="fold")
    for heading in ("commands", "with positive tests", "with negative tests", "without tests"):
        drawn.add_column(heading, justify="right")
    for place in table.places:
        drawn.add_row("/".join(place), *map(str, table.counts(place).values()))
    return drawn


def _by_reason(rows: list[Row]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault("; ".join(row.reasons), []).append(row.command)
    return found
