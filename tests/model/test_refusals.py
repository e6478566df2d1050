"""What counts as a test of a refusal (`xenport coverage`) asserts the errno of the refusal.

Each errno of each command is replaced by another on its way to the guest. Every test in which the
command returns it must fail.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from conformance import ENVIRONMENTS, Environment, run

from xenport.kernel import Test
from xenport.suite.recording import Guest, recording

OTHER = "ENOTEMPTY"  #: an errno that no command returns


class Replace:
    """Replaces one result of one command by another, in each test the one that is chosen for it."""

    def __init__(self, chosen: Mapping[str, tuple[str, int]], instead: int) -> None:
        self._chosen = chosen
        self._instead = instead
        self._running = ""

    def start(self, test: str) -> None:
        """``test`` runs from here."""
        self._running = test

    def begin(self) -> int:
        return 0

    def end(self, command: str, begun: int, result: int) -> int:
        del begun
        wrong = self._chosen.get(self._running) == (command, result)
        return self._instead if wrong else result


def refusals(environment: Environment) -> dict[str, list[tuple[str, str]]]:
    """The commands that return an errno in each test, and that errno."""
    kind = environment.guest.kind
    provides = tuple(sorted(environment.words - {kind}))
    guest = Guest(environment.arch, environment.release, kind, provides, environment.guest.peer)
    recorded = recording(guest)
    assert recorded is not None
    return {
        test: [
            (command, errno) for command, results in commands.items() for errno in results - {""}
        ]
        for test, commands in recorded.commands.items()
    }


def failures(
    environment: Environment, tests: Sequence[Test], chosen: Mapping[str, tuple[str, str]]
) -> dict[str, str]:
    """The tests that fail with their chosen refusals replaced, and what they say."""
    errno = environment.abi.errno
    results = {test: (command, -errno(name)) for test, (command, name) in chosen.items()}
    watch = Replace(results, -errno(OTHER))
    return run(environment, tests, watch=watch, on_start=watch.start).failed


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("pv64-dom0", marks=pytest.mark.slow),
        pytest.param("pvh64-dom0", marks=pytest.mark.slow),
        pytest.param("arm64-domu", marks=pytest.mark.slow),
        "ppc64-domu",
    ],
)
def test_refusals_are_asserted(name: str) -> None:
    """Many tests share a boot, each with one refusal replaced. One that fails without showing the
    replacement may do so for what another left behind: it is tried alone."""
    environment = ENVIRONMENTS[name]
    tests = {test.name: test for test in environment.tests() if not test.ends}
    assert not failures(environment, [*tests.values()], {})
    # One function asserts what all generated tests do; those of one hypercall stand for them.
    left = {
        test: pairs
        for test, pairs in refusals(environment).items()
        if test in tests and (not test.startswith("errors_") or test.startswith("errors_evtchnop_"))
    }
    unnoticed = []
    while left := {test: pairs for test, pairs in left.items() if pairs}:
        chosen = {test: pairs.pop() for test, pairs in left.items()}
        failed = failures(environment, [tests[test] for test in chosen], chosen)
        unnoticed += [
            f"{test} does not notice another errno than {errno} of {command}"
            for test, (command, errno) in chosen.items()
            if OTHER not in failed.get(test, "")
            and not failures(environment, [tests[test]], {test: (command, errno)})
        ]
    assert not unnoticed
