"""The machine below the hypervisor, as tools see it: processors, one node, memory, Xen's log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xenport.model import runstate
from xenport.model.log import Log
from xenport.model.memory import PAGE_SIZE

if TYPE_CHECKING:
    from xenport.model.hypervisor import Hypervisor
    from xenport.model.sysctl_pools import Pools

NODES = 1
MAX_NODE_ID = 63
KHZ = 1_000_000
SPARE_PAGES = 4096  #: of the machine, besides those that domains were made with


@dataclass
class Trace:
    """The state of tracing."""

    events: int  #: the classes that are chosen
    pages: int = 0  #: of the buffers; 0: there are none


class Physical:
    """What there is once, whatever domains there are.

    ``processors`` is how many there are for tools to see; vcpus take turns all the same.
    """

    def __init__(self, hypervisor: Hypervisor, processors: int) -> None:
        self._hypervisor = hypervisor
        self.processors = processors
        self._stopped: set[int] = set()
        self.parked: list[int] = []  #: stopped to save power
        self.log = Log("(XEN) Xen version " + hypervisor.abi.release + ".0-model\n")
        self.pools: Pools | None = None  #: made when they are first asked about
        self.trace = Trace(hypervisor.abi.constant("TRC_ALL"))
        self.power: dict[str, int] = {}  #: what tools set of the processor's power states
        self.guest_loglvl = "none/warning"  #: which messages about guests are printed
        self.images: dict[int, Any] = {}  #: those that were loaded by kexec_op, by type
        self.image_places: dict[int, int] = {}  #: by type, where the last one was put, 0 or 1
        self.memory_types: dict[int, tuple[int, int, int]] = {}  #: range and type, by register
        self.interrupts: dict[int, int] = {}  #: that the control domain has set up: how triggered
        self.devices: set[tuple[int, int, int]] = set()  #: PCI devices that it told of
        self.offlining: set[int] = set()  #: machine frames that go when they are given back

    def is_online(self, processor: int) -> bool:
        """Whether it is there, and runs."""
        return processor < self.processors and processor not in self._stopped

    def online(self) -> list[int]:
        """Those that run."""
        return [number for number in range(self.processors) if self.is_online(number)]

    def stop(self, processor: int) -> None:
        """One of the processors runs no longer."""
        self._stopped.add(processor)
        self._tell()

    def start(self, processor: int) -> None:
        """It runs again."""
        self._stopped.discard(processor)
        self._tell()

    def _tell(self) -> None:
        self._hypervisor.domains[0].events.raise_global_virq("VIRQ_PCPU_STATE")

    def total_pages(self) -> int:
        """Pages of memory."""
        domains = self._hypervisor.domains.values()
        return SPARE_PAGES + sum(d.memory.size // PAGE_SIZE for d in domains if d.vcpus)

    def free_pages(self) -> int:
        """Those of them that no domain has."""
        domains = self._hypervisor.domains.values()
        return self.total_pages() - sum(d.total_pages for d in domains if d.vcpus)

    def idle_ns(self) -> int:
        """How long the processor had nothing to run."""
        vcpus = [vcpu for d in self._hypervisor.domains.values() for vcpu in d.vcpus]
        busy = sum(vcpu.runstate.total(runstate.RUNNING) for vcpu in vcpus)
        return self._hypervisor.clock.now - busy
