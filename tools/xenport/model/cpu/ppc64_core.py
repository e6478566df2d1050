"""A Unicorn PowerPC core that runs a guest: supervisor state, hypervisor bit off, real mode.

Unicorn 2.1.4 opens a POWER10 that resets without MSR[HV], fetches nothing in that state, and has no
way to set the bit or any special-purpose register through its API. Both are mended in the saved
context of the CPU, at positions found by calibration.

A POWER10 has no real mode area as the PowerPC 970 had: a guest's untranslated addresses go through
a hash table that the hypervisor keeps (the virtual real mode area). The table here maps RAM one to
one.
"""

from __future__ import annotations

import ctypes
import functools
import struct
from typing import NamedTuple

from unicorn import UC_ARCH_PPC, UC_MODE_BIG_ENDIAN, UC_MODE_PPC64, ppc_const

from xenport.errors import InputError
from xenport.model.cpu.ppc64_guest import MSR_EE, MSR_HV, MSR_ME, MSR_RI, MSR_SF
from xenport.model.cpu.unicorn_core import Context, UnicornCore
from xenport.model.errors import ModelError
from xenport.model.memory import PAGE_SIZE, Buffer

SPR_DSISR = 18
SPR_DAR = 19
SPR_SRR0 = 26
SPR_SRR1 = 27
SPR_HDSISR = 306
SPR_HDAR = 307
SPR_LPIDR = 319
SPR_PTCR = 464

# Exceptions as Unicorn numbers them.
EXCEPTION_ALIGNMENT = 5
EXCEPTION_PROGRAM = 6
EXCEPTION_FP_UNAVAILABLE = 7
EXCEPTION_SYSTEM_CALL = 8
EXCEPTION_DATA_SEGMENT = 65
EXCEPTION_INSTRUCTION_SEGMENT = 66
EXCEPTION_HDSI = 69  # a data access that the hypervisor's table does not know
EXCEPTION_HISI = 70  # an instruction fetch of that kind
EXCEPTION_VECTOR_UNAVAILABLE = 73
EXCEPTION_VSX_UNAVAILABLE = 94
EXCEPTION_FACILITY_UNAVAILABLE = 95
EXCEPTION_ILLEGAL = 96  # an opcode Unicorn cannot translate


GPRS = 32

#: Pages behind RAM in which IBM's Xen shows a guest its grant table.
PAGES_BEHIND = 4


class _Layout(NamedTuple):
    """Offsets in the saved context of a CPU, in bytes."""

    msr: int
    sprs: int  # special-purpose register n is 8 bytes at sprs + 8 * n


class Ppc64Core(UnicornCore):
    """A POWER10 in guest state. Memory has to be mapped before `enter_guest_state`."""

    def __init__(self) -> None:
        super().__init__(UC_ARCH_PPC, UC_MODE_PPC64 | UC_MODE_BIG_ENDIAN)
        self._layout = _calibrate()
        self._context = Context(self)
        self.pc = self.register(ppc_const.UC_PPC_REG_PC)
        self.msr = self.register(ppc_const.UC_PPC_REG_MSR)
        first = ppc_const.UC_PPC_REG_0
        self.gprs = self.state(range(first, first + GPRS))  #: r0 to r31 in the CPU's own memory
        self.next_instruction = self.state([ppc_const.UC_PPC_REG_PC])  #: the PC, likewise

    def msr_in_hooks(self) -> ctypes.c_uint64:
        """The MSR in the CPU's own memory, to be read in hooks: much cheaper than ``msr``."""
        # The context is a copy of that memory: the same fields at the same distances.
        before = self.gprs[0]
        self.gprs[0] = mark = 0x5A00_1234_5678_9ABC
        self._context.load()
        found = self._context.offsets_of(mark, size=8)
        self.gprs[0] = before
        address = ctypes.addressof(self.gprs) + self._layout.msr - (found[0] if found else 0)
        msr = ctypes.c_uint64.from_address(address)
        if not found or msr.value != self.msr.get():
            raise ModelError("this build of Unicorn keeps the MSR elsewhere")
        return msr

    def enter_guest_state(self, ram_size: int) -> None:
        """Make real addresses from 0 reach the same physical addresses: ``ram_size`` bytes and
        `PAGES_BEHIND` pages, nothing else. The tables take memory that the guest cannot reach."""
        table = _real_mode_table(ram_size)
        table_address = 2 * ram_size
        self.map(table_address, table.size, table.address, table)
        partition_table = Buffer(PAGE_SIZE)
        partition_table.data[:8] = (table_address | _log2(table.size) - 18).to_bytes(8, "big")
        partition_table_address = table_address + table.size
        self.map(partition_table_address, PAGE_SIZE, partition_table.address, partition_table)
        self.set_sprs({SPR_PTCR: partition_table_address, SPR_LPIDR: 0})

    def sprs(self, *numbers: int) -> tuple[int, ...]:
        """The special-purpose registers of these numbers. Not for use while the core runs."""
        self._context.load()
        return tuple(self._context.u64(self._layout.sprs + 8 * n).value for n in numbers)

    def set_sprs(self, values: dict[int, int]) -> None:
        """Set special-purpose registers. Not for use while the core runs."""
        self._context.load()
        for number, value in values.items():
            self._context.u64(self._layout.sprs + 8 * number).value = value
        self._context.store()


class _BareCore(UnicornCore):
    """A core for calibration: in hypervisor state."""

    MEMORY_SIZE = 0x10000

    def __init__(self) -> None:
        super().__init__(UC_ARCH_PPC, UC_MODE_PPC64 | UC_MODE_BIG_ENDIAN)
        self.memory = Buffer(self.MEMORY_SIZE)
        self.map(0, self.MEMORY_SIZE, self.memory.address, self.memory)
        self.context = Context(self)
        self.msr = self.register(ppc_const.UC_PPC_REG_MSR)

    def words_that_become(self, msr: int) -> set[int]:
        """Where the context holds ``msr`` after it was written to the MSR."""
        self.msr.set(msr)
        self.context.load()
        return set(self.context.offsets_of(msr, size=8, step=8))

    def set_sprs_by_code(self, values: dict[int, int]) -> None:
        """Have the CPU itself execute mtspr for each."""
        code = bytearray()
        for index, (number, value) in enumerate(values.items()):
            self.register(ppc_const.UC_PPC_REG_3 + index).set(value)
            code += mtspr(number, 3 + index).to_bytes(4, "big")
        self.memory.data[: len(code)] = bytes(code)
        self.uc.emu_start(0, len(code), count=len(values))


def mtspr(number: int, register: int) -> int:
    """The instruction ``mtspr number, register``."""
    return 0x7C0003A6 | register << 21 | (number & 31) << 16 | number >> 5 << 11


@functools.cache
def _calibrate() -> _Layout:
    """Find MSR and the array of special-purpose registers in this Unicorn's CPU state. Raises
    InputError if they are not where this module can tell: not the Unicorn it was made for."""
    core = _BareCore()
    start = core.msr.get()
    places = core.words_that_become(start | MSR_EE) & core.words_that_become(start | MSR_RI)
    if len(places) != 1:
        raise InputError(f"this Unicorn cannot be used: MSR is in {len(places)} places, not 1")
    (msr,) = places
    core.context.u64(msr).value |= MSR_HV
    core.context.store()
    core.msr.set(MSR_SF | MSR_HV | MSR_ME)

    markers = {n: 0x5A5A_0000_1234_0000 + n for n in (SPR_DAR, SPR_SRR0, SPR_SRR1)}
    core.set_sprs_by_code(markers)
    core.context.load()
    arrays = [
        {offset - 8 * number for offset in core.context.offsets_of(value, size=8, step=8)}
        for number, value in markers.items()
    ]
    common = set.intersection(*arrays)
    if len(common) != 1:
        raise InputError(f"this Unicorn cannot be used: SPRs are in {len(common)} places, not 1")
    (sprs,) = common
    return _Layout(msr, sprs)


# The segment that real addresses are in, by the architecture: 1 TiB, its own number.
_VSID = 0x1FFFFFF
_SEGMENT_1T = 0x4000000000000000
_HASH = _VSID ^ _VSID << 25
_GROUP_ENTRIES = 8
_ENTRY = struct.Struct(">QQ")


def _log2(number: int) -> int:
    return number.bit_length() - 1


@functools.cache
def _real_mode_table(ram_size: int) -> Buffer:
    """A hash table with one entry for each page below ``ram_size`` (a power of two, at least
    64 MiB) and for those behind. Every run of as many pages as there are groups puts one into each,
    so that half of the table is full with the guest's RAM."""
    pages = ram_size // PAGE_SIZE
    groups = 2 * pages // _GROUP_ENTRIES
    table = Buffer(groups * _GROUP_ENTRIES * _ENTRY.size)
    for page in range(pages + PAGES_BEHIND):
        address = page * PAGE_SIZE
        index = (_HASH ^ page) % groups * _GROUP_ENTRIES + page // groups
        abbreviated_page = address >> 16 & 0x3FFFFFFFFFFFFF80
        segment = (_SEGMENT_1T | _VSID << 24) | abbreviated_page
        _ENTRY.pack_into(
            table.data,
            index * _ENTRY.size,
            segment & 0x000FFFFFFFFFFFFF | 1,  # valid
            1 << 58 | address | 0x180 | 2,  # used, changed; read and write
        )
    return table
