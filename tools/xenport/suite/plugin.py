"""The pytest plugin: a port file is collected like a test file.

    pytest -p xenport.suite.plugin conformance/ports/model-arm64.yaml --xenport-select events

Each environment of the port is a node, each test of its kernel an item:
``model-arm64::dom0::evtchn_send``. The boots are shared by the items of an environment;
selecting items (``--xenport-select``, ``--deselect``) selects what the boots run.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from xenport import port as ports
from xenport.kernel import Kernel, Test
from xenport.port import Driver, Limits, Port
from xenport.suite import describe, ladder, plan
from xenport.suite.bare import BareRun
from xenport.suite.boots import BOOT_TEST, BootPool, EnvironmentRun, start
from xenport.suite.kernels import kernels
from xenport.suite.results import Outcome, Result, Verdict
from xenport.suite.selection import Selection

RESULT = pytest.StashKey[Result]()
_PORTS_FOLDER = "ports"


def pytest_addoption(parser: pytest.Parser) -> None:
    """xenport's own options."""
    group = parser.getgroup("xenport", "conformance of a port")
    group.addoption("--xenport-logs", type=Path, default=None, help="folder for raw consoles")
    group.addoption("--xenport-release", default=None, help="release whose ABI is tested")
    group.addoption("--xenport-hypervisor", type=Path, default=None, help="hypervisor image to use")
    group.addoption("--xenport-headers", type=Path, default=None, help="public headers to judge")
    group.addoption("--xenport-compiler", default=None, help="C compiler for the test kernels")
    group.addoption(
        "--xenport-select", default=None, help="only tests that match: `xenport run -k`"
    )
    group.addoption("--xenport-slow", action="store_true", help="also tests that need `slow`")
    group.addoption(
        "--xenport-silence",
        type=float,
        default=Limits().silence,
        help="seconds without a console line after which a boot is given up",
    )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collects port files: the YAML files of a folder named ``ports`` and those named outright."""
    if file_path.suffix != ".yaml":
        return None
    named = any(file_path == Path(argument).absolute() for argument in parent.config.args)
    if named or file_path.parent.name == _PORTS_FOLDER:
        return PortFile.from_parent(parent, path=file_path, nodeid=file_path.stem)
    return None


class PortFile(pytest.File):
    """A port file; its children are its environments."""

    def collect(self) -> Iterator["EnvironmentNode"]:
        """One node an environment."""
        option = self.config.option
        port = ports.load(self.path, option.xenport_release)
        built = kernels(port, option.xenport_compiler)
        driver = ports.open(
            port, hypervisor=option.xenport_hypervisor, supervisor=built.get(port.architecture)
        )
        for name, environment in port.environments.items():
            kernel = built.get(port.guest_arch(environment).name)
            yield EnvironmentNode.from_parent(
                self, name=name, port=port, kernel=kernel, driver=driver
            )


class EnvironmentNode(pytest.Collector):
    """One environment of a port; its children are the tests that apply to it."""

    def __init__(self, *, port: Port, kernel: Kernel | None, driver: Driver, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.port = port
        self.kernel = kernel
        self.driver = driver

    def collect(self) -> Iterator["ConformanceItem"]:
        """The headers, the boot itself, then the applicable tests in the ladder's order."""
        if self._is_first and (self.port.is_bare or self.config.option.xenport_headers):
            for name in describe.TESTS:
                yield DescribeItem.from_parent(self, name=name, test=None)
        yield ConformanceItem.from_parent(self, name=BOOT_TEST, test=None)
        environment = self.port.environments[self.name]
        if self.kernel is None:
            return
        words = environment.words
        quick = {test.name for test in plan.applicable(self.kernel.tests, words)}
        tests = plan.applicable(self.kernel.tests, [*words, plan.SLOW])
        tests = plan.named(tests, environment.tests)
        for test in plan.in_ladder_order(tests, [rung.name for rung in ladder.rungs()]):
            slow = test.name not in quick
            yield ConformanceItem.from_parent(self, name=test.name, test=test, slow=slow)

    @property
    def _is_first(self) -> bool:
        """What is the same in all environments of a port is judged in the first one."""
        return self.name == next(iter(self.port.environments))

    def run(self) -> EnvironmentRun | BareRun:
        """What boots for the selected items."""
        limits = Limits(silence=self.config.option.xenport_silence)
        if self.kernel is None:
            return BareRun(self.driver, self.name, self._logs(), limits)
        return EnvironmentRun(
            self.driver,
            self.name,
            self.kernel,
            [item.test for item in _items(self.session) if item.parent is self and item.test],
            self._logs(),
            limits,
            self.port.environments[self.name].shows,
        )

    def _logs(self) -> Path:
        base: Path | None = self.config.option.xenport_logs
        if base is None:
            factory: pytest.TempPathFactory = self.config._tmp_path_factory  # type: ignore[attr-defined]
            base = factory.mktemp("consoles")
        return base / self.port.name / self.name


class ConformanceItem(pytest.Item):
    """One test in one environment."""

    parent: EnvironmentNode

    def __init__(self, *, test: Test | None, slow: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.test = test
        self.slow = slow

    def is_selected(self, selection: Selection) -> bool:
        """Whether it is to be run. One that takes long must be asked for."""
        own = (self.name, self._rung())
        where = (self.parent.port.name, self.parent.name)
        if self.slow and not self.config.option.xenport_slow:
            return selection.asks_for(own, where)
        return selection.takes([*own, *where])

    def runtest(self) -> None:
        """Waits for the verdict and tells pytest."""
        result = self._result(self._verdict())
        self.stash[RESULT] = result
        if result.outcome is Outcome.XFAIL:
            pytest.xfail(result.message)
        if result.outcome is Outcome.SKIP:
            pytest.skip(result.message)
        if result.outcome.is_failure:
            raise ConformanceFailure(result)

    def _verdict(self) -> Verdict:
        return _boots(self.session).runs[self.parent].verdict(self.name)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The verdict and the test's console lines in place of a Python traceback."""
        if isinstance(excinfo.value, ConformanceFailure):
            result = excinfo.value.result
            return "\n".join([f"{result.outcome}: {result.message}", *result.console])
        if isinstance(excinfo.value, pytest.xfail.Exception):
            # No traceback of ours, which says nothing, and which is not safe to make while boots
            # run: see xenport/port/qemu.py.
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where the item comes from, for pytest's own reports."""
        return self.path, None, f"{self.parent.port.name}/{self.parent.name}/{self.name}"

    def _title(self) -> str:
        if self.test is not None:
            return self.test.title
        if self.parent.port.is_bare:
            return "the hypervisor boots, says so, and halts the machine"
        return "the port boots and prints a line"

    def _rung(self) -> str:
        return self.test.rung if self.test else BOOT_TEST

    def _result(self, verdict: Verdict) -> Result:
        port = self.parent.port
        outcome, message = verdict.outcome, verdict.message
        reason = port.known_failure(self.parent.name, self.name)
        if reason is not None and outcome.is_failure:
            outcome, message = Outcome.XFAIL, f"{reason} ({message})"
        elif reason is not None and outcome is Outcome.PASS:
            outcome = Outcome.FAIL
            message = f"passes, but the port lists it as a known failure: {reason}"
        return Result(
            port=port.name,
            release=port.release,
            environment=self.parent.name,
            test=self.name,
            title=self._title(),
            rung=self._rung(),
            outcome=outcome,
            seconds=verdict.seconds,
            message=message,
            console=verdict.console,
        )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out what nobody asked for."""
    selection = Selection(config.option.xenport_select)
    left_out = [
        item
        for item in items
        if isinstance(item, ConformanceItem) and not item.is_selected(selection)
    ]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        dropped = set(left_out)
        items[:] = [item for item in items if item not in dropped]


class DescribeItem(ConformanceItem):
    """The headers of a port, which need no boot."""

    def _verdict(self) -> Verdict:
        return describe.judge(self.name, self.parent.port, self.config.option.xenport_headers)

    def _title(self) -> str:
        return describe.TESTS[self.name]

    def _rung(self) -> str:
        return describe.RUNG


class _Boots:
    """The boots of a session: all environments' are begun when the first verdict is wanted."""

    def __init__(self, session: pytest.Session) -> None:
        self._pool = BootPool()
        needed = (item for item in _items(session) if not isinstance(item, DescribeItem))
        environments = dict.fromkeys(item.parent for item in needed)
        self.runs = {environment: environment.run() for environment in environments}
        for run in self.runs.values():
            if isinstance(run, BareRun):
                run.start(self._pool)
        start((run for run in self.runs.values() if isinstance(run, EnvironmentRun)), self._pool)

    def close(self) -> None:
        """Ends what still runs."""
        for run in self.runs.values():
            run.close()
        self._pool.close()


_BOOTS = pytest.StashKey[_Boots]()


def _boots(session: pytest.Session) -> _Boots:
    if _BOOTS not in session.stash:
        session.stash[_BOOTS] = _Boots(session)
    return session.stash[_BOOTS]


def _items(session: pytest.Session) -> Iterator[ConformanceItem]:
    return (item for item in session.items if isinstance(item, ConformanceItem))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Ends the machines, however the session ends."""
    if _BOOTS in session.stash:
        session.stash[_BOOTS].close()


class ConformanceFailure(Exception):
    """A test did not pass; carries its result."""

    def __init__(self, result: Result) -> None:
        super().__init__(result.message)
        self.result = result
