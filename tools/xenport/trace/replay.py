"""Asks the reference model what a trace says that a hypervisor was asked, and compares the answers.

What can be asked needs no processor and no memory but what was recorded. The model's domains begin
without event channels. A port that the trace gets from the hypervisor is another one in the model,
and takes its place from there on; a frame becomes a page that is empty at first. A port that was
there before, or that came from what could not be replayed, cannot be asked for.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import xenport.abi
from xenport import architecture
from xenport.abi import Abi, Field, Layout
from xenport.errors import InputError
from xenport.model import core
from xenport.model.adapters import cpu_class
from xenport.model.cpu.base import Cpu
from xenport.model.domain import Domain
from xenport.model.grant_table import Granted
from xenport.model.handlers import Handlers
from xenport.model.hypervisor import Hypervisor
from xenport.model.machine import DOMU_MAX_PORT
from xenport.model.memory import PAGE_SIZE, Memory
from xenport.model.vcpu import Vcpu
from xenport.trace.decode import Decoder
from xenport.trace.reach import Reach, Reached
from xenport.trace.record import Metadata, Record

_PAGES = 1024  # of memory that the buffers of one hypercall are put into
_FRAMES = 4096  # more of it, that guests name by number
_ARGUMENTS = 6
_MOST_VCPUS = 512
_LIMITED = "EVTCHNOP_expand_array"  # where it exists, tool stacks limit the ports of a domain
NO_FRAME = 1 << 48
"""Numbers from here on are no frames on any machine: guests write ~0 for none."""

_BUILT = frozenset(
    {
        "XENMEM_current_reservation",
        "XENMEM_maximum_ram_page",
        "XENMEM_maximum_reservation",
        "XEN_DOMCTL_getdomaininfo",
    }
)
"""Commands whose answer is the size of a domain or of the machine."""

_MISSING = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, struct.error)
"""What the model's handlers raise that find no guest where they look for its parts."""

Kind = Literal["equal", "different", "not replayable"]


@dataclass(frozen=True)
class Outcome:
    """What became of a record. ``reason`` is why it was not replayed; ``answer`` is the record as
    the model would have made it, where the model was asked."""

    kind: Kind
    reason: str = ""
    answer: Record | None = None


class _Unreplayable(Exception):
    """The message is the reason."""


class _ReplayCpu(Cpu):
    """A processor that runs nothing: its memory is what the present record brings with it."""

    handlers = Handlers()
    capabilities = ""
    features = ()
    pages: ClassVar[dict[int, int]]  #: frames by the guest's page

    @classmethod
    def build_domain(cls, domain: Domain, image: bytes, command_line: str) -> None:
        del image, command_line
        domain.memory = Memory(0, (_PAGES + _FRAMES) * PAGE_SIZE)
        domain.total_pages = domain.max_pages = _PAGES + _FRAMES
        for _ in range(domain.max_vcpus):
            domain.add_vcpu().up()

    def run(self) -> None:
        """Never called: nothing runs."""

    def stop(self) -> None:
        """Nothing runs."""

    def event_deliverable(self) -> bool:
        """Nobody takes events: what waits for one is woken by the next record."""
        return False

    def deliver_event(self) -> None:
        """Nobody takes it."""

    def enable_events(self) -> None:
        """Nobody takes them."""

    # What other processors know of their guests nobody knows here.

    def set_context(self, context: Any) -> None:
        del context
        raise _Unreplayable("it needs a guest's processor or page tables")

    def memory_map(self) -> list[tuple[int, int, int]] | None:
        raise _Unreplayable("it asks how the domain was built")

    def maximum_frame(self) -> int:
        raise _Unreplayable("it asks how the domain was built")

    def map_grant(self, address: int, grant: Granted, flags: int) -> None:
        del address, grant, flags
        raise _Unreplayable("it needs a guest's processor or page tables")

    def set_upcall_vector(self, vector: int) -> None:
        del vector
        raise _Unreplayable("it needs a guest's processor or page tables")

    def bind_pirq(self, pirq: int) -> None:
        del pirq
        raise _Unreplayable("it needs the machine's devices")

    def translate(self, handle: int, offset: int, write: bool) -> int | None:
        del write
        page, rest = divmod(handle + offset, PAGE_SIZE)
        frame = self.pages.get(page)
        return None if frame is None else frame * PAGE_SIZE + rest


def _replay_cpu(adapter: type[Cpu]) -> type[Cpu]:
    """A `_ReplayCpu` with what the core wants to know of a kind of guest."""
    facts = {
        name: getattr(adapter, name)
        for name, kind in Cpu.__annotations__.items()
        if "ClassVar" in str(kind) and name != "handlers"
    }
    handlers = Handlers()
    handlers.checks.update(adapter.handlers.checks)
    rules = {"features_of": staticmethod(adapter.features_of), "check_param": adapter.check_param}
    return type("ReplayCpu", (_ReplayCpu,), {**facts, **rules, "handlers": handlers, "pages": {}})


@dataclass
class Seen:
    """What a trace shows of a domain before any of it is replayed."""

    vcpus: int = 1
    prints: bool = False  #: it may use Xen's console


class _Numbers:
    """The model's numbers of what a domain names, by the recorded ones."""

    def __init__(self) -> None:
        self.ports: dict[int, int] = {}
        self._frames: dict[int, int] = {}

    def frame(self, recorded: int) -> int:
        """A page of the model's memory that stands for a frame, always the same."""
        if len(self._frames) == _FRAMES and recorded not in self._frames:
            raise _Unreplayable("it names more frames than there is room for")
        return self._frames.setdefault(recorded, _PAGES + len(self._frames))


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
        self._machines: dict[str, Hypervisor] = {}
        self._own: dict[str, Handlers] = {}  # of a kind of guest
        self._numbers: dict[tuple[str, int], _Numbers] = {}

    def outcomes(self, records: Iterable[Record]) -> Iterator[tuple[Record, Outcome]]:
        """Each of ``records``, which are whole traces from their beginnings, and its outcome."""
        for record in records:
            try:
                answer = self._ask(record)
            except _Unreplayable as why:
                self._forget(record)
                yield record, Outcome("not replayable", str(why))
                continue
            same = self._text(answer) == self._text(record)
            yield record, Outcome("equal" if same else "different", "", answer)

    def _text(self, record: Record) -> str:
        """What is compared."""
        decoder = self._decoder
        return "\n".join(map(str, [decoder.result(record), *decoder.memory(record)]))

    def _ask(self, record: Record) -> Record:
        self._check(record)
        vcpu = self._vcpu(record)
        befores = {(one.name, one.address): one.before for one in record.buffers}

        def read(address: int, size: int) -> bytes | None:
            for (_, start), before in befores.items():
                if before is not None and 0 <= address - start < len(before):
                    return before[address - start : address - start + size]
            return None

        arguments = [value or 0 for value in record.arguments]
        reached = list(self._reach.buffers(record.number, arguments, read))
        numbers = self._numbers.setdefault((record.boot, vcpu.domain.id), _Numbers())
        contents = {}
        for one in reached:
            before = befores.get((one.name, one.address))
            if before is None or len(before) < one.size:
                if record.result != -self.abi.errno("EFAULT"):
                    raise _Unreplayable("its memory was not recorded")
                continue
            contents[one] = self._translated(record.number, one, before, numbers, vcpu.domain.id)
        self._place(vcpu, contents)
        vcpu.wake()
        padded = arguments + [0] * (_ARGUMENTS - len(arguments))
        try:
            result = vcpu.domain.hypervisor.hypercall(vcpu, record.number, padded)
        except _MISSING:
            raise _Unreplayable("it needs more of a guest than there is") from None
        recorded = {(one.name, one.address): one for one in record.buffers}
        buffers = []
        for one in reached:
            old = recorded.get((one.name, one.address))
            if old is None:
                continue
            after = bytes(vcpu.copy_in(one.address, one.size)) if one in contents else None
            buffers.append(old._replace(after=after))
            if result == record.result and after is not None and old.after is not None:
                self._learn(record.number, one, old.after, after, numbers.ports)
        return record._replace(result=result, buffers=tuple(buffers))

    def _check(self, record: Record) -> None:
        """Raises `_Unreplayable` for what the model cannot answer by itself."""
        hypercall = self._reach.hypercall(record.number)
        if hypercall is None:
            raise _Unreplayable("the ABI does not have it")
        if record.continued:
            raise _Unreplayable("it was continued: its result came with another call")
        if record.result is None:
            raise _Unreplayable("it did not return")
        if record.domain is None or record.vcpu is None or None in record.arguments:
            raise _Unreplayable("the trace lacks who called or with what arguments")
        if hypercall.name == "multicall":
            raise _Unreplayable("it holds other hypercalls")
        for arg, value in zip(hypercall.args, record.arguments, strict=False):
            if value and arg.layout.target == "void" and arg.role is None and arg.count is None:
                raise _Unreplayable("the ABI does not say what memory it reaches")
        own = self._handlers(record.caller)
        for name in self._decoder.commands(record) or [hypercall.name]:
            if name in _BUILT:
                raise _Unreplayable("it asks how the domain was built")
            if name in own:
                raise _Unreplayable("it needs a guest's processor or page tables")
            if hypercall.name in core.HANDLERS or name in core.HANDLERS:
                continue
            if name in hypercall.commands or not hypercall.commands:
                raise _Unreplayable("the model does not have it")

    def _handlers(self, guest: str) -> Handlers:
        if guest not in self._own:
            self._own[guest] = cpu_class(self._architecture, guest).handlers
        return self._own[guest]

    # ---- The machine ----

    def _vcpu(self, record: Record) -> Vcpu:
        """Who called, in the model."""
        assert record.domain is not None and record.vcpu is not None
        machine = self._machines.get(record.boot)
        if machine is None:
            machine = Hypervisor(self.abi, self._architecture, console=lambda _: None)
            self._machines[record.boot] = machine
        domain = machine.domains.get(record.domain)
        if domain is None:
            domain = self._domain(machine, record)
        return domain.vcpus[record.vcpu]

    def _domain(self, machine: Hypervisor, record: Record) -> Domain:
        assert record.domain is not None
        seen = self._seen[record.boot, record.domain]
        adapter = _replay_cpu(cpu_class(self._architecture, record.caller))
        domain = machine.add_domain(
            record.domain,
            record.caller,
            adapter,
            is_control=record.domain == 0,
            is_console=seen.prints and record.domain != 0,
            max_vcpus=seen.vcpus,
            max_port=DOMU_MAX_PORT if record.domain and _LIMITED in self.abi.constants else None,
        )
        adapter.build_domain(domain, b"", "")
        return domain

    @staticmethod
    def _place(vcpu: Vcpu, contents: Mapping[Reached, bytes]) -> None:
        """Put the bytes of the buffers where the guest has them."""
        assert isinstance(vcpu.cpu, _ReplayCpu)
        pages = vcpu.cpu.pages
        pages.clear()
        for one in contents:
            first, last = one.address // PAGE_SIZE, (one.address + one.size - 1) // PAGE_SIZE
            for page in range(first, last + 1):
                if len(pages) == _PAGES:
                    raise _Unreplayable("it reaches too much memory")
                pages.setdefault(page, len(pages))
        for one, content in contents.items():
            vcpu.copy_out(one.address, content)

    # ---- Numbers that are different in the model ----

    def _translated(
        self, number: int, one: Reached, content: bytes, numbers: _Numbers, caller: int
    ) -> bytes:
        """``content`` with the model's ports and frames in place of the recorded ones."""
        made = bytearray(content)
        for field, at in self._numbered(number, one, content, ("in", "inout")):
            value = int.from_bytes(content[at : at + field.size], self._order)
            if field.resource == "port":
                if value not in numbers.ports:
                    raise _Unreplayable("it names a port that the model did not give")
                made[at : at + field.size] = numbers.ports[value].to_bytes(field.size, self._order)
            elif field.resource == "frame":
                if value < NO_FRAME:
                    frame = numbers.frame(value)
                    made[at : at + field.size] = frame.to_bytes(field.size, self._order)
            elif field.resource != "domain":
                raise _Unreplayable(f"it names a {field.resource} of the guest's")
            elif value not in (caller, self.abi.constant("DOMID_SELF")):
                raise _Unreplayable("it names another domain")
        return bytes(made)

    def _learn(
        self, number: int, one: Reached, recorded: bytes, answered: bytes, ports: dict[int, int]
    ) -> None:
        """Ports that came from the hypervisor, and what they are in the model."""
        for old, new in zip(
            self._given(number, one, recorded), self._given(number, one, answered), strict=False
        ):
            ports[old] = new

    def _forget(self, record: Record) -> None:
        """The model does not have the ports that ``record``, which was not replayed, got."""
        if record.domain is None or record.result is None or record.result < 0:
            return
        numbers = self._numbers.get((record.boot, record.domain), _Numbers())
        contents = {one.address: one for one in record.buffers}

        def read(address: int, size: int) -> bytes | None:
            found = contents.get(address)
            return found.before[:size] if found is not None and found.before else None

        for one in self._reach.buffers(record.number, record.arguments, read):
            after = contents[one.address].after if one.address in contents else None
            for port in self._given(record.number, one, after or b""):
                numbers.ports.pop(port, None)

    def _given(self, number: int, one: Reached, content: bytes) -> Iterator[int]:
        """The ports that Xen wrote into ``content``."""
        for field, at in self._numbered(number, one, content, ("out", "inout")):
            if field.resource == "port":
                yield int.from_bytes(content[at : at + field.size], self._order)

    def _numbered(
        self, number: int, one: Reached, content: bytes, directions: tuple[str, ...]
    ) -> Iterator[tuple[Field, int]]:
        """The fields of the buffer ``content`` of hypercall ``number`` that number a resource, and
        where they are."""
        element, hypercall = one.element, self._reach.hypercall(number)
        if not element.size:
            return
        for start in range(0, len(content) - element.size + 1, element.size):
            if element.resource is not None and one.direction in directions:
                yield Field("", 0, element.size, element, resource=element.resource), start
            command = None
            if hypercall is not None:
                command = self._reach.selected(hypercall, element, content[start:])
            wanted = command.arg.member if command is not None and command.arg is not None else None
            for offset, field in _members(element, (wanted or "").rpartition(".")[2]):
                if field.resource is not None and field.direction in directions:
                    yield field, start + offset


def _members(layout: Layout, wanted: str, base: int = 0) -> Iterator[tuple[int, Field]]:
    """The integers of a structure and their offsets; of a union the member ``wanted`` alone, since
    nothing says which of the others hold."""
    for field in layout.fields:
        if layout.kind == "union" and field.name != wanted:
            continue
        if field.layout.fields:
            yield from _members(field.layout, wanted, base + field.offset)
        elif field.layout.kind == "int":
            yield base + field.offset, field


def seen_in(records: Iterable[Record], abi: Abi) -> dict[tuple[str, int], Seen]:
    """What a trace shows of its domains."""
    console_io = abi.hypercalls["console_io"].number
    found: dict[tuple[str, int], Seen] = {}
    for record in records:
        if record.domain is not None and record.vcpu is not None:
            seen = found.setdefault((record.boot, record.domain), Seen())
            seen.vcpus = max(seen.vcpus, min(record.vcpu, _MOST_VCPUS - 1) + 1)
            if record.number == console_io and (record.result or 0) >= 0:
                seen.prints = True
    return found
