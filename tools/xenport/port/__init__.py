"""Ports under test: their descriptions, and the drivers that start them.

    port = load("xen-4.17-amd64")           # or load("my-port.yaml")
    driver = open(port)
    with driver.boot("pv64-dom0", kernel, "tests=0-3", log, Limits()) as boot:
        for event in boot.events(): ...

`session` says what a boot looks like from the outside.
"""

from pathlib import Path

from xenport.errors import InputError
from xenport.port.availability import Missing, fetch, missing, require_hypervisor
from xenport.port.description import Environment, Outlook, Port, load, names
from xenport.port.hosted import HostedDriver
from xenport.port.model import ModelDriver
from xenport.port.qemu import QemuDriver
from xenport.port.session import Boot, Bootable, Driver, Ended, EndKind, Event, Limits, Line

__all__ = [
    "Boot",
    "Bootable",
    "Driver",
    "EndKind",
    "Ended",
    "Environment",
    "Event",
    "Limits",
    "Line",
    "Missing",
    "Outlook",
    "Port",
    "fetch",
    "load",
    "missing",
    "names",
    "open",
]


def open(
    port: Port, *, hypervisor: Path | None = None, supervisor: Bootable | None = None
) -> Driver:
    """The driver of ``port``, with the image ``hypervisor`` in place of its own if given.

    ``supervisor`` is the kernel of a dom0 that watches the domain under test; default is the kernel
    under test, which will not do where that is of another architecture.

    Raises `InputError` if there is no image, or if it is not one that the port can boot.
    """
    if port.is_model:
        if hypervisor is not None:
            raise InputError(f"{port.name} is a model and takes no hypervisor image")
        if port.kind == "hosted":
            return HostedDriver(port)
        if not port.arch.model:
            where = f"{port.architecture} {port.release}"
            raise InputError(f"{port.name}: the model runs no guests of {where} by itself")
        return ModelDriver(port, supervisor=supervisor)
    return QemuDriver(port, hypervisor or require_hypervisor(port), supervisor)
