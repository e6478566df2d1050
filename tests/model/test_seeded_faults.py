"""Faults put into the model on purpose: each must be noticed by a conformance test.

One fault of every command that the model carries out is tried here; `xenport faults`, as the last
test, tries all there are.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import pytest
from conformance import ENVIRONMENTS

from xenport import port as ports
from xenport.faults.kinds import Fault
from xenport.faults.reasons import reasons
from xenport.faults.survey import Place, faults, places, survey, try_fault
from xenport.suite.boots import BootPool

RELEASES = (None, "4.20", "4.14")  #: a port's own first; the others have commands of their own


@functools.cache
def known(release: str | None) -> dict[Fault, list[Place]]:
    """The faults of all models at a release, or each at its own."""
    models = [port for port in map(ports.load, ports.names()) if port.kind == "model"]
    if release is not None:
        models = [
            ports.load(port.name, release) for port in models if release in port.arch.releases
        ]
    # Guests that a machine hosts are not the model's alone to break.
    return faults(places([port for port in models if port.arch.model]))


def of_command(command: str) -> dict[Fault, list[Place]]:
    """Its faults, at the first of the releases where tests use it."""
    for release in RELEASES:
        found = {
            fault: where for fault, where in known(release).items() if fault.command == command
        }
        if found:
            return found
    raise AssertionError("no test uses it")


def commands() -> list[pytest.ParameterSet]:
    """Every command that abi/ describes for some environment, and that has a handler; slow: those
    of other releases than the ports' own."""
    served = {env: env.commands() for env in ENVIRONMENTS.values()}
    own = {
        name
        for env, names in served.items()
        if env.release == ports.load(f"model-{env.arch}").release
        for name in names
    }
    return [
        pytest.param(name, marks=[] if name in own else [pytest.mark.slow])
        for name in sorted({name for names in served.values() for name in names})
    ]


@pytest.fixture(scope="module")
def pool() -> Iterator[BootPool]:
    made = BootPool()
    yield made
    made.close()


@pytest.mark.parametrize("command", commands())
def test_a_broken_command_is_noticed(command: str, pool: BootPool) -> None:
    """Most telling first: it does nothing, or it is not there; else another errno."""
    mine = of_command(command)
    order = ("idle", "missing", "errno")
    tried = [fault for fault in mine if fault.kind in order and reasons().of(fault) is None]
    worst = min(tried, key=lambda fault: order.index(fault.kind))
    finding = try_fault(worst, mine[worst], pool)
    assert finding.caught is not None, worst.text


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_every_fault_is_noticed_or_has_a_reason() -> None:
    chosen: dict[Fault, list[Place]] = {}
    for release in RELEASES:
        for fault, where in known(release).items():
            chosen.setdefault(fault, []).extend(where)
    findings = survey(chosen, lambda _finding: None)
    missed = [finding.fault for finding in findings if finding.caught is None]
    assert [fault.name for fault in missed if reasons().of(fault) is None] == []
    assert reasons().idle(missed) == []
