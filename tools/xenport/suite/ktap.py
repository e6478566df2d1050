"""Reads what a test kernel prints: KTAP with a comment line ahead of each test.

The protocol is written down in ``conformance/kernel/README.md``.
"""

import re
from dataclasses import dataclass

from xenport.suite.results import Outcome

_PLAN = re.compile(r"1\.\.(\d+)$")
_START = re.compile(r"# start (\S+)$")
_RESULT = re.compile(r"(?P<not>not )?ok (?P<number>\d+) (?P<name>\S+)(?: # (?P<rest>.*))?$")
_SKIP = re.compile(r"SKIP ?(?P<reason>.*)$")
_TIME = re.compile(r"time=(?P<seconds>\d+\.\d+)$")


@dataclass(frozen=True)
class Header:
    """The kernel is up and about to run tests."""


@dataclass(frozen=True)
class Plan:
    """How many tests this boot is to run."""

    count: int


@dataclass(frozen=True)
class Start:
    """A test begins."""

    name: str


@dataclass(frozen=True)
class Finish:
    """A test ended with a verdict; ``seconds`` is what the guest itself measured, if it did."""

    name: str
    outcome: Outcome
    message: str
    seconds: float | None


@dataclass(frozen=True)
class End:
    """The kernel has run all it was asked to."""


Record = Header | Plan | Start | Finish | End


def parse(line: str) -> Record | None:
    """The record that a console line holds; None for a note or anything else."""
    if line == "KTAP version 1":
        return Header()
    if line == "# end":
        return End()
    if match := _PLAN.match(line):
        return Plan(int(match[1]))
    if match := _START.match(line):
        return Start(match[1])
    if match := _RESULT.match(line):
        return _finish(match)
    return None


def _finish(match: re.Match[str]) -> Finish:
    rest = match["rest"] or ""
    if match["not"]:
        return Finish(match["name"], Outcome.FAIL, rest, None)
    if skip := _SKIP.match(rest):
        return Finish(match["name"], Outcome.SKIP, skip["reason"], None)
    time = _TIME.match(rest)
    return Finish(match["name"], Outcome.PASS, "", float(time["seconds"]) if time else None)
