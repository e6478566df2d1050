"""What the commands of a run returned, and between which lines of the console they were called."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from xenport.model.errors import XenError

if TYPE_CHECKING:
    import xenport.abi
    from xenport.model.call import Arguments, Call
    from xenport.model.handlers import Handler
    from xenport.model.vcpu import Vcpu

    Runner = Callable[[Vcpu, Arguments], int]
    CommandOf = Callable[[Vcpu, Arguments], str | None]


class Watch(Protocol):
    """Follows the commands that the domain under test calls."""

    def begin(self) -> int:
        """A command is called. The answer is what `end` wants to know of it."""
        ...

    def end(self, command: str, begun: int, result: int) -> int:
        """It returned ``result``, negative errno on failure. The answer is what the guest gets."""
        ...


class Recording:
    """Writes which results commands have, between the lines of the console, to a file.

    Each line of the file is a JSON list: ``["line", text]``, or ``["call", lines, command, errno]``
    for a command that returned here and was called when there were so many lines; the errno is
    empty for success. The same is written once between two lines. All that comes before a line of
    the console is in the file before the console has the line.
    """

    def __init__(self, abi: xenport.abi.Abi, path: Path) -> None:
        """Raises ``OSError`` if the file cannot be written."""
        self._abi = abi
        self._file = path.open("w")
        self._lines = 0
        self._rest = b""
        self._calls: dict[tuple[int, str, str], None] = {}

    def before(self, console: Callable[[bytes], None]) -> Callable[[bytes], None]:
        """``console``, but what is written there is kept too."""

        def write(data: bytes) -> None:
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                self._flush()
                self._write("line", line.decode("ascii", "replace"))
                self._lines += 1
            if lines:
                self._file.flush()
            console(data)

        return write

    def begin(self) -> int:
        """See `Watch`."""
        return self._lines

    def end(self, command: str, begun: int, result: int) -> int:
        """See `Watch`."""
        errno = "" if result >= 0 else self._abi.errno_name(-result)
        self._calls[begun, command, errno] = None
        return result

    def close(self) -> None:
        """Writes the rest."""
        self._flush()
        self._file.close()

    def _flush(self) -> None:
        for call in self._calls:
            self._write("call", *call)
        self._calls.clear()

    def _write(self, *what: str | int) -> None:
        self._file.write(json.dumps(what) + "\n")


def watched_handler(watch: Watch, name: str, handler: Handler) -> Handler:
    """``handler`` of the command ``name`` in an array of commands."""

    def run(call: Call) -> int | None:
        if not call.domain.is_watched:
            return handler(call)
        abi = call.domain.abi
        begun = watch.begin()
        try:
            result = handler(call) or 0
        except XenError as error:
            result = -abi.errno(error.errno)
        result = watch.end(name, begun, result)
        if result < 0:
            raise XenError(abi.errno_name(-result))
        return result

    return run


def watched_runner(watch: Watch, run: Runner, command_of: CommandOf) -> Runner:
    """``run`` of a hypercall whose command ``command_of`` tells."""

    def watched(vcpu: Vcpu, args: Arguments) -> int:
        command = command_of(vcpu, args) if vcpu.domain.is_watched else None
        if command is None:
            return run(vcpu, args)
        begun = watch.begin()
        result = run(vcpu, args)
        return watch.end(command, begun, result)

    return watched
