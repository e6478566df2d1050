"""The guest frames of a translated domain: what is mapped where, and how many pages it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from xenport.abi.releases import rank
from xenport.model.errors import XenError
from xenport.model.memory import PAGE_SIZE, Page, Window

if TYPE_CHECKING:
    from xenport.model.domain import Domain

NOWHERE = (1 << 64) - 1  #: the frame of a page of Xen's that is not mapped
MACHINE_SHIFT = 24  #: bits of a domain's frame numbers, in those of the machine


class Frames(Protocol):
    """A domain's frames. PV domains, whose frames are the machine's, have their own kind."""

    def get(self, frame: int | None, pages: int) -> int:
        """New pages, mapped from ``frame`` on if it is given. Returns the first frame. XenError
        ENOMEM if the domain may have no more."""
        ...

    def release(self, frame: int, pages: int) -> None:
        """Give pages back. XenError EINVAL: not the domain's."""
        ...

    def map_space(self, space: int, index: int, frame: int) -> None:
        """Map page ``index`` of ``space`` (XENMAPSPACE_…) at ``frame``. XenError."""
        ...

    def shared_info_frame(self) -> int:
        """Where shared_info is; all ones: nowhere."""
        ...

    def unmap(self, frame: int) -> None:
        """Take away what is mapped. XenError ENOENT: nothing is."""
        ...

    def place_of(self, page: Page) -> int:
        """The frame by which the domain knows a page of Xen's; all ones: none."""
        ...

    def owns(self, frame: int) -> bool:
        """Is memory of the domain's own at the frame? Not Xen's pages, and not other domains'."""
        ...

    def machine_frame(self, frame: int) -> int:
        """The machine's number for a frame that the domain owns."""
        ...

    def frame_of(self, machine_frame: int) -> int | None:
        """The domain's number for a machine frame that it owns; None: it does not."""
        ...

    def forget(self, page: Page) -> None:
        """A page of Xen's is not there any more."""
        ...

    def steal(self, frame: int) -> bytes:
        """Take a page away for good, and return what it holds. XenError EINVAL: it is not the
        domain's, or in use."""
        ...


class TranslatedFrames:
    """Frames that Xen translates."""

    def __init__(self, domain: Domain) -> None:
        self._domain = domain
        self._places: dict[Page, int] = {}  # where Xen's own pages are mapped
        self._granted: dict[int, Window] = {}  # frames at which pages of others are mapped
        abi = domain.abi
        self._spaces = {
            abi.constants[name].value: name
            for name in ("XENMAPSPACE_shared_info", "XENMAPSPACE_grant_table", "XENMAPSPACE_gmfn")
            if name in abi.constants
        }
        device = abi.constants.get("XENMAPSPACE_dev_mmio")
        self._device = device.value if device is not None else None

    # ---- Pages ----

    def get(self, frame: int | None, pages: int) -> int:
        """See Frames."""
        domain = self._domain
        if frame is None:
            self._count(pages)
            return 0
        if domain.is_direct_mapped:
            # Such a domain keeps the pages that it gave back, and gets no others.
            if not all(domain.memory.is_ram(frame + i) for i in range(pages)):
                raise XenError("EINVAL")
            for index in range(pages):
                domain.memory.restore(frame + index)
            return frame
        self._count(pages)
        for index in range(pages):
            domain.memory.replace(frame + index, Page())
        return frame

    def _count(self, pages: int) -> None:
        if self._domain.total_pages + pages > self._domain.max_pages:
            raise XenError("ENOMEM")
        self._domain.total_pages += pages

    def release(self, frame: int, pages: int) -> None:
        """See Frames."""
        for index in range(pages):
            if not self._domain.memory.has_frame(frame + index):
                raise XenError("EINVAL")
            self._clear(frame + index)

    def _clear(self, frame: int) -> None:
        """Make a hole; a page of the domain's own is freed."""
        page = self._domain.memory.page_at(frame)
        if page is not None and page in self._places:
            del self._places[page]
        elif frame in self._granted:
            del self._granted[frame]
        elif not self._domain.is_direct_mapped:
            self._domain.total_pages -= 1
        self._domain.memory.replace(frame, None)

    def unmap(self, frame: int) -> None:
        """See Frames."""
        memory = self._domain.memory
        if not memory.has_frame(frame):
            raise XenError("ENOENT")
        page = memory.page_at(frame)
        if page is not None:
            self._places.pop(page, None)
        self._granted.pop(frame, None)
        memory.replace(frame, None)

    # ---- Xen's pages ----

    def map_space(self, space: int, index: int, frame: int) -> None:
        """See Frames."""
        cpu_class = self._domain.cpu_class
        name = self._spaces.get(space)
        if space == self._device and cpu_class.maps_devices:
            return  # there are no devices behind it
        if name is None or name not in cpu_class.map_spaces:
            raise XenError(cpu_class.unknown_space)
        if name == "XENMAPSPACE_gmfn":
            self._move(index, frame)
            return
        if name.endswith("shared_info"):
            page = self._shared_info(index)
        else:
            page = self._domain.grants.page(index)
        old = self._places.get(page)
        again = cpu_class.mapped_again(self._domain.abi)
        if old is not None and again == "fails":
            raise XenError("EBUSY")
        if old == frame:
            return
        if self._domain.memory.has_frame(frame):
            self._clear(frame)
        if old is not None and again == "moves":
            self._domain.memory.replace(old, None)
        self._domain.memory.replace(frame, page)
        self._places[page] = frame

    def put(self, page: Page, frame: int) -> None:
        """Xen has chosen a frame for a page of its own."""
        self._domain.memory.replace(frame, page)
        self._places[page] = frame

    def shared_info_frame(self) -> int:
        """See Frames."""
        return self.place_of(self._domain.shared_info)

    def place_of(self, page: Page) -> int:
        """See Frames."""
        return self._places.get(page, NOWHERE)

    def _shared_info(self, index: int) -> Page:
        if index:
            raise XenError("EINVAL")
        return self._domain.shared_info

    # ---- Grants ----

    def owns(self, frame: int) -> bool:
        """See Frames."""
        memory = self._domain.memory
        return (
            memory.has_frame(frame)
            and frame not in self._granted
            and memory.page_at(frame) not in self._places
        )

    def machine_frame(self, frame: int) -> int:
        """See Frames. Nobody but the caches sees these numbers: each domain's memory has a part of
        the machine's to itself."""
        if self._domain.is_direct_mapped:
            return frame
        return self._domain.id + 1 << MACHINE_SHIFT | frame

    def frame_of(self, machine_frame: int) -> int | None:
        """See Frames."""
        frame = machine_frame
        if not self._domain.is_direct_mapped:
            frame = machine_frame & ((1 << MACHINE_SHIFT) - 1)
        same = self.owns(frame) and self.machine_frame(frame) == machine_frame
        return frame if same else None

    def forget(self, page: Page) -> None:
        """See Frames."""
        frame = self._places.pop(page, None)
        if frame is not None:
            self._domain.memory.replace(frame, None)

    def steal(self, frame: int) -> bytes:
        """See Frames."""
        if not self.owns(frame):
            raise XenError("EINVAL")
        content = self._domain.memory.read(frame * PAGE_SIZE, PAGE_SIZE)
        self._clear(frame)
        return content

    def map_window(self, frame: int, page: Window) -> None:
        """Map a page of another domain, or a granted one, in place of what is at the frame."""
        if self._domain.memory.has_frame(frame):
            self._clear(frame)
        self._granted[frame] = page
        self._domain.memory.replace(frame, page)

    def unmap_grant(self, frame: int, page: Window) -> bool:
        """Undo `map_window` of a grant; False where ``page`` is not what is there."""
        mapped = self._granted.get(frame)
        if mapped is None or mapped.address != page.address:
            return False
        del self._granted[frame]
        self._domain.memory.replace(frame, None)
        return True

    def move_away(self, frame: int) -> None:
        """A page of the domain's own is somewhere else from now on."""
        if self.owns(frame):
            self._clear(frame)

    def _move(self, source: int, frame: int) -> None:
        """Move a page of the domain's own to another frame."""
        memory = self._domain.memory
        if not memory.has_frame(source):
            raise XenError("EACCES" if rank(self._domain.abi.release) >= rank("4.19") else "EINVAL")
        if memory.page_at(source) in self._places:
            raise XenError("EINVAL")
        if source == frame:
            return
        page = Page()
        page.data[:] = memory.read(source * PAGE_SIZE, PAGE_SIZE)
        if memory.has_frame(frame):
            self._clear(frame)
        memory.replace(source, None)
        memory.replace(frame, page)
