"""What this machine lacks for a port, and how to get it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from xenport.errors import InputError
from xenport.port import debian, description, emulator
from xenport.port.description import Port


@dataclass(frozen=True)
class Missing:
    """One thing that is not there."""

    what: str
    command: str
    """What to type to get it."""


def missing(port: Port, *, hypervisor: Path | None = None) -> list[Missing]:
    """What has to be got before ``port`` can be started here.

    ``hypervisor`` is an image to be used in place of the port's own.
    """
    lacking = [
        Missing(program, f"apt-get install {package}")
        for program, package in _programs(port).items()
        if emulator.find(program) is None
    ]
    if not port.is_model and hypervisor is None and not _has_hypervisor(port):
        lacking.append(_missing_hypervisor(port))
    return lacking


def _has_hypervisor(port: Port) -> bool:
    return port.hypervisor is not None and hypervisor_path(port).is_file()


def hypervisor_path(port: Port) -> Path:
    """Where the port's own hypervisor image is or will be; only for ports that have one."""
    assert port.hypervisor is not None
    if port.hypervisor.debian is not None:
        return debian.image_path(port.hypervisor.debian)
    assert port.hypervisor.file is not None
    return port.path.parent / port.hypervisor.file


def require_hypervisor(port: Port) -> Path:
    """The port's own hypervisor image. Raises `InputError` if it is not there."""
    if not _has_hypervisor(port):
        lacking = _missing_hypervisor(port)
        raise InputError(f"port {port.name} lacks {lacking.what}; get it: {lacking.command}")
    return hypervisor_path(port)


def fetch(name: str, say: Callable[[str], None]) -> None:
    """Get what the port ``name`` lacks of images, or with ``qemu`` a QEMU for all ports.

    ``say`` gets lines of progress. Raises `InputError` if it cannot be had.
    """
    if name == "qemu":
        ports = [description.load(known) for known in description.names()]
        emulator.fetch({k: v for port in ports for k, v in _programs(port).items()}, say)
        return
    port = description.load(name)
    if port.is_model:
        say(f"{port.name} needs nothing that has to be fetched")
    elif port.hypervisor is not None and port.hypervisor.debian is not None:
        say(f"{debian.fetch_image(port.hypervisor.debian, say)} is there")
    else:
        say(f"{require_hypervisor(port)} is there")


def _missing_hypervisor(port: Port) -> Missing:
    if port.hypervisor is None:
        return Missing("a build of yours", "build it, and name it with --hypervisor FILE")
    path = hypervisor_path(port)
    if port.hypervisor.debian is not None:
        return Missing(port.hypervisor.debian.package, f"xenport fetch {port.name}")
    return Missing(str(path), "build it, or name one with --hypervisor FILE")


def _programs(port: Port) -> dict[str, str]:
    """The emulators that the port uses, and the package of each."""
    arch = port.arch
    names = {environment.machine for environment in port.environments.values()} - {None}
    if port.kind == "hosted" and arch.hosted is not None:
        names.add(arch.hosted.machine)
    machines = [arch.machines[name] for name in sorted(filter(None, names))]
    return {machine.qemu: machine.package for machine in machines}
