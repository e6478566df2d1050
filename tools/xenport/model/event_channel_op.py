"""event_channel_op: the commands on event channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenport.model.errors import XenError
from xenport.model.fifo import Fifo
from xenport.model.handlers import Handlers
from xenport.model.memory import PAGE_SIZE
from xenport.model.policy import require_target

if TYPE_CHECKING:
    from xenport.model.call import Call
    from xenport.model.domain import Domain

handlers = Handlers()
command = handlers.command


@command("EVTCHNOP_alloc_unbound")
def alloc_unbound(call: Call) -> None:
    """A port of ``dom`` that ``remote_dom`` may bind to."""
    view = call.view
    hypervisor = call.hypervisor
    domain = hypervisor.domain_by_id(call.vcpu, view.dom)
    port = domain.events.free_port()
    remote = view.remote_dom
    hypervisor.policy.check_unbound(call.domain, domain, remote)
    if remote == call.domain.abi.constant("DOMID_SELF"):
        remote = call.domain.id
    port.remote_domid = remote
    domain.events.bind(port, "unbound")
    view.port = port.number


@command("EVTCHNOP_bind_interdomain")
def bind_interdomain(call: Call) -> None:
    """Connect a new port to an unbound port of another domain (or the same)."""
    view = call.view
    local = call.domain
    remote = call.hypervisor.domain_by_id(call.vcpu, view.remote_dom)
    port = local.events.free_port()
    other = remote.events.existing(view.remote_port)
    if other.state != "unbound" or other.remote_domid != local.id:
        raise XenError("EINVAL")
    call.hypervisor.policy.check_interdomain(local, local, remote)
    port.remote_domain, port.remote_port = remote, other.number
    local.events.bind(port, "interdomain")
    other.remote_domain, other.remote_port = local, port.number
    other.state = "interdomain"
    # What was sent while the other end was unbound is lost: tell the local end once, to be safe.
    local.events.raise_port(port)
    view.local_port = port.number


@command("EVTCHNOP_bind_virq")
def bind_virq(call: Call) -> None:
    """Bind a VIRQ to a new port."""
    view = call.view
    domain = call.domain
    virq = view.virq
    if virq >= domain.abi.constant("NR_VIRQS"):
        raise XenError("EINVAL")
    if domain.events.is_global(virq) and view.vcpu != 0:
        raise XenError("EINVAL")
    vcpu = domain.vcpu(view.vcpu)
    if virq in vcpu.virq_ports:
        raise XenError("EEXIST")
    port = domain.events.free_port()
    port.virq = virq
    domain.events.bind(port, "virq", vcpu.id)
    vcpu.virq_ports[virq] = port.number
    view.port = port.number


@command("EVTCHNOP_bind_ipi")
def bind_ipi(call: Call) -> None:
    """A port whose events its own domain sends to one vcpu."""
    view = call.view
    vcpu = call.domain.vcpu(view.vcpu)
    port = call.domain.events.free_port()
    call.domain.events.bind(port, "ipi", vcpu.id)
    view.port = port.number


@command("EVTCHNOP_bind_pirq")
def bind_pirq(call: Call) -> None:
    """Bind a physical interrupt to a new port."""
    view = call.view
    domain = call.domain
    cpu = domain.vcpus[0].cpu
    if call.declares("EOPNOTSUPP"):
        raise XenError("EOPNOTSUPP")
    if view.pirq >= cpu.pirq_count:
        raise XenError("EINVAL")
    if not cpu.pirq_permitted(view.pirq):
        raise XenError("EPERM")
    if any(port.state == "pirq" and port.pirq == view.pirq for port in domain.events.ports):
        raise XenError("EEXIST")
    port = domain.events.free_port()
    cpu.bind_pirq(view.pirq)
    port.pirq = view.pirq
    domain.events.bind(port, "pirq")
    view.port = port.number


@command("EVTCHNOP_close")
def close(call: Call) -> None:
    """Free a port."""
    events = call.domain.events
    events.close(events.existing(call.view.port))


@command("EVTCHNOP_send")
def send(call: Call) -> None:
    """Raise the event at the other end."""
    call.domain.events.send(call.view.port)


@command("EVTCHNOP_status")
def status(call: Call) -> None:
    """What a port is bound to."""
    view = call.view
    domain = call.hypervisor.domain_by_id(call.vcpu, view.dom)
    port = domain.events.existing(view.port)
    require_target(call.domain, domain)
    if port.is_xens and call.declares("EACCES"):
        raise XenError("EACCES")
    name = "closed" if port.state in ("free", "reserved") else port.state
    view.status = domain.abi.constant(f"EVTCHNSTAT_{name}")
    view.vcpu = port.vcpu_id
    if port.state == "unbound":
        view.u.unbound.dom = port.remote_domid
    elif port.state == "interdomain":
        assert port.remote_domain is not None
        view.u.interdomain.dom = port.remote_domain.id
        view.u.interdomain.port = port.remote_port
    elif port.state == "pirq":
        view.u.pirq = port.pirq
    elif port.state == "virq":
        view.u.virq = port.virq


@command("EVTCHNOP_bind_vcpu")
def bind_vcpu(call: Call) -> None:
    """Tell another vcpu of the port's events."""
    view = call.view
    events = call.domain.events
    vcpu = call.domain.vcpu(view.vcpu)
    port = events.existing(view.port)
    movable = port.state in ("unbound", "interdomain", "pirq")
    if not movable and not (port.state == "virq" and events.is_global(port.virq)):
        raise XenError("EINVAL")
    port.vcpu_id = vcpu.id


@command("EVTCHNOP_unmask")
def unmask(call: Call) -> None:
    """Unmask a port, and raise its event if it is pending."""
    events = call.domain.events
    events.delivery.unmask(events.existing(call.view.port))


def _domain_to_reset(call: Call) -> Domain:
    domain = call.hypervisor.domain_by_id(call.vcpu, call.view.dom)
    require_target(call.domain, domain)
    if domain is not call.domain and not domain.pause_count:
        raise XenError("EINVAL")
    return domain


@command("EVTCHNOP_reset")
def reset(call: Call) -> None:
    """Close all ports of a domain."""
    _domain_to_reset(call).events.reset()


@command("EVTCHNOP_reset_cont")
def reset_cont(call: Call) -> None:
    """Go on with a reset that was interrupted; here none ever is."""
    _domain_to_reset(call)
    raise XenError("EBUSY")


@command("EVTCHNOP_init_control")
def init_control(call: Call) -> None:
    """Give a vcpu its control block; the first one switches the domain to FIFO events."""
    view = call.view
    domain = call.domain
    abi = domain.abi
    vcpu = domain.vcpu(view.vcpu)
    view.link_bits = abi.constant("EVTCHN_FIFO_LINK_BITS")
    if view.offset > PAGE_SIZE - abi.sizeof("evtchn_fifo_control_block") or view.offset % 8:
        raise XenError("EINVAL")
    events = domain.events
    if isinstance(events.delivery, Fifo):
        events.delivery.map_control_block(vcpu, view.control_gfn, view.offset)
        return
    fifo = Fifo(domain)
    fifo.map_control_block(vcpu, view.control_gfn, view.offset)
    for port in events.ports:
        fifo.adopt(port, pending=events.delivery.is_pending(port))
    events.delivery = fifo


@command("EVTCHNOP_expand_array")
def expand_array(call: Call) -> None:
    """Add a page to the event array."""
    frame = call.view.array_gfn
    delivery = call.domain.events.delivery
    if not isinstance(delivery, Fifo):
        raise XenError("EOPNOTSUPP")
    delivery.add_page(frame)


@command("EVTCHNOP_set_priority")
def set_priority(call: Call) -> None:
    """Set a port's priority."""
    view = call.view
    events = call.domain.events
    port = events.existing(view.port)
    if not isinstance(events.delivery, Fifo):
        raise XenError("ENOSYS")
    if not port.is_usable:
        raise XenError("EACCES")
    events.delivery.set_priority(port, view.priority)
