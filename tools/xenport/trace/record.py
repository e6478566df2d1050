"""What a trace is made of."""

from dataclasses import dataclass
from typing import NamedTuple


class Buffer(NamedTuple):
    """Memory of the guest that a hypercall reaches.

    ``before`` and ``after`` are its bytes when the hypercall was made and when it had returned;
    they are shorter than what the ABI says where no more could be read or was recorded, and None
    where nothing was.
    """

    name: str  #: the argument, or from there the path of the handle that leads here
    address: int  #: the guest's own
    before: bytes | None
    after: bytes | None


def signed(value: int, bits: int) -> int:
    """The number in a register of so many bits, of which ``value`` may have more."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


class Record(NamedTuple):
    """One hypercall. What the source of the trace does not know is None."""

    sequence: int  #: from 0, in the order in which the hypercalls were made
    boot: str  #: the start of the machine; empty if there is one only
    time: int | None  #: nanoseconds since the boot began to be recorded
    returned: int | None  #: the same, of the return
    domain: int | None
    vcpu: int | None
    caller: str  #: kind of guest, as in abi/
    number: int
    arguments: tuple[int | None, ...]  #: registers, unsigned
    result: int | None  #: signed; None too if it never returned
    continued: bool  #: interrupted by Xen, which made the guest call again: no result yet
    buffers: tuple[Buffer, ...]


class CallKind(NamedTuple):
    """What records that say the same of who called what have in common."""

    boot: str
    domain: int | None
    vcpu: int | None
    caller: str
    number: int
    succeeded: bool  #: its result is none or no error

    @classmethod
    def of(cls, record: Record) -> "CallKind":
        """The kind of ``record``."""
        boot, domain, vcpu = record.boot, record.domain, record.vcpu
        succeeded = record.result is None or record.result >= 0
        return cls(boot, domain, vcpu, record.caller, record.number, succeeded)


@dataclass(frozen=True)
class Metadata:
    """What holds for a whole trace."""

    architecture: str
    release: str
    provenance: str  #: what ran where, and how it was recorded
