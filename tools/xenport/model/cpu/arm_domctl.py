"""domctl on Arm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xenport.abi.releases import rank
from xenport.model.domctl.life import other, target
from xenport.model.domctl.memory import set_pool
from xenport.model.domctl.monitor import xen_port
from xenport.model.errors import XenError
from xenport.model.handlers import Handlers
from xenport.model.memory import PAGE_SIZE

if TYPE_CHECKING:
    from xenport.abi import Abi
    from xenport.model.call import Call

handlers = Handlers()
command = handlers.command

_MODE = 0x1F
_WORD = (1 << 64) - 1
_MOST_SHARED_INTERRUPTS = 1020 - 32
_ADDRESS_BITS = 40  #: of guest-physical addresses
MOST_FLUSHED = 1 << 18  #: frames at once
#: Modes of the program status register that a guest can be in: user to system, and EL0t to EL1h.
MODES_32 = (0x10, 0x11, 0x12, 0x13, 0x17, 0x1B, 0x1F)
MODES_64 = (0x00, 0x04, 0x05)


_REFUSED_FLAGS = ("s3_integrity", "oos_off", "nested_virt", "xs_domain")


def check_config(abi: Abi, config: Any, gic: int) -> None:
    """What Arm's Xen takes of a new domain; ``gic`` is the machine's, and is what the native one
    becomes. XenError EINVAL."""
    flags = config.flags
    needed = abi.constant("XEN_DOMCTL_CDF_hvm") | abi.constant("XEN_DOMCTL_CDF_hap")
    others = [f"XEN_DOMCTL_CDF_{name}" for name in _REFUSED_FLAGS]
    refused = sum(abi.constant(name) for name in others if name in abi.constants)
    native = abi.constant("XEN_DOMCTL_CONFIG_GIC_NATIVE")
    if (
        flags & needed != needed
        or flags & refused
        or config.iommu_opts
        or config.arch.gic_version not in (native, gic)
        or config.arch.tee_type != abi.constant("XEN_DOMCTL_CONFIG_TEE_NONE")
        or -(-config.arch.nr_spis // 32) * 32 > _MOST_SHARED_INTERRUPTS
    ):
        raise XenError("EINVAL")
    config.arch.gic_version = gic


def fill_info(info: Any, abi: Abi, gic: int) -> None:
    """The width of addresses; the GIC as real Xen 4.20 tells it, and older ones do not."""
    if "gpaddr_bits" in abi.layout("xen_domctl_getdomaininfo").by_name:
        info.gpaddr_bits = _ADDRESS_BITS
    if rank(abi.release) >= rank("4.20"):
        info.arch_config.gic_version = gic


def check_registers(context: Any, bits: int) -> None:
    """Registers that such a guest can have. XenError EINVAL."""
    if context.user_regs.cpsr & _MODE not in (MODES_64 if bits == 64 else MODES_32):
        raise XenError("EINVAL")


@command("XEN_DOMCTL_set_address_size")
def set_address_size(call: Call) -> None:
    """The width of a domain that has no memory yet."""
    domain = target(call)
    size = call.view.u.address_size.size
    if size not in (32, 8 * call.domain.abi.sizeof("pointer")):
        raise XenError("EINVAL")
    if domain.total_pages and "EBUSY" in call.errnos:
        raise XenError("EBUSY")
    domain.settings.bits = size


@command("XEN_DOMCTL_shadow_op")
def shadow_op(call: Call) -> None:
    """The pool for page tables, which is all there is of it here; nothing comes back."""
    domain = other(call)
    view = call.view.u.shadow_op
    abi = call.domain.abi
    if view.op == abi.constant("XEN_DOMCTL_SHADOW_OP_SET_ALLOCATION"):
        set_pool(domain, (view.mb << 20) // PAGE_SIZE)
    elif view.op != abi.constant("XEN_DOMCTL_SHADOW_OP_GET_ALLOCATION"):
        raise XenError("EINVAL")


@command("XEN_DOMCTL_cacheflush")
def cacheflush(call: Call) -> None:
    """Write frames back from caches, of which there are none."""
    target(call)
    view = call.view.u.cacheflush
    if view.nr_pfns > MOST_FLUSHED or view.start_pfn + view.nr_pfns > _WORD:
        raise XenError("EINVAL")


@command("XEN_DOMCTL_vuart_op")
def vuart_op(call: Call) -> None:
    """Give a domain that is being built a UART; nothing is ever written to it here."""
    domain = target(call)
    view = call.view.u.vuart_op
    abi = call.domain.abi
    settings = domain.settings
    if any(view.pad) or view.cmd != abi.constant("XEN_DOMCTL_VUART_OP_INIT"):
        raise XenError("EINVAL")
    if settings.was_unpaused:
        raise XenError("EPERM")
    if view.type != abi.constant("XEN_DOMCTL_VUART_TYPE_VPL011"):
        raise XenError("EOPNOTSUPP")
    if settings.has_uart or not domain.memory.has_frame(view.gfn):
        raise XenError("EINVAL")
    settings.has_uart = True
    view.evtchn = xen_port(domain, view.console_domid)


@command("XEN_DOMCTL_bind_pt_irq", "XEN_DOMCTL_unbind_pt_irq")
def bind_pt_irq(call: Call) -> None:
    """Pass an interrupt of the machine on: there is none that the caller could."""
    target(call)
    view = call.view.u.bind_pt_irq
    if view.irq_type != call.domain.abi.constant("PT_IRQ_TYPE_SPI"):
        raise XenError("EOPNOTSUPP")
    if view.u.spi.spi != view.machine_irq:
        raise XenError("EINVAL")
    raise XenError("EPERM")


@command("XEN_DOMCTL_dt_overlay", "XEN_DOMCTL_set_llc_colors")
def left_out(call: Call) -> None:
    """Xen is built without."""
    target(call)
    raise XenError("EOPNOTSUPP")
