"""Files of xentrace: the records of a hypervisor's trace buffers, of which those of hypercalls of
PV guests (class ``TRC_PV``) count here.

A record is a header of 32 bits (28 of the event, 3 the number of words that follow, 1 whether a
time stamp stands between), little-endian. Xen writes neither the domain nor results nor memory, and
arguments only where they say how much there is to do.
"""

import struct
from collections.abc import Iterator
from typing import IO, NamedTuple

from xenport.abi import Abi
from xenport.trace.hcrec import Damage
from xenport.trace.record import Record

_WORD = struct.Struct("<I")
_STAMP = struct.Struct("<Q")
_EVENT = (1 << 28) - 1
_NUMBER = (1 << 20) - 1  # of the hypercall; above it two bits for each argument
_ARGUMENTS = 6
_NARROW, _WIDE = 1, 2


class _Event(NamedTuple):
    event: int
    stamp: int | None
    words: tuple[int, ...]


def looks_like(start: bytes) -> bool:
    """Whether a file that begins so is one of xentrace: it begins with the number of a CPU."""
    return len(start) >= 4 and _WORD.unpack_from(start)[0] & _EVENT == 0x1F003


class Recording:
    """The hypercalls of ``file``. ``tsc_mhz`` turns time stamps into time; else there is none.

    ``damage`` says afterwards where the file was cut off; ``lost`` is how many records Xen had no
    room for, ``inner`` how many hypercalls inside multicalls were left out: the file does not say
    which multicall they belong to.
    """

    def __init__(self, file: IO[bytes], abi: Abi, tsc_mhz: float | None) -> None:
        self._file = file
        self._tsc_mhz = tsc_mhz
        self._hypercall = abi.constant("TRC_PV_HYPERCALL_V2")
        self._inner = abi.constant("TRC_PV_HYPERCALL_SUBCALL")
        self._lost = abi.constant("TRC_LOST_RECORDS")
        self._known = abi.hypercall_by_number
        self.damage = Damage()
        self.lost = 0
        self.inner = 0

    def records(self) -> Iterator[Record]:
        """The hypercalls in the order of the file."""
        sequence = 0
        first: int | None = None
        for event, stamp, words in self._events():
            if event == self._lost and words:
                self.lost += words[0]
            elif event == self._inner:
                self.inner += 1
            elif event == self._hypercall and words:
                time = None
                if stamp is not None and self._tsc_mhz:
                    first = stamp if first is None else first
                    time = max(0, round((stamp - first) * 1000 / self._tsc_mhz))
                number = words[0] & _NUMBER
                yield Record(
                    sequence,
                    "",
                    time,
                    None,
                    None,
                    None,
                    "pv",
                    number,
                    self._arguments(number, words),
                    None,
                    False,
                    (),
                )
                sequence += 1

    def _arguments(self, number: int, words: tuple[int, ...]) -> tuple[int | None, ...]:
        found: list[int | None] = []
        rest = list(words[1:])
        for index in range(_ARGUMENTS):
            kind = words[0] >> 20 + 2 * index & 3
            if kind == _NARROW and rest:
                found.append(rest.pop(0))
            elif kind == _WIDE and len(rest) > 1:
                found.append(rest.pop(0) | rest.pop(0) << 32)
            else:
                found.append(None)
        hypercall = self._known.get(number)
        return tuple(found[: len(hypercall.args)] if hypercall else found)

    def _events(self) -> Iterator[_Event]:
        offset = 0
        while head := self._file.read(4):
            if len(head) < 4:
                self.damage = Damage("cut off in the middle of a record", offset)
                return
            (header,) = _WORD.unpack(head)
            count, stamped = header >> 28 & 7, header >> 31
            size = 8 * stamped + 4 * count
            content = self._file.read(size)
            if len(content) < size:
                self.damage = Damage("cut off in the middle of a record", offset)
                return
            stamp = _STAMP.unpack_from(content)[0] if stamped else None
            words = struct.unpack_from(f"<{count}I", content, 8 * stamped)
            yield _Event(header & _EVENT, stamp, words)
            offset += 4 + size
