"""Xen's own part of a PV guest's address space: each vcpu's GDT, the machine-to-physical table.

Xen's slots of every top-level table point here, as on a real machine: the processor reads
descriptors through the guest's page tables.
"""

from __future__ import annotations

import struct

from xenport.model.cpu.x86_core import PRESENT, USER, WRITABLE
from xenport.model.cpu.x86_pv_memory import XEN_SLOTS, MachineMemory
from xenport.model.memory import PAGE_SIZE

#: Where vcpu n's GDT is; its first frames are the guest's, the one after them is Xen's.
GDT_START = 0xFFFF_8200_0000_0000
GDT_STRIDE = 0x40000
GUEST_GDT_FRAMES = 14  #: FIRST_RESERVED_GDT_PAGE
MACH2PHYS_START = 0xFFFF_8000_0000_0000
MACH2PHYS_END = 0xFFFF_8040_0000_0000
#: A page of Xen's code that only ring 0 may run.
STUB = 0xFFFF_8200_4000_0000

FLAT_CS, FLAT_SS, FLAT_CS32 = 0xE033, 0xE02B, 0xE023
STUB_CS, STUB_SS = 0xE008, 0xE010

_DESCRIPTORS = {
    STUB_CS: 0x00AF9B000000FFFF,  # ring 0, 64-bit code
    STUB_SS: 0x00CF93000000FFFF,  # ring 0, data
    FLAT_CS32: 0x00CFFB000000FFFF,
    FLAT_SS: 0x00CFF3000000FFFF,
    FLAT_CS: 0x00AFFB000000FFFF,
}
_IRETQ = b"\x48\xcf"


class XenSpace:
    """The tables behind Xen's slots, shared by all top-level tables of a domain."""

    def __init__(self, machine: MachineMemory) -> None:
        self._machine = machine
        self._roots: dict[int, int] = {}  # slot -> entry of the top-level table
        self._descriptors = machine.xen_frame()
        for selector, value in _DESCRIPTORS.items():
            at = self._descriptors * PAGE_SIZE + (selector & ~7) - GUEST_GDT_FRAMES * PAGE_SIZE
            machine.memory.write(at, struct.pack("<Q", value))
        self.stub_frame = machine.xen_frame()
        machine.memory.write(self.stub_frame * PAGE_SIZE, _IRETQ)
        self._map(STUB, self.stub_frame, PRESENT | WRITABLE)

    def gdt_address(self, vcpu_id: int) -> int:
        """The virtual address of a vcpu's GDT."""
        return GDT_START + vcpu_id * GDT_STRIDE

    def set_gdt(self, vcpu_id: int, frames: list[int]) -> None:
        """Make ``frames`` the guest's part of a vcpu's GDT."""
        start = self.gdt_address(vcpu_id)
        for index in range(GUEST_GDT_FRAMES):
            frame = frames[index] if index < len(frames) else self._machine.xen_frame_of_zeros
            self._map(start + index * PAGE_SIZE, frame, PRESENT | WRITABLE)
        end = start + GUEST_GDT_FRAMES * PAGE_SIZE
        self._map(end, self._descriptors, PRESENT | WRITABLE)

    def map_machine_to_physical(self, frames: list[int]) -> None:
        """Map ``frames`` read-only for the guest as the machine-to-physical table."""
        for index, frame in enumerate(frames):
            self._map(MACH2PHYS_START + index * PAGE_SIZE, frame, PRESENT | USER)

    def install(self, top: int) -> None:
        """Fill in Xen's slots of the top-level table in frame ``top``."""
        for slot in XEN_SLOTS:
            self._machine.write_entry(top * PAGE_SIZE + 8 * slot, self._roots.get(slot, 0))

    def _map(self, address: int, frame: int, flags: int) -> None:
        slot = address >> 39 & 511
        if slot not in self._roots:
            self._roots[slot] = self._new_table()
        table = self._roots[slot]
        for shift in (30, 21):
            at = (table & ~0xFFF) + 8 * (address >> shift & 511)
            entry = self._machine.read_entry(at)
            if not entry & PRESENT:
                entry = self._new_table()
                self._machine.write_entry(at, entry)
            table = entry
        at = (table & ~0xFFF) + 8 * (address >> 12 & 511)
        self._machine.write_entry(at, frame * PAGE_SIZE | flags)

    def _new_table(self) -> int:
        return self._machine.xen_frame() * PAGE_SIZE | PRESENT | WRITABLE | USER
