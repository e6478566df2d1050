"""The details of a difference as lines of text."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from xenport.abi.diff import Detail

_FEW = 3  # so many members that move together are named one by one


def condensed(details: Sequence[Detail]) -> Iterator[str]:
    """``details``, one line each; but members that move by the same distance share one."""
    for distance, same in groupby(details, _distance):
        moved = list(same)
        if distance is None or len(moved) <= _FEW:
            yield from map(str, moved)
            continue
        names = [detail.where.removeprefix("of ") for detail in moved]
        yield f"offset of {len(names)} members, {names[0]} to {names[-1]}: {distance:+}"


def audience_text(audience: Sequence[str]) -> str:
    """Whom something concerns: ``tool stack, pv and hvm guests``."""
    guests = [who.removesuffix(" guest") for who in audience if who.endswith(" guest")]
    parts = [who for who in audience if not who.endswith(" guest")]
    if guests:
        several = len(guests) > 1
        listed = f"{', '.join(guests[:-1])} and {guests[-1]}" if several else guests[0]
        parts.append(f"{listed} guest{'s' if several else ''}")
    return ", ".join(parts) or "nobody"


def _distance(detail: Detail) -> int | None:
    """How many bytes a member moved, if that is all there is to say of it."""
    if detail.what != "offset" or detail.old is None or detail.new is None:
        return None
    return int(detail.new) - int(detail.old)
