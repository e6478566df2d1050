"""``xenport abi``: the commands that work on the ABI itself. One module holds one of them."""

import click

from xenport.abi_cli.check import check
from xenport.abi_cli.diff import diff
from xenport.abi_cli.docs import docs
from xenport.abi_cli.fmt import fmt
from xenport.abi_cli.import_ import import_
from xenport.abi_cli.show import show

abi = click.Group(
    "abi",
    help="Ask what Xen's guest ABI is and how it differs, and keep its description in shape.",
    commands={
        "check": check,
        "diff": diff,
        "docs": docs,
        "fmt": fmt,
        "import": import_,
        "show": show,
    },
)
