"""Boots environments as often as their tests need and turns their consoles into verdicts.

One boot runs many tests, and those of several environments where one machine can start their
domains one after the other. A test that ends the domain has a domain of its own, and a boot of its
own where the machine cannot start another. When a domain dies, hangs or floods its
console, the test that was running gets the verdict and the next boot goes on with the tests after
it. Boots that do not depend on each other run beside each other.
"""

import contextlib
import itertools
import os
import re
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

from xenport.kernel import RESET, Kernel, Test
from xenport.port import Boot, Driver, Ended, Limits, Line
from xenport.suite import ktap
from xenport.suite.plan import command_line, in_lines
from xenport.suite.results import Outcome, Verdict

BOOT_TEST = "boot"  # the one test that no kernel carries: the port prints anything at all
PROCESSORS = len(os.sched_getaffinity(0))
CONSOLE_LINES = 200  # lines kept per test, the last ones; the whole is in the boot's log


class BootPool:
    """Runs boots in threads, one more than there are processors: boots wait now and then.

    With many more, machines are so slow that Xen misses the full second of the emulated clock of
    the day, and waits for the next one at the cost of the others.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(max_workers=PROCESSORS + 1)

    def submit(self, boot: Callable[[], None]) -> None:
        """Runs ``boot`` as soon as there is a thread for it."""
        with contextlib.suppress(RuntimeError):  # the pool was closed meanwhile
            self._threads.submit(boot)

    def close(self) -> None:
        """Waits for what runs and drops what waits."""
        self._threads.shutdown(cancel_futures=True)


class EnvironmentRun:
    """The verdicts of one environment of a port, as its boots bring them.

    ``shows`` is a regular expression that a line of the hypervisor must match before the kernel
    starts; otherwise it is not the environment that was meant, and nothing in it passes.
    ``logs`` is the folder for the raw console of each boot: ``tests-N.log``, and ``NAME.log`` for
    the test NAME that ends the domain and has a boot of its own. The consoles of boots that
    environments share are in a folder beside it that has the names of all of them: ``A+B``.
    """

    def __init__(
        self,
        driver: Driver,
        environment: str,
        kernel: Kernel,
        tests: Sequence[Test],
        logs: Path,
        limits: Limits,
        shows: str | None = None,
    ) -> None:
        self.driver = driver
        self.environment = environment
        self.kernel = kernel
        self.staying = [test for test in tests if not test.ends]
        self.ending = [test for test in tests if test.ends]
        self.logs = logs
        self.limits = limits
        self.shows = shows
        self._changed = threading.Condition()
        self._known: dict[str, Verdict] = {}
        self._error: BaseException | None = None
        self._series: _Series | None = None

    def start(self, pool: BootPool) -> None:
        """Hands the boots to ``pool``."""
        start([self], pool)

    def verdict(self, test: str) -> Verdict:
        """The verdict on ``test``, as soon as it is there.

        Raises what the driver raised if the environment cannot be booted at all.
        """
        with self._changed:
            self._changed.wait_for(lambda: test in self._known or self._error is not None)
            if test not in self._known and self._error is not None:
                raise self._error
            return self._known[test]

    def close(self) -> None:
        """Ends the machines that still run, also for those who share them; those that wait will
        not start."""
        if self._series is not None:
            self._series.close()

    def belongs_to(self, series: "_Series") -> None:
        """These bring the verdicts."""
        self._series = series

    def publish(self, name: str, verdict: Verdict) -> None:
        """There is a verdict on a test; the first one counts."""
        with self._changed:
            self._known.setdefault(name, verdict)
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """There will be no more verdicts; the first error counts."""
        with self._changed:
            self._error = self._error or error
            self._changed.notify_all()


def start(runs: Iterable[EnvironmentRun], pool: BootPool) -> None:
    """Hands the boots of ``runs`` to ``pool``: one after the other on one machine where they can
    share it, beside each other where not."""
    groups: dict[tuple[object, ...], list[EnvironmentRun]] = {}
    for run in runs:
        shared = run.driver.shared(run.environment)
        alone = () if shared is not None else (id(run),)
        key = (id(run.driver), id(run.kernel), run.shows, shared, *alone)
        groups.setdefault(key, []).append(run)
    for (_, _, _, shared, *_), group in groups.items():
        _Series(group, shares=shared is not None).start(pool)


class _Domain(NamedTuple):
    """One domain of a boot, and what it is to run."""

    run: EnvironmentRun
    tests: list[Test]


class _Series:
    """The boots of environments that can share a machine, or of one that cannot."""

    def __init__(self, runs: Sequence[EnvironmentRun], *, shares: bool) -> None:
        first = runs[0]
        self._runs = runs
        self._first = first
        self._shares = shares
        names = "+".join(run.environment for run in runs)
        self._logs = first.logs if len(runs) == 1 else first.logs.with_name(names)
        self._changed = threading.Condition()
        self._running: set[Boot] = set()
        self._busy = 0  # threads
        self._closed = False
        for run in runs:
            run.belongs_to(self)

    def start(self, pool: BootPool) -> None:
        """Hands them to ``pool``."""
        if self._first.staying or not self._first.ending or self._shares:
            pool.submit(partial(self._guarded, partial(self._boot_in_turn, pool)))
        else:
            self._start_ending(pool)

    def close(self) -> None:
        """Ends the machines that run and waits until they are gone."""
        with self._changed:
            self._closed = True
            for boot in self._running:
                boot.stop()
            self._changed.wait_for(lambda: not self._busy)

    def _guarded(self, work: Callable[[], object]) -> None:
        """Hands an error of a thread over to those who wait for verdicts."""
        with self._changed:
            if self._closed:
                return
            self._busy += 1
        try:
            work()
        except BaseException as error:
            for run in self._runs:
                run.fail(error)
        finally:
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()

    def _boot_in_turn(self, pool: BootPool) -> None:
        """Boots until there is a verdict on every test that leaves the domain alive; and on the
        others, if one machine can start a domain after the other."""
        domains = [domain for run in self._runs for domain in self._domains(run)]
        domains = domains or [_Domain(self._first, [])]  # to see whether it boots
        entered: set[str] = set()
        for boot in itertools.count(1):
            begin_ending = None if self._shares or boot > 1 else partial(self._start_ending, pool)
            here = domains if self._shares else domains[:1]
            reader = self._boot(here, f"tests-{boot}", begin_ending)
            entered |= reader.entered
            domains = [*reader.remaining, *domains[len(here) :]]
            for run, verdict in reader.silent:
                if run.environment not in entered:
                    # Every other domain would only wait as long as this one did.
                    for test in (*run.staying, *run.ending):
                        run.publish(test.name, verdict)
                    domains = [domain for domain in domains if domain.run is not run]
            if not domains or self._closed:
                break

    def _domains(self, run: EnvironmentRun) -> list[_Domain]:
        """In what domains the tests of an environment run, one after the other."""
        parts = [list(tests) for tests in in_lines(run.staying)]
        if self._shares:
            parts += [[test] for test in run.ending]
        return [_Domain(run, tests) for tests in parts]

    def _start_ending(self, pool: BootPool) -> None:
        for test in self._first.ending:
            domain = _Domain(self._first, [test])
            pool.submit(partial(self._guarded, partial(self._boot, [domain], test.name)))

    def _boot(
        self,
        domains: Sequence[_Domain],
        log: str,
        begin_ending: Callable[[], None] | None = None,
    ) -> "_BootReader":
        """One boot, for one domain after the other; calls ``begin_ending`` when the kernel has
        started."""
        self._logs.mkdir(parents=True, exist_ok=True)
        reader = _BootReader(domains, self._first.shows)
        first, *again = ((one.run.environment, command_line(one.tests)) for one in domains)
        with (
            self._first.driver.boot(
                first[0],
                self._first.kernel,
                first[1],
                self._logs / f"{log}.log",
                self._first.limits,
                again=again,
                survives_reset=any(test.ends == RESET for one in domains for test in one.tests),
            ) as boot,
            self._listed(boot),
        ):
            for number, event in enumerate(boot.events()):
                if number == 0:
                    for run in self._runs:
                        run.publish(BOOT_TEST, _boot_verdict(event))
                verdicts = reader.line(event) if isinstance(event, Line) else reader.ended(event)
                for run, name, verdict in verdicts:
                    run.publish(name, verdict)
                if begin_ending is not None and reader.entered:
                    begin_ending()
                    begin_ending = None
                if reader.finished:
                    break
        return reader

    @contextlib.contextmanager
    def _listed(self, boot: Boot) -> Iterator[None]:
        """Keeps ``boot`` where `close` finds it."""
        with self._changed:
            self._running.add(boot)
            if self._closed:
                boot.stop()
        try:
            yield
        finally:
            with self._changed:
                self._running.discard(boot)


def _boot_verdict(event: Line | Ended) -> Verdict:
    if isinstance(event, Line):
        return Verdict(Outcome.PASS, seconds=event.seconds)
    return Verdict(_outcome_of(event), f"nothing was printed: {_reason(event)}")


class _BootReader:
    """Follows one boot's console, through one domain after the other."""

    def __init__(self, domains: Sequence[_Domain], shows: str | None = None) -> None:
        self._wanted = shows
        self._waiting = deque(_Domain(run, list(tests)) for run, tests in domains)
        self._over: list[_Domain] = []
        self.entered: set[str] = set()
        """The environments in which a test kernel has begun to speak."""
        self.silent: list[tuple[EnvironmentRun, Verdict]] = []
        """Whose test kernel did not, in one domain, and the verdict on that."""
        self.finished = False
        """Whether nothing more is expected of this boot."""
        self._last = 0.0
        self._begin()

    def _begin(self) -> None:
        """The next domain."""
        self._domain = self._waiting.popleft()
        self._tests = self._domain.tests
        self._has_entered = False
        self._running: Test | None = None
        self._started_at = 0.0
        self._console: deque[str] = deque(maxlen=CONSOLE_LINES)
        self._starts: list[
            list[str]
        ] = []  # what the running test has said, by start of the machine
        self._said: list[str] = []
        self.finished = not self._tests and not self._waiting

    @property
    def remaining(self) -> list[_Domain]:
        """The tests without a verdict, by domain."""
        domains = (*self._over, self._domain, *self._waiting)
        return [domain for domain in domains if domain.tests]

    def line(self, line: Line) -> Iterator[tuple[EnvironmentRun, str, Verdict]]:
        """Takes a line; yields the verdicts that come of it."""
        self._console.append(line.text)
        self._last = line.seconds
        if self._wanted and line.source == "hypervisor" and re.search(self._wanted, line.text):
            self._wanted = None
        match ktap.parse(line.text) if line.source == "guest" else None:
            case ktap.Header():
                self._has_entered = True
                self.entered.add(self._domain.run.environment)
                self._said = []
                if self._wanted:
                    reason = f"the hypervisor did not show '{self._wanted}'"
                    yield from self._all_fail(reason)
                    while self._waiting:
                        self._begin()
                        yield from self._all_fail(reason)
                    self.finished = True
            case ktap.Start(name):
                self._running = next((test for test in self._tests if test.name == name), None)
                self._started_at = line.seconds
                self._said = []
                self._starts.append(self._said)
                if len(self._starts) == 1:
                    self._console.clear()
                    self._console.append(line.text)
            case ktap.Finish(name, outcome, message, seconds):
                if self._running is not None and self._running.name == name:
                    yield self._finish(outcome, message, seconds)
            case ktap.End():
                self.finished = not self._waiting  # else the domain powers off, and the next begins
                yield from self._all_fail("the test kernel ended without running it")
            case None if line.source == "guest":
                self._said.append(line.text)

    def ended(self, end: Ended) -> Iterator[tuple[EnvironmentRun, str, Verdict]]:
        """Takes the end of a domain; yields the verdicts that come of it."""
        self._last = end.seconds
        if not self._has_entered:
            reason = f"the test kernel did not start: {_reason(end)}"
            for test in list(self._tests):
                self._running = test
                run, name, verdict = self._finish(_outcome_of(end), reason)
                yield run, name, verdict
                self.silent.append((run, verdict))
        elif self._running is not None and _end_of(self._running) == end.kind:
            wrong = _wrong(self._running, end, self._starts)
            yield self._finish(Outcome.FAIL if wrong else Outcome.PASS, wrong)
        elif self._running is not None and self._running.ends and _outcome_of(end) is Outcome.CRASH:
            expected = _end_of(self._running)
            yield self._finish(Outcome.FAIL, f"expected {expected}, seen: {_reason(end)}")
        elif self._tests:
            during = self._running is not None
            self._running = self._running or self._tests[0]
            when = "" if during else "before the test began: "
            yield self._finish(_outcome_of(end), when + _reason(end))
        if self._waiting:
            self._over.append(self._domain)
            self._begin()
        else:
            self.finished = True

    def _all_fail(self, reason: str) -> Iterator[tuple[EnvironmentRun, str, Verdict]]:
        for test in list(self._tests):
            self._running = test
            yield self._finish(Outcome.FAIL, reason)

    def _finish(
        self, outcome: Outcome, message: str, seconds: float | None = None
    ) -> tuple[EnvironmentRun, str, Verdict]:
        test = self._running
        assert test is not None
        self._running = None
        self._tests.remove(test)
        self._starts.clear()
        spent = self._last - self._started_at if seconds is None else seconds
        verdict = Verdict(outcome, message, max(spent, 0.0), tuple(self._console))
        return self._domain.run, test.name, verdict


def _end_of(test: Test) -> str:
    """The kind of end that a test brings about; empty: none."""
    return "reboot" if test.ends == RESET else test.ends


def _wrong(test: Test, end: Ended, starts: Sequence[Sequence[str]]) -> str:
    """What is wrong with a test that ended its domain in the way it should; empty: nothing.

    ``starts`` are the lines that it printed, by start of the machine.
    """
    if test.ends == RESET:
        if len(starts) < 2:
            return "the machine did not start again"
        for before, after in itertools.pairwise(starts):
            if before != after:
                return f"before the reset it said {before}, and after it {after}"
    seen = iter(end.events)
    if not all(event in seen for event in test.events):  # in this order, others between
        expected, were = " ".join(test.events), ", ".join(end.events) or "nothing"
        return f"expected of the machine: {expected}; seen: {were}"
    return ""


def _outcome_of(end: Ended) -> Outcome:
    return Outcome.TIMEOUT if end.kind == "timeout" else Outcome.CRASH


def _reason(end: Ended) -> str:
    return f"{end.kind}: {end.detail}" if end.detail else end.kind
