"""``xenport trace``: the commands for recorded hypercalls. One module holds one of them."""

import click

from xenport.trace_cli.import_ import import_

trace = click.Group(
    "trace",
    help="Record hypercalls, and look at what was recorded.",
    commands={
        "import": import_,
    },
)
