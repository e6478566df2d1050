"""Which commands of the ABI the tests reach, in which environments, and with what outcome.

The commands come from the description of the ABI, the tests that call them from a run on the model
(`recording`); nothing here is written down by hand but some reasons (`no_success`). A test is
*positive* for a command that succeeds in it, and *negative* for one that is refused in it; it may
be both.
"""

import functools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import xenport.abi
from xenport import negatives
from xenport.port import Port
from xenport.suite import no_success, plan
from xenport.suite.outcomes import ByTest
from xenport.suite.recording import Guest, Recording, Watch, recordings
from xenport.suite.results import Outcome

Place = tuple[str, str]  # port, environment
Outcomes = Callable[[Port, str], ByTest]
"""The outcomes that are known of an environment of a port."""

SCHEMA = 1  # raised when a key of the data changes its meaning or goes
NOT_RUN = "not run"
NOT_HERE = "not run here"  # an environment with some of another one's tests

LEGEND = (
    "+ tests in which the command succeeds, - tests in which it is refused; then how these tests "
    "ended last, or why there are none"
)


@dataclass(frozen=True)
class Cell:
    """One command in one environment."""

    is_callable: bool
    """The guest of the environment has the command."""
    reason: str
    """Why no test reaches the command here, or sees it succeed; empty if one does, and if nobody
    knows."""
    positive: tuple[str, ...] = ()
    negative: Mapping[str, tuple[str, ...]] | None = None
    """The errnos, by test."""
    outcomes: Mapping[str, Outcome] | None = None
    """The last ones, by test; those that were never run are not there."""
    unrefused: str = ""
    """Why no test sees a command refused that the guest can call; empty if one does."""

    @property
    def tests(self) -> tuple[str, ...]:
        """All tests, in no special order."""
        return tuple(dict.fromkeys([*self.positive, *(self.negative or {})]))

    @property
    def outcome(self) -> str:
        """What all tests ended with, or what those did that did not pass: ``pass``, ``2 fail``."""
        ends = Counter(str((self.outcomes or {}).get(test, NOT_RUN)) for test in self.tests)
        if len(ends) < 2:
            return "".join(ends)
        return ", ".join(f"{ends[end]} {end}" for end in sorted(ends) if end != Outcome.PASS)

    @property
    def text(self) -> str:
        """The cell of a table: ``+3 -2 pass``, and why no test sees a success or a refusal."""
        if not self.tests:
            return self.reason
        outcome = f"({self.outcome})" if self.outcome[0].isdigit() else self.outcome
        counts = f"+{len(self.positive)} -{len(self.negative or {})} {outcome}"
        why = {"no +": self.reason, "no -": self.unrefused}
        return "; ".join([counts, *(f"{what}: {text}" for what, text in why.items() if text)])


@dataclass(frozen=True)
class Row:
    """One command, or a hypercall without commands (``command`` is its name)."""

    hypercall: str
    command: str
    cells: Mapping[Place, Cell]

    @property
    def is_reached(self) -> bool:
        """Whether a test calls it in one of the environments."""
        return any(cell.tests for cell in self.cells.values())

    @property
    def tests(self) -> list[str]:
        """All tests that call it in one of the environments."""
        return sorted({test for cell in self.cells.values() for test in cell.tests})

    @property
    def reasons(self) -> list[str]:
        """Why it is not reached; each reason once."""
        return list(dict.fromkeys(cell.reason for cell in self.cells.values() if cell.reason))


@dataclass(frozen=True)
class Coverage:
    """The whole table."""

    places: tuple[Place, ...]
    rows: tuple[Row, ...]

    @cached_property
    def unreached(self) -> list[Row]:
        """The commands that no test calls in any of the environments."""
        return [row for row in self.rows if not row.is_reached]

    def counts(self, place: Place) -> dict[str, int]:
        """How many commands a guest has there, and of these how many have a positive test, a
        negative one, and none at all."""
        cells = [row.cells[place] for row in self.rows if row.cells[place].is_callable]
        return {
            "callable": len(cells),
            "positive": sum(bool(cell.positive) for cell in cells),
            "negative": sum(bool(cell.negative) for cell in cells),
            "none": sum(not cell.tests for cell in cells),
        }


def coverage(ports: Sequence[Port], outcomes: Outcomes, watch: Watch | None = None) -> Coverage:
    """The table of all environments of ``ports``; ``watch`` sees recordings come.

    Raises `InputError` if a kernel cannot be built, or if the model cannot run it to the end.
    """
    places = [
        (port, name, Guest.of(port, environment))
        for port in ports
        if not port.is_bare
        for name, environment in port.environments.items()
    ]
    recorded = recordings((guest for _, _, guest in places), watch)
    columns = [
        _Column(port, name, guest, recorded[guest], outcomes(port, name))
        for port, name, guest in places
    ]
    numbers: dict[tuple[str, str], tuple[int, int]] = {}
    for column in columns:
        for name, number in column.numbers.items():
            numbers.setdefault(name, number)
    return Coverage(
        tuple(column.place for column in columns),
        tuple(
            Row(
                hypercall,
                command,
                {column.place: column.cell(hypercall, command) for column in columns},
            )
            for hypercall, command in sorted(numbers, key=lambda name: numbers[name])
        ),
    )


class _Column:
    """One environment of a port. On the model the recording is the latest run that there can be."""

    def __init__(
        self, port: Port, name: str, guest: Guest, recorded: Recording | None, outcomes: ByTest
    ) -> None:
        self.place = (port.name, name)
        self._guest = guest
        load = xenport.abi.load_for_model if port.is_model else xenport.abi.load
        self._abi = load(guest.architecture, guest.release)
        self._recording = recorded
        self._outcomes = self._recorded.outcomes if port.kind == "model" else outcomes
        self._patterns = port.environments[name].tests
        self._words = port.environments[name].words

    @property
    def numbers(self) -> dict[tuple[str, str], tuple[int, int]]:
        """The names of hypercall and command that the ABI has, with their numbers."""
        return {
            (hypercall.name, name): (hypercall.number, number)
            for hypercall in self._abi.hypercalls.values()
            for name, number in (
                [(command.name, command.number) for command in hypercall.commands.values()]
                or [(hypercall.name, 0)]
            )
        }

    @cached_property
    def _calls(self) -> Mapping[str, Mapping[str, frozenset[str]]]:
        """By command and test, what it returned."""
        found: dict[str, dict[str, frozenset[str]]] = {}
        for test, commands in self._recorded.commands.items():
            if not plan.is_named(test, self._patterns):
                continue
            for command, results in commands.items():
                found.setdefault(command, {})[test] = results
        return found

    @property
    def _recorded(self) -> Recording:
        return self._recording or Recording({}, {})

    def cell(self, hypercall: str, command: str) -> Cell:
        """What is known of a command here."""
        described = self._abi.hypercalls.get(hypercall)
        thing: Any = described
        if described is not None and described.commands:
            thing = described.commands.get(command)
        if thing is None:
            abi = f"{self._abi.architecture.name} {self._abi.release}"
            return Cell(is_callable=False, reason=f"not in the ABI of {abi}")
        is_callable = self._guest.kind in thing.callers
        calls = self._calls.get(command, {})
        positive = tuple(sorted(test for test, results in calls.items() if "" in results))
        return Cell(
            is_callable,
            self._reason(thing, is_callable, bool(calls), bool(positive)),
            positive,
            {
                test: tuple(sorted(results - {""}))
                for test, results in sorted(calls.items())
                if results - {""}
            },
            {test: self._outcomes[test] for test in calls if test in self._outcomes},
            self._unrefused(hypercall, command)
            if is_callable and not any(results - {""} for results in calls.values())
            else "",
        )

    def _elsewhere(self, command: str) -> set[str]:
        """What ``command`` returns in tests, those that the environment leaves out among them."""
        return {
            result
            for calls in self._recorded.commands.values()
            for result in calls.get(command, ())
        }

    @property
    def _situation(self) -> negatives.Situation:
        return negatives.Situation(self._guest.kind, self._guest.is_control)

    def _unrefused(self, hypercall: str, command: str) -> str:
        if self._patterns and self._elsewhere(command) - {""}:
            return NOT_HERE
        why = _plan(self._abi).why_none(command, self._situation, self._guest.provides)
        args = self._abi.hypercalls[hypercall].args
        if not why and any(arg.role == "argument" and arg.count for arg in args):
            return "only the whole array is refused"  # before Xen looks at the commands in it
        return why

    def _reason(self, thing: Any, is_callable: bool, is_called: bool, succeeds: bool) -> str:
        if not is_callable:
            return f"not callable by {self._guest.kind} guests"
        if is_called:
            if succeeds:
                return ""
            if thing.privilege == "control" and not self._guest.is_control:
                return "only the control domain may"
            if self._patterns and "" in self._elsewhere(thing.name):
                return NOT_HERE
            return negatives.why_always(
                self._abi, thing, self._situation, self._guest.provides
            ) or no_success.why(thing.name, self._words)
        if self._recording is None:
            return f"the model does not run {self._guest.architecture}"
        if self._patterns:
            return NOT_HERE
        return "no test"


@functools.cache
def _plan(abi: xenport.abi.Abi) -> negatives.Plan:
    return negatives.plan(abi)


def as_data(table: Coverage) -> dict[str, Any]:
    """The table for programs; ``conformance/report.md`` documents the keys."""
    return {
        "schema": SCHEMA,
        "environments": [
            {"port": port, "environment": environment, **table.counts((port, environment))}
            for port, environment in table.places
        ],
        "commands": [
            {
                "hypercall": row.hypercall,
                "command": row.command,
                "reached": row.is_reached,
                "cells": [_cell_data(place, cell) for place, cell in row.cells.items()],
            }
            for row in table.rows
        ],
    }


def _cell_data(place: Place, cell: Cell) -> dict[str, Any]:
    return {
        "port": place[0],
        "environment": place[1],
        "callable": cell.is_callable,
        "reason": cell.reason or None,
        "no_negative": cell.unrefused or None,
        "positive": list(cell.positive),
        "negative": {test: list(errnos) for test, errnos in (cell.negative or {}).items()},
        "outcomes": {
            test: str((cell.outcomes or {}).get(test, NOT_RUN)) for test in sorted(cell.tests)
        },
    }


def by_hypercall(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """The rows of each hypercall."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.hypercall, []).append(row)
    return found
