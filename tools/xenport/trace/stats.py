"""Figures of a trace: how often what was called, how it ended, how long it took."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from xenport.trace.decode import Decoder
from xenport.trace.record import Record

_STEPS = 16  # classes of durations in each power of two: medians are right to 5 %


@dataclass
class Durations:
    """Nanoseconds, as counts in classes that grow with them, so that memory stays flat."""

    count: int = 0
    total: int = 0
    longest: int = 0
    _classes: Counter[int] = field(default_factory=Counter)

    def add(self, nanoseconds: int) -> None:
        """One more."""
        self.count += 1
        self.total += nanoseconds
        self.longest = max(self.longest, nanoseconds)
        exponent = max(nanoseconds.bit_length() - _STEPS.bit_length(), 0)
        self._classes[exponent * _STEPS + (nanoseconds >> exponent)] += 1

    def median(self) -> float:
        """The middle of the class that the median is in; 0 if there are none."""
        seen = 0
        for number in sorted(self._classes):
            seen += self._classes[number]
            if 2 * seen >= self.count:
                exponent = max(number // _STEPS - 1, 0)
                start = number - exponent * _STEPS
                return min((start + 0.5) * 2**exponent, self.longest) if exponent else start
        return 0.0


@dataclass
class Row:
    """What is known of a hypercall or of one of its commands.

    ``calls`` are hypercalls; of a command that stands in a list, the elements. ``inner`` are those
    inside multicalls.
    """

    calls: int = 0
    inner: int = 0
    continued: int = 0
    unreturned: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    durations: Durations = field(default_factory=Durations)


@dataclass
class Stats:
    """The figures of a whole trace, by hypercall and by hypercall and command."""

    hypercalls: int = 0
    first: int | None = None
    last: int | None = None
    callers: Counter[str] = field(default_factory=Counter)
    by_hypercall: dict[str, Row] = field(default_factory=dict)
    by_command: dict[tuple[str, str], Row] = field(default_factory=dict)


def stats(decoder: Decoder, records: Iterable[Record]) -> Stats:
    """The figures of ``records``."""
    found = Stats()
    for record in records:
        found.hypercalls += 1
        if record.time is not None:
            found.first = record.time if found.first is None else min(found.first, record.time)
            found.last = max(found.last or 0, record.returned or record.time)
        domain = "an unknown domain" if record.domain is None else f"domain {record.domain}"
        found.callers[f"{domain} ({record.caller})"] += 1
        name = decoder.hypercall(record)
        _count(found.by_hypercall.setdefault(name, Row()), record, decoder.error(record))
        commands = decoder.commands(record)
        for command in commands:
            row = found.by_command.setdefault((name, command), Row())
            if len(commands) == 1:
                _count(row, record, decoder.error(record))
            else:
                row.calls += 1
        for inner, command, error in decoder.inner(record):
            rows = [found.by_hypercall.setdefault(inner, Row())]
            if command:
                rows.append(found.by_command.setdefault((inner, command), Row()))
            for row in rows:
                row.inner += 1
                if error:
                    row.errors[error] += 1
    return found


def _count(row: Row, record: Record, error: str) -> None:
    row.calls += 1
    row.continued += record.continued
    row.unreturned += record.returned is None
    if error:
        row.errors[error] += 1
    if record.time is not None and record.returned is not None:
        row.durations.add(max(record.returned - record.time, 0))
