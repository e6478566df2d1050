"""Writes recordings as the plugin for QEMU does."""

import struct
from collections.abc import Sequence

Memory = Sequence[tuple[int, int, bytes | None]]  # address, argument, bytes or unreadable


def half(
    kind: int,
    number: int,
    sequence: int,
    values: Sequence[int],
    memory: Memory = (),
    *,
    mode: int = 0,
    flags: int = 0,
    seconds: float = 0.0,
) -> bytes:
    """An entry (kind 1) or a return (kind 2)."""
    registers = [value & (1 << 64) - 1 for value in values] + [0] * (6 - len(values))
    content = struct.pack(
        "<BBHHHIIQd6Q",
        kind,
        mode,
        1,
        0,
        len(memory),
        number,
        flags,
        sequence,
        seconds,
        *registers,
    )
    for address, argument, data in memory:
        content += struct.pack("<QIBBH", address, len(data or b""), argument, data is not None, 0)
        content += data or b""
    return content


def call(
    number: int,
    sequence: int,
    values: Sequence[int],
    before: Memory = (),
    after: Memory = (),
    *,
    result: int = 0,
    mode: int = 0,
    flags: int = 0,
) -> bytes:
    """A hypercall that came back."""
    return half(1, number, sequence, values, before, mode=mode, seconds=sequence) + half(
        2, number, sequence, [result], after, mode=mode, flags=flags, seconds=sequence + 0.5
    )
