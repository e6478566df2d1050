"""IBM's domain builder for ppc64: where everything is in a new domain's memory; its device tree.

All memory is the real mode area, which starts at guest-physical 0. Its last pages are shared_info,
the console's ring and the store's. The device tree comes behind the kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import fdt

from xenport.errors import InputError
from xenport.model.clock import WALL_CLOCK_SECONDS
from xenport.model.cpu.elf_kernel import ElfKernel
from xenport.model.cpu.ppc64_ibm import IbmFrames
from xenport.model.domain import NO_PORT_LIMIT
from xenport.model.grant_table import has_old_rules
from xenport.model.memory import PAGE_SIZE, Memory

if TYPE_CHECKING:
    from xenport.model.domain import Domain

_ELF_64 = {"big": b"\x7fELF\x02\x02", "little": b"\x7fELF\x02\x01"}
_EM_PPC64 = 21

# Handles of the nodes that other nodes speak of, in the order in which the builder makes them.
_CPU, _XEN, _REAL_MODE_AREA = range(3)


@dataclass(frozen=True)
class SharedPages:
    """Guest-physical addresses of the pages that a domain shares."""

    memory_size: int  # bytes

    @property
    def shared_info(self) -> int:
        return self.memory_size - PAGE_SIZE

    @property
    def console(self) -> int:
        return self.memory_size - 2 * PAGE_SIZE

    @property
    def store(self) -> int:
        return self.memory_size - 3 * PAGE_SIZE


@dataclass(frozen=True)
class Loaded:
    """Guest-physical addresses for the entry state."""

    entry: int
    kernel: int
    device_tree: int
    code: list[tuple[int, bytes]]  # executable segments, for the code traps


def load(domain: Domain, image: bytes, command_line: str, timebase_frequency: int) -> Loaded:
    """Give ``domain`` its memory with the kernel, its device tree and its shared page in it. Raises
    InputError for an image that is no kernel for this architecture or does not fit."""
    order = domain.byte_order
    if not image.startswith(_ELF_64[order]) or image[18:20] != _EM_PPC64.to_bytes(2, order):
        raise InputError(f"the kernel is not an ELF file for 64-bit {order}-endian PowerPC")
    kernel = ElfKernel(image)
    start = min(segment.physical for segment in kernel.segments)
    end = max(segment.physical + len(segment.data) for segment in kernel.segments)
    size: int = domain.hypervisor.architecture.entry["real_mode_area"]
    shared_pages = SharedPages(size)
    tree = device_tree(domain, shared_pages, command_line, timebase_frequency)
    tree_at = end + PAGE_SIZE - 1 & -PAGE_SIZE
    room = shared_pages.store - len(tree)
    if tree_at > room:
        raise InputError(f"the kernel reaches to {end:#x}; there is room up to {room:#x}")

    memory = Memory(0, size)
    domain.memory = memory
    domain.total_pages = domain.max_pages = size // PAGE_SIZE
    memory.replace(shared_pages.shared_info // PAGE_SIZE, domain.shared_info)
    if has_old_rules(domain.abi):
        domain.frames = IbmFrames(domain)
        domain.max_port = NO_PORT_LIMIT  # 3.2 knows no other than that of the bitmaps
    for segment in kernel.segments:
        memory.write(segment.physical, segment.data)
    memory.write(tree_at, tree)
    # Domain 0 keeps the wall clock, Xen copies what it has: the time at timebase 0.
    shared = domain.shared_view()
    shared.wc_sec = WALL_CLOCK_SECONDS
    shared.arch.boot_timebase = 0
    return Loaded(kernel.entry, start, tree_at, kernel.code)


def device_tree(
    domain: Domain, shared_pages: SharedPages, command_line: str, timebase_frequency: int
) -> bytes:
    """The flattened device tree that the builder makes for a domain that is not domain 0."""
    tree = fdt.FDT()
    tree.entries = [
        {"address": address, "size": PAGE_SIZE}
        for address in (shared_pages.shared_info, shared_pages.console, shared_pages.store)
    ]
    nodes: dict[str, dict[str, str | list[int] | None]] = {
        "/": {
            "device_type": "chrp-but-not-really",
            "#size-cells": [2],
            "#address-cells": [2],
            "model": "Momentum,Maple-D",
            "compatible": "Momentum,Maple",
        },
        "/chosen": {
            "cpu": [_CPU],
            "memory": [_REAL_MODE_AREA],
            "linux,stdout-path": "/xen/console",
            "interrupt-controller": [_XEN],
            **({"bootargs": command_line} if command_line else {}),
        },
        "/xen": {
            "compatible": "Xen-3.0-unstable",
            "reg": [*_cells(domain.id), *_cells(0)],
            "shared-info": [*_cells(shared_pages.shared_info), *_cells(PAGE_SIZE)],
            "linux,phandle": [_XEN],
        },
        "/xen/console": _ring(shared_pages.console),
        "/xen/store": _ring(shared_pages.store),
        "/memory@0": {
            "reg": [*_cells(0), *_cells(shared_pages.memory_size)],
            "device_type": "memory",
            "linux,phandle": [_REAL_MODE_AREA],
        },
        "/cpus": {"smp-enabled": None, "#size-cells": [0], "#address-cells": [1]},
        "/cpus/PowerPC,970@0": {
            "device_type": "cpu",
            "reg": [0],
            "timebase-frequency": [timebase_frequency],
            "64-bit": None,
            "linux,phandle": [_CPU],
        },
    }
    for path, properties in nodes.items():
        for name, value in properties.items():
            _set(tree, path, name, value)
    blob: bytes = tree.to_dtb(version=17, last_comp_version=16, boot_cpuid_phys=0)
    return blob


def _set(tree: fdt.FDT, path: str, name: str, value: str | list[int] | None) -> None:
    node = tree.get_node(path, create=True)
    if value is None:
        node.append(fdt.Property(name))
    elif isinstance(value, str):
        node.append(fdt.PropStrings(name, value))
    else:
        node.append(fdt.PropWords(name, *value))


def _ring(address: int) -> dict[str, str | list[int] | None]:
    """A page shared with domain 0. Nobody is there to serve it: no event channel."""
    return {"reg": [*_cells(address), *_cells(PAGE_SIZE)], "interrupts": [0, 0]}


def _cells(number: int) -> tuple[int, int]:
    """A 64-bit number as the two cells of a property."""
    return number >> 32, number & 0xFFFFFFFF
