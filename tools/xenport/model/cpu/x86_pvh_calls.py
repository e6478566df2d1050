"""Hypercalls that x86 HVM guests have, or have their own way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from unicorn import x86_const as x86

from xenport.abi.releases import rank
from xenport.model import livepatch
from xenport.model.cpu import (
    x86_firmware,
    x86_machine_memory,
    x86_physdev,
    x86_pins,
    x86_platform,
    x86_profiling,
    x86_sysctl,
)
from xenport.model.errors import XenError
from xenport.model.handlers import Handlers

if TYPE_CHECKING:
    from xenport.abi import Abi
    from xenport.model.call import Call
    from xenport.model.cpu.x86_64_pvh import PvhCpu
    from xenport.model.domain import Domain
    from xenport.model.vcpu import Vcpu

handlers = Handlers(
    livepatch.handlers,
    x86_firmware.handlers,
    x86_machine_memory.handlers,
    x86_physdev.handlers,
    x86_platform.handlers,
    x86_profiling.handlers,
    x86_sysctl.handlers,
)
handlers.check("physdev_op")(x86_physdev.check_hvm)
command = handlers.command
handlers.refuse_declared("mmuext_op")

#: Parameters that a guest may set, or read, of its own domain.
_WRITABLE = (
    "CALLBACK_IRQ",
    "VM86_TSS",
    "VM86_TSS_SIZED",
    "ACPI_IOPORTS_LOCATION",
    "VM_GENERATION_ID_ADDR",
    "STORE_EVTCHN",
    "CONSOLE_EVTCHN",
    "X87_FIP_WIDTH",
)
_READABLE = (*_WRITABLE, "STORE_PFN", "CONSOLE_PFN", "ALTP2M")
_SET_ONCE = (
    "VIRIDIAN",
    "IOREQ_PFN",
    "BUFIOREQ_PFN",
    "IOREQ_SERVER_PFN",
    "NR_IOREQ_SERVER_PAGES",
    "ALTP2M",
    "MCA_CAP",
)
_DEPRECATED = (
    "PAE_ENABLED",
    "DM_DOMAIN",
    "MEMORY_EVENT_CR0",
    "MEMORY_EVENT_CR3",
    "MEMORY_EVENT_CR4",
    "MEMORY_EVENT_INT3",
    "MEMORY_EVENT_SINGLE_STEP",
    "BUFIOREQ_EVTCHN",
    "MEMORY_EVENT_MSR",
)


def check_param(vcpu: Vcpu, domain: Domain, index: int, value: int | None) -> None:
    """May ``vcpu`` read (``value`` None) or set the parameter? XenError EPERM, EINVAL."""
    abi = domain.abi

    def numbers(names: tuple[str, ...]) -> set[int]:
        found = (abi.constants.get(f"HVM_PARAM_{name}") for name in names)
        return {int(constant.value) for constant in found if constant is not None}

    if not domain.cpu_class.hvm:
        raise XenError("EINVAL")
    deprecated = numbers(_DEPRECATED)
    if rank(abi.release) >= rank("4.15"):
        deprecated |= numbers(("NESTEDHVM",))
    if index in deprecated:
        raise XenError("EINVAL")
    if value is not None and rank(abi.release) >= rank("4.19") and index in numbers(("ALTP2M",)):
        raise XenError("EEXIST")
    if value is not None and index in numbers(("ACPI_IOPORTS_LOCATION",)):
        _check_timer_ports(domain, value, domain.params.get(index, 0))
    allowed = numbers(_READABLE if value is None else _WRITABLE)
    if index not in allowed and domain is vcpu.domain:
        raise XenError("EPERM")
    if value is not None:
        if index in numbers(_SET_ONCE) and domain.params.get(index, 0) not in (0, value):
            raise XenError("EEXIST")
        _check_value(abi, index, value)


def _check_timer_ports(domain: Domain, value: int, before: int) -> None:
    """The ports are those of one version or of the other. XenError ENODEV: there is no such timer,
    EINVAL."""
    if not domain.cpu_class.emulates_pc:
        raise XenError("ENODEV")
    if value ^ before > 1:
        raise XenError("EINVAL")


def _check_value(abi: Abi, index: int, value: int) -> None:
    """XenError EINVAL: the parameter may not have the value."""
    values = {
        "X87_FIP_WIDTH": (0, 4, 8),
        "TIMER_MODE": range(abi.constant("HVMPTM_one_missed_tick_pending") + 1),
        "TRIPLE_FAULT_REASON": range(abi.constant("SHUTDOWN_MAX") + 1),
        "NR_IOREQ_SERVER_PAGES": range(1, 65),
    }
    for name, allowed in values.items():
        if index == abi.constant(f"HVM_PARAM_{name}") and value not in allowed:
            raise XenError("EINVAL")


@command("VCPUOP_initialise")
def initialise(call: Call) -> None:
    """An HVM guest gives a vcpu_hvm_context."""
    context = call.vcpu.read_struct("vcpu_hvm_context", call.handle)
    vcpu = call.domain.vcpus[call["vcpuid"]]
    if vcpu.is_initialised:
        raise XenError("EEXIST")
    vcpu.cpu.set_context(context)
    vcpu.is_initialised = True


def _pv_domain(call: Call) -> Domain:
    """The domain whose page tables are pinned. XenError EINVAL: it is an HVM domain."""
    owner = call.hypervisor.domain_by_id(call.vcpu, call["foreigndom"] & 0xFFFF)
    if owner.cpu_class.hvm:
        raise XenError("EINVAL")
    return owner


@command("MMUEXT_PIN_L1_TABLE", "MMUEXT_PIN_L2_TABLE", "MMUEXT_PIN_L3_TABLE", "MMUEXT_PIN_L4_TABLE")
def pin_table(call: Call) -> None:
    """Keep a frame of a PV domain as a page table of the command's level."""
    x86_pins.pin(_pv_domain(call), call.view.arg1.mfn, x86_pins.level_of(call))


@command("MMUEXT_UNPIN_TABLE")
def unpin_table(call: Call) -> None:
    """Undo a pin."""
    x86_pins.unpin(_pv_domain(call), call.view.arg1.mfn)


_GENERAL = ("ax", "cx", "dx", "bx", "sp", "bp", "si", "di", "ip", "flags")
_IDS = {
    "ax": x86.UC_X86_REG_RAX,
    "cx": x86.UC_X86_REG_RCX,
    "dx": x86.UC_X86_REG_RDX,
    "bx": x86.UC_X86_REG_RBX,
    "sp": x86.UC_X86_REG_RSP,
    "bp": x86.UC_X86_REG_RBP,
    "si": x86.UC_X86_REG_RSI,
    "di": x86.UC_X86_REG_RDI,
    "ip": x86.UC_X86_REG_RIP,
    "flags": x86.UC_X86_REG_EFLAGS,
}


def set_hvm_context(cpu: PvhCpu, context: Any) -> None:
    """Start a vcpu in flat 32-bit mode. XenError EINVAL for another mode; 64-bit mode is not
    modelled."""
    from xenport.model.cpu import x86_pvh_builder

    abi = cpu.vcpu.domain.abi
    if context.mode != abi.constant("VCPU_HVM_MODE_32B"):
        raise XenError("EINVAL")
    registers = context.cpu_regs.x86_32
    cpu.load()
    x86_pvh_builder.enter_flat(cpu.processor, registers.eip)
    for name in _GENERAL:
        value = getattr(registers, f"e{name}")
        cpu.processor.uc.reg_write(_IDS[name], value | 2 if name == "flags" else value)
