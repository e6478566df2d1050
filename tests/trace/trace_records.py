"""Records to write."""

from typing import Any

from xenport.trace import Buffer, Metadata, Record

METADATA = Metadata("arm64", "4.17", "made by a test")


def record(sequence: int, **changes: Any) -> Record:
    """A hypercall: EVTCHNOP_send of port 3 by domain 1."""
    buffer = Buffer("arg", 0x1000, b"\3\0\0\0", b"\3\0\0\0")
    plain = Record(
        sequence,
        "",
        1000 * sequence,
        1000 * sequence + 300,
        1,
        0,
        "arm",
        32,
        (4, 0x1000),
        0,
        False,
        (buffer,),
    )
    return plain._replace(**changes)
