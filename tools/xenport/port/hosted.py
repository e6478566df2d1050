"""Driver of the model behind a real machine: a child process that runs both."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from xenport import architecture
from xenport.architecture import Hosted
from xenport.errors import InputError
from xenport.kernel import shim
from xenport.model import process
from xenport.model.errors import ModelError
from xenport.model.hosted import mailbox
from xenport.model.hosted.clock import RealClock
from xenport.model.hosted.host import Host
from xenport.model.hosted.machine import HostedMachine
from xenport.model.hosted.ram import Ram
from xenport.model.machine import End
from xenport.port import emulator
from xenport.port.child import Child, spawn
from xenport.port.description import Port
from xenport.port.files import Files
from xenport.port.model import ModelDriver

if TYPE_CHECKING:
    from xenport.model.hypervisor import Tap


class HostedDriver(ModelDriver):
    """Starts the model together with a machine that hosts it, in a new process for each boot."""

    def __init__(self, port: Port, *, record: bool = False) -> None:
        """``record`` as for `ModelDriver`. Raises `InputError` if the shim cannot be built."""
        super().__init__(port, main, record=record)
        _shim(port.architecture)


def _shim(name: str) -> tuple[Hosted, shim.Shim]:
    arch = architecture.load(name)
    if arch.hosted is None:
        raise InputError(f"{name} has no shim to run behind")
    return arch.hosted, shim.build(arch, arch.hosted, mailbox.header(arch.hosted.registers))


def main() -> int:
    """What the child process does: see `xenport.model.process.main`."""
    return process.main(boot)


def boot(spec: dict[str, Any], tap: Tap | None = None) -> End:
    """As `process.boot`, with a machine of its own."""
    try:
        with machine(spec["architecture"]) as hosted:
            return process.boot(spec, Host(hosted), tap)
    except (InputError, ModelError) as error:
        return End("error", str(error))


@contextmanager
def machine(name: str) -> Iterator[HostedMachine]:
    """A machine with its shim running; gone at the end of the block."""
    hosted, built = _shim(name)
    described = architecture.load(name).machines[hosted.machine]
    program = emulator.find(described.qemu)
    if program is None:
        raise InputError(f"{described.qemu} is not here; it is in the package {described.package}")
    with Files() as files:
        memory = files.add(b"")
        descriptor = files.descriptors[-1]
        ram = Ram(descriptor, hosted.memory, hosted.free)
        command = program.command(
            described.args,
            ("-nodefaults", "-display", "none", "-serial", "none", "-no-reboot"),
            ("-m", f"{hosted.memory}B", "-machine", "memory-backend=ram"),
            (
                "-object",
                f"memory-backend-file,id=ram,share=on,size={hosted.memory},mem-path={memory}",
            ),
            ("-bios", files.add(built.image())),
        )
        try:
            child = spawn(command, pass_fds=files.descriptors, environment=program.environment)
        except OSError as error:
            raise InputError(f"{program.program}: {error.strerror}") from None
        with child:
            yield HostedMachine(
                ram,
                built.mailbox,
                hosted.endian,
                hosted.registers,
                RealClock(hosted.counter_frequency),
                lambda: _trouble(child),
            )


def _trouble(child: Child) -> str | None:
    """Why the machine cannot go on, if it has ended."""
    status = child.status()
    if status is None:
        return None
    said = os.read(child.stderr, 4096).decode(errors="replace").strip().splitlines()
    return f"{child.name} ended with status {status}: {said[0] if said else 'no word'}"
