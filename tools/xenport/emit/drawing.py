"""A structure drawn to scale: lines of eight bytes, or a union's one line a member."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from xenport.abi.rows import Row

LINE = 64  # bits
_NARROW = 0.2  # of the width: a box that has no room for a name


@dataclass(frozen=True)
class Box:
    """A part of a line; ``width`` in bits. Boxes without a row are room that nothing needs."""

    width: int
    row: Row | None
    label: str = ""
    begins: bool = False  # the member begins here, not on a line above
    ends: bool = False


@dataclass(frozen=True)
class Line:
    """Boxes side by side. ``offset`` (bytes) is ``None`` below another line of the same bytes.

    ``left_out`` bytes of the same member follow that are not drawn. ``scale``: bits of a full line.
    """

    offset: int | None
    boxes: tuple[Box, ...]
    left_out: int = 0
    scale: int = LINE

    @property
    def rest(self) -> int:
        """Bits of the line behind the last box."""
        return self.scale - sum(box.width for box in self.boxes)


def draw(rows: Sequence[Row], size: int, *, union: bool) -> list[Line]:
    """The outermost rows of a structure or union of ``size`` bytes.

    Members that share bytes, as those of an anonymous union do, are drawn below each other. Of a
    member of many lines only the first and the last are drawn.
    """
    outermost = [row for row in rows if row.depth == 0 and row.end > row.start]
    if union:
        return [_alone(row, size * 8) for row in outermost]
    lanes = _lanes(outermost)
    lines: list[Line] = []
    for start in range(0, size * 8, LINE):
        end = min(start + LINE, size * 8)
        drawn = [boxes for lane in lanes if (boxes := tuple(_boxes(lane, start, end)))]
        if len(drawn) == 1 and lines and _continues(lines[-1], drawn[0]):
            lines[-1] = replace(lines[-1], left_out=lines[-1].left_out + LINE // 8)
            continue
        for number, boxes in enumerate(drawn):
            lines.append(Line(None if number else start // 8, boxes))
    return _labelled(lines)


def _alone(row: Row, scale: int) -> Line:
    """A member of a union, on a line for itself; its name is behind it if it is small."""
    width = row.end - row.start
    before = (Box(row.start, None),) if row.start else ()
    if width >= scale * _NARROW:
        return Line(0, (*before, Box(width, row, row.name, True, True)), 0, scale)
    name = Box(scale - row.end, None, row.name) if row.end < scale else Box(0, None)
    return Line(0, (*before, Box(width, row, "", True, True), name), 0, scale)


def _lanes(rows: Sequence[Row]) -> list[list[Row]]:
    """``rows`` so that those of one lane do not overlap; each close behind another if it can."""
    lanes: list[list[Row]] = []
    for row in rows:
        free = [lane for lane in lanes if lane[-1].end <= row.start]
        if free:
            max(free, key=lambda lane: lane[-1].end).append(row)
        else:
            lanes.append([row])
    return lanes


def _boxes(lane: Sequence[Row], start: int, end: int) -> Iterator[Box]:
    """What of ``lane`` is between the bits ``start`` and ``end``; nothing if nothing is."""
    at = start
    for row in lane:
        first, last = max(row.start, start), min(row.end, end)
        if first >= last:
            continue
        if first > at:
            yield Box(first - at, None)
        yield Box(last - first, row, "", first == row.start, last == row.end)
        at = last
    if start < at < end:
        yield Box(end - at, None)


def _continues(line: Line, boxes: tuple[Box, ...]) -> bool:
    """Whether ``boxes`` are one more line in the midst of what ``line`` is wholly of."""
    above, below = line.boxes[0], boxes[0]
    whole = len(line.boxes) == len(boxes) == 1 and above.width == below.width == LINE
    return whole and above.row is below.row and not below.ends and not above.begins


def _labelled(lines: Sequence[Line]) -> list[Line]:
    """Each member's name in the first of its widest boxes."""
    widest: dict[Row, int] = {}
    for line in lines:
        for box in line.boxes:
            if box.row is not None:
                widest[box.row] = max(widest.get(box.row, 0), box.width)
    named: set[Row] = set()

    def label(box: Box) -> Box:
        if box.row is None or box.row in named or box.width < widest[box.row]:
            return box
        named.add(box.row)
        return replace(box, label=box.row.name)

    return [replace(line, boxes=tuple(map(label, line.boxes))) for line in lines]
