"""GICv3: distributor, redistributors and the CPU interface, whose registers are system registers.

Source: Arm IHI 0069.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from xenport.model.cpu.arm_gic import Distributor, Encoding, Gic, Read, Write

FRAME_SIZE = 0x10000
REDISTRIBUTOR_SIZE = 2 * FRAME_SIZE  #: of each vcpu: its own frame, and the private interrupts'

# Distributor.
_GICD_CTLR = 0x0000
_GICD_TYPER = 0x0004
_CTLR_GROUP1 = 1 << 1
_CTLR_AFFINITY = 1 << 4
_TYPER_ID_BITS = 9 << 19  # interrupt ids have ten bits

# Redistributor: the vcpu's frame. The other one is of the private interrupts.
_GICR_TYPER = 0x0008
_GICR_TYPER_HIGH = 0x000C
_GICR_WAKER = 0x0014
_TYPER_LAST = 1 << 4
_WAKER_SLEEP = 1 << 1
_WAKER_CHILDREN_ASLEEP = 1 << 2

# In every frame.
_PIDR2 = 0xFFE8
_PIDR2_GICV3 = 0x30

# CPU interface.
ICC_PMR: Encoding = (0, 4, 6, 0)
ICC_IAR1: Encoding = (0, 12, 12, 0)
ICC_EOIR1: Encoding = (0, 12, 12, 1)
ICC_HPPIR1: Encoding = (0, 12, 12, 2)
ICC_BPR1: Encoding = (0, 12, 12, 3)
ICC_CTLR: Encoding = (0, 12, 12, 4)
ICC_SRE: Encoding = (0, 12, 12, 5)
ICC_IGRPEN1: Encoding = (0, 12, 12, 7)
ICC_RPR: Encoding = (0, 12, 11, 3)

_SRE_FIXED = 7  # system registers are the only interface
_CTLR_PRIORITY_BITS = 7 << 8


class GicV3(Gic):
    """The GICv3 of a vcpu."""

    control_enable = _CTLR_GROUP1
    control_writable = _CTLR_GROUP1 | _CTLR_AFFINITY

    def __init__(
        self,
        number: int,
        count: int,
        levels: Callable[[], int],
        distributor: Distributor | None = None,
    ) -> None:
        super().__init__(number, count, levels, distributor)
        self._type = number << 8 | (_TYPER_LAST if number == count - 1 else 0)
        self._affinity = number
        self._waker = _WAKER_SLEEP | _WAKER_CHILDREN_ASLEEP
        self.readers = {
            ICC_PMR: lambda: self._priority_mask,
            ICC_IAR1: self.acknowledge,
            ICC_HPPIR1: self.highest,
            ICC_BPR1: lambda: self._binary_point,
            ICC_CTLR: lambda: _CTLR_PRIORITY_BITS,
            ICC_SRE: lambda: _SRE_FIXED,
            ICC_IGRPEN1: lambda: self._interface_enabled,
            ICC_RPR: self.running_priority,
        }
        self.writers = {
            ICC_PMR: self.set_priority_mask,
            ICC_EOIR1: self.end,
            ICC_BPR1: self.set_binary_point,
            ICC_CTLR: lambda _value: None,
            ICC_SRE: lambda _value: None,
            ICC_IGRPEN1: self.set_interface_enabled,
        }

    def in_memory(self) -> Sequence[tuple[Read, Write]]:
        return (
            (self.read_distributor, self.write_distributor),
            (self.read_redistributors, self.write_redistributors),
        )

    def read_distributor(self, offset: int, _size: int) -> int:
        """A register of the distributor."""
        return {
            _GICD_CTLR: self.distributor.control,
            _GICD_TYPER: _TYPER_ID_BITS,
            _PIDR2: _PIDR2_GICV3,
        }.get(offset, 0)

    def write_distributor(self, offset: int, _size: int, value: int) -> None:
        """Write a register of the distributor."""
        if offset == _GICD_CTLR:
            self.distributor.set_control(value)

    def read_redistributors(self, offset: int, size: int) -> int:
        """A register of one of the redistributors, which all vcpus see one after the other."""
        redistributor, offset = self._redistributor(offset)
        return redistributor.read(offset, size) if redistributor else 0

    def write_redistributors(self, offset: int, size: int, value: int) -> None:
        """Write a register there."""
        redistributor, offset = self._redistributor(offset)
        if redistributor:
            redistributor.write(offset, size, value)

    def _redistributor(self, offset: int) -> tuple[GicV3 | None, int]:
        number, offset = divmod(offset, REDISTRIBUTOR_SIZE)
        interfaces = self.distributor.interfaces
        if number >= len(interfaces):
            return None, offset
        found = interfaces[number]
        assert isinstance(found, GicV3)
        return found, offset

    def read(self, offset: int, size: int) -> int:
        """Read ``size`` bytes at ``offset`` of the redistributor."""
        frame, offset_in_frame = divmod(offset, FRAME_SIZE)
        if offset_in_frame == _PIDR2:
            return _PIDR2_GICV3
        if frame:
            return self.read_private(offset_in_frame, size)
        if offset == _GICR_TYPER and size == 8:
            return self._affinity << 32 | self._type
        return {
            _GICR_TYPER: self._type,
            _GICR_TYPER_HIGH: self._affinity,
            _GICR_WAKER: self._waker,
        }.get(offset, 0)

    def write(self, offset: int, size: int, value: int) -> None:
        """Write ``size`` bytes at ``offset`` of the redistributor."""
        if offset >= FRAME_SIZE:
            self.write_private(offset - FRAME_SIZE, size, value)
        elif offset == _GICR_WAKER:
            asleep = bool(value & _WAKER_SLEEP)
            self._waker = (_WAKER_SLEEP | _WAKER_CHILDREN_ASLEEP) if asleep else 0
