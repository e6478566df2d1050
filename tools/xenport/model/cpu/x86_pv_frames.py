"""Giving machine frames back and getting others, for PV domains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenport.model.errors import XenError
from xenport.model.frames import TranslatedFrames
from xenport.model.memory import PAGE_SIZE, Page

if TYPE_CHECKING:
    from xenport.model.cpu.x86_pv_memory import MachineMemory
    from xenport.model.domain import Domain


class PvFrames:
    """Frames of a PV domain; it gets those that it gave back. See `xenport.model.frames.Frames`."""

    def __init__(self, domain: Domain, machine: MachineMemory) -> None:
        self._domain = domain
        self._machine = machine

    def get(self, frame: int | None, pages: int) -> int:
        """One page at a time; ``frame`` is the number that the guest gives it among its own."""
        domain = self._domain
        if pages != 1 or domain.total_pages >= domain.max_pages:
            raise XenError("ENOMEM")
        machine_frame = self._machine.give()
        domain.total_pages += 1
        if frame is not None:
            self._machine.set_machphys(machine_frame, frame)
        return machine_frame

    def release(self, frame: int, pages: int) -> None:
        """The domain's own frames; those in use as tables stay."""
        for machine_frame in range(frame, frame + pages):
            self._machine.take_back(machine_frame)
            self._domain.total_pages -= 1

    def shared_info_frame(self) -> int:
        """Xen's page, by its machine frame."""
        return self.place_of(self._domain.shared_info)

    def place_of(self, page: Page) -> int:
        """Xen's pages are shared with the domain when it asks for them."""
        return self._machine.share(page)

    def owns(self, frame: int) -> bool:
        """Its own RAM."""
        return self._machine.owned(frame)

    def machine_frame(self, frame: int) -> int:
        """A PV domain knows no others."""
        return frame

    def frame_of(self, machine_frame: int) -> int | None:
        """The same number."""
        return machine_frame if self.owns(machine_frame) else None

    def forget(self, page: Page) -> None:
        """The frame is Xen's alone again."""
        self._machine.unshare(page)

    def steal(self, frame: int) -> bytes:
        """A page that no table maps."""
        if self._machine.is_mapped_writable(frame):
            raise XenError("EINVAL")
        self._machine.take_back(frame)
        self._domain.total_pages -= 1
        return self._machine.memory.read(frame * PAGE_SIZE, PAGE_SIZE)

    def map_space(self, _space: int, _index: int, _frame: int) -> None:
        """PV frames are not translated."""
        raise XenError("EACCES")

    def unmap(self, _frame: int) -> None:
        """PV frames are not translated."""
        raise XenError("EACCES")


class StoredPvFrames(TranslatedFrames):
    """Frames of a PV domain whose vcpus do not run. Its machine frames are a part of the machine's
    that no other domain has, in the order in which they were got."""

    def get(self, frame: int | None, pages: int) -> int:
        """See `xenport.model.frames.Frames`."""
        del frame
        domain = self._domain
        first = self.machine_frame(domain.total_pages)
        self._count(pages)
        for index in range(pages):
            domain.memory.replace(first + index, Page())
        return first
