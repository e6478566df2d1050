"""What a guest does, apart from the processor that it does it on.

An architecture that runs on more than one kind of processor (Unicorn's, a real machine's behind a
shim) has one class for the guest's side: what its hypercalls look like, what its faults become,
how events get to it. The class that runs it says how to get at the registers, by the names that
the architecture's YAML uses, and calls the methods below for what leaves the guest.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

from xenport.model.cpu.base import Cpu


class GuestCpu(Cpu):
    """The guest's side of a processor."""

    #: Ticks of the processor's counter in a second.
    counter_frequency: ClassVar[int]

    # ---- What runs it provides ----

    @abstractmethod
    def get(self, register: str) -> int:
        """The value of a register, unsigned."""

    @abstractmethod
    def set(self, register: str, value: int) -> None:
        """Write a register; excess bits are dropped."""

    def reader(self, registers: Sequence[str]) -> Callable[[], tuple[int, ...]]:
        """A function that gets these registers, in their order, as fast as can be."""
        return lambda: tuple(self.get(register) for register in registers)

    # ---- What leaves the guest ----

    @abstractmethod
    def on_call(self) -> None:
        """The hypercall instruction; the PC is behind it. The result is in its register then."""

    @abstractmethod
    def on_no_memory(self, address: int, *, write: bool) -> None:
        """An access to an address where the guest has no memory; the PC is at the instruction."""

    @abstractmethod
    def on_no_code(self) -> None:
        """The PC is where the guest has no memory."""

    @abstractmethod
    def on_illegal(self) -> None:
        """The PC is at an instruction that the processor does not know."""
