"""The two-level event channel ABI: bitmaps in shared_info and a selector in vcpu_info."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xenport.model.domain import Domain
    from xenport.model.events import Port
    from xenport.model.vcpu import Vcpu


class TwoLevel:
    """evtchn_pending and evtchn_mask of shared_info, evtchn_pending_sel of vcpu_info."""

    def __init__(self, domain: Domain) -> None:
        self._domain = domain
        self._bits = domain.bits
        self.max_ports = domain.bits.word_bits**2
        self._data = domain.shared_info.data
        self._pending = domain.abi.offset("shared_info", "evtchn_pending")
        self._mask = domain.abi.offset("shared_info", "evtchn_mask")

    def bound(self, port: Port) -> None:
        """Nothing changes in guest memory."""

    def set_pending(self, vcpu: Vcpu, port: Port) -> None:
        """Pending bit; if it was clear and the port is unmasked, selector bit; if that was clear,
        upcall."""
        number = port.number
        if self._bits.test_and_set(self._data, self._pending, number):
            return
        if not self._bits.test(self._data, self._mask, number):
            self._select(vcpu, number)
        self._domain.events.wake_pollers(number)

    def _select(self, vcpu: Vcpu, number: int) -> None:
        if not vcpu.select_word(number // self._bits.word_bits):
            vcpu.mark_events_pending()

    def clear_pending(self, port: Port) -> None:
        """Pending bit off."""
        self._bits.test_and_clear(self._data, self._pending, port.number)

    def unmask(self, port: Port) -> None:
        """Mask bit off; what is pending goes up as if it had just happened."""
        number = port.number
        if self._bits.test_and_clear(self._data, self._mask, number) and self.is_pending(port):
            self._select(self._domain.vcpus[port.vcpu_id], number)

    def is_pending(self, port: Port) -> bool:
        """Pending bit?"""
        return self._bits.test(self._data, self._pending, port.number)
