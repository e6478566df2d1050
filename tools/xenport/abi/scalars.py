"""How a scalar is written in a YAML file so that ``yamlsource`` reads the same back."""

import functools
import re

_NOT_PLAIN = re.compile(r"[?:,\[\]{}#&*!|>'\"%@`]|-(?: |\Z)|---|\.\.\.|.*(?:: |:\Z| #)")
_NOT_IN_FLOW = re.compile(r"[,\[\]{}?]")
_NOT_TEXT = re.compile(r"(?:-?(?:[0-9]+(?:\.[0-9]+)?|0[xX][0-9a-fA-F]+)|~|null|true|false|)\Z")
_BREAK = re.compile(r"(?<=[^ ]) (?=[^ ])")
_ESCAPES = {"\n": "\\n", "\t": "\\t", '"': '\\"', "\\": "\\\\"}


@functools.lru_cache(maxsize=1 << 16)
def text(value: str, flow: bool) -> str:
    """A text on one line: plain if it can be, else in quotes. ``flow``: inside ``{}`` or ``[]``."""
    if value.isprintable() and value == value.strip(" "):
        if not (
            _NOT_PLAIN.match(value)
            or _NOT_TEXT.match(value)
            or (flow and _NOT_IN_FLOW.search(value))
        ):
            return value
        if '"' in value or "\\" in value:
            return "'" + value.replace("'", "''") + "'"
    return quoted(value)


def quoted(value: str) -> str:
    """A text in double quotes, on one line."""
    return '"' + "".join(map(_escaped, value)) + '"'


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    number = ord(character)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def folded(value: str, width: int) -> list[str]:
    """The lines of a ``>-`` block of at most ``width`` columns; none if it could not hold the text.

    A word longer than ``width`` has a longer line to itself.
    """
    if not value or not value.isprintable() or value != value.strip(" "):
        return []
    lines: list[str] = []
    for word in _BREAK.split(value):
        if lines and len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def literal(value: str) -> tuple[str, list[str]] | None:
    """Header and lines of a literal block for a text of several lines, if one can hold it."""
    lines = value.split("\n")
    header = "|-"
    if len(lines) > 1 and not lines[-1]:
        header = "|"
        lines.pop()
    if "\n" not in value or not lines[-1] or not lines[0] or lines[0].startswith(" "):
        return None
    if not all(line.isprintable() and line == line.rstrip(" ") for line in lines):
        return None
    return header, lines
