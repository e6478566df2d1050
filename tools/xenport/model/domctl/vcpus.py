"""domctl: the vcpus of a domain, their registers and their CPUs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xenport.model import runstate
from xenport.model.cpu.stored import StoredCpu
from xenport.model.domctl.life import other, target
from xenport.model.errors import XenError
from xenport.model.handlers import Handlers

if TYPE_CHECKING:
    from xenport.model.call import Call
    from xenport.model.domain import Domain
    from xenport.model.vcpu import Vcpu

handlers = Handlers()
command = handlers.command

ONLINE = 0b1  #: the machine's CPUs, and its memory nodes


def vcpu_of(domain: Domain, number: int, errno: str) -> Vcpu:
    """A vcpu that there is; XenError ``errno``."""
    if number >= len(domain.vcpus):
        raise XenError(errno)
    return domain.vcpus[number]


@command("XEN_DOMCTL_max_vcpus")
def max_vcpus(call: Call) -> None:
    """Make the vcpus."""
    domain = other(call)
    if call.view.u.max_vcpus.max != domain.max_vcpus:
        raise XenError("EINVAL")
    while len(domain.vcpus) < domain.max_vcpus:
        domain.add_vcpu()


def _existing(call: Call, domain: Domain, number: int) -> Vcpu:
    """A vcpu that has been made. XenError: what it is for others has changed."""
    if call.declares("ENOENT"):
        return vcpu_of(domain, number, "ENOENT")
    if number >= domain.max_vcpus:
        raise XenError("EINVAL")
    return vcpu_of(domain, number, "ESRCH")


@command("XEN_DOMCTL_getvcpuinfo")
def getvcpuinfo(call: Call) -> None:
    """What a vcpu does."""
    info = call.view.u.getvcpuinfo
    vcpu = _existing(call, target(call), info.vcpu)
    info.online = int(not vcpu.is_down)
    info.blocked = int(vcpu.is_blocked)
    info.running = int(vcpu.runstate.state == runstate.RUNNING)
    info.cpu_time = vcpu.runstate.total(runstate.RUNNING)
    info.cpu = 0


# ---- Registers ----


def stored_cpu(vcpu: Vcpu) -> StoredCpu:
    """The processor of a vcpu of a domain that is built by the tools."""
    assert isinstance(vcpu.cpu, StoredCpu)
    return vcpu.cpu


@command("XEN_DOMCTL_setvcpucontext")
def setvcpucontext(call: Call) -> None:
    """Give a vcpu registers, or take them away."""
    domain = other(call)
    view = call.view.u.vcpucontext
    vcpu = vcpu_of(domain, view.vcpu, "EINVAL")
    if not view.ctxt:
        vcpu.is_down = True
        vcpu.is_initialised = False
        return
    size = domain.abi.sizeof("vcpu_guest_context")
    context = domain.abi.view("vcpu_guest_context", call.vcpu.copy_in(view.ctxt, size))
    vcpu.cpu.set_context(context)
    vcpu.is_down = not context.flags & domain.abi.constant("VGCF_online")


@command("XEN_DOMCTL_getvcpucontext")
def getvcpucontext(call: Call) -> None:
    """The registers of a vcpu."""
    view = call.view.u.vcpucontext
    vcpu = vcpu_of(target(call), view.vcpu, "EINVAL")
    if vcpu is call.vcpu:
        raise XenError("EINVAL")
    if not vcpu.is_initialised:
        raise XenError("ENODATA")
    call.vcpu.copy_out(view.ctxt, stored_cpu(vcpu).get_context())


# ---- CPUs and nodes ----


def _read_bitmap(call: Call, bitmap: Any) -> int:
    bits: int = bitmap.nr_bits
    value = int.from_bytes(call.vcpu.copy_in(bitmap.bitmap, -(-bits // 8)), "little")
    return value & (1 << bits) - 1


def _write_bitmap(call: Call, bitmap: Any, value: int) -> None:
    size = -(-bitmap.nr_bits // 8)
    call.vcpu.copy_out(bitmap.bitmap, (value & (1 << 8 * size) - 1).to_bytes(size, "little"))


def _maps(call: Call) -> tuple[Vcpu, list[tuple[Any, dict[int, int]]]]:
    """The vcpu, and the maps that are meant with what there is of them."""
    view = call.view.u.vcpuaffinity
    domain = target(call)
    if view.vcpu >= domain.max_vcpus:
        raise XenError("EINVAL")
    vcpu = vcpu_of(domain, view.vcpu, "ESRCH")
    abi = domain.abi
    maps = [
        (bitmap, kept)
        for name, bitmap, kept in (
            ("HARD", view.cpumap_hard, domain.settings.hard),
            ("SOFT", view.cpumap_soft, domain.settings.soft),
        )
        if view.flags & abi.constant(f"XEN_VCPUAFFINITY_{name}")
    ]
    if not maps or not all(bitmap.bitmap for bitmap, _kept in maps):
        raise XenError("EINVAL")
    return vcpu, maps


@command("XEN_DOMCTL_getvcpuaffinity")
def getvcpuaffinity(call: Call) -> None:
    """The CPUs of a vcpu, as they were chosen."""
    vcpu, maps = _maps(call)
    for bitmap, kept in maps:
        _write_bitmap(call, bitmap, kept.get(vcpu.id, ONLINE))


@command("XEN_DOMCTL_setvcpuaffinity")
def setvcpuaffinity(call: Call) -> None:
    """Choose the CPUs of a vcpu; those that there are come back."""
    vcpu, maps = _maps(call)
    abi = call.domain.abi
    if call.view.u.vcpuaffinity.flags & abi.constant("XEN_VCPUAFFINITY_FORCE"):
        vcpu.pinned_by_override = False
    hard = vcpu.domain.settings.hard
    for bitmap, kept in maps:
        wanted = _read_bitmap(call, bitmap)
        if kept is hard:
            if not wanted & ONLINE:
                raise XenError("EINVAL")
            if vcpu.pinned_by_override:
                raise XenError("EBUSY")
        kept[vcpu.id] = wanted
        _write_bitmap(call, bitmap, wanted & ONLINE)


@command("XEN_DOMCTL_setnodeaffinity")
def setnodeaffinity(call: Call) -> None:
    """Choose the memory nodes of a domain."""
    domain = target(call)
    wanted = _read_bitmap(call, call.view.u.nodeaffinity.nodemap)
    if not wanted & ONLINE:
        raise XenError("EINVAL")
    domain.settings.nodes = wanted & ONLINE


@command("XEN_DOMCTL_getnodeaffinity")
def getnodeaffinity(call: Call) -> None:
    """The memory nodes of a domain."""
    domain = target(call)
    _write_bitmap(call, call.view.u.nodeaffinity.nodemap, domain.settings.nodes & ONLINE)
