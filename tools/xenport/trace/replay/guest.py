"""A domain of a trace in the model, and the model's numbers for what it names."""

from __future__ import annotations

from collections.abc import Callable

from xenport.model.cpu.detached import FRAMES
from xenport.model.domain import Domain
from xenport.model.events import Port
from xenport.model.policy import Silo
from xenport.trace.replay.memory import RecordedMemory
from xenport.trace.replay.outcome import Unreplayable

NO_FRAME = 1 << 48
"""Numbers from here on are no frames on any machine: guests write ~0 for none."""

_SPECIAL_DOMAINS = 0x7FF0  # DOMID_FIRST_RESERVED
_NO_PORT = 1 << 30
_PEER = "remote_dom"  # who may use a port
_MOST_PORTS = 4096  # that are made to keep the numbers of a trace


class Guest:
    """A domain of a trace. ``other`` finds the guest of another number, of which it is known
    whether it exists, or not; None if there is none. What ``is_built`` has the vcpus and frames
    that calls of the trace gave it; others have what the trace shows, and frames for whatever it
    names.
    """

    def __init__(
        self, domain: Domain, other: Callable[[int, bool | None], Guest | None], is_built: bool
    ) -> None:
        self.domain = domain
        self.is_built = is_built
        self.target: Guest = self  #: whose frames the present call is about
        self.has_succeeded = True  #: the present call
        self.is_found = True  #: the frames that are named are there
        #: Whether the domain exists that a field or argument of the present call names.
        self.exists: Callable[[str], bool | None] = lambda _field: None
        self.memory = RecordedMemory()
        self.ports: dict[int, int] = {}  #: by the trace's numbers
        self.lost: set[int] = set()  #: ports that came with calls which were not replayed
        self.lost_mappings: set[int] = set()  #: those of grants
        self._frames: dict[int, int] = {}
        self._other = other
        self._self = domain.abi.constant("DOMID_SELF")
        for vcpu in domain.vcpus:
            self.memory.attach(vcpu)
        while not is_built and len(domain.vcpus) < domain.max_vcpus:
            vcpu = domain.add_vcpu()
            self.memory.attach(vcpu)
        if not is_built and domain.vcpus:
            domain.vcpus[0].up()

    def number(
        self, resource: str, field: str, recorded: int, whose: int | None, must_be: bool
    ) -> int:
        """The model's number for one that the guest gives Xen in ``field`` of the call.

        ``whose`` domain's it is if not the guest's own; ``must_be``: the call succeeded, and needs
        it. Raises `Unreplayable`.
        """
        match resource:
            case "port":
                owner = self if whose is None else self.domain_named(whose, field)
                return recorded if owner is None else owner.port(recorded, must_be)
            case "frame":
                return self.target.frame(recorded, self.is_found)
            case "domain":
                self.target = self.domain_named(recorded, field) or self
                return recorded
            case "mapping":
                if recorded in self.lost_mappings:
                    raise Unreplayable("it names a mapping of a grant that was not replayed")
                return recorded
            case _:
                raise Unreplayable(f"it names a {resource} of the guest's, which memory describes")

    def domain_named(self, number: int, field: str) -> Guest | None:
        """The guest with a domid, which ``field`` of the present call has, or says whose it is;
        None if there is none, or it is none that can be asked."""
        if number in (self._self, self.domain.id):
            return self
        if number >= _SPECIAL_DOMAINS:
            return None
        exists = self.exists(field)
        if exists is None and field == _PEER and isinstance(self.domain.hypervisor.policy, Silo):
            exists = self.has_succeeded or None  # this policy wants to know about both
        return self._other(number, exists)

    def port(self, recorded: int, must_be: bool) -> int:
        """The number of one of the guest's ports."""
        if recorded in self.lost:
            made_up = self.domain.events.find(recorded)
            if made_up is not None and made_up.state == "free":
                self.lost.discard(recorded)  # it was closed
            elif not must_be:
                raise Unreplayable("it names a port that came with a call which was not replayed")
        found = self.ports.get(recorded)
        if found is not None:
            return found
        events = self.domain.events
        if must_be and recorded and (not self.domain.is_control or not self.domain.vcpus):
            port = events.port_at(recorded)
            if port is not None:
                self._bind_as_builder(port)
                return recorded
        # The same number, if that is no other port.
        is_other = recorded in self.ports.values()
        if must_be and (is_other or events.find(recorded) is None):
            raise Unreplayable("it names a port that the model did not give")
        return _NO_PORT if is_other else recorded

    def lose(self, resource: str, recorded: int) -> None:
        """The guest has something that came with a call which was not replayed: of its kind nothing
        is known."""
        if resource == "mapping":
            self.lost_mappings.add(recorded)
        elif resource == "port":
            self._lose_port(recorded)

    def _lose_port(self, recorded: int) -> None:
        self.ports.pop(recorded, None)
        port = self.domain.events.port_at(recorded) if recorded <= _MOST_PORTS else None
        if port is not None:
            self._bind_as_builder(port)
        self.lost.add(recorded)

    def make_room(self, recorded: int) -> None:
        """The next port that the guest gets is ``recorded``, if that can be: Xen gives the lowest
        free one, so those below were in use."""
        events = self.domain.events
        if recorded > _MOST_PORTS or events.port_at(recorded) is None:
            return
        for port in events.ports[1:recorded]:
            if port.state == "free":
                self._bind_as_builder(port)

    def _bind_as_builder(self, port: Port) -> None:
        """Whoever built the domain made the port, for the control domain."""
        port.remote_domid = 0
        self.domain.events.bind(port, "unbound")
        self.ports.setdefault(port.number, port.number)

    def frame(self, recorded: int, is_found: bool) -> int:
        """The number of a frame: a page of the model's memory that stands for it, always the same.
        A machine's frames are those of the trace."""
        if self.is_built or not self.domain.cpu_class.translated or recorded >= NO_FRAME:
            return recorded
        found = self._frames.get(recorded)
        if found is None:
            if not is_found:
                return recorded if recorded >= FRAMES else FRAMES + recorded  # nothing is there
            if len(self._frames) == FRAMES:
                raise Unreplayable("it names more frames than there is room for")
            found = self._frames[recorded] = len(self._frames)
        return found
