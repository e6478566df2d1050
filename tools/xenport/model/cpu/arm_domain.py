"""Xen's domain builder for Arm: a new domain's memory map, kernel and device tree.

Two kinds: dom0, which sees the host's memory map (that of QEMU's machine `virt`) with RAM at its
physical address, and a domain that Xen builds at boot without a tool stack, which sees the map of
arch-arm.h. The trees have the shape that Xen 4.17 gives them there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import fdt

from xenport.errors import InputError
from xenport.model.cpu.arm_gicv2 import GicV2
from xenport.model.cpu.arm_gicv3 import GicV3
from xenport.model.memory import PAGE_SIZE, Memory

if TYPE_CHECKING:
    import xenport.abi
    from xenport.model.cpu.arm_gic import Gic
    from xenport.model.domain import Domain

MIB = 1 << 20

_HEADER_SIZE = 64

# The header of a Linux Image for arm64.
_MAGIC = slice(0x38, 0x3C)
_TEXT_OFFSET = slice(8, 16)

# The header of a zImage for 32-bit Arm.
_ZIMAGE_MAGIC = slice(0x24, 0x28)
_ZIMAGE_START = slice(0x28, 0x2C)
_ZIMAGE_END = slice(0x2C, 0x30)

#: What a device tree has at the end of RAM, where that is small, or before the kernel.
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

    @property
    def frames(self) -> range:
        """The frames of whole pages."""
        return range(self.start // PAGE_SIZE, (self.start + self.size) // PAGE_SIZE)


@dataclass(frozen=True)
class Map:
    """Where a domain finds what."""

    ram: Region
    distributor: Region
    gic_cpu: Region  # GICv2: CPU interfaces; GICv3: redistributors
    grant_table: Region
    free: tuple[Region, ...]  # address space that has nothing in it, for foreign mappings
    event_interrupt: int


@dataclass(frozen=True)
class GicKind:
    """A version of the interrupt controller, as the control domain finds it on its machine and
    others find it by the ABI, which has constants of the names in ``guest`` for the regions."""

    config: str  # the constant of domctl.h
    make: type[Gic]
    host: tuple[Region, Region]  # the distributor, and what `Map.gic_cpu` is
    host_node: Node
    guest: tuple[tuple[str, str], tuple[str, str]]
    guest_compatible: str


@dataclass(frozen=True)
class GuestKind:
    """What depends on the width of a guest, and on its interrupt controller.

    ``locate`` says where a kernel is put and where its device tree is; it raises InputError for an
    image that Xen does not take. ``host`` is the control domain's map, but for the interrupt
    controller.
    """

    locate: Callable[[Region, bytes], tuple[int, int]]
    host: Callable[[Region, Region], Map]
    has_free_regions: bool
    gic: GicKind
    timer: str
    cpu: Node


def memory_map(domain: Domain, kind: GuestKind) -> Map:
    """The map of ``domain``."""
    return kind.host(*kind.gic.host) if domain.is_control else _guest_map(domain.abi, kind)


def _guest_map(abi: xenport.abi.Abi, kind: GuestKind) -> Map:
    def region(start: str, size: str) -> Region:
        return Region(abi.constant(start), abi.constant(size))

    bank = region("GUEST_RAM0_BASE", "GUEST_RAM0_SIZE")
    ram = Region(bank.start, 32 * MIB)
    rest = Region(ram.start + ram.size, bank.size - ram.size)
    free = (rest, region("GUEST_RAM1_BASE", "GUEST_RAM1_SIZE"))
    return Map(
        ram=ram,
        distributor=region(*kind.gic.guest[0]),
        gic_cpu=region(*kind.gic.guest[1]),
        grant_table=region("GUEST_GNTTAB_BASE", "GUEST_GNTTAB_SIZE"),
        free=free if kind.has_free_regions else (),
        event_interrupt=abi.constant("GUEST_EVTCHN_PPI"),
    )


@dataclass(frozen=True)
class Loaded:
    """Guest-physical addresses for the entry state, and the kernel's code for the code traps."""

    entry: int
    device_tree: int
    code: list[tuple[int, bytes]]


def load(domain: Domain, layout: Map, kind: GuestKind, image: bytes, command_line: str) -> Loaded:
    """Give ``domain`` its memory with the kernel and the device tree in it. Raises InputError for
    an image that Xen does not take."""
    ram = layout.ram
    entry, device_tree = kind.locate(ram, image)
    memory = Memory(ram.start, ram.size)
    memory.write(entry, image)
    memory.write(device_tree, _flatten(_tree(domain, layout, kind, command_line)))
    domain.memory = memory
    domain.total_pages = domain.max_pages = ram.size // PAGE_SIZE
    return Loaded(entry, device_tree, [(entry, image)])


def _locate_image(ram: Region, image: bytes) -> tuple[int, int]:
    if len(image) < _HEADER_SIZE or image[_MAGIC] != b"ARM\x64":
        raise InputError("the kernel is not an arm64 Image: it lacks the magic number at 0x38")
    entry = ram.start + int.from_bytes(image[_TEXT_OFFSET], "little")
    device_tree = ram.start + ram.size - _DEVICE_TREE_ROOM
    if entry + len(image) > device_tree:
        raise InputError(
            f"the kernel would reach to {entry + len(image):#x}; its device tree is at "
            f"{device_tree:#x}"
        )
    return entry, device_tree


def _locate_zimage(ram: Region, image: bytes) -> tuple[int, int]:
    """At the end of RAM, at whole 2 MiB, with the device tree before it."""
    if len(image) < _HEADER_SIZE or image[_ZIMAGE_MAGIC] != bytes.fromhex("18286f01"):
        raise InputError("the kernel is not a zImage: it lacks the magic number at 0x24")
    start = int.from_bytes(image[_ZIMAGE_START], "little")
    size = int.from_bytes(image[_ZIMAGE_END], "little") - start
    if start:
        raise InputError("the zImage names an address; the model takes those that run anywhere")
    if not 0 < size <= len(image):
        raise InputError(f"the zImage has {len(image)} bytes, and {size} by its header")
    entry = (ram.start + ram.size - size) // (2 * MIB) * (2 * MIB)
    device_tree = entry - _DEVICE_TREE_ROOM
    if device_tree < ram.start:
        raise InputError(f"the kernel of {size} bytes does not fit into {ram.size}")
    return entry, device_tree


# ---- Device trees: nodes by path, in the order in which Xen makes them ----


def _tree(domain: Domain, layout: Map, kind: GuestKind, command_line: str) -> dict[str, Node]:
    make = _dom0_tree if domain.is_control else _guest_tree
    return make(domain, layout, kind, command_line)


def _dom0_tree(domain: Domain, layout: Map, kind: GuestKind, command_line: str) -> dict[str, Node]:
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
            **kind.gic.host_node,
            "reg": _reg(layout.distributor, layout.gic_cpu),
        },
        "/timer": _timer(domain.abi, kind, gic),
        "/apb-pclk": {
            "phandle": [clock],
            "clock-output-names": "clk24mhz",
            "clock-frequency": [24_000_000],
            "#clock-cells": [0],
            "compatible": "fixed-clock",
        },
        f"/pl031@{CLOCK.start:x}": {
            "compatible": ["arm,pl031", "arm,primecell"],
            "reg": _reg(CLOCK),
            "clocks": [clock],
            "clock-names": "apb_pclk",
        },
        "/chosen": {"#address-cells": [2], "#size-cells": [2], "bootargs": command_line},
        "/hypervisor": _hypervisor(domain, layout, gic),
        "/psci": _psci(domain.abi),
        **_cpus(domain, kind),
        **_memory(layout.ram),
    }


def _guest_tree(domain: Domain, layout: Map, kind: GuestKind, command_line: str) -> dict[str, Node]:
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
        **_cpus(domain, kind),
        **_memory(layout.ram),
        f"/interrupt-controller@{layout.distributor.start:x}": {
            "#address-cells": [0],
            "#interrupt-cells": [3],
            "interrupt-controller": None,
            "compatible": kind.gic.guest_compatible,
            "reg": _reg(layout.distributor, layout.gic_cpu),
            "linux,phandle": [gic],
            "phandle": [gic],
        },
        "/timer": _timer(domain.abi, kind, gic),
        "/hypervisor": _hypervisor(domain, layout, gic),
    }


def _psci(abi: xenport.abi.Abi) -> Node:
    return {
        "compatible": ["arm,psci-1.0", "arm,psci-0.2", "arm,psci"],
        "method": "hvc",
        "cpu_off": [abi.constant("PSCI_cpu_off")],
        "cpu_on": [abi.constant("PSCI_cpu_on")],
    }


def _cpus(domain: Domain, kind: GuestKind) -> dict[str, Node]:
    cpus: dict[str, Node] = {"/cpus": {"#address-cells": [1], "#size-cells": [0]}}
    for number in range(domain.max_vcpus):
        cpus[f"/cpus/cpu@{number:x}"] = {
            "device_type": "cpu",
            "reg": [number],
            **kind.cpu,
        }
    return cpus


def _memory(ram: Region) -> dict[str, Node]:
    return {f"/memory@{ram.start:x}": {"device_type": "memory", "reg": _reg(ram)}}


def _timer(abi: xenport.abi.Abi, kind: GuestKind, gic: int) -> Node:
    names = ("GUEST_TIMER_PHYS_S_PPI", "GUEST_TIMER_PHYS_NS_PPI", "GUEST_TIMER_VIRT_PPI")
    return {
        "compatible": kind.timer,
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


# Maps of the control domain: QEMU's machine `virt`, in which Xen has given it 64 MiB.

CLOCK = Region(0x09010000, PAGE_SIZE)  #: of the day; nobody reads it


def _host(distributor: Region, gic_cpu: Region) -> Map:
    return Map(
        ram=Region(0x44000000, 64 * MIB),
        distributor=distributor,
        gic_cpu=gic_cpu,
        grant_table=Region(0x40200000, 0x40000),
        free=(Region(0x48000000, 0x38000000),),
        event_interrupt=16,
    )


def _host32(distributor: Region, gic_cpu: Region) -> Map:
    return replace(_host(distributor, gic_cpu), grant_table=Region(0x40010000, 0x40000), free=())


GICV2 = GicKind(
    config="XEN_DOMCTL_CONFIG_GIC_V2",
    make=GicV2,
    host=(Region(0x08000000, 0x10000), Region(0x08010000, 0x10000)),
    host_node={"compatible": "arm,cortex-a15-gic"},
    guest=(("GUEST_GICD_BASE", "GUEST_GICD_SIZE"), ("GUEST_GICC_BASE", "GUEST_GICC_SIZE")),
    guest_compatible="arm,gic-400",
)
GICV3 = GicKind(
    config="XEN_DOMCTL_CONFIG_GIC_V3",
    make=GicV3,
    host=(Region(0x08000000, 0x10000), Region(0x080A0000, 0xF60000)),
    host_node={"compatible": "arm,gic-v3", "#redistributor-regions": [1]},
    guest=(
        ("GUEST_GICV3_GICD_BASE", "GUEST_GICV3_GICD_SIZE"),
        ("GUEST_GICV3_GICR0_BASE", "GUEST_GICV3_GICR0_SIZE"),
    ),
    guest_compatible="arm,gic-v3",
)

ARM64 = GuestKind(
    locate=_locate_image,
    host=_host,
    has_free_regions=True,
    gic=GICV3,
    timer="arm,armv8-timer",
    cpu={"compatible": "arm,cortex-a57", "enable-method": "psci"},
)
ARM32 = GuestKind(
    locate=_locate_zimage,
    host=_host32,
    has_free_regions=False,
    gic=GICV2,
    timer="arm,armv7-timer",
    cpu={"compatible": "arm,cortex-a15"},
)
