"""sysctl: the machine, all domains, and Xen's console, for the control domain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenport.model import physical
from xenport.model.domctl.info import fill_info
from xenport.model.errors import XenError
from xenport.model.handlers import Handlers
from xenport.model.memory import PAGE_SIZE
from xenport.model.memory_op import machine_end
from xenport.model.policy import require_control

if TYPE_CHECKING:
    from xenport.model.call import Call

handlers = Handlers()
command = handlers.command

_ALL_NODES = -1
_LOCAL = 10  #: distance of a node from itself
_KEYS = {"h": "show this message"}


@handlers.check("sysctl")
def may_control(call: Call) -> None:
    """Version, then privilege."""
    if call.view.interface_version != call.domain.abi.constant("XEN_SYSCTL_INTERFACE_VERSION"):
        raise XenError("EACCES")
    require_control(call.domain)


# ---- The machine ----


@command("XEN_SYSCTL_physinfo")
def physinfo(call: Call) -> None:
    """Processors and memory."""
    abi = call.domain.abi
    machine = call.hypervisor.physical
    info = call.view.u.physinfo
    info.threads_per_core = info.cores_per_socket = 1
    info.nr_cpus = len(machine.online())
    info.max_cpu_id = machine.processors - 1
    info.nr_nodes = physical.NODES
    info.max_node_id = physical.MAX_NODE_ID
    info.cpu_khz = physical.KHZ
    info.total_pages = machine.total_pages()
    info.free_pages = machine.free_pages()
    info.max_mfn = machine_end(call.domain) - 1
    names = list(call.domain.cpu_class.machine_capabilities)
    names += [f"gnttab_v{n + 1}" for n in range(call.domain.cpu_class.max_grant_version)]
    constants = [f"XEN_SYSCTL_PHYSCAP_{name}" for name in names]
    info.capabilities = sum(abi.constant(name) for name in constants if name in abi.constants)


@command("XEN_SYSCTL_cputopoinfo")
def cputopoinfo(call: Call) -> None:
    """Where each processor is."""
    info = call.view.u.cputopoinfo
    count = call.hypervisor.physical.processors
    if info.cputopo:
        count = min(count, info.num_cpus)
        for index in range(count):
            call.vcpu.write_struct("xen_sysctl_cputopo", info.cputopo, index, core=index)
    info.num_cpus = count


@command("XEN_SYSCTL_numainfo")
def numainfo(call: Call) -> None:
    """The memory of each node."""
    info = call.view.u.numainfo
    machine = call.hypervisor.physical
    count = physical.NODES
    if info.meminfo or info.distance:
        count = min(count, info.num_nodes)
    for index in range(count):
        if info.meminfo:
            call.vcpu.write_struct(
                "xen_sysctl_meminfo",
                info.meminfo,
                index,
                memsize=machine.total_pages() * PAGE_SIZE,
                memfree=machine.free_pages() * PAGE_SIZE,
            )
        if info.distance:
            call.vcpu.write_word("uint32", _LOCAL, info.distance, index)
    info.num_nodes = count


@command("XEN_SYSCTL_availheap")
def availheap(call: Call) -> None:
    """Free memory of a node whose addresses have no fewer and no more than so many bits: all of it
    is at the end of memory."""
    info = call.view.u.availheap
    bits = (machine_end(call.domain) * PAGE_SIZE - 1).bit_length()
    is_here = info.min_bitwidth <= bits and info.node in (_ALL_NODES, 0)
    is_here &= not info.max_bitwidth or bits <= info.max_bitwidth
    info.avail_bytes = call.hypervisor.physical.free_pages() * PAGE_SIZE if is_here else 0


@command("XEN_SYSCTL_getcpuinfo")
def getcpuinfo(call: Call) -> None:
    """How long each processor was idle."""
    info = call.view.u.getcpuinfo
    machine = call.hypervisor.physical
    info.nr_cpus = min(info.max_cpus, machine.processors)
    for index in range(info.nr_cpus):
        idle = machine.idle_ns()
        call.vcpu.write_struct("xen_sysctl_cpuinfo", info.info, index, idletime=idle)


# ---- Domains ----


@command("XEN_SYSCTL_getdomaininfolist")
def getdomaininfolist(call: Call) -> None:
    """The state of each domain from a number on."""
    abi = call.domain.abi
    asked = call.view.u.getdomaininfolist
    size = abi.sizeof("xen_domctl_getdomaininfo")
    domains = call.hypervisor.domains
    numbers = sorted(number for number in domains if number >= asked.first_domain)
    numbers = numbers[: asked.max_domains]
    for index, number in enumerate(numbers):
        buffer = bytearray(size)
        fill_info(abi.view("xen_domctl_getdomaininfo", buffer), domains[number])
        call.vcpu.copy_out(asked.buffer, buffer, index * size)
    asked.num_domains = len(numbers)


# ---- Xen's console ----


@command("XEN_SYSCTL_readconsole")
def readconsole(call: Call) -> None:
    """What Xen has printed."""
    asked = call.view.u.readconsole
    index = asked.index if asked.incremental else None
    log = call.hypervisor.physical.log
    data, _ = log.read(index, asked.count, clear=False)
    call.vcpu.copy_out(asked.buffer, data)
    _, asked.index = log.read(index, asked.count, clear=bool(asked.clear))
    asked.count = len(data)


@command("XEN_SYSCTL_debug_keys")
def debug_keys(call: Call) -> None:
    """Keys, as if pressed on Xen's console."""
    asked = call.view.u.debug_keys
    for index in range(asked.nr_keys):
        key = chr(call.vcpu.read_word("uint8", asked.keys, index))
        if key in _KEYS:
            call.hypervisor.physical.log.print(f"(XEN) '{key}' pressed -> {_KEYS[key]}\n")
