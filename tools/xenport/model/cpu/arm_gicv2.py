"""GICv2: the registers of the distributor and of the CPU interface, both in memory.

Xen shows it without security extensions: there are no groups. Source: Arm IHI 0048.
"""

from __future__ import annotations

from collections.abc import Sequence

from xenport.model.cpu.arm_gic import PRIVATE_INTERRUPTS, Gic, Read, Write

# Distributor. The registers of private interrupts are each vcpu's own.
_GICD_CTLR = 0x000
_GICD_TYPER = 0x004
_GICD_PRIVATE = 0x100  # up to the priorities of private interrupts
_GICD_PRIVATE_END = 0x400 + PRIVATE_INTERRUPTS
_GICD_ITARGETSR = 0x800
_PIDR2 = 0xFE8
_PIDR2_GICV2 = 0x20
_CTLR_ENABLE = 1 << 0

# CPU interface.
_GICC_CTLR = 0x00
_GICC_PMR = 0x04
_GICC_BPR = 0x08
_GICC_IAR = 0x0C
_GICC_EOIR = 0x10
_GICC_RPR = 0x14
_GICC_HPPIR = 0x18
_GICC_IIDR = 0xFC
_IIDR_GICV2 = 2 << 16


class GicV2(Gic):
    """The GICv2 of a vcpu."""

    control_enable = _CTLR_ENABLE
    control_writable = _CTLR_ENABLE
    first_groups = (1 << PRIVATE_INTERRUPTS) - 1

    def in_memory(self) -> Sequence[tuple[Read, Write]]:
        return (
            (self.read_distributor, self.write_distributor),
            (self.read_interface, self.write_interface),
        )

    def read_distributor(self, offset: int, size: int) -> int:
        """A register of the distributor as the vcpu sees it."""
        if _GICD_PRIVATE <= offset < _GICD_PRIVATE_END:
            return self.read_private(offset, size)
        if 0 <= offset - _GICD_ITARGETSR < PRIVATE_INTERRUPTS:
            return int.from_bytes(bytes([1 << self.number] * size), "little")
        return {
            _GICD_CTLR: self.distributor.control,
            _GICD_TYPER: self.count - 1 << 5,
            _PIDR2: _PIDR2_GICV2,
        }.get(offset, 0)

    def write_distributor(self, offset: int, size: int, value: int) -> None:
        """Write a register of the distributor."""
        if _GICD_PRIVATE <= offset < _GICD_PRIVATE_END:
            self.write_private(offset, size, value)
        elif offset == _GICD_CTLR:
            self.distributor.set_control(value)

    def read_interface(self, offset: int, _size: int) -> int:
        """A register of the CPU interface."""
        if offset == _GICC_IAR:
            return self.acknowledge()
        if offset == _GICC_HPPIR:
            return self.highest()
        return {
            _GICC_CTLR: self._interface_enabled,
            _GICC_PMR: self._priority_mask,
            _GICC_BPR: self._binary_point,
            _GICC_RPR: self.running_priority(),
            _GICC_IIDR: _IIDR_GICV2,
        }.get(offset, 0)

    def write_interface(self, offset: int, _size: int, value: int) -> None:
        """Write a register of the CPU interface."""
        if offset == _GICC_CTLR:
            self.set_interface_enabled(value)
        elif offset == _GICC_PMR:
            self.set_priority_mask(value)
        elif offset == _GICC_BPR:
            self.set_binary_point(value)
        elif offset == _GICC_EOIR:
            self.end(value)
