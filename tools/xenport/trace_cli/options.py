"""What several commands have in common."""

from collections.abc import Callable
from typing import Any

import click

import xenport.abi
from xenport.abi import Abi
from xenport.errors import InputError
from xenport.trace import Trace


def abi_of(trace: Trace) -> Abi:
    """The ABI of ``trace``. Raises ``InputError`` if it is one that abi/ does not have."""
    metadata = trace.metadata
    try:
        return xenport.abi.load(metadata.architecture, metadata.release)
    except InputError as error:
        raise InputError(f"the trace is of {error.message}", trace.path) from None


def most_option(least: int, text: str) -> Callable[[Any], Any]:
    """The option ``--max``: how many differences are printed, ``least`` or more."""
    return click.option(
        "--max",
        "most",
        type=click.IntRange(min=least),
        default=10,
        show_default=True,
        metavar="N",
        help=text,
    )


def signed(sign: str, text: str) -> str:
    """``text`` as one side of a difference: ``sign`` in front of each line."""
    return "\n".join(f"{sign} {line}" for line in text.splitlines())
