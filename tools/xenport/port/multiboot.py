"""Boot protocol ``multiboot``: QEMU itself loads the hypervisor and dom0's kernel on an x86 PC."""

import struct
from collections.abc import Sequence

from xenport.architecture import ImageFormat, Machine
from xenport.errors import InputError
from xenport.port.emulator import Emulator
from xenport.port.files import Files
from xenport.port.payload import Payload

_MAGIC = 0x1BADB002
_PAGE = 4096
_SEARCHED = 8192  # bytes; the header is somewhere in them, aligned to 4


def wanted(kind: ImageFormat) -> str:  # noqa: ARG001 (all protocols have one interface)
    """What a hypervisor's image has to be, in words."""
    return "a multiboot ELF file"


def is_hypervisor(image: bytes, kind: ImageFormat) -> bool:  # noqa: ARG001
    """Whether ``image`` can be booted in this way."""
    if not image.startswith(b"\x7fELF"):
        return False
    for offset in range(0, min(_SEARCHED, len(image)) - 11, 4):
        magic, flags, checksum = struct.unpack_from("<III", image, offset)
        if magic == _MAGIC and (magic + flags + checksum) & 0xFFFFFFFF == 0:
            return True
    return False


def options(
    payload: Payload,
    machine: Machine,  # noqa: ARG001
    emulator: Emulator,  # noqa: ARG001
    files: Files,
) -> list[str]:
    """QEMU's options for ``payload``.

    ``-initrd`` takes modules with commas between them, each a file's name and the rest of its
    command line; a comma that belongs to a command line is written twice.
    """
    if payload.kernel is None:
        raise InputError("machines that boot by multiboot need a kernel for dom0")
    kernel = files.add(payload.kernel)
    if payload.domain is None:
        modules = [f"{kernel} {payload.command_line}"]
    elif payload.domain.properties:
        raise InputError("machines that boot by multiboot have no device tree for `properties`")
    else:
        supervisor = files.add(payload.supervisor) if payload.supervisor else kernel
        modules = [
            f"{supervisor} {payload.domain.supervisor}",
            files.add(_to_build(payload.built, payload.kernel)),
        ]
    if payload.initrd is not None:
        modules.append(files.add(payload.initrd))
    return [
        *("-kernel", files.add(payload.hypervisor)),
        *("-append", payload.hypervisor_args),
        *("-initrd", ",".join(module.replace(",", ",,") for module in modules)),
    ]


def _to_build(domains: Sequence[str], kernel: bytes) -> bytes:
    """dom0's module: the domains that it builds, each with a NUL behind it, another NUL, and at the
    next page their kernel. See ``conformance/kernel/supervise.c``."""
    text = b"".join(domain.encode() + b"\0" for domain in domains) + b"\0"
    return text + bytes(-len(text) % _PAGE) + kernel
