"""memory_op about the machine's memory on x86: its map, and the table of machine frames."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from xenport.model.cpu.x86_core import E820_RAM
from xenport.model.errors import XenError
from xenport.model.handlers import Handlers
from xenport.model.memory import PAGE_SIZE
from xenport.model.memory_op import machine_end
from xenport.model.policy import require_control

if TYPE_CHECKING:
    from xenport.model.call import Call

handlers = Handlers()
command = handlers.command

_RANGE = struct.Struct("<QQI")


@command("XENMEM_machphys_mfn_list", "XENMEM_machphys_compat_mfn_list")
def machphys_mfn_list(call: Call) -> None:
    """The table is one piece, behind what the domains have. Later releases have none for 32-bit PV
    guests, which there are not; earlier ones have it all the same."""
    if call.declares("EOPNOTSUPP"):
        raise XenError("EOPNOTSUPP")
    view = call.view
    view.nr_extents = min(view.max_extents, 1)
    if view.nr_extents:
        call.vcpu.write_word("xen_pfn_t", machine_end(call.domain), view.extent_start)


@command("XENMEM_machine_memory_map")
def machine_memory_map(call: Call) -> None:
    """All of it is one range."""
    require_control(call.domain)
    view = call.view
    if view.buffer:
        if view.nr_entries <= 1:
            raise XenError("EINVAL")
        size = call.hypervisor.physical.total_pages() * PAGE_SIZE
        call.vcpu.copy_out(view.buffer, _RANGE.pack(0, size, E820_RAM))
    view.nr_entries = 1
