"""xen_version: what Xen says about itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenport.model.errors import XenError
from xenport.model.handlers import Handlers
from xenport.model.memory import PAGE_SIZE

if TYPE_CHECKING:
    from xenport.model.call import Call

handlers = Handlers()
command = handlers.command

EXTRAVERSION = ".0-model"
CHANGESET = "none"
COMPILER = ("python", "xenport", "localdomain", "Thu Jan  1 00:00:00 UTC 1970")
COMMAND_LINE = "console=model"
BUILD_ID = bytes.fromhex("78656e706f72742072656665726e6365206d6f64")
DENIED = "<denied>"  #: what a domain reads that may not know


def _put_text(call: Call, text: str) -> None:
    """Fill the char array that the command writes."""
    data = text.encode()
    call.view[: len(data)] = data


def capabilities(call: Call) -> str:
    """XENVER_capabilities of this machine."""
    return call.vcpu.cpu.capabilities.format(release=call.domain.abi.release)


@command("XENVER_version")
def version(call: Call) -> int:
    """Major and minor release in the halves of the result."""
    return call.hypervisor.version


@command("XENVER_extraversion")
def extraversion(call: Call) -> None:
    """The rest of the release."""
    _put_text(call, EXTRAVERSION)


@command("XENVER_compile_info")
def compile_info(call: Call) -> None:
    """Who compiled it, when and how."""
    view = call.view
    fields = ("compiler", "compile_by", "compile_domain", "compile_date")
    for name, text in zip(fields, COMPILER, strict=True):
        array = getattr(view, name)
        for index, byte in enumerate(text.encode()):
            array[index] = byte


@command("XENVER_capabilities")
def capabilities_info(call: Call) -> None:
    """Kinds of guests."""
    _put_text(call, capabilities(call))


@command("XENVER_changeset")
def changeset(call: Call) -> None:
    """The commit."""
    _put_text(call, CHANGESET)


@command("XENVER_platform_parameters")
def platform_parameters(call: Call) -> None:
    """Where Xen's addresses start."""
    call.view.virt_start = call.vcpu.cpu.virt_start


@command("XENVER_get_features")
def get_features(call: Call) -> None:
    """Feature bits, of which only the first 32 exist."""
    view = call.view
    if view.submap_idx != 0:
        raise XenError("EINVAL")
    names = list(call.domain.cpu_class.features_of(call.domain))
    if call.domain.is_control:
        names.append("XENFEAT_dom0")
    abi = call.domain.abi
    view.submap = sum(1 << abi.constant(name) for name in names if name in abi.constants)


@command("XENVER_pagesize")
def pagesize(call: Call) -> int:
    """Bytes of a page."""
    if call.handle:
        raise XenError("EINVAL")
    return PAGE_SIZE


@command("XENVER_guest_handle")
def guest_handle(call: Call) -> None:
    """The domain's UUID."""
    call.view[:] = call.domain.handle


@command("XENVER_commandline")
def commandline(call: Call) -> None:
    """Xen's command line; for the control domain only."""
    _put_text(call, COMMAND_LINE if call.domain.is_control else DENIED)


@command("XENVER_build_id")
def build_id(call: Call) -> int:
    """The build id, or its size."""
    size = len(BUILD_ID)
    if not call.handle:
        return size
    room = call.vcpu.read_word("uint32", call.handle)
    if room == 0 and call.declares("EINVAL"):  # newer releases have no rule of its own for that
        raise XenError("EINVAL")
    if size > room:
        raise XenError("ENOBUFS")
    offset = call.domain.abi.offset("xen_build_id", "buf")
    call.vcpu.copy_out(call.handle, BUILD_ID, offset)
    return size


def _variable(call: Call, text: str) -> int:
    """Answer with a xen_varbuf: a length and as many bytes as there are."""
    data = text.encode()
    if not call.handle:
        return len(data)
    room = call.vcpu.read_word("uint32", call.handle)
    if len(data) > room:
        raise XenError("ENOBUFS")
    offset = call.domain.abi.offset("xen_varbuf", "buf")
    call.vcpu.copy_out(call.handle, data, offset)
    return len(data)


@command("XENVER_extraversion2")
def extraversion2(call: Call) -> int:
    """The rest of the release."""
    return _variable(call, EXTRAVERSION)


@command("XENVER_capabilities2")
def capabilities2(call: Call) -> int:
    """Kinds of guests."""
    return _variable(call, capabilities(call))


@command("XENVER_changeset2")
def changeset2(call: Call) -> int:
    """The commit."""
    return _variable(call, CHANGESET)


@command("XENVER_commandline2")
def commandline2(call: Call) -> int:
    """Xen's command line."""
    return _variable(call, COMMAND_LINE)
