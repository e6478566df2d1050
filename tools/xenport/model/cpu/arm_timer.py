"""The generic timers of a vcpu and the counters that they compare with, in virtual time.

The two counters are the same: the domain under test starts with the machine.

Source: Arm Architecture Reference Manual, The Generic Timer.
"""

from __future__ import annotations

from collections.abc import Callable

from xenport.model.clock import Clock

#: Ticks of the counters in a second: those of QEMU's machines, a whole number of ns each.
FREQUENCY = 62_500_000
_TICK_NS = 1_000_000_000 // FREQUENCY

_ENABLE = 1 << 0
_MASKED = 1 << 1
_FIRED = 1 << 2

_WORD = (1 << 64) - 1
_NEVER = 1 << 200


def read_counter(clock: Clock) -> int:
    """What a read of either counter gives. Time passes with it."""
    return clock.read() // _TICK_NS


class GenericTimer:
    """One timer of one vcpu. ``expired()`` is called when it fires. Each register of it, value
    (TVAL), control (CTL) and compare (CVAL), has a function to read and one to write it."""

    def __init__(self, clock: Clock, expired: Callable[[], None]) -> None:
        self._clock = clock
        self._timer = clock.timer(expired)
        self._control = 0
        self._compare = 0  # ticks
        self.deadline = _NEVER  #: ns since boot from which on it asks for an interrupt

    def _count(self) -> int:
        return read_counter(self._clock)

    def read_value(self) -> int:
        """Ticks that are left."""
        return self._compare - self._count() & 0xFFFFFFFF

    def read_control(self) -> int:
        """What was written, and whether it has fired."""
        fired = self._control & _ENABLE and self._count() >= self._compare
        return self._control | (_FIRED if fired else 0)

    def read_compare(self) -> int:
        """The deadline in ticks."""
        return self._compare

    def write_value(self, value: int) -> None:
        """Set the deadline to so many ticks from now; signed."""
        signed = (value & 0xFFFFFFFF ^ 0x80000000) - 0x80000000
        self.write_compare(self._count() + signed & _WORD)

    def write_control(self, value: int) -> None:
        """Start or stop it, let its interrupt through or not."""
        self._control = value & (_ENABLE | _MASKED)
        self._changed()

    def write_compare(self, value: int) -> None:
        """Set the deadline."""
        self._compare = value
        self._changed()

    def _changed(self) -> None:
        if self._control & (_ENABLE | _MASKED) == _ENABLE:
            self.deadline = self._compare * _TICK_NS
            self._timer.set(self.deadline)
        else:
            self.deadline = _NEVER
            self._timer.cancel()
