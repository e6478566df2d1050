"""The two watchdog timers of a domain (SCHEDOP_watchdog)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenport.model.errors import XenError

if TYPE_CHECKING:
    from xenport.model.clock import Timer
    from xenport.model.domain import Domain

COUNT = 2
_SECOND = 1_000_000_000


class Watchdogs:
    """Timers 1..COUNT; one that expires shuts the domain down."""

    def __init__(self, domain: Domain) -> None:
        self._domain = domain
        clock = domain.hypervisor.clock
        self._timers: list[Timer] = [clock.timer(self._expired) for _ in range(COUNT)]
        self._used = [False] * COUNT

    def control(self, number: int, seconds: int) -> int:
        """Start a new timer (``number`` 0; returns its number), or restart timer ``number``, or
        end it (``seconds`` 0). Errors: EINVAL no such timer; ENOSPC, as an unsigned number,
        none is left."""
        if number > COUNT:
            raise XenError("EINVAL")
        if number == 0:
            if all(self._used):
                # Xen makes an unsigned number of 32 bits of the error before it is a longer one.
                return -self._domain.abi.errno("ENOSPC") & 0xFFFF_FFFF
            index = self._used.index(False)
            self._used[index] = True
            self._start(index, seconds)
            return index + 1
        index = number - 1
        if not self._used[index]:
            raise XenError("EINVAL")
        if seconds:
            self._start(index, seconds)
        else:
            self._timers[index].cancel()
            self._used[index] = False
        return 0

    def _start(self, index: int, seconds: int) -> None:
        self._timers[index].set(self._domain.hypervisor.clock.now + seconds * _SECOND)

    def _expired(self) -> None:
        self._domain.shut_down(self._domain.abi.constant("SHUTDOWN_watchdog"))
