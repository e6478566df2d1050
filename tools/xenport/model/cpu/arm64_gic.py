"""The GICv3 that Xen shows a guest, as far as private interrupts of one vcpu need it.

The only sources are levels: events and timers. There are no shared interrupts, no LPIs, no
software-generated ones; their registers read as zero and ignore writes. Source: Arm IHI 0069.
"""

from __future__ import annotations

from collections.abc import Callable

from xenport.model.cpu.arm64_core import system_register

PRIVATE_INTERRUPTS = 32
SPURIOUS = 1023
FRAME_SIZE = 0x10000
REDISTRIBUTOR_SIZE = 2 * FRAME_SIZE  #: of each vcpu: its own frame, and the private interrupts'

_IDLE_PRIORITY = 0xFF

# Distributor.
_GICD_CTLR = 0x0000
_GICD_TYPER = 0x0004
_CTLR_GROUP1 = 1 << 1
_CTLR_AFFINITY = 1 << 4
_CTLR_WRITABLE = _CTLR_GROUP1 | _CTLR_AFFINITY
_TYPER_ID_BITS = 9 << 19  # interrupt ids have ten bits

# Redistributor: the vcpu's frame.
_GICR_TYPER = 0x0008
_GICR_TYPER_HIGH = 0x000C
_GICR_WAKER = 0x0014
_TYPER_LAST = 1 << 4
_WAKER_SLEEP = 1 << 1
_WAKER_CHILDREN_ASLEEP = 1 << 2

# Redistributor: the frame of private interrupts.
_GICR_IGROUPR0 = 0x0080
_GICR_ISENABLER0 = 0x0100
_GICR_ICENABLER0 = 0x0180
_GICR_ISPENDR0 = 0x0200
_GICR_ICPENDR0 = 0x0280
_GICR_ISACTIVER0 = 0x0300
_GICR_ICACTIVER0 = 0x0380
_GICR_IPRIORITYR = 0x0400

# In every frame.
_PIDR2 = 0xFFE8
_PIDR2_GICV3 = 0x30

# CPU interface.
ICC_PMR = system_register(3, 0, 4, 6, 0)
ICC_IAR1 = system_register(3, 0, 12, 12, 0)
ICC_EOIR1 = system_register(3, 0, 12, 12, 1)
ICC_HPPIR1 = system_register(3, 0, 12, 12, 2)
ICC_BPR1 = system_register(3, 0, 12, 12, 3)
ICC_CTLR = system_register(3, 0, 12, 12, 4)
ICC_SRE = system_register(3, 0, 12, 12, 5)
ICC_IGRPEN1 = system_register(3, 0, 12, 12, 7)
ICC_RPR = system_register(3, 0, 12, 11, 3)

_SRE_FIXED = 7  # system registers are the only interface
_CTLR_PRIORITY_BITS = 7 << 8


class Distributor:
    """The part that the vcpus of a domain share."""

    def __init__(self) -> None:
        self.control = 0

    @property
    def is_enabled(self) -> bool:
        """Are interrupts forwarded at all?"""
        return self.control & _CTLR_GROUP1 != 0

    def read(self, offset: int, _size: int) -> int:
        """A register of its frame."""
        return {
            _GICD_CTLR: self.control,
            _GICD_TYPER: _TYPER_ID_BITS,
            _PIDR2: _PIDR2_GICV3,
        }.get(offset, 0)

    def write(self, offset: int, _size: int, value: int) -> None:
        """Write a register of its frame."""
        if offset == _GICD_CTLR:
            self.control = value & _CTLR_WRITABLE


class Gic:
    """Redistributor and CPU interface of vcpu ``number``. ``levels()`` has a bit for each private
    interrupt whose source asserts it now.

    ``readers`` and ``writers`` are the CPU interface: functions by the number of the register.
    """

    def __init__(
        self, distributor: Distributor, number: int, *, is_last: bool, levels: Callable[[], int]
    ) -> None:
        self._distributor = distributor
        self._levels = levels
        self._type = number << 8 | (_TYPER_LAST if is_last else 0)
        self._affinity = number
        self._waker = _WAKER_SLEEP | _WAKER_CHILDREN_ASLEEP
        self._group1 = 0
        self._enabled = 0
        self._active = 0
        self._priorities = bytearray(PRIVATE_INTERRUPTS)
        self._priority_mask = 0
        self._binary_point = 0
        self._group1_enabled = 0
        self._running: list[int] = []  # priorities of what is being handled, the latest last
        self.readers: dict[int, Callable[[], int]] = {
            ICC_PMR: lambda: self._priority_mask,
            ICC_IAR1: self._acknowledge,
            ICC_HPPIR1: self.highest,
            ICC_BPR1: lambda: self._binary_point,
            ICC_CTLR: lambda: _CTLR_PRIORITY_BITS,
            ICC_SRE: lambda: _SRE_FIXED,
            ICC_IGRPEN1: lambda: self._group1_enabled,
            ICC_RPR: self._running_priority,
        }
        self.writers: dict[int, Callable[[int], None]] = {
            ICC_PMR: self._set_priority_mask,
            ICC_EOIR1: self._end,
            ICC_BPR1: self._set_binary_point,
            ICC_CTLR: lambda _value: None,
            ICC_SRE: lambda _value: None,
            ICC_IGRPEN1: self._set_group1_enabled,
        }

    # ---- What the vcpu is told ----

    def highest(self) -> int:
        """The interrupt that the vcpu would take now, or SPURIOUS."""
        if not (self._distributor.is_enabled and self._group1_enabled):
            return SPURIOUS
        candidates = self._levels() & self._enabled & self._group1 & ~self._active
        best = SPURIOUS
        priority = min(self._priority_mask, self._running_priority())
        while candidates:
            interrupt = (candidates & -candidates).bit_length() - 1
            candidates &= candidates - 1
            if self._priorities[interrupt] < priority:
                best = interrupt
                priority = self._priorities[interrupt]
        return best

    def _running_priority(self) -> int:
        return self._running[-1] if self._running else _IDLE_PRIORITY

    def _acknowledge(self) -> int:
        interrupt = self.highest()
        if interrupt != SPURIOUS:
            self._active |= 1 << interrupt
            self._running.append(self._priorities[interrupt])
        return interrupt

    def _end(self, interrupt: int) -> None:
        if interrupt < PRIVATE_INTERRUPTS:
            self._active &= ~(1 << interrupt)
            if self._running:
                self._running.pop()

    def _set_priority_mask(self, value: int) -> None:
        self._priority_mask = value & 0xFF

    def _set_binary_point(self, value: int) -> None:
        self._binary_point = value & 7

    def _set_group1_enabled(self, value: int) -> None:
        self._group1_enabled = value & 1

    # ---- Registers in memory ----

    def read(self, offset: int, size: int) -> int:
        """Read ``size`` bytes at ``offset`` of the redistributor."""
        if offset >= FRAME_SIZE:
            return self._read_private(offset - FRAME_SIZE, size)
        if offset == _GICR_TYPER and size == 8:
            return self._affinity << 32 | self._type
        return {
            _GICR_TYPER: self._type,
            _GICR_TYPER_HIGH: self._affinity,
            _GICR_WAKER: self._waker,
            _PIDR2: _PIDR2_GICV3,
        }.get(offset, 0)

    def _read_private(self, offset: int, size: int) -> int:
        priority = offset - _GICR_IPRIORITYR
        if 0 <= priority < PRIVATE_INTERRUPTS:
            return int.from_bytes(self._priorities[priority : priority + size], "little")
        if offset in (_GICR_ISPENDR0, _GICR_ICPENDR0):
            return self._levels()
        return {
            _GICR_IGROUPR0: self._group1,
            _GICR_ISENABLER0: self._enabled,
            _GICR_ICENABLER0: self._enabled,
            _GICR_ISACTIVER0: self._active,
            _GICR_ICACTIVER0: self._active,
            _PIDR2: _PIDR2_GICV3,
        }.get(offset, 0)

    def write(self, offset: int, size: int, value: int) -> None:
        """Write ``size`` bytes at ``offset`` of the redistributor."""
        if offset >= FRAME_SIZE:
            self._write_private(offset - FRAME_SIZE, size, value)
        elif offset == _GICR_WAKER:
            asleep = bool(value & _WAKER_SLEEP)
            self._waker = (_WAKER_SLEEP | _WAKER_CHILDREN_ASLEEP) if asleep else 0

    def _write_private(self, offset: int, size: int, value: int) -> None:
        priority = offset - _GICR_IPRIORITYR
        if 0 <= priority < PRIVATE_INTERRUPTS:
            self._priorities[priority : priority + size] = value.to_bytes(size, "little")
        elif offset == _GICR_IGROUPR0:
            self._group1 = value
        elif offset == _GICR_ISENABLER0:
            self._enabled |= value
        elif offset == _GICR_ICENABLER0:
            self._enabled &= ~value
        elif offset == _GICR_ISACTIVER0:
            self._active |= value
        elif offset == _GICR_ICACTIVER0:
            self._active &= ~value
