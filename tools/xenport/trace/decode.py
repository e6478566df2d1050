"""What the numbers and bytes of a trace mean by the ABI, as text."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from xenport.abi import Abi, CallArgument, Command, Field, Hypercall, Layout
from xenport.errors import InputError
from xenport.trace.reach import Reach, Reached, multicall_entry, multicall_result
from xenport.trace.record import Buffer, Record

MOST_ELEMENTS = 16  # of an array that are shown
MOST_BYTES = 64  # of plain memory
MOST_CHARACTERS = 160  # of text

_NAMED = re.compile(r"\b([A-Za-z]\w*_) (value|number|type|command|flag|bit)s?\b")
"""How the documentation of a field in abi/ says whose constants it holds: ``UVMF_ flags``."""

_UNKNOWN = "?"
_ANY = "*"  # stands for what may differ from run to run
_HEX_FROM = 4096


class Line(NamedTuple):
    """A buffer as text."""

    name: str
    type: str
    text: str


@dataclass(frozen=True)
class _Naming:
    """The constants that a field can hold: one of them, or several as flags."""

    names: Mapping[int, str]
    are_flags: bool


class Decoder:
    """Decodes the records of one ABI.

    ``comparable`` hides what two runs of the same guest may differ in: addresses, values whose
    field varies, and the numbers of resources.
    """

    def __init__(self, abi: Abi, *, comparable: bool = False) -> None:
        self.abi = abi
        self._comparable = comparable
        self._reach = Reach(abi)
        self._order = abi.architecture.data_model.endian
        self._namings: dict[str, _Naming | None] = {}

    # ---- The call ----

    def hypercall(self, record: Record) -> str:
        """Its name, or ``hypercall N`` if abi/ has none of the number."""
        found = self._reach.hypercall(record.number)
        return found.name if found else f"hypercall {record.number}"

    def commands(self, record: Record) -> list[str]:
        """The names of the commands; several where each element of a list has its own. An unknown
        one is its number."""
        found = self._reach.hypercall(record.number)
        if found is None or not found.commands:
            return []
        index = self._reach.command_index(found)
        if index is not None:
            command = self._reach.command(found, record.arguments)
            if command is not None:
                return [command.name]
            number = record.arguments[index] if index < len(record.arguments) else None
            return [_UNKNOWN if number is None else f"command {number}"]
        return list(self._selected(found, record))

    def _selected(self, hypercall: Hypercall, record: Record) -> Iterator[str]:
        """The commands that stand in memory."""
        argument = next((arg for arg in hypercall.args if arg.role == "argument"), None)
        if argument is None or hypercall.selector is None:
            return
        name, target = argument.name, argument.layout.target
        if argument.holds:
            name, target = f"{name}[0].h", argument.holds
        data = next((one.before for one in record.buffers if one.name == name), None)
        if data is None or target is None:
            yield _UNKNOWN
            return
        element = self.abi.layout(target)
        for start in range(0, max(len(data) - element.size, 0) + 1, element.size):
            number = self._reach.selector(hypercall, element, data[start:])
            command = hypercall.command_by_number.get(-1 if number is None else number)
            yield command.name if command else _UNKNOWN if number is None else f"command {number}"

    def result(self, record: Record) -> str:
        """``0``, ``-22 EINVAL``; ``continued`` or ``?`` where there is none."""
        if record.result is None:
            return "continued" if record.continued else _UNKNOWN
        return self._result_text(record.result)

    def _result_text(self, result: int) -> str:
        error = self._error_name(result)
        return f"{result} {error}" if error else _number(result)

    def error(self, record: Record) -> str:
        """The name of the error it returned; empty if it did not."""
        return "" if record.result is None else self._error_name(record.result)

    def _error_name(self, result: int) -> str:
        if not -4096 < result < 0:
            return ""
        try:
            return self.abi.errno_name(-result)
        except InputError:
            return f"error {-result}"

    def arguments(self, record: Record) -> str:
        """The registers by the names of the arguments."""
        return self._arguments(record.number, record.arguments)

    def _arguments(self, number: int, values: Sequence[int | None]) -> str:
        hypercall = self._reach.hypercall(number)
        if hypercall is None:
            return ", ".join(_UNKNOWN if value is None else f"{value:#x}" for value in values)
        return ", ".join(
            f"{arg.name}={self._register(arg, value)}"
            for arg, value in zip(hypercall.args, values, strict=False)
            if not (arg.role == "command" and value is not None)
        )

    def _register(self, arg: CallArgument, value: int | None) -> str:
        if value is None:
            return _UNKNOWN
        size = arg.layout.size
        value &= (1 << 8 * size) - 1
        if arg.layout.kind == "handle":
            return self._handle(value)
        if self._comparable and arg.resource is not None and not self._is_special(arg, value):
            return _ANY
        if arg.layout.signed and value >> (8 * size - 1):
            value -= 1 << 8 * size
        return self._named(arg.doc, arg.layout, value)

    def _is_special(self, arg: CallArgument, value: int) -> bool:
        return arg.layout.name == "domid_t" and value in self._domids

    def call(self, record: Record) -> str:
        """All of it but the memory, in one line."""
        commands = self.commands(record)
        name = self.hypercall(record)
        if len(commands) == 1:
            name += f" {commands[0]}"
        return f"{name}({self.arguments(record)}) = {self.result(record)}"

    # ---- Memory ----

    def memory(self, record: Record) -> Iterator[Line]:
        """The buffers, each as its name, its type and what was in it."""
        befores = {(one.name, one.address): one for one in record.buffers}

        def read(address: int, size: int) -> bytes | None:
            for one in record.buffers:
                offset = address - one.address
                if one.before is not None and 0 <= offset < len(one.before):
                    return one.before[offset : offset + size]
            return None

        for reached in self._reach.buffers(record.number, record.arguments, read):
            buffer = befores.pop((reached.name, reached.address), None)
            if buffer is not None:
                yield self._line(record, reached, buffer)
        for buffer in befores.values():
            yield Line(buffer.name, "bytes", _change(*map(_hex, (buffer.before, buffer.after))))

    def _line(self, record: Record, reached: Reached, buffer: Buffer) -> Line:
        element = reached.element
        before, after = buffer.before, buffer.after
        if before is None and after is None:
            return Line(reached.name, element.name, "not recorded")
        if reached.direction == "out":
            before = None
        elif reached.direction == "in":
            after = None
        if not element.fields or element.is_flexible:
            return Line(
                reached.name,
                element.name,
                _change(*(self._plain(element, one, reached.resource) for one in (before, after))),
            )
        hypercall = self._reach.hypercall(record.number)
        size = element.size
        whole = before if before is not None else after or b""
        shown: list[str] = []
        for start in range(0, len(whole) - size + 1, size):
            if len(shown) == MOST_ELEMENTS:
                shown.append(f"... {len(whole) // size - MOST_ELEMENTS} more")
                break
            command = None
            if hypercall is not None and element.by_name.get(hypercall.selector or ""):
                command = self._reach.selected(hypercall, element, whole[start:])
            shown.append(
                self._structure(
                    element, _part(before, start, size), _part(after, start, size), command
                )
            )
        if len(whole) < size:
            shown.append(f"{_hex(whole)} (cut off)")
        return Line(reached.name, element.name, " ".join(shown))

    def _structure(
        self,
        layout: Layout,
        before: bytes | None,
        after: bytes | None,
        command: Command | None = None,
        base: int = 0,
    ) -> str:
        """The members of the structure at ``base``; of those that Xen only writes what it wrote."""
        if layout.name == "multicall_entry" and before is not None:
            return self._entry(before, after)
        parts = []
        for member in layout.fields:
            if member.name.startswith(("pad", "_pad", "rsvd", "reserved")):
                continue
            told: Command | str | None = command
            if command is None and member.layout.kind == "union":
                told = self._told(layout, member.layout, before, after, base)
            text = self._member(member, before, after, told, base + member.offset)
            if text:
                parts.append(text)
        return "{" + ", ".join(parts) + "}"

    def _told(
        self, layout: Layout, union: Layout, before: bytes | None, after: bytes | None, base: int
    ) -> str | None:
        """The member of ``union`` that a constant in the structure names: ``status`` is
        EVTCHNSTAT_virq, so it is ``virq``."""
        for member in layout.fields:
            data = after if member.direction == "out" else before
            if member.layout.kind != "int" or member.varies or data is None:
                continue
            named = self._value(member, data, base + member.offset).rpartition("_")[2]
            if named in union.by_name:
                return named
        return None

    def _member(
        self,
        member: Field,
        before: bytes | None,
        after: bytes | None,
        command: Command | str | None,
        at: int,
    ) -> str:
        layout, name = member.layout, member.name
        if layout.kind == "union":
            return self._union(member, before, after, command, at)
        if layout.kind == "struct":
            inner = None if isinstance(command, str) else command
            return f"{name}={self._structure(layout, before, after, inner, at)}"
        if member.direction == "out":
            if after is None:
                return ""
            return f"{name} -> {self._value(member, after, at)}"
        if before is None:
            return "" if after is None else f"{name}={self._value(member, after, at)}"
        shown = self._value(member, before, at)
        if member.direction == "inout" and after is not None:
            shown = _change(shown, self._value(member, after, at))
        return f"{name}={shown}"

    def _union(
        self,
        member: Field,
        before: bytes | None,
        after: bytes | None,
        command: Command | str | None,
        at: int,
    ) -> str:
        union = member.layout
        if isinstance(command, str):
            told = union.by_name[command]
            return f"{member.name}.{self._member(told, before, after, None, at + told.offset)}"
        if command is not None and command.arg is not None and command.arg.member is not None:
            wanted = command.arg.member.rpartition(".")[2]
            part = union.by_name.get(wanted)
            if part is not None:
                return self._member(part, before, after, None, at + part.offset)
        if command is not None and any(len(one.layout.fields) > 0 for one in union.fields):
            return ""  # none of its members is the command's
        whole = [one for one in union.fields if one.layout.kind in ("int", "handle")]
        if len(whole) == len(union.fields):
            widest = max(one.size for one in whole)
            first = next(one for one in whole if one.size == widest)
            text = self._member(first, before, after, None, at)
            named = [one.name for one in whole if not one.name.startswith(("pad", "_pad"))]
            return f"{member.name}.{text}" if len(named) == 1 else f"{member.name}={_right(text)}"
        texts = [_hex(_part(data, at, union.size)) for data in (before, after)]
        if member.direction == "out":
            return f"{member.name} -> {texts[1]}" if texts[1] is not None else ""
        return f"{member.name}={_change(*texts)}"

    def _entry(self, before: bytes, after: bytes | None) -> str:
        """A hypercall inside a multicall."""
        number, values = multicall_entry(self.abi, before, 0)
        hypercall = self._reach.hypercall(number)
        if hypercall is None:
            return f"hypercall {number}()"
        command = self._reach.command(hypercall, values)
        name = f"{hypercall.name} {command.name}" if command else hypercall.name
        text = f"{name}({self._arguments(number, values[: len(hypercall.args)])})"
        return text if after is None else f"{text} = {self._result_text(self._entry_result(after))}"

    def _entry_result(self, after: bytes) -> int:
        return multicall_result(self.abi, after, 0)

    def inner(self, record: Record) -> Iterator[tuple[str, str, str]]:
        """Of each hypercall inside a multicall: its name, command and error, which may be empty."""
        found = self._reach.hypercall(record.number)
        if found is None or found.name != "multicall":
            return
        size = self.abi.sizeof("multicall_entry")
        for buffer in record.buffers:
            if buffer.name != "call_list" or buffer.before is None:
                continue
            for start in range(0, len(buffer.before) - size + 1, size):
                number, values = multicall_entry(self.abi, buffer.before, start)
                hypercall = self._reach.hypercall(number)
                if hypercall is None:
                    yield f"hypercall {number}", "", ""
                    continue
                command = self._reach.command(hypercall, values)
                after = _part(buffer.after, start, size)
                error = self._error_name(self._entry_result(after)) if after else ""
                yield hypercall.name, command.name if command else "", error

    # ---- Values ----

    def _value(self, member: Field, data: bytes, at: int) -> str:
        layout = member.layout
        if self._comparable and (member.varies or self._is_any(member, data, at)):
            return _ANY
        if at + member.size > len(data):
            return _UNKNOWN
        if layout.kind == "array":
            return self._plain(layout.element or layout, data[at : at + member.size]) or ""
        number = int.from_bytes(
            data[at : at + member.size],
            self._order,
            signed=layout.signed and member.bits is None,
        )
        if member.bits is not None and member.bit_offset is not None:
            number = number >> member.bit_offset & (1 << member.bits) - 1
        if layout.kind == "handle":
            return self._handle(number)
        return self._named(member.doc, layout, number)

    def _is_any(self, member: Field, data: bytes, at: int) -> bool:
        if member.resource is None or member.layout.kind != "int":
            return False
        number = int.from_bytes(data[at : at + member.size], self._order)
        return member.layout.name != "domid_t" or number not in self._domids

    def _handle(self, value: int) -> str:
        return "NULL" if value == 0 else _ANY if self._comparable else f"{value:#x}"

    def _plain(
        self, element: Layout, data: bytes | None, resource: str | None = None
    ) -> str | None:
        """Memory that is no structure; its elements number a ``resource``, if given."""
        if data is None:
            return None
        if element.name == "char":
            return _text(data)
        if element.kind != "int" or element.size == 1:
            return _hex(data)
        step = element.size
        numbers = [
            self._named(
                "",
                element,
                int.from_bytes(data[at : at + step], self._order, signed=element.signed),
            )
            for at in range(0, min(len(data), MOST_ELEMENTS * step) - step + 1, step)
        ]
        if self._comparable and (resource or element.resource) is not None:
            numbers = [_ANY for _ in numbers]
        more = len(data) // step - len(numbers)
        shown = " ".join([*numbers, f"... {more} more"] if more else numbers)
        return shown if len(numbers) == 1 else f"[{shown}]"

    def _named(self, doc: str, layout: Layout, value: int) -> str:
        """``value`` by the constants that ``doc`` or the type says it is of."""
        if layout.name == "domid_t" or "DOMID_" in doc:
            return self._domids.get(value, _number(value))
        if not doc:
            return _number(value)
        if doc not in self._namings:
            self._namings[doc] = self._naming(doc)
        naming = self._namings[doc]
        if naming is None:
            return _number(value)
        if not naming.are_flags:
            return naming.names.get(value, _number(value))
        found = []
        rest = value
        for bit, name in naming.names.items():
            if value & bit == bit:
                found.append(name)
                rest &= ~bit
        if rest or not found:
            found.append(_number(rest))
        return "|".join(found)

    def _naming(self, doc: str) -> _Naming | None:
        match = _NAMED.search(doc)
        if match is None:
            return None
        prefix, kind = match.groups()
        are_flags = kind in ("flag", "bit")
        names: dict[int, str] = {}
        for name, constant in self.abi.constants.items():
            value = constant.value
            if not name.startswith(prefix) or not isinstance(value, int):
                continue
            if not are_flags or value.bit_count() == 1:
                names.setdefault(value, name)
        return _Naming(names, are_flags) if names else None

    @cached_property
    def _domids(self) -> dict[int, str]:
        return {
            constant.value: name
            for name, constant in self.abi.constants.items()
            if name.startswith("DOMID_")
            and isinstance(constant.value, int)
            and constant.value >= 0x7FF0
            and name != "DOMID_MASK"
        }


def _part(data: bytes | None, start: int, size: int) -> bytes | None:
    return None if data is None else data[start : start + size]


def _right(text: str) -> str:
    """What follows the name in ``name=value``."""
    return re.split("=| -> ", text, maxsplit=1)[-1]


def _change(before: str | None, after: str | None) -> str:
    if before is None:
        return f"-> {after}" if after is not None else "not recorded"
    return before if after is None or before == after else f"{before} -> {after}"


def _number(value: int) -> str:
    return str(value) if value < _HEX_FROM else f"{value:#x}"


def _hex(data: bytes | None) -> str | None:
    if data is None:
        return None
    more = f"... {len(data) - MOST_BYTES} more" if len(data) > MOST_BYTES else ""
    return (data[:MOST_BYTES].hex(" ", -4) or "nothing") + more


def _text(data: bytes) -> str:
    end = data.find(0)
    shown = data if end < 0 else data[:end]
    more = f"... {len(shown) - MOST_CHARACTERS} more" if len(shown) > MOST_CHARACTERS else ""
    characters = shown[:MOST_CHARACTERS].decode("latin-1").encode("unicode_escape").decode()
    return '"' + characters.replace('"', '\\"') + '"' + more


def facts(decoder: Decoder, record: Record) -> dict[str, Any]:
    """What a condition may ask of a record (`xenport.trace.where`)."""
    timed = record.time is not None and record.returned is not None
    return {
        **record._asdict(),
        "hypercall": decoder.hypercall(record),
        "command": ", ".join(dict.fromkeys(decoder.commands(record))),
        "error": decoder.error(record),
        "duration": record.returned - record.time if timed else None,  # type: ignore[operator]
    }
