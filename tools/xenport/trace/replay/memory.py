"""The memory of a guest as far as one record of a trace has it."""

from __future__ import annotations

from xenport.model.errors import XenError
from xenport.model.vcpu import Vcpu
from xenport.trace.replay.outcome import Unreplayable


class RecordedMemory:
    """What the present record brought along, in the place of a guest's memory.

    It has the methods of a `Vcpu` that reach memory. ``faults`` says whether what is not there may
    be missing because the guest had nothing there either.
    """

    __slots__ = ("buffers", "faults")

    def __init__(self) -> None:
        self.buffers: list[tuple[int, bytearray]] = []  #: addresses and contents
        self.faults = False

    def attach(self, vcpu: Vcpu) -> None:
        """``vcpu`` reaches this memory from now on."""
        vcpu.copy_in = self.copy_in  # type: ignore[method-assign]
        vcpu.copy_out = self.copy_out  # type: ignore[method-assign]

    def copy_in(self, handle: int, length: int, offset: int = 0) -> bytearray:
        """See `Vcpu.copy_in`. Raises `Unreplayable` for what was not recorded."""
        address = handle + offset
        for start, content in self.buffers:
            at = address - start
            if at >= 0 and at + length <= len(content):
                return content[at : at + length]
        return self._joined(address, length)

    def copy_out(self, handle: int, content: bytes | bytearray, offset: int = 0) -> None:
        """See `Vcpu.copy_out`. What goes to a place that was not recorded is lost."""
        address = handle + offset
        end = address + len(content)
        found = False
        for start, buffer in self.buffers:  # some lie on others
            first, last = max(address, start), min(end, start + len(buffer))
            if first < last:
                found = True
                buffer[first - start : last - start] = content[first - address : last - address]
        if not found and self.faults:
            raise XenError("EFAULT")

    def _joined(self, address: int, length: int) -> bytearray:
        found = bytearray()
        while len(found) < length:
            for start, content in self.buffers:
                at = address + len(found) - start
                if 0 <= at < len(content):
                    found += content[at : at + length - len(found)]
                    break
            else:
                if self.faults:
                    raise XenError("EFAULT")
                raise Unreplayable("its memory was not recorded")
        return found
