"""What `xenport.model.machine.Machine` needs to run its guests on a machine with a shim."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenport.model.hosted.cpu import cpu_class

if TYPE_CHECKING:
    from xenport.architecture import Architecture
    from xenport.model.clock import Clock
    from xenport.model.cpu.base import Cpu
    from xenport.model.hosted.machine import HostedMachine


class Host:
    """Processors of a real machine."""

    def __init__(self, machine: HostedMachine) -> None:
        self.clock: Clock = machine.clock
        self._machine = machine

    def cpu_class(self, architecture: Architecture, guest: str) -> type[Cpu]:
        """The adapter for a kind of guest. Raises InputError for one that cannot be hosted."""
        return cpu_class(architecture, guest, self._machine)
