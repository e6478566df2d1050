"""Real time: what the machine's counter says, in the model's nanoseconds."""

from __future__ import annotations

import time

from xenport.model.clock import Clock

_BILLION = 1_000_000_000


class RealClock(Clock):
    """A clock that follows the counter of a machine that runs at the pace of the host.

    The counter is seen only when a guest is left; in between, the host's clock goes on from there.
    The model sees the counter late, never early, so the smallest difference to the host's clock
    that was ever seen is the nearest to the truth: the time here is never behind the guest's.
    """

    def __init__(self, frequency: int) -> None:
        self.frequency = frequency  #: Hz, of the counter
        self._ahead: int | None = None  # ns of the host's clock when the counter was 0
        super().__init__()

    def seen(self, counter: int) -> None:
        """The counter had this value a moment ago."""
        ahead = time.monotonic_ns() - counter * _BILLION // self.frequency
        if self._ahead is None or ahead < self._ahead:
            self._ahead = ahead

    @property
    def now(self) -> int:
        """ns since the counter was 0."""
        return 0 if self._ahead is None else time.monotonic_ns() - self._ahead

    def counter_at(self, moment: int) -> int:
        """The value of the counter ``moment`` ns after it was 0."""
        return -(-moment * self.frequency // _BILLION)

    def read(self) -> int:
        self.hypercall()
        return self.now

    def yielded(self) -> None:
        pass

    def hypercall(self) -> None:
        if self.now >= self.next_deadline:
            self.expire()

    def jump(self) -> bool:
        if not self.has_timer():
            return False
        time.sleep(max(self.next_deadline - self.now, 0) / _BILLION)
        self.expire()
        return True
