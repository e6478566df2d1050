"""Calls for the agent kernel (conformance/agent/replay.c, which has the format): what of a trace a
guest can ask again on a machine of its own, and how.

The agent has memory for buffers, and a pool of pages that stand for whatever frames and addresses
the trace names. Event channels are known by the trace's numbers; domids are replaced here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from xenport.abi import Abi, Hypercall, Layout
from xenport.trace.decode import Decoder
from xenport.trace.reach import Reach, Reached
from xenport.trace.record import Buffer, Record
from xenport.trace.replay.existence import Existence
from xenport.trace.replay.outcome import Unreplayable
from xenport.trace.replay.plan import BUILT, MULTICALL, Number, Plans, frames_found

ARENA = 256 * 1024  # bytes of buffers of one call
POOL = 128  # pages
PAGE = 4096
MOST_PORTS = 8192
MOST_BYTES = 16 << 20  # of calls that one kernel can hold
NO_FRAME = 1 << 48  # see `xenport.trace.replay.guest`

_ADDRESS, _PAGE, _NOWHERE, _PORT, _FRAME, _NEW_PORT = range(6)
_IN_ARGUMENTS = 0xFF
_ARGUMENTS = 5
_SPECIAL_DOMAINS = 0x7FF0
_WORD = (1 << 64) - 1
_NOWHERE_BIT = 1 << 63  # of a frame of 64 bits that is on no machine

_OWN_STATE = "it would change the agent's own processor"
_OWN_TABLES = "it is about page tables, and the agent has its own"
_OWN_END = "the agent would end, or wait for what does not come"
_MACHINE = "it would change the machine that the agent runs on"

_REFUSED = {
    **dict.fromkeys(
        ("set_trap_table", "set_callbacks", "callback_op", "stack_switch", "iret", "nmi_op",
         "set_segment_base", "set_gdt", "update_descriptor", "fpu_taskswitch", "set_debugreg",
         "get_debugreg", "VCPUOP_initialise", "VCPUOP_up", "VCPUOP_down", "VCPUOP_send_nmi"),
        _OWN_STATE,
    ),
    **dict.fromkeys(
        ("mmu_update", "mmuext_op", "update_va_mapping", "update_va_mapping_otherdomain"),
        _OWN_TABLES,
    ),
    **dict.fromkeys(
        ("SCHEDOP_block", "SCHEDOP_poll", "SCHEDOP_shutdown", "SCHEDOP_shutdown_code",
         "SCHEDOP_watchdog", "SCHEDOP_remote_shutdown", "sched_op_compat", "CONSOLEIO_read"),
        _OWN_END,
    ),
    **dict.fromkeys(
        ("platform_op", "sysctl", "domctl", "physdev_op", "physdev_op_compat", "dm_op", "mca",
         "kexec_op", "hypfs_op", "xsm_op", "tmem_op", "xenpmu_op", "argo_op", "xenoprof_op"),
        _MACHINE,
    ),
}  # fmt: skip
"""By hypercall or command."""

#: Commands of what is refused that can be made all the same.
_HARMLESS = frozenset(
    {
        "MMUEXT_TLB_FLUSH_LOCAL",
        "MMUEXT_INVLPG_LOCAL",
        "MMUEXT_TLB_FLUSH_ALL",
        "MMUEXT_INVLPG_ALL",
    }
)

#: Commands that change which memory a PV guest has, of which the agent has no more than it needs.
_RESERVATION = frozenset(
    {
        "XENMEM_increase_reservation",
        "XENMEM_decrease_reservation",
        "XENMEM_populate_physmap",
        "XENMEM_exchange",
    }
)

#: Commands that map pages, by what their argument is, and the spaces of which these are a guest's.
_MAPPING = {
    "XENMEM_add_to_physmap": "xen_add_to_physmap",
    "XENMEM_add_to_physmap_batch": "xen_add_to_physmap_batch",
}
_PAGES = ("XENMAPSPACE_gmfn", "XENMAPSPACE_gmfn_range", "XENMAPSPACE_gmfn_foreign")


@dataclass
class Call:
    """A record as the agent gets it."""

    index: int
    record: Record
    buffers: list[Buffer] = field(default_factory=list)  #: in the agent's order
    content: bytes = b""


@dataclass
class Guest:
    """The agent's domain."""

    caller: str
    domain: int  #: its number in the trace
    domid: int  #: and the one that it has itself
    translated: bool  #: its frames are not the machine's


class AgentCalls:
    """Makes the calls of one domain of a trace, in the order of its records."""

    def __init__(self, abi: Abi, guest: Guest) -> None:
        self._abi = abi
        self._guest = guest
        self._reach = Reach(abi)
        self._decoder = Decoder(abi)
        self._plans = Plans(abi, self._reach, translated=True)
        self._order = abi.architecture.data_model.endian
        self._prefix = "<" if self._order == "little" else ">"
        self._efault = -abi.errno("EFAULT")
        self._found = frames_found(abi)
        self._existence = Existence(abi, self._reach)
        self._others: set[int] = set()  # domains that were there when an answer last showed it
        self._self = abi.constant("DOMID_SELF")
        self._ports: set[int] = set()  # that Xen gives the agent
        self._lost: set[int] = set()  # those of them in place of others that it does not give
        self._params: set[int] = set()  # that the guest has set
        self._pages: dict[int, int] = {}  # of the pool, by frame
        self._scratch: dict[int, int] = {}  # of the pool, by the trace's address
        self.calls: dict[int, Call] = {}
        self.size = 0

    @property
    def data(self) -> bytes:
        """All of the calls, as the agent reads them."""
        return b"".join(call.content for call in self.calls.values())

    def add(self, record: Record) -> int:
        """Adds a call and returns its index. Raises `Unreplayable`."""
        try:
            return self._add(record)
        except Unreplayable:
            self._lose(record)
            raise

    def _lose(self, record: Record) -> None:
        """Ports that came with a call which is not replayed: of their kind nothing is known."""
        hypercall = self._reach.hypercall(record.number)
        if hypercall is None or record.result is None or record.result < 0:
            return
        afters = {one.name: one.after for one in record.buffers}
        for reached in self._reach.buffers(record.number, record.arguments, lambda *_: None):
            after = afters.get(reached.name)
            for number in self._plans.numbers(reached.element, None, reached.direction, None):
                if number.resource == "port" and number.direction != "in" and after:
                    at = slice(number.offset, number.offset + number.size)
                    port = int.from_bytes(after[at], self._order)
                    self._ports.discard(port)
                    self._replace_port(port)
                    self._lost.add(port)

    def _add(self, record: Record) -> int:
        if record.result is None:
            raise Unreplayable("it did not return")
        if record.vcpu is None or None in record.arguments:
            raise Unreplayable("the trace lacks who called or with what arguments")
        hypercall = self._reach.hypercall(record.number)
        if hypercall is None:
            raise Unreplayable("the ABI does not have it")
        self._check(hypercall, record)
        made = _Maker(self, hypercall, record)
        made.run()
        return self._append(record, made)

    def _check(self, hypercall: Hypercall, record: Record) -> None:
        if len(hypercall.args) > _ARGUMENTS:
            raise Unreplayable("it has more arguments than the agent can pass")
        if record.vcpu != 0:
            raise Unreplayable("another vcpu made it, and the agent has one")
        if hypercall.name == MULTICALL:
            raise Unreplayable("the hypercalls in it are made one by one")
        if hypercall.name in _REFUSED and not self._is_harmless(record):
            raise Unreplayable(_REFUSED[hypercall.name])
        command = self._reach.command(hypercall, record.arguments)
        if command is None:
            return
        if command.name in _REFUSED:
            raise Unreplayable(_REFUSED[command.name])
        if command.name in BUILT and (record.result or 0) >= 0:
            raise Unreplayable("it asks how the domain was built")
        if command.name in ("HVMOP_set_param", "HVMOP_get_param") and record.result == 0:
            self._check_param(command.name, record)
        if command.name in _RESERVATION and not self._guest.translated:
            raise Unreplayable("it is about memory that the agent does not have")
        if command.name == "VCPUOP_is_up" and record.arguments[1] and (record.result or 0) >= 0:
            raise Unreplayable("it asks whether another vcpu is up, and the agent has one")
        if command.name in _MAPPING:
            self._check_space(_MAPPING[command.name], record)

    def _check_space(self, structure: str, record: Record) -> None:
        """Where one page takes another one's place, `idx` is a frame as well."""
        content = next((one.before for one in record.buffers if one.name == "arg"), None)
        if content is None or len(content) < self._abi.sizeof(structure):
            return
        space = self._abi.view(structure, content).space
        if space in [self._abi.constants[name].value for name in _PAGES]:
            raise Unreplayable("it is about memory that the agent does not have")

    def _check_param(self, command: str, record: Record) -> None:
        """Parameters that the guest has not set itself are those of its builder."""
        content = next((one.before for one in record.buffers if one.name == "arg"), None)
        if content is None or len(content) < self._abi.sizeof("xen_hvm_param"):
            return
        index: int = self._abi.view("xen_hvm_param", content).index
        if command == "HVMOP_set_param":
            self._params.add(index)
        elif index not in self._params:
            raise Unreplayable("it asks how the domain was built")

    def _is_harmless(self, record: Record) -> bool:
        return _HARMLESS.issuperset(self._decoder.commands(record) or ["?"])

    def _append(self, record: Record, made: _Maker) -> int:
        index = len(self.calls)
        content = made.content(index)
        if self.size + len(content) > MOST_BYTES:
            raise Unreplayable(
                f"the calls before it are {MOST_BYTES >> 20} MiB, all the agent holds"
            )
        for port in made.new_ports:
            self._ports.add(port)
            self._lost.discard(port)
        self.size += len(content)
        self.calls[index] = Call(index, record, made.buffers, content)
        return index

    # ---- Numbers ----

    def page_of_frame(self, frame: int) -> int:
        """The page of the pool that stands for a frame."""
        return self._page(self._pages, frame)

    def page_of_address(self, address: int) -> int:
        """The page of the pool that stands for that of an address."""
        return self._page(self._scratch, address // PAGE)

    def _page(self, pages: dict[int, int], number: int) -> int:
        if number not in pages:
            if len(self._pages) + len(self._scratch) == POOL:
                raise Unreplayable("it names more frames than there is room for")
            pages[number] = len(self._pages) + len(self._scratch)
        return pages[number]

    def need_port(self, port: int, must_be: bool) -> None:
        """Sees to it that the agent has ``port``, if the call needs it."""
        if port in self._lost and not must_be:
            raise Unreplayable("it names a port that came with a call which was not replayed")
        if port in self._ports or not must_be:
            return
        if port >= MOST_PORTS:
            raise Unreplayable("it names a port beyond those that the agent counts")
        if self._guest.domid == 0:
            raise Unreplayable("it names a port that nobody gave to the agent")
        self._replace_port(port)

    def _replace_port(self, port: int) -> None:
        """Gives the agent a port that the trace knows by this number, for the control domain."""
        if port >= MOST_PORTS:
            return
        before, after = (
            struct.pack(f"{self._prefix}HHI", self._self, 0, value) for value in (0, port)
        )
        self._event_call("EVTCHNOP_alloc_unbound", before, after)

    def _event_call(self, command: str, before: bytes, after: bytes) -> None:
        """A call of the agent's own; nobody looks at its result."""
        self._add(
            Record(
                0, "", None, None, self._guest.domain, 0, self._guest.caller,
                self._abi.hypercalls["event_channel_op"].number,
                (self._abi.constant(command), PAGE), 0, False,
                (Buffer("arg", PAGE, before, after),),
            )
        )  # fmt: skip

    def domid(self, domain: int, record: Record, field: str) -> int:
        """The domid that stands for one of the trace's, in ``field`` of the call."""
        if domain == self._guest.domain:
            return self._guest.domid
        if domain >= _SPECIAL_DOMAINS or (domain == 0 and self._guest.domid):
            return domain
        hypercall = self._reach.hypercall(record.number)
        assert hypercall is not None
        exists = self._existence.shown(hypercall, record, field)
        if exists is None:
            exists = (record.result or 0) >= 0 or domain in self._others
        if not exists:
            self._others.discard(domain)
            return domain
        self._others.add(domain)
        raise Unreplayable("it names another domain")


class _Maker:
    """Makes one call."""

    def __init__(self, calls: AgentCalls, hypercall: Hypercall, record: Record) -> None:
        self._calls = calls
        self._hypercall = hypercall
        self._record = record
        self._must_be = (record.result or 0) >= 0
        self._at: list[int] = []  # in the arena, of each buffer
        self._contents: list[bytearray] = []
        self._afters: list[bytes | None] = []
        self._places: list[tuple[int, int, int, int, int]] = []  # kind, size, buffer, offset, value
        self._arguments = [value or 0 for value in record.arguments[: len(hypercall.args)]]
        self._end = 0
        self.buffers: list[Buffer] = []
        self.new_ports: list[int] = []

    def run(self) -> None:
        """Finds out all that there is. Raises `Unreplayable`."""
        found = list(self._reached())
        for reached in found:
            self._place(reached)
        for index, reached in enumerate(found):
            self._numbers(index, reached)
            self._handles(index, reached.element)
        for index, arg in enumerate(self._hypercall.args[: len(self._arguments)]):
            self._argument(index, arg.layout, arg.resource)

    def content(self, index: int) -> bytes:
        """The call in the agent's format."""
        prefix = self._calls._prefix
        parts = [
            struct.pack(f"{prefix}IIII", at, len(content), int(after is not None), 0)
            for at, content, after in zip(self._at, self._contents, self._afters, strict=True)
        ]
        parts += [
            struct.pack(f"{prefix}BBBBIQ", kind, size, buffer, 0, offset, value & _WORD)
            for kind, size, buffer, offset, value in self._places
        ]
        for before, after in zip(self._contents, self._afters, strict=True):
            parts.append(bytes(before) + bytes(-len(before) % 8))
            if after is not None:
                parts.append(after + bytes(-len(after) % 8))
        body = b"".join(parts)
        arguments = [*self._arguments, 0, 0, 0, 0, 0][:_ARGUMENTS]
        head = struct.Struct(f"{prefix}IIIHHq5Q")
        return (
            head.pack(
                head.size + len(body),
                index,
                self._record.number,
                len(self._at),
                len(self._places),
                self._record.result,
                *arguments,
            )
            + body
        )

    # ---- Memory ----

    def _reached(self) -> Iterator[Reached]:
        contents = [(one.address, one.before) for one in self._record.buffers if one.before]

        def read(address: int, size: int) -> bytes | None:
            for start, before in contents:
                if 0 <= address - start < len(before):
                    return before[address - start : address - start + size]
            return None

        reach = self._calls._reach
        for arg, value in zip(self._hypercall.args, self._arguments, strict=False):
            if value and arg.layout.target == "void" and arg.role is None and arg.count is None:
                raise Unreplayable("the ABI does not say what memory it reaches")
        recorded = {(one.name, one.address): one for one in self._record.buffers}
        for reached in reach.buffers(self._record.number, self._record.arguments, read):
            buffer = recorded.get((reached.name, reached.address))
            before = None if buffer is None else buffer.before
            if buffer is None or before is None or len(before) < reached.size:
                if self._record.result != self._calls._efault:
                    raise Unreplayable("its memory was not recorded")
                continue
            self.buffers.append(buffer)
            yield reached

    def _place(self, reached: Reached) -> None:
        """Gives a buffer room, at the same place in its page as in the trace."""
        buffer = self.buffers[len(self._at)]
        before = (buffer.before or b"")[: reached.size]
        at = self._end + (buffer.address - self._end) % PAGE
        self._end = at + len(before)
        if self._end > ARENA:
            raise Unreplayable("it reaches too much memory")
        after = None
        if reached.direction != "in" and buffer.after is not None:
            after = buffer.after[: reached.size]
            after = after if len(after) == len(before) else None
        self._at.append(at)
        self._contents.append(bytearray(before))
        self._afters.append(after)

    def _integer(self, content: bytes | bytearray, at: int, size: int) -> int:
        return int.from_bytes(content[at : at + size], self._calls._order)

    def _elements(self, index: int, element: Layout) -> range:
        size = len(self._contents[index])
        return range(0, size - element.size + 1, element.size) if element.size else range(0)

    # ---- What has another number here ----

    def _numbers(self, index: int, reached: Reached) -> None:
        content, element = self._contents[index], reached.element
        for start in self._elements(index, element):
            command = self._calls._reach.selected(
                self._hypercall, element, bytes(content[start : start + element.size])
            )
            numbers = self._calls._plans.numbers(
                element, command, reached.direction, reached.resource
            )
            for number in numbers:
                self._number(index, start, number, reached.direction)

    def _number(self, index: int, start: int, number: Number, direction: str) -> None:
        content = self._contents[index]
        at = start + number.offset
        if number.direction != "in" and number.resource == "port" and self._must_be:
            after = self._afters[index]
            whose = self._whose(after or b"", start, number)
            if after is not None and whose == self._calls._guest.domid:
                port = self._integer(after, at, number.size)
                if port < MOST_PORTS:
                    self.new_ports.append(port)
                    self._places.append((_NEW_PORT, number.size, index, at, port))
        if number.direction == "out":
            return
        value = self._integer(content, at, number.size)
        match number.resource:
            case "port":
                if self._whose(content, start, number) != self._calls._guest.domid:
                    raise Unreplayable("it names another domain's port")
                self._calls.need_port(value, self._must_be and direction == "in")
                self._places.append((_PORT, number.size, index, at, value))
            case "frame":
                if value >= NO_FRAME:
                    return
                if self._must_be or self._record.result in self._calls._found:
                    page = self._calls.page_of_frame(value)
                    self._places.append((_FRAME, number.size, index, at, page))
                else:  # by this number the agent may have a page that it needs
                    nowhere = value | _NOWHERE_BIT >> 8 * (8 - number.size)
                    content[at : at + number.size] = nowhere.to_bytes(
                        number.size, self._calls._order
                    )
            case "domain":
                new = self._calls.domid(value, self._record, number.field)
                content[at : at + number.size] = new.to_bytes(number.size, self._calls._order)
            case _:
                raise Unreplayable(
                    f"it names a {number.resource} of the guest's, which memory describes"
                )

    def _whose(self, content: bytes | bytearray, start: int, number: Number) -> int:
        """The agent's number of the domain whose port it is; -1: another's."""
        own = self._calls._guest
        if number.whose is None:
            return own.domid
        offset, size = number.whose
        domain = self._integer(content, start + offset, size)
        return own.domid if domain in (own.domain, own.domid, self._calls._self) else -1

    def _handles(self, index: int, element: Layout) -> None:
        for start in self._elements(index, element):
            for offset, size in _handles_in(element):
                at = start + offset
                value = self._integer(self._contents[index], at, size)
                if value:
                    kind, target = self._address(value)
                    self._places.append((kind, size, index, at, target))

    def _argument(self, index: int, layout: Layout, resource: str | None) -> None:
        value = self._arguments[index] & ((1 << 8 * layout.size) - 1)
        if layout.kind == "handle":
            if value:
                kind, target = self._address(value)
                self._places.append((kind, 8, _IN_ARGUMENTS, index, target))
        elif resource == "domain":
            name = self._hypercall.args[index].name
            self._arguments[index] = self._calls.domid(value, self._record, name)
        elif resource is not None:
            raise Unreplayable(f"it names a {resource} in a register")

    def _address(self, value: int) -> tuple[int, int]:
        """What stands for an address of the trace's: kind of place, and its value."""
        for buffer, at in zip(self.buffers, self._at, strict=True):
            if 0 <= value - buffer.address < len(buffer.before or b""):
                return _ADDRESS, at + value - buffer.address
        if self._record.result == self._calls._efault:
            return _NOWHERE, value % PAGE & ~7
        return _PAGE, self._calls.page_of_address(value) * PAGE + value % PAGE


def _handles_in(layout: Layout, base: int = 0) -> Iterator[tuple[int, int]]:
    """Offset and size of each handle in a structure; of a union's, the first."""
    for member in layout.fields:
        if member.layout.kind == "handle":
            yield base + member.offset, member.size
            if layout.kind == "union":
                return
        elif member.layout.fields:
            yield from _handles_in(member.layout, base + member.offset)
