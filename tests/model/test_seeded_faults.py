"""Faults put into the model on purpose: each must be noticed by a conformance test.

One fault of every command that the model carries out is tried here; `xenport faults`, which the
slow test runs, tries all there are.
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

RELEASES = (None, "4.14", "4.20")  #: a port's own first; the others have commands of their own


@functools.cache
def known() -> dict[Fault, list[Place]]:
    found = []
    for name in ports.names():
        port = ports.load(name)
        if port.kind == "model":
            found += [
                ports.load(name, release)
                for release in RELEASES
                if release is None or release in port.arch.releases
            ]
    return faults(places(found))


def commands() -> list[str]:
    """Every command that abi/ describes for some environment, and that has a handler."""
    return sorted({name for env in ENVIRONMENTS.values() for name in env.commands()})


@pytest.fixture(scope="module")
def pool() -> Iterator[BootPool]:
    made = BootPool()
    yield made
    made.close()


@pytest.mark.parametrize("command", commands())
def test_a_broken_command_is_noticed(command: str, pool: BootPool) -> None:
    """Most telling first: it does nothing, or it is not there; else another errno."""
    mine = [fault for fault in known() if fault.command == command]
    assert mine, "no test uses it"
    order = ("idle", "missing", "errno")
    tried = [
        fault
        for fault in sorted(
            (fault for fault in mine if fault.kind in order), key=lambda f: order.index(f.kind)
        )
        if reasons().of(fault) is None
    ]
    assert try_fault(tried[0], known()[tried[0]], pool).caught, tried[0].text


def test_reasons_are_of_faults_that_there_are() -> None:
    assert reasons().idle(known()) == []


@pytest.mark.slow
def test_every_fault_is_noticed_or_has_a_reason() -> None:
    findings = survey(known(), lambda _finding: None)
    missed = [finding.fault for finding in findings if finding.caught is None]
    assert [fault.name for fault in missed if reasons().of(fault) is None] == []
    assert reasons().idle(missed) == []
