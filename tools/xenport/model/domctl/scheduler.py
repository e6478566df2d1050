"""domctl: a domain's share of the CPUs. The scheduler here is Credit2, Xen's default."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenport.model.domctl.life import target
from xenport.model.errors import XenError
from xenport.model.handlers import Handlers

if TYPE_CHECKING:
    from xenport.model.call import Call

handlers = Handlers()
command = handlers.command


@command("XEN_DOMCTL_scheduler_op")
def scheduler_op(call: Call) -> None:
    """Set or tell the parameters. What came in goes back even after an error."""
    domain = target(call)
    try:
        _adjust(call, domain.settings.share, domain.max_vcpus)
    except XenError:
        call.finish()
        raise


def _adjust(call: Call, share: list[int], vcpus: int) -> None:
    abi = call.domain.abi
    view = call.view.u.scheduler_op
    if view.sched_id != abi.constant("XEN_SCHEDULER_CREDIT2"):
        raise XenError("EINVAL")
    parameters = view.u.credit2
    if view.cmd == abi.constant("XEN_DOMCTL_SCHEDOP_getinfo"):
        parameters.weight, parameters.cap = share
    elif view.cmd == abi.constant("XEN_DOMCTL_SCHEDOP_putinfo"):
        if parameters.weight:
            share[0] = parameters.weight
        if parameters.cap > 100 * vcpus:
            raise XenError("EINVAL")
        share[1] = parameters.cap
    else:
        raise XenError("EINVAL")
