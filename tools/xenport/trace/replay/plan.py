"""What is known of a hypercall's command before any record of it: where its memory is, and which of
its numbers name resources."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from xenport.abi import Abi, Command, Hypercall, Layout
from xenport.abi.schema import Direction
from xenport.trace.reach import Reach, Reached, argument_direction

MULTICALL = "multicall"

_COUNTER = re.compile(r"(?P<name>\w+)( & (?P<mask>0x[0-9a-f]+))?")
_WORD = 0xFFFF_FFFF

_OF_THE_MACHINE = ("sysctl", "platform_op", "domctl")
"""Hypercalls of which some frames are the machine's, and no guest's."""

BUILT = frozenset(
    {
        "XENMEM_current_reservation",
        "XENMEM_machine_memory_map",
        "XENMEM_maximum_gpfn",
        "XENMEM_maximum_ram_page",
        "XENMEM_maximum_reservation",
        "XENMEM_memory_map",
        "XEN_DOMCTL_getdomaininfo",
    }
)
"""Commands whose answer is the size of a domain or of the machine."""


_FOUND = ("EBUSY", "EEXIST", "EOPNOTSUPP")


def frames_found(abi: Abi) -> frozenset[int]:
    """Results of calls that failed although Xen had found the frames that they name."""
    return frozenset(-abi.errno(name) for name in _FOUND)


class Number(NamedTuple):
    """An integer that names a resource."""

    offset: int  #: bytes from the start of the structure
    size: int
    resource: str
    direction: Direction
    whose: (
        tuple[int, int] | None
    )  #: offset and size of the domid_t that says so; None: the caller's
    field: str = ""  #: its name, or that of the domid_t which says whose it is
    is_machine_frame: bool = False  #: where a hypercall names such


class Pointer(NamedTuple):
    """An argument that leads to structures of one kind, in which no handle leads on."""

    argument: int  #: its index
    counter: tuple[int, int] | None  #: index and mask of what counts them; None: there is one
    reached: Reached  #: one of them, at no address
    numbers: tuple[Number, ...]


@dataclass(frozen=True)
class Plan:
    """How calls of one command are replayed."""

    hypercall: Hypercall
    registers: tuple[tuple[int, int, str], ...]  #: index, mask and kind of what names a resource
    pointers: tuple[Pointer, ...] | None  #: None: what memory there is takes `Reach` to find out
    opaque: tuple[int, ...]  #: arguments that lead to memory of which the ABI says nothing
    has_memory: bool  #: there may be some that it reaches
    is_multicall: bool
    asks_whether_up: bool  #: of a vcpu
    may_ask_builder: bool  #: the command, or one that stands in memory, is one of `BUILT`


class Plans:
    """Makes the plans for one kind of guest of one ABI. Of those whose frames are the machine's
    (not ``translated``) the numbers of frames are nothing to translate."""

    def __init__(self, abi: Abi, reach: Reach, *, translated: bool) -> None:
        self._abi = abi
        self._reach = reach
        self._translated = translated
        self._known: dict[tuple[str, str, Direction, str | None], tuple[Number, ...]] = {}

    def plan(self, hypercall: Hypercall, command: Command | None) -> Plan:
        """The plan for ``command``, which a register names, or for all calls of ``hypercall``."""
        registers = tuple(
            (index, (1 << 8 * arg.layout.size) - 1, arg.resource)
            for index, arg in enumerate(hypercall.args)
            if arg.resource is not None and arg.layout.kind == "int" and self._counts(arg.resource)
        )
        opaque = tuple(
            index
            for index, arg in enumerate(hypercall.args)
            if arg.layout.target == "void" and arg.role is None and arg.count is None
        )
        names = hypercall.commands if command is None else (command.name,)
        may_ask_builder = not BUILT.isdisjoint(names)
        pointers = self._pointers(hypercall, command)
        return Plan(
            hypercall,
            registers,
            pointers,
            opaque,
            pointers != (),
            hypercall.name == MULTICALL,
            "VCPUOP_is_up" in names,
            may_ask_builder,
        )

    def _counts(self, resource: str) -> bool:
        return self._translated or resource != "frame"

    def _pointers(
        self, hypercall: Hypercall, command: Command | None
    ) -> tuple[Pointer, ...] | None:
        by_register = self._reach.command_index(hypercall) is not None
        found = []
        for index, arg in enumerate(hypercall.args):
            if arg.layout.kind != "handle":
                continue
            element, count, direction = None, arg.count, arg.direction
            if arg.role == "argument" and by_register:
                if command is None or command.arg is None:
                    continue
                element, count = command.arg.layout, command.arg.count
                direction = command.arg.direction
            elif arg.layout.target == "void":
                if count is None:
                    continue
                return None
            else:
                element = self._abi.layout(arg.layout.target or "void")
            counter = self._counter(hypercall, count)
            if (count is not None and counter is None) or not self._is_plain(hypercall, element):
                return None
            if element.fields and arg.role == "argument":
                direction = argument_direction(element)
            reached = Reached(arg.name, 0, element.size, direction, element, element.resource)
            numbers = self.numbers(element, None, direction, reached.resource)
            found.append(Pointer(index, counter, reached, numbers))
        return tuple(found)

    @staticmethod
    def _counter(hypercall: Hypercall, count: str | None) -> tuple[int, int] | None:
        """The argument that counts, and which of its bits do; None if it is not as simple."""
        match = _COUNTER.fullmatch(count or "")
        names = [arg.name for arg in hypercall.args]
        if match is None or match["name"] not in names:
            return None
        mask = int(match["mask"], 16) if match["mask"] else _WORD
        return names.index(match["name"]), mask

    def _is_plain(self, hypercall: Hypercall, element: Layout) -> bool:
        """Whether its size and its numbers are always the same, and it leads nowhere."""
        if not element.size or element.is_flexible or self._reach.leads_on(element):
            return False
        if hypercall.selector is None or hypercall.selector not in element.by_name:
            return True
        # Which members of its unions hold is for the command in it to say.
        unions = [field.layout for field in element.fields if field.layout.kind == "union"]
        return not any(self._names_resource(union) for union in unions)

    def _names_resource(self, layout: Layout) -> bool:
        return any(
            (field.resource is not None and self._counts(field.resource))
            or self._names_resource(field.layout)
            for field in layout.fields
        )

    def numbers(
        self,
        element: Layout,
        command: Command | None,
        direction: Direction,
        resource: str | None,
    ) -> tuple[Number, ...]:
        """The numbers of resources in ``element``, of which ``command``, if given, is the one that
        it holds itself; ``direction`` and ``resource`` are those of what has no members."""
        key = (element.name, "" if command is None else command.name, direction, resource)
        if key not in self._known:
            self._known[key] = self._numbers(element, command, direction, resource)
        return self._known[key]

    def _numbers(
        self,
        element: Layout,
        command: Command | None,
        direction: Direction,
        resource: str | None,
    ) -> tuple[Number, ...]:
        if not element.fields:
            found = [Number(0, element.size, resource, direction, None)] if resource else []
        else:
            arg = None if command is None else command.arg
            wanted = "" if arg is None or arg.member is None else arg.member
            found = list(_members(element, wanted.rpartition(".")[2]))
            if command is not None and command.hypercall in _OF_THE_MACHINE:
                found = [one for one in found if not one.is_machine_frame]
        return tuple(one for one in found if self._counts(one.resource))


def _members(layout: Layout, wanted: str, base: int = 0) -> Iterator[Number]:
    """The numbers in a structure; of a union the member ``wanted`` alone, since nothing says which
    of the others hold."""
    for field in layout.fields:
        if layout.kind == "union" and field.name != wanted:
            if not wanted and field.resource == "grant":  # or a frame: flags say which
                yield Number(base + field.offset, field.size, "grant", field.direction, None)
            continue
        at = base + field.offset
        if field.layout.fields:
            yield from _members(field.layout, wanted, at)
        elif field.layout.kind == "int" and field.resource is not None:
            whose, name = None, field.name
            if name.endswith("port"):
                # The ports of another domain: `remote_port` beside `remote_dom`.
                domain = layout.by_name.get(name.removesuffix("port") + "dom")
                if domain is not None:
                    whose, name = (base + domain.offset, domain.size), domain.name
            is_machine_frame = field.resource == "frame" and "gfn" not in field.name
            yield Number(
                at, field.size, field.resource, field.direction, whose, name, is_machine_frame
            )
