"""The errors that abi/ declares with conditions, looked for as the description has them.

A condition that needs more than the arguments and the domains there are (the state of a port, a
sentence) is left to the command's handler.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from xenport.abi import expressions, targets
from xenport.abi.calls import ALWAYS, CALLER, Command
from xenport.abi.schema import XEN
from xenport.abi.targets import Target
from xenport.model.errors import XenError
from xenport.model.memory import PAGE_SIZE

if TYPE_CHECKING:
    import xenport.abi
    from xenport.abi.layout import Field, Layout
    from xenport.model.call import Call
    from xenport.model.domain import Domain

    Holds = Callable[[Call], bool]
    Read = Callable[[Call], int]

#: How many physical CPUs the machine has.
PCPUS = 1

#: What this Xen has of what a Xen may have; it was built much like Debian's.
FEATURES = frozenset({"latedenial", "livepatch", "memaccess", "profiling", "vuart"})


def check(
    abi: xenport.abi.Abi,
    guest: str,
    hypercall: xenport.abi.Hypercall,
    thing: xenport.abi.Hypercall | Command,
    *,
    buffers: bool,
) -> Callable[[Call], None] | None:
    """What raises the first error of ``thing`` (``hypercall`` or a command of it) that the call of
    a ``guest`` provokes; None if no condition can be decided.

    Memory that other handles than the argument's lead to, and whether the argument can be written,
    are looked at only with ``buffers``: a handler finds these out when it copies.
    """
    compiler = _Compiler(abi, hypercall, thing, buffers)
    found: list[tuple[Holds, str]] = []
    for error in thing.errors:
        when = {} if error.text == ALWAYS else error.when
        if guest in error.callers and when is not None:
            holds = compiler.all_of(when)
            if holds is not None:
                found.append((holds, error.errno))
    if not found:
        return None

    def run(call: Call) -> None:
        for holds, errno in found:
            if holds(call):
                raise XenError(errno)

    return run


class _Compiler:
    """Makes functions of the conditions of one command."""

    def __init__(
        self,
        abi: xenport.abi.Abi,
        hypercall: xenport.abi.Hypercall,
        thing: xenport.abi.Hypercall | Command,
        buffers: bool,
    ) -> None:
        self._abi = abi
        self._hypercall = hypercall
        self._thing = thing
        self._buffers = buffers
        self._self = abi.constant("DOMID_SELF")
        argument = next((arg for arg in hypercall.args if arg.role == "argument"), None)
        self._argument = argument.name if argument is not None else None
        is_array = argument is not None and argument.count is not None
        is_list = isinstance(thing, Command) and thing.arg is not None and thing.arg.count
        self._has_view = (
            (not is_array or hypercall.selector is not None)
            and not is_list
            and (isinstance(thing, Command) or not self._is_held())
            and (
                hypercall.selector is not None
                or (isinstance(thing, Command) and thing.arg is not None)
            )
        )

    def _is_held(self) -> bool:
        """Whether the structure is in one of a list of buffers, which is read before it."""
        return any(arg.holds for arg in self._hypercall.args)

    def all_of(self, when: Mapping[str, Any]) -> Holds | None:
        """Whether all conditions hold together; None if one of them cannot be decided."""
        parts: list[Holds] = []
        for name, condition in when.items():
            items = condition.items() if isinstance(condition, dict) else [(condition, None)]
            for kind, value in items:
                part = self._one(name, kind, value)
                if part is None:
                    return None
                parts.append(part if self._buffers else _unless_null(part, self._reads(name)))
        return lambda call: all(part(call) for part in parts)

    def _reads(self, name: str) -> bool:
        """Whether a condition on ``name`` looks into the argument."""
        if name in (CALLER, XEN):
            return False
        return not targets.find(self._hypercall, self._thing, name).is_register

    def _one(self, name: str, kind: str, value: Any) -> Holds | None:
        if name == CALLER:
            return self._caller(kind, value)
        if name == XEN:
            holds = (value in FEATURES) is (kind == "state")
            return lambda _call: holds
        target = targets.find(self._hypercall, self._thing, name)
        if kind in ("unreadable", "unwritable"):
            return self._memory(target, write=kind == "unwritable")
        read = self._read(target)
        if read is None:
            return None
        match kind:
            case "no_such":
                return self._no_such(value, read)
            case "state":
                return self._state(value, read, target)
            case "not_state":
                return _negated(self._state(value, read, target))
        numbers = [
            self._number(one, target) for one in (value if isinstance(value, list) else [value])
        ]
        return _compared(kind, numbers, read)

    def _number(self, value: Any, target: Target) -> int:
        """The number that a condition names, as a value of the target's type."""
        number = self._abi.engine.evaluate(value, None)
        return number if target.layout.signed else number & ((1 << 8 * target.layout.size) - 1)

    @staticmethod
    def _caller(kind: str, state: str) -> Holds | None:
        if state not in ("control", "hardware"):
            return None
        wanted = kind == "state"
        return lambda call: call.domain.is_control is wanted

    # ---- Values ----

    def _read(self, target: Target) -> Read | None:
        if target.is_register:
            name = target.name
            if target.layout.signed:
                return lambda call: call.signed(name)
            return lambda call: call[name]
        assert target.field is not None
        if not self._has_view:
            return None
        return self._member(target.offset, target.field)

    def _member(self, offset: int, member: Field) -> Read | None:
        layout = member.layout
        if layout.kind not in ("int", "handle") and not _is_bytes(layout):
            return None
        order = self._abi.architecture.data_model.endian
        size = member.size
        signed = layout.signed and member.bits is None
        shift = member.bit_offset or 0
        mask = (1 << member.bits) - 1 if member.bits is not None else -1

        def read(call: Call) -> int:
            buffer = _bytes(call)
            return int.from_bytes(buffer[offset : offset + size], order, signed=signed) >> shift & (
                mask
            )

        return read

    # ---- Memory ----

    def _memory(self, target: Target, *, write: bool) -> Holds | None:
        is_list = target.name == self._argument and self._is_held()
        if target.name == self._argument and self._has_view and not is_list:
            return self._argument_memory(write=write)
        if (not self._buffers and not is_list) or target.count == "nul":
            return None
        handle = self._read(target)
        count = self._count(target)
        element = target.layout.target
        if handle is None or count is None:
            return None
        size = 1 if element in (None, "void") else self._abi.sizeof(element or "")

        def fails(call: Call) -> bool:
            return _fails(call, handle(call), size * count(call), write=write)

        return fails

    def _argument_memory(self, *, write: bool) -> Holds | None:
        if write and not self._buffers:
            return None
        if not self._buffers:
            return lambda call: (
                call.handle != 0 and _fails(call, call.handle, self._size(), write=False)
            )
        return lambda call: _fails(call, call.handle, self._size(), write=write)

    def _size(self) -> int:
        """Bytes of the argument."""
        if self._hypercall.structure is not None:
            return self._hypercall.structure.size
        assert isinstance(self._thing, Command) and self._thing.arg is not None
        return self._thing.arg.layout.size

    def _count(self, target: Target) -> Read | None:
        """How many elements a handle reaches."""
        if target.count is None:
            return lambda _call: 1
        tree = expressions.expression(target.count)
        reads: dict[str, Read] = {}
        for name in expressions.names(tree):
            if target.is_register:
                reads[name] = lambda call, name=name: call[name]  # type: ignore[misc]
            elif target.scope is not None and name in target.scope:
                read = self._member(*target.scope[name])
                if read is None:
                    return None
                reads[name] = read

        def count(call: Call) -> int:
            return expressions.evaluate(
                tree,
                lambda name: reads[name](call) if name in reads else self._abi.constant(name),
                lambda _type: 0,
            )

        return count

    # ---- Objects ----

    def _domain(self, call: Call, number: int) -> Domain | None:
        if number == self._self:
            return call.domain
        return call.hypervisor.domains.get(number)

    def _no_such(self, kind: str, read: Read) -> Holds | None:
        match kind:
            case "domain":
                return lambda call: self._domain(call, read(call)) is None
            case "pcpu":
                return lambda call: read(call) >= PCPUS
            case "pirq":
                return lambda call: read(call) >= call.domain.cpu_class.pirq_count
            case "vcpu":
                return self._of_domain(lambda domain, number: number >= len(domain.vcpus), read)
            case "frame" if self._buffers:
                return self._of_domain(lambda domain, number: not domain.frames.owns(number), read)
        return None

    def _of_domain(self, is_missing: Callable[[Domain, int], bool], read: Read) -> Holds | None:
        """Whether the domain that the command is about has no such thing."""
        place = targets.domain_of(self._hypercall, self._thing)
        number = self._read(place) if place is not None else lambda _call: self._self
        if number is None:
            return None
        domain_number = number

        def missing(call: Call) -> bool:
            domain = self._domain(call, domain_number(call))
            return domain is None or is_missing(domain, read(call))

        return missing

    def _state(self, state: Any, read: Read, target: Target) -> Holds | None:
        match state:
            case "caller" if target.name.startswith("vcpu"):
                return lambda call: read(call) == call.vcpu.id
            case "caller":
                return lambda call: read(call) == call.domain.id
            case "hvm":

                def is_hvm(call: Call) -> bool:
                    domain = self._domain(call, read(call))
                    return domain is not None and domain.cpu_class.hvm

                return is_hvm
            case "foreign":

                def foreign(call: Call) -> bool:
                    domain = self._domain(call, read(call))
                    return domain not in (None, call.domain) and not call.domain.is_control

                return foreign
        return None


def _unless_null(holds: Holds, reads: bool) -> Holds:
    """What a null handle means is the handler's to know."""
    return (lambda call: call.handle != 0 and holds(call)) if reads else holds


def _negated(holds: Holds | None) -> Holds | None:
    if holds is None:
        return None
    known = holds  # a closure over what cannot be None
    return lambda call: not known(call)


def _is_bytes(layout: Layout) -> bool:
    """An array of numbers, such as padding: it is 0 if all of it is."""
    return layout.kind == "array" and layout.element is not None and layout.element.kind == "int"


def _compared(kind: str, numbers: list[int], read: Read) -> Holds | None:
    (number, *_) = numbers
    match kind:
        case "is":
            return lambda call: read(call) in numbers
        case "is_not":
            return lambda call: read(call) not in numbers
        case "above":
            return lambda call: read(call) > number
        case "below":
            return lambda call: read(call) < number
        case "misaligned":
            return lambda call: bool(read(call) % number)
        case "reserved_bits":
            return lambda call: bool(read(call) & number)
    return None


def _bytes(call: Call) -> bytearray:
    """What the argument points to, once copied."""
    _ = call.view
    assert call.buffer is not None
    return call.buffer


def _fails(call: Call, handle: int, length: int, *, write: bool) -> bool:
    """Whether the caller's memory cannot be read, or written, there."""
    done = 0
    try:
        while done < length:
            part = min(length - done, PAGE_SIZE)
            content = call.vcpu.copy_in(handle, part, done)
            if write:
                call.vcpu.copy_out(handle, content, done)
            done += part
    except XenError:
        return True
    return False
