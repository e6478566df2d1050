"""Records of one ABI as those of another: other numbers, other layouts, the same meaning.

Hypercalls, commands, arguments, members and errors are found again by their names. Whatever the
other ABI does not have cannot be replayed there.
"""

from __future__ import annotations

from collections.abc import Iterator

from xenport.abi import Abi, Command, Hypercall, Layout
from xenport.errors import InputError
from xenport.trace.reach import Reach, Reached
from xenport.trace.record import Buffer, Record
from xenport.trace.replay.outcome import Unreplayable

_ROOM = 0x1000_0000  # addresses of buffers that need more room than they had begin here
_PAGE = 4096


class Translator:
    """From the ABI ``source`` to ``target``."""

    def __init__(self, source: Abi, target: Abi) -> None:
        self._source = source
        self._target = target
        self._reach = Reach(source)
        self._target_reach = Reach(target)
        self._orders = tuple(abi.architecture.data_model.endian for abi in (source, target))
        self._same: dict[tuple[str, str], bool] = {}

    def caller(self, caller: str) -> str:
        """The kind of guest that stands for another architecture's."""
        guests = self._target.architecture.guests
        return caller if caller in guests else guests[0]

    def translate(self, record: Record) -> Record:
        """The same call. Raises `Unreplayable` if there is none."""
        hypercall = self._reach.hypercall(record.number)
        if hypercall is None:
            raise Unreplayable("the ABI does not have it")
        found = self._target.hypercalls.get(hypercall.name)
        if found is None:
            raise Unreplayable(f"{self._name} does not have it")
        command = self._reach.command(hypercall, record.arguments)
        caller = self.caller(record.caller)
        if command is not None:
            self._check(found, command, caller)
        elif caller not in found.callers:
            raise Unreplayable(f"it is not for '{caller}' guests")
        buffers, moved = self._buffers(hypercall, found, record, caller)
        return record._replace(
            caller=caller,
            number=found.number,
            arguments=tuple(self._arguments(hypercall, found, command, record, moved)),
            result=self._result(record.result),
            buffers=tuple(buffers),
        )

    @property
    def _name(self) -> str:
        return f"{self._target.architecture.name} {self._target.release}"

    def _check(self, found: Hypercall, command: Command, caller: str) -> None:
        other = found.commands.get(command.name)
        if other is None:
            raise Unreplayable(f"{self._name} does not have it")
        if caller not in other.callers:
            raise Unreplayable(f"it is not for '{caller}' guests")

    def _result(self, result: int | None) -> int | None:
        if result is None or not -4096 < result < 0:
            return result
        try:
            return -self._target.errno(self._source.errno_name(-result))
        except InputError:
            return result

    def _arguments(
        self,
        hypercall: Hypercall,
        found: Hypercall,
        command: Command | None,
        record: Record,
        moved: dict[int, int],
    ) -> Iterator[int | None]:
        given = dict(zip([arg.name for arg in hypercall.args], record.arguments, strict=False))
        index, mask = self._target_reach.command_place(found)
        for at, arg in enumerate(found.args):
            value = given.get(arg.name, 0)
            if value is not None and at == index and command is not None:
                value = value & ~mask | found.commands[command.name].number & mask
            if value is not None and arg.layout.kind == "handle":
                value = moved.get(value, value)
            yield value if value is None else value & (1 << 64) - 1

    # ---- Memory ----

    def _buffers(
        self, hypercall: Hypercall, found: Hypercall, record: Record, caller: str
    ) -> tuple[list[Buffer], dict[int, int]]:
        contents = [(one.address, one.before) for one in record.buffers if one.before]

        def read(address: int, size: int) -> bytes | None:
            for start, before in contents:
                if 0 <= address - start < len(before):
                    return before[address - start : address - start + size]
            return None

        recorded = {(one.name, one.address): one for one in record.buffers}
        pairs: list[tuple[Buffer, Reached, Layout]] = []
        for reached in self._reach.buffers(record.number, record.arguments, read):
            buffer = recorded.get((reached.name, reached.address))
            if buffer is not None:
                pairs.append((buffer, reached, self._layout(reached.element)))
        moved: dict[int, int] = {}
        end = _ROOM
        for buffer, reached, layout in pairs:
            if layout.size > reached.element.size:
                count = -(-reached.size // (reached.element.size or 1))
                end += (buffer.address - end) % _PAGE
                moved[buffer.address] = end
                end += count * layout.size
        made = []
        for buffer, reached, layout in pairs:
            wanted = self._wanted(hypercall, found, reached, buffer.before, caller)
            before, after = (
                None if one is None else self._all(reached.element, layout, one, wanted, moved)
                for one in (buffer.before, buffer.after)
            )
            address = moved.get(buffer.address, buffer.address)
            made.append(Buffer(buffer.name, address, before, after))
        return made, moved

    def _layout(self, element: Layout) -> Layout:
        try:
            return self._target.layout(element.name)
        except InputError:
            raise Unreplayable(f"{self._name} has no {element.name}") from None

    def _wanted(
        self,
        hypercall: Hypercall,
        found: Hypercall,
        reached: Reached,
        before: bytes | None,
        caller: str,
    ) -> str:
        """The member of a union that the command in the buffer says."""
        command = self._reach.selected(hypercall, reached.element, before or b"")
        if command is None:
            return ""
        self._check(found, command, caller)
        member = command.arg.member if command.arg is not None else None
        return (member or "").rpartition(".")[2]

    def _all(
        self, old: Layout, new: Layout, content: bytes, wanted: str, moved: dict[int, int]
    ) -> bytes:
        """Elements one after the other."""
        if not moved and self._is_same(old, new):
            return content
        if not old.size or not new.size or old.is_flexible:
            raise Unreplayable("its memory cannot be translated")
        made = bytearray(len(content) // old.size * new.size)
        for index in range(len(content) // old.size):
            self._one(old, index * old.size, new, index * new.size, content, made, wanted, moved)
        return bytes(made)

    def _one(
        self,
        old: Layout,
        source: int,
        new: Layout,
        target: int,
        content: bytes,
        made: bytearray,
        wanted: str,
        moved: dict[int, int],
    ) -> None:
        """The value of type ``old`` at ``source`` of ``content`` to ``target`` of ``made``."""
        if old.kind in ("struct", "union") and new.kind == old.kind:
            for member in _held(new, old, wanted):
                before, after = old.by_name[member], new.by_name[member]
                places = (source + before.offset, target + after.offset)
                self._one(
                    before.layout, places[0], after.layout, places[1], content, made, wanted, moved
                )
        elif old.kind == "array" and old.element is not None and new.element is not None:
            for index in range(min(old.length or 0, new.length or 0)):
                self._one(
                    old.element,
                    source + index * old.element.size,
                    new.element,
                    target + index * new.element.size,
                    content,
                    made,
                    wanted,
                    moved,
                )
        else:
            value = int.from_bytes(
                content[source : source + old.size], self._orders[0], signed=old.signed
            )
            if old.kind == "handle":
                value = moved.get(value, value)
            cut = value & (1 << 8 * new.size) - 1
            made[target : target + new.size] = cut.to_bytes(new.size, self._orders[1])

    def _is_same(self, old: Layout, new: Layout) -> bool:
        """Whether the bytes of the one are those of the other."""
        key = (old.name, new.name)
        if key not in self._same:
            self._same[key] = self._orders[0] == self._orders[1] and _same_shape(old, new)
        return self._same[key]


def _held(new: Layout, old: Layout, wanted: str) -> list[str]:
    """The members that both have; of a union the one that is wanted, or else the largest."""
    both = [field.name for field in new.fields if field.name in old.by_name]
    if new.kind == "struct" or not both:
        return both
    if wanted in both:
        return [wanted]
    return [max(both, key=lambda name: old.by_name[name].size)]


def _same_shape(old: Layout, new: Layout) -> bool:
    if (old.kind, old.size) != (new.kind, new.size) or old.length != new.length:
        return False
    if old.element is not None and new.element is not None:
        return _same_shape(old.element, new.element)
    places = [[(one.name, one.offset) for one in layout.fields] for layout in (old, new)]
    return places[0] == places[1] and all(
        _same_shape(one.layout, other.layout)
        for one, other in zip(old.fields, new.fields, strict=True)
    )
