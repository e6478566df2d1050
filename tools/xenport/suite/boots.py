"""Boots an environment as often as its tests need and turns its console into verdicts.

One boot runs many tests. A test that ends the domain has a boot of its own. When a domain dies,
hangs or floods its console, the test that was running gets the verdict and the next boot goes on
with the tests after it.
"""

from collections import deque
from collections.abc import Generator, Iterable, Sequence
from pathlib import Path

from xenport.kernel import Kernel, Test
from xenport.port import Driver, Ended, Limits, Line
from xenport.suite import ktap
from xenport.suite.plan import command_line
from xenport.suite.results import Outcome, Verdict

BOOT_TEST = "boot"  # the one test that no kernel carries: the port prints anything at all
CONSOLE_LINES = 200  # lines kept per test, the last ones; the whole is in the boot's log

_Verdicts = Generator[tuple[str, Verdict], None, list[Test]]


class EnvironmentRun:
    """The verdicts of one environment of a port, made while they are asked for.

    ``logs`` is the folder for the raw console of each boot.
    """

    def __init__(
        self,
        driver: Driver,
        environment: str,
        kernel: Kernel,
        tests: Sequence[Test],
        logs: Path,
        limits: Limits,
    ) -> None:
        self._driver = driver
        self._environment = environment
        self._kernel = kernel
        self._logs = logs
        self._limits = limits
        self._boots = 0
        self._started = False
        self._known: dict[str, Verdict] = {}
        self._source = self._verdicts(tests)

    def verdict(self, test: str) -> Verdict:
        """The verdict on ``test``; boots and reads the console until it is there."""
        while test not in self._known:
            name, verdict = next(self._source)
            self._known[name] = verdict
        return self._known[test]

    def close(self) -> None:
        """Ends the machine that may still be running."""
        self._source.close()

    def _verdicts(self, tests: Iterable[Test]) -> Generator[tuple[str, Verdict], None, None]:
        remaining = [test for test in tests if not test.ends]
        ending = [test for test in tests if test.ends]
        if not remaining and not ending:
            yield from self._boot([])
        while remaining:
            remaining = yield from self._boot(remaining)
        for test in ending:
            yield from self._boot([test])

    def _boot(self, tests: list[Test]) -> _Verdicts:
        """One boot; returns the tests that still have no verdict."""
        self._boots += 1
        log = self._logs / f"{self._boots:02}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        boot = self._driver.boot(
            self._environment, self._kernel, command_line(tests), log, self._limits
        )
        with boot as running:
            reader = _BootReader(tests)
            for event in running.events():
                if not self._started:
                    self._started = True
                    yield BOOT_TEST, _boot_verdict(event)
                if isinstance(event, Line):
                    yield from reader.line(event)
                    if reader.finished:
                        break
                else:
                    yield from reader.ended(event)
        return reader.remaining


def _boot_verdict(event: Line | Ended) -> Verdict:
    if isinstance(event, Line):
        return Verdict(Outcome.PASS, seconds=event.seconds)
    return Verdict(_outcome_of(event), f"nothing was printed: {_reason(event)}")


class _BootReader:
    """Follows one boot's console."""

    def __init__(self, tests: list[Test]) -> None:
        self.remaining = list(tests)
        self.finished = not tests
        self._running: Test | None = None
        self._started_at = 0.0
        self._last = 0.0
        self._header_seen = False
        self._console: deque[str] = deque(maxlen=CONSOLE_LINES)

    def line(self, line: Line) -> Generator[tuple[str, Verdict], None, None]:
        self._console.append(line.text)
        self._last = line.seconds
        match ktap.parse(line.text) if line.source == "guest" else None:
            case ktap.Header():
                self._header_seen = True
            case ktap.Start(name):
                self._running = next((test for test in self.remaining if test.name == name), None)
                self._started_at = line.seconds
                self._console.clear()
                self._console.append(line.text)
            case ktap.Finish(name, outcome, message, seconds):
                if self._running is not None and self._running.name == name:
                    yield self._finish(outcome, message, seconds)
            case ktap.End():
                self.finished = True
                for test in list(self.remaining):
                    self._running = test
                    yield self._finish(Outcome.FAIL, "the test kernel ended without running it")

    def ended(self, end: Ended) -> Generator[tuple[str, Verdict], None, None]:
        self._last = end.seconds
        if not self._header_seen:
            reason = f"the test kernel did not start: {_reason(end)}"
            for test in list(self.remaining):
                self._running = test
                yield self._finish(_outcome_of(end), reason)
        elif self._running is not None and self._running.ends == end.kind:
            yield self._finish(Outcome.PASS, "")
        elif self._running is not None and self._running.ends and _outcome_of(end) is Outcome.CRASH:
            expected = self._running.ends
            yield self._finish(Outcome.FAIL, f"expected {expected}, seen: {_reason(end)}")
        elif self.remaining:
            during = self._running is not None
            self._running = self._running or self.remaining[0]
            when = "" if during else "before the test began: "
            yield self._finish(_outcome_of(end), when + _reason(end))
        self.finished = True

    def _finish(
        self, outcome: Outcome, message: str, seconds: float | None = None
    ) -> tuple[str, Verdict]:
        test = self._running
        assert test is not None
        self._running = None
        self.remaining.remove(test)
        spent = self._last - self._started_at if seconds is None else seconds
        return test.name, Verdict(outcome, message, max(spent, 0.0), tuple(self._console))


def _outcome_of(end: Ended) -> Outcome:
    return Outcome.TIMEOUT if end.kind == "timeout" else Outcome.CRASH


def _reason(end: Ended) -> str:
    return f"{end.kind}: {end.detail}" if end.detail else end.kind
