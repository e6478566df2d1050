"""Drivers and kernels for tests of the suite: a boot is a list of events."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from xenport.kernel import Test
from xenport.port import Ended, Limits, Line

Script = Sequence[str | Ended]


def make_test(index: int, name: str, rung: str = "events", ends: str = "", needs: str = "") -> Test:
    """A catalogue entry."""
    return Test(
        index=index, name=name, rung=rung, title=name, needs=tuple(needs.split()), ends=ends
    )


@dataclass
class FakeBoot:
    """Plays a script: guest lines, then an end (a poweroff if the script has none)."""

    script: Script

    def events(self) -> Iterator[Line | Ended]:
        for seconds, event in enumerate(self.script):
            yield Line(event, float(seconds)) if isinstance(event, str) else event
        if not (self.script and isinstance(self.script[-1], Ended)):
            yield Ended("poweroff", "", float(len(self.script)))


@dataclass
class FakeDriver:
    """Boots the scripts one after the other and keeps what it was asked."""

    scripts: Sequence[Script]
    command_lines: list[str] = field(default_factory=list)
    running: int = 0

    @contextmanager
    def boot(
        self, environment: str, kernel: object, command_line: str, log: Path, limits: Limits
    ) -> Iterator[FakeBoot]:
        """One boot."""
        del environment, kernel, log, limits
        script = self.scripts[len(self.command_lines)]
        self.command_lines.append(command_line)
        self.running += 1
        try:
            yield FakeBoot(script)
        finally:
            self.running -= 1
