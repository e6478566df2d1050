"""A running boot: a child process, its console, its control channel, and the limits on it."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol, Self

from xenport.port.child import Child
from xenport.port.console import Lines, Writers
from xenport.port.ends import Ends
from xenport.port.session import Ended, EndKind, Event, Limits, Line

_CHUNK = 1 << 16
_FAREWELL = 3.0  # seconds that a machine gets from its last event to its exit
_POLITE = 1.0  # seconds that a process gets to end when it is asked to
_GLANCE = 0.01  # seconds to see what is there
_GATHERING = 0.01  # seconds between looks at the console: QEMU writes each character by itself
_STDERR = 1 << 14  # bytes of stderr that are kept


class NoBoot:
    """A boot that could not begin."""

    def __init__(self, kind: EndKind, detail: str, log: Path) -> None:
        log.write_bytes(b"")
        self._ended = Ended(kind, detail)

    def events(self) -> Iterator[Event]:
        """Yield the one `Ended`."""
        yield self._ended

    def stop(self) -> None:
        """It never ran."""


class ControlError(Exception):
    """The control channel cannot be used; the message is for a person."""


Report = Callable[[str | Ended], None]


class Control(Protocol):
    """A channel beside the console, on which the machine's own events come."""

    async def listen(self, report: Report) -> None:
        """Report events (by name, or an end as such) until the channel is closed.

        Raises `ControlError` for a channel that cannot be used.
        """
        ...

    async def end_at_reset(self) -> None:
        """From now on a reset is the machine's end; may raise or hang."""
        ...

    async def quit(self) -> None:
        """Ask for the end of the process; may raise or hang."""
        ...

    async def close(self) -> None:
        """Let go of the channel; may raise or hang."""
        ...


@dataclass(frozen=True, slots=True)
class _Output:
    """Bytes of the console; none at its end."""

    data: bytes


class _Exit:
    """The process has ended."""


class _Stop:
    """Somebody wants no more of the boot."""


_Item = _Output | _Exit | _Stop | ControlError | str | Ended


class ProcessBoot:
    """A boot whose console is the standard output of a child process.

    The supervisor starts ``domains`` domains, one after the other, unless the machine ends first.
    Everything happens in the thread that iterates over `events`: an event loop of the boot's own
    runs while the next event is awaited, and at no other time.
    """

    def __init__(
        self,
        child: Child,
        control: Control,
        writers: Writers,
        ends: Ends,
        log: Path,
        limits: Limits,
        *,
        domains: int = 1,
    ) -> None:
        self._child = child
        self._control = control
        self._writers = writers
        self._ends = ends
        self._limits = limits
        self._domains = domains
        self._log: BinaryIO = log.open("wb", buffering=0)
        self._start = time.monotonic()
        self._lines = Lines()
        self._stderr = b""
        self._ended: Ended | None = None
        self._begin_domain()
        self._has_reset = False  # and has not said anything since
        self._last_words = ""  # of the hypervisor or the supervisor
        self._told: tuple[EndKind, str] | None = None  # an end that was seen or reported
        self._trouble = ""  # what is wrong with the control channel
        self._closing: float | None = None  # when the process is to be gone
        self._loop = asyncio.new_event_loop()
        self._items: asyncio.Queue[_Item] = asyncio.Queue()
        self._next_look: asyncio.TimerHandle | None = None
        self._watch_stdout()
        self._loop.add_reader(child.stderr, self._on_stderr)
        self._loop.add_reader(child.pidfd, self._on_exit)
        self._listener = self._loop.create_task(self._listen())

    def _begin_domain(self) -> None:
        """What is counted of each domain by itself."""
        self._begun = self._heard = time.monotonic()
        self._size = 0
        self._events: list[str] = []
        self._ends.begin()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def events(self) -> Iterator[Event]:
        """Yield the lines as they come, then one `Ended`, of each domain."""
        while self._ended is None:
            yield from self._take(self._next())
        yield self._ended

    def stop(self) -> None:
        """Make `events` end soon, from any thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: it has ended
            self._loop.call_soon_threadsafe(self._items.put_nowait, _Stop())

    def close(self) -> None:
        """End the process, whatever it is doing, and let go of everything."""
        try:
            gone = self._child.status() is not None
            if not gone:
                gone = self._run(self._control.quit()) and self._child.wait(_POLITE)
            if not gone:
                self._child.terminate()
                self._child.wait(_POLITE)
        finally:
            if self._next_look is not None:
                self._next_look.cancel()
            for fd in (self._child.stdout, self._child.stderr, self._child.pidfd):
                self._loop.remove_reader(fd)
            self._child.kill()
            self._run(self._control.close())
            self._cancel_all()
            self._loop.close()
            self._log.close()

    def _cancel_all(self) -> None:
        """End what still waits for something: after an interrupt even what `_next` waits for."""
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        if tasks:
            self._loop.run_until_complete(asyncio.wait(tasks, timeout=_POLITE))

    def _run(self, ending: Awaitable[None]) -> bool:
        """Whether this, one of the control channel's last words, could be said in time."""
        try:
            self._loop.run_until_complete(asyncio.wait_for(ending, _POLITE))
        except Exception:  # whatever is wrong with it, there are other ways to end a process
            return False
        return True

    # What the loop calls while the next item is awaited.

    def _watch_stdout(self) -> None:
        self._loop.add_reader(self._child.stdout, self._on_stdout)

    def _on_stdout(self) -> None:
        data = self._read(self._child.stdout)
        if data is not None:
            self._items.put_nowait(_Output(data))
        if data:
            self._loop.remove_reader(self._child.stdout)
            self._next_look = self._loop.call_later(_GATHERING, self._watch_stdout)

    def _on_report(self, item: str | Ended) -> None:
        """Of the control channel. What was said before is taken before: after a reset, a line is
        the sign of a new start."""
        if data := self._read(self._child.stdout):
            self._items.put_nowait(_Output(data))
        self._items.put_nowait(item)

    def _on_stderr(self) -> None:
        data = self._read(self._child.stderr)
        if data:
            self._stderr = (self._stderr + data)[:_STDERR]

    def _on_exit(self) -> None:
        self._loop.remove_reader(self._child.pidfd)
        self._items.put_nowait(_Exit())

    def _read(self, fd: int) -> bytes | None:
        """What can be read now: empty at the end, ``None`` if there is nothing yet."""
        try:
            data = os.read(fd, _CHUNK)
        except BlockingIOError:
            return None
        if not data:
            self._loop.remove_reader(fd)
        return data

    async def _listen(self) -> None:
        try:
            await self._control.listen(self._on_report)
        except ControlError as error:
            self._items.put_nowait(error)
        except Exception as error:  # the library's own, when it is stopped half-way
            self._items.put_nowait(ControlError(f"the control channel failed: {error!r}"))

    # What becomes of the items.

    def _next(self) -> _Item | None:
        """The next item; ``None`` if a limit is reached first."""
        now = time.monotonic()
        if now >= self._begun + self._limits.total:
            return None
        if not self._items.empty():
            return self._items.get_nowait()
        # However late we are asked: what is there already was in time.
        left = max(self._limit()[0] - now, _GLANCE)
        try:
            return self._loop.run_until_complete(asyncio.wait_for(self._items.get(), left))
        except TimeoutError:
            return None

    def _limit(self) -> tuple[float, EndKind, str]:
        """The nearest limit: when, and the end that it makes."""
        silence, total = self._limits.silence, self._limits.total
        limits: list[tuple[float, EndKind, str]] = [
            (self._heard + silence, "timeout", f"no line for {silence:g} s{self._ends.half()}"),
            (self._begun + total, "timeout", f"no end within {total:g} s{self._ends.half()}"),
        ]
        if self._closing is not None:
            limits.append((self._closing, *(self._told or ("exited", self._trouble))))
        return min(limits)

    def _take(self, item: _Item | None) -> Iterator[Event]:
        match item:
            case None:
                self._end(*self._limit()[1:])
            case _Output(data):
                yield from self._output(data)
            case _Exit():
                yield from self._exit()
            case _Stop():
                self._end("killed", "the run was given up")
            case Ended(kind, detail):
                self._tell(kind, detail)
            case ControlError():
                self._trouble = str(item)
                self._close_within(_POLITE)
            case str():
                self._events.append(item)
                self._has_reset |= item.startswith("RESET")
                if seen := self._ends.event(item):
                    self._tell(seen.kind, seen.detail)

    def _output(self, data: bytes) -> Iterator[Event]:
        now = time.monotonic()
        self._log.write(data)
        self._size += len(data)
        if self._has_reset:
            self._has_reset = False
            self._run(self._control.end_at_reset())
        for text in self._lines.feed(data) if data else self._lines.end():
            source, text = self._writers.split(text)
            if source == self._writers.judged:
                self._heard = now
            else:
                self._last_words = text or self._last_words
            yield Line(text, now - self._start, source)
            seen = self._ends.line(source, text)
            if seen is not None and seen.by_event:
                self._tell(seen.kind, seen.detail)
            elif seen is not None and source == "supervisor" and self._domains > 1:
                yield self._ending(seen.kind, seen.detail)
                self._domains -= 1
                self._begin_domain()
            elif seen is not None:
                self._end(seen.kind, seen.detail)
            if self._ended is not None:
                return
        if self._size > self._limits.output:
            self._end("flood", f"more than {self._limits.output} bytes of console")

    def _exit(self) -> Iterator[Event]:
        """The process is gone: take what it left behind, then tell why it ended."""
        self._run(self._listener_done())
        while self._ended is None and not self._items.empty():
            yield from self._take(self._items.get_nowait())
        while self._ended is None and (data := self._read(self._child.stdout)):
            yield from self._output(data)
        if self._ended is None:
            yield from self._output(b"")
        self._on_stderr()
        status = self._child.status()
        if self._told is not None:
            self._end(*self._told)
        elif status is not None and status < 0:
            why = f"signal {-status} ({signal.strsignal(-status)})"
            self._end("killed", f"{self._child.name} was ended by {why}")
        elif seen := self._ends.event(f"EXIT {status}"):
            self._end(seen.kind, seen.detail)
        else:
            self._end("exited", self._exit_detail(status))

    async def _listener_done(self) -> None:
        await asyncio.shield(self._listener)

    def _exit_detail(self, status: int | None) -> str:
        lines = self._stderr.decode("utf-8", errors="replace").strip().splitlines()
        if lines:
            self._log.write(b"\n--- standard error ---\n" + self._stderr)
        traceback = lines and lines[0].startswith("Traceback")  # of the model
        said = "" if not lines else lines[-1] if traceback else lines[0]
        seen = ", ".join(filter(None, [*self._events[-1:], self._last_words]))
        how = said or self._trouble or seen or "no word"
        return f"{self._child.name} ended with status {status}: {how}"

    def _tell(self, kind: EndKind, detail: str) -> None:
        """How this boot ends; what the process still says until it is gone counts as well."""
        if self._told is None:
            self._told = (kind, detail)
            self._close_within(_FAREWELL)

    def _close_within(self, seconds: float) -> None:
        if self._closing is None:
            self._closing = time.monotonic() + seconds

    def _end(self, kind: EndKind, detail: str) -> None:
        if self._ended is None:
            self._ended = self._ending(kind, detail)

    def _ending(self, kind: EndKind, detail: str) -> Ended:
        return Ended(kind, detail, time.monotonic() - self._start, tuple(self._events))
