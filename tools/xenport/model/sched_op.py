"""sched_op: yielding, waiting, ending; set_timer_op."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenport.model.errors import XenError
from xenport.model.grant_table import has_old_rules
from xenport.model.handlers import Handlers
from xenport.model.policy import require_control

if TYPE_CHECKING:
    from xenport.model.call import Call
    from xenport.model.vcpu import Vcpu

handlers = Handlers()
command = handlers.command

MAX_POLL_PORTS = 128
PHYSICAL_CPUS = 1  #: that the machine has, number 0
_FAR_FUTURE_BITS = 50  #: a timer further away than 2^50 ns is taken for a guest's overflow …
_FAR_FUTURE_NS = 100_000_000  #: … and fires after this time


@command("SCHEDOP_yield")
def yield_(call: Call) -> None:
    """Give the rest of the time slice away."""
    call.hypervisor.clock.yielded()
    call.vcpu.leave()


@command("SCHEDOP_block")
def block(call: Call) -> None:
    """Unmask events and wait for one."""
    call.vcpu.cpu.enable_events()
    call.vcpu.block()


@command("SCHEDOP_shutdown")
def shutdown(call: Call) -> None:
    """The domain ends."""
    call.domain.shut_down(call.view.reason & 0xFF)


@command("SCHEDOP_shutdown_code")
def shutdown_code(call: Call) -> None:
    """Store the reason of a shutdown to come; the first one stays."""
    reason = call.view.reason & 0xFF
    if call.domain.shutdown_code is None:
        call.domain.shutdown_code = reason


@command("SCHEDOP_poll")
def poll(call: Call) -> None:
    """Wait for one of some ports to be pending, masked or not."""
    view = call.view
    vcpu = call.vcpu
    if view.nr_ports > MAX_POLL_PORTS:
        raise XenError("EINVAL")
    if vcpu.cpu.event_deliverable():
        return
    events = call.domain.events
    number = 0
    for index in range(view.nr_ports):
        number = vcpu.read_word("evtchn_port_t", view.ports, index)
        port = events.existing(number)
        if not port.is_usable:
            raise XenError("EINVAL")
        if events.delivery.is_pending(port):
            return
    vcpu.poll_port = number if view.nr_ports == 1 else 0
    if view.timeout:
        vcpu.poll_timer.set(view.timeout)
    vcpu.is_blocked = True
    vcpu.leave()


@command("SCHEDOP_remote_shutdown")
def remote_shutdown(call: Call) -> None:
    """End another domain. 3.2 does not look at who it is to be if the caller may not."""
    if has_old_rules(call.domain.abi):
        require_control(call.domain)
    view = call.view
    domain = call.hypervisor.domain(view.domain_id)
    require_control(call.domain)
    domain.shut_down(view.reason & 0xFF)


@command("SCHEDOP_watchdog")
def watchdog(call: Call) -> int:
    """Start, restart or stop a watchdog timer."""
    view = call.view
    return call.domain.watchdogs.control(view.id, view.timeout)


@command("SCHEDOP_pin_override")
def pin_override(call: Call) -> None:
    """Stay on one physical CPU."""
    vcpu = call.vcpu
    require_control(call.domain)
    cpu = call.view.pcpu
    if cpu < 0:
        if not vcpu.pinned_by_override:
            raise XenError("EINVAL")
        vcpu.pinned_by_override = False
    elif cpu >= PHYSICAL_CPUS:
        raise XenError("EINVAL")
    elif vcpu.pinned_by_override:
        raise XenError("EBUSY")
    else:
        vcpu.pinned_by_override = True


@command("sched_op_compat")
def sched_op_compat(call: Call) -> None:
    """yield, block and shutdown with a value for an argument."""
    abi = call.domain.abi
    number = call["cmd"]
    if number == abi.constant("SCHEDOP_yield"):
        yield_(call)
    elif number == abi.constant("SCHEDOP_block"):
        block(call)
    elif number == abi.constant("SCHEDOP_shutdown"):
        call.domain.shut_down(call["arg"] & 0xFF)
    else:
        raise XenError("ENOSYS")


@command("set_timer_op")
def set_timer_op(call: Call) -> None:
    """VIRQ_TIMER at a point of system time; 0 for never."""
    set_singleshot(call.vcpu, call.signed("timeout"))


def set_singleshot(vcpu: Vcpu, timeout: int) -> None:
    """The one-shot timer of ``vcpu``; negative and absurdly far times fire soon."""
    now = vcpu.domain.hypervisor.clock.now
    if timeout == 0:
        vcpu.singleshot_timer.cancel()
    elif timeout < 0 or timeout - now >= 1 << _FAR_FUTURE_BITS:
        vcpu.singleshot_timer.set(now + _FAR_FUTURE_NS)
    else:
        vcpu.singleshot_timer.set(timeout)
