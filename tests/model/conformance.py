"""Conformance tests in this process: a kernel on the model, and what came of each of its tests."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

import xenport.abi
from xenport import architecture, kernel, port as ports
from xenport.model import core
from xenport.model.adapters import cpu_class
from xenport.model.handlers import Handler
from xenport.model.machine import End, Guest, Machine
from xenport.model.recording import Watch
from xenport.suite import plan


@dataclass(frozen=True)
class Environment:
    """A kind of guest of a model port."""

    name: str
    arch: str
    release: str
    guest: Guest
    provides: tuple[str, ...] = ()  # besides what all have
    kernel_args: str = ""

    @property
    def words(self) -> set[str]:
        """What tests may need and find here."""
        words = {self.guest.kind, "observed-end", "slow", *self.provides}
        words |= {f"no-{feature}" for feature in ports.load(f"model-{self.arch}").lacks}
        words.add("dom0" if self.guest.control else "domu")
        if self.guest.peer is not None:
            words.add("peer")
        if self.guest.supervised:
            words.add("supervised")
        return words

    @property
    def abi(self) -> xenport.abi.Abi:
        return xenport.abi.load(self.arch, self.release)

    @functools.cached_property
    def kernel(self) -> kernel.Kernel:
        return self._kernel(self.guest.architecture or self.arch)

    def _kernel(self, arch: str) -> kernel.Kernel:
        return kernel.build(architecture.load(arch), self.release)

    @functools.cached_property
    def image(self) -> bytes:
        return self.kernel.image().read_bytes()

    @functools.cached_property
    def complete_guest(self) -> Guest:
        """With the kernel of the domains beside it, where that is another one."""
        if self.guest.architecture is None:
            return self.guest
        return replace(self.guest, beside=self._kernel(self.arch).image().read_bytes())

    @functools.cached_property
    def handlers(self) -> Mapping[str, Handler]:
        """All handlers that there are here."""
        guest = self.guest
        arch = architecture.load(self.arch)
        adapter = cpu_class(arch, guest.kind, guest.architecture, guest.platform)
        return {**core.HANDLERS, **adapter.handlers}

    def commands(self) -> list[str]:
        """Every command and hypercall without commands that the model serves this guest."""
        return [name for name in self.described() if name in self.handlers]

    def described(self) -> list[str]:
        """Every command and hypercall without commands that abi/ gives this guest."""
        found = []
        for hypercall in self.abi.hypercalls.values():
            if self.guest.kind in hypercall.callers:
                if not hypercall.commands:
                    found.append(hypercall.name)
                found += [
                    command.name
                    for command in hypercall.commands.values()
                    if self.guest.kind in command.callers
                ]
        return found

    def tests(self) -> list[kernel.Test]:
        """The tests that can run here."""
        return plan.applicable(self.kernel.tests, self.words)


def _domu(kind: str, *, platform: str | None = None, architecture: str | None = None) -> Guest:
    """With another domain beside it, which serves and supervises it."""
    return Guest(
        kind,
        control=False,
        peer=0,
        supervised=True,
        platform=platform,
        architecture=architecture,
    )


ENVIRONMENTS = {
    environment.name: environment
    for environment in (
        Environment("pv64-dom0", "x86_64", "4.17", Guest("pv", control=True)),
        Environment("pvh64-dom0", "x86_64", "4.17", Guest("hvm", control=True)),
        Environment("pv64-domu", "x86_64", "4.17", _domu("pv")),
        Environment("pvh64-domu", "x86_64", "4.17", _domu("hvm")),
        Environment("pvh32-domu", "x86_32", "4.17", _domu("hvm"), ("unpaged",)),
        Environment("hvm64-domu", "x86_64", "4.17", _domu("hvm", platform="pc")),
        Environment("hvm32-domu", "x86_32", "4.17", _domu("hvm", platform="pc"), ("unpaged",)),
        Environment(
            "pvh32-dom0",
            "x86_32",
            "4.17",
            Guest("hvm", control=True, vcpus=1),
            kernel_args=" paging=pse",
        ),
        Environment("arm64-dom0", "arm64", "4.17", Guest("arm", control=True), ("smp",)),
        Environment(
            "arm64-domu",
            "arm64",
            "4.17",
            _domu("arm"),
            ("smp",),
        ),
        Environment("arm64-domu32", "arm64", "4.17", _domu("arm", architecture="arm32"), ("smp",)),
        Environment(
            "arm64-dom0-gicv2", "arm64", "4.17", Guest("arm", control=True, platform="gicv2")
        ),
        Environment("arm64-dom0-1vcpu", "arm64", "4.17", Guest("arm", control=True, vcpus=1)),
        Environment("arm32-dom0", "arm32", "4.17", Guest("arm", control=True), ("smp",)),
        Environment(
            "arm32-domu",
            "arm32",
            "4.17",
            _domu("arm"),
            ("smp",),
        ),
        Environment("ppc64-domu", "ppc64", "3.2", Guest("ppc", control=False), ("smp",)),
        Environment("pv64-dom0-4.14", "x86_64", "4.14", Guest("pv", control=True)),
        Environment("pv64-dom0-4.20", "x86_64", "4.20", Guest("pv", control=True)),
        Environment("pvh64-dom0-4.14", "x86_64", "4.14", Guest("hvm", control=True)),
        Environment("pvh64-dom0-4.20", "x86_64", "4.20", Guest("hvm", control=True)),
        Environment("arm64-domu-4.14", "arm64", "4.14", _domu("arm")),
        Environment("arm64-dom0-4.20", "arm64", "4.20", Guest("arm", control=True)),
        Environment("arm64-domu-4.20", "arm64", "4.20", _domu("arm")),
    )
}


class Enough(BaseException):
    """The run need not go on."""


class Hang(BaseException):
    """The guest waits for what cannot happen."""


@dataclass
class Run:
    """What came of a run."""

    output: bytes = b""
    lines: list[str] = field(default_factory=list)
    passed: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    running: str | None = None
    end: End | None = None
    diagnostics: list[str] = field(default_factory=list)


def run(
    environment: Environment,
    tests: Iterable[kernel.Test],
    overrides: Mapping[str, Handler] | None = None,
    *,
    until_failure: bool = False,
    on_start: Callable[[str], None] = lambda _name: None,
    watch: Watch | None = None,
) -> Run:
    """Boot the kernel with these tests. A test that does not pass is in ``failed``."""
    planned = list(tests)
    result = Run()
    rest = b""

    def console(data: bytes) -> None:
        nonlocal rest
        result.output += data
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            _take(result, line.decode("ascii", "replace"), on_start)
        if until_failure and result.failed:
            raise Enough

    machine = Machine(
        environment.abi,
        architecture.load(environment.arch),
        environment.complete_guest,
        environment.image,
        plan.command_line(planned) + _peer(environment.guest) + environment.kernel_args,
        console,
        overrides,
        watch=watch,
    )
    try:
        result.end = machine.run()
    except Enough:
        return result
    except Hang:
        result.failed[result.running or "?"] = "hangs"
        return result
    result.diagnostics = machine.hypervisor.diagnostics
    for test in planned:
        if test.ends:
            if result.end.kind != test.ends:
                result.failed[test.name] = f"ended with {result.end}"
        elif test.name not in result.passed:
            result.failed.setdefault(test.name, f"no verdict, {result.end}")
    return result


def _peer(guest: Guest) -> str:
    return "" if guest.peer is None else f" peer={guest.peer}"


def _take(result: Run, line: str, on_start: Callable[[str], None]) -> None:
    result.lines.append(line)
    words = line.split(" ", 3)
    if line.startswith("# start "):
        result.running = line.removeprefix("# start ")
        on_start(result.running)
    elif words[0] == "ok" and len(words) > 2:
        result.passed.add(words[2])
    elif words[:2] == ["not", "ok"]:
        result.failed[result.running or "?"] = line
