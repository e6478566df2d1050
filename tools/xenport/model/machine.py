"""A machine: the model with the domains of one environment, run to its end.

machine = Machine(abi, architecture, Guest("pv", control=True), image, "tests=0-3", print)
end = machine.run()        # End("poweroff", "")
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from xenport.model import runstate
from xenport.model.adapters import cpu_class
from xenport.model.hypervisor import Hypervisor
from xenport.model.policy import Silo

if TYPE_CHECKING:
    import xenport.abi
    from xenport.architecture import Architecture
    from xenport.model.clock import Clock
    from xenport.model.cpu.base import Cpu
    from xenport.model.domain import Domain
    from xenport.model.handlers import Handler
    from xenport.model.hypervisor import Tap
    from xenport.model.recording import Watch
    from xenport.model.vcpu import Vcpu

#: How domains that are not the control domain are limited, as a tool stack does it.
DOMU_MAX_PORT = 1023

VCPUS = 2  #: of the domain under test, unless it is said


@dataclass(frozen=True)
class End:
    """How a run ended: poweroff, reboot, suspend, crash, watchdog, soft_reset, unknown, or hang."""

    kind: str
    detail: str = ""


@dataclass(frozen=True)
class Guest:
    """The domain under test: its kind, and whether it is the control domain, number 0. If not, it
    is domain 1, and a domain 0 without vcpus exists beside it.

    ``peer`` is the number of another domain, which runs the same kernel and serves the domain under
    test; None: there is none. ``supervised``: domain 0 runs the kernel too, as its supervisor. If
    the domain is of another ``architecture`` than Xen, these have a kernel of their own, whose
    image is ``beside``. ``platform`` is what it finds around its processor, where that is not the
    usual. All ``vcpus`` but the first are offline at first.
    """

    kind: str
    control: bool
    peer: int | None = None
    supervised: bool = False
    vcpus: int = VCPUS
    platform: str | None = None
    architecture: str | None = None
    beside: bytes | None = None


SLICE_NS = 1_000_000  #: how long a vcpu runs before others of the domain get their turn


class Host(Protocol):
    """Processors that are not Unicorn's."""

    clock: Clock  #: their time

    def cpu_class(self, architecture: Architecture, guest: str) -> type[Cpu]:
        """The adapter for a kind of guest. Raises InputError for one that they do not run."""
        ...


class Machine:
    """One run of one kernel, on Unicorn unless a ``host`` is given. ``console`` gets the bytes that
    the domain prints, ``watch`` follows the commands of the domain under test, and ``tap`` is that
    of the `Hypervisor`, as ``processors`` are."""

    def __init__(
        self,
        abi: xenport.abi.Abi,
        architecture: Architecture,
        guest: Guest,
        image: bytes,
        command_line: str,
        console: Callable[[bytes], None],
        overrides: Mapping[str, Handler] | None = None,
        host: Host | None = None,
        watch: Watch | None = None,
        tap: Tap | None = None,
        processors: int = 1,
    ) -> None:
        if host:
            adapter = host.cpu_class(architecture, guest.kind)
        else:
            adapter = cpu_class(architecture, guest.kind, guest.architecture, guest.platform)
        self.hypervisor = Hypervisor(
            abi,
            architecture,
            console=console,
            overrides=overrides,
            clock=host.clock if host else None,
            watch=watch,
            tap=tap,
            processors=processors,
        )
        self.hypervisor.ended = self._domain_ended
        self.hypervisor.powered_off = self._powered_off
        self.hypervisor.panicked = self._panicked
        if adapter.silo:
            self.hypervisor.policy = Silo()
        self._clock = self.hypervisor.clock
        self._slice = self._clock.timer(self._slice_over)
        self._running: Vcpu | None = None
        self._end: End | None = None
        self.domain = self._build(adapter, guest, image, command_line)

    def _build(self, adapter: type[Cpu], guest: Guest, image: bytes, command_line: str) -> Domain:
        beside = {} if guest.peer is None else {guest.peer: "serve=1"}
        if guest.supervised:
            beside[0] = " ".join(["supervise=1", *beside.values()])
        others = adapter.beside or adapter
        if not guest.control and 0 not in beside:
            self._add(others, guest, 0, vcpus=0)
        number = 0 if guest.control else 1
        is_console = not guest.control and not adapter.built_by_tools
        domain = self._add(adapter, guest, number, vcpus=guest.vcpus, is_console=is_console)
        domain.is_watched = True
        adapter.build_domain(domain, image, command_line)
        for other, words in beside.items():
            made = self._add(others, guest, other, vcpus=1)
            others.build_domain(made, guest.beside or image, words)
        self._supervised = guest.supervised
        return domain

    def _add(
        self,
        adapter: type[Cpu],
        guest: Guest,
        number: int,
        *,
        vcpus: int,
        is_console: bool = False,
    ) -> Domain:
        control = number == 0
        return self.hypervisor.add_domain(
            number,
            guest.kind,
            adapter,
            is_control=control,
            is_console=is_console,
            max_vcpus=vcpus,
            max_port=None if control else DOMU_MAX_PORT,
        )

    def run(self) -> End:
        """Run until the domain under test has ended."""
        vcpus = self._vcpus()
        turn = 0
        while self._end is None:
            ready = [vcpu for vcpu in vcpus if vcpu.is_runnable]
            if ready:
                turn += 1
                self._run(ready[turn % len(ready)])
                continue
            self._account(None)
            self._slice.cancel()
            if not self._clock.jump():
                return End("hang", "every vcpu waits, and no timer is set")
        return self._end

    def _vcpus(self) -> list[Vcpu]:
        return [vcpu for domain in self.hypervisor.domains.values() for vcpu in domain.vcpus]

    def _account(self, running: Vcpu | None) -> None:
        """Note who runs from now on, and what the others do."""
        for vcpu in self._vcpus():
            vcpu.set_runstate(self._state_of(vcpu, running))

    def _run(self, vcpu: Vcpu) -> None:
        self._account(vcpu)
        self._running = vcpu
        self._slice.set(self._clock.now + SLICE_NS)
        cpu = vcpu.cpu
        vcpu.attention = False
        cpu.time_changed()
        if cpu.event_deliverable():
            cpu.deliver_event()
        cpu.run()
        if vcpu.domain.console_ring is not None:
            vcpu.domain.console_ring.drain()

    def _slice_over(self) -> None:
        if self._running is not None:
            self._running.leave()

    @staticmethod
    def _state_of(vcpu: Vcpu, running: Vcpu | None) -> int:
        if vcpu is running:
            return runstate.RUNNING
        if vcpu.is_down:
            return runstate.OFFLINE
        return runstate.BLOCKED if vcpu.is_blocked else runstate.RUNNABLE

    def _powered_off(self) -> None:
        self._end = End("poweroff")

    def _panicked(self, why: str) -> None:
        self._end = End("crash", f"Xen stopped: {why}")

    def _domain_ended(self, domain: Domain) -> None:
        if domain is not self.domain:
            if domain.is_control and self._supervised:
                self._end = self._end_of(self.domain)
            return
        if not self._supervised:
            self._end = self._end_of(domain)

    def _end_of(self, domain: Domain) -> End:
        code = domain.shutdown_code or 0
        names = {
            constant.value: name.removeprefix("SHUTDOWN_")
            for name, constant in domain.abi.constants.items()
            if constant.group == "SHUTDOWN" and name != "SHUTDOWN_MAX"
        }
        kind = names.get(code, "unknown")
        detail = f"shutdown code {code}" if kind == "unknown" else ""
        if kind == "crash" and self.hypervisor.diagnostics:
            detail = self.hypervisor.diagnostics[-1]
        elif domain.is_control and kind not in ("poweroff", "crash", "watchdog"):
            # Xen restarts the machine for whatever else its first domain ends with.
            kind, detail = "reboot", f"the control domain ended: {kind}"
        return End(kind, detail)
