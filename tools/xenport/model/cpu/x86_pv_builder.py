"""Building a 64-bit PV domain the way Xen builds its first one.

In virtual memory, from the ELF notes' VIRT_BASE: the kernel; the list of machine frames;
start_info; the console ring of a domain that is not the first; the page tables that map all of
this; the first stack. The mapping ends at a multiple of
4 MiB.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xenport.errors import InputError
from xenport.model.cpu.elf_kernel import ElfKernel
from xenport.model.cpu.x86_core import ACCESSED, ADDRESS, DIRTY, PRESENT, USER, WRITABLE
from xenport.model.cpu.x86_pv_memory import SPARE, MachineMemory
from xenport.model.cpu.x86_pv_xen import XenSpace
from xenport.model.memory import PAGE_SIZE

if TYPE_CHECKING:
    from xenport.model.domain import Domain

MEMORY_PAGES = 16384  #: 64 MiB
_FIRST_FRAME = 0x1000  #: of domain 0; what is below is Xen's
_ALIGNMENT = 4 << 20
_SLACK = 512 << 10  # there is always so much mapped behind the stack

_PAGE = PRESENT | WRITABLE | USER | ACCESSED | DIRTY
_MAGIC = b"xen-3.0-x86_64p\0"


@dataclass(frozen=True)
class PvStart:
    """What the first vcpu starts with: virtual addresses, and the machine address of the tables."""

    kernel: ElfKernel | None  #: none if nothing is to run
    machine: MachineMemory
    xen: XenSpace
    entry: int
    start_info: int
    stack: int
    root: int
    console: int | None  #: machine address of the console ring; the control domain has none


def _up(address: int, unit: int = PAGE_SIZE) -> int:
    return -(-address // unit) * unit


class Builder:
    """Lays a domain out in virtual memory; see the module."""

    def __init__(self, domain: Domain, image: bytes) -> None:
        self._domain = domain
        self._abi = domain.abi
        self._kernel = ElfKernel(image)
        self._base = self._note("XEN_ELFNOTE_VIRT_BASE")
        self._offset = self._base - (self._optional("XEN_ELFNOTE_PADDR_OFFSET") or 0)
        segments = self._kernel.segments
        if min(s.physical + self._offset for s in segments) < self._base:
            raise InputError("the kernel lies below its VIRT_BASE")
        kernel_end = max(s.physical + self._offset + len(s.data) for s in segments)
        self._list = _up(kernel_end)
        self._start_info = _up(self._list + MEMORY_PAGES * 8)
        self._console = self._start_info + PAGE_SIZE
        self._tables = self._console + (0 if domain.is_control else PAGE_SIZE)
        self._table_count, self._end = self._size_of_tables()
        self._stack = self._tables + self._table_count * PAGE_SIZE
        # No two domains have the same frames.
        self._first = _FIRST_FRAME + domain.id * (MEMORY_PAGES + SPARE)
        self._machine = MachineMemory(self._first, MEMORY_PAGES)

    def _optional(self, name: str) -> int | None:
        return self._kernel.number(self._abi.constant(name))

    def _note(self, name: str) -> int:
        value = self._optional(name)
        if value is None:
            raise InputError(f"the kernel has no {name}: it is no PV kernel")
        return value

    def _size_of_tables(self) -> tuple[int, int]:
        """Number of page tables, and the end of what they map."""
        count = 4
        while True:
            stack_end = self._tables + (count + 1) * PAGE_SIZE
            end = _up(stack_end, _ALIGNMENT)
            if end - stack_end < _SLACK:
                end += _ALIGNMENT
            needed = 1 + sum(
                (_up(end, 1 << shift) - self._base // (1 << shift) * (1 << shift)) >> shift
                for shift in (39, 30, 21)
            )
            if needed <= count:
                return count, end
            count = needed

    # ---- Memory ----

    def _frame(self, page: int) -> int:
        """The machine frame of the domain's page: neighbours swapped, so that a kernel that takes
        the one for the other does not get far."""
        return self._first + (page ^ 1)

    def _store(self, address: int, content: bytes) -> None:
        for start in range(0, len(content), PAGE_SIZE):
            self._store_in_page(address + start, content[start : start + PAGE_SIZE])

    def _store_in_page(self, address: int, content: bytes) -> None:
        room = PAGE_SIZE - address % PAGE_SIZE
        self._machine.memory.write(self._machine_address(address), content[:room])
        if len(content) > room:
            self._store_in_page(address + room, content[room:])

    def _machine_address(self, address: int) -> int:
        page = (address - self._base) // PAGE_SIZE
        return self._frame(page) * PAGE_SIZE + address % PAGE_SIZE

    # ---- Parts ----

    def build(self, command_line: str) -> PvStart:
        """Make the domain's memory."""
        shared_info = self._machine.share(self._domain.shared_info) * PAGE_SIZE
        self._domain.memory = self._machine.memory
        self._switch_assists()
        for segment in self._kernel.segments:
            self._store(segment.physical + self._offset, segment.data)
        self._fill_hypercall_page()
        frames = struct.pack(f"<{MEMORY_PAGES}Q", *map(self._frame, range(MEMORY_PAGES)))
        self._store(self._list, frames)
        self._store(self._start_info, self._encode_start_info(shared_info, command_line))
        xen = XenSpace(self._machine)
        self._machine.machphys_frames = self._machine_to_physical()
        xen.map_machine_to_physical(self._machine.machphys_frames)
        root = self._build_tables()
        xen.install(root // PAGE_SIZE)
        self._machine.promote(root // PAGE_SIZE, 4, privileged=True)
        self._machine.pinned.add(root // PAGE_SIZE)
        return PvStart(
            self._kernel,
            self._machine,
            xen,
            self._note("XEN_ELFNOTE_ENTRY"),
            self._start_info,
            self._stack + PAGE_SIZE,
            root,
            None if self._domain.is_control else self._machine_address(self._console),
        )

    def _switch_assists(self) -> None:
        """An assist that the kernel asks for in its notes is on from the start."""
        features = self._kernel.text(self._abi.constant("XEN_ELFNOTE_FEATURES")) or ""
        if "pae_pgdir_above_4gb" in features.split("|"):
            self._domain.vm_assist |= 1 << self._abi.constant("VMASST_TYPE_pae_extended_cr3")

    def _fill_hypercall_page(self) -> None:
        address = self._optional("XEN_ELFNOTE_HYPERCALL_PAGE")
        if address is not None:
            iret = self._abi.hypercalls["iret"].number
            self._store(address, hypercall_page(iret))

    def _encode_start_info(self, shared_info: int, command_line: str) -> bytes:
        abi = self._abi
        buffer = bytearray(abi.sizeof("start_info"))
        info = abi.view("start_info", buffer)
        info.magic[: len(_MAGIC)] = _MAGIC
        info.nr_pages = MEMORY_PAGES
        info.shared_info = shared_info
        if self._domain.is_control:
            info.flags = abi.constant("SIF_PRIVILEGED") | abi.constant("SIF_INITDOMAIN")
        else:
            info.console.domU.mfn = self._machine_address(self._console) // PAGE_SIZE
        info.pt_base = self._tables
        info.nr_pt_frames = self._table_count
        info.mfn_list = self._list
        text = command_line.encode()[: abi.constant("MAX_GUEST_CMDLINE") - 1]
        info.cmd_line[: len(text)] = text
        return bytes(buffer)

    def _machine_to_physical(self) -> list[int]:
        """The frames of the machine-to-physical table, filled."""
        total = self._machine.total
        entries = [(1 << 64) - 1] * total
        for page in range(MEMORY_PAGES):
            entries[self._frame(page)] = page
        content = struct.pack(f"<{total}Q", *entries)
        frames = []
        for start in range(0, len(content), PAGE_SIZE):
            frame = self._machine.xen_frame()
            self._machine.memory.write(frame * PAGE_SIZE, content[start : start + PAGE_SIZE])
            frames.append(frame)
        return frames

    def _build_tables(self) -> int:
        """Page tables for everything from the base to the end; returns the machine address of the
        top one. They follow each other from `_tables` on, the top one first."""
        next_table = self._tables

        def new_table() -> int:
            nonlocal next_table
            address = self._machine_address(next_table)
            next_table += PAGE_SIZE
            return address

        root = new_table()
        tables = range(self._tables, self._stack, PAGE_SIZE)
        for address in range(self._base, self._end, PAGE_SIZE):
            table = root
            for shift in (39, 30, 21):
                at = table + 8 * (address >> shift & 511)
                entry = self._machine.read_entry(at)
                if not entry & PRESENT:
                    entry = new_table() | _PAGE
                    self._machine.write_entry(at, entry)
                table = entry & ADDRESS
            flags = _PAGE & ~WRITABLE if address in tables else _PAGE
            at = table + 8 * (address >> 12 & 511)
            self._machine.write_entry(at, self._machine_address(address) | flags)
        return root


def hypercall_page(iret: int) -> bytes:
    """The hypercall page of a 64-bit PV guest: entry n makes hypercall n. The one of iret leaves
    the frame that iret needs on the stack instead of returning."""
    page = bytearray(b"\xcc" * PAGE_SIZE)
    for number in range(PAGE_SIZE // 32):
        load = b"\xb8" + struct.pack("<I", number)  # mov $number, %eax
        if number == iret:
            # push %rcx; push %r11; push %rax; mov; syscall
            code = b"\x51\x41\x53\x50" + load + b"\x0f\x05"
        else:
            # push %rcx; push %r11; mov; syscall; pop %r11; pop %rcx; ret
            code = b"\x51\x41\x53" + load + b"\x0f\x05\x41\x5b\x59\xc3"
        page[number * 32 : number * 32 + len(code)] = code
    return bytes(page)
