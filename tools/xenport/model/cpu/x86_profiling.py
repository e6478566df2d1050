"""mca, xenpmu_op, xenoprof_op: what the processor counts and reports, which here is nothing."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from xenport.model.cpu.x86_core import cpuid
from xenport.model.errors import XenError
from xenport.model.handlers import Handlers
from xenport.model.memory import PAGE_SIZE
from xenport.model.memory_op import machine_end
from xenport.model.policy import require_control

if TYPE_CHECKING:
    from xenport.abi import Abi
    from xenport.model.call import Call

_SHARED_PAGES = 32  # at most, of a domain's buffers

handlers = Handlers()
handlers.refuse_declared("xenoprof_op")
command = handlers.command

# ---- Errors of the hardware ----


@handlers.check("mca")
def may_use_mca(call: Call) -> None:
    """Privilege, then version."""
    require_control(call.domain)
    if call.view.interface_version != call.domain.abi.constant("XEN_MCA_INTERFACE_VERSION"):
        raise XenError("EACCES")


@command("XEN_MC_fetch")
def fetch(call: Call) -> None:
    """The oldest error: there is none."""
    abi = call.domain.abi
    view = call.view.u.mc_fetch
    kinds = (abi.constant("XEN_MC_NONURGENT"), abi.constant("XEN_MC_URGENT"))
    asked = view.flags & ~abi.constant("XEN_MC_ACK")
    if asked not in kinds or (asked == view.flags and not view.data):
        raise XenError("EINVAL")
    view.flags = abi.constant("XEN_MC_NODATA")


@command("XEN_MC_physcpuinfo")
def physcpuinfo(call: Call) -> None:
    """The processors."""
    view = call.view.u.mc_physcpuinfo
    if view.info:
        if not view.ncpus:
            raise XenError("EINVAL")
        call.vcpu.copy_out(view.info, _processor(call))
    view.ncpus = call.hypervisor.physical.processors


def _processor(call: Call) -> bytearray:
    abi = call.domain.abi
    buffer = bytearray(abi.sizeof("mcinfo_logical_cpu"))
    view: Any = abi.view("mcinfo_logical_cpu", buffer)
    _, b, c, d = cpuid(0)
    view.mc_ncores = view.mc_ncores_active = view.mc_nthreads = 1
    view.mc_vendorid[:12] = struct.pack("<3I", b, d, c)
    return buffer


@command("XEN_MC_notifydomain", "XEN_MC_msrinject", "XEN_MC_mceinject", "XEN_MC_inject_v2")
def inject(_call: Call) -> None:
    """No error can be provoked, and no domain told."""
    raise XenError("EINVAL")


# ---- Counters ----


@handlers.check("xenpmu_op")
def no_counters(_call: Call) -> None:
    """Guests have none."""
    raise XenError("EOPNOTSUPP")


@command("XENOPROF_init")
def init(call: Call) -> None:
    """The counters are of no kind that is known, so nobody gets control."""
    call.view  # noqa: B018 (an argument at no address comes first)
    raise XenError("ENODEV")


@command(
    "XENOPROF_reset_active_list",
    "XENOPROF_reset_passive_list",
    "XENOPROF_set_active",
    "XENOPROF_set_passive",
    "XENOPROF_reserve_counters",
    "XENOPROF_counter",
    "XENOPROF_setup_events",
    "XENOPROF_enable_virq",
    "XENOPROF_start",
    "XENOPROF_stop",
    "XENOPROF_disable_virq",
    "XENOPROF_release_counters",
    "XENOPROF_shutdown",
    "XENOPROF_set_backtrace",
    "XENOPROF_get_ibs_caps",
    "XENOPROF_ibs_counter",
)
def needs_control(_call: Call) -> None:
    """Only who has control may, and nobody has."""
    raise XenError("EPERM")


def _buffer_size(abi: Abi, samples: int, vcpus: int) -> int:
    """Bytes of a vcpu's buffer; all of them have as many pages as a domain may share."""
    head, each = abi.sizeof("xenoprof_buf"), abi.sizeof("event_log")
    most = (_SHARED_PAGES * PAGE_SIZE // vcpus - head) // each + 1
    return head + (min(samples, most) - 1) * each


@command("XENOPROF_get_buffer")
def get_buffer(call: Call) -> None:
    """Buffers that nothing is ever written to."""
    view = call.view
    view.nbuf = len(call.domain.vcpus)
    view.bufsize = _buffer_size(call.domain.abi, view.max_samples, view.nbuf)
    view.buf_gmaddr = machine_end(call.domain) * PAGE_SIZE
