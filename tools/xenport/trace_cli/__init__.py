"""``xenport trace``: the commands for recorded hypercalls. One module holds one of them."""

import click

from xenport.trace_cli.diff import diff
from xenport.trace_cli.export import export
from xenport.trace_cli.import_ import import_
from xenport.trace_cli.record import record
from xenport.trace_cli.replay import replay
from xenport.trace_cli.show import show
from xenport.trace_cli.stats import stats

trace = click.Group(
    "trace",
    help="Record hypercalls, and look at what was recorded.",
    commands={
        "diff": diff,
        "export": export,
        "import": import_,
        "record": record,
        "replay": replay,
        "show": show,
        "stats": stats,
    },
)
