"""HVM guests with the devices of a PC, as far as these are modelled: their interrupts may be pirqs,
and there is an ACPI timer."""

from __future__ import annotations

from xenport.model.cpu.x86_64_pvh import PvhCpu

_TIMER_HZ = 3_579_545
_TIMER_MASK = 0xFF_FFFF
_TIMER_SIZE = 4  # bytes


class PcCpu(PvhCpu):
    """A vcpu of such a guest, which is entered like any other HVM guest."""

    features = (*PvhCpu.features, "XENFEAT_hvm_pirqs")
    emulates_pc = True
    beside = PvhCpu

    def read_port(self, port: int, size: int) -> int:
        if (port, size) != (self._timer_port(), _TIMER_SIZE):
            return super().read_port(port, size)
        return self.hypervisor.clock.read() * _TIMER_HZ // 1_000_000_000 & _TIMER_MASK

    def _timer_port(self) -> int:
        """At one of two places, which a parameter chooses."""
        domain = self.vcpu.domain
        chosen = domain.params.get(domain.abi.constant("HVM_PARAM_ACPI_IOPORTS_LOCATION"), 0)
        return domain.abi.constant(f"ACPI_PM_TMR_BLK_ADDRESS_V{chosen}")
