"""Boot protocol ``kernel``: the machine's own firmware starts the hypervisor, and nothing else."""

from xenport.architecture import ImageFormat, Machine
from xenport.errors import InputError
from xenport.port.emulator import Emulator
from xenport.port.files import Files
from xenport.port.payload import Payload


def wanted(kind: ImageFormat) -> str:  # noqa: ARG001 (all protocols have one interface)
    """What a hypervisor's image has to be, in words."""
    return "a hypervisor that is a file with something in it"


def is_hypervisor(image: bytes, kind: ImageFormat) -> bool:  # noqa: ARG001
    """Whether ``image`` can be booted in this way: any that has something in it."""
    return bool(image)


def options(
    payload: Payload,
    machine: Machine,  # noqa: ARG001
    emulator: Emulator,  # noqa: ARG001
    files: Files,
) -> list[str]:
    """QEMU's options for ``payload``."""
    if payload.kernel is not None:
        raise InputError("machines whose firmware starts the hypervisor have no guest kernel")
    arguments = ["-append", payload.hypervisor_args] if payload.hypervisor_args else []
    return ["-kernel", files.add(payload.hypervisor), *arguments]
