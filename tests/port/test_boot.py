"""What becomes of a boot that is left, whatever its control channel is busy with."""

import asyncio
from pathlib import Path

import pytest

from xenport.port import Limits
from xenport.port.boot import ControlError, ProcessBoot, Report
from xenport.port.child import spawn
from xenport.port.console import Writers
from xenport.port.ends import Ends


class SlowToClose:
    """A channel that needs its time to let go."""

    async def listen(self, report: Report) -> None:
        """Hears nothing."""
        del report
        await asyncio.Event().wait()

    async def end_at_reset(self) -> None:
        """There are no resets."""

    async def quit(self) -> None:
        """Takes no orders."""
        raise ControlError("no orders")

    async def close(self) -> None:
        """In a while."""
        await asyncio.sleep(0.1)


def test_nothing_is_planned_beyond_the_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    child = spawn(["yes"])
    writers = Writers("", None)
    with (
        child,
        ProcessBoot(
            child, SlowToClose(), writers, Ends([]), tmp_path / "log", Limits(silence=20)
        ) as boot,
    ):
        next(iter(boot.events()))
    assert not caplog.records
