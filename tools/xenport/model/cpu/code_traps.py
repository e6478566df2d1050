"""Trap single instructions that Unicorn cannot hook by kind.

Unicorn hooks only a handful of x86 instructions (cpuid, syscall, in, out) and none of PowerPC's.
The others are found by their encoding in the kernel's executable segments, and each gets a code
hook of its own address. Test kernels do not modify their code, so looking once is enough. A pattern
that turns up inside another instruction does no harm: the hook fires at instruction starts only.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable

from xenport.model.cpu.unicorn_core import UnicornCore

#: Executable code: the virtual address it runs at, and its bytes.
Segment = tuple[int, bytes]


def find(segments: Iterable[Segment], pattern: bytes, alignment: int = 1) -> list[int]:
    """Virtual addresses, ascending, where the regular expression ``pattern`` matches.

    ``alignment`` is that of instructions (4 on Arm and PowerPC). Matches may overlap.
    """
    return sorted(
        address + offset
        for address, code in segments
        for offset in _offsets(code, pattern)
        if (address + offset) % alignment == 0
    )


@functools.lru_cache(maxsize=64)  # vcpus, and domains beside each other, run the same code
def _offsets(code: bytes, pattern: bytes) -> tuple[int, ...]:
    expression = re.compile(pattern, re.DOTALL)
    offsets = []
    match = expression.search(code)
    while match:
        offsets.append(match.start())
        match = expression.search(code, match.start() + 1)
    return tuple(offsets)


def trap(
    core: UnicornCore,
    segments: Iterable[Segment],
    pattern: bytes,
    handler: Callable[[int], None],
    alignment: int = 1,
) -> int:
    """Call ``handler(address)`` before every instruction that matches; returns how many there are.

    The handler does the instruction's work and moves the PC past it.
    """
    addresses = find(segments, pattern, alignment)
    for address in addresses:
        core.hook_code(address, address, handler)
    return len(addresses)
