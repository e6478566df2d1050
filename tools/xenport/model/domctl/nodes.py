"""The memory nodes that a domain sees: set by domctl, asked for by memory_op."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from xenport.model.domctl.life import target
from xenport.model.errors import XenError
from xenport.model.handlers import Handlers
from xenport.model.policy import require_target

if TYPE_CHECKING:
    from xenport.model.call import Call

handlers = Handlers()
command = handlers.command

MOST_NODES = 32
MOST_RANGES = 170
MACHINE_NODES = 64  #: that Xen can have


@dataclass(frozen=True)
class Nodes:
    """What a domain is told: its numbers, and the three lists as the guest has them."""

    nodes: int
    vcpus: int
    ranges: int
    distances: bytes
    node_of_vcpu: bytes
    memory: bytes


@command("XEN_DOMCTL_setvnumainfo")
def setvnumainfo(call: Call) -> None:
    """Set the nodes of a domain."""
    domain = target(call)
    view = call.view.u.vnuma
    vcpu = call.vcpu
    abi = domain.abi
    word = abi.sizeof("uint")
    if (
        view.nr_vcpus != domain.max_vcpus
        or view.pad
        or not 0 < view.nr_vnodes <= MOST_NODES
        or view.nr_vmemranges > MOST_RANGES
    ):
        raise XenError("EINVAL")
    distances = vcpu.copy_in(view.vdistance, word * view.nr_vnodes**2)
    memory = vcpu.copy_in(view.vmemrange, abi.sizeof("xen_vmemrange") * view.nr_vmemranges)
    node_of_vcpu = vcpu.copy_in(view.vcpu_to_vnode, word * view.nr_vcpus)
    for index in range(view.nr_vcpus):
        if vcpu.read_word("uint", view.vcpu_to_vnode, index) >= view.nr_vnodes:
            raise XenError("E2BIG")
    for index in range(view.nr_vnodes):
        if vcpu.read_word("uint", view.vnode_to_pnode, index) >= MACHINE_NODES:
            raise XenError("E2BIG")
    for index in range(view.nr_vmemranges):
        if vcpu.read_struct("xen_vmemrange", view.vmemrange, index).flags:
            raise XenError("EINVAL")
    domain.settings.virtual_nodes = Nodes(
        view.nr_vnodes,
        view.nr_vcpus,
        view.nr_vmemranges,
        bytes(distances),
        bytes(node_of_vcpu),
        bytes(memory),
    )


@command("XENMEM_get_vnumainfo")
def get_vnumainfo(call: Call) -> None:
    """Tell a domain's nodes; where there is too little room, only how many there are."""
    view = call.view
    if view.pad:
        raise XenError("EINVAL")
    domain = call.hypervisor.domain_by_id(call.vcpu, view.domid)
    require_target(call.domain, domain)
    nodes: Nodes | None = domain.settings.virtual_nodes
    if nodes is None:
        raise XenError("EOPNOTSUPP")
    room = view.nr_vnodes, view.nr_vcpus, view.nr_vmemranges
    there = nodes.nodes, nodes.vcpus, nodes.ranges
    view.nr_vnodes, view.nr_vcpus, view.nr_vmemranges = there
    if any(most < needed for most, needed in zip(room, there, strict=True)):
        call.finish()
        raise XenError("ENOBUFS")
    call.vcpu.copy_out(view.vmemrange.h, nodes.memory)
    call.vcpu.copy_out(view.vdistance.h, nodes.distances)
    call.vcpu.copy_out(view.vcpu_to_vnode.h, nodes.node_of_vcpu)
