"""What IBM's Xen does with the memory of a domain: much that others allow stops it.

All memory of the model's domains is real mode area, of which Xen gives nothing back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenport.model.errors import XenError
from xenport.model.frames import TranslatedFrames
from xenport.model.grant_table import TableSize
from xenport.model.memory import PAGE_SIZE

if TYPE_CHECKING:
    from xenport.model.domain import Domain

#: Pages of every grant table.
GRANT_TABLE = TableSize(first=4, most=4)

#: Of the frames that have this bit set, these many are for pages of other domains.
_FOREIGN = 1 << 22
_FOREIGN_FRAMES = 2048


class IbmFrames(TranslatedFrames):
    """The frames of a domain whose memory is there.

    The grant table is behind the memory of the machine. On a PowerPC 970 a guest reaches it through
    its page tables only; later processors, which the model's guests run on, have no real mode area
    and reach it without.
    """

    def __init__(self, domain: Domain) -> None:
        super().__init__(domain)
        end = (domain.memory.base + domain.memory.size) // PAGE_SIZE
        for index, page in enumerate(domain.grants.pages):
            self.put(page, end + index)

    def owns(self, frame: int) -> bool:
        """See Frames."""
        if frame & _FOREIGN and frame & ~_FOREIGN >= _FOREIGN_FRAMES:
            self._domain.hypervisor.panic(f"there is no foreign frame {frame:#x}")
            return False
        return super().owns(frame)

    def release(self, frame: int, pages: int) -> None:
        """See Frames."""
        if any(self.owns(frame + index) for index in range(pages)):
            self._domain.hypervisor.panic(f"page {frame:#x} is of the real mode area")
        raise XenError("EINVAL")
