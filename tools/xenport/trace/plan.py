"""What a recorder without Python follows to find the memory that hypercalls reach: abi/ as words.

The interpreter is ``plugin/plan.c``, which says what the words are. What it finds is what
`xenport.trace.reach` finds; a test compares the two.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum

from xenport.abi import Abi, CallArgument, Command, Hypercall, Layout, expressions
from xenport.abi.expressions import Binary, Expression, Name, Number, SizeOf, Unary
from xenport.errors import InputError
from xenport.trace.reach import MULTICALL_ENTRY, Reach


class Step(IntEnum):
    """Steps of a block."""

    END = 0
    SWITCH = 1
    BUFFER = 2


class Kind(IntEnum):
    """How many elements a buffer has."""

    ONE = 0
    COUNTED = 1
    UP_TO_ZERO = 2


class Word(IntEnum):
    """Words of an expression, operands first."""

    DONE = 0
    CONSTANT = 1
    ARGUMENT = 2
    MEMBER = 3
    NEGATE = 4
    INVERT = 5


_ORDER = ("+", "-", "*", "/", "%", "<<", ">>", "&", "^", "|")
_SIGNS = {sign: Word.INVERT + 1 + number for number, sign in enumerate(_ORDER)}

_Words = list[int]
_Value = tuple[int, ...]
_Scope = Mapping[str, _Value]
"""What names stand for: the words that give the value."""


@dataclass(frozen=True)
class Plan:
    """``words`` for the recorder; ``names`` by the numbers that it has for them: arguments, and
    from a buffer to one that a handle in it leads to (``.extent_start``)."""

    words: bytes
    names: tuple[str, ...]


def plan(abi: Abi) -> Plan:
    """The plan of an ABI. Raises ``InputError`` for one whose guests are big-endian."""
    if abi.architecture.data_model.endian != "little":
        raise InputError(f"{abi.architecture.name}: recorders know little-endian guests alone")
    return _Planner(abi).plan()


class _Planner:
    def __init__(self, abi: Abi) -> None:
        self._abi = abi
        self._reach = Reach(abi)
        self._names: dict[str, int] = {}
        self._blocks: list[_Words] = []

    def plan(self) -> Plan:
        calls = []
        for hypercall in self._abi.hypercalls.values():
            label = self._block(self._call(hypercall))
            if label:
                calls.append((hypercall.number, label, int(hypercall.name == "multicall")))
        # A block's number becomes its place when it is known how long those before it are.
        places, at = [0], 1 + 3 * len(calls)
        for block in self._blocks:
            places.append(at)
            at += len(block)
        words = [len(calls)]
        for number, label, is_multicall in calls:
            words += [number, places[label.number], is_multicall]
        for block in self._blocks:
            words += [places[one.number] if isinstance(one, _Label) else one for one in block]
        return Plan(struct.pack(f"<{len(words)}q", *words), tuple(self._names))

    def _block(self, steps: Iterator[_Words]) -> "_Label":
        """A block of ``steps``; false if there are none."""
        words = [word for step in steps for word in step]
        if not words:
            return _Label(0)
        self._blocks.append([*words, Step.END])
        return _Label(len(self._blocks))

    # ---- The arguments ----

    def _call(self, hypercall: Hypercall) -> Iterator[_Words]:
        scope = {
            arg.name: (Word.ARGUMENT, index, arg.layout.size)
            for index, arg in enumerate(hypercall.args)
        }
        for arg in hypercall.args:
            if arg.layout.kind == "handle":
                yield from self._argument(hypercall, arg, scope)

    def _argument(self, hypercall: Hypercall, arg: CallArgument, scope: _Scope) -> Iterator[_Words]:
        address = scope[arg.name]
        index, mask = self._reach.command_place(hypercall)
        if arg.role == "argument" and index is not None:
            cases = {
                number: self._block(self._pointed(command, arg, scope))
                for number, command in self._reach.commands[hypercall.name].items()
            }
            size = hypercall.args[index].layout.size
            value: _Value = (Word.ARGUMENT, index, size)
            if mask != (1 << 8 * size) - 1:
                value = (*value, Word.CONSTANT, mask, _SIGNS["&"])
            yield from self._switch(value, cases)
        elif arg.layout.target == "void" and arg.count is None:
            return
        else:
            element = self._abi.layout(arg.layout.target or "void")
            if hypercall.selector is not None and arg.count is None:
                yield self._selected(hypercall, arg.name, address, element, scope)
            else:
                yield self._array(arg.name, address, element, arg.count, scope, 0)

    def _pointed(self, command: Command, arg: CallArgument, scope: _Scope) -> Iterator[_Words]:
        if command.arg is not None:
            pointed = command.arg
            yield self._array(arg.name, scope[arg.name], pointed.layout, pointed.count, scope, 0)

    def _selected(
        self, hypercall: Hypercall, name: str, address: _Value, element: Layout, scope: _Scope
    ) -> _Words:
        """A structure with the command in it."""
        around = {**scope, **self._members(element, 0, 0)}
        cases = {}
        for command in hypercall.commands.values():
            if command.arg is not None and command.arg.member is not None:
                part, offset = command.arg.layout, command.arg.offset
                path = f".{command.arg.member}"
                cases[command.number] = self._block(self._inside(part, offset, path, around, 1))
        inner = _Label(0)
        selector = element.by_name.get(hypercall.selector or "")
        if selector is not None:
            value = (Word.MEMBER, 0, selector.offset, selector.size)
            inner = self._block(self._switch(value, cases))
        return self._buffer(name, address, element.size, Kind.ONE, inner)

    def _switch(self, value: _Value, cases: Mapping[int, "_Label"]) -> Iterator[_Words]:
        led = {number: block for number, block in cases.items() if block}
        if led:
            words = [Step.SWITCH, len(led), *value, Word.DONE]
            yield [*words, *(word for case in led.items() for word in case)]

    def _array(
        self,
        name: str,
        address: _Value,
        element: Layout,
        count: str | None,
        scope: _Scope,
        depth: int,
    ) -> _Words:
        """``count`` elements at ``address``, and what they lead to."""
        inner = _Label(0)
        is_multicall = element.name == MULTICALL_ENTRY
        if self._reach.leads_on(element) and not is_multicall:
            around = {**scope, **self._members(element, 0, depth)}
            inner = self._block(self._inside(element, 0, "", around, depth + 1))
        kind = {None: Kind.ONE, "nul": Kind.UP_TO_ZERO}.get(count, Kind.COUNTED)
        counts = self._expression(count or "", scope) if kind is Kind.COUNTED else []
        tail = 0
        if element.is_flexible and element.fields[-1].count is not None:
            last = element.fields[-1]
            tail = last.layout.element.size if last.layout.element else 1
            around = {**scope, **self._members(element, 0, depth)}
            counts += self._expression(last.count or "", around)
        return self._buffer(
            name, address, element.size or 1, kind, inner, is_multicall, tail, counts
        )

    def _buffer(
        self,
        name: str,
        address: _Value,
        each: int,
        kind: Kind,
        inner: "_Label",
        is_multicall: bool = False,
        tail: int = 0,
        counts: _Words | None = None,
    ) -> _Words:
        number = self._names.setdefault(name, len(self._names))
        words = [Step.BUFFER, number, each, kind, inner, int(is_multicall), tail]
        return [*words, *address, Word.DONE, *(counts or [])]

    # ---- Handles in structures ----

    def _inside(
        self, layout: Layout, base: int, path: str, scope: _Scope, depth: int
    ) -> Iterator[_Words]:
        """What the handles of the structure at ``base`` of the innermost element lead to."""
        around = {**scope, **self._members(layout, base, depth - 1)}
        for member in self._reach.leading(layout):
            at, name = base + member.offset, f"{path}.{member.name}"
            if member.count is not None and member.layout.kind in ("handle", "int"):
                address = (Word.MEMBER, depth - 1, at, member.size)
                target = self._abi.layout(member.layout.target or "uint8")
                yield self._array(name, address, target, member.count, around, depth)
            elif member.layout.kind in ("struct", "union"):
                yield from self._inside(member.layout, at, name, around, depth)
            else:
                element = member.layout.element
                assert element is not None
                for index in range(member.layout.length or 0):
                    start = at + index * element.size
                    yield from self._inside(element, start, f"{name}[{index}]", around, depth)

    def _members(self, layout: Layout, base: int, depth: int) -> dict[str, _Value]:
        """The integers among the members."""
        return {
            member.name: (Word.MEMBER, depth, base + member.offset, member.size)
            for member in layout.fields
            if member.layout.kind == "int" and member.bits is None
        }

    # ---- Numbers ----

    def _expression(self, text: str, scope: _Scope) -> _Words:
        return [*self._tree(expressions.expression(text), scope), Word.DONE]

    def _tree(self, tree: Expression, scope: _Scope) -> _Words:
        match tree:
            case Number():
                return [Word.CONSTANT, tree.value]
            case Name() if tree.name in scope:
                return [*scope[tree.name]]
            case Name():
                return [Word.CONSTANT, self._abi.constant(tree.name)]
            case SizeOf():
                return [Word.CONSTANT, self._abi.engine.layout(tree.type).size]
            case Unary():
                sign = Word.NEGATE if tree.sign == "-" else Word.INVERT
                return [*self._tree(tree.operand, scope), sign]
            case Binary():
                operands = self._tree(tree.left, scope) + self._tree(tree.right, scope)
                return [*operands, _SIGNS[tree.sign]]


class _Label(int):
    """The number of a block, from 1; its place in the plan is not known yet."""

    @property
    def number(self) -> int:
        return int(self)
