"""domctl: the state of a domain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xenport.model import runstate
from xenport.model.errors import XenError
from xenport.model.handlers import Handlers
from xenport.model.policy import require_control

if TYPE_CHECKING:
    from xenport.model.call import Call
    from xenport.model.domain import Domain

handlers = Handlers()
command = handlers.command

_NO_CODE = 0xFFFF_FFFF  #: shutdown code of a domain that has none; its upper bits are lost


@command("XEN_DOMCTL_getdomaininfo")
def getdomaininfo(call: Call) -> None:
    """The state of a domain. Up to 4.17 the next domain answers for one that does not exist."""
    view = call.view
    number = view.domain
    domains = call.hypervisor.domains
    if number not in domains and call.declares("EINVAL"):
        if number >= call.domain.abi.constant("DOMID_FIRST_RESERVED"):
            raise XenError("EINVAL")
        number = min((n for n in domains if n > number), default=number)
    if number not in domains:
        raise XenError("ESRCH")
    require_control(call.domain)
    view.domain = number
    fill_info(view.u.getdomaininfo, domains[number])


def fill_info(info: Any, domain: Domain) -> None:
    """What is told of ``domain``, into a view of xen_domctl_getdomaininfo."""
    online = [vcpu for vcpu in domain.vcpus if not vcpu.is_down]
    info.domain = domain.id
    info.flags = _flags(domain)
    info.tot_pages = domain.total_pages
    info.max_pages = domain.max_pages
    if domain.abi.layout("xen_domctl_getdomaininfo").by_name.get("outstanding_pages"):
        info.outstanding_pages = domain.settings.claimed
    info.shared_info_frame = domain.frames.shared_info_frame()
    info.cpu_time = sum(vcpu.runstate.total(runstate.RUNNING) for vcpu in domain.vcpus)
    info.nr_online_vcpus = len(online)
    info.max_vcpu_id = len(domain.vcpus) - 1 if domain.vcpus else 0xFFFF_FFFF
    info.handle[:] = domain.handle
    domain.cpu_class.fill_info(info, domain)


def _flags(domain: Domain) -> int:
    abi = domain.abi
    flags = 0
    online = [vcpu for vcpu in domain.vcpus if not vcpu.is_down]
    if online:
        if all(vcpu.is_blocked for vcpu in online):
            flags |= abi.constant("XEN_DOMINF_blocked")
        if any(vcpu.runstate.state == runstate.RUNNING for vcpu in online):
            flags |= abi.constant("XEN_DOMINF_running")
    if domain.is_shut_down:
        flags |= abi.constant("XEN_DOMINF_shutdown")
    if domain.pause_count:
        flags |= abi.constant("XEN_DOMINF_paused")
    if domain.settings.debugged:
        flags |= abi.constant("XEN_DOMINF_debugged")
    if domain.cpu_class.hvm:
        for name in ("XEN_DOMINF_hvm_guest", "XEN_DOMINF_hap"):
            if name in abi.constants:
                flags |= abi.constant(name)
    code = _NO_CODE if domain.shutdown_code is None else domain.shutdown_code
    return (flags | code << abi.constant("XEN_DOMINF_shutdownshift")) & 0xFFFF_FFFF
