"""What a conformance run yields: one result per test and environment, and the run as a whole."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from xenport.port import Outlook


class Outcome(StrEnum):
    """The verdict on one test in one environment."""

    PASS = "pass"
    FAIL = "fail"  # a check of the test failed, or a guest fault ended it
    SKIP = "skip"  # the test found that it cannot be decided here, and says why
    CRASH = "crash"  # the domain or the machine ended while the test ran
    TIMEOUT = "timeout"  # neither a verdict nor an end within the limits
    XFAIL = "xfail"  # failed, and the port lists it as known, with the reason

    @property
    def is_failure(self) -> bool:
        """Whether the outcome counts against the port."""
        return self in (Outcome.FAIL, Outcome.CRASH, Outcome.TIMEOUT)


@dataclass(frozen=True)
class Verdict:
    """The outcome of a test as its boot showed it, before known failures are taken into account."""

    outcome: Outcome
    message: str = ""
    seconds: float = 0.0
    console: tuple[str, ...] = ()  # console lines while the test ran, hypervisor's included


@dataclass(frozen=True)
class Result:
    """One line of the report."""

    port: str
    release: str
    environment: str
    test: str
    title: str
    rung: str
    outcome: Outcome
    seconds: float
    message: str
    console: tuple[str, ...] = ()


@dataclass(frozen=True)
class Difference:
    """A test that came out in one way on a port and in another on the port it is compared with."""

    environment: str
    test: str
    port: str
    compared_with: str
    what: str  # one line for a person


@dataclass
class Run:
    """A whole run: its results in the order in which they came, and the boots' raw consoles."""

    started: str  # UTC, ISO 8601
    results: list[Result] = field(default_factory=list)
    seconds: float = 0.0
    differences: list[Difference] = field(default_factory=list)
    outlooks: Mapping[str, Mapping[str, Outlook]] = field(default_factory=dict)  # port, rung

    def count(self, outcome: Outcome) -> int:
        """How many results have ``outcome``."""
        return sum(result.outcome is outcome for result in self.results)

    @property
    def failures(self) -> Sequence[Result]:
        """The results that count against a port."""
        return [result for result in self.results if result.outcome.is_failure]
