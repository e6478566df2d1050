"""console_io: Xen's console."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenport.model.errors import XenError
from xenport.model.handlers import Handlers

if TYPE_CHECKING:
    from xenport.model.call import Call

handlers = Handlers()
command = handlers.command

_CHUNK = 127  #: bytes that are taken at a time: what comes before bad memory is printed
_INT_MAX = (1 << 31) - 1


@handlers.check("console_io")
def may_use(call: Call) -> None:
    """The control domain may, and who was given the console."""
    if not (call.domain.is_control or call.domain.is_console):
        raise XenError("EPERM")


@command("CONSOLEIO_write")
def write(call: Call) -> None:
    """Print bytes: the control domain's as they are, others' by line without what is not
    printable."""
    vcpu = call.vcpu
    count = call["count"]
    done = 0
    while done < count:
        chunk = vcpu.copy_in(call.handle, min(count - done, _CHUNK), done)
        done += len(chunk)
        if call.domain.is_control:
            call.hypervisor.console(bytes(chunk))
        else:
            call.domain.console_line.write(chunk)


@command("CONSOLEIO_read")
def read(call: Call) -> int:
    """What was typed: nothing ever is here."""
    if call["count"] > _INT_MAX:
        raise XenError("E2BIG")
    return 0
