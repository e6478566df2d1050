"""domctl on x86: the state of an HVM domain as a stream of records."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING

from xenport.model.cpu.stored import StoredCpu
from xenport.model.cpu.x86_domctl import hvm_domain
from xenport.model.domctl.vcpus import stored_cpu
from xenport.model.errors import XenError
from xenport.model.handlers import Handlers

if TYPE_CHECKING:
    from xenport.abi import Abi
    from xenport.model.call import Call
    from xenport.model.domain import Domain
    from xenport.model.vcpu import Vcpu

handlers = Handlers()
command = handlers.command

END, HEADER, CPU, PCI_IRQ, ISA_IRQ, PCI_LINK, MTRR = 0, 1, 2, 7, 8, 9, 14  #: types of records
_TYPES = {
    HEADER: "hvm_save_header",
    CPU: "hvm_hw_cpu",
    PCI_IRQ: "hvm_hw_pci_irqs",
    ISA_IRQ: "hvm_hw_isa_irqs",
    PCI_LINK: "hvm_hw_pci_link",
    MTRR: "hvm_hw_mtrr",
}
_OF_VCPUS = (CPU, MTRR)
_DESCRIPTOR = struct.Struct("<HHI")

Record = tuple[int, int, bytes]  # type, instance, content


def _records(domain: Domain) -> Iterator[Record]:
    abi = domain.abi
    header = bytearray(abi.sizeof("hvm_save_header"))
    view = abi.view("hvm_save_header", header)
    view.magic = abi.constant("HVM_FILE_MAGIC")
    view.version = abi.constant("HVM_FILE_VERSION")
    yield HEADER, 0, bytes(header)
    for vcpu in domain.vcpus:
        if not vcpu.is_down and CPU in stored_cpu(vcpu).records:
            yield CPU, vcpu.id, stored_cpu(vcpu).records[CPU]
    devices = domain.settings.devices
    yield PCI_IRQ, 0, devices.pci_pins.to_bytes(abi.sizeof("hvm_hw_pci_irqs"), "little")
    yield ISA_IRQ, 0, devices.isa_irqs.to_bytes(abi.sizeof("hvm_hw_isa_irqs"), "little")
    yield PCI_LINK, 0, bytes(devices.links).ljust(abi.sizeof("hvm_hw_pci_link"), b"\0")
    for vcpu in domain.vcpus:
        empty = bytes(abi.sizeof("hvm_hw_mtrr"))
        yield MTRR, vcpu.id, stored_cpu(vcpu).records.get(MTRR, empty)
    yield END, 0, b""


@command("XEN_DOMCTL_gethvmcontext")
def gethvmcontext(call: Call) -> None:
    """All records."""
    domain = hvm_domain(call)
    view = call.view.u.hvmcontext
    stream = b"".join(
        _DESCRIPTOR.pack(kind, instance, len(content)) + content
        for kind, instance, content in _records(domain)
    )
    if view.buffer:
        if view.size < len(stream):
            raise XenError("ENOSPC")
        call.vcpu.copy_out(view.buffer, stream)
    view.size = len(stream)


@command("XEN_DOMCTL_gethvmcontext_partial")
def gethvmcontext_partial(call: Call) -> None:
    """One record."""
    domain = hvm_domain(call)
    view = call.view.u.hvmcontext_partial
    if view.type not in _TYPES or view.type == HEADER:
        raise XenError("EINVAL")
    if view.type in _OF_VCPUS and view.instance >= len(domain.vcpus):
        raise XenError("ENOENT")
    found = [
        content
        for kind, instance, content in _records(domain)
        if (kind, instance) == (view.type, view.instance)
    ]
    if not found:
        raise XenError("ENODATA")
    if view.buffer:
        if view.bufsz < len(found[0]):
            raise XenError("ENOBUFS")
        call.vcpu.copy_out(view.buffer, found[0])
    view.bufsz = len(found[0])


@command("XEN_DOMCTL_sethvmcontext")
def sethvmcontext(call: Call) -> None:
    """Take the records of a stream over."""
    domain = hvm_domain(call)
    view = call.view.u.hvmcontext
    stream = bytes(call.vcpu.copy_in(view.buffer, view.size))
    records = list(_parsed(domain.abi, stream))
    for vcpu in domain.vcpus:
        vcpu.is_down = True
    for kind, instance, content in records:
        if kind == HEADER:
            continue
        if kind not in _OF_VCPUS:
            _set_interrupts(domain, kind, content)
            continue
        if instance >= len(domain.vcpus):
            raise XenError("EINVAL")
        vcpu = domain.vcpus[instance]
        stored_cpu(vcpu).records[kind] = content
        if kind == CPU:
            _start(vcpu)


def _set_interrupts(domain: Domain, kind: int, content: bytes) -> None:
    """The state of the devices' interrupts. XenError EINVAL: a link to none that there is."""
    devices = domain.settings.devices
    if kind == PCI_IRQ:
        devices.pci_pins = int.from_bytes(content, "little")
    elif kind == ISA_IRQ:
        devices.isa_irqs = int.from_bytes(content, "little")
    else:
        links = list(content[: len(devices.links)])
        if max(links) > _LAST_ISA_IRQ:
            raise XenError("EINVAL")
        devices.links = links


_LAST_ISA_IRQ = 15


def _parsed(abi: Abi, stream: bytes) -> Iterator[Record]:
    """The records up to the end. XenError ENODATA, EINVAL."""
    at = 0
    while True:
        if at + _DESCRIPTOR.size > len(stream):
            raise XenError("ENODATA")
        kind, instance, length = _DESCRIPTOR.unpack_from(stream, at)
        at += _DESCRIPTOR.size
        if at == _DESCRIPTOR.size and kind != HEADER:
            raise XenError("ENODATA")
        if kind == END:
            return
        if kind not in _TYPES or length != abi.sizeof(_TYPES[kind]):
            raise XenError("EINVAL")
        content = stream[at : at + length]
        if len(content) < length:
            raise XenError("ENODATA")
        yield kind, instance, content
        at += length


def _start(vcpu: Vcpu) -> None:
    """A vcpu has its registers. The state says so, and the context that others ask for has them."""
    vcpu.is_initialised = True
    vcpu.is_down = False
    cpu = vcpu.cpu
    assert isinstance(cpu, StoredCpu)
    abi = vcpu.domain.abi
    registers = abi.view("hvm_hw_cpu", bytearray(cpu.records[CPU]))
    buffer = bytearray(abi.sizeof("vcpu_guest_context"))
    context = abi.view("vcpu_guest_context", buffer)
    for name in ("rip", "rsp", "rflags", "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp"):
        setattr(context.user_regs, name, getattr(registers, name))
    cpu.context = bytes(buffer)
