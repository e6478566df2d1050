"""domctl: domains are made, paused, resumed, named and taken apart."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from xenport.abi.releases import rank
from xenport.model.adapters import cpu_class, of_children
from xenport.model.cpu.stored import stored
from xenport.model.errors import XenError
from xenport.model.frames import NOWHERE
from xenport.model.handlers import Handlers
from xenport.model.memory import Memory

if TYPE_CHECKING:
    from xenport.abi import Abi
    from xenport.model.call import Call
    from xenport.model.domain import Domain

handlers = Handlers()
command = handlers.command

MAX_PAUSES = 255
MOST_GRANT_FRAMES, MOST_MAPTRACK_FRAMES = 64, 1024


def target(call: Call) -> Domain:
    """The domain that a command is about."""
    return call.hypervisor.domain(call.view.domain)


def other(call: Call, errno: str = "EINVAL") -> Domain:
    """The same, for commands that nobody may use on himself."""
    domain = target(call)
    if domain is call.domain:
        raise XenError(errno)
    return domain


# ---- Making and ending ----


@command("XEN_DOMCTL_createdomain")
def createdomain(call: Call) -> None:
    """A new domain, paused, without vcpus and memory."""
    view = call.view
    config = view.u.createdomain
    hypervisor = call.hypervisor
    abi = call.domain.abi
    number = _number(call, view.domain)
    _check(abi, config)
    pools = hypervisor.physical.pools
    in_pool = "cpupool_id" in abi.layout("xen_domctl_createdomain").by_name
    if in_pool and config.cpupool_id not in (pools.scheduler if pools else (0,)):
        raise XenError("ESRCH")
    architecture, child_abi = of_children(hypervisor.architecture, hypervisor.abi)
    kinds = architecture.guests
    guest = kinds[0]
    if "hvm" in kinds and config.flags & abi.constant("XEN_DOMCTL_CDF_hvm"):
        guest = "hvm"
    kind = stored(cpu_class(architecture, guest))
    kind.check_config(abi, config)
    domain = hypervisor.add_domain(
        number,
        guest,
        kind,
        abi=child_abi,
        is_control=False,
        max_vcpus=config.max_vcpus,
        max_port=config.max_evtchn_port,
    )
    domain.handle = bytes(config.handle)
    domain.pause_count = 1
    domain.memory = Memory(0, 0)
    domain.grants.size = replace(domain.grants.size, most=config.max_grant_frames)
    kind.prepare_domain(domain, config)
    view.domain = number


def _number(call: Call, wanted: int) -> int:
    reserved = call.domain.abi.constant("DOMID_FIRST_RESERVED")
    domains = call.hypervisor.domains
    if 0 < wanted < reserved:
        if wanted in domains:
            raise XenError("EEXIST")
        return wanted
    return next(number for number in range(1, reserved) if number not in domains)


def _check(abi: Abi, config: Any) -> None:
    """What no architecture takes."""

    def flag(name: str) -> bool:
        return bool(config.flags & abi.constant(f"XEN_DOMCTL_CDF_{name}"))

    grants = "XEN_DOMCTL_GRANT_version_mask"
    has_limits = rank(abi.release) < rank("4.18")
    refused = (
        has_limits and config.max_grant_frames > MOST_GRANT_FRAMES,
        has_limits and config.max_maptrack_frames > MOST_MAPTRACK_FRAMES,
        "vmtrace_size" in abi.layout("xen_domctl_createdomain").by_name and config.vmtrace_size,
        config.flags >= 2 * abi.constant("XEN_DOMCTL_CDF_MAX"),
        grants in abi.constants and config.grant_opts & ~abi.constant(grants),
        grants in abi.constants and not config.grant_opts,
        config.max_vcpus == 0,
        flag("hap") and not flag("hvm"),
        config.iommu_opts >= 2 * abi.constant("XEN_DOMCTL_IOMMU_MAX"),
        config.iommu_opts and not flag("iommu"),
        flag("iommu"),  # the machine has none
        config.max_grant_frames == 0,
    )
    if any(refused):
        raise XenError("EINVAL")


@command("XEN_DOMCTL_destroydomain")
def destroydomain(call: Call) -> None:
    """Take a domain apart. Its number is free at once."""
    domain = other(call)
    for port in domain.events.ports:
        if port.is_usable:
            domain.events.close(port)
    call.hypervisor.remove_domain(domain)


# ---- Pausing, ending, going on ----


@command("XEN_DOMCTL_pausedomain")
def pausedomain(call: Call) -> None:
    """Stop a domain's vcpus, once more."""
    domain = other(call)
    if domain.pause_count >= MAX_PAUSES:
        raise XenError("EOVERFLOW")
    domain.pause_count += 1


@command("XEN_DOMCTL_unpausedomain")
def unpausedomain(call: Call) -> None:
    """Undo one pause."""
    domain = target(call)
    if not domain.pause_count:
        raise XenError("EINVAL")
    domain.pause_count -= 1
    domain.settings.was_unpaused |= domain.pause_count == 0


@command("XEN_DOMCTL_resumedomain")
def resumedomain(call: Call) -> None:
    """Let a domain that shut down go on."""
    other(call).resume()


@command("XEN_DOMCTL_soft_reset")
def soft_reset(call: Call) -> None:
    """Start a domain anew in its memory, once it has shut down."""
    domain = other(call)
    if domain.vcpus and not domain.is_shut_down:
        raise XenError("EINVAL")
    if not domain.pause_count:
        raise XenError("EINVAL")
    domain.events.reset()
    for vcpu in domain.vcpus:
        vcpu.forget_areas()
    if not domain.cpu_class.soft_reset:
        domain.crash("Xen cannot reset it")
        raise XenError("ENOSYS" if call.declares("ENOSYS") else "EINVAL")
    frame = domain.frames.shared_info_frame()
    if frame != NOWHERE:
        domain.frames.forget(domain.shared_info)
        domain.frames.get(frame, 1)
    domain.resume()


@command("XEN_DOMCTL_soft_reset_cont")
def soft_reset_cont(call: Call) -> None:
    """Go on with a reset that was interrupted; here none ever is."""
    domain = other(call)
    if (domain.vcpus and not domain.is_shut_down) or not domain.pause_count:
        raise XenError("EINVAL")
    raise XenError("EBUSY")


# ---- Marks ----


@command("XEN_DOMCTL_setdomainhandle")
def setdomainhandle(call: Call) -> None:
    """The tools' name for the domain."""
    target(call).handle = bytes(call.view.u.setdomainhandle.handle)


@command("XEN_DOMCTL_settimeoffset")
def settimeoffset(call: Call) -> None:
    """Set a domain's wall clock apart from the machine's."""
    domain = target(call)
    domain.settings.time_offset = call.view.u.settimeoffset.time_offset_seconds
    domain.write_wall_clock(call.hypervisor.wall_clock)


@command("XEN_DOMCTL_setdebugging")
def setdebugging(call: Call) -> None:
    """Whether a debugger is attached."""
    other(call).settings.debugged = call.view.u.setdebugging.enable != 0


@command("XEN_DOMCTL_disable_migrate")
def disable_migrate(call: Call) -> None:
    """Whether it stays on the machine, of which nothing can be seen."""
    target(call)


@command("XEN_DOMCTL_subscribe")
def subscribe(call: Call) -> None:
    """The port that says that the domain has suspended."""
    target(call).settings.suspend_port = call.view.u.subscribe.port


@command("XEN_DOMCTL_set_virq_handler")
def set_virq_handler(call: Call) -> None:
    """Who gets a VIRQ that is not each vcpu's own."""
    domain = target(call)
    virq = call.view.u.set_virq_handler.virq
    if virq >= domain.abi.constant("NR_VIRQS") or not domain.events.is_global(virq):
        raise XenError("EINVAL")
    call.hypervisor.virq_handlers[virq] = domain


@command("XEN_DOMCTL_set_target")
def set_target(call: Call) -> None:
    """Make a domain the device model of another one."""
    domain = target(call)
    served = call.hypervisor.domain(call.view.u.set_target.target)
    if served is domain:
        raise XenError("EINVAL")
    if not served.cpu_class.hvm:
        raise XenError("EOPNOTSUPP")
    if domain.settings.target is not None:
        raise XenError("EINVAL")
    domain.settings.target = served
