"""domctl on x86: paging, what a processor says of itself, and what a build leaves out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenport.abi.releases import rank
from xenport.model.domctl.life import other, target
from xenport.model.domctl.memory import set_pool
from xenport.model.domctl.vcpus import vcpu_of
from xenport.model.errors import XenError
from xenport.model.handlers import Handlers
from xenport.model.memory import PAGE_SIZE, Page

if TYPE_CHECKING:
    from xenport.abi import Abi
    from xenport.model.call import Call
    from xenport.model.domain import Domain

handlers = Handlers()
command = handlers.command

DEVICE_FRAMES = range(0xA0, 0xC0)  #: of a PC's display

_LARGEST_PORT = 0xFFFF
_CONSOLE_PORTS = range(0x3F8, 0x400)  #: of the UART that Xen keeps
_MOST_FRAMES = 1024  #: of XEN_DOMCTL_getpageframeinfo3


def left_out(call: Call) -> XenError:
    """What a command ends with that Xen was built without."""
    old = rank(call.domain.abi.release) < rank("4.15")
    return XenError("EOPNOTSUPP" if old else "ENOSYS")


def hvm_domain(call: Call, errno: str = "EINVAL") -> Domain:
    """The domain, which must be an HVM domain and another than the caller."""
    domain = other(call)
    if not domain.cpu_class.hvm:
        raise XenError(errno)
    return domain


# ---- Paging ----


@command("XEN_DOMCTL_shadow_op")
def shadow_op(call: Call) -> None:
    """The pool for page tables, and the log of written frames."""
    domain = other(call)
    view = call.view.u.shadow_op
    settings = domain.settings
    names = {
        call.domain.abi.constant(f"XEN_DOMCTL_SHADOW_OP_{name}"): name
        for name in (
            *("SET_ALLOCATION", "GET_ALLOCATION", "ENABLE_LOGDIRTY"),
            *("CLEAN", "PEEK", "OFF"),
        )
    }
    name = names.get(view.op)
    if not domain.vcpus or name is None:
        raise XenError("EINVAL")
    if name == "SET_ALLOCATION":
        set_pool(domain, (view.mb << 20) // PAGE_SIZE)
    elif name == "GET_ALLOCATION":
        view.mb = -(-domain.settings.pool_pages * PAGE_SIZE >> 20)
    elif name == "ENABLE_LOGDIRTY":
        if settings.logs_writes:
            raise XenError("EINVAL")
        settings.logs_writes = True
    elif name == "OFF":
        settings.logs_writes = False
        settings.written.clear()
    else:
        _copy_log(call, domain, clean=name == "CLEAN")


def _copy_log(call: Call, domain: Domain, *, clean: bool) -> None:
    view = call.view.u.shadow_op
    final = call.domain.abi.constant("XEN_DOMCTL_SHADOW_LOGDIRTY_FINAL")
    if view.mode not in (0, final):
        raise XenError("EINVAL")
    written = domain.settings.written
    if view.dirty_bitmap:
        bits = sum(1 << frame for frame in written if frame < view.pages)
        size = -(-view.pages // 8)
        call.vcpu.copy_out(view.dirty_bitmap, bits.to_bytes(size, "little"))
    view.stats.dirty_count = len(written)
    if clean:
        written.clear()


@command("XEN_DOMCTL_set_broken_page_p2m")
def set_broken_page_p2m(call: Call) -> None:
    """A page that nobody may use any more."""
    domain = target(call)
    frame = call.view.u.set_broken_page_p2m.pfn
    if not domain.cpu_class.hvm or not domain.memory.has_frame(frame):
        raise XenError("EINVAL")


@command("XEN_DOMCTL_getpageframeinfo3")
def getpageframeinfo3(call: Call) -> None:
    """The types of frames."""
    domain = target(call)
    view = call.view.u.getpageframeinfo3
    abi = call.domain.abi
    if view.num > _MOST_FRAMES:
        raise XenError("E2BIG")
    for index in range(view.num):
        frame = call.vcpu.read_word("xen_pfn_t", view.array, index)
        call.vcpu.write_word("xen_pfn_t", _frame_type(abi, domain, frame), view.array, index)


def _frame_type(abi: Abi, domain: Domain, frame: int) -> int:
    settings = domain.settings
    if not domain.memory.has_frame(frame):
        return abi.constant("XEN_DOMCTL_PFINFO_XTAB")
    if frame not in settings.tables:
        return abi.constant("XEN_DOMCTL_PFINFO_NOTAB")
    kind = abi.constant(f"XEN_DOMCTL_PFINFO_L{settings.tables[frame]}TAB")
    return kind | (abi.constant("XEN_DOMCTL_PFINFO_LPINTAB") if frame in settings.pinned else 0)


@command("XEN_DOMCTL_hypercall_init")
def hypercall_init(call: Call) -> None:
    """Fill a page with the entries of hypercalls."""
    domain = target(call)
    page = domain.memory.page_at(call.view.u.hypercall_init.gmfn)
    if page is None:
        raise XenError("EINVAL")
    _fill(domain, page)


def _fill(domain: Domain, page: Page) -> None:
    page.data[:] = domain.cpu_class.hypercall_page(domain.abi)


# ---- Width ----


@command("XEN_DOMCTL_set_address_size")
def set_address_size(call: Call) -> None:
    """Of a PV domain; none but 64-bit ones run."""
    domain = target(call)
    size = call.view.u.address_size.size
    if domain.cpu_class.hvm:
        raise XenError("EOPNOTSUPP")
    if size not in (32, 64):
        raise XenError("EINVAL")
    if size == 32:
        raise XenError("EOPNOTSUPP")


@command("XEN_DOMCTL_get_address_size")
def get_address_size(call: Call) -> None:
    """Of a PV domain."""
    if target(call).cpu_class.hvm:
        raise XenError("EOPNOTSUPP")
    call.view.u.address_size.size = 64


# ---- Buttons and debuggers ----


@command("XEN_DOMCTL_sendtrigger")
def sendtrigger(call: Call) -> None:
    """An NMI for a vcpu, or a button of its domain."""
    domain = target(call)
    view = call.view.u.sendtrigger
    abi = call.domain.abi
    vcpu = vcpu_of(domain, view.vcpu, "ESRCH")
    if view.trigger == abi.constant("XEN_DOMCTL_SENDTRIGGER_NMI"):
        vcpu.nmi_pending = True
    elif view.trigger in (
        abi.constant("XEN_DOMCTL_SENDTRIGGER_POWER"),
        abi.constant("XEN_DOMCTL_SENDTRIGGER_SLEEP"),
    ):
        if not domain.cpu_class.hvm:
            raise XenError("EINVAL")
    else:
        raise XenError("ENOSYS")


@command("XEN_DOMCTL_debug_op")
def debug_op(call: Call) -> None:
    """Single steps, which AMD's processors cannot."""
    domain = target(call)
    view = call.view.u.debug_op
    vcpu = vcpu_of(domain, view.vcpu, "EINVAL")
    if vcpu is call.vcpu or not domain.cpu_class.hvm:
        raise XenError("EINVAL")
    if view.op > call.domain.abi.constant("XEN_DOMCTL_DEBUG_OP_SINGLE_STEP_ON"):
        raise XenError("ENOSYS")
    raise XenError("EOPNOTSUPP")


@command(
    "XEN_DOMCTL_audit_p2m",
    "XEN_DOMCTL_mem_sharing_op",
    "XEN_DOMCTL_gdbsx_domstatus",
    "XEN_DOMCTL_gdbsx_guestmemio",
    "XEN_DOMCTL_gdbsx_pausevcpu",
    "XEN_DOMCTL_gdbsx_unpausevcpu",
)
def built_without(call: Call) -> None:
    """Debian's Xen has none of these."""
    target(call)
    raise left_out(call)


@command("XEN_DOMCTL_vmtrace_op")
def vmtrace_op(call: Call) -> None:
    """No domain has a trace buffer."""
    target(call)
    raise XenError("EINVAL")


@command("XEN_DOMCTL_set_llc_colors")
def set_llc_colors(call: Call) -> None:
    """Caches are not coloured."""
    target(call)
    raise XenError("EOPNOTSUPP")


# ---- The machine ----


def _ports(first: int, count: int) -> range:
    if not count or first + count - 1 > _LARGEST_PORT:
        raise XenError("EINVAL")
    ports = range(first, first + count)
    if ports.start < _CONSOLE_PORTS.stop and ports.stop > _CONSOLE_PORTS.start:
        raise XenError("EPERM")
    return ports


@command("XEN_DOMCTL_ioport_permission")
def ioport_permission(call: Call) -> None:
    """Allow or forbid I/O ports."""
    domain = target(call)
    view = call.view.u.ioport_permission
    ports = _ports(view.first_port, view.nr_ports)
    if view.allow_access:
        domain.settings.ports.update(ports)
    else:
        domain.settings.ports.difference_update(ports)


@command("XEN_DOMCTL_ioport_mapping")
def ioport_mapping(call: Call) -> None:
    """Show a domain ports of the machine; there is nothing behind them."""
    domain = target(call)
    view = call.view.u.ioport_mapping
    if not domain.cpu_class.hvm:
        raise XenError("EOPNOTSUPP")
    if view.first_gport + view.nr_ports - 1 > _LARGEST_PORT:
        raise XenError("EINVAL")
    _ports(view.first_mport, view.nr_ports)


@command("XEN_DOMCTL_bind_pt_irq", "XEN_DOMCTL_unbind_pt_irq")
def bind_pt_irq(call: Call) -> None:
    """Pass an interrupt on. No domain has one that it could be."""
    if not target(call).cpu_class.hvm:
        raise XenError("EINVAL")
    raise XenError("EPERM")


@command("XEN_DOMCTL_gsi_permission")
def gsi_permission(call: Call) -> None:
    """Allow or forbid an interrupt of the machine's."""
    domain = target(call)
    view = call.view.u.gsi_permission
    if view.flags & ~call.domain.abi.constant("XEN_DOMCTL_GSI_ACTION_MASK"):
        raise XenError("EINVAL")
    if view.gsi > _LAST_GSI:
        raise XenError("ERANGE")
    if view.flags:
        domain.settings.interrupts.add(view.gsi)
    else:
        domain.settings.interrupts.discard(view.gsi)


_LAST_GSI = 23


@command("XEN_DOMCTL_psr_cmt_op")
def psr_cmt_op(call: Call) -> None:
    """Caches are not watched."""
    target(call)
    raise XenError("ENODEV")


@command("XEN_DOMCTL_psr_alloc")
def psr_alloc(call: Call) -> None:
    """Caches are not divided."""
    target(call)
    known = call.domain.abi.constant("XEN_DOMCTL_PSR_GET_MBA_THRTL")
    raise XenError("ENODEV" if call.view.u.psr_alloc.cmd <= known else "EOPNOTSUPP")
