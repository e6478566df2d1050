"""A file of the description as a tree in canonical order, with its comments.

Keys stand in one order and what has a short form has it; ``style`` gives the tree its lines.
"""

import bisect
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import yaml

from xenport.abi import scalars
from xenport.yamlsource import Document

# The order of keys. `doc` stands at the first of its two places in what has a block of its own
# (_DESCRIBED), at the second in a member, value or error.
_KEYS = (
    *(
        "header",
        "name",
        "number",
        "errno",
        "status",
        "guest",
        "code",
        "params",
        "value",
        "suffix",
        "type",
    ),
    *(
        "compat",
        "request",
        "response",
        "member",
        "kind",
        "doc first",
        "typedef",
        "helper",
        "length",
    ),
    *("bits", "dir", "count", "holds", "role", "resource", "varies", "interface", "tools"),
    *("callers", "privilege", "arches", "since", "until", "requires", "unless"),
    *(
        "interface_version",
        "default",
        "each",
        "macro",
        "prefix",
        "keep",
        "includes",
        "unknown text",
    ),
    *("when", "doc", "args", "arg", "selector", "unknown_command", "returns", "rules"),
    *("statuses", "errors"),
    *("commands", "values", "fields", "struct", "union", "types", "constants", "structs", "unions"),
    *("rings", "byte_rings", "save_records", "macros", "hypercalls", "unknown"),
)
_RANK = {key: rank for rank, key in enumerate(_KEYS)}
_NESTED_TABLES = ("values", "commands")
_ONE_KEY = {  # a scalar stands for a mapping with this key only
    "types": "type",
    "values": "value",
    "macros": "value",
    "callers": "guest",
    "unknown_command": "errno",
    "arg": "type",
}
_ALTERNATIVES = (
    *("types", "values", "structs", "unions", "rings", "byte_rings", "save_records", "macros"),
    *("hypercalls", "commands"),
)
_DESCRIBED = ("constants", "structs", "unions", "hypercalls", "commands")
_UNORDERED = ("when",)  # keys are names of fields
_INTEGER = re.compile(r"-?(?:0[xX][0-9a-fA-F]+|[0-9]+)\Z")
_COMMENT = re.compile(r"(?:^|(?<=[ \t]))#.*$", re.MULTILINE)


@dataclass(slots=True)
class Leaf:
    """A scalar: a text, or (not ``is_text``) a number or word in the spelling it has."""

    text: str
    is_text: bool = True


@dataclass(slots=True)
class Entry:
    """A key and its value, or an item of a list (``name`` is empty)."""

    name: str
    key: str
    node: "Node"
    comments: list[str] = field(default_factory=list, compare=False)


@dataclass(slots=True)
class Mapping:
    """A mapping. ``table``: its keys are names that the description gives, not the grammar."""

    entries: list[Entry]
    table: bool = False


@dataclass(slots=True)
class Sequence:
    """A list."""

    entries: list[Entry]


Node: TypeAlias = Leaf | Mapping | Sequence


def from_data(data: Any) -> Node:
    """The tree of plain data. Raises ``TypeError`` for what is no part of it."""
    node = _from_data(data)
    _arrange(node, "", top=True)
    return node


def from_document(document: Document) -> tuple[Node, list[str]]:
    """The tree of a file with its comments, and the comments after its last node."""
    starts: list[tuple[int, int]] = []
    spans: list[tuple[int, int]] = []
    entries: list[Entry] = []
    node = _from_nodes(document.root, document.data, starts, entries, spans)
    rest: list[str] = []
    if "#" in document.source:
        rest = _attach(document.source, starts, entries, spans)
    _arrange(node, "", top=True)
    return node, rest


def comments(node: Node) -> Iterator[str]:
    """All comments inside ``node``."""
    if not isinstance(node, Leaf):
        for entry in node.entries:
            yield from entry.comments
            yield from comments(entry.node)


def _leaf(value: Any) -> Leaf:
    if isinstance(value, str):
        return Leaf(value)
    if value is None:
        return Leaf("null", False)
    if isinstance(value, bool):
        return Leaf(str(value).lower(), False)
    if isinstance(value, int):
        return Leaf(str(getattr(value, "text", int(value))), False)
    raise TypeError(f"a description holds no {type(value).__name__}: {value!r}")


def _key(name: Any) -> str:
    leaf = _leaf(name)
    return scalars.text(leaf.text, True) if leaf.is_text else leaf.text


def _from_data(data: Any) -> Node:
    if isinstance(data, dict):
        return Mapping([Entry(str(name), _key(name), _from_data(it)) for name, it in data.items()])
    if isinstance(data, (list, tuple)):
        return Sequence([Entry("", "", _from_data(item)) for item in data])
    return _leaf(data)


def _from_nodes(
    node: yaml.Node,
    data: Any,
    starts: list[tuple[int, int]],
    entries: list[Entry],
    spans: list[tuple[int, int]],
) -> Node:
    """The tree of ``node``; ``data`` is the same, read.

    ``entries`` gets all entries as they come in the file, ``starts`` the index and line of each,
    ``spans`` the first and last index of every scalar: text that no comment is in.
    """
    if isinstance(node, yaml.ScalarNode):
        spans.append((node.start_mark.index, node.end_mark.index))
        return Leaf(node.value, False) if isinstance(data, float) else _leaf(data)
    found: list[Entry] = []
    if isinstance(node, yaml.SequenceNode):
        for item_node, item in zip(node.value, data, strict=True):
            entry = Entry("", "", Leaf(""))
            found.append(entry)
            entries.append(entry)
            starts.append((item_node.start_mark.index, item_node.start_mark.line))
            entry.node = _from_nodes(item_node, item, starts, entries, spans)
        return Sequence(found)
    for (key_node, value_node), (name, value) in zip(node.value, data.items(), strict=True):
        key = key_node.value if isinstance(name, float) else _key(name)
        entry = Entry(str(name), key, Leaf(""))
        found.append(entry)
        entries.append(entry)
        starts.append((key_node.start_mark.index, key_node.start_mark.line))
        spans.append((key_node.start_mark.index, key_node.end_mark.index))
        entry.node = _from_nodes(value_node, value, starts, entries, spans)
    return Mapping(found)


def _attach(
    source: str,
    starts: list[tuple[int, int]],
    entries: list[Entry],
    spans: list[tuple[int, int]],
) -> list[str]:
    """Give each comment to the entry that follows it, or that begins on its line.

    What follows no more entry is returned.
    """
    rest: list[str] = []
    last = -1
    for match in _COMMENT.finditer(source):
        at = match.start()
        before = bisect.bisect_right(spans, (at, len(source))) - 1
        if at < last or (before >= 0 and _is_text(source, *spans[before], at)):
            continue
        last = match.end()
        comment = match.group().rstrip()
        owner = bisect.bisect_right(starts, (at, len(source)))
        begin = source.rfind("\n", 0, at) + 1
        if source[begin:at].strip(" -"):  # behind something
            first = bisect.bisect_left(starts, (begin, 0))
            owner = first if first < owner else max(owner - 1, 0)
        if owner < len(entries):
            entries[owner].comments.append(comment)
        else:
            rest.append(comment)
    return rest


def _is_text(source: str, start: int, end: int, at: int) -> bool:
    """Whether ``at`` is in the scalar from ``start`` to ``end``, not behind a block's header."""
    if source[start] in ">|":
        start = source.find("\n", start)
    return start <= at < end


def _arrange(node: Node, place: str, *, top: bool = False, table: bool = False) -> None:
    """Bring ``node`` into short forms and order. ``place`` is the key it stands below."""
    if isinstance(node, Leaf) or place in _UNORDERED:
        return
    if isinstance(node, Sequence):
        for entry in node.entries:
            if place == "callers":
                _shorten(entry, place)
            _arrange(entry.node, place)
        return
    node.table = table
    if table:
        for entry in node.entries:
            if place in _ALTERNATIVES:
                _shorten(entry, place)
            if place in ("structs", "unions"):
                _drop_default_typedef(entry)
            _arrange(entry.node, place)
        return
    for entry in node.entries:
        if entry.name in ("arg", "unknown_command"):
            _shorten(entry, entry.name)
        named = entry.name in _NESTED_TABLES or (top and isinstance(entry.node, Mapping))
        _arrange(entry.node, entry.name, table=named)
    described = top or place in _DESCRIBED
    node.entries.sort(key=lambda entry: _rank(entry, described))


def _rank(entry: Entry, described: bool) -> int:
    if entry.name == "doc" and described:
        return _RANK["doc first"]
    default = "unknown text" if isinstance(entry.node, Leaf) else "unknown"
    return _RANK.get(entry.name, _RANK[default])


def _shorten(entry: Entry, place: str) -> None:
    """Make a list of one alternative that alternative, a mapping of one key its value."""
    node = entry.node
    if isinstance(node, Sequence) and place != "arg" and len(node.entries) == 1:
        only = node.entries[0]
        if isinstance(only.node, Mapping):
            entry.node = node = only.node
            entry.comments += only.comments
    if isinstance(node, Mapping) and len(node.entries) == 1 and place in _ONE_KEY:
        only = node.entries[0]
        if only.name == _ONE_KEY[place] and _stands_alone(only.node):
            entry.node = only.node
            entry.comments += only.comments


def _stands_alone(node: Node) -> bool:
    """Whether ``node`` is a text or an integer."""
    return isinstance(node, Leaf) and (node.is_text or _INTEGER.match(node.text) is not None)


def _drop_default_typedef(entry: Entry) -> None:
    """Take away ``typedef: NAME_t``, which is what a structure without ``typedef`` has."""
    alternatives = (
        [item.node for item in entry.node.entries]
        if isinstance(entry.node, Sequence)
        else [entry.node]
    )
    for node in alternatives:
        if isinstance(node, Mapping):
            node.entries = [
                inner
                for inner in node.entries
                if inner.comments
                or inner.name != "typedef"
                or inner.node != Leaf(f"{entry.name}_t")
            ]
