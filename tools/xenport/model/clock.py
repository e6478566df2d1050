"""Time since boot, and the timers that wait for it.

`VirtualClock` is the one of Unicorn's processors: nanoseconds pass only when the model says so.
Nothing of it looks at the host's clock, so a run gives the same bytes every time. Time passes a
little with every hypercall and every read of a counter, and jumps to the next timer when no vcpu
can run. A guest that does nothing but read a counter and yield is waiting: each such step in a row
takes longer than the one before, so that a wait of a second costs thousands of steps, not millions.
"""

from __future__ import annotations

import heapq
from abc import ABC, abstractmethod
from collections.abc import Callable

WALL_CLOCK_SECONDS = 1_000_000_000  #: since 1970, when the machine boots

HYPERCALL_NS = 400  #: what a hypercall takes
READ_NS = 100  #: what the first read of a counter takes
READ_GROWTH_NS = 8  #: how much longer each further read in a row takes …
READ_LIMIT_NS = 50_000  #: … up to this

_NEVER = 1 << 200


class Timer:
    """Calls its callback once, when virtual time has reached the deadline."""

    def __init__(self, clock: Clock, callback: Callable[[], None]) -> None:
        self._clock = clock
        self._callback = callback
        self.deadline: int | None = None  #: ns since boot; None: stopped

    def set(self, deadline_ns: int) -> None:
        """Fire at ``deadline_ns`` (at once if that is past), instead of any deadline before."""
        self.deadline = deadline_ns
        self._clock.enqueue(self)

    def cancel(self) -> None:
        """Do not fire."""
        self.deadline = None

    def fire(self) -> None:
        """The deadline is reached."""
        self.deadline = None
        self._callback()


class Clock(ABC):
    """Time since boot and the timers that wait for it."""

    def __init__(self) -> None:
        self.next_deadline = _NEVER  #: no timer is due before; may be early, never late
        self._queue: list[tuple[int, int, Timer]] = []
        self._sequence = 0

    @property
    @abstractmethod
    def now(self) -> int:
        """ns since boot"""

    @abstractmethod
    def read(self) -> int:
        """A guest reads its counter. Returns ns since boot."""

    @abstractmethod
    def yielded(self) -> None:
        """A vcpu gives its time away with the present hypercall."""

    @abstractmethod
    def hypercall(self) -> None:
        """A hypercall has been carried out."""

    @abstractmethod
    def jump(self) -> bool:
        """Nothing runs: go to the next timer and fire it. False if there is none."""

    def timer(self, callback: Callable[[], None]) -> Timer:
        """A stopped timer."""
        return Timer(self, callback)

    def enqueue(self, timer: Timer) -> None:
        """A timer's deadline has been set."""
        assert timer.deadline is not None
        self._sequence += 1
        heapq.heappush(self._queue, (timer.deadline, self._sequence, timer))
        self.next_deadline = self._queue[0][0]

    def expire(self) -> None:
        """Fire every timer that is due, earliest first."""
        while self._queue and self._queue[0][0] <= self.now:
            deadline, _, timer = heapq.heappop(self._queue)
            if timer.deadline == deadline:
                timer.fire()
        self.has_timer()

    def has_timer(self) -> bool:
        """Is any timer set? `next_deadline` is exact then."""
        while self._queue and self._queue[0][2].deadline != self._queue[0][0]:
            heapq.heappop(self._queue)
        self.next_deadline = self._queue[0][0] if self._queue else _NEVER
        return bool(self._queue)


class VirtualClock(Clock):
    """Time that passes a little with each step of a guest."""

    now = 0

    def __init__(self) -> None:
        super().__init__()
        self._steps = 0  # of a wait, in a row
        self._kept = 0  # what becomes of them after the present hypercall

    def read(self) -> int:
        """A guest reads its counter: time passes. Returns ns since boot."""
        step = min(READ_NS + READ_GROWTH_NS * self._steps, READ_LIMIT_NS)
        self._steps += 1
        # A long step must not jump over a timer: the guest would see it fire late.
        self.now += max(min(step, self.next_deadline - self.now), READ_NS)
        if self.now >= self.next_deadline:
            self.expire()
        return self.now

    def yielded(self) -> None:
        self.read()
        self._kept = self._steps

    def hypercall(self) -> None:
        self._steps = self._kept
        self._kept = 0
        self.now += HYPERCALL_NS
        if self.now >= self.next_deadline:
            self.expire()

    def jump(self) -> bool:
        if not self.has_timer():
            return False
        self.now = max(self.now, self.next_deadline)
        self.expire()
        return True
