"""physdev_op: interrupts and devices of a PC. It has one I/O APIC, and on its PCI bus nothing.

What PV guests have is here; an HVM guest gets what `HVM_COMMANDS` of it say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenport.model.errors import XenError
from xenport.model.handlers import Handlers
from xenport.model.policy import require_control

if TYPE_CHECKING:
    from xenport.model.call import Call
    from xenport.model.domain import Domain

handlers = Handlers()
command = handlers.command

PIRQS = 272
INTERRUPTS = 24  #: of the I/O APIC
SERIAL_INTERRUPT = 4  #: of the UART that Xen has its console on
EMULATED_INTERRUPTS = 48  #: of the one that Xen emulates
_FIRST_FREE = 16  #: pirq that a GSI may get which asks for any
_RESERVED = -1  #: stands for the interrupt of a pirq that has none yet
_MOST_PORTS = 65536
_XEN = range(0xFFFF_8000_0000_0000, 0xFFFF_8800_0000_0000)  #: where no PV guest has memory

# ---- pirqs ----


def has_interrupt(domain: Domain, pirq: int) -> bool:
    """Is an interrupt behind a number of the domain's?"""
    return domain.pirqs.get(pirq, _RESERVED) != _RESERVED


@command("PHYSDEVOP_map_pirq")
def map_pirq(call: Call) -> None:
    """A pirq for an interrupt of the machine. There are no messages."""
    view = call.view
    abi = call.domain.abi
    if view.type == abi.constant("MAP_PIRQ_TYPE_MULTI_MSI") and view.table_base:
        raise XenError("EINVAL")
    if _is_for_itself(call):
        _map_emulated(call)
        return
    domain = call.hypervisor.domain_by_id(call.vcpu, view.domid)
    require_control(call.domain)
    if view.type != abi.constant("MAP_PIRQ_TYPE_GSI") or not 0 <= view.index < INTERRUPTS:
        raise XenError("EINVAL")
    if view.pirq < 0:
        known = (pirq for pirq, index in domain.pirqs.items() if index == view.index)
        free = (pirq for pirq in range(_FIRST_FREE, PIRQS) if pirq not in domain.pirqs)
        view.pirq = next(known, None) or next(free)
    domain.pirqs[view.pirq] = view.index


def _is_for_itself(call: Call) -> bool:
    """It is about an interrupt of the caller's own emulated devices."""
    is_self = call.view.domid == call.domain.abi.constant("DOMID_SELF")
    return is_self and call.domain.cpu_class.emulates_pc


def _map_emulated(call: Call) -> None:
    """Of a device of its own a guest names a GSI. One that is mapped already stays as it is."""
    view = call.view
    if view.type != call.domain.abi.constant("MAP_PIRQ_TYPE_GSI"):
        raise XenError("EINVAL")
    if not 0 <= view.index < EMULATED_INTERRUPTS:
        raise XenError("EINVAL")
    pirqs = call.domain.pirqs
    if view.pirq < 0:
        view.pirq = next(n for n in range(_FIRST_FREE, PIRQS) if n not in pirqs)
    if view.pirq >= PIRQS:
        raise XenError("EINVAL")
    if pirqs.get(view.pirq, _RESERVED) == _RESERVED and view.index not in pirqs.values():
        pirqs[view.pirq] = view.index


@command("PHYSDEVOP_unmap_pirq")
def unmap_pirq(call: Call) -> None:
    """Take a pirq away."""
    view = call.view
    if _is_for_itself(call):
        call.domain.pirqs.pop(view.pirq, None)
        return
    domain = call.hypervisor.domain_by_id(call.vcpu, view.domid)
    require_control(call.domain)
    if not has_interrupt(domain, view.pirq):
        raise XenError("EINVAL")
    del domain.pirqs[view.pirq]


@command("PHYSDEVOP_get_free_pirq")
def get_free_pirq(call: Call) -> None:
    """Reserve a number: messages have those from the end, and GSIs first those of their own."""
    view = call.view
    pirqs = call.domain.pirqs
    numbers = list(range(PIRQS - 1, INTERRUPTS - 1, -1))
    if view.type == call.domain.abi.constant("MAP_PIRQ_TYPE_GSI"):
        numbers = [*range(_FIRST_FREE, INTERRUPTS), *numbers]
    view.pirq = next((number for number in numbers if number not in pirqs), PIRQS)
    if view.pirq == PIRQS:
        raise XenError("ENOSPC")
    pirqs[view.pirq] = _RESERVED


@command("PHYSDEVOP_irq_status_query")
def irq_status_query(call: Call) -> None:
    """How to treat an interrupt: all of them want to be acknowledged."""
    view = call.view
    domain = call.domain
    if view.irq >= PIRQS:
        raise XenError("EINVAL")
    if domain.cpu_class.hvm and not has_interrupt(domain, view.irq):
        raise XenError("EINVAL")
    view.flags = domain.abi.constant("XENIRQSTAT_needs_eoi")


@command("PHYSDEVOP_eoi")
def eoi(call: Call) -> None:
    """An interrupt was handled. None ever comes here."""
    if call.view.irq not in call.domain.pirqs:
        raise XenError("EINVAL")


@command("PHYSDEVOP_IRQ_UNMASK_NOTIFY")
def irq_unmask_notify(_call: Call) -> None:
    """All of them were."""


@command("PHYSDEVOP_alloc_irq_vector")
def alloc_irq_vector(call: Call) -> None:
    """The vector is the interrupt's number."""
    call.view.vector = call.view.irq


@command("PHYSDEVOP_free_irq_vector")
def free_irq_vector(_call: Call) -> None:
    """Not there any more."""
    raise XenError("ENOSYS")


@command("PHYSDEVOP_pirq_eoi_gmfn_v1", "PHYSDEVOP_pirq_eoi_gmfn_v2")
def pirq_eoi_gmfn(call: Call) -> None:
    """The page that says which pirqs need PHYSDEVOP_eoi; nothing is ever written there."""
    frame = call.view.gmfn
    if not call.domain.frames.owns(frame) or not call.vcpu.cpu.frame_is_writable(frame):
        raise XenError("EINVAL")
    if call.domain.has_eoi_page:
        raise XenError("EBUSY")
    call.domain.has_eoi_page = True


# ---- The I/O APIC, ports ----

_IO_APIC = 0xFEC0_0000
_VERSION_REGISTER, _VERSION = 1, (INTERRUPTS - 1) << 16 | 0x11
_ENTRIES = 16  #: the first register of the pins' entries, which have two each
_LOW, _LEVEL = 13, 15  #: bits of an entry: how the pin's interrupt is triggered
_DELIVERY, _DELIVERIES, _LOWEST_PRIORITY = 8, 7, 1  #: bits of another field, and a value


@command("PHYSDEVOP_apic_read")
def apic_read(call: Call) -> None:
    """A register of the I/O APIC, which knows its version and how interrupts are triggered."""
    view = call.view
    if view.apic_physbase != _IO_APIC:
        raise XenError("EINVAL")
    pin, upper = divmod(view.reg - _ENTRIES, 2)
    if view.reg == _VERSION_REGISTER:
        view.value = _VERSION
    else:
        view.value = 0 if upper else call.hypervisor.physical.interrupts.get(pin, 0)


@command("PHYSDEVOP_apic_write")
def apic_write(call: Call) -> None:
    """What is written has no effect; of a lower half of an entry it is looked at."""
    view = call.view
    if view.apic_physbase != _IO_APIC:
        raise XenError("EINVAL")
    pin, upper = divmod(view.reg - _ENTRIES, 2)
    if pin >= 0 and not upper and view.value >> _DELIVERY & _DELIVERIES > _LOWEST_PRIORITY:
        raise XenError("EINVAL")


@command("PHYSDEVOP_setup_gsi")
def setup_gsi(call: Call) -> None:
    """Set an interrupt up, once. Of either value one bit is taken."""
    view = call.view
    done = call.hypervisor.physical.interrupts
    if not 0 <= view.gsi < INTERRUPTS:
        raise XenError("EINVAL")
    if view.gsi in done:
        raise XenError("EEXIST")
    done[view.gsi] = (view.triggering & 1) << _LEVEL | (view.polarity & 1) << _LOW


@command("PHYSDEVOP_set_iobitmap")
def set_iobitmap(call: Call) -> None:
    """The ports that are open below the level for them."""
    view = call.view
    if view.bitmap in _XEN or view.nr_ports > _MOST_PORTS:
        raise XenError("EINVAL")
    call.vcpu.cpu.use_port_bitmap(view.bitmap, view.nr_ports)  # type: ignore[attr-defined]


# ---- PCI ----

_Device = tuple[int, int, int]  # segment, bus, device and function


def _here(call: Call) -> _Device:
    return getattr(call.view, "seg", 0), call.view.bus, call.view.devfn


@command("PHYSDEVOP_manage_pci_add")
def manage_pci_add(call: Call) -> None:
    """A device, or one that is known anew."""
    call.hypervisor.physical.devices.add(_here(call))


@command("PHYSDEVOP_pci_device_add")
def pci_device_add(call: Call) -> None:
    """The same with what kind of function it is."""
    _add(call, is_virtual=bool(call.view.flags & call.domain.abi.constant("XEN_PCI_DEV_VIRTFN")))


@command("PHYSDEVOP_manage_pci_add_ext")
def manage_pci_add_ext(call: Call) -> None:
    """The same in another form."""
    if call.view.is_extfn > 1 or call.view.is_virtfn > 1:
        raise XenError("EINVAL")
    _add(call, is_virtual=bool(call.view.is_virtfn))


def _add(call: Call, *, is_virtual: bool) -> None:
    """A virtual function is a part of a device, which is added with it or has to be there."""
    devices = call.hypervisor.physical.devices
    segment, bus, function = _here(call)
    whole = segment, call.view.physfn.bus, call.view.physfn.devfn
    if is_virtual and whole not in devices:
        if call.declares("ENODEV"):
            raise XenError("ENODEV")
        devices.add(whole)
    devices.add((segment, bus, function))


def _known(call: Call, device: _Device) -> _Device:
    if device not in call.hypervisor.physical.devices:
        raise XenError("ENODEV")
    return device


@command("PHYSDEVOP_pci_device_remove", "PHYSDEVOP_manage_pci_remove")
def pci_device_remove(call: Call) -> None:
    """A device is gone."""
    call.hypervisor.physical.devices.remove(_known(call, _here(call)))


@command("PHYSDEVOP_restore_msi", "PHYSDEVOP_restore_msi_ext")
def restore_msi(call: Call) -> None:
    """Write the messages of a device again, of which there are none."""
    _known(call, _here(call))
    require_control(call.domain)


@command("PHYSDEVOP_prepare_msix", "PHYSDEVOP_release_msix")
def prepare_msix(call: Call) -> None:
    """No device has a table of messages."""
    call.view  # noqa: B018 (an argument at no address comes first)
    raise XenError("ENODEV")


@command("PHYSDEVOP_pci_device_reset")
def pci_device_reset(call: Call) -> None:
    """A device was reset."""
    view = call.view
    if view.flags & ~call.domain.abi.constant("PCI_DEVICE_RESET_MASK"):
        raise XenError("EINVAL")
    _known(call, (view.dev.seg, view.dev.bus, view.dev.devfn))


@command("PHYSDEVOP_pci_mmcfg_reserved")
def pci_mmcfg_reserved(call: Call) -> None:
    """There are no windows."""
    if call.view.flags & ~call.domain.abi.constant("XEN_PCI_MMCFG_RESERVED"):
        raise XenError("EINVAL")
    raise XenError("ENODEV")


@command("PHYSDEVOP_dbgp_op")
def dbgp_op(call: Call) -> None:
    """Xen's console is not on USB."""
    call.view  # noqa: B018 (an argument at no address comes first)


# ---- HVM guests ----

_NEEDS_PIRQS = (
    "PHYSDEVOP_map_pirq",
    "PHYSDEVOP_unmap_pirq",
    "PHYSDEVOP_eoi",
    "PHYSDEVOP_irq_status_query",
    "PHYSDEVOP_get_free_pirq",
)
_NEEDS_CONTROL = (
    "PHYSDEVOP_pci_mmcfg_reserved",
    "PHYSDEVOP_pci_device_add",
    "PHYSDEVOP_pci_device_remove",
    "PHYSDEVOP_pci_device_reset",
    "PHYSDEVOP_dbgp_op",
    "PHYSDEVOP_setup_gsi",
)
_FOR_ALL = ("PHYSDEVOP_map_pirq", "PHYSDEVOP_unmap_pirq")  # where they need no pirqs any more


def check_hvm(call: Call) -> None:
    """An HVM guest without pirqs does not have the commands for them, and others than the control
    domain have no devices."""
    abi = call.domain.abi
    commands = abi.hypercalls["physdev_op"].commands
    name = next((n for n, c in commands.items() if c.number == call["cmd"]), None)
    if name in _NEEDS_PIRQS and not call.domain.cpu_class.emulates_pc:
        refused = [e for e in commands[name].errors if e.errno == "ENOSYS"]
        if refused or name not in _FOR_ALL:
            raise XenError("ENOSYS")
    if name in _NEEDS_CONTROL and not call.domain.is_control:
        raise XenError("ENOSYS")
