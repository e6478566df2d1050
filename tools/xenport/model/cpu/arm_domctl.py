"""domctl on Arm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xenport.model.domctl.life import other, target
from xenport.model.domctl.memory import set_pool
from xenport.model.errors import XenError
from xenport.model.handlers import Handlers
from xenport.model.memory import PAGE_SIZE

if TYPE_CHECKING:
    from xenport.abi import Abi
    from xenport.model.call import Call

handlers = Handlers()
command = handlers.command

_MODE = 0x1F
#: Modes of the program status register that a guest can be in: user to system, and EL0t to EL1h.
MODES_32 = (0x10, 0x11, 0x12, 0x13, 0x17, 0x1B, 0x1F)
MODES_64 = (0x00, 0x04, 0x05)


_REFUSED_FLAGS = ("s3_integrity", "oos_off", "nested_virt", "xs_domain")


def check_config(abi: Abi, config: Any) -> None:
    """What Arm's Xen takes of a new domain. XenError EINVAL."""
    flags = config.flags
    needed = abi.constant("XEN_DOMCTL_CDF_hvm") | abi.constant("XEN_DOMCTL_CDF_hap")
    others = [f"XEN_DOMCTL_CDF_{name}" for name in _REFUSED_FLAGS]
    refused = sum(abi.constant(name) for name in others if name in abi.constants)
    gics = [abi.constant(f"XEN_DOMCTL_CONFIG_GIC_{name}") for name in ("NATIVE", "V2", "V3")]
    if (
        flags & needed != needed
        or flags & refused
        or config.iommu_opts
        or config.arch.gic_version not in gics
        or config.arch.tee_type != abi.constant("XEN_DOMCTL_CONFIG_TEE_NONE")
        or config.arch.nr_spis > 988
    ):
        raise XenError("EINVAL")


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
