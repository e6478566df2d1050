"""Building a PVH domain: kernel and hvm_start_info in flat memory, a processor in 32-bit mode."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import unicorn
from unicorn import x86_const as x86

from xenport.errors import InputError
from xenport.model.cpu.elf_kernel import ElfKernel
from xenport.model.cpu.x86_core import (
    CR0_PG,
    CR4_PAE,
    E820_RAM,
    E820_RESERVED,
    EFER_LMA,
    EFER_LME,
    MSR_EFER,
    Processor,
)
from xenport.model.memory import PAGE_SIZE, Memory, MemoryFault

if TYPE_CHECKING:
    from xenport.model.domain import Domain

MEMORY_SIZE = 64 << 20

#: Where the processor finds descriptors and the code that loads them, before the kernel starts.
_STUB = 0x1000
_STUB_CS, _STUB_DS = 0x08, 0x10
_STUB_DESCRIPTORS = (0, 0x00CF9B000000FFFF, 0x00CF93000000FFFF)  # flat, 32-bit, ring 0
_LRETQ = b"\x48\xcb"
_LOAD_SEGMENTS = b"\x8e\xd8\x8e\xc0\x8e\xd0"  # mov %ax to ds, es, ss


@dataclass(frozen=True)
class PvhStart:
    """A domain ready to start: ``start_info`` is the address of hvm_start_info."""

    kernel: ElfKernel
    memory: Memory
    entry: int
    start_info: int
    memory_map: list[tuple[int, int, int]]
    console: int | None  #: address of the console ring; the control domain has none


def build(domain: Domain, image: bytes, command_line: str) -> PvhStart:
    """Load the kernel at its physical addresses, and what it is told behind it."""
    abi = domain.abi
    kernel = ElfKernel(image)
    entry = kernel.number(abi.constant("XEN_ELFNOTE_PHYS32_ENTRY"))
    if entry is None:
        raise InputError("the kernel has no XEN_ELFNOTE_PHYS32_ENTRY: it is no PVH kernel")
    memory = Memory(0, MEMORY_SIZE)
    try:
        for segment in kernel.segments:
            memory.write(segment.physical, segment.data)
    except MemoryFault as fault:
        raise InputError(f"the kernel does not fit into memory: {fault}") from None
    end = max(segment.physical + len(segment.data) for segment in kernel.segments)
    start_info = -(-end // PAGE_SIZE) * PAGE_SIZE
    text = start_info + abi.sizeof("hvm_start_info")
    buffer = bytearray(abi.sizeof("hvm_start_info"))
    view = abi.view("hvm_start_info", buffer)
    view.magic = abi.constant("XEN_HVM_START_MAGIC_VALUE")
    if domain.is_control:
        view.flags = abi.constant("SIF_PRIVILEGED") | abi.constant("SIF_INITDOMAIN")
    view.cmdline_paddr = text
    rsdp = -(-(text + len(command_line.encode()) + 1) // 16) * 16
    view.rsdp_paddr = rsdp
    memory.write(rsdp, _root_pointer())
    memory.write(start_info, buffer)
    memory.write(text, command_line.encode() + b"\0")
    # The last page of the memory.
    console = None if domain.is_control else MEMORY_SIZE - PAGE_SIZE
    memory_map = [(0, console or MEMORY_SIZE, E820_RAM), (0xFEE00000, 0x1000, E820_RESERVED)]
    return PvhStart(kernel, memory, entry, start_info, memory_map, console)


def _root_pointer() -> bytes:
    """ACPI's root pointer, revision 0, to no tables."""
    body = bytearray(b"RSD PTR \0XENPRT\0" + bytes(4))
    body[8] = -sum(body) & 0xFF
    return bytes(body)


def enter_flat(processor: Processor, entry: int) -> None:
    """Put the processor into flat 32-bit mode without paging at ``entry``.

    Unicorn starts in 64-bit mode; a far return leaves it, and segments have to be loaded by
    instructions. What they leave in memory is put back.
    """
    memory = processor.memory
    uc = processor.uc
    before = memory.read(_STUB, 0x100)
    memory.write(_STUB, struct.pack("<3Q", *_STUB_DESCRIPTORS))
    code = _STUB + 0x20
    memory.write(code, _LRETQ + _LOAD_SEGMENTS)
    stack = _STUB + 0x80
    memory.write(stack, struct.pack("<2Q", code + len(_LRETQ), _STUB_CS))
    uc.reg_write(x86.UC_X86_REG_GDTR, (0, _STUB, 8 * len(_STUB_DESCRIPTORS) - 1, 0))
    processor.rax.set(_STUB_DS)
    processor.rsp.set(stack)
    uc.emu_start(code, 0, count=1)
    _leave_long_mode(uc)
    uc.emu_start(code + len(_LRETQ), 0, count=3)
    memory.write(_STUB, before)
    uc.reg_write(x86.UC_X86_REG_GDTR, (0, 0, 0, 0))
    processor.rax.set(0)
    processor.rsp.set(0)
    processor.rflags.set(2)
    processor.rip.set(entry)


def _leave_long_mode(uc: unicorn.Uc) -> None:
    """Unicorn remembers the mode beside its register, until paging is turned off."""
    cr0, cr4 = uc.reg_read(x86.UC_X86_REG_CR0), uc.reg_read(x86.UC_X86_REG_CR4)
    uc.reg_write(x86.UC_X86_REG_CR4, cr4 | CR4_PAE)
    uc.msr_write(MSR_EFER, EFER_LME | EFER_LMA)
    uc.reg_write(x86.UC_X86_REG_CR0, cr0 | CR0_PG)
    uc.reg_write(x86.UC_X86_REG_CR0, cr0 & ~CR0_PG)
    uc.reg_write(x86.UC_X86_REG_CR4, cr4)
    uc.msr_write(MSR_EFER, 0)


def hypercall_page() -> bytes:
    """The hypercall page of an HVM guest: entry n makes hypercall n."""
    page = bytearray(b"\xcc" * PAGE_SIZE)
    for number in range(PAGE_SIZE // 32):
        code = b"\xb8" + struct.pack("<I", number) + b"\x0f\x01\xc1\xc3"  # mov; vmcall; ret
        page[number * 32 : number * 32 + len(code)] = code
    return bytes(page)
