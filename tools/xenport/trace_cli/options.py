"""What several commands have in common."""

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
