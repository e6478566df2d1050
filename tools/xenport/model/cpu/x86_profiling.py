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
    count = call.hypervisor.physical.processors
    if view.info:
        if not view.ncpus:
            raise XenError("EINVAL")
        count = min(count, view.ncpus)
        call.vcpu.copy_out(view.info, b"".join(_processor(call, i) for i in range(count)))
    view.ncpus = count


def _processor(call: Call, number: int) -> bytes:
    abi = call.domain.abi
    buffer = bytearray(abi.sizeof("mcinfo_logical_cpu"))
    view: Any = abi.view("mcinfo_logical_cpu", buffer)
    _, b, c, d = cpuid(0)
    view.mc_cpunr = number
    view.mc_ncores = view.mc_ncores_active = view.mc_nthreads = 1
    view.mc_vendorid[:12] = struct.pack("<3I", b, d, c)
    return bytes(buffer)


@command("XEN_MC_notifydomain")
def notifydomain(_call: Call) -> None:
    """Never served."""
    raise XenError("EINVAL")


@command("XEN_MC_msrinject")
def msrinject(call: Call) -> None:
    """What registers are to say; the processor has none that tell of errors."""
    view = call.view.u.mc_msrinject
    _check_processor(call, view.mcinj_cpunr)
    if view.mcinj_count:
        raise XenError("EINVAL")


@command("XEN_MC_mceinject")
def mceinject(call: Call) -> None:
    """The exception. Since no register tells of an error nothing comes of it."""
    _check_processor(call, call.view.u.mc_mceinject.mceinj_cpunr)


@command("XEN_MC_inject_v2")
def inject_v2(call: Call) -> None:
    """The exception on the processors of a bitmap, or on all."""
    abi = call.domain.abi
    view = call.view.u.mc_inject_v2
    if not view.flags & abi.constant("XEN_MC_INJECT_CPU_BROADCAST"):
        named = call.vcpu.copy_in(view.cpumap.bitmap, (view.cpumap.nr_bits + 7) // 8)
        there = (1 << min(view.cpumap.nr_bits, call.hypervisor.physical.processors)) - 1
        if not int.from_bytes(named, "little") & there:
            raise XenError("EINVAL")
    kind = view.flags & abi.constant("XEN_MC_INJECT_TYPE_MASK")
    if kind != abi.constant("XEN_MC_INJECT_TYPE_MCE"):
        raise XenError("EINVAL")


def _check_processor(call: Call, number: int) -> None:
    """XenError EINVAL: there is no such processor."""
    if number >= call.hypervisor.physical.processors:
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
