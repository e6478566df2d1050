"""Tables: ruled on a terminal, plain columns elsewhere."""

import io
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

_WIDE = 10_000  # columns: nothing is folded in a file


def table(console: Console, headings: Sequence[str], right: Sequence[int] = ()) -> Table:
    """A table with ``headings``; the columns ``right`` are flush right."""
    made = Table(
        box=box.SIMPLE_HEAD if console.is_terminal else None,
        pad_edge=False,
        show_header=any(headings),
    )
    for number, heading in enumerate(headings):
        last = number == len(headings) - 1
        made.add_column(
            heading,
            justify="right" if number in right else "left",
            no_wrap=not last,
            overflow="fold",
        )
    return made


def add(made: Table, *cells: str, style: str = "") -> None:
    """Add a row to ``made``; no cell is markup."""
    made.add_row(*map(Text, cells), style=style)


def put(console: Console, made: Table) -> None:
    """Print ``made``; in a file no line is folded and none ends in spaces."""
    if console.is_terminal:
        console.print(made)
        return
    text = io.StringIO()
    Console(file=text, width=_WIDE, no_color=True).print(made)
    for line in text.getvalue().splitlines():
        console.file.write(line.rstrip() + "\n")


def say(console: Console, text: str, style: str = "") -> None:
    """Print a line of ``text``, which is no markup."""
    console.print(Text(text, style=style), soft_wrap=not console.is_terminal)
