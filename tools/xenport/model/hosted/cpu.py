"""The processor of a vcpu that runs on a machine with a shim."""

from __future__ import annotations

import importlib.util
import struct
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, ClassVar

from xenport.errors import InputError
from xenport.model.cpu.guest import GuestCpu
from xenport.model.hosted.machine import HostedMachine, Space
from xenport.model.hosted.mailbox import WORD, Access, Exit
from xenport.model.memory import PAGE_SIZE

if TYPE_CHECKING:
    from xenport.architecture import Architecture
    from xenport.model.domain import Domain
    from xenport.model.vcpu import Vcpu

_ALL_ONES = (1 << 64) - 1


class HostedCpu(GuestCpu):
    """Runs what a subclass says of the guest; made by `cpu_class`."""

    machine: ClassVar[HostedMachine]
    _spaces: ClassVar[dict[Domain, Space]]

    def __init__(self, vcpu: Vcpu) -> None:
        machine = self.machine
        domain = vcpu.domain
        if domain not in self._spaces:
            self._spaces[domain] = Space(machine, domain.memory)
        self._space = self._spaces[domain]
        self._registers = machine.ram.allocate(PAGE_SIZE)
        self._frame = machine.ram.data[self._registers : self._registers + PAGE_SIZE]
        self._word = struct.Struct(machine.order + "Q")
        self._is_little_endian = domain.byte_order == "little"
        super().__init__(vcpu)

    # ---- Registers ----

    def get(self, register: str) -> int:
        value: int = self._word.unpack_from(self._frame, self.machine.offsets[register])[0]
        return value

    def set(self, register: str, value: int) -> None:
        self._word.pack_into(self._frame, self.machine.offsets[register], value & _ALL_ONES)

    def reader(self, registers: Sequence[str]) -> Callable[[], tuple[int, ...]]:
        offsets = [self.machine.offsets[name] for name in registers]
        if offsets == list(range(offsets[0], offsets[0] + WORD * len(offsets), WORD)):
            together = struct.Struct(f"{self.machine.order}{len(offsets)}Q")
            return lambda: together.unpack_from(self._frame, offsets[0])
        return super().reader(registers)

    # ---- Running ----

    def run(self) -> None:
        machine, vcpu = self.machine, self.vcpu
        space, registers = self._space.number, self._registers
        little_endian = self._is_little_endian
        while not vcpu.domain.is_halted:
            reason = machine.run(space, registers, little_endian=little_endian)
            if reason == Exit.CALL:
                self.on_call()
            else:
                self._leave(reason)
            if vcpu.attention or self.event_deliverable():
                return

    def _leave(self, reason: int) -> None:
        machine = self.machine
        if reason == Exit.DEADLINE:
            machine.clock.hypercall()
            self.vcpu.attention = True  # another vcpu may be waiting for the processor
        elif reason == Exit.MEMORY and machine.access == Access.EXECUTE:
            self.on_no_code()
        elif reason == Exit.MEMORY:
            self.on_no_memory(machine.address, write=machine.access == Access.WRITE)
        elif reason == Exit.ILLEGAL:
            self.on_illegal()
        else:
            self.vcpu.domain.crash(
                f"the processor left the guest by {machine.cause:#x}, which the shim does not know,"
                f" at {self.get('pc'):#x}"
            )

    def stop(self) -> None:
        self.vcpu.attention = True  # nothing runs while the model does


def _module(architecture: Architecture, name: str) -> ModuleType:
    """The module with the guest's side. Raises InputError if there is none of that name."""
    if not name.endswith(".py"):
        return importlib.import_module(f"xenport.model.cpu.{name}")
    path = architecture.folder / name
    if not path.is_file():
        raise InputError("there is no such file, which 'hosted: {guest: ...}' names", path)
    spec = importlib.util.spec_from_file_location(f"xenport_{architecture.family}_guest", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def cpu_class(architecture: Architecture, guest: str, machine: HostedMachine) -> type[HostedCpu]:
    """The class for a kind of guest on ``machine``. Raises InputError for one that cannot be
    hosted."""
    hosted = architecture.hosted
    if hosted is None:
        raise InputError(f"{architecture.name} has no shim to run behind")
    guests: Mapping[str, type[GuestCpu]] = _module(architecture, hosted.guest).GUESTS
    if guest not in guests:
        raise InputError(
            f"no '{guest}' guests can be hosted on {architecture.name}; there are"
            f" {', '.join(guests)}"
        )
    fields = {
        "machine": machine,
        "counter_frequency": machine.clock.frequency,
        "_spaces": {},
    }
    return type("HostedCpu", (HostedCpu, guests[guest]), fields)
