"""The generic timers of a vcpu and the counters that they compare with, in virtual time.

The two counters are the same: the domain under test starts with the machine.

Source: Arm Architecture Reference Manual, The Generic Timer.
"""

from __future__ import annotations

from collections.abc import Callable

from xenport.model.clock import Clock
from xenport.model.cpu.arm64_core import system_register

#: Ticks of the counters in a second: those of QEMU's machines, a whole number of ns each.
FREQUENCY = 62_500_000
_TICK_NS = 1_000_000_000 // FREQUENCY

# CRm of the registers of each timer, which differ in op2.
PHYSICAL = 2
VIRTUAL = 3

#: CNTPCT and CNTVCT.
COUNTERS = (system_register(3, 3, 14, 0, 1), system_register(3, 3, 14, 0, 2))

_VALUE, _CONTROL, _COMPARE = range(3)

_ENABLE = 1 << 0
_MASKED = 1 << 1
_FIRED = 1 << 2

_WORD = (1 << 64) - 1
_NEVER = 1 << 200


def read_counter(clock: Clock) -> int:
    """What a read of either counter gives. Time passes with it."""
    return clock.read() // _TICK_NS


class GenericTimer:
    """One timer of one vcpu, PHYSICAL or VIRTUAL. ``expired()`` is called when it fires.

    ``readers`` and ``writers`` are its registers: functions by number.
    """

    def __init__(self, kind: int, clock: Clock, expired: Callable[[], None]) -> None:
        self._clock = clock
        self._timer = clock.timer(expired)
        self._control = 0
        self._compare = 0  # ticks
        self.deadline = _NEVER  #: ns since boot from which on it asks for an interrupt
        value, control, compare = (
            system_register(3, 3, 14, kind, op2) for op2 in (_VALUE, _CONTROL, _COMPARE)
        )
        self.readers: dict[int, Callable[[], int]] = {
            value: lambda: self._compare - self._count() & 0xFFFFFFFF,
            control: self._read_control,
            compare: lambda: self._compare,
        }
        self.writers: dict[int, Callable[[int], None]] = {
            value: self._write_value,
            control: self._write_control,
            compare: self._write_compare,
        }

    def _count(self) -> int:
        return read_counter(self._clock)

    def _read_control(self) -> int:
        fired = self._control & _ENABLE and self._count() >= self._compare
        return self._control | (_FIRED if fired else 0)

    def _write_control(self, value: int) -> None:
        self._control = value & (_ENABLE | _MASKED)
        self._changed()

    def _write_compare(self, value: int) -> None:
        self._compare = value
        self._changed()

    def _write_value(self, value: int) -> None:
        signed = (value & 0xFFFFFFFF ^ 0x80000000) - 0x80000000
        self._write_compare(self._count() + signed & _WORD)

    def _changed(self) -> None:
        if self._control & (_ENABLE | _MASKED) == _ENABLE:
            self.deadline = self._compare * _TICK_NS
            self._timer.set(self.deadline)
        else:
            self.deadline = _NEVER
            self._timer.cancel()
