"""The interrupt controller that Xen shows a guest, as far as private interrupts need it: what
GICv2 and GICv3 have in common.

The only sources are levels: events and timers. There are no shared interrupts, no LPIs, no
software-generated ones; their registers read as zero and ignore writes. Sources: Arm IHI 0048,
IHI 0069.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

PRIVATE_INTERRUPTS = 32
SPURIOUS = 1023

_IDLE_PRIORITY = 0xFF

# Registers of private interrupts, in GICv2's distributor and in GICv3's redistributors.
_IGROUPR0 = 0x0080
_ISENABLER0 = 0x0100
_ICENABLER0 = 0x0180
_ISPENDR0 = 0x0200
_ICPENDR0 = 0x0280
_ISACTIVER0 = 0x0300
_ICACTIVER0 = 0x0380
_IPRIORITYR = 0x0400


Read = Callable[[int, int], int]
"""Registers in memory: a function of offset and size in bytes."""

Write = Callable[[int, int, int], None]
"""The same, of offset, size and value."""

Encoding = tuple[int, int, int, int]
"""A system register, which 32-bit guests know as one of coprocessor 15: op1, CRn, CRm, op2."""


class Distributor:
    """The part that the vcpus of a domain share. ``control`` is its register CTLR."""

    def __init__(self, *, enable: int, writable: int) -> None:
        self._enable = enable
        self._writable = writable
        self.control = 0
        self.interfaces: list[Gic] = []  #: the parts of the vcpus, in their order

    @property
    def is_enabled(self) -> bool:
        """Are interrupts forwarded at all?"""
        return self.control & self._enable != 0

    def set_control(self, value: int) -> None:
        """Write CTLR."""
        self.control = value & self._writable


class Gic(ABC):
    """The part of vcpu ``number`` of ``count``. ``levels()`` has a bit for each private interrupt
    whose source asserts it now. ``distributor`` is that of the vcpus before, if there are any."""

    #: CTLR of the distributor: what forwards interrupts, and all that can be written.
    control_enable: ClassVar[int]
    control_writable: ClassVar[int]

    #: Private interrupts that are in group 1, the one that is forwarded, before the guest says so.
    first_groups: ClassVar[int] = 0

    def __init__(
        self,
        number: int,
        count: int,
        levels: Callable[[], int],
        distributor: Distributor | None = None,
    ) -> None:
        self.number = number
        self.count = count
        self.distributor = distributor or Distributor(
            enable=self.control_enable, writable=self.control_writable
        )
        self.distributor.interfaces.append(self)
        #: System registers of the CPU interface.
        self.readers: Mapping[Encoding, Callable[[], int]] = {}
        self.writers: Mapping[Encoding, Callable[[int], None]] = {}
        self._levels = levels
        self._group1 = self.first_groups
        self._enabled = 0
        self._active = 0
        self._priorities = bytearray(PRIVATE_INTERRUPTS)
        self._interface_enabled = 0
        self._priority_mask = 0
        self._binary_point = 0
        self._running: list[int] = []  # priorities of what is being handled, the latest last

    @abstractmethod
    def in_memory(self) -> Sequence[tuple[Read, Write]]:
        """The registers in memory: those of the distributor, and of the second region."""

    # ---- What the vcpu is told ----

    def highest(self) -> int:
        """The interrupt that the vcpu would take now, or SPURIOUS."""
        if not (self.distributor.is_enabled and self._interface_enabled):
            return SPURIOUS
        candidates = self._levels() & self._enabled & self._group1 & ~self._active
        best = SPURIOUS
        priority = min(self._priority_mask, self.running_priority())
        while candidates:
            interrupt = (candidates & -candidates).bit_length() - 1
            candidates &= candidates - 1
            if self._priorities[interrupt] < priority:
                best = interrupt
                priority = self._priorities[interrupt]
        return best

    def running_priority(self) -> int:
        """That of the interrupt that is being handled."""
        return self._running[-1] if self._running else _IDLE_PRIORITY

    def acknowledge(self) -> int:
        """Take the highest interrupt, if there is one."""
        interrupt = self.highest()
        if interrupt != SPURIOUS:
            self._active |= 1 << interrupt
            self._running.append(self._priorities[interrupt])
        return interrupt

    def end(self, interrupt: int) -> None:
        """The interrupt has been handled."""
        if interrupt < PRIVATE_INTERRUPTS:
            self._active &= ~(1 << interrupt)
            if self._running:
                self._running.pop()

    def set_priority_mask(self, value: int) -> None:
        """Let through what is more urgent than this."""
        self._priority_mask = value & 0xFF

    def set_binary_point(self, value: int) -> None:
        """How priorities are split; without effect here."""
        self._binary_point = value & 7

    def set_interface_enabled(self, value: int) -> None:
        """Bit 0: interrupts reach the vcpu."""
        self._interface_enabled = value & 1

    # ---- Registers in memory ----

    def read_private(self, offset: int, size: int) -> int:
        """Read ``size`` bytes at ``offset`` of the registers of private interrupts."""
        priority = offset - _IPRIORITYR
        if 0 <= priority < PRIVATE_INTERRUPTS:
            return int.from_bytes(self._priorities[priority : priority + size], "little")
        if offset in (_ISPENDR0, _ICPENDR0):
            return self._levels()
        return {
            _IGROUPR0: self._group1,
            _ISENABLER0: self._enabled,
            _ICENABLER0: self._enabled,
            _ISACTIVER0: self._active,
            _ICACTIVER0: self._active,
        }.get(offset, 0)

    def write_private(self, offset: int, size: int, value: int) -> None:
        """Write ``size`` bytes there."""
        priority = offset - _IPRIORITYR
        if 0 <= priority < PRIVATE_INTERRUPTS:
            self._priorities[priority : priority + size] = value.to_bytes(size, "little")
        elif offset == _IGROUPR0:
            self._group1 = value
        elif offset == _ISENABLER0:
            self._enabled |= value
        elif offset == _ICENABLER0:
            self._enabled &= ~value
        elif offset == _ISACTIVER0:
            self._active |= value
        elif offset == _ICACTIVER0:
            self._active &= ~value
