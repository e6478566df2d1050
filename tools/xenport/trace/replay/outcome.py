"""What becomes of a record when it is replayed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from xenport.trace.record import Record

Kind = Literal["equal", "explained", "different", "not replayable"]

KINDS: tuple[Kind, ...] = ("equal", "explained", "different", "not replayable")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a record. ``reason`` is why it was not replayed, or why it is no
    wonder that the answer differs; ``answer`` is the record as whoever was asked would have made
    it, and ``asked`` as it was translated for them."""

    kind: Kind
    reason: str = ""
    answer: Record | None = None
    asked: Record | None = None


EQUAL = Outcome("equal")


class Unreplayable(Exception):
    """A record cannot be replayed; the message is the reason."""
