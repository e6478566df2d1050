"""The real test kernels on the model: all pass, twice the same, and abi/ declares every errno."""

from __future__ import annotations

import pytest
from conformance import ENVIRONMENTS, Environment, run

ALL = list(ENVIRONMENTS.values())


@pytest.mark.parametrize("environment", ALL, ids=lambda environment: environment.name)
def test_every_test_passes_and_no_errno_is_undeclared(environment: Environment) -> None:
    tests = [test for test in environment.tests() if not test.ends]
    result = run(environment, tests)
    assert not result.failed
    assert not result.diagnostics
    assert result.end is not None and result.end.kind == "poweroff"


@pytest.mark.slow  # tests/test_every_port.py has those of the models' own release
@pytest.mark.parametrize("environment", ALL, ids=lambda environment: environment.name)
def test_domains_end_as_they_ask(environment: Environment) -> None:
    """But for machines that start again: these are the port's to drive."""
    for test in environment.tests():
        if test.ends not in (None, "", "reset"):
            assert not run(environment, [test]).failed


@pytest.mark.parametrize("environment", ALL[:5], ids=lambda environment: environment.name)
def test_the_same_run_gives_the_same_bytes(environment: Environment) -> None:
    tests = [test for test in environment.tests() if not test.ends]
    assert run(environment, tests).output == run(environment, tests).output


@pytest.mark.parametrize("environment", ALL, ids=lambda environment: environment.name)
def test_every_handler_is_of_a_command_that_some_architecture_has(environment: Environment) -> None:
    described = {name for other in ALL for name in other.described()}
    assert set(environment.handlers) <= described
