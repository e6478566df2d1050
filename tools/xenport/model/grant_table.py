"""A domain's grant table: what it grants to others, and what of others' grants it has mapped."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from xenport.abi.releases import rank
from xenport.model.errors import GrantError, XenError
from xenport.model.memory import PAGE_SIZE, MemoryFault, Page, Window

if TYPE_CHECKING:
    import xenport.abi
    from xenport.model.domain import Domain

MOST_USES = 128  #: of one grant, of one kind

_ENTRY_SIZE = {1: 8, 2: 16}
_STATUS_SIZE = 2


@dataclass(frozen=True)
class TableSize:
    """Pages of a table: at first, and at most."""

    first: int = 1
    most: int = 64


def has_old_rules(abi: xenport.abi.Abi) -> bool:
    """Xen before 4.0, which looks at requests in another order and has fewer statuses."""
    return rank(abi.release) < rank("4.0")


@dataclass(frozen=True)
class Granted:
    """A page that a grant leads to, and the part of it that may be used."""

    domain: Domain  #: whose page it is
    frame: int
    page: Window
    start: int = 0
    length: int = PAGE_SIZE
    is_part: bool = False


@dataclass
class Uses:
    """How an entry is in use: mappings and copies, for reading and writing, by processors (host)
    and devices."""

    domid: int
    granted: Granted
    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(
            ("host_read", "host_write", "device_read", "device_write"), 0
        )
    )

    @property
    def is_written(self) -> bool:
        return self.counts["host_write"] + self.counts["device_write"] > 0

    @property
    def is_over(self) -> bool:
        return not any(self.counts.values())


@dataclass
class Mapping:
    """One mapping of another domain's grant: what the handle stands for."""

    domain: Domain
    ref: int
    flags: int


class GrantTable:
    """The table of ``domain``. It starts as one of version 1."""

    def __init__(self, domain: Domain) -> None:
        self._domain = domain
        self.version = 1
        self.size = domain.cpu_class.grant_table_size(domain.abi)
        self.pages = [Page() for _ in range(self.size.first)]
        self.status_pages: list[Page] = []
        self._uses: dict[int, Uses] = {}
        self.mappings: dict[int, Mapping] = {}  #: by handle
        self._free_handles: list[int] = []
        self._next_handle = 0

    # ---- Pages ----

    @property
    def entries(self) -> int:
        """How many the table has."""
        return len(self.pages) * PAGE_SIZE // _ENTRY_SIZE[self.version]

    def grow(self, count: int) -> None:
        """Have ``count`` pages at least. XenError EINVAL: it may not have so many."""
        if count > self.size.most:
            raise XenError("EINVAL")
        while len(self.pages) < count:
            self.pages.append(Page())
        self._add_status_pages()

    def _add_status_pages(self) -> None:
        if self.version == 2:
            needed = -(-self.entries * _STATUS_SIZE // PAGE_SIZE)
            while len(self.status_pages) < needed:
                self.status_pages.append(Page())

    def page(self, index: int) -> Page:
        """What XENMEM_add_to_physmap knows by ``index``. XenError EINVAL."""
        name = "XENMAPIDX_grant_table_status"
        status = self._constant(name) if name in self._domain.abi.constants else 0
        if index & status:
            number = index & ~status
            if self.version != 2 or number >= len(self.status_pages):
                raise XenError("EINVAL")
            return self.status_pages[number]
        self.grow(index + 1)
        return self.pages[index]

    # ---- Versions ----

    def set_version(self, version: int, reserved: int) -> None:
        """Change the layout; all but the first ``reserved`` entries are cleared. XenError EBUSY,
        ERANGE."""
        if any(ref >= reserved for ref in self._uses):
            raise XenError("EBUSY")
        kept = [self._portable(ref) for ref in range(reserved)]
        self.version = version
        for page in self.pages:
            page.data[:] = bytes(PAGE_SIZE)
        if version == 1:
            frames = self._domain.frames
            for page in self.status_pages:
                frames.forget(page)
            self.status_pages = []
        self._add_status_pages()
        in_use = self._constant("GTF_reading") | self._constant("GTF_writing")
        for ref, (flags, domid, frame) in enumerate(kept):
            entry = self.entry(ref)
            if version == 1:
                entry.flags, entry.domid, entry.frame = flags, domid, frame
            else:
                entry.hdr.flags, entry.hdr.domid = flags & ~in_use, domid
                entry.full_page.frame = frame
                self._set_status(ref, flags & in_use, 0)

    def _portable(self, ref: int) -> tuple[int, int, int]:
        """Flags, domid and frame of an entry. XenError ERANGE: version 1 has no room for it."""
        entry = self.entry(ref)
        if self.version == 1:
            return entry.flags, entry.domid, entry.frame
        kind = entry.hdr.flags & self._constant("GTF_type_mask")
        frame: int = entry.full_page.frame
        if kind == self._constant("GTF_transitive"):
            raise XenError("ERANGE")
        if kind != self._constant("GTF_permit_access"):
            return 0, 0, 0
        if frame >> 32:
            raise XenError("ERANGE")
        return entry.hdr.flags | self._status(ref), entry.hdr.domid, frame

    # ---- Entries ----

    def _constant(self, name: str) -> int:
        return self._domain.abi.constant(name)

    def check(self, ref: int) -> None:
        """GrantError bad_gntref: there is no entry ``ref``."""
        if ref >= self.entries:
            raise GrantError("bad_gntref")

    def entry(self, ref: int) -> Any:
        """A view of entry ``ref``: grant_entry_v1 or grant_entry_v2."""
        index, offset = divmod(ref * _ENTRY_SIZE[self.version], PAGE_SIZE)
        abi = self._domain.abi
        name = "grant_entry" if has_old_rules(abi) else f"grant_entry_v{self.version}"
        return abi.view(name, self.pages[index].data, offset)

    def header(self, ref: int) -> Any:
        """A view of its flags and domid."""
        entry = self.entry(ref)
        return entry if self.version == 1 else entry.hdr

    def _status_place(self, ref: int) -> tuple[memoryview, slice]:
        index, offset = divmod(ref * _STATUS_SIZE, PAGE_SIZE)
        return self.status_pages[index].data, slice(offset, offset + _STATUS_SIZE)

    def _status(self, ref: int) -> int:
        data, place = self._status_place(ref)
        return int.from_bytes(data[place], self._domain.byte_order)

    def _set_status(self, ref: int, added: int, removed: int) -> None:
        """Set and clear GTF_reading and GTF_writing where the version has them."""
        if self.version == 1:
            entry = self.entry(ref)
            entry.flags = entry.flags & ~removed | added
            return
        data, place = self._status_place(ref)
        value = self._status(ref) & ~removed | added
        data[place] = value.to_bytes(_STATUS_SIZE, self._domain.byte_order)

    def is_used(self, ref: int) -> bool:
        """Is an entry mapped, or being copied?"""
        return ref in self._uses

    def swap(self, one: int, other: int) -> None:
        """Exchange two entries. GrantError eagain: one is in use."""
        self.check(one)
        self.check(other)
        if one == other:
            return
        if self.is_used(one) or self.is_used(other):
            raise GrantError("eagain")
        size = _ENTRY_SIZE[self.version]
        places = []
        for ref in (one, other):
            index, offset = divmod(ref * size, PAGE_SIZE)
            places.append((self.pages[index].data, slice(offset, offset + size)))
        (first, at_first), (second, at_second) = places
        kept = bytes(first[at_first])
        first[at_first] = second[at_second]
        second[at_second] = kept

    # ---- Use by others ----

    def acquire(self, user: Domain, ref: int, kinds: tuple[str, ...], *, mapping: bool) -> Granted:
        """Use a grant: ``kinds`` are names of `Uses.counts`. For copies that is over with
        `release` of the same. GrantError."""
        self.check(ref)
        uses = self._uses.get(ref)
        if uses is not None and (
            uses.domid != user.id
            or any(uses.counts[kind] >= MOST_USES for kind in kinds)
            or (mapping and uses.granted.is_part)
        ):
            raise GrantError("general_error")
        writes = any(kind.endswith("write") for kind in kinds)
        header = self.header(ref)
        if uses is None or (writes and not uses.is_written):
            self._allow(header, user, uses, writes=writes, mapping=mapping)
            flags = self._constant("GTF_reading")
            flags |= self._constant("GTF_writing") if writes else 0
            self._set_status(ref, flags, 0)
            if uses is None or not mapping:  # a copy looks where the entry leads each time
                try:
                    granted = self._granted(ref, kinds, mapping=mapping)
                except GrantError:
                    self._reduce(ref, writes=writes)
                    raise
            if uses is None:
                uses = self._uses[ref] = Uses(user.id, granted)
        for kind in kinds:
            uses.counts[kind] += 1
        return uses.granted

    def _allow(
        self, header: Any, user: Domain, uses: Uses | None, *, writes: bool, mapping: bool
    ) -> None:
        """GrantError general_error: the entry does not grant it."""
        if uses is None:
            mask = self._constant("GTF_type_mask")
            if mapping and not has_old_rules(self._domain.abi):
                mask |= self._constant("GTF_sub_page")
            allowed = [self._constant("GTF_permit_access")]
            if self.version == 2 and not mapping:
                allowed.append(self._constant("GTF_transitive"))
            if header.flags & mask not in allowed or header.domid != user.id:
                raise GrantError("general_error")
        if writes and header.flags & self._constant("GTF_readonly"):
            raise GrantError("general_error")

    def _granted(self, ref: int, kinds: tuple[str, ...], *, mapping: bool) -> Granted:
        entry = self.entry(ref)
        if self.version == 1:
            return own_page(self._domain, entry.frame)
        flags = entry.hdr.flags
        if flags & self._constant("GTF_type_mask") == self._constant("GTF_transitive"):
            return self._passed_on(entry.transitive, kinds)
        if flags & self._constant("GTF_sub_page") and not mapping:
            part = entry.sub_page
            whole = own_page(self._domain, part.frame)
            return Granted(
                whole.domain, whole.frame, whole.page, part.page_off, part.length, is_part=True
            )
        return own_page(self._domain, entry.full_page.frame)

    def _passed_on(self, entry: Any, kinds: tuple[str, ...]) -> Granted:
        """What a transitive entry leads to: a grant of a third domain, once only."""
        hypervisor = self._domain.hypervisor
        other = hypervisor.domains.get(entry.trans_domid)
        if other is None or other is self._domain:
            raise GrantError("general_error")
        third = other.grants
        third.check(entry.gref)
        kind = third.header(entry.gref).flags & self._constant("GTF_type_mask")
        if third.version == 2 and kind == self._constant("GTF_transitive"):
            raise GrantError("general_error")
        granted = third.acquire(self._domain, entry.gref, kinds, mapping=False)
        third.release(entry.gref, kinds)
        return Granted(
            granted.domain, granted.frame, granted.page, granted.start, granted.length, is_part=True
        )

    def release(self, ref: int, kinds: tuple[str, ...]) -> None:
        """Undo `acquire`."""
        uses = self._uses[ref]
        for kind in kinds:
            uses.counts[kind] -= 1
        if uses.is_over:
            del self._uses[ref]
        self._reduce(ref, writes=any(kind.endswith("write") for kind in kinds))

    def granted(self, ref: int) -> Granted:
        """The page that an entry in use leads to."""
        return self._uses[ref].granted

    def lends(self, user: Domain, owner: Domain, frame: int) -> bool:
        """Has ``user`` a page of ``owner`` by an entry of this table?"""
        return any(
            uses.domid == user.id and uses.granted.domain is owner and uses.granted.frame == frame
            for uses in self._uses.values()
        )

    def _reduce(self, ref: int, *, writes: bool) -> None:
        """Clear what the uses that are left do not need."""
        uses = self._uses.get(ref)
        removed = 0 if uses else self._constant("GTF_reading")
        if writes and not (uses and uses.is_written):
            removed |= self._constant("GTF_writing")
        self._set_status(ref, 0, removed)

    # ---- Mappings of others' grants ----

    def add_mapping(self, mapping: Mapping) -> int:
        """A handle for a mapping; the one that was freed last is the next."""
        if self._free_handles:
            handle = self._free_handles.pop()
        else:
            handle = self._next_handle
            self._next_handle += 1
        self.mappings[handle] = mapping
        return handle

    def remove_mapping(self, handle: int) -> None:
        """Nothing of the mapping is left."""
        del self.mappings[handle]
        self._free_handles.append(handle)


def own_page(domain: Domain, frame: int) -> Granted:
    """A page of the domain's own. GrantError bad_page, before 4.0 general_error: none is there."""
    none = GrantError("general_error" if has_old_rules(domain.abi) else "bad_page")
    if not domain.frames.owns(frame):
        raise none
    try:
        return Granted(domain, frame, domain.memory.window(frame))
    except MemoryFault:
        raise none from None
