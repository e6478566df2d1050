"""Event channels: the ports of a domain and what happens to them.

A port is a number in ``Domain.events``. What becomes of a pending port in guest memory is up to the
ABI in use: two-level bitmaps (`two_level`) or queues (`fifo`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from xenport.model.errors import XenError
from xenport.model.two_level import TwoLevel

if TYPE_CHECKING:
    from xenport.model.domain import Domain
    from xenport.model.vcpu import Vcpu

State = Literal["free", "reserved", "unbound", "interdomain", "pirq", "virq", "ipi"]

#: Ports come into being in groups of this size. A port that was never made is no port at all, one
#: of the last group is closed.
GROUP = 64

#: VIRQs that each vcpu binds on its own; all others are the domain's.
VCPU_VIRQS = ("VIRQ_TIMER", "VIRQ_DEBUG", "VIRQ_XENOPROF", "VIRQ_XENPMU")


@dataclass(slots=True, eq=False)
class Port:
    """One event channel, seen from one of its ends."""

    number: int
    state: State = "free"
    vcpu_id: int = 0  #: who is told
    remote_domid: int = 0  #: unbound
    remote_domain: Domain | None = None  #: interdomain
    remote_port: int = 0  #: interdomain
    virq: int = 0
    pirq: int = 0
    priority: int = 0  #: FIFO only
    is_pending: bool = False  #: FIFO only: raised while there was no event word
    is_xens: bool = False  #: Xen itself waits at this end

    @property
    def is_usable(self) -> bool:
        """Is it bound to something?"""
        return self.state not in ("free", "reserved")


class Delivery(Protocol):
    """An event channel ABI: how ports look in guest memory."""

    @property
    def max_ports(self) -> int:
        """How many ports it can have."""
        ...

    def bound(self, port: Port) -> None:
        """``port`` has just been bound."""
        ...

    def set_pending(self, vcpu: Vcpu, port: Port) -> None:
        """Raise the event."""
        ...

    def clear_pending(self, port: Port) -> None:
        """Forget the event."""
        ...

    def unmask(self, port: Port) -> None:
        """Unmask; raise again what is pending."""
        ...

    def is_pending(self, port: Port) -> bool:
        """Is the event pending?"""
        ...


class EventChannels:
    """The ports of ``domain``."""

    def __init__(self, domain: Domain) -> None:
        self._domain = domain
        abi = domain.abi
        self._vcpu_virqs = {abi.constant(n) for n in VCPU_VIRQS if n in abi.constants}
        self._timer_virq = abi.constant("VIRQ_TIMER")
        self.ports: list[Port] = []
        self.delivery: Delivery = TwoLevel(domain)
        self._allocate(0).state = "reserved"

    # ---- Ports ----

    def find(self, number: int) -> Port | None:
        """Port ``number`` if it exists; a free port does once any of its group was in use."""
        return self.ports[number] if 0 <= number < len(self.ports) else None

    def existing(self, number: int) -> Port:
        """Port ``number``; XenError EINVAL if there is none."""
        port = self.find(number)
        if port is None:
            raise XenError("EINVAL")
        return port

    def free_port(self) -> Port:
        """The lowest free port, still free. XenError ENOSPC: all are in use."""
        limit = min(self._domain.max_port + 1, self.delivery.max_ports)
        for port in self.ports:
            if port.state == "free" and port.number < limit:
                return port
        if len(self.ports) >= limit:
            raise XenError("ENOSPC")
        return self._allocate(len(self.ports))

    def port_at(self, number: int) -> Port | None:
        """Port ``number``, still free, for who wants this one; None if it is in use or no number
        that the domain can have."""
        if not 0 <= number < min(self._domain.max_port + 1, self.delivery.max_ports):
            return None
        while len(self.ports) <= number:
            self._allocate(len(self.ports))
        port = self.ports[number]
        return port if port.state == "free" else None

    def _allocate(self, number: int) -> Port:
        self.ports.extend(Port(number + i) for i in range(GROUP))
        return self.ports[number]

    def bind(self, port: Port, state: State, vcpu_id: int = 0) -> None:
        """A free port is ``state`` from now on."""
        port.state = state
        port.vcpu_id = vcpu_id
        self.delivery.bound(port)

    def close(self, port: Port) -> None:
        """Free a port, whatever it is bound to; the other end of a connection becomes unbound.
        XenError EINVAL: it is free, or Xen's own."""
        if not port.is_usable:
            raise XenError("EINVAL")
        if port.state == "interdomain":
            assert port.remote_domain is not None
            remote = port.remote_domain.events.existing(port.remote_port)
            remote.state = "unbound"
            remote.remote_domain = None
            remote.remote_domid = self._domain.id
        elif port.state == "virq":
            vcpus = self._domain.vcpus
            owner = vcpus[0] if self.is_global(port.virq) else vcpus[port.vcpu_id]
            del owner.virq_ports[port.virq]
        elif port.state == "pirq":
            self._domain.vcpus[0].cpu.unbind_pirq(port.pirq)
        self.delivery.clear_pending(port)
        port.state = "free"
        port.vcpu_id = 0
        port.remote_domain = None
        port.is_xens = False

    def reset(self) -> None:
        """Close everything and go back to the two-level ABI."""
        for port in self.ports:
            if port.is_usable:
                self.close(port)
        if not isinstance(self.delivery, TwoLevel):
            for vcpu in self._domain.vcpus:
                vcpu.fifo_control = None
            self.delivery = TwoLevel(self._domain)

    # ---- Events ----

    def raise_port(self, port: Port) -> None:
        """The event of ``port`` happens."""
        self.delivery.set_pending(self._domain.vcpus[port.vcpu_id], port)

    def send(self, number: int) -> None:
        """Raise the event at the other end of a port. XenError EINVAL."""
        port = self.existing(number)
        if port.state == "interdomain":
            assert port.remote_domain is not None
            remote = port.remote_domain.events
            remote.raise_port(remote.existing(port.remote_port))
        elif port.state == "ipi":
            self.raise_port(port)
        elif port.state != "unbound":  # nobody hears it there
            raise XenError("EINVAL")

    def is_global(self, virq: int) -> bool:
        """Does the VIRQ belong to the domain, not to each vcpu?"""
        return virq not in self._vcpu_virqs

    def raise_virq(self, vcpu: Vcpu, virq: int) -> None:
        """A VIRQ happens; ignored when it is not bound."""
        number = vcpu.virq_ports.get(virq)
        if number is not None:
            self.raise_port(self.ports[number])

    def raise_timer(self, vcpu: Vcpu) -> None:
        """A timer of ``vcpu`` has run out: VIRQ_TIMER, unless the processor has its own way."""
        if not vcpu.cpu.timer_interrupt():
            self.raise_virq(vcpu, self._timer_virq)

    def raise_global_virq(self, name: str) -> None:
        """The domain's VIRQ ``name`` happens."""
        if self._domain.vcpus:
            self.raise_virq(self._domain.vcpus[0], self._domain.abi.constant(name))

    def wake_pollers(self, number: int) -> None:
        """An event became pending: end the polls that wait for it."""
        for vcpu in self._domain.vcpus:
            if vcpu.poll_port is not None and vcpu.poll_port in (0, number):
                vcpu.wake()
