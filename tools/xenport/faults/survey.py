"""Which faults of the model the conformance tests notice."""

import functools
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import xenport.abi
from xenport.faults import injection
from xenport.faults.kinds import Fault, faults_of
from xenport.kernel import Kernel, Test
from xenport.model import process
from xenport.port import Limits, Port
from xenport.port.model import ModelDriver
from xenport.suite import plan
from xenport.suite.boots import BOOT_TEST, PROCESSORS, BootPool, EnvironmentRun
from xenport.suite.kernels import own_kernel
from xenport.suite.recording import Guest, Recording, Watch, recordings
from xenport.suite.results import Outcome


@dataclass(frozen=True)
class Place:
    """An environment of a model in which faults can be tried."""

    port: Port
    environment: str
    kernel: Kernel
    recorded: Recording
    driver: ModelDriver

    def users(self, command: str) -> list[Test]:
        """The tests that call ``command``; all that leave the domain alive if only what comes
        before the first test calls it; none if nothing does."""
        tests = [
            test
            for test in self.kernel.tests
            if command in self.recorded.commands.get(test.name, {})
            and self.recorded.outcomes.get(test.name) is Outcome.PASS
        ]
        if tests or command not in self.recorded.commands.get(BOOT_TEST, {}):
            return tests
        provided = {*self.port.environment(self.environment).words, plan.SLOW}
        return [test for test in plan.applicable(self.kernel.tests, provided) if not test.ends]

    def results(self, command: str) -> frozenset[str]:
        """What ``command`` returned in any test: errnos, and the empty text for success."""
        found: frozenset[str] = frozenset()
        return found.union(
            *(commands.get(command, found) for commands in self.recorded.commands.values())
        )

    @property
    def name(self) -> str:
        """As in ``model-arm64/dom0``."""
        return f"{self.port.name}/{self.environment}"


@dataclass(frozen=True)
class Finding:
    """What came of one fault."""

    fault: Fault
    tried: tuple[str, ...]
    """The environments in which tests met it."""
    caught: str | None
    """The first test that noticed, as ``model-arm64/dom0/evtchn_send``."""


def places(chosen: Sequence[Port], watch: Watch | None = None) -> list[Place]:
    """The environments of ``chosen``, which are models; ``watch`` sees recordings come. Raises
    `InputError` as `recordings` does."""
    guests = [
        (port, name, Guest.of(port, environment))
        for port in chosen
        for name, environment in port.environments.items()
    ]
    recorded = recordings((guest for _, _, guest in guests), watch)
    # Before the first fault is tried: see `recordings`.
    drivers = {
        port.name: ModelDriver(port, supervisor=own_kernel(port.architecture, port.release))
        for port in chosen
    }
    return [
        Place(port, name, own_kernel(guest.architecture, guest.release), found, drivers[port.name])
        for port, name, guest in guests
        if (found := recorded[guest]) is not None
    ]


def faults(where: Sequence[Place]) -> dict[Fault, list[Place]]:
    """All faults that tests could notice, in the order of their names, and where each can be."""
    found: dict[Fault, list[Place]] = {}
    for place in where:
        environment = place.port.environment(place.environment)
        arch = place.port.guest_arch(environment)
        abi = xenport.abi.load_for_model(arch.name, place.port.release)
        for hypercall in abi.hypercalls.values():
            for command in hypercall.commands.values() or [None]:
                name = command.name if command else hypercall.name
                for fault in faults_of(hypercall, command, place.results(name)):
                    found.setdefault(fault, []).append(place)
    return dict(sorted(found.items()))


def survey(
    chosen: Mapping[Fault, Sequence[Place]], done: Callable[[Finding], None]
) -> list[Finding]:
    """Tries every fault where it can be until a test notices; calls ``done`` after each."""

    def finding(fault: Fault) -> Finding:
        found = try_fault(fault, chosen[fault], pool)
        done(found)
        return found

    pool = BootPool()
    workers = ThreadPoolExecutor(PROCESSORS)
    try:
        return list(workers.map(finding, chosen))
    finally:
        workers.shutdown(cancel_futures=True)
        pool.close()


def try_fault(fault: Fault, where: Sequence[Place], pool: BootPool) -> Finding:
    """Tries one fault in one environment after the other, until a test notices."""
    tried = []
    for place in where:
        tests = place.users(fault.command)
        if not tests:
            continue
        tried.append(place.name)
        for test in _failures(fault, place, tests, pool):
            return Finding(fault, tuple(tried), f"{place.name}/{test}")
    return Finding(fault, tuple(tried), None)


def _failures(fault: Fault, place: Place, tests: list[Test], pool: BootPool) -> Iterator[str]:
    """The tests that do not pass with ``fault``, as they are judged."""
    main = functools.partial(process.main, functools.partial(injection.boot, fault))
    with tempfile.TemporaryDirectory(prefix="xenport-") as logs:
        run = EnvironmentRun(
            place.driver.with_main(main),
            place.environment,
            place.kernel,
            tests,
            Path(logs),
            Limits(),
        )
        try:
            run.start(pool)
            for test in tests:
                if run.verdict(test.name).outcome is not Outcome.PASS:
                    yield test.name
        finally:
            run.close()
