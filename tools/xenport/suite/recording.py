"""Which test calls which command, and with what result: found out by a run on the model.

Guests that the model runs on a hosting machine only are recorded there. A recording holds for every
port of the same architecture and release, since the tests are the same. It is kept in the cache
until the tests, the model or the ABI change.
"""

import contextlib
import functools
import importlib.metadata
import json
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xenport import __file__ as package_file, architecture, content, port as ports
from xenport.architecture import Architecture
from xenport.errors import InputError
from xenport.kernel.cache import Fingerprint, publish_file
from xenport.port import Limits
from xenport.port.description import Environment, Modelled, Port
from xenport.port.hosted import HostedDriver
from xenport.port.model import ModelDriver, record_path
from xenport.suite import ktap, plan
from xenport.suite.boots import BOOT_TEST, PROCESSORS, BootPool, EnvironmentRun
from xenport.suite.kernels import own_kernel
from xenport.suite.results import Outcome

#: Seconds without a line. A machine is slow while others use the processors, and nobody watches.
_SILENCE = 120

_NAME = "recorded"  # of the port and environment that are made for it


@dataclass(frozen=True)
class Guest:
    """What tests run in, as far as the model can tell guests apart."""

    architecture: str
    release: str
    kind: str
    provides: tuple[str, ...]
    peer: int | None
    kernel_args: tuple[str, ...] = ()
    model: Modelled = field(default_factory=Modelled)

    @property
    def arch(self) -> Architecture:
        """Its architecture at its release."""
        return architecture.load(self.architecture).at(self.release)

    @property
    def is_control(self) -> bool:
        """Whether it is the control domain."""
        return "dom0" in self.provides

    @classmethod
    def of(cls, port: Port, environment: Environment) -> "Guest":
        """The guest of an environment of ``port``. If it is of another architecture than Xen, it is
        taken for one of its own architecture's Xen."""
        arch = port.guest_arch(environment)
        is_own = arch.name == port.architecture
        provides = tuple(sorted({*environment.provides, plan.SLOW}))
        return cls(
            arch.name,
            port.release,
            environment.guest,
            provides,
            environment.peer,
            tuple(environment.kernel_args),
            environment.model if is_own else Modelled(),
        )


@dataclass(frozen=True)
class Recording:
    """The tests of one guest; those that do not apply to it are not there."""

    outcomes: Mapping[str, Outcome]
    """By test."""
    commands: Mapping[str, Mapping[str, frozenset[str]]]
    """By test and command: the errnos it returned, and the empty text if it succeeded. What is
    called before the first test stands under the test `BOOT_TEST`."""


#: Is told how many recordings are there, of how many.
Watch = Callable[[int, int], object]


def recordings(
    guests: Iterable[Guest], watch: Watch | None = None
) -> dict[Guest, Recording | None]:
    """The recordings for ``guests``; those that are not there are made, beside each other, and
    ``watch`` is told. None if the model has no such guest.

    Raises `InputError` if no kernel can be built, and if the machine that hosts a guest is not
    here or does not keep up.
    """
    paths = {guest: _path(guest) for guest in dict.fromkeys(guests)}
    # All are prepared before the first model is started: that is a copy of this process, and a lock
    # that another thread has at that moment is never free in the copy.
    missing = [
        _Work(guest, path)
        for guest, path in paths.items()
        if path is not None and not path.is_file()
    ]
    _make(missing, watch or (lambda _done, _all: None))
    return {guest: None if path is None else _read(path) for guest, path in paths.items()}


def recording(guest: Guest) -> Recording | None:
    """The one for ``guest``, see `recordings`."""
    return recordings([guest])[guest]


def _path(guest: Guest) -> Path | None:
    """Where the recording is when it is made; None: the model has no such guest."""
    if not guest.arch.model and guest.arch.hosted is None:
        return None
    image = own_kernel(guest.architecture, guest.release).image()
    key = _sources().copy()
    key.texts(repr(guest))
    key.files(image.parent, [image])
    return content.cache_folder() / "recordings" / f"{key.digest()}.json"


def _make(works: Sequence["_Work"], watch: Watch) -> None:
    recorder = _Recorder()
    workers = ThreadPoolExecutor(PROCESSORS)
    try:
        futures = [workers.submit(recorder.make, work) for work in works]
        watch(0, len(works))
        for done, future in enumerate(as_completed(futures), 1):
            future.result()
            watch(done, len(works))
    finally:
        recorder.close()
        workers.shutdown(cancel_futures=True)


class _Work:
    """A recording to be made at ``path``: all that its run needs."""

    def __init__(self, guest: Guest, path: Path) -> None:
        environment = Environment(
            doc="",
            guest=guest.kind,
            provides=list(guest.provides),
            peer=guest.peer,
            kernel_args=list(guest.kernel_args),
            model=guest.model,
        )
        self._is_hosted = not guest.arch.model
        port = Port(
            name=_NAME,
            kind="hosted" if self._is_hosted else "model",
            doc="",
            architecture=guest.architecture,
            release=guest.release,
            environments={_NAME: environment},
        )
        self.path = path
        self._guest = guest
        self._kernel = own_kernel(guest.architecture, guest.release)
        self._tests = plan.applicable(self._kernel.tests, environment.words)
        self._driver = _driver(port)

    @property
    def names(self) -> list[str]:
        """Of the verdicts to come."""
        return [BOOT_TEST, *(test.name for test in self._tests)]

    def run(self, logs: Path) -> EnvironmentRun:
        """The run, which leaves its records in ``logs``."""
        limits = Limits(silence=_SILENCE)
        return EnvironmentRun(self._driver, _NAME, self._kernel, self._tests, logs, limits)

    def check(self, outcomes: Mapping[str, Outcome]) -> None:
        """Raises `InputError` if it is not known what a test would have called."""
        late = [name for name, outcome in outcomes.items() if outcome is Outcome.TIMEOUT]
        if late and self._is_hosted:
            where = f"{self._guest.architecture} {self._guest.release}"
            raise InputError(f"the machine that hosts {where} did not keep up in {', '.join(late)}")


class _Recorder:
    """Makes recordings, several at once, until it is closed."""

    def __init__(self) -> None:
        self._pool = BootPool()
        self._lock = threading.Lock()
        self._runs: set[EnvironmentRun] = set()
        self._closed = False

    def close(self) -> None:
        """Ends the machines that still run; who waits for their verdicts gets an error."""
        with self._lock:
            self._closed = True
            runs = list(self._runs)
        for run in runs:
            run.fail(CancelledError())
            run.close()
        self._pool.close()

    def make(self, work: _Work) -> None:
        """One recording, unless somebody else has made it meanwhile."""
        publish_file(work.path, lambda made: made.write_text(json.dumps(self._record(work))))

    def _record(self, work: _Work) -> dict[str, Any]:
        """What is kept of a guest."""
        with tempfile.TemporaryDirectory(prefix="xenport-") as name:
            logs = Path(name)
            outcomes = self._outcomes(work, logs)
            work.check(outcomes)
            commands: dict[str, dict[str, set[str]]] = {}
            for log in sorted(logs.glob("*.log")):
                for test, command, result in _calls(record_path(log)):
                    commands.setdefault(test, {}).setdefault(command, set()).add(result)
        return {
            "outcomes": {name: outcome.value for name, outcome in outcomes.items()},
            "commands": {
                test: {command: sorted(results) for command, results in sorted(found.items())}
                for test, found in sorted(commands.items())
            },
        }

    def _outcomes(self, work: _Work, logs: Path) -> dict[str, Outcome]:
        run = work.run(logs)
        with self._listed(run):
            run.start(self._pool)
            found = {name: run.verdict(name).outcome for name in work.names}
        if self._closed:  # what was ended looks as if it had crashed
            raise CancelledError
        return found

    @contextlib.contextmanager
    def _listed(self, run: EnvironmentRun) -> Iterator[None]:
        """Keeps ``run`` where `close` finds it, and closes it at the end."""
        with self._lock:
            if self._closed:
                raise CancelledError
            self._runs.add(run)
        try:
            yield
        finally:
            run.close()
            with self._lock:
                self._runs.discard(run)


def _read(path: Path) -> Recording:
    data = json.loads(path.read_text())
    return Recording(
        {test: Outcome(outcome) for test, outcome in data["outcomes"].items()},
        {
            test: {command: frozenset(results) for command, results in commands.items()}
            for test, commands in data["commands"].items()
        },
    )


@functools.cache
def _sources() -> Fingerprint:
    """The fingerprint of all that a recording depends on, but for the guest and its kernel."""
    key = Fingerprint(importlib.metadata.version("unicorn"))
    package = Path(package_file).parent
    key.files(package, package.rglob("*.py"))
    for folder in (content.folder("abi"), content.folder("arch")):
        key.files(folder, folder.rglob("*.yaml"))
    return key


def _driver(port: Port) -> ModelDriver:
    for lack in ports.missing(port):
        where = f"{port.architecture} {port.release}"
        raise InputError(f"the model runs {where} under {lack.what} only; get it: {lack.command}")
    return (HostedDriver if port.kind == "hosted" else ModelDriver)(port, record=True)


def _calls(path: Path) -> Iterator[tuple[str, str, str]]:
    """Test, command and result of each call that is part of a test, in a file of the model's."""
    if not path.is_file():  # it failed before it ran anything
        return
    running: list[str | None] = [BOOT_TEST]  # by number of lines
    for record in map(json.loads, path.read_text().splitlines()):
        match record:
            case ["line", text]:
                running.append(_running_after(text, running[-1]))
            case ["call", lines, command, result]:
                test = running[-1]
                if test is not None and test == running[lines]:
                    yield test, command, result


def _running_after(line: str, before: str | None) -> str | None:
    match ktap.parse(line):
        case ktap.Header() | ktap.Finish():
            return None
        case ktap.Start(name):
            return name
    return before
