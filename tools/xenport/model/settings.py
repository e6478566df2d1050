"""What a tool stack sets of a domain, and nothing but the tool stack asks about."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from xenport.model.device_model import DeviceModel

if TYPE_CHECKING:
    from xenport.model.domain import Domain
    from xenport.model.domctl.nodes import Nodes

ALL = ~0  #: every CPU, or node, there could be


@dataclass
class Settings:
    """Of one domain."""

    debugged: bool = False
    suspend_port: int = 0  #: gets an event when the domain suspends; 0: none
    target: Domain | None = None  #: the domain whose device model it is
    nodes: int = ALL  #: the memory nodes that it should have its memory from
    hard: dict[int, int] = field(default_factory=dict)  #: by vcpu: the CPUs that it may run on
    soft: dict[int, int] = field(default_factory=dict)  #: and those that it should run on
    has_uart: bool = False  #: one that Xen emulates, on Arm
    bits: int = 32  #: its width, on Arm
    emulated: int = 0  #: XEN_X86_EMU_ bits: the devices that Xen emulates for it, on x86
    pool_pages: int = 0  #: what Xen has for its page tables
    share: list[int] = field(default_factory=lambda: [256, 0])  #: of the CPUs: weight and cap
    memory_map: bytes | None = None  #: what it is told, on x86; None: what it was built with
    claimed: int = 0  #: pages that are set aside for it
    monitor_port: int = 0  #: the port of its monitor's ring; 0: it has none
    monitored: set[int] = field(default_factory=set)  #: events that are told
    access: dict[int, int] = field(default_factory=dict)  #: frames that a monitor restricts
    default_access: int = 7  #: XENMEM_access_rwx, until a monitor sets another one
    virtual_nodes: Nodes | None = None  #: the memory nodes that it sees
    device_frames: set[int] = field(default_factory=set)  #: memory of devices that it may use
    device_places: dict[int, int] = field(default_factory=dict)  #: and where it is mapped
    interrupts: set[int] = field(default_factory=set)  #: interrupts of the machine that it may use
    time_offset: int = 0  #: seconds of its wall clock from the machine's
    ports: set[int] = field(default_factory=set)  #: I/O ports of the machine that it may use
    logs_writes: bool = False  #: frames that are written are noted,
    written: set[int] = field(default_factory=set)  #: here
    tables: dict[int, int] = field(default_factory=dict)  #: frames that are page tables: the level
    pinned: set[int] = field(default_factory=set)  #: of these, those that its builder keeps such
    tsc: tuple[int, int, int] = (0, 1_000_000, 1)  #: mode, kHz and incarnation of the counter
    was_unpaused: bool = False  #: its building is over
    devices: DeviceModel = field(default_factory=DeviceModel)  #: what its device models said
