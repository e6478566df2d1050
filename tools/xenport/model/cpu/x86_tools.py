"""What a tool stack finds on x86: its handlers, and the settings that Xen takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xenport.model.cpu import (
    x86_dm_op,
    x86_domctl,
    x86_hvm_op,
    x86_ioreq,
    x86_memory_tools,
    x86_pins,
    x86_stream,
    x86_vcpu_state,
)
from xenport.model.errors import XenError
from xenport.model.handlers import Handlers
from xenport.model.memory import PAGE_SIZE

if TYPE_CHECKING:
    from xenport.abi import Abi
    from xenport.model.domain import Domain
    from xenport.model.vcpu import Vcpu

_TOP_LEVEL = 4  #: of page tables
_ADDRESS_BITS = 40  #: of physical addresses

handlers = Handlers(
    x86_dm_op.handlers,
    x86_domctl.handlers,
    x86_hvm_op.handlers,
    x86_ioreq.handlers,
    x86_memory_tools.handlers,
    x86_stream.handlers,
    x86_vcpu_state.handlers,
)


def check_hvm_config(abi: Abi, config: Any) -> None:
    """Emulated devices that go together. XenError EINVAL, EOPNOTSUPP."""
    every = abi.constant("XEN_X86_EMU_ALL")
    local = abi.constant("XEN_X86_EMU_LAPIC")
    chosen = config.arch.emulation_flags
    if chosen & ~every:
        raise XenError("EINVAL")
    if chosen not in (local, every & ~abi.constant("XEN_X86_EMU_VPCI")):
        raise XenError("EOPNOTSUPP")


def check_pv_config(abi: Abi, config: Any) -> None:
    """A PV domain may have a timer at most. XenError EINVAL, EOPNOTSUPP."""
    chosen = config.arch.emulation_flags
    if chosen & ~abi.constant("XEN_X86_EMU_ALL"):
        raise XenError("EINVAL")
    if chosen & ~abi.constant("XEN_X86_EMU_PIT"):
        raise XenError("EOPNOTSUPP")


def fill_info(info: Any, domain: Domain) -> None:
    """The devices of a domain, and the width of addresses."""
    info.arch_config.emulation_flags = domain.settings.emulated
    if "gpaddr_bits" in domain.abi.layout("xen_domctl_getdomaininfo").by_name:
        info.gpaddr_bits = _ADDRESS_BITS


def check_pv_registers(vcpu: Vcpu, context: Any) -> None:
    """The page tables must be a frame of the domain's; once chosen, they stay. XenError EINVAL,
    EOPNOTSUPP."""
    settings = vcpu.domain.settings
    root = context.ctrlreg[3] // PAGE_SIZE
    if vcpu.is_initialised:
        if settings.tables.get(root) != _TOP_LEVEL:
            raise XenError("EOPNOTSUPP")
        return
    x86_pins.use_as_table(vcpu.domain, root, _TOP_LEVEL)
