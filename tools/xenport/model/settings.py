"""What a tool stack sets of a domain, and nothing but the tool stack asks about."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xenport.model.domain import Domain

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
    bits: int = 32  #: its width, on Arm
    pool_pages: int = 0  #: what Xen has for its page tables
    was_unpaused: bool = False  #: its building is over
