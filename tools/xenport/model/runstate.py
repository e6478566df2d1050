"""What a vcpu has spent its time on: the states of vcpu_runstate_info."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xenport.model.clock import Clock
    from xenport.model.vcpu import Vcpu

RUNNING, RUNNABLE, BLOCKED, OFFLINE = range(4)


class Runstate:
    """State of one vcpu, since when, and the ns spent in each of the four states."""

    def __init__(self, vcpu: Vcpu, clock: Clock) -> None:
        self._vcpu = vcpu
        self._clock = clock
        self.state = OFFLINE
        self.entry_time = clock.now
        self.time = [0, 0, 0, 0]
        self.area = 0  #: handle of VCPUOP_register_runstate_memory_area, 0: none
        self.physical_area: tuple[memoryview, int] | None = None

    def change(self, state: int) -> None:
        """The vcpu's state is ``state`` from now on."""
        now = self._clock.now
        self.time[self.state] += now - self.entry_time
        self.entry_time = now
        self.state = state

    def total(self, state: int) -> int:
        """ns spent in ``state`` up to now."""
        present = self._clock.now - self.entry_time if state == self.state else 0
        return self.time[state] + present

    def encode(self) -> bytearray:
        """As a vcpu_runstate_info, with the time in the present state counted up to now."""
        abi = self._vcpu.domain.abi
        buffer = bytearray(abi.sizeof("vcpu_runstate_info"))
        view = abi.view("vcpu_runstate_info", buffer)
        view.state = self.state
        view.state_entry_time = self.entry_time
        for state in range(len(self.time)):
            view.time[state] = self.total(state)
        return buffer
