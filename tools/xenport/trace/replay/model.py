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
from typing import TYPE_CHECKING, NamedTuple

import xenport.abi
from xenport import architecture
from xenport.abi import Abi, Command, Hypercall
from xenport.errors import InputError
from xenport.model.cpu.detached import Detached, detached
from xenport.model.dispatch import NO_HANDLER
from xenport.model.errors import NeedsGuest
from xenport.model.hypervisor import Hypervisor
from xenport.model.machine import DOMU_MAX_PORT
from xenport.model.policy import Silo
from xenport.trace.decode import Decoder
from xenport.trace.reach import (
    LARGEST,
    MULTICALL_ENTRY,
    Reach,
    Reached,
    multicall_entry,
    multicall_result,
)
from xenport.trace.record import Buffer, Metadata, Record
from xenport.trace.replay.guest import Guest
from xenport.trace.replay.joined import joined
from xenport.trace.replay.outcome import EQUAL, Outcome, Unreplayable
from xenport.trace.replay.plan import BUILT, Number, Plan, Plans

if TYPE_CHECKING:
    from xenport.model.call import Arguments
    from xenport.model.vcpu import Vcpu

MULTICALL = "multicall"

_COUNT = 0xFFFF_FFFF  # bits of an argument that counts
_NO_BUFFER = Buffer("", 0, None, None)
_MOST_VCPUS = 512
_LIMITED = "EVTCHNOP_expand_array"  # where it exists, tool stacks limit the ports of a domain

_MISSING = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, struct.error)
"""What the model's handlers raise that find no guest where they look for its parts."""


@dataclass
class Seen:
    """What a trace shows of a domain before any of it is replayed."""

    caller: str  #: kind of guest
    vcpus: int = 1
    prints: bool = False  #: it may use Xen's console


def seen_in(records: Iterable[Record], abi: Abi) -> dict[tuple[str, int], Seen]:
    """What a trace shows of its domains."""
    console_io = abi.hypercalls["console_io"].number
    found: dict[tuple[str, int], Seen] = {}
    for record in records:
        if record.domain is None or record.vcpu is None:
            continue
        seen = found.get((record.boot, record.domain))
        if seen is None:
            seen = found[record.boot, record.domain] = Seen(record.caller)
        if record.vcpu >= seen.vcpus:
            seen.vcpus = min(record.vcpu, _MOST_VCPUS - 1) + 1
        if record.number == console_io and (record.result or 0) >= 0:
            seen.prints = True
    return found


class _Placed(NamedTuple):
    """A buffer of a record as it is in the model's hands."""

    recorded: Buffer
    content: bytearray
    reached: Reached
    numbers: tuple[tuple[int, Number], ...]  #: with where the structure is that they are in


class Replay:
    """The model in the place of the hypervisor that a trace is of.

    ``seen`` is what there is, by boot and domain (`seen_in`).
    """

    def __init__(self, metadata: Metadata, seen: Mapping[tuple[str, int], Seen]) -> None:
        """Raises ``InputError`` if the model has no such architecture and release."""
        self._architecture = architecture.load(metadata.architecture).at(metadata.release)
        if not self._architecture.model:
            raise InputError(f"there is no model of {metadata.architecture} {metadata.release}")
        self.abi: Abi = xenport.abi.load_for_model(metadata.architecture, metadata.release)
        self._seen = seen
        self._reach = Reach(self.abi)
        self._decoder = Decoder(self.abi, comparable=True)
        self._order = self.abi.architecture.data_model.endian
        self._efault = -self.abi.errno("EFAULT")
        self._machines: dict[str, Hypervisor] = {}
        self._guests: dict[tuple[str, int], Guest] = {}
        self._plans: dict[tuple[str, int, int], Plan] = {}
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
        guest = self._caller(record)
        plan = self._plan(record)
        must_be = record.result >= 0
        guest.memory.faults = record.result == self._efault
        placed = self._place(plan, record, guest, must_be)
        guest.memory.buffers = [(one.recorded.address, one.content) for one in placed]
        arguments: list[int] = [*record.arguments, 0, 0, 0, 0, 0, 0]  # type: ignore[list-item]
        for index, mask, resource in plan.registers:
            arguments[index] = guest.number(resource, arguments[index] & mask, None, must_be)
        vcpu = guest.domain.vcpus[record.vcpu]  # type: ignore[index]
        vcpu.wake()
        self._list = []
        if plan.hypercall.name == MULTICALL:
            self._list = list(inner_calls(self.abi, record))
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
        if result >> 63 > 0:
            result -= 1 << 64
        return self._compared(record, result, placed, guest)

    def _compared(
        self, record: Record, result: int, placed: list[_Placed], guest: Guest
    ) -> Outcome:
        same = result == record.result
        changed = {}
        for one in placed:
            recorded = one.recorded.after
            if one.reached.direction == "in" or recorded is None or one.content == recorded:
                continue
            changed[one.recorded] = bytes(one.content)
            if same:
                self._learn(one, recorded, guest)
        if same and not changed:
            return EQUAL
        buffers = tuple(
            one._replace(after=changed[one]) if one in changed else one for one in record.buffers
        )
        answer = record._replace(result=result, buffers=buffers)
        same = self._text(answer) == self._text(record)
        return Outcome("equal" if same else "different", "", answer)

    def _text(self, record: Record) -> str:
        """What is compared."""
        decoder = self._decoder
        return "\n".join(map(str, [decoder.result(record), *decoder.memory(record)]))

    # ---- What a hypercall takes ----

    def _plan(self, record: Record) -> Plan:
        """Raises `Unreplayable` for what the model cannot answer by itself."""
        hypercall = self._reach.hypercall(record.number)
        if hypercall is None:
            raise Unreplayable("the ABI does not have it")
        command = self._reach.command(hypercall, record.arguments)
        key = (record.caller, record.number, -1 if command is None else command.number)
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plans[key] = self._make_plan(record.caller, hypercall, command)
        for index in plan.opaque:
            if record.arguments[index]:
                raise Unreplayable("the ABI does not say what memory it reaches")
        asks_builder = plan.may_ask_builder and (record.result or 0) >= 0
        if asks_builder and not BUILT.isdisjoint(self._decoder.commands(record)):
            raise Unreplayable("it asks how the domain was built")
        return plan

    def _make_plan(self, caller: str, hypercall: Hypercall, command: Command | None) -> Plan:
        if caller not in self._makers:
            adapter = detached(self._architecture, caller)
            self._makers[caller] = Plans(self.abi, self._reach, translated=adapter.translated)
        return self._makers[caller].plan(hypercall, command)

    def _place(self, plan: Plan, record: Record, guest: Guest, must_be: bool) -> list[_Placed]:
        """The memory of ``record`` as the model is to see it."""
        placed: list[_Placed] = []
        if plan.pointers is None:
            for reached, numbers in self._found(plan.hypercall, record):
                self._put(placed, record, guest, must_be, reached, numbers)
            return placed
        for pointer in plan.pointers:
            address = record.arguments[pointer.argument]
            if not address:
                continue
            size = pointer.reached.size
            if pointer.counter is not None:
                count = record.arguments[pointer.counter] or 0
                size = min(size * (count & _COUNT), LARGEST)
            if size:
                reached = pointer.reached._replace(address=address, size=size)
                starts = range(0, size, pointer.reached.size) if pointer.numbers else ()
                places = tuple((start, one) for start in starts for one in pointer.numbers)
                self._put(placed, record, guest, must_be, reached, places)
        return placed

    def _found(
        self, hypercall: Hypercall, record: Record
    ) -> Iterator[tuple[Reached, tuple[tuple[int, Number], ...]]]:
        """What the hypercall reaches, and the numbers in it."""
        contents = [(one.address, one.before) for one in record.buffers if one.before]

        def read(address: int, size: int) -> bytes | None:
            for start, before in contents:
                if 0 <= address - start < len(before):
                    return before[address - start : address - start + size]
            return None

        make = self._makers[record.caller].numbers
        for reached in self._reach.buffers(record.number, record.arguments, read):
            element = reached.element
            if "." in reached.name and hypercall.name == MULTICALL:
                continue  # of a hypercall in it
            content = read(reached.address, reached.size) or b""
            places = []
            for start in range(0, reached.size, element.size or reached.size):
                command = self._reach.selected(hypercall, element, content[start:])
                numbers = make(element, command, reached.direction, reached.resource)
                places += [(start, number) for number in numbers]
            yield reached, tuple(places)

    def _put(
        self,
        placed: list[_Placed],
        record: Record,
        guest: Guest,
        must_be: bool,
        reached: Reached,
        places: tuple[tuple[int, Number], ...],
    ) -> None:
        for buffer in record.buffers:
            if buffer.address == reached.address and buffer.name == reached.name:
                break
        else:
            buffer = _NO_BUFFER
        before = buffer.before
        if before is None or len(before) < reached.size:
            if not guest.memory.faults:
                raise Unreplayable("its memory was not recorded")
            return
        content = bytearray(before)
        for start, number in places:
            if number.direction == "out":
                continue
            at = start + number.offset
            value = self._integer(before, at, number.size)
            whose = None
            if number.whose is not None:
                offset, size = number.whose
                whose = self._integer(before, start + offset, size)
            needed = must_be and (number.resource != "port" or reached.direction == "in")
            new = guest.number(number.resource, value, whose, needed)
            if new != value:
                content[at : at + number.size] = new.to_bytes(number.size, self._order)
        placed.append(_Placed(buffer, content, reached, places))

    def _learn(self, placed: _Placed, recorded: bytes, guest: Guest) -> None:
        """Ports that came from the hypervisor, and what they are in the model."""
        for start, number in placed.numbers:
            if number.resource != "port" or number.direction == "in":
                continue
            owner: Guest | None = guest
            if number.whose is not None:
                offset, size = number.whose
                domid = self._integer(recorded, start + offset, size)
                owner = guest.domain_named(domid, False)
            if owner is not None:
                at = start + number.offset
                old = self._integer(recorded, at, number.size)
                owner.ports[old] = self._integer(placed.content, at, number.size)

    def _missed(self, record: Record) -> None:
        """``record`` was not replayed."""
        hypercall = self._reach.hypercall(record.number)
        guest = self._guests.get((record.boot, record.domain or 0))
        if hypercall is None or guest is None or record.result is None:
            return
        if record.result >= 0:
            for reached, numbers in self._found(hypercall, record):
                after = next((b.after for b in record.buffers if b.name == reached.name), None)
                for start, number in numbers:
                    if number.resource == "port" and number.direction != "in":
                        # An older port of the same number is gone.
                        at = start + number.offset
                        guest.ports.pop(self._integer(after or b"", at, number.size), None)
        adapter = guest.domain.cpu_class
        assert issubclass(adapter, Detached)
        adapter.missed(guest.domain, hypercall.name)

    # ---- The machine ----

    def _caller(self, record: Record) -> Guest:
        """Who called, in the model. Raises `Unreplayable` if the trace does not say."""
        if record.domain is None or record.vcpu is None or None in record.arguments:
            raise Unreplayable("the trace lacks who called or with what arguments")
        guest = self._guests.get((record.boot, record.domain))
        return guest or self._guest(record.boot, record.domain)

    def _guest(self, boot: str, number: int) -> Guest:
        """Makes a domain; one of which the trace has no hypercall has no vcpu."""
        machine = self._machines.get(boot)
        if machine is None:
            machine = Hypervisor(self.abi, self._architecture, console=lambda _: None)
            machine.dispatch = self._answer_inner  # type: ignore[method-assign]
            self._machines[boot] = machine
        seen = self._seen.get((boot, number))
        caller = seen.caller if seen else next(d.guest for d in machine.domains.values())
        adapter = detached(self._architecture, caller)
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
        guest = self._guests[boot, number] = Guest(domain, partial(self._other, boot))
        return guest

    def _other(self, boot: str, number: int, must_be: bool) -> Guest | None:
        found = self._guests.get((boot, number))
        if found is None and (must_be or (boot, number) in self._seen):
            found = self._guest(boot, number)
        return found

    def _integer(self, content: bytes | bytearray, at: int, size: int) -> int:
        return int.from_bytes(content[at : at + size], self._order)

    # ---- Multicalls ----

    def _answer_inner(self, vcpu: Vcpu, number: int, args: Arguments) -> int:
        """In the place of `Hypervisor.dispatch`: a hypercall of a multicall is a record of its own.
        The multicall goes on as it did in the trace."""
        del vcpu, number, args
        record = self._list.pop(0)
        memory = self._guests[record.boot, record.domain].memory  # type: ignore[index]
        rest, buffers, faults = self._list, memory.buffers, memory.faults
        try:
            self._inner.append((record, self._outcome(record)))
        finally:
            self._list, memory.buffers, memory.faults = rest, buffers, faults
        return record.result or 0


def inner_calls(abi: Abi, record: Record) -> Iterator[Record]:
    """The hypercalls of a multicall, as records."""
    buffer = next((one for one in record.buffers if one.name == "call_list"), _NO_BUFFER)
    before, after = buffer.before or b"", buffer.after or b""
    size = abi.sizeof(MULTICALL_ENTRY)
    for index, start in enumerate(range(0, len(before) - size + 1, size)):
        number, values = multicall_entry(abi, before, start)
        hypercall = abi.hypercall_by_number.get(number)
        result = None
        if start + size <= len(after):
            result = multicall_result(abi, after, start)
        prefix = f"call_list[{index}]."
        yield record._replace(
            number=number,
            arguments=tuple(values[: len(hypercall.args)] if hypercall else values),
            result=result,
            buffers=tuple(
                one._replace(name=one.name.removeprefix(prefix))
                for one in record.buffers
                if one.name.startswith(prefix)
            ),
        )
