"""Drivers and kernels for tests of the suite: a boot is a list of events."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from xenport.kernel import Test
from xenport.port import Ended, Limits, Line

Script = Sequence[str | Ended]
HANG = "(hang)"


def make_test(
    index: int,
    name: str,
    rung: str = "events",
    ends: str = "",
    needs: str = "",
    events: str = "",
) -> Test:
    """A catalogue entry."""
    return Test(
        index=index,
        name=name,
        rung=rung,
        title=name,
        needs=tuple(needs.split()),
        ends=ends,
        events=tuple(events.split()),
    )


@dataclass(eq=False)
class FakeBoot:
    """Plays a script: guest lines, then an end (a poweroff if the script has none).

    Lines with "(XEN) " ahead are the hypervisor's. The line HANG waits until the boot is stopped.
    """

    script: Script
    stopped: threading.Event = field(default_factory=threading.Event)

    def events(self) -> Iterator[Line | Ended]:
        for seconds, event in enumerate(self.script):
            if event == HANG:
                assert self.stopped.wait(10)
                yield Ended("killed", "stopped")
                return
            if isinstance(event, str):
                text = event.removeprefix("(XEN) ")
                yield Line(text, float(seconds), "guest" if text == event else "hypervisor")
            else:
                yield event
        if not (self.script and isinstance(self.script[-1], Ended)):
            yield Ended("poweroff", "", float(len(self.script)))

    def stop(self) -> None:
        """Ends a boot that hangs."""
        self.stopped.set()


@dataclass
class FakeDriver:
    """Boots scripts, by command line, and keeps what it was asked."""

    scripts: Mapping[str, Script]
    again: bool = False
    """Whether domains are started one after the other. The command line is then that of all, each
    but the first one's with its environment in front: "a -- dom0 b"."""
    command_lines: list[str] = field(default_factory=list)
    running: int = 0

    def shared(self, environment: str) -> str | None:
        """All of them."""
        del environment
        return "machine" if self.again else None

    @contextmanager
    def boot(
        self,
        environment: str,
        kernel: object,
        command_line: str,
        log: Path,
        limits: Limits,
        *,
        again: Sequence[tuple[str, str]] = (),
        survives_reset: bool = False,
    ) -> Iterator[FakeBoot]:
        """One boot."""
        del environment, kernel, log, limits, survives_reset
        command_line = " -- ".join([command_line, *map(" ".join, again)])
        script = self.scripts[command_line]
        self.command_lines.append(command_line)
        self.running += 1
        try:
            yield FakeBoot(script)
        finally:
            self.running -= 1
