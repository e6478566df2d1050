"""The memory of the guest that a hypercall reaches, as abi/ describes it: arguments, and whatever
handles inside them lead to."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, cached_property
from typing import NamedTuple

from xenport.abi import Abi, expressions
from xenport.abi.calls import CallArgument, Command, Hypercall
from xenport.abi.layout import Field, Layout
from xenport.abi.schema import Direction
from xenport.errors import InputError
from xenport.model.core import HANDLERS

Read = Callable[[int, int], bytes | None]
"""Gives the bytes at an address, as many as there are up to a number of them, or None."""

LARGEST = 1 << 20
"""Bytes of one buffer that are looked at: a count that a guest made up can be anything."""

MOST = 1024
"""Buffers of one hypercall."""

MULTICALL_ENTRY = "multicall_entry"
"""The structure whose elements are hypercalls."""


class Reached(NamedTuple):
    """A buffer: ``size`` bytes at ``address``, elements of the type ``element``."""

    name: str
    address: int
    size: int
    direction: Direction
    element: Layout
    resource: str | None = None  #: that the elements number, where not their type says so


class Reach:
    """What hypercalls of one ABI reach."""

    def __init__(self, abi: Abi) -> None:
        self.abi = abi
        self._order = abi.architecture.data_model.endian
        self._holding = cache(self._holds_handles)

    def hypercall(self, number: int) -> Hypercall | None:
        """The hypercall of that number, if abi/ has it."""
        return self.abi.hypercall_by_number.get(number)

    def command(self, hypercall: Hypercall, arguments: Sequence[int | None]) -> Command | None:
        """The command that a register names."""
        index, mask = self.command_place(hypercall)
        if index is None:
            return None
        number = arguments[index] if index < len(arguments) else None
        return None if number is None else self.commands[hypercall.name].get(number & mask)

    def command_index(self, hypercall: Hypercall) -> int | None:
        """Which argument is the command, if a register is."""
        return self.command_place(hypercall)[0]

    def command_place(self, hypercall: Hypercall) -> tuple[int | None, int]:
        """Which argument is the command, if a register is, and which bits of it are."""
        return self._command_places.get(hypercall.name, (None, 0))

    def buffers(
        self, number: int, arguments: Sequence[int | None], read: Read
    ) -> Iterator[Reached]:
        """What the hypercall reaches; ``read`` gives what is in memory when it is made."""
        for count, reached in enumerate(self._call(number, arguments, read, "", False)):
            if count == MOST:
                return
            yield reached

    @cached_property
    def commands(self) -> Mapping[str, Mapping[int, Command]]:
        """The commands of each hypercall by what its register holds of their numbers."""
        return {
            name: {
                command.number & self._command_places.get(name, (0, -1))[1]: command
                for command in hypercall.commands.values()
            }
            for name, hypercall in self.abi.hypercalls.items()
        }

    @cached_property
    def _command_places(self) -> Mapping[str, tuple[int, int]]:
        """Index and mask of the argument that is the command."""
        return {
            name: (
                index,
                HANDLERS.command_masks.get(name, (1 << 8 * arg.layout.size) - 1),
            )
            for name, hypercall in self.abi.hypercalls.items()
            for index, arg in enumerate(hypercall.args)
            if arg.role == "command"
        }

    def leads_on(self, layout: Layout) -> bool:
        """Whether handles in it lead to more memory."""
        return self._holding(layout)

    # ---- The arguments ----

    def _call(
        self,
        number: int,
        arguments: Sequence[int | None],
        read: Read,
        prefix: str,
        is_inner: bool,
    ) -> Iterator[Reached]:
        hypercall = self.hypercall(number)
        if hypercall is None or (is_inner and hypercall.name == "multicall"):
            return
        command = self.command(hypercall, arguments)
        scope = {
            arg.name: (value or 0) & ((1 << 8 * arg.layout.size) - 1)
            for arg, value in zip(hypercall.args, arguments, strict=False)
        }
        for arg in hypercall.args:
            address = scope.get(arg.name, 0)
            if address and arg.layout.kind == "handle":
                yield from self._argument(hypercall, command, arg, scope, read, prefix)

    def _argument(
        self,
        hypercall: Hypercall,
        command: Command | None,
        arg: CallArgument,
        scope: dict[str, int],
        read: Read,
        prefix: str,
    ) -> Iterator[Reached]:
        name, address = prefix + arg.name, scope[arg.name]
        if arg.role == "argument" and hypercall.name in self._command_places:
            if command is None or command.arg is None:
                return
            pointed = command.arg
            element, count, direction = pointed.layout, pointed.count, pointed.direction
        elif arg.layout.target == "void" and arg.count is None:
            return
        else:
            element = self.abi.layout(arg.layout.target or "void")
            count, direction = arg.count, arg.direction
        if element.fields and arg.role == "argument":
            direction = argument_direction(element)
        header = read(address, element.size) if element.is_flexible else None
        if hypercall.selector is not None and count is None:
            yield from self._selected(hypercall, name, address, element, direction, scope, read)
        else:
            yield from self._array(name, address, element, count, direction, scope, read, header)

    def _selected(
        self,
        hypercall: Hypercall,
        name: str,
        address: int,
        element: Layout,
        direction: Direction,
        scope: Mapping[str, int],
        read: Read,
    ) -> Iterator[Reached]:
        """A structure with the command in it: only the command's member of its union holds."""
        yield Reached(name, address, element.size, direction, element)
        data = read(address, element.size)
        command = self.selected(hypercall, element, data or b"")
        if command is None or command.arg is None or command.arg.member is None or not data:
            return
        around = {**scope, **self._numbers(element, data, 0)}
        path = f"{name}.{command.arg.member}"
        part = command.arg.layout
        if self._holding(part):
            yield from self._inside(part, data, command.arg.offset, path, around, read)

    def selected(self, hypercall: Hypercall, element: Layout, data: bytes) -> Command | None:
        """The command that the selector of the structure ``element`` in ``data`` names."""
        number = self.selector(hypercall, element, data)
        return None if number is None else hypercall.command_by_number.get(number)

    def selector(self, hypercall: Hypercall, element: Layout, data: bytes) -> int | None:
        """What the selector of the structure ``element`` in ``data`` holds."""
        selector = element.by_name.get(hypercall.selector or "")
        if selector is None or selector.offset + selector.size > len(data):
            return None
        return self._number(data, selector.offset, selector.size)

    def _array(
        self,
        name: str,
        address: int,
        element: Layout,
        count: str | None,
        direction: Direction,
        scope: Mapping[str, int],
        read: Read,
        header: bytes | None = None,
        resource: str | None = None,
    ) -> Iterator[Reached]:
        """``count`` elements at ``address``, and what they lead to."""
        each = element.size or 1
        if count == "nul":
            size = self._up_to_zero(address, each, read)
        else:
            fields = dict(scope)
            if header is not None:
                fields |= self._numbers(element, header, 0)
            number = 1 if count is None else self._count(count, fields)
            size = number * each
            if header is not None and element.fields[-1].count is not None:
                tail = element.fields[-1].layout.element
                length = self._count(element.fields[-1].count, fields)
                size += length * (tail.size if tail else 1)
        size = max(0, min(size, LARGEST))
        if not size:
            return
        yield Reached(name, address, size, direction, element, resource or element.resource)
        if not self._holding(element):
            return
        data = read(address, size)
        if not data:
            return
        several = count is not None
        for index in range(len(data) // each):
            path = f"{name}[{index}]" if several else name
            if element.name == MULTICALL_ENTRY:
                op, args = multicall_entry(self.abi, data, index * each)
                yield from self._call(op, args, read, f"{path}.", True)
            else:
                yield from self._inside(element, data, index * each, path, scope, read)

    # ---- Handles in structures ----

    def _inside(
        self,
        layout: Layout,
        data: bytes,
        base: int,
        path: str,
        scope: Mapping[str, int],
        read: Read,
    ) -> Iterator[Reached]:
        """What the handles of the structure at ``base`` of ``data`` lead to."""
        if base + layout.size > len(data):
            return
        around = {**scope, **self._numbers(layout, data, base)}
        for member in self.leading(layout):
            kind, at = member.layout.kind, base + member.offset
            if member.count is not None and kind in ("handle", "int"):
                address = self._number(data, at, member.size)
                if address:
                    target = self.abi.layout(member.layout.target or "uint8")
                    yield from self._array(
                        f"{path}.{member.name}",
                        address,
                        target,
                        member.count,
                        member.direction,
                        around,
                        read,
                        resource=member.resource,
                    )
            elif kind in ("struct", "union"):
                inner = f"{path}.{member.name}"
                yield from self._inside(member.layout, data, at, inner, around, read)
            else:
                element = member.layout.element
                assert element is not None
                for index in range(member.layout.length or 0):
                    inner = f"{path}.{member.name}[{index}]"
                    start = at + index * element.size
                    yield from self._inside(element, data, start, inner, around, read)

    def leading(self, layout: Layout) -> Sequence[Field]:
        """The members that lead somewhere, or hold something that does.

        Of a union only one can hold: the one that leads anywhere, if no other does.
        """
        found = [
            one
            for one in layout.fields
            if (one.count is not None and one.layout.kind in ("handle", "int"))
            or self._holding(one.layout)
        ]
        return found if layout.kind != "union" or len(found) == 1 else []

    def _holds_handles(self, layout: Layout) -> bool:
        """Whether something in it leads somewhere else."""
        if layout.name == MULTICALL_ENTRY:
            return True
        if layout.element is not None:
            return self._holding(layout.element)
        return any(
            (member.count is not None and member.layout.kind in ("handle", "int"))
            or self._holding(member.layout)
            for member in layout.fields
        )

    # ---- Numbers ----

    def _number(self, data: bytes, offset: int, size: int) -> int:
        return int.from_bytes(data[offset : offset + size], self._order)

    def _numbers(self, layout: Layout, data: bytes, base: int) -> dict[str, int]:
        """The integers among the members, by name."""
        return {
            member.name: self._number(data, base + member.offset, member.size)
            for member in layout.fields
            if member.layout.kind == "int" and member.bits is None
        }

    def _count(self, count: str, scope: Mapping[str, int]) -> int:
        def value(name: str) -> int:
            return scope[name] if name in scope else self.abi.constant(name)

        try:
            return expressions.evaluate(
                expressions.expression(count),
                value,
                lambda tree: self.abi.engine.layout(tree).size,
            )
        except (InputError, ValueError):
            return 0

    @staticmethod
    def _up_to_zero(address: int, each: int, read: Read) -> int:
        """Bytes up to the element that is zero, and of it."""
        size = 0
        while size < LARGEST:
            element = read(address + size, each)
            if element is None or len(element) < each:
                break
            size += each
            if not any(element):
                break
        return size


def multicall_entry(abi: Abi, data: bytes, base: int) -> tuple[int, list[int]]:
    """Number and arguments of the entry at ``base`` of ``data``."""
    entry = abi.view(MULTICALL_ENTRY, data, base)
    return entry.op, list(entry.args)


def multicall_result(abi: Abi, data: bytes, base: int) -> int:
    """What the entry at ``base`` of ``data`` returned, signed."""
    entry = abi.layout(MULTICALL_ENTRY)
    result: int = abi.view(MULTICALL_ENTRY, data, base).result
    bits = 8 * entry.by_name["result"].size
    return result - (1 << bits) if result >> (bits - 1) else result


def argument_direction(layout: Layout) -> Direction:
    """Of a structure: that of all of its members."""
    found = {member.direction for member in layout.fields}
    return found.pop() if len(found) == 1 else "inout"


def comes_back(hypercall: Hypercall | None) -> bool:
    """Whether the guest gets a result: iret goes on elsewhere, with registers of its own."""
    return hypercall is None or hypercall.name != "iret"
