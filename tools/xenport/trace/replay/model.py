"""Asks the reference model what a trace says that a hypervisor was asked, and compares the answers.

What can be asked needs no processor and no memory but what was recorded. A port that the trace
gets from the hypervisor is another one in the model, and takes its place from there on; a frame
becomes a page that is empty at first. A port that nobody gave to the guest it had from the start:
whoever built the domain made it for the control domain.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import xenport.abi
from xenport import architecture
from xenport.abi import Abi, Hypercall
from xenport.abi.schema import Direction
from xenport.errors import InputError
from xenport.model.cpu.detached import Detached, detached
from xenport.model.dispatch import NO_HANDLER
from xenport.model.errors import NeedsGuest
from xenport.model.hypervisor import Hypervisor
from xenport.model.machine import DOMU_MAX_PORT
from xenport.model.policy import Silo
from xenport.trace.decode import Decoder
from xenport.trace.reach import LARGEST, Reach, Reached
from xenport.trace.record import Buffer, CallKind, Metadata, Record
from xenport.trace.replay.compare import Comparison
from xenport.trace.replay.existence import Existence
from xenport.trace.replay.guest import Guest
from xenport.trace.replay.inner import inner_calls
from xenport.trace.replay.joined import joined
from xenport.trace.replay.outcome import EQUAL, Outcome, Unreplayable
from xenport.trace.replay.plan import (
    BUILT,
    MULTICALL,
    Number,
    Plan,
    Plans,
    frames_found,
)

if TYPE_CHECKING:
    from xenport.architecture import Architecture
    from xenport.model.call import Arguments
    from xenport.model.domain import Domain
    from xenport.model.vcpu import Vcpu

_Plans = tuple[int | None, int, dict[int, Plan], Plan]
"""Index and mask of the argument that is the command, the plans by command, and that of others."""
_NO_BUFFER = Buffer("", 0, None, None)
_MOST_VCPUS = 512
_MOST_BOOTS = 4  # that are kept
_LIMITED = "EVTCHNOP_expand_array"  # where it exists, tool stacks limit the ports of a domain

_MISSING = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, struct.error),
    InputError,
)
"""What the model's handlers raise that find no guest where they look for its parts, or no such name
in its ABI."""


@dataclass
class Seen:
    """What a trace shows of a domain before any of it is replayed."""

    caller: str  #: kind of guest
    vcpus: int = 1
    prints: bool = False  #: it may use Xen's console


def seen_in(kinds: Iterable[CallKind], abi: Abi) -> dict[tuple[str, int], Seen]:
    """What a trace (`Trace.kinds`) shows of its domains."""
    console_io = abi.hypercalls["console_io"].number
    found: dict[tuple[str, int], Seen] = {}
    for kind in kinds:
        if kind.domain is None or kind.vcpu is None:
            continue
        seen = found.setdefault((kind.boot, kind.domain), Seen(kind.caller))
        seen.vcpus = max(seen.vcpus, min(kind.vcpu, _MOST_VCPUS - 1) + 1)
        if kind.number == console_io and kind.succeeded:
            seen.prints = True
    return found


_Placed = tuple[Buffer, bytearray, Direction, tuple[tuple[int, Number], ...]]
"""A buffer of a record: as it was recorded, as it is in the model's hands, and the numbers in it,
with where the structures are that they are in."""


class Replay:
    """The model in the place of the hypervisor that a trace is of.

    ``seen`` is what there is, by boot and domain (`seen_in`).
    """

    def __init__(self, metadata: Metadata, seen: Mapping[tuple[str, int], Seen]) -> None:
        """Raises ``InputError`` if the model has no such architecture and release."""
        self.architecture: Architecture = architecture.load(metadata.architecture).at(
            metadata.release
        )
        if not self.architecture.model:
            raise InputError(f"there is no model of {metadata.architecture} {metadata.release}")
        self.abi: Abi = xenport.abi.load_for_model(metadata.architecture, metadata.release)
        self._seen = seen
        self._reach = Reach(self.abi)
        self.decoder = Decoder(self.abi)  #: of the answers
        self._comparison = Comparison(self.abi)
        self._order = self.abi.architecture.data_model.endian
        self._existence = Existence(self.abi, self._reach)
        self._found = frames_found(self.abi)
        self._bits = 8 * self.abi.architecture.data_model.sizes["long"]
        self._efault = -self.abi.errno("EFAULT")
        self._machines: dict[str, _Machine] = {}
        self._supposed: set[Guest] = set()  # that are there because calls name them
        self._guests: dict[tuple[str, int], Guest] = {}
        self._plans: dict[tuple[str, int], _Plans] = {}
        self._makers: dict[str, Plans] = {}
        self._list: list[Record] = []  # what the present multicall holds
        self._inner: list[tuple[Record, Outcome]] = []  # and what became of it

    def outcomes(self, records: Iterable[Record]) -> Iterator[tuple[Record, Outcome]]:
        """Each of ``records``, which are whole traces from their beginnings, and its outcome. The
        hypercalls in a multicall follow it as records of their own."""
        for record, parts in joined(records):
            if isinstance(record, str):
                outcome = Outcome("not replayable", record)
            else:
                outcome = self._outcome(record)
                yield record, outcome
            for part in parts:
                yield part, Outcome(outcome.kind, outcome.reason)
            if self._inner:
                yield from self._inner
                self._inner = []

    def _outcome(self, record: Record) -> Outcome:
        try:
            return self._ask(record)
        except (Unreplayable, NeedsGuest) as why:
            self._missed(record)
            return Outcome("not replayable", str(why))

    def _ask(self, record: Record) -> Outcome:
        if record.result is None:
            raise Unreplayable("it did not return")
        guest = self._guests.get((record.boot, record.domain))  # type: ignore[arg-type]
        if guest is None or guest.is_built or record.vcpu is None or None in record.arguments:
            guest = self._caller(record)
        if record.vcpu >= len(guest.domain.vcpus):  # type: ignore[operator]
            raise Unreplayable("no domain has so many vcpus")
        memory, vcpu = guest.memory, guest.domain.vcpus[record.vcpu]  # type: ignore[index]
        plan = self._plan(record)
        must_be = record.result >= 0
        memory.faults = record.result == self._efault
        guest.target = guest
        guest.has_succeeded = must_be
        guest.is_found = must_be or record.result in self._found
        guest.exists = partial(self._existence.shown, plan.hypercall, record)
        placed = self._place(plan, record, guest, must_be) if plan.has_memory else []
        memory.buffers = [(one[0].address, one[1]) for one in placed]
        arguments: list[int] = [*record.arguments, 0, 0, 0, 0, 0, 0]  # type: ignore[list-item]
        for index, mask, resource in plan.registers:
            value = arguments[index] & mask
            field = plan.hypercall.args[index].name
            arguments[index] = guest.number(resource, field, value, None, must_be)
        if vcpu.is_down:
            vcpu.up()
        if plan.asks_whether_up:
            self._see_whether_up(record, guest)
        if vcpu.is_blocked or vcpu.poll_port is not None:
            vcpu.wake()
        self._list = list(inner_calls(self.abi, record)) if plan.is_multicall else []
        hypervisor = vcpu.domain.hypervisor
        try:
            result = hypervisor.hypercall(vcpu, record.number, arguments)
        except _MISSING:
            raise Unreplayable("it needs more of a guest than there is") from None
        if hypervisor.diagnostics:
            lacking = any(said.endswith(NO_HANDLER) for said in hypervisor.diagnostics)
            hypervisor.diagnostics.clear()
            if lacking:
                raise Unreplayable("the model does not have it")
        if result >> (self._bits - 1):
            result &= (1 << self._bits) - 1
            result -= result >> (self._bits - 1) << self._bits
        if not placed and result == record.result:
            return EQUAL
        return self._compared(record, result, placed, guest)

    @staticmethod
    def _see_whether_up(record: Record, guest: Guest) -> None:
        """Where Xen translates a guest's memory it has firmware, which starts and stops vcpus."""
        number = record.arguments[1]
        if guest.domain.cpu_class.translated and record.vcpu != number:
            for vcpu in guest.domain.vcpus[number : number + 1]:  # type: ignore[operator]
                if record.result == 1:
                    vcpu.up()
                else:
                    vcpu.is_down = True

    def _compared(
        self, record: Record, result: int, placed: list[_Placed], guest: Guest
    ) -> Outcome:
        same = result == record.result
        changed: dict[Buffer, bytes] = {}
        for buffer, content, direction, places in placed:
            recorded = buffer.after
            if direction == "in" or recorded is None or content == recorded:
                continue
            changed[buffer] = bytes(content)
            if same:
                self._learn(content, recorded, places, guest)
        if same and not changed:
            return EQUAL
        buffers = tuple(
            one._replace(after=changed[one]) if one in changed else one for one in record.buffers
        )
        answer = record._replace(result=result, buffers=buffers)
        return self._comparison.outcome(record, answer)

    # ---- What a hypercall takes ----

    def _plan(self, record: Record) -> Plan:
        """Raises `Unreplayable` for what the model cannot answer by itself."""
        found = self._plans.get((record.caller, record.number))
        if found is None:
            found = self._plans[record.caller, record.number] = self._make_plans(record)
        index, mask, plans, others = found
        if len(record.arguments) < len(others.hypercall.args):
            raise Unreplayable("the trace lacks who called or with what arguments")
        plan = others
        if index is not None:
            plan = plans.get(record.arguments[index] & mask, others)  # type: ignore[operator]
        for index in plan.opaque:
            if record.arguments[index]:
                raise Unreplayable("the ABI does not say what memory it reaches")
        asks_builder = plan.may_ask_builder and (record.result or 0) >= 0
        if asks_builder and not BUILT.isdisjoint(self.decoder.commands(record)):
            raise Unreplayable("it asks how the domain was built")
        return plan

    def _maker(self, caller: str) -> Plans:
        makers = self._makers.get(caller)
        if makers is None:
            adapter = detached(self.architecture, caller)
            makers = Plans(self.abi, self._reach, translated=adapter.translated)
            self._makers[caller] = makers
        return makers

    def _make_plans(self, record: Record) -> _Plans:
        """The plans for a hypercall of a kind of guest. Raises `Unreplayable`: there is none."""
        hypercall = self._reach.hypercall(record.number)
        if hypercall is None:
            raise Unreplayable("the ABI does not have it")
        makers = self._maker(record.caller)
        index, mask = self._reach.command_place(hypercall)
        plans = {}
        if index is not None:
            for number, command in self._reach.commands[hypercall.name].items():
                plans[number] = makers.plan(hypercall, command)
        return index, mask, plans, makers.plan(hypercall, None)

    def _place(self, plan: Plan, record: Record, guest: Guest, must_be: bool) -> list[_Placed]:
        """The memory of ``record`` as the model is to see it."""
        placed: list[_Placed] = []
        if plan.pointers is None:
            for reached, places in self._reached(plan.hypercall, record):
                for buffer in record.buffers:
                    if buffer.address == reached.address and buffer.name == reached.name:
                        break
                else:
                    buffer = _NO_BUFFER
                self._put(placed, buffer, reached.size, reached.direction, places, guest, must_be)
            return placed
        for index, counter, reached, numbers in plan.pointers:
            address = record.arguments[index]
            if not address:
                continue
            size = reached.size
            if counter is not None:
                counted = record.arguments[counter[0]] & counter[1]  # type: ignore[operator]
                size = min(size * counted, LARGEST)
            if not size:
                continue
            name = reached.name
            for buffer in record.buffers:
                if buffer.address == address and buffer.name == name:
                    break
            else:
                buffer = _NO_BUFFER
            if numbers:
                starts = range(0, size, reached.size)
                places = tuple((start, one) for start in starts for one in numbers)
                self._put(placed, buffer, size, reached.direction, places, guest, must_be)
            else:
                self._put(placed, buffer, size, reached.direction, (), guest, must_be)
        return placed

    def _reached(
        self, hypercall: Hypercall, record: Record
    ) -> Iterator[tuple[Reached, tuple[tuple[int, Number], ...]]]:
        """What the hypercall reaches, and the numbers in it."""
        contents = [(one.address, one.before) for one in record.buffers if one.before]

        def read(address: int, size: int) -> bytes | None:
            for start, before in contents:
                if 0 <= address - start < len(before):
                    return before[address - start : address - start + size]
            return None

        make = self._maker(record.caller).numbers
        for reached in self._reach.buffers(record.number, record.arguments, read):
            element = reached.element
            if "." in reached.name and hypercall.name == MULTICALL:
                continue  # of a hypercall in it
            content = read(reached.address, reached.size) or b""
            places = []
            size = element.size or reached.size
            command = None
            for start in range(0, max(min(reached.size, len(content)), size), size):
                if hypercall.selector in element.by_name:
                    part = content[start : start + size]
                    command = self._reach.selected(hypercall, element, part)
                numbers = make(element, command, reached.direction, reached.resource)
                if not numbers and command is None:
                    break  # nor are there any in the others
                places += [(start, number) for number in numbers]
            yield reached, tuple(places)

    def _put(
        self,
        placed: list[_Placed],
        buffer: Buffer,
        size: int,
        direction: Direction,
        places: tuple[tuple[int, Number], ...],
        guest: Guest,
        must_be: bool,
    ) -> None:
        before = buffer.before
        if before is None or len(before) < size:
            if not guest.memory.faults:
                raise Unreplayable("its memory was not recorded")
            return
        content = bytearray(before)
        for start, number in places:
            at = start + number.offset
            value = self._integer(before, at, number.size)
            whose = None
            if number.whose is not None:
                offset, width = number.whose
                whose = self._integer(before, start + offset, width)
            if number.direction == "out":
                if number.resource == "port" and must_be and buffer.after is not None:
                    owner = guest if whose is None else guest.domain_named(whose, number.field)
                    if owner is not None:
                        owner.make_room(self._integer(buffer.after, at, number.size))
                continue
            needed = must_be and (number.resource != "port" or direction == "in")
            new = guest.number(number.resource, number.field, value, whose, needed)
            if new != value:
                new &= (1 << 8 * number.size) - 1
                content[at : at + number.size] = new.to_bytes(number.size, self._order)
        placed.append((buffer, content, direction, places))

    def _learn(
        self,
        content: bytearray,
        recorded: bytes,
        places: tuple[tuple[int, Number], ...],
        guest: Guest,
    ) -> None:
        """Ports that came from the hypervisor, and what they are in the model."""
        for start, number in places:
            if number.resource != "port" or number.direction == "in":
                continue
            owner: Guest | None = guest
            if number.whose is not None:
                offset, size = number.whose
                domid = self._integer(recorded, start + offset, size)
                owner = guest.domain_named(domid, number.field)
            if owner is not None:
                at = start + number.offset
                old = self._integer(recorded, at, number.size)
                owner.ports[old] = self._integer(content, at, number.size)
                owner.lost.discard(old)

    def _missed(self, record: Record) -> None:
        """``record`` was not replayed."""
        hypercall = self._reach.hypercall(record.number)
        guest = self._guests.get((record.boot, record.domain or 0))
        if hypercall is None or guest is None or record.result is None:
            return
        if record.result >= 0:
            for reached, numbers in self._reached(hypercall, record):
                after = next((b.after for b in record.buffers if b.name == reached.name), None)
                for start, number in numbers:
                    if number.direction != "in":
                        at = start + number.offset
                        value = self._integer(after or b"", at, number.size)
                        guest.lose(number.resource, value)
            if "VCPUOP_initialise" in self.decoder.commands(record):
                for vcpu in guest.domain.vcpus:
                    vcpu.is_initialised |= vcpu.id == record.arguments[1]
        adapter = guest.domain.cpu_class
        assert issubclass(adapter, Detached)
        adapter.missed(guest.domain, hypercall.name)

    # ---- The machine ----

    def _caller(self, record: Record) -> Guest:
        """Who called, in the model. Raises `Unreplayable` if the trace does not say."""
        if record.domain is None or record.vcpu is None or None in record.arguments:
            raise Unreplayable("the trace lacks who called or with what arguments")
        if record.boot in self._machines:
            # Whoever built it did more than hypercalls: it is as if it had been there before.
            self._machines[record.boot].domains.pop(record.domain, None)
        return self._guest(record.boot, record.domain)

    def _guest(self, boot: str, number: int) -> Guest:
        """Makes a domain; one of which the trace has no hypercall has no vcpu."""
        machine = self._machines.get(boot)
        if machine is None:
            self._forget_boots()
            machine = self._machines[boot] = _Machine(self, boot)
        domain = machine.domains.get(number)
        seen = self._seen.get((boot, number))
        is_built = domain is not None
        if domain is None:
            caller = seen.caller if seen else next(d.guest for d in machine.domains.values())
            adapter = detached(self.architecture, caller)
            domain = machine.add_domain(
                number,
                caller,
                adapter,
                is_control=number == 0,
                is_console=number != 0 and seen is not None and seen.prints,
                max_vcpus=seen.vcpus if seen else 0,
                max_port=DOMU_MAX_PORT if number and _LIMITED in self.abi.constants else None,
            )
            if adapter.silo:
                machine.policy = Silo()
            adapter.build_domain(domain, b"", "")
        guest = Guest(domain, partial(self._other, boot), is_built)
        self._guests[boot, number] = guest
        return guest

    def _forget_boots(self) -> None:
        """Boots come one after the other: what was long ago is over."""
        while len(self._machines) >= _MOST_BOOTS:
            old = next(iter(self._machines))
            del self._machines[old]
            for key in [key for key in self._guests if key[0] == old]:
                del self._guests[key]

    def _other(self, boot: str, number: int, exists: bool | None) -> Guest | None:
        """The guest of a number, which is there, is not, or may be."""
        domains = self._machines[boot].domains
        found = self._guests.get((boot, number))
        if exists is False and found is not None and found in self._supposed:
            self._supposed.discard(found)
            self.forget(boot, number)
            del domains[number]
            return None
        if found is None and (exists or number in domains):
            found = self._guest(boot, number)
            if not found.is_built and (boot, number) not in self._seen:
                self._supposed.add(found)
        return found

    def forget(self, boot: str, number: int) -> None:
        """There is no such domain any more."""
        self._guests.pop((boot, number), None)

    def _integer(self, content: bytes | bytearray, at: int, size: int) -> int:
        return int.from_bytes(content[at : at + size], self._order)

    # ---- Multicalls ----

    def answer_inner(self) -> int:
        """A hypercall of a multicall is a record of its own. The multicall goes on as it did in the
        trace."""
        record = self._list.pop(0)
        memory = self._guests[record.boot, record.domain].memory  # type: ignore[index]
        rest, buffers, faults = self._list, memory.buffers, memory.faults
        try:
            self._inner.append((record, self._outcome(record)))
        finally:
            self._list, memory.buffers, memory.faults = rest, buffers, faults
        return record.result or 0


class _Machine(Hypervisor):
    """The model of a boot, as the trace shows it."""

    def __init__(self, replay: Replay, boot: str) -> None:
        super().__init__(replay.abi, replay.architecture, console=lambda _: None)
        self._replay = replay
        self._boot = boot

    def remove_domain(self, domain: Domain) -> None:
        """See `Hypervisor`."""
        super().remove_domain(domain)
        self._replay.forget(self._boot, domain.id)

    def dispatch(self, vcpu: Vcpu, number: int, args: Arguments) -> int:
        """See `Hypervisor`: what is in a multicall has results of its own in the trace."""
        del vcpu, number, args
        return self._replay.answer_inner()
