"""What the plugin for QEMU says of the hypercalls it sees, as records; `plugin/recorder.c` has the
same structures."""

import struct
from collections.abc import Callable, Sequence
from typing import IO

from xenport.abi import Abi
from xenport.trace.reach import comes_back
from xenport.trace.record import Buffer, Record, signed

_ENTRY = struct.Struct("<BBHIQQHHI6Q")
_BUFFER = struct.Struct("<QIIHH")
_OTHER = struct.Struct("<BBHIQQQ")  # a return, and what else there is
_SIZE = struct.Struct("<I")
_MADE, _RETURNED, _SKIPPED, _TICK = 1, 2, 3, 4
_UNREADABLE, _UNCHANGED = 0xFFFFFFFF, 0xFFFFFFFE
_NO_PARENT, _NO_INDEX, _NO_DOMAIN = 0xFFFF, 0xFFFFFFFF, 0xFFFF

PATIENCE = 500_000_000
"""Nanoseconds for which a hypercall that does not return holds up those after it."""

Write = Callable[[Record], None]


class Stream:
    """The hypercalls in ``file``; ``names`` are those of the plan.

    ``skipped`` says afterwards how many were left out because they are of guests of another width.
    """

    def __init__(self, file: IO[bytes], abi: Abi, names: Sequence[str], boot: str = "") -> None:
        self._file = file
        self._names = names
        self._boot = boot
        self._bits = 8 * abi.architecture.data_model.sizes["long"]
        self._callers = list(abi.architecture.guests)
        self._known = abi.hypercall_by_number
        self._paths: dict[tuple[str, int, int], str] = {}
        self._waiting: dict[int, Record] = {}  # in the order in which they were made
        self._back: set[int] = set()  # those of them that have returned
        self._overdue: dict[int, Record] = {}  # written, and not returned
        self.skipped = 0

    def run(self, write: Write, amend: Write) -> None:
        """Give each hypercall to ``write``, in the order in which they were made.

        One that keeps others waiting is written without a result, and given to ``amend`` when it
        has one.
        """
        try:
            while kind := self._file.read(1):
                if kind[0] == _MADE:
                    self._made(kind + self._file.read(_ENTRY.size - 1))
                else:
                    self._other(kind + self._file.read(_OTHER.size - 1), amend)
                    self._write(write)
        except struct.error:
            pass  # QEMU was ended in the middle of a word
        for record in self._waiting.values():
            write(record)

    def _write(self, write: Write) -> None:
        """Those that have returned, as far as all before them have."""
        while self._waiting:
            number = next(iter(self._waiting))
            if number not in self._back:
                return
            self._back.remove(number)
            write(self._waiting.pop(number))

    def _made(self, data: bytes) -> None:
        (
            _,
            caller,
            count,
            hypercall,
            number,
            time,
            domain,
            vcpu,
            _,
            *arguments,
        ) = _ENTRY.unpack(data)
        known = self._known.get(hypercall)
        self._waiting[number] = Record(
            number,
            self._boot,
            time,
            None,
            None if domain == _NO_DOMAIN else domain,
            vcpu,
            self._callers[caller],
            hypercall,
            tuple(arguments[: len(known.args)] if known else arguments),
            None,
            False,
            self._befores(count) if count else (),
        )

    def _befores(self, count: int) -> tuple[Buffer, ...]:
        found: list[Buffer] = []
        for _ in range(count):
            address, size, index, name, parent = _BUFFER.unpack(self._file.read(_BUFFER.size))
            path = self._path("" if parent == _NO_PARENT else found[parent].name, index, name)
            found.append(Buffer(path, address, self._bytes(size), None))
        return tuple(found)

    def _path(self, parent: str, index: int, name: int) -> str:
        key = parent, index, name
        path = self._paths.get(key)
        if path is None:
            own = self._names[name]
            if parent:
                element = parent if index == _NO_INDEX else f"{parent}[{index}]"
                own = f"{element}{own}" if own.startswith(".") else f"{element}.{own}"
            path = self._paths[key] = own
        return path

    def _bytes(self, size: int) -> bytes | None:
        if size == _UNREADABLE:
            return None
        content = self._file.read(size)
        if len(content) < size:
            raise struct.error
        return content

    def _other(self, data: bytes, amend: Write) -> None:
        kind, continued, _, _, number, time, result = _OTHER.unpack(data)
        if kind == _RETURNED:
            is_late = number in self._overdue
            record = self._overdue.pop(number) if is_late else self._waiting[number]
            known = self._known.get(record.number)
            record = record._replace(
                returned=time,
                result=None if continued or not comes_back(known) else signed(result, self._bits),
                continued=bool(continued),
                buffers=tuple(map(self._after, record.buffers)),
            )
            if is_late:
                amend(record)
            else:
                self._waiting[number] = record
                self._back.add(number)
        elif kind == _TICK:
            self._give_up(time - PATIENCE)
        elif kind == _SKIPPED:
            self.skipped = result

    def _after(self, buffer: Buffer) -> Buffer:
        (size,) = _SIZE.unpack(self._file.read(_SIZE.size))
        content = buffer.before if size == _UNCHANGED else self._bytes(size)
        return Buffer(buffer.name, buffer.address, buffer.before, content)

    def _give_up(self, time: int) -> None:
        """Wait no longer for those made before ``time``."""
        for number, record in self._waiting.items():
            assert record.time is not None
            if record.time >= time:
                return
            if number not in self._back:
                self._overdue[number] = record
                self._back.add(number)
