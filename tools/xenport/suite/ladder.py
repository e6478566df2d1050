"""The ladder that a port climbs, and how far a run says it is."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from xenport import content, yamlsource
from xenport.port import Outlook
from xenport.suite.results import Outcome, Result, Run


class Rung(yamlsource.Strict):
    """One rung, as ``conformance/ladder.yaml`` describes it."""

    name: str
    title: str
    proves: str
    next: str  # what a porter does when this rung is not complete


class _LadderFile(yamlsource.Strict):
    rungs: tuple[Rung, ...]


@cache
def rungs() -> tuple[Rung, ...]:
    """The rungs from the lowest to the highest."""
    return yamlsource.load(content.folder("conformance") / "ladder.yaml", _LadderFile).rungs


@dataclass(frozen=True)
class Step:
    """What a run found on one rung."""

    rung: Rung
    passed: int
    failed: int
    known: int  # known failures
    skipped: int

    @property
    def measured(self) -> bool:
        """Whether the run had a test on this rung."""
        return bool(self.passed or self.failed or self.known)

    @property
    def complete(self) -> bool:
        """Whether the run had tests on this rung and none failed."""
        return self.measured and not self.failed


@dataclass(frozen=True)
class Climb:
    """How far a port is: its grade and what comes next."""

    port: str
    steps: tuple[Step, ...]  # from the lowest rung up
    outlooks: Mapping[str, Outlook] = field(default_factory=dict)  # of the port, by rung

    @property
    def grade(self) -> Rung | None:
        """The highest measured rung with no failure on it or below; None if the lowest fails."""
        highest = None
        for step in self.steps:
            if step.failed:
                break
            if step.measured:
                highest = step.rung
        return highest

    @property
    def stuck(self) -> Rung | None:
        """The lowest rung with a failure: the next step of the port; None when there is none."""
        return next((step.rung for step in self.steps if step.failed), None)

    @property
    def next(self) -> Rung | None:
        """What to do next: the rung where something fails, or, for a port that says what its
        hypervisor has and lacks for the rungs to come, the first one on which nothing could be
        measured."""
        if self.stuck is not None:
            return self.stuck
        last = max((at for at, step in enumerate(self.steps) if step.measured), default=-1)
        ahead = self.steps[last + 1 :]
        return next((step.rung for step in ahead if step.rung.name in self.outlooks), None)

    @property
    def outlook(self) -> Outlook | None:
        """What the hypervisor has and lacks for the next rung, if the port says it."""
        return self.outlooks.get(self.next.name) if self.next else None


def climb(
    port: str, results: Iterable[Result], outlooks: Mapping[str, Outlook] | None = None
) -> Climb:
    """The ladder of one port over all its environments."""
    own = [result for result in results if result.port == port]
    return Climb(port, tuple(_step(rung, own) for rung in rungs()), outlooks or {})


def climbs(run: Run) -> list[Climb]:
    """The ladder of each port that has results, in the order in which they came."""
    ports = dict.fromkeys(result.port for result in run.results)
    return [climb(port, run.results, run.outlooks.get(port)) for port in ports]


def _step(rung: Rung, results: Sequence[Result]) -> Step:
    here = [result.outcome for result in results if result.rung == rung.name]
    return Step(
        rung,
        passed=here.count(Outcome.PASS),
        failed=sum(outcome.is_failure for outcome in here),
        known=here.count(Outcome.XFAIL),
        skipped=here.count(Outcome.SKIP),
    )
