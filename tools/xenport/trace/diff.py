"""Where two traces part: calls that only one has, and calls that ended differently.

Calls are compared by what they mean: hypercall, command, arguments, memory and result, without what
two runs of the same guest may differ in (`Decoder` with ``comparable``).
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from xenport.trace.decode import Decoder
from xenport.trace.record import Record

WINDOW = 512
"""Calls that are looked ahead in each trace for where they meet again."""

_AGREEING = 3  # calls in a row that must be the same where they do


@dataclass(frozen=True)
class Difference:
    """Calls in place of which the other trace has others; one against one where what differs is
    what the same call read, wrote or returned."""

    left: tuple[Record, ...]
    right: tuple[Record, ...]


class _Side:
    """One trace, as far as it has been looked at."""

    def __init__(self, decoder: Decoder, records: Iterable[Record]) -> None:
        self._decoder = decoder
        self._source = iter(records)
        self.ahead: deque[tuple[Record, str, str]] = deque()  # with its name and all of its text

    def fill(self, count: int) -> bool:
        """Look ``count`` calls ahead; are there so many?"""
        while len(self.ahead) < count:
            record = next(self._source, None)
            if record is None:
                return False
            decoder = self._decoder
            name = " ".join([decoder.hypercall(record), *decoder.commands(record)])
            text = "\n".join(map(str, [decoder.call(record), *decoder.memory(record)]))
            self.ahead.append((record, name, text))
        return True

    def take(self, count: int) -> tuple[Record, ...]:
        """The next ``count`` calls."""
        return tuple(self.ahead.popleft()[0] for _ in range(count))


def differences(
    left: tuple[Decoder, Iterable[Record]], right: tuple[Decoder, Iterable[Record]]
) -> Iterator[Difference]:
    """The differences between two traces in order, each side with its own ABI's decoder."""
    one, other = _Side(*left), _Side(*right)
    while True:
        here, there = one.fill(1), other.fill(1)
        if not here and not there:
            return
        if here and there and one.ahead[0][1] == other.ahead[0][1]:
            same = one.ahead[0][2] == other.ahead[0][2]
            difference = Difference(one.take(1), other.take(1))
            if not same:
                yield difference
            continue
        skipped, added = _meeting(one, other)
        yield Difference(one.take(skipped), other.take(added))


def _meeting(one: _Side, other: _Side) -> tuple[int, int]:
    """How many calls of each side have to go until the same ones are called again: the fewest
    together. All that were looked at, if nothing of that is found."""
    one.fill(WINDOW)
    other.fill(WINDOW)
    names = [name for _, name, _ in one.ahead]
    others = [name for _, name, _ in other.ahead]
    for together in range(1, len(names) + len(others)):
        first = max(0, together - len(others))
        for skipped in range(first, min(together, len(names)) + 1):
            added = together - skipped
            run = names[skipped : skipped + _AGREEING]
            if run and run == others[added : added + _AGREEING]:
                return skipped, added
    return len(names), len(others)
