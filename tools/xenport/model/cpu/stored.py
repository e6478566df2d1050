"""Vcpus of domains that another domain builds: they have registers, and no processor to run them.

What tool stacks do to a domain needs none. Such a domain has all else of its kind.
"""

from __future__ import annotations

import functools
from typing import Any

from xenport.model.cpu.base import Cpu


class StoredCpu(Cpu):
    """The part of a vcpu that a tool stack sees. To be put before the class of a kind of guest."""

    runs = False

    def __init__(self, vcpu: Any) -> None:
        Cpu.__init__(self, vcpu)
        self.context: bytes | None = None  #: its vcpu_guest_context
        self.records: dict[int, bytes] = {}  #: x86 HVM: records of hvm/save.h, by type
        self.callbacks = b""  #: x86: what xen_domctl_ext_vcpucontext says of it, if anything yet
        self.extended = bytes(16)  #: x86: what XSAVE saves, behind two words of its own
        self.event_waits = False  #: x86 HVM: an event that the device model gave it

    def run(self) -> None:
        """Nothing runs."""

    def stop(self) -> None:
        """Nothing runs."""

    def event_deliverable(self) -> bool:
        """It takes no events."""
        return False

    def deliver_event(self) -> None:
        """It takes no events."""

    def event_raised(self) -> None:
        """It takes no events."""

    def enable_events(self) -> None:
        """It takes no events."""

    def time_changed(self) -> None:
        """It does not look."""

    def translate(self, handle: int, offset: int, write: bool) -> int | None:  # noqa: ARG002
        """It makes no hypercalls."""
        return None

    def set_context(self, context: Any) -> None:
        """Keep the registers."""
        self.check_context(context)
        self.context = bytes(context)
        if self.starts_by_context:
            self.vcpu.is_initialised = True

    def get_context(self) -> bytes:
        """The registers, as they are asked for."""
        abi = self.vcpu.domain.abi
        assert self.context is not None
        buffer = bytearray(self.context)
        context = abi.view("vcpu_guest_context", buffer)
        online = abi.constant("VGCF_online")
        context.flags = context.flags & ~online | (0 if self.vcpu.is_down else online)
        return bytes(buffer)


@functools.cache
def stored(kind: type[Cpu]) -> type[StoredCpu]:
    """The class of the vcpus of such a domain of the same kind as those of ``kind``."""
    return type(f"Stored{kind.__name__}", (StoredCpu, kind), {})
