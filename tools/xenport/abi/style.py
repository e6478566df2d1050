"""The one layout of the description's YAML files.

What has parts of its own is a block, what is short is one line: ``{name: dom, type: domid_t}``.
Lines that stand together in one list or group have their columns aligned. A line of more than
``WIDTH`` columns is broken after a comma; what still does not fit becomes a block, and its texts
are folded. Comments stand before what they are about.

``dump`` and ``format_text`` give the same text for the same data, whatever order its keys are in.
"""

from collections import Counter
from collections.abc import Sequence as Sequenced
from pathlib import Path
from typing import Any, TypeAlias

from xenport.abi import scalars, styletree
from xenport.abi.styletree import Leaf, Mapping, Node, Sequence
from xenport.yamlsource import Document

WIDTH = 100
_ALWAYS_BLOCKS = ("constants", "structs", "unions", "hypercalls")
_LINE_BY_LINE = (  # each is a line if it can be; elsewhere all are, or none
    *("types", "values", "rings", "byte_rings", "save_records", "macros"),
)
_QUOTED = ("since", "until")
_FLOW_LISTS = ("includes", "callers", "arches")
_MEMBERS = ("struct", "union")
_STEP = 2
# How much wider than the narrowest cell of its column one may be and still count for the width.
_SPREAD = {"name": 24, "errno": 3}
_USUAL_SPREAD = 10

Piece: TypeAlias = tuple[str, str, Node]  # a key, `key: value` on one line, the value


def dump(data: Any) -> str:
    """The text of ``data``: dicts, lists, texts, integers (``yamlsource.Hex`` too), ``bool``.

    Raises ``TypeError`` for anything else.
    """
    return _text(styletree.from_data(data), [])


def format_text(source: Path | Document) -> str:
    """The text of a file in canonical style, with its comments and its spelling of numbers.

    Raises ``InputError`` for a file that is not well-formed.
    """
    document = source if isinstance(source, Document) else Document(source)
    node, rest = styletree.from_document(document)
    text = _text(node, rest)
    if text != document.source:
        again, rest_again = styletree.from_document(Document(document.path, text))
        kept = sorted([*styletree.comments(node), *rest])
        if again != node or sorted([*styletree.comments(again), *rest_again]) != kept:
            raise AssertionError(f"{document.path}: formatting would change what the file says")
    return text


def _text(node: Node, rest: list[str]) -> str:
    writer = _Writer()
    writer.file(node)
    return "\n".join([*writer.lines, *rest]) + "\n"


class _Writer:
    """Writes nodes as lines. ``indent`` is the column of the keys or dashes of a node."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def file(self, node: Node) -> None:
        if not isinstance(node, Mapping) or not node.entries:
            self._block(node, 0, "")
            return
        for entry in node.entries:
            block = isinstance(entry.node, Mapping) or not _is_flow(entry.node, entry.name)
            if block and self.lines:
                self.lines.append("")
            self._comments(entry.comments, 0)
            self._value(f"{entry.key}:", entry.node, 0, entry.name)

    def _comments(self, comments: Sequenced[str], indent: int) -> None:
        self.lines.extend(" " * indent + comment for comment in comments)

    def _block(self, node: Node, indent: int, place: str) -> None:
        """The lines of ``node``, without a key or dash in front of the first."""
        if isinstance(node, Leaf) or not node.entries:
            self.lines.append(" " * indent + _flow(node))
        elif isinstance(node, Sequence):
            self._list(node, indent, place)
        elif node.table:
            self._table(node, indent, place)
        else:
            for entry in node.entries:
                self._comments(entry.comments, indent)
                self._value(" " * indent + f"{entry.key}:", entry.node, indent, entry.name)

    def _value(self, head: str, node: Node, indent: int, place: str) -> None:
        """``node`` behind ``head``, a key or dash at ``indent``."""
        if isinstance(node, Leaf):
            self.lines.extend(_leaf_lines(head, node, indent + _STEP, place))
            return
        if place not in (*_ALWAYS_BLOCKS, *_MEMBERS):
            lines = _flow_lines(head, node, place)
            if lines:
                self._comments(list(styletree.comments(node)), indent)
                self.lines.extend(lines)
                return
        if not node.entries:
            self.lines.append(f"{head} {_flow(node)}")
            return
        self.lines.append(head)
        self._block(node, indent + _STEP, place)

    def _list(self, node: Sequence, indent: int, place: str) -> None:
        dash = " " * indent + "-"
        rows = {
            index: pieces
            for index, entry in enumerate(node.entries)
            if place not in _ALWAYS_BLOCKS
            and isinstance(entry.node, Mapping)
            and _is_flow(entry.node, place)
            and _wrapped(dash, pieces := _pieces(entry.node), [])
        }
        pads: dict[int, list[int]] = {}
        for nested in (False, True):
            alike = [index for index in rows if _is_nested(rows[index]) == nested]
            pads.update(zip(alike, _pads([rows[index] for index in alike]), strict=True))
        for index, entry in enumerate(node.entries):
            if index and place == "constants":
                self.lines.append("")
            self._comments(entry.comments, indent)
            if isinstance(entry.node, Leaf):
                self._value(dash, entry.node, indent, place)
                continue
            lines = (
                _aligned(dash, rows[index], pads[index], 0 if _is_nested(rows[index]) else 2)
                if index in rows
                else _flow_lines(dash, entry.node, place)
                if isinstance(entry.node, Sequence)
                else []
            )
            if lines:
                self._comments(list(styletree.comments(entry.node)), indent)
                self.lines.extend(lines)
            else:
                self._item(entry.node, indent, place)

    def _item(self, node: Node, indent: int, place: str) -> None:
        """A block as an item of a list."""
        begin = len(self.lines)
        self._block(node, indent + _STEP, place)
        first = next(
            index
            for index in range(begin, len(self.lines))
            if not self.lines[index].lstrip(" ").startswith("#")
        )
        for index in range(begin, first):  # of the key that now stands behind the dash
            self.lines[index] = self.lines[index][_STEP:]
        self.lines[first] = " " * indent + "- " + self.lines[first][indent + _STEP :]

    def _table(self, node: Mapping, indent: int, place: str) -> None:
        cells = {
            index: _pieces(entry.node)
            for index, entry in enumerate(node.entries)
            if place not in _ALWAYS_BLOCKS
            and isinstance(entry.node, (Leaf, Mapping))
            and _is_flow(entry.node, place)
        }
        heads = [" " * indent + f"{entry.key}:" for entry in node.entries]
        width = _column([len(heads[index]) for index in cells], "name")
        pads = dict(zip(cells, _pads(list(cells.values())), strict=True))
        lines: dict[int, list[str]] = {}
        for index, pieces in cells.items():
            leaf = node.entries[index].node
            head = heads[index].ljust(width)
            if isinstance(leaf, Leaf):
                line = f"{head} {_scalar(leaf, place, False)}"
                lines[index] = [line] if len(line) <= WIDTH else []
            else:
                lines[index] = _aligned(head, pieces, pads[index], 0)
                if len(lines[index]) > 2:
                    lines[index] = []
        blocks = False
        if place not in _LINE_BY_LINE:
            blocks = any(len(lines.get(index, ())) != 1 for index in range(len(node.entries)))
        for index, entry in enumerate(node.entries):
            if blocks and index:
                self.lines.append("")
            self._comments(entry.comments, indent)
            if not blocks and lines.get(index):
                self._comments(list(styletree.comments(entry.node)), indent)
                self.lines.extend(lines[index])
            elif isinstance(entry.node, Mapping) and entry.node.entries:
                self.lines.append(heads[index])
                self._block(entry.node, indent + _STEP, place)
            else:
                self._value(heads[index], entry.node, indent, place)


def _scalar(leaf: Leaf, place: str, flow: bool) -> str:
    if not leaf.is_text:
        return leaf.text
    return scalars.quoted(leaf.text) if place in _QUOTED else scalars.text(leaf.text, flow)


def _leaf_lines(head: str, leaf: Leaf, indent: int, place: str) -> list[str]:
    """A scalar behind ``head``; folded, with lines at ``indent``, where it is too long."""
    block = scalars.literal(leaf.text) if leaf.is_text else None
    if block:
        return [f"{head} {block[0]}", *(" " * indent * bool(line) + line for line in block[1])]
    line = f"{head} {_scalar(leaf, place, False)}"
    if len(line) > WIDTH and leaf.is_text:
        lines = scalars.folded(leaf.text, WIDTH - indent)
        if lines and indent + max(map(len, lines)) < len(line):
            return [f"{head} >-", *(" " * indent + line for line in lines)]
    return [line]


def _is_flow(node: Node, place: str) -> bool:
    """Whether ``node``, which stands below the key ``place``, may be on one line."""
    if isinstance(node, Leaf):
        return "\n" not in node.text
    if isinstance(node, Mapping):
        return not node.table and all(_is_flow(entry.node, entry.name) for entry in node.entries)
    if _is_members(node, place):
        return len(node.entries) <= 2 and all(
            not entry.comments and _is_flow(entry.node, "") for entry in node.entries
        )
    return place in _FLOW_LISTS or all(
        isinstance(entry.node, Leaf) and _is_flow(entry.node, place) for entry in node.entries
    )


def _flow(node: Node, place: str = "") -> str:
    """``node`` on one line, inside ``{}`` or ``[]``."""
    if isinstance(node, Leaf):
        return _scalar(node, place, True)
    if isinstance(node, Sequence):
        return f"[{', '.join(_flow(entry.node, place) for entry in node.entries)}]"
    return f"{{{', '.join(text for _, text, _ in _pieces(node))}}}"


def _pieces(node: Node) -> list[Piece]:
    """The keys and values of a mapping, those of nested members one by one; none of a scalar."""
    if not isinstance(node, Mapping):
        return []
    pieces: list[Piece] = []
    for entry in node.entries:
        if isinstance(entry.node, Sequence) and _is_members(entry.node, entry.name):
            inner = [
                (f"{entry.name} {number} {key}", text, part)
                for number, member in enumerate(entry.node.entries)
                for key, text, part in _bracketed(_pieces(member.node), "{}")
            ]
            inner = _bracketed(inner, "[]")
            inner[0] = (inner[0][0], f"{entry.key}: {inner[0][1]}", inner[0][2])
            pieces += inner
        else:
            pieces.append((entry.name, f"{entry.key}: {_flow(entry.node, entry.name)}", entry.node))
    return pieces


def _is_members(node: Sequence, place: str) -> bool:
    """Whether ``node`` lists members of a member."""
    mappings = all(isinstance(entry.node, Mapping) for entry in node.entries)
    return place in _MEMBERS and bool(node.entries) and mappings


def _bracketed(pieces: list[Piece], brackets: str) -> list[Piece]:
    pieces = pieces or [("", "", Leaf(""))]
    key, text, node = pieces[0]
    pieces[0] = (key, brackets[0] + text, node)
    key, text, node = pieces[-1]
    pieces[-1] = (key, text + brackets[1], node)
    return pieces


def _is_nested(pieces: list[Piece]) -> bool:
    """Whether a member has members of its own."""
    return any(key.split(" ")[0] in _MEMBERS for key, _, _ in pieces)


def _flow_lines(head: str, node: Mapping | Sequence, place: str) -> list[str]:
    """``node`` in ``{}`` or ``[]`` behind ``head``; no lines if it has to be a block."""
    if not _is_flow(node, place):
        return []
    if isinstance(node, Mapping):
        return _wrapped(head, _pieces(node), [])
    pieces = [("", _flow(entry.node, place), entry.node) for entry in node.entries]
    return _wrapped(head, pieces, [], "[]")


def _aligned(head: str, pieces: list[Piece], pads: list[int], least: int) -> list[str]:
    """``_wrapped`` on one line if it can be with at least the first ``least`` columns aligned."""
    for count in range(len(pads), least - 1, -1):
        lines = _wrapped(head, pieces, pads[:count])
        if len(lines) == 1:
            return lines
    return _wrapped(head, pieces, pads)


def _wrapped(
    head: str, pieces: list[Piece], pads: Sequenced[int], brackets: str = "{}"
) -> list[str]:
    """``pieces`` in brackets behind ``head``, broken after commas; none if a piece is too long.

    Behind piece N are ``pads[N]`` spaces more, unless it is the last on its line.
    """
    line = f"{head} {brackets[0]}"
    margin = " " * len(line)
    if not pieces:
        return [line + brackets[1]]
    lines: list[str] = []
    gap = ""
    for index, (_, text, node) in enumerate(pieces):
        end = brackets[1] if index == len(pieces) - 1 else ","
        if len(line) + len(gap) + len(text) + 1 > WIDTH and gap:
            if _is_nested(pieces):
                return []
            lines.append(line)
            line, gap = margin, ""
        if len(line) + len(text) + 1 <= WIDTH - len(gap):
            line += gap + text + end
        else:
            broken = _broken(line, text, node, len(end))
            if not broken:
                return []
            lines.extend(broken[:-1])
            line = broken[-1] + end
        gap = " " * (1 + (pads[index] if index < len(pads) else 0))
    return [*lines, line]


def _broken(line: str, text: str, node: Node, room: int) -> list[str]:
    """A piece broken at any comma of its value, behind ``line``; no lines if it has none."""
    if isinstance(node, Leaf):
        return []
    key = text[: len(text) - len(_flow(node))]
    atoms = _atoms(node)
    atoms[0] = key + atoms[0]
    margin = " " * (len(line) + len(key) + 1)
    lines: list[str] = []
    gap = ""
    for atom in atoms:
        if len(line) + len(gap) + len(atom) + room > WIDTH and gap:
            lines.append(line)
            line, gap = margin, ""
        line += gap + atom
        gap = " "
    lines.append(line)
    return lines if all(len(line) + room <= WIDTH for line in lines) else []


def _atoms(node: Node, place: str = "") -> list[str]:
    """``node`` on one line, cut behind each comma."""
    if isinstance(node, Leaf) or not node.entries:
        return [_flow(node, place)]
    atoms: list[str] = []
    for entry in node.entries:
        own = _atoms(entry.node, entry.name or place)
        if isinstance(node, Mapping):
            own[0] = f"{entry.key}: {own[0]}"
        own[-1] += ","
        atoms += own
    opening, closing = "{}" if isinstance(node, Mapping) else "[]"
    atoms[0] = opening + atoms[0]
    atoms[-1] = atoms[-1][:-1] + closing
    return atoms


def _pads(rows: list[list[Piece]]) -> list[list[int]]:
    """How many spaces align the columns of ``rows``.

    From the left, a column is what most rows have there; a row that has something else is not
    aligned from there on.
    """
    pads: list[list[int]] = [[] for _ in rows]
    live = [index for index, row in enumerate(rows) if len(row) > 1]
    most = len(live) // 2
    column = 0
    while len(live) > 1:
        key, count = Counter(rows[index][column][0] for index in live).most_common(1)[0]
        if count <= most or key == "doc":
            break
        live = [index for index in live if rows[index][column][0] == key]
        width = _column([len(rows[index][column][1]) for index in live], key)
        for index in live:
            pads[index].append(max(0, width - len(rows[index][column][1])))
        column += 1
        live = [index for index in live if len(rows[index]) > column + 1]
    return pads


def _column(widths: list[int], key: str) -> int:
    """The width of a column: that of its widest cell, but for those that stand far out."""
    limit = min(widths, default=0) + _SPREAD.get(key.split(" ")[-1], _USUAL_SPREAD)
    return max((width for width in widths if width <= limit), default=0)
