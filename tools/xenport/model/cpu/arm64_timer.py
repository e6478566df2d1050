"""The virtual timer of a vcpu and the counter that it compares with, in virtual time.

Source: Arm Architecture Reference Manual, The Generic Timer.
"""

from __future__ import annotations

from collections.abc import Callable

from xenport.model.clock import VirtualClock
from xenport.model.cpu.arm64_core import system_register

#: Ticks of the counters in a second: those of QEMU's machines, a whole number of ns each.
FREQUENCY = 62_500_000
_TICK_NS = 1_000_000_000 // FREQUENCY

_CNTPCT = system_register(3, 3, 14, 0, 1)
_CNTVCT = system_register(3, 3, 14, 0, 2)
_CNTV_TVAL = system_register(3, 3, 14, 3, 0)
_CNTV_CTL = system_register(3, 3, 14, 3, 1)
_CNTV_CVAL = system_register(3, 3, 14, 3, 2)

_ENABLE = 1 << 0
_MASKED = 1 << 1
_FIRED = 1 << 2

_WORD = (1 << 64) - 1
_NEVER = 1 << 200


class VirtualTimer:
    """Counter and timer of one vcpu. ``expired()`` is called when the timer fires.

    ``readers`` and ``writers`` are its registers: functions by number.
    """

    def __init__(self, clock: VirtualClock, expired: Callable[[], None]) -> None:
        self._clock = clock
        self._timer = clock.timer(expired)
        self._control = 0
        self._compare = 0  # ticks
        self.deadline = _NEVER  #: ns since boot from which on it asks for an interrupt
        self.readers: dict[int, Callable[[], int]] = {
            _CNTPCT: self._count,
            _CNTVCT: self._count,
            _CNTV_TVAL: lambda: self._compare - self._count() & 0xFFFFFFFF,
            _CNTV_CTL: self._read_control,
            _CNTV_CVAL: lambda: self._compare,
        }
        self.writers: dict[int, Callable[[int], None]] = {
            _CNTV_TVAL: self._write_value,
            _CNTV_CTL: self._write_control,
            _CNTV_CVAL: self._write_compare,
        }

    def _count(self) -> int:
        return self._clock.read() // _TICK_NS

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
