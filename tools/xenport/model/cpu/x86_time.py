"""vcpu_time_info, as x86 guests read the time."""

from __future__ import annotations

import struct
from contextlib import suppress
from typing import TYPE_CHECKING

from xenport.model.cpu.x86_core import TICKS_PER_NS
from xenport.model.errors import XenError

if TYPE_CHECKING:
    from xenport.model.vcpu import Vcpu

#: ns = ticks * MULTIPLIER >> 32
MULTIPLIER = (1 << 32) // TICKS_PER_NS
_STABLE = 1  # XEN_PVCLOCK_TSC_STABLE_BIT


class TimeRecord:
    """Writes a vcpu's time record wherever the guest wants it."""

    def __init__(self, vcpu: Vcpu) -> None:
        abi = vcpu.domain.abi
        self._vcpu = vcpu
        self._at = abi.offset("vcpu_info", "time")
        layout = abi.layout("vcpu_time_info")
        names = {field.name for field in layout.fields}
        self._flags = _STABLE if "flags" in names else 0
        # version, pad, tsc_timestamp, system_time, multiplier, shift, flags
        self._record = struct.Struct("<IIQQIbB2x")
        self._version = 0

    def write(self) -> None:
        """Make the record one of the present moment."""
        vcpu = self._vcpu
        now = vcpu.domain.hypervisor.clock.now
        self._version += 2
        content = self._record.pack(
            self._version & 0xFFFF_FFFF, 0, now * TICKS_PER_NS, now, MULTIPLIER, 0, self._flags
        )
        vcpu.write_info(self._at, content)
        if vcpu.physical_time_area is not None:
            data, start = vcpu.physical_time_area
            data[start : start + len(content)] = content
        if vcpu.time_area:
            with suppress(XenError):
                vcpu.copy_out(vcpu.time_area, content)
