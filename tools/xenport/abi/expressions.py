"""The two small languages inside the YAML: integer expressions and type expressions.

Both are parsed to immutable trees, once per text. A mistake raises ``ValueError`` with what was
expected; the caller knows the place.
"""

import functools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

_TOKEN = re.compile(
    r"\s*(?:(?P<number>0[xX][0-9a-fA-F]+|[0-9]+)(?![\w.])|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<sign><<|>>|[-+*/%&|^~()\[\]]))"
)
_BINARY = ({"|"}, {"^"}, {"&"}, {"<<", ">>"}, {"+", "-"}, {"*", "/", "%"})  # weakest first
_WIDEST_SHIFT = 64

INTEGERS = frozenset(
    {"char", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"}
    | {"short", "int", "long", "ushort", "uint", "ulong", "size_t", "pointer"}
    | {"int64_aligned", "uint64_aligned"}
)
PRIMITIVES = INTEGERS | {"void"}


@dataclass(frozen=True, slots=True)
class Number:
    """A literal; ``text`` is how it was written."""

    value: int
    text: str


@dataclass(frozen=True, slots=True)
class Name:
    """A constant, or a field of the structure (in ``count``)."""

    name: str


@dataclass(frozen=True, slots=True)
class SizeOf:
    """``sizeof(type)``."""

    type: "Type"


@dataclass(frozen=True, slots=True)
class Unary:
    """``-`` or ``~`` of an expression."""

    sign: str
    operand: "Expression"


@dataclass(frozen=True, slots=True)
class Binary:
    """Two expressions and a sign between them."""

    sign: str
    left: "Expression"
    right: "Expression"


Expression: TypeAlias = Number | Name | SizeOf | Unary | Binary


@dataclass(frozen=True, slots=True)
class Primitive:
    """One of ``PRIMITIVES``."""

    name: str


@dataclass(frozen=True, slots=True)
class Named:
    """A typedef, structure or union."""

    name: str


@dataclass(frozen=True, slots=True)
class Array:
    """``element[length]``; ``length`` is ``None`` for a flexible array."""

    element: "Type"
    length: Expression | None


@dataclass(frozen=True, slots=True)
class Handle:
    """A guest handle; ``wide`` is the one of 64 bits on every architecture."""

    target: "Type"
    const: bool
    wide: bool


Type: TypeAlias = Primitive | Named | Array | Handle


@functools.cache
def expression(text: str) -> Expression:
    """The integer expression ``text``."""
    parser = _Parser(text, "expression")
    tree = parser.expression()
    parser.end()
    return tree


@functools.cache
def type_expression(text: str) -> Type:
    """The type expression ``text``."""
    parser = _Parser(text, "type")
    tree = parser.type()
    parser.end()
    return tree


def evaluate(
    tree: Expression, constant: Callable[[str], int], sizeof: Callable[[Type], int]
) -> int:
    """The value of ``tree``; ``constant`` and ``sizeof`` say what names and types stand for."""
    match tree:
        case Number():
            return tree.value
        case Name():
            return constant(tree.name)
        case SizeOf():
            return sizeof(tree.type)
        case Unary():
            operand = evaluate(tree.operand, constant, sizeof)
            return -operand if tree.sign == "-" else ~operand
        case Binary():
            return _apply(
                tree.sign,
                evaluate(tree.left, constant, sizeof),
                evaluate(tree.right, constant, sizeof),
            )


def names(tree: Expression) -> Iterator[str]:
    """The names in ``tree``."""
    match tree:
        case Name():
            yield tree.name
        case Unary():
            yield from names(tree.operand)
        case Binary():
            yield from names(tree.left)
            yield from names(tree.right)


def types(tree: Expression) -> Iterator[Type]:
    """The types that ``tree`` takes the size of."""
    match tree:
        case SizeOf():
            yield tree.type
        case Unary():
            yield from types(tree.operand)
        case Binary():
            yield from types(tree.left)
            yield from types(tree.right)


def _apply(sign: str, left: int, right: int) -> int:
    if sign in ("/", "%"):
        if right == 0:
            raise ValueError("division by zero")
        quotient = abs(left) // abs(right)  # C rounds towards zero
        if (left < 0) != (right < 0):
            quotient = -quotient
        return quotient if sign == "/" else left - right * quotient
    if sign in ("<<", ">>"):
        if not 0 <= right < _WIDEST_SHIFT:
            raise ValueError(f"a shift by {right}; expected 0 to {_WIDEST_SHIFT - 1}")
        return left << right if sign == "<<" else left >> right
    if sign in ("&", "|", "^"):
        return {"&": left & right, "|": left | right, "^": left ^ right}[sign]
    return {"+": left + right, "-": left - right, "*": left * right}[sign]


class _Parser:
    """Recursive descent over the tokens of one text."""

    def __init__(self, text: str, what: str) -> None:
        self._text = text
        self._what = what
        self._tokens = self._split(text)
        self._next = 0
        self._depth = 0

    def _split(self, text: str) -> list[tuple[str, str]]:
        tokens = []
        position = 0
        while text[position:].strip():
            match = _TOKEN.match(text, position)
            if match is None:
                raise self._error(f"'{text[position:].strip().split()[0]}' is no part of one")
            tokens.append((match.lastgroup or "", match[match.lastgroup or 0]))
            position = match.end()
        return tokens

    def _error(self, message: str) -> ValueError:
        return ValueError(f"bad {self._what} '{self._text}': {message}")

    def _take(self, *wanted: str) -> str | None:
        """The next token if it is one of ``wanted`` (signs or names)."""
        if self._next < len(self._tokens) and self._tokens[self._next][1] in wanted:
            self._next += 1
            return self._tokens[self._next - 1][1]
        return None

    def _expect(self, sign: str) -> None:
        if self._take(sign) is None:
            raise self._error(f"expected '{sign}' {self._place()}")

    def _place(self) -> str:
        if self._next < len(self._tokens):
            return f"before '{self._tokens[self._next][1]}'"
        return "at the end"

    def end(self) -> None:
        """Nothing may follow."""
        if self._next < len(self._tokens):
            raise self._error(f"expected nothing after it, found '{self._tokens[self._next][1]}'")

    def expression(self, level: int = 0) -> Expression:
        """Operators of ``_BINARY[level:]``."""
        if level == len(_BINARY):
            return self._unary()
        tree = self.expression(level + 1)
        while sign := self._take(*_BINARY[level]):
            tree = Binary(sign, tree, self.expression(level + 1))
        return tree

    def _unary(self) -> Expression:
        self._depth += 1
        if self._depth > 50:
            raise self._error("nested too deep")
        tree = self._operand()
        self._depth -= 1
        return tree

    def _operand(self) -> Expression:
        if sign := self._take("-", "~"):
            return Unary(sign, self._unary())
        if self._take("("):
            tree = self.expression()
            self._expect(")")
            return tree
        kind, text = self._tokens[self._next] if self._next < len(self._tokens) else ("", "")
        if kind not in ("number", "name"):
            raise self._error(f"expected a number, a name or '(' {self._place()}")
        self._next += 1
        if kind == "number":
            if text != "0" and text.startswith("0") and text[1] not in "xX":
                raise self._error(f"'{text}' starts with 0; octal numbers are not used")
            return Number(int(text, 0), text)
        if text == "sizeof":
            self._expect("(")
            operand = self.type()
            self._expect(")")
            return SizeOf(operand)
        return Name(text)

    def type(self) -> Type:
        """A type with its array lengths, the outermost first as in C."""
        tree = self._element()
        lengths: list[Expression | None] = []
        while self._take("["):
            if self._take("]"):
                lengths.append(None)
            else:
                lengths.append(self.expression())
                self._expect("]")
        if lengths and tree == Primitive("void"):
            raise self._error("void has no size; it stands only in a handle")
        for length in reversed(lengths):
            tree = Array(tree, length)
        return tree

    def _element(self) -> Type:
        kind, text = self._tokens[self._next] if self._next < len(self._tokens) else ("", "")
        if kind != "name":
            raise self._error(f"expected the name of a type {self._place()}")
        self._next += 1
        if text in ("handle", "handle64"):
            self._depth += 1
            if self._depth > 50:
                raise self._error("nested too deep")
            self._expect("(")
            const = self._take("const") is not None
            target = self.type()
            self._expect(")")
            return Handle(target, const, text == "handle64")
        return Primitive(text) if text in PRIMITIVES else Named(text)
