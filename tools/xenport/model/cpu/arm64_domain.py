"""Xen's domain builder for arm64: a new domain's memory map, kernel and device tree.

Two kinds: dom0, which sees the host's memory map (that of QEMU's machine `virt`) with RAM at its
physical address, and a domain that Xen builds at boot without a tool stack, which sees the map of
arch-arm.h. The trees have the shape that Xen 4.17 gives them there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import fdt

from xenport.errors import InputError
from xenport.model.cpu.arm64_gic import FRAME_SIZE
from xenport.model.memory import PAGE_SIZE, Memory

if TYPE_CHECKING:
    import xenport.abi
    from xenport.model.domain import Domain

MIB = 1 << 20

# The header of a Linux Image for arm64.
_HEADER_SIZE = 64
_MAGIC = slice(0x38, 0x3C)
_TEXT_OFFSET = slice(8, 16)

#: From the end of RAM, where it is small, to the device tree.
_DEVICE_TREE_ROOM = 2 * MIB

#: Private interrupts are numbered from here in device trees; the flags say: level, low.
_FIRST_PRIVATE = 16
_LEVEL_LOW = 0xF08

Cells = list[int]
Value = str | list[str] | Cells | None  # None: a property without a value
Node = dict[str, Value]


@dataclass(frozen=True)
class Region:
    """Guest-physical addresses."""

    start: int
    size: int


@dataclass(frozen=True)
class Map:
    """Where a domain finds what."""

    ram: Region
    distributor: Region
    redistributors: Region
    grant_table: Region
    free: tuple[Region, ...]  # address space that has nothing in it, for foreign mappings
    event_interrupt: int


def memory_map(domain: Domain) -> Map:
    """The map of ``domain``."""
    return _host_map() if domain.is_control else _guest_map(domain.abi)


def _host_map() -> Map:
    return Map(
        ram=Region(0x44000000, 64 * MIB),
        distributor=Region(0x08000000, FRAME_SIZE),
        redistributors=Region(0x080A0000, 0xF60000),
        grant_table=Region(0x40200000, 0x40000),
        free=(Region(0x48000000, 0x38000000),),
        event_interrupt=16,
    )


def _guest_map(abi: xenport.abi.Abi) -> Map:
    c = abi.constant
    ram = Region(c("GUEST_RAM0_BASE"), 32 * MIB)
    end = ram.start + ram.size
    return Map(
        ram=ram,
        distributor=Region(c("GUEST_GICV3_GICD_BASE"), c("GUEST_GICV3_GICD_SIZE")),
        redistributors=Region(c("GUEST_GICV3_GICR0_BASE"), c("GUEST_GICV3_GICR0_SIZE")),
        grant_table=Region(c("GUEST_GNTTAB_BASE"), c("GUEST_GNTTAB_SIZE")),
        free=(
            Region(end, c("GUEST_RAM0_BASE") + c("GUEST_RAM0_SIZE") - end),
            Region(c("GUEST_RAM1_BASE"), c("GUEST_RAM1_SIZE")),
        ),
        event_interrupt=c("GUEST_EVTCHN_PPI"),
    )


@dataclass(frozen=True)
class Loaded:
    """Guest-physical addresses for the entry state, and the kernel's code for the code traps."""

    entry: int
    device_tree: int
    code: list[tuple[int, bytes]]


def load(domain: Domain, layout: Map, image: bytes, command_line: str) -> Loaded:
    """Give ``domain`` its memory with the kernel and the device tree in it. Raises InputError for
    an image that Xen does not take."""
    if len(image) < _HEADER_SIZE or image[_MAGIC] != b"ARM\x64":
        raise InputError("the kernel is not an arm64 Image: it lacks the magic number at 0x38")
    ram = layout.ram
    entry = ram.start + int.from_bytes(image[_TEXT_OFFSET], "little")
    device_tree = ram.start + ram.size - _DEVICE_TREE_ROOM
    if entry + len(image) > device_tree:
        raise InputError(
            f"the kernel would reach to {entry + len(image):#x}; its device tree is at "
            f"{device_tree:#x}"
        )
    memory = Memory(ram.start, ram.size)
    memory.write(entry, image)
    memory.write(device_tree, _flatten(_tree(domain, layout, command_line)))
    domain.memory = memory
    domain.total_pages = domain.max_pages = ram.size // PAGE_SIZE
    return Loaded(entry, device_tree, [(entry, image)])


# ---- Device trees: nodes by path, in the order in which Xen makes them ----


def _tree(domain: Domain, layout: Map, command_line: str) -> dict[str, Node]:
    make = _dom0_tree if domain.is_control else _guest_tree
    return make(domain, layout, command_line)


def _dom0_tree(domain: Domain, layout: Map, command_line: str) -> dict[str, Node]:
    """The host's tree, in which Xen has replaced what it keeps for itself."""
    gic, clock = 0x8003, 0x8000
    return {
        "/": {
            "interrupt-parent": [gic],
            "model": "linux,dummy-virt",
            "#size-cells": [2],
            "#address-cells": [2],
            "compatible": "linux,dummy-virt",
        },
        "/interrupt-controller": {
            "phandle": [gic],
            "#address-cells": [2],
            "#size-cells": [2],
            "#interrupt-cells": [3],
            "interrupt-controller": None,
            "compatible": "arm,gic-v3",
            "#redistributor-regions": [1],
            "reg": _reg(layout.distributor, layout.redistributors),
        },
        "/timer": _timer(domain.abi, gic),
        "/apb-pclk": {
            "phandle": [clock],
            "clock-output-names": "clk24mhz",
            "clock-frequency": [24_000_000],
            "#clock-cells": [0],
            "compatible": "fixed-clock",
        },
        "/chosen": {"#address-cells": [2], "#size-cells": [2], "bootargs": command_line},
        "/hypervisor": _hypervisor(domain, layout, gic),
        "/psci": _psci(domain.abi),
        **_cpus(domain),
        **_memory(layout.ram),
    }


def _guest_tree(domain: Domain, layout: Map, command_line: str) -> dict[str, Node]:
    """What Xen makes for a domain without a tool stack."""
    gic = 65000
    return {
        "/": {"#address-cells": [2], "#size-cells": [2]},
        "/chosen": {
            "bootargs": command_line,
            "linux,initrd-start": [0, 0],
            "linux,initrd-end": [0, 0],
        },
        "/psci": _psci(domain.abi),
        **_cpus(domain),
        **_memory(layout.ram),
        f"/interrupt-controller@{layout.distributor.start:x}": {
            "#address-cells": [0],
            "#interrupt-cells": [3],
            "interrupt-controller": None,
            "compatible": "arm,gic-v3",
            "reg": _reg(layout.distributor, layout.redistributors),
            "linux,phandle": [gic],
            "phandle": [gic],
        },
        "/timer": _timer(domain.abi, gic),
        "/hypervisor": _hypervisor(domain, layout, gic),
    }


def _psci(abi: xenport.abi.Abi) -> Node:
    return {
        "compatible": ["arm,psci-1.0", "arm,psci-0.2", "arm,psci"],
        "method": "hvc",
        "cpu_off": [abi.constant("PSCI_cpu_off")],
        "cpu_on": [abi.constant("PSCI_cpu_on")],
    }


def _cpus(domain: Domain) -> dict[str, Node]:
    cpus: dict[str, Node] = {"/cpus": {"#address-cells": [1], "#size-cells": [0]}}
    for number in range(domain.max_vcpus):
        cpus[f"/cpus/cpu@{number:x}"] = {
            "compatible": "arm,cortex-a57",
            "device_type": "cpu",
            "reg": [number],
            "enable-method": "psci",
        }
    return cpus


def _memory(ram: Region) -> dict[str, Node]:
    return {f"/memory@{ram.start:x}": {"device_type": "memory", "reg": _reg(ram)}}


def _timer(abi: xenport.abi.Abi, gic: int) -> Node:
    names = ("GUEST_TIMER_PHYS_S_PPI", "GUEST_TIMER_PHYS_NS_PPI", "GUEST_TIMER_VIRT_PPI")
    return {
        "compatible": "arm,armv8-timer",
        "interrupts": [cell for name in names for cell in _private(abi.constant(name))],
        "interrupt-parent": [gic],
    }


def _hypervisor(domain: Domain, layout: Map, gic: int) -> Node:
    return {
        "compatible": [f"xen,xen-{domain.abi.release}", "xen,xen"],
        "reg": _reg(layout.grant_table, *layout.free),
        "interrupts": _private(layout.event_interrupt),
        "interrupt-parent": [gic],
    }


def _private(interrupt: int) -> Cells:
    return [1, interrupt - _FIRST_PRIVATE, _LEVEL_LOW]


def _reg(*regions: Region) -> Cells:
    return [
        half
        for region in regions
        for number in (region.start, region.size)
        for half in (number >> 32, number & 0xFFFFFFFF)
    ]


def _flatten(nodes: dict[str, Node]) -> bytes:
    tree = fdt.FDT()
    for path, properties in nodes.items():
        node = tree.get_node(path, create=True)
        for name, value in properties.items():
            node.append(_property(name, value))
    blob: bytes = tree.to_dtb(version=17, last_comp_version=16, boot_cpuid_phys=0)
    return blob


def _property(name: str, value: Value) -> fdt.Property:
    if value is None:
        return fdt.Property(name)
    if value == "":
        return fdt.PropBytes(name, data=b"\0")  # PropStrings takes no empty ones
    if isinstance(value, str):
        return fdt.PropStrings(name, value)
    if all(isinstance(item, str) for item in value):
        return fdt.PropStrings(name, *value)
    return fdt.PropWords(name, *value)
