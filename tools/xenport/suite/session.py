"""``xenport run``: a pytest session over port files, with a display and a report folder."""

import io
import os
import signal
import tempfile
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from rich.console import Console

from xenport import content, port as ports
from xenport.errors import InputError
from xenport.port import Port
from xenport.suite import outcomes, plugin, reports
from xenport.suite.comparison import differences
from xenport.suite.coverage import Coverage, coverage
from xenport.suite.kernels import kernels
from xenport.suite.progress import Display, print_summary, recordings_bar
from xenport.suite.recording import Watch
from xenport.suite.results import Run
from xenport.suite.selection import Selection


@dataclass(frozen=True)
class Options:
    """What a person asked of a run."""

    ports: Sequence[str]
    release: str | None = None
    hypervisor: Path | None = None
    headers: Path | None = None
    expression: str | None = None
    report: Path | None = None
    compiler: str | None = None
    slow: bool = False
    silence: float | None = None


def run(options: Options, console: Console, *plugins: object) -> int:
    """Runs the suite; returns the exit status: 0 nothing unexpected failed, 1 something did.

    ``plugins`` are more plugins of pytest, which see the run.

    Raises InputError for ports, images, expressions and folders that cannot be used.
    """
    Selection(options.expression)
    chosen = _with_compared([ports.load(name, options.release) for name in options.ports])
    _check_ready(chosen, options, console)
    with _interrupt_on_sigterm(), _folder(options.report) as folder:
        recorder = _Recorder(Display(console))
        with redirect_stderr(io.StringIO()) as said:
            status = pytest.main(
                _arguments(chosen, options, folder), plugins=[plugin, recorder, *plugins]
            )
        recorder.finish(status, said.getvalue())
        recorder.run.outlooks = {port.name: port.outlook for port in chosen}
        recorder.run.differences = differences(chosen, recorder.run.results)
        if options.hypervisor is None:
            for port in chosen:
                outcomes.remember(port, recorder.run.results)
        if options.report:
            with recordings_bar(console) as watch:
                table = _coverage(chosen, options, recorder.run, watch)
            reports.write(recorder.run, table, folder)
        print_summary(console, recorder.run)
    if options.report:
        console.print(f"Report: {options.report / 'index.html'}", highlight=False, soft_wrap=True)
    return 1 if recorder.run.failures or recorder.run.differences else 0


def _coverage(chosen: Sequence[Port], options: Options, run: Run, watch: Watch) -> Coverage:
    """Of the ABI, with the outcomes of this run, and of earlier ones that were about the same."""
    if options.hypervisor is None:
        return coverage(chosen, outcomes.last, watch)

    def of_this_run(port: Port, environment: str) -> outcomes.ByTest:
        return {
            result.test: result.outcome
            for result in run.results
            if (result.port, result.environment) == (port.name, environment)
        }

    return coverage(chosen, of_this_run, watch)


def _with_compared(chosen: Sequence[Port]) -> list[Port]:
    """The ports, and those whose verdicts must be the same."""
    ports_by_name = {port.name: port for port in chosen}
    for port in chosen:
        if port.same_as is not None and port.same_as not in ports_by_name:
            other = ports.load(port.same_as)
            if other.release == port.release:
                ports_by_name[other.name] = other
    return list(ports_by_name.values())


def _check_ready(chosen: Sequence[Port], options: Options, console: Console) -> None:
    """Finds what is missing before anything starts, and builds the kernels."""
    for port in chosen:
        for missing in ports.missing(port, hypervisor=options.hypervisor):
            raise InputError(f"port {port.name} needs {missing.what}; get it: {missing.command}")
        with console.status(f"building the test kernel for {port.architecture} {port.release}"):
            kernels(port, options.compiler)


@contextmanager
def _folder(report: Path | None) -> Iterator[Path]:
    if report is None:
        with tempfile.TemporaryDirectory(prefix="xenport-") as name:
            yield Path(name)
    else:
        with reports.report_folder(report) as folder:
            yield folder


def _arguments(chosen: Sequence[Port], options: Options, folder: Path) -> list[str]:
    """Everything is said outright: a pytest configuration lying about must not change a run."""
    arguments = [
        *(str(port.path) for port in chosen),
        f"-c={os.devnull}",
        f"--rootdir={content.folder('conformance')}",
        "-pno:terminal",
        "-pno:cacheprovider",
        *("--capture=no", "-pno:logging"),  # tests are kernels, which write nothing in this process
        "-pno:unraisableexception",  # collects garbage at length
        f"--xenport-logs={folder / reports.CONSOLES}",
    ]
    if options.report:
        arguments += [f"--junitxml={folder / reports.JUNIT}", "-o=junit_suite_name=xenport"]
    if options.expression:
        arguments.append(f"--xenport-select={options.expression}")
    if options.release:
        arguments.append(f"--xenport-release={options.release}")
    if options.hypervisor:
        arguments.append(f"--xenport-hypervisor={options.hypervisor}")
    if options.headers:
        arguments.append(f"--xenport-headers={options.headers}")
    if options.compiler:
        arguments.append(f"--xenport-compiler={options.compiler}")
    if options.slow:
        arguments.append("--xenport-slow")
    if options.silence:
        arguments.append(f"--xenport-silence={options.silence}")
    return arguments


@contextmanager
def _interrupt_on_sigterm() -> Iterator[None]:
    """SIGTERM ends a run as Ctrl-C does: through every ``finally`` on the way."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _Recorder:
    """Pytest hooks that keep the results and feed the display."""

    def __init__(self, display: Display) -> None:
        self.run = Run(started=datetime.now(UTC).isoformat(timespec="seconds"))
        self._display = display
        self._begun = time.monotonic()
        self._error: BaseException | None = None

    def finish(self, status: int, said: str) -> None:
        """Turns pytest's own trouble, and what it said of it, into an error of ours."""
        self.run.seconds = time.monotonic() - self._begun
        if self._error is not None:
            raise self._error
        match status:
            case pytest.ExitCode.NO_TESTS_COLLECTED:
                raise InputError("no test matches; `xenport run` without -k runs them all")
            case pytest.ExitCode.USAGE_ERROR:
                raise InputError(said.strip().removeprefix("ERROR: ").partition("\n")[0])
            case pytest.ExitCode.INTERRUPTED:
                raise KeyboardInterrupt
            case pytest.ExitCode.INTERNAL_ERROR:
                raise RuntimeError(f"pytest failed:\n{said}")

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._display.expect([_place(item) for item in session.items])

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        with self._display:
            return (yield)

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self._display.begin(_place(item), item.name)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if call.when == "call":
            result = item.stash.get(plugin.RESULT, None)
            if result is not None:
                self.run.results.append(result)
                try:
                    self._display.finish(result)
                except SystemExit as error:  # rich's, when nobody reads any more what we print
                    self._stop(item.session, error)
        expected = (plugin.ConformanceFailure, pytest.skip.Exception, pytest.xfail.Exception)
        if call.excinfo is not None and not isinstance(call.excinfo.value, expected):
            self._stop(item.session, call.excinfo.value)
        return report

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed and self._error is None:
            self._error = InputError(str(report.longrepr))

    def pytest_exception_interact(
        self, node: pytest.Item | pytest.Collector, call: pytest.CallInfo[Any]
    ) -> None:
        if isinstance(node, pytest.Collector) and call.excinfo is not None:
            self._error = call.excinfo.value

    def _stop(self, session: pytest.Session, error: BaseException) -> None:
        self._error = self._error or error
        session.shouldstop = "an error that no test can have"


def _place(item: pytest.Item) -> tuple[str, str]:
    assert isinstance(item, plugin.ConformanceItem)
    return item.parent.port.name, item.parent.name
