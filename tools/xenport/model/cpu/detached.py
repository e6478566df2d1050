"""Processors that run nothing: for who asks the model what a guest asked elsewhere.

There is no guest: its memory is what its caller brings along, and what only a running guest can
answer is `NeedsGuest`.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from xenport.model import hvm_op
from xenport.model.adapters import cpu_class
from xenport.model.cpu.base import Cpu
from xenport.model.errors import NeedsGuest
from xenport.model.handlers import Handlers
from xenport.model.memory import PAGE_SIZE, Memory

if TYPE_CHECKING:
    from xenport.architecture import Architecture
    from xenport.model.call import Call
    from xenport.model.domain import Domain
    from xenport.model.grant_table import Granted

FRAMES = 4096  #: that a domain whose frames Xen translates can name

#: Commands that are about other domains, and the machine.
_OF_TOOLS = ("XEN_DOMCTL_", "XEN_SYSCTL_", "XENPF_", "XEN_MC_", "KEXEC_CMD_")

_PROCESSOR = "it needs a guest's processor or page tables"
_BUILDER = "it asks how the domain was built"


class Detached:
    """What stands in the place of a processor; to be mixed into a `Cpu`."""

    @classmethod
    def missed(cls, domain: Domain, hypercall: str) -> None:
        """The guest made a hypercall that the model could not be asked."""

    def run(self) -> None:
        """Never called: nothing runs."""

    def stop(self) -> None:
        """Nothing runs."""

    def event_deliverable(self) -> bool:
        """Nobody takes events."""
        return False

    def deliver_event(self) -> None:
        """Nobody takes it."""

    def enable_events(self) -> None:
        """Nobody takes them."""

    def translate(self, handle: int, offset: int, write: bool) -> int | None:
        """Its vcpus reach their memory in another way."""
        del handle, offset, write
        raise NeedsGuest(_PROCESSOR)

    # What other processors know of their guests nobody knows here.

    def set_context(self, context: Any) -> None:
        del context
        raise NeedsGuest(_PROCESSOR)

    def memory_map(self) -> list[tuple[int, int, int]] | None:
        raise NeedsGuest(_BUILDER)

    def maximum_frame(self) -> int:
        raise NeedsGuest(_BUILDER)

    def map_grant(self, address: int, grant: Granted, flags: int) -> None:
        del address, grant, flags
        raise NeedsGuest(_PROCESSOR)

    def set_upcall_vector(self, vector: int) -> None:
        del vector
        raise NeedsGuest(_PROCESSOR)

    def bind_pirq(self, pirq: int) -> None:
        del pirq
        raise NeedsGuest("it needs the machine's devices")


class DetachedCpu(Detached, Cpu):
    """In the place of the processor of a guest whose memory Xen translates."""

    handlers = Handlers()
    capabilities = ""
    features = ()

    @classmethod
    def build_domain(cls, domain: Domain, image: bytes, command_line: str) -> None:
        """Memory, without a kernel and vcpus."""
        del image, command_line
        domain.memory = Memory(0, FRAMES * PAGE_SIZE)
        domain.total_pages = domain.max_pages = FRAMES


def detached(architecture: Architecture, guest: str) -> type[Cpu]:
    """The processor without a guest for a kind of guest. Raises InputError if the model does not
    have the kind.

    An adapter module may have its own in ``DETACHED``; for others it is a `DetachedCpu` with what
    the core wants to know of the kind.
    """
    adapter = cpu_class(architecture, guest)
    module = importlib.import_module(f"xenport.model.cpu.{architecture.model['cpu']}")
    own: Mapping[str, type[Cpu]] = getattr(module, "DETACHED", {})
    if guest in own:
        return own[guest]
    facts = {
        name: getattr(adapter, name)
        for name, kind in Cpu.__annotations__.items()
        if "ClassVar" in str(kind) and name != "handlers"
    }
    handlers = Handlers()
    handlers.command("HVMOP_get_param")(_get_param)
    handlers.checks.update(adapter.handlers.checks)
    for name, handler in adapter.handlers.items():
        handlers.command(name)(handler if name.startswith(_OF_TOOLS) else _needs_processor)
    rules = {"features_of": staticmethod(adapter.features_of), "check_param": adapter.check_param}
    return type("Detached", (DetachedCpu,), {**facts, **rules, "handlers": handlers})


def _needs_processor(_call: Any) -> None:
    raise NeedsGuest(_PROCESSOR)


def _get_param(call: Call) -> None:
    """What the guest itself has set; the rest was its builder's."""
    hvm_op.get_param(call)
    if call.view.index not in call.domain.params:
        raise NeedsGuest(_BUILDER)
