"""Records what the reference model is asked while it runs the suite's tests.

The model runs in a process for each boot. Each writes a trace of its own, through a tap on the
hypervisor; at the end they become one.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

import xenport.abi
from xenport import port as ports
from xenport.abi import Abi
from xenport.errors import InputError
from xenport.model import process
from xenport.model.errors import XenError
from xenport.model.machine import End
from xenport.model.memory import PAGE_SIZE
from xenport.port import Boot, Bootable, Driver, Limits, Port
from xenport.port.model import ModelDriver
from xenport.suite import session
from xenport.suite.plugin import ConformanceItem
from xenport.trace.format import PARTS, Writer, read
from xenport.trace.reach import Reach, comes_back
from xenport.trace.record import Buffer, Metadata, Record

if TYPE_CHECKING:
    from xenport.model.call import Arguments
    from xenport.model.hypervisor import Carrier
    from xenport.model.vcpu import Vcpu

_FAREWELL = 60.0  # seconds that boots get to their end when every test has its verdict


def record(
    port_name: str, out: Path, expression: str | None, release: str | None, console: Console
) -> tuple[int, int]:
    """Run the tests of the model's port ``port_name`` that ``expression`` selects (``-k``), and
    write what it was asked to ``out``.

    Returns how many hypercalls these were, and the exit status of the run. Raises ``InputError``
    for a port that is no model, an ``expression`` that selects nothing, or if ``out`` is there.
    """
    port = ports.load(port_name, release)
    if port.kind != "model":
        raise InputError(f"{port.name} is not the reference model, which alone can be recorded")
    metadata = Metadata(
        port.architecture,
        port.release,
        f"the conformance suite{f' (-k {expression!r})' if expression else ''} on the reference "
        f"model, {port.name}; in virtual time",
    )
    with Writer(out, metadata) as writer, tempfile.TemporaryDirectory(prefix="xenport-") as name:
        tapped = _Tapped(Path(name))
        options = session.Options((port_name,), release, expression=expression)
        status = session.run(options, console, tapped)
        count = 0
        for boot, path in tapped.traces():
            for one in read(path).records():
                writer.write(one._replace(sequence=count, boot=boot))
                count += 1
    return count, status


class _Tapped:
    """A plugin of pytest that has the environments booted on a model that writes traces."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._drivers: list[_Driver] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Put drivers of our own in place."""
        nodes = dict.fromkeys(
            item.parent for item in session.items if isinstance(item, ConformanceItem)
        )
        for node in nodes:
            driver = _Driver(node.port, self._folder / node.name)
            self._drivers.append(driver)
            node.driver = driver

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """A boot whose tests all have their verdicts may still have something to say."""
        deadline = time.monotonic() + _FAREWELL
        for driver in self._drivers:
            driver.wait(deadline)

    def traces(self) -> Iterator[tuple[str, Path]]:
        """The names of the boots, those of many tests first, and their traces."""
        for driver in self._drivers:
            for log, path in sorted(driver.boots, key=_order):
                left = path.with_name(path.name + PARTS)  # by a boot that had to be killed
                found = path if path.exists() else left
                if found.exists() and (found == path or any(found.glob("*.parquet"))):
                    yield f"{path.parent.name}/{log}", found


def _order(boot: tuple[str, Path]) -> tuple[bool, int, str]:
    """The same for every run: which of the boots beside each other is first does not count."""
    log = boot[0]
    return not log.startswith("tests-"), len(log), log


class _Driver:
    """Boots the model so that it writes traces into ``folder``, each boot to its end."""

    def __init__(self, port: Port, folder: Path) -> None:
        self.boots: list[tuple[str, Path]] = []  #: name of the log and the trace of each
        self._port = port
        self._folder = folder
        self._running = 0
        self._changed = threading.Condition()

    @contextmanager
    def boot(
        self,
        environment: str,
        kernel: Bootable | None,
        command_line: str,
        log: Path,
        limits: Limits,
    ) -> Iterator[Boot]:
        """See `xenport.port.session.Driver`."""
        path = self._folder / log.stem
        driver: Driver = ModelDriver(self._port, partial(process.main, partial(_boot, path)))
        with self._changed:
            self._running += 1
            self.boots.append((log.stem, path))
        try:
            with driver.boot(environment, kernel, command_line, log, limits) as boot:
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


def _boot(path: Path, spec: dict[str, Any]) -> End:
    """In the process of a boot: as `process.boot`, with the trace ``path``."""
    abi = xenport.abi.load_for_model(spec["architecture"], spec["release"])
    try:
        with Writer(path, Metadata(spec["architecture"], spec["release"], "a boot")) as writer:
            return process.boot(spec, tap=partial(tapped, abi, writer.write))
    except InputError as error:
        return End("error", str(error))


def tapped(abi: Abi, write: Callable[[Record], None], carry_out: Carrier) -> Carrier:
    """``carry_out`` of a hypervisor, but what is carried out is written as records too."""
    reach = Reach(abi)
    sequence = 0

    def carry_out_and_write(vcpu: Vcpu, number: int, args: Arguments) -> int:
        nonlocal sequence
        hypercall = reach.hypercall(number)
        arguments = tuple(args[index] for index in range(len(hypercall.args) if hypercall else 0))
        clock = vcpu.domain.hypervisor.clock
        memory = partial(_read, vcpu)
        reached = list(reach.buffers(number, arguments, memory))
        before = [memory(one.address, one.size) for one in reached]
        begun = clock.now
        result = carry_out(vcpu, number, args)
        returned = not vcpu.domain.is_halted
        write(
            Record(
                sequence,
                "",
                begun,
                clock.now if returned else None,
                vcpu.domain.id,
                vcpu.id,
                vcpu.domain.guest,
                number,
                arguments,
                result if returned and comes_back(hypercall) else None,
                False,
                tuple(
                    Buffer(one.name, one.address, old, memory(one.address, one.size))
                    for one, old in zip(reached, before, strict=True)
                ),
            )
        )
        sequence += 1
        return result

    return carry_out_and_write


def _read(vcpu: Vcpu, address: int, size: int) -> bytes | None:
    """What of the guest's memory can be read there, None if that is nothing."""
    try:
        return bytes(vcpu.copy_in(address, size))
    except XenError:
        pass
    content = b""
    while len(content) < size:
        there = PAGE_SIZE - (address + len(content)) % PAGE_SIZE
        try:
            content += vcpu.copy_in(address, min(there, size - len(content)), len(content))
        except XenError:
            break
    return content or None
