"""How a guest on x86 knows Xen: leaves of CPUID that no processor has, and MSRs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenport.model.cpu.x86_core import HYPERCALL_PAGE_MSR, TICKS_PER_NS, cpuid
from xenport.model.cpu.x86_time import MULTIPLIER
from xenport.model.memory import PAGE_SIZE

if TYPE_CHECKING:
    from xenport.model.vcpu import Vcpu

Registers = tuple[int, int, int, int]
"""eax, ebx, ecx, edx."""

_RANGE = 0x100  #: leaves, and MSRs, that are Xen's to answer
_KHZ = TICKS_PER_NS * 1_000_000
_ADDRESS_BITS = 40  #: of the machine
_EMPTY = (0, 0, 0, 0)


def guest_cpuid(vcpu: Vcpu, leaf: int, subleaf: int) -> Registers:
    """What CPUID answers to a guest."""
    index = leaf - vcpu.domain.abi.constant("XEN_CPUID_FIRST_LEAF")
    return _xen_leaf(vcpu, index, subleaf) if 0 <= index < _RANGE else cpuid(leaf)


def _xen_leaf(vcpu: Vcpu, index: int, subleaf: int) -> Registers:
    """One of Xen's, by its number from the first on."""
    domain = vcpu.domain
    value = domain.abi.constant
    is_pv = not domain.cpu_class.translated
    match index, subleaf:
        case 0, _:
            last = value("XEN_CPUID_FIRST_LEAF") + value("XEN_CPUID_MAX_NUM_LEAVES")
            b, c, d = (value(f"XEN_CPUID_SIGNATURE_E{name}X") for name in "BCD")
            return last, b, c, d
        case 1, _:
            return domain.hypervisor.version, 0, 0, 0
        case 2, _:
            promised = value("XEN_CPUID_FEAT1_MMU_PT_UPDATE_PRESERVE_AD") if is_pv else 0
            return 1, HYPERCALL_PAGE_MSR, promised, 0
        case 3, _ if is_pv and domain.is_control and subleaf < 2:
            return _EMPTY  # its counter is the processor's, and no business of Xen's
        case 3, 0:
            return 0, 0, _KHZ, 0
        case 3, 1:
            return 0, 0, MULTIPLIER, 0
        case 3, 2:
            return _KHZ, 0, 0, 0
        case 4, 0 if not is_pv:
            names = ("IOMMU_MAPPINGS", "VCPU_ID_PRESENT", "DOMID_PRESENT")
            flags = sum(value(f"XEN_HVM_CPUID_{name}") for name in names)
            return flags, vcpu.id, domain.id, 0
        case 5, 0 if is_pv:
            return 0, _ADDRESS_BITS, 0, 0
    return _EMPTY


def is_xen_msr(msr: int) -> bool:
    """Whether Xen answers for it."""
    return 0 <= msr - HYPERCALL_PAGE_MSR < _RANGE


def hypercall_page_frame(msr: int, value: int) -> int | None:
    """The frame that a write asks to be filled with hypercalls. None: it is a fault."""
    if msr != HYPERCALL_PAGE_MSR or value % PAGE_SIZE:
        return None
    return value // PAGE_SIZE
