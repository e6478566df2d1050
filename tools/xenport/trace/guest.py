"""Records a guest of the user's in place of dom0's test kernel, Linux for example."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from xenport import port as ports
from xenport.errors import InputError
from xenport.port import Ended, Limits, Line
from xenport.port.description import Environment, Port
from xenport.port.qemu import QemuDriver
from xenport.trace.qemu import Recorder
from xenport.trace.record import Metadata
from xenport.trace.writer import collected

_CONSOLE = 1 << 30  # bytes; who boots an operating system wants all of it
_FREE = 256  # MiB of the machine that are Xen's, and for domains that dom0 makes


@dataclass(frozen=True)
class Guest:
    """A kernel for dom0 and what it gets. ``limit`` is in seconds, ``memory`` in MiB."""

    kernel: Path
    initrd: Path | None
    command_line: str
    environment: str | None
    memory: int
    limit: float

    @property
    def elf(self) -> Path:
        """There is none; the image is whatever the domain builder takes."""
        return self.kernel

    def image(self) -> Path:
        """See `xenport.port.session.Bootable`."""
        return self.kernel


@dataclass(frozen=True)
class Booted:
    """What was recorded of a guest: how its boot ended, how many hypercalls, how many were left
    out because they are of guests of another width."""

    ended: Ended
    hypercalls: int
    skipped: int


def record(
    port_name: str, guest: Guest, out: Path, release: str | None, say: Callable[[str], None]
) -> Booted:
    """Boot ``guest`` on the port ``port_name``, write what the hypervisor is asked to ``out``, and
    ``say`` the lines of the console. The boot ends by itself or at the limit.

    Raises ``InputError`` for a port that is not under QEMU, for what is missing, or if ``out`` is
    there.
    """
    port = ports.load(port_name, release)
    if port.is_model or port.is_bare:
        raise InputError(f"{port.name} boots nothing but test kernels; --kernel is for real Xen")
    name = guest.environment or _first(port)
    port = _roomy(port, name, guest.memory)
    for missing in ports.missing(port):
        raise InputError(f"port {port.name} needs {missing.what}; get it: {missing.command}")
    recorder = Recorder(port)
    driver = ports.open(port)
    assert isinstance(driver, QemuDriver)
    if guest.initrd is not None:
        driver = driver.with_initrd(_content(guest.initrd))
    _content(guest.kernel)
    metadata = Metadata(
        port.architecture,
        port.release,
        f"{guest.kernel.name} ({guest.command_line}) as dom0 on {port.name}/{name}, "
        f"QEMU {recorder.version}",
    )
    limits = Limits(silence=guest.limit, total=guest.limit, output=_CONSOLE)
    with collected(out, metadata) as parts, TemporaryDirectory(prefix="xenport-") as logs:
        plugged = driver.with_plugin(partial(recorder.plugged, parts.folder / "boot", ""))
        log = Path(logs) / "console.log"
        ended = Ended("missing", "it never began")
        with plugged.boot(name, guest, guest.command_line, log, limits) as boot:
            for event in boot.events():
                if isinstance(event, Line):
                    say(event.text)
                else:
                    ended = event
    return Booted(ended, parts.count, recorder.skipped)


def _first(port: Port) -> str:
    """The first environment whose dom0 is under test."""
    for name, environment in port.environments.items():
        if _is_dom0(environment):
            return name
    raise InputError(f"{port.name} has no environment that is dom0")


def _is_dom0(environment: Environment) -> bool:
    return environment.domain is None and "dom0" in environment.provides


def _roomy(port: Port, name: str, memory: int) -> Port:
    """``port`` with the environment ``name`` alone, on a machine of twice as much memory as dom0
    gets, and some."""
    environment = port.environment(name)
    if not _is_dom0(environment):
        raise InputError(
            f"{port.name}/{name} is not dom0, whose kernel --kernel takes the place of"
        )
    size = ["-m", f"{2 * memory + _FREE}M"]
    bigger = environment.model_copy(
        update={
            "machine_args": [*environment.machine_args, *size],
            "hypervisor_args": [*environment.hypervisor_args, f"dom0_mem={memory}M"],
        }
    )
    return port.model_copy(update={"environments": {name: bigger}})


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path) from None
