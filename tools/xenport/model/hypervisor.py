"""The hypervisor: domains, hypercalls, time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from xenport.model import core
from xenport.model.clock import WALL_CLOCK_SECONDS, Clock, VirtualClock
from xenport.model.dispatch import Dispatcher, Runner
from xenport.model.domain import Domain
from xenport.model.errors import XenError
from xenport.model.physical import Physical
from xenport.model.policy import Policy

if TYPE_CHECKING:
    import xenport.abi
    from xenport.architecture import Architecture
    from xenport.model.call import Arguments
    from xenport.model.cpu.base import Cpu
    from xenport.model.handlers import Handler
    from xenport.model.recording import Watch
    from xenport.model.vcpu import Vcpu

    Carrier = Callable[[Vcpu, int, Arguments], int]
    Tap = Callable[[Carrier], Carrier]


class Hypervisor:
    """One machine's hypervisor.

    ``console`` gets what guests write; ``overrides`` replaces handlers by command or hypercall name
    (how the tests of the tests break the model). ``clock`` is a virtual one unless given;
    ``watch`` follows the commands; ``tap`` makes of what carries hypercalls out (`hypercall`) what
    is called in its place.
    """

    def __init__(
        self,
        abi: xenport.abi.Abi,
        architecture: Architecture,
        *,
        console: Callable[[bytes], None],
        overrides: Mapping[str, Handler] | None = None,
        clock: Clock | None = None,
        watch: Watch | None = None,
        tap: Tap | None = None,
        processors: int = 1,
    ) -> None:
        self._watch = watch
        if tap is not None:
            self.hypercall = tap(self.hypercall)  # type: ignore[method-assign,assignment]
        self.abi = abi
        self.architecture = architecture
        self.console = console
        major, minor = abi.release.split(".")
        self.version = int(major) << 16 | int(minor)
        self.clock = clock or VirtualClock()
        self._hypercall_done = self.clock.hypercall
        self.wall_clock = WALL_CLOCK_SECONDS * 1_000_000_000  #: ns since 1970 at system time 0
        self.policy = Policy()
        self.physical = Physical(self, processors)
        self.domains: dict[int, Domain] = {}
        self.virq_handlers: dict[int, Domain] = {}  #: who gets a global VIRQ, if not domain 0
        self.diagnostics: list[str] = []  #: mistakes of the model, and why domains crashed
        self.ended: Callable[[Domain], None] = lambda _domain: None
        self.powered_off: Callable[[], None] = lambda: None
        self.panicked: Callable[[str], None] = lambda _why: None
        #: What happens to the machine, as QEMU says it.
        self.happened: Callable[[str], None] = lambda _name: None
        self._overrides = dict(overrides or {})
        self._enosys = -abi.errno("ENOSYS")
        self._runners: dict[type[Cpu], dict[int, Runner]] = {}

    def add_domain(
        self,
        number: int,
        guest: str,
        cpu_class: type[Cpu],
        *,
        abi: xenport.abi.Abi | None = None,
        is_control: bool,
        is_console: bool = False,
        max_vcpus: int = 1,
        max_port: int | None = None,
    ) -> Domain:
        """A new domain without memory or vcpus; ``abi``: its own, if it is not the machine's."""
        domain = Domain(
            self,
            number,
            guest,
            cpu_class,
            abi=abi or self.abi,
            is_control=is_control,
            is_console=is_console,
            max_vcpus=max_vcpus,
            max_port=max_port,
        )
        self.domains[number] = domain
        return domain

    def runners(self, guest: str, cpu_class: type[Cpu]) -> dict[int, Runner]:
        """The hypercalls of a kind of guest on a kind of CPU, by number."""
        if cpu_class not in self._runners:
            handlers = {**core.HANDLERS, **cpu_class.handlers, **self._overrides}
            checks = {**core.HANDLERS.checks, **cpu_class.handlers.checks}
            masks = core.HANDLERS.command_masks
            declared = core.HANDLERS.declared | cpu_class.handlers.declared
            dispatcher = Dispatcher(self, guest, handlers, checks, masks, declared, self._watch)
            self._runners[cpu_class] = dispatcher.runners
        return self._runners[cpu_class]

    # ---- Hypercalls ----

    def hypercall(self, vcpu: Vcpu, number: int, args: Arguments) -> int:
        """Carry out a hypercall of ``vcpu``; returns its result, negative errno on failure.

        ``args`` are at least as many as the hypercall has.
        """
        runner = vcpu.hypercalls.get(number)
        result = runner(vcpu, args) if runner is not None else self._enosys
        self._hypercall_done()
        return result

    def dispatch(self, vcpu: Vcpu, number: int, args: Arguments) -> int:
        """Like `hypercall`, for one that is part of another."""
        runner = vcpu.hypercalls.get(number)
        return runner(vcpu, args) if runner is not None else self._enosys

    # ---- Domains ----

    def domain(self, number: int) -> Domain:
        """Domain ``number``; XenError ESRCH if there is none."""
        try:
            return self.domains[number]
        except KeyError:
            raise XenError("ESRCH") from None

    def domain_by_id(self, caller: Vcpu, number: int) -> Domain:
        """Like `domain`; DOMID_SELF is the caller's."""
        if number == self.abi.constant("DOMID_SELF"):
            return caller.domain
        return self.domain(number)

    def domain_ended(self, domain: Domain) -> None:
        """``domain`` has shut down: tell the control domain, and whoever runs the machine."""
        self._tell_of(domain)
        self.ended(domain)

    def remove_domain(self, domain: Domain) -> None:
        """``domain`` has been taken apart."""
        del self.domains[domain.id]
        self.virq_handlers = {v: d for v, d in self.virq_handlers.items() if d is not domain}
        self._tell_of(domain)

    def _tell_of(self, domain: Domain) -> None:
        """VIRQ_DOM_EXC for whoever controls ``domain``."""
        handler = self.virq_handlers.get(self.abi.constant("VIRQ_DOM_EXC"), self.domains.get(0))
        if handler is not None and handler is not domain:
            handler.events.raise_global_virq("VIRQ_DOM_EXC")

    def sleep(self) -> None:
        """The control domain sends the machine to sleep, from which it is woken at once."""
        self.happened("SUSPEND")
        self.happened("WAKEUP")

    def power_off(self) -> None:
        """The control domain switches the machine off."""
        self._stop()
        self.powered_off()

    def panic(self, why: str) -> None:
        """Xen gives up, and all domains with it."""
        self.report(f"Xen stopped: {why}")
        self._stop()
        self.panicked(why)

    def _stop(self) -> None:
        for domain in self.domains.values():
            for vcpu in domain.vcpus:
                vcpu.leave()

    # ---- Diagnostics ----

    def report(self, text: str) -> None:
        """Note something that the person who runs the model should know."""
        self.diagnostics.append(text)
