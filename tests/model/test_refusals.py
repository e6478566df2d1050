"""What counts as a test of a refusal (`xenport coverage`) asserts the errno of the refusal.

Each errno of each command is replaced by another on its way to the guest. Every test in which the
command returns it must fail.
"""

from __future__ import annotations

import pytest
from conformance import ENVIRONMENTS, Environment, run

from xenport import architecture
from xenport.suite.recording import Guest, recording

OTHER = "ENOTEMPTY"  #: an errno that no command returns


class Replace:
    """Replaces one result of one command by another."""

    def __init__(self, command: str, actual: int, instead: int) -> None:
        self._command = command
        self._actual = actual
        self._instead = instead

    def begin(self) -> int:
        return 0

    def end(self, command: str, begun: int, result: int) -> int:
        del begun
        wrong = command == self._command and result == self._actual
        return self._instead if wrong else result


def refusals(environment: Environment) -> dict[tuple[str, str], set[str]]:
    """The tests in which each command returns each errno."""
    kind = environment.guest.kind
    provides = tuple(sorted(environment.words - {kind}))
    guest = Guest(environment.arch, environment.release, kind, provides, environment.guest.peer)
    found: dict[tuple[str, str], set[str]] = {}
    recorded = recording(architecture.load(environment.arch), guest)
    assert recorded is not None
    for test, commands in recorded.commands.items():
        for command, results in commands.items():
            for errno in results - {""}:
                found.setdefault((command, errno), set()).add(test)
    return found


@pytest.mark.parametrize("name", ["pv64-dom0", "pvh64-dom0", "arm64-domu", "ppc64-domu"])
def test_refusals_are_asserted(name: str) -> None:
    environment = ENVIRONMENTS[name]
    errno = environment.abi.errno
    unnoticed = []
    tests = {test.name: test for test in environment.tests() if not test.ends}
    assert not run(environment, tests.values(), watch=Replace("none", 0, 0)).failed
    # One function asserts what all generated tests do; those of one hypercall stand for them.
    generated = {
        name
        for name in tests
        if name.startswith("errors_") and not name.startswith("errors_evtchnop_")
    }
    for (command, refusal), names in refusals(environment).items():
        watch = Replace(command, -errno(refusal), -errno(OTHER))
        for name in names & tests.keys() - generated:
            if not run(environment, [tests[name]], until_failure=True, watch=watch).failed:
                unnoticed.append(
                    f"{name} does not notice another errno than {refusal} of {command}"
                )
    assert not unnoticed
