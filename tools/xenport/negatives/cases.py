"""What a refused call is made of."""

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

#: Far above any domain that a port has running, and below DOMID_FIRST_RESERVED.
NO_DOMAIN = 0x7000
#: Every release knows so many vcpus, and no environment has them.
NO_VCPU = 31
NO_PORT = 0x7FFF_FFFF
NO_PIRQ = 0x7FFF_FFFF
NO_PCPU = 0x7FFF_FFFF
#: Beyond all memory, and small enough to be shifted to an address.
NO_FRAME = 0x7F_FFFF_FFFF


class Special(IntEnum):
    """A value that only the running kernel knows, as ``conformance/cases/negatives.h`` has it."""

    CONSTANT = 0
    ARGUMENT = 1  # the address of the argument's buffer
    SECOND = 2  # the address of another one
    NOWHERE = 3  # an address without memory
    READONLY = 4  # the address of the argument, where it can be read and not written
    OWN_DOMAIN = 5  # the number of the calling domain
    FRAME = 6  # a frame of the kernel's memory
    PORT_FREE = 7  # a port that is closed
    PORT_UNBOUND = 8
    PORT_INTERDOMAIN = 9
    PORT_VIRQ = 10
    PORT_IPI = 11
    VIRQ_BOUND = 12  # a virq of vcpu 0 that has a port


#: The states of ports that a kernel can make, and the special of each.
PORT_STATES = {
    "free": Special.PORT_FREE,
    "unbound": Special.PORT_UNBOUND,
    "interdomain": Special.PORT_INTERDOMAIN,
    "virq": Special.PORT_VIRQ,
    "ipi": Special.PORT_IPI,
}

Value = int | Special


class Area(IntEnum):
    """Where a value stands."""

    REGISTER = 0
    ARGUMENT = 1
    SECOND = 2


class Slot(NamedTuple):
    """The place of a value; ``offset`` is the index of a register, or bytes from the area's start.
    A bit field has its ``shift`` and ``bits`` in the unit of ``size`` bytes."""

    area: Area
    offset: int
    size: int
    signed: bool = False
    shift: int = 0
    bits: int = 0


@dataclass(frozen=True)
class Situation:
    """Who calls: a kind of guest, and whether it is the control domain."""

    guest: str
    is_control: bool

    def __str__(self) -> str:
        return f"{self.guest} {'dom0' if self.is_control else 'domU'}"


@dataclass(frozen=True)
class Case:
    """A call that is refused with ``errno``; everything that ``values`` does not name is 0."""

    hypercall: str
    command: str  # or the hypercall, where it is about all commands
    errno: str
    condition: str  # in words
    place: str  # where abi/ declares it: "abi/sched.yaml:104"
    values: tuple[tuple[Slot, Value], ...]
    words: frozenset[str] = frozenset()  # what the environment has to provide
    situations: tuple[Situation, ...] = ()


@dataclass(frozen=True)
class Refused:
    """An error that no call is made for."""

    hypercall: str
    command: str
    errno: str
    condition: str
    situation: Situation
    reason: str
