"""Records what the guests of a port ask while they run the suite's tests.

Each boot writes parts of a trace of its own into the folder of parts; at the end they become one.
"""

import threading
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest
from rich.console import Console

from xenport import port as ports
from xenport.port import Boot, Bootable, Driver, Limits, Port
from xenport.port.model import ModelDriver
from xenport.port.qemu import QemuDriver
from xenport.suite import session
from xenport.suite.plugin import ConformanceItem
from xenport.trace import tap
from xenport.trace.qemu import Recorder
from xenport.trace.record import Metadata
from xenport.trace.writer import collected

_FAREWELL = 60.0  # seconds that boots get to their end when every test has its verdict

Wrap = Callable[[Driver, Path, str], Driver]
"""Makes a driver like another one, whose boot (of a name) writes parts of a trace at a path."""


class Recorded(NamedTuple):
    """What was recorded: how many hypercalls, how many were left out because they are of guests
    of another width, and the exit status of the run."""

    hypercalls: int
    skipped: int
    status: int


def record(
    port_name: str,
    out: Path,
    expression: str | None,
    release: str | None,
    console: Console,
) -> Recorded:
    """Run the tests of the port ``port_name`` that ``expression`` selects (``-k``), and write what
    its hypervisor was asked to ``out``.

    Raises ``InputError`` for an ``expression`` that selects nothing, for what is missing, or if
    ``out`` is there.
    """
    port = ports.load(port_name, release)
    tests = f"the conformance suite{f' (-k {expression!r})' if expression else ''}"
    recorder = None if port.is_model else Recorder(port)
    wrap = _of_model(port) if recorder is None else _of_qemu(recorder)
    how = "the reference model" if recorder is None else f"QEMU {recorder.version}"
    metadata = Metadata(port.architecture, port.release, f"{tests} on {port.name}, {how}")
    with collected(out, metadata) as parts:
        tapped = _Tapped(port, parts.folder, wrap)
        options = session.Options((port_name,), release, expression=expression)
        status = session.run(options, console, tapped)
    return Recorded(parts.count, 0 if recorder is None else recorder.skipped, status)


def _of_model(port: Port) -> Wrap:
    def wrap(driver: Driver, path: Path, boot: str) -> Driver:
        assert isinstance(driver, ModelDriver)
        return tap.driver(port, driver, path, boot)

    return wrap


def _of_qemu(recorder: Recorder) -> Wrap:
    def wrap(driver: Driver, path: Path, boot: str) -> Driver:
        assert isinstance(driver, QemuDriver)
        return driver.with_plugin(partial(recorder.plugged, path, boot))

    return wrap


class _Tapped:
    """A plugin of pytest that has the environments of a port booted so that they are recorded."""

    def __init__(self, port: Port, folder: Path, wrap: Wrap) -> None:
        self._port = port
        self._folder = folder
        self._wrap = wrap
        self._drivers: list[_Driver] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Put drivers of our own in place."""
        nodes = dict.fromkeys(
            item.parent for item in session.items if isinstance(item, ConformanceItem)
        )
        for node in nodes:
            if node.port.name == self._port.name:
                driver = _Driver(node.driver, self._folder / node.name, self._wrap)
                self._drivers.append(driver)
                node.driver = driver

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """A boot whose tests all have their verdicts may still have something to say."""
        deadline = time.monotonic() + _FAREWELL
        for driver in self._drivers:
            driver.wait(deadline)


class _Driver:
    """Boots as another driver does, recorded into ``folder``, each boot to its end."""

    def __init__(self, driver: Driver, folder: Path, wrap: Wrap) -> None:
        self._driver = driver
        self._folder = folder
        self._wrap = wrap
        self._running = 0
        self._changed = threading.Condition()

    def shared(self, environment: str) -> Hashable | None:  # noqa: ARG002
        """See `xenport.port.session.Driver`: a trace tells domains apart by their numbers."""
        return None

    @contextmanager
    def boot(
        self,
        environment: str,
        kernel: Bootable | None,
        command_line: str,
        log: Path,
        limits: Limits,
        *,
        again: Sequence[tuple[str, str]] = (),
        survives_reset: bool = False,
    ) -> Iterator[Boot]:
        """See `xenport.port.session.Driver`."""
        assert not again
        name = f"{self._folder.name}/{log.stem}"
        driver = self._wrap(self._driver, self._folder / log.stem, name)
        with self._changed:
            self._running += 1
        try:
            with driver.boot(
                environment, kernel, command_line, log, limits, survives_reset=survives_reset
            ) as boot:
                yield boot
                for _ in boot.events():
                    pass  # nobody is interested any more, but the trace goes on to the end
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def wait(self, deadline: float) -> None:
        """Until no boot is under way, or it is late (``time.monotonic``)."""
        with self._changed:
            self._changed.wait_for(lambda: not self._running, max(deadline - time.monotonic(), 0))
