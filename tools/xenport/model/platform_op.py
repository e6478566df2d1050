"""platform_op: the machine's clock and power."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xenport.model.errors import XenError
from xenport.model.handlers import Handlers
from xenport.model.policy import require_control

if TYPE_CHECKING:
    from xenport.model.call import Call

handlers = Handlers()
command = handlers.command

_SLEEP_ENABLE = 1 << 13
_S3, _S5 = 3, 5
_SECOND = 1_000_000_000


@handlers.check("platform_op")
def may_use(call: Call) -> None:
    """Version, then privilege."""
    if call.view.interface_version != call.domain.abi.constant("XENPF_INTERFACE_VERSION"):
        raise XenError("EACCES")
    require_control(call.domain)


@command("XENPF_enter_acpi_sleep")
def enter_acpi_sleep(call: Call) -> None:
    """Send the machine to sleep, or switch it off. It has no extended sleep registers."""
    sleep = call.view.u.enter_acpi_sleep
    abi = call.domain.abi
    if "XENPF_ACPI_SLEEP_EXTENDED" in abi.constants:
        if sleep.flags & abi.constant("XENPF_ACPI_SLEEP_EXTENDED"):
            raise XenError("EPERM")
        if sleep.val_b and (sleep.val_a ^ sleep.val_b) & _SLEEP_ENABLE:
            raise XenError("EINVAL")
    if sleep.flags or not 0 < sleep.sleep_state <= _S5:
        raise XenError("EINVAL")
    if sleep.sleep_state == _S5:
        call.hypervisor.power_off()
    elif sleep.sleep_state == _S3:
        call.hypervisor.sleep()
    else:
        raise XenError("EINVAL")


def _set_time(call: Call, time: Any) -> None:
    at_boot = time.secs * _SECOND + time.nsecs - time.system_time
    call.hypervisor.wall_clock = at_boot
    for domain in call.hypervisor.domains.values():
        domain.write_wall_clock(at_boot)


@command("XENPF_settime32")
def settime32(call: Call) -> None:
    """Set the wall clock: the time it was at a point of system time."""
    _set_time(call, call.view.u.settime32)


@command("XENPF_settime64")
def settime64(call: Call) -> None:
    """The same with more seconds."""
    time = call.view.u.settime64
    if time.mbz:
        raise XenError("EINVAL")
    _set_time(call, time)
