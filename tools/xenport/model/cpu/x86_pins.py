"""Page tables of a PV domain that is only stored: what its builder pins from outside.

Its kernel has not run, so its pages are as they were made, and empty tables are good ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenport.model.errors import XenError

if TYPE_CHECKING:
    from xenport.model.call import Call
    from xenport.model.domain import Domain


def use_as_table(domain: Domain, frame: int, level: int) -> None:
    """A frame is a page table of ``level`` from now on. XenError EINVAL: it is not the domain's, or
    one of another level."""
    if not domain.memory.has_frame(frame):
        raise XenError("EINVAL")
    if domain.settings.tables.setdefault(frame, level) != level:
        raise XenError("EINVAL")


def level_of(call: Call) -> int:
    """The level that an MMUEXT_PIN_ command is about."""
    level: int = call.view.cmd - call.domain.abi.constant("MMUEXT_PIN_L1_TABLE") + 1
    return level


def pin(domain: Domain, frame: int, level: int) -> None:
    """Keep a frame as a page table. XenError EINVAL as above, and if it is pinned."""
    if frame in domain.settings.pinned:
        raise XenError("EINVAL")
    use_as_table(domain, frame, level)
    domain.settings.pinned.add(frame)


def unpin(domain: Domain, frame: int) -> None:
    """Undo a pin. XenError EINVAL: there is none."""
    settings = domain.settings
    if frame not in settings.pinned:
        raise XenError("EINVAL")
    settings.pinned.discard(frame)
    del settings.tables[frame]
