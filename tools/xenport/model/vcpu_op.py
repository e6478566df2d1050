"""vcpu_op: bringing vcpus up and down, their timers, and the memory they share with Xen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenport.model.errors import XenError
from xenport.model.handlers import Handlers
from xenport.model.memory import PAGE_SIZE, MemoryFault

if TYPE_CHECKING:
    from xenport.model.call import Call
    from xenport.model.vcpu import Vcpu

handlers = Handlers()
command = handlers.command

MIN_PERIOD_NS = 1_000_000
#: A longer period is refused: the difference of two points of time must fit in a signed 64-bit
#: number of ns with room to spare.
MAX_PERIOD_NS = (1 << 62) - 1


def target(call: Call) -> Vcpu:
    """The vcpu that the command is about."""
    return call.domain.vcpus[call["vcpuid"]]


@handlers.check("vcpu_op")
def vcpu_exists(call: Call) -> None:
    """The vcpu is looked for before the command, but on those releases of Arm where the vcpu_op
    errors do not say so."""
    if call.declares("ENOENT"):
        call.domain.vcpu(call["vcpuid"])


@command("VCPUOP_initialise")
def initialise(call: Call) -> None:
    """Give an offline vcpu its registers."""
    vcpu = target(call)
    if not vcpu.has_info:
        raise XenError("EINVAL")
    context = call.view
    if vcpu.is_initialised:
        raise XenError("EEXIST")
    vcpu.cpu.set_context(context)
    vcpu.is_initialised = True


@command("VCPUOP_up")
def up(call: Call) -> None:
    """Start an initialised vcpu."""
    vcpu = target(call)
    if not vcpu.is_initialised:
        raise XenError("EINVAL")
    vcpu.up()


@command("VCPUOP_down")
def down(call: Call) -> None:
    """Stop a vcpu; without any left the domain powers off."""
    vcpu = target(call)
    if all(other.is_down for other in call.domain.vcpus if other is not vcpu):
        call.domain.shut_down(call.domain.abi.constant("SHUTDOWN_poweroff"))
    else:
        vcpu.down()


@command("VCPUOP_is_up")
def is_up(call: Call) -> int:
    """1 if the vcpu is up."""
    return int(not target(call).is_down)


@command("VCPUOP_get_runstate_info")
def get_runstate_info(call: Call) -> None:
    """What the vcpu has spent its time on."""
    call.vcpu.copy_out(call.handle, target(call).runstate.encode())


@command("VCPUOP_register_runstate_memory_area")
def register_runstate_memory_area(call: Call) -> None:
    """Keep a vcpu_runstate_info up to date at a virtual address. The first update is not allowed to
    fail the call."""
    handle = call.view.addr.h
    if not call.vcpu.cpu.may_hold(handle):
        raise XenError("EFAULT")
    vcpu = target(call)
    vcpu.runstate.area = handle
    vcpu.update_runstate_area()


@command("VCPUOP_register_runstate_phys_area")
def register_runstate_phys_area(call: Call) -> None:
    """Keep a vcpu_runstate_info up to date at a physical address."""
    vcpu = target(call)
    vcpu.runstate.physical_area = _physical_area(call, "vcpu_runstate_info")
    vcpu.update_runstate_area()


@command("VCPUOP_set_periodic_timer")
def set_periodic_timer(call: Call) -> None:
    """VIRQ_TIMER again and again."""
    period = call.view.period_ns
    if not MIN_PERIOD_NS <= period <= MAX_PERIOD_NS:
        raise XenError("EINVAL")
    target(call).set_period(period)


@command("VCPUOP_stop_periodic_timer")
def stop_periodic_timer(call: Call) -> None:
    """No more of it."""
    target(call).set_period(0)


@command("VCPUOP_set_singleshot_timer")
def set_singleshot_timer(call: Call) -> None:
    """VIRQ_TIMER once; at once if the time is past. Releases before 4.17 refuse the latter if asked
    to."""
    vcpu = target(call)
    if vcpu is not call.vcpu:
        raise XenError("EINVAL")
    view = call.view
    now = call.hypervisor.clock.now
    if view.timeout_abs_ns >= now:
        vcpu.singleshot_timer.set(view.timeout_abs_ns)
        return
    abi = call.domain.abi
    if call.declares("ETIME") and view.flags & abi.constant("VCPU_SSHOTTMR_future"):
        raise XenError("ETIME")
    vcpu.singleshot_timer.cancel()
    call.domain.events.raise_timer(vcpu)


@command("VCPUOP_stop_singleshot_timer")
def stop_singleshot_timer(call: Call) -> None:
    """No VIRQ_TIMER."""
    vcpu = target(call)
    if vcpu is not call.vcpu:
        raise XenError("EINVAL")
    vcpu.singleshot_timer.cancel()


@command("VCPUOP_register_vcpu_info")
def register_vcpu_info(call: Call) -> None:
    """Move vcpu_info, once. Everything counts as pending then, lest an event get lost.

    What cannot be is refused in other words at different releases: which errnos there are tells.
    """
    view = call.view
    vcpu = target(call)
    domain = call.domain
    abi = domain.abi
    layout = abi.layout("vcpu_info")
    recent = call.declares("EBUSY")
    if recent and view.offset >= PAGE_SIZE:
        raise XenError("EINVAL")
    if recent and vcpu.info_is_registered:
        raise XenError("EBUSY")
    if view.offset > PAGE_SIZE - layout.size or view.offset % layout.align:
        raise XenError("ENXIO" if call.declares("ENXIO") else "EINVAL")
    if vcpu.info_is_registered or (not recent and vcpu is not call.vcpu and not vcpu.is_down):
        raise XenError("EINVAL")
    try:
        data, start = domain.memory.locate(view.mfn * PAGE_SIZE + view.offset)
    except MemoryFault:
        raise XenError("EINVAL") from None
    if not vcpu.cpu.frame_is_writable(view.mfn):
        raise XenError("EACCES" if recent else "EINVAL")
    if vcpu.has_info:
        data[start : start + layout.size] = vcpu.info_bytes()
    else:
        data[start : start + layout.size] = bytes(layout.size)
    had_info = vcpu.has_info
    vcpu.set_info_location(data, start)
    if not had_info and "XEN_HAVE_PV_UPCALL_MASK" in abi.constants:
        vcpu.upcall_masked = True
    vcpu.info_is_registered = True
    vcpu.select_all()
    vcpu.mark_events_pending()
    vcpu.cpu.time_changed()


@command("VCPUOP_send_nmi")
def send_nmi(call: Call) -> None:
    """An NMI for the vcpu."""
    if call.handle:
        raise XenError("EINVAL")
    vcpu = target(call)
    vcpu.nmi_pending = True
    vcpu.kick()


@command("VCPUOP_get_physid")
def get_physid(call: Call) -> None:
    """The physical CPU of a vcpu of the hardware domain, which has only one to be on."""
    if not call.domain.is_control:
        raise XenError("EINVAL")
    call.view.phys_id = 0


@command("VCPUOP_register_vcpu_time_memory_area")
def register_vcpu_time_memory_area(call: Call) -> None:
    """Keep a copy of vcpu_time_info at a virtual address."""
    handle = call.view.addr.h
    if not call.vcpu.cpu.may_hold(handle):
        raise XenError("EFAULT")
    vcpu = target(call)
    vcpu.time_area = handle
    vcpu.cpu.time_changed()


@command("VCPUOP_register_vcpu_time_phys_area")
def register_vcpu_time_phys_area(call: Call) -> None:
    """Keep a copy of vcpu_time_info at a physical address."""
    vcpu = target(call)
    vcpu.physical_time_area = _physical_area(call, "vcpu_time_info")
    vcpu.cpu.time_changed()


def _physical_area(call: Call, type_name: str) -> tuple[memoryview, int] | None:
    """The area that the argument names; None ends the registration. XenError ENXIO: it crosses a
    page or is not aligned; EINVAL: no memory."""
    address = call.view.addr.p
    if address == (1 << 64) - 1:
        return None
    layout = call.domain.abi.layout(type_name)
    if address % PAGE_SIZE > PAGE_SIZE - layout.size or address % layout.align:
        raise XenError("ENXIO")
    try:
        return call.domain.memory.locate(address)
    except MemoryFault:
        raise XenError("EINVAL") from None
