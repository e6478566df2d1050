"""Driver of ports under QEMU: the console is QEMU's standard output, control goes over QMP."""

import asyncio
import copy
import logging
import socket
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from qemu.qmp import EventListener, QMPClient, QMPError, Runstate, protocol, qmp_client

from xenport.architecture import ImageFormat, Machine
from xenport.errors import InputError
from xenport.port import devicetree, emulator, kernel as kernel_protocol, multiboot
from xenport.port.boot import ControlError, NoBoot, ProcessBoot, Report
from xenport.port.child import spawn
from xenport.port.console import Writers
from xenport.port.description import Port
from xenport.port.emulator import Emulator
from xenport.port.ends import Ends
from xenport.port.files import Files, read_unpacked
from xenport.port.payload import Payload
from xenport.port.session import Boot, Bootable, Limits

_HANDSHAKE = 20.0  # seconds for QEMU to answer at all; it is busy starting until then

logging.getLogger("qemu.qmp").addHandler(logging.NullHandler())  # we tell of its errors ourselves
# When QEMU hangs up, the library makes a traceback for its log, which nobody reads. To make one,
# Python parses source, and up to 3.11.7 two threads cannot do so at a time (python/cpython#106905).
for _module in (protocol, qmp_client):
    vars(_module)["pretty_traceback"] = lambda: ""


class BootProtocol(Protocol):
    """How a hypervisor and its first kernel get into a machine."""

    def wanted(self, kind: ImageFormat) -> str: ...

    def is_hypervisor(self, image: bytes, kind: ImageFormat) -> bool: ...

    def options(
        self, payload: Payload, machine: Machine, emulator: Emulator, files: Files
    ) -> list[str]: ...


class Plugged(NamedTuple):
    """A plugin in a machine: QEMU's options, and the descriptors that it inherits."""

    options: tuple[str, ...] = ()
    descriptors: tuple[int, ...] = ()


Plugin = Callable[[Files], AbstractContextManager[Plugged]]
"""What has to run beside a machine with a plugin, for as long as the machine does."""

_PROTOCOLS: Mapping[str, BootProtocol] = {
    "multiboot": multiboot,
    "devicetree": devicetree,
    "kernel": kernel_protocol,
}


class QemuDriver:
    """Starts a hypervisor under QEMU, in a new machine for each boot."""

    def __init__(self, port: Port, hypervisor: Path, supervisor: Bootable | None = None) -> None:
        """Raises `InputError` if ``hypervisor`` cannot be booted on the port's machines."""
        self._port = port
        self._hypervisor = read_unpacked(hypervisor)
        self._supervisor = supervisor
        self._initrd: bytes | None = None
        self._plugin: Plugin = lambda _: nullcontext(Plugged())
        kind = port.arch.image
        for environment in port.environments.values():
            protocol = _protocol(port.machine(environment))
            if not protocol.is_hypervisor(self._hypervisor, kind):
                raise InputError(
                    f"not {protocol.wanted(kind)}, plain or packed by gzip", hypervisor
                )

    def with_initrd(self, initrd: bytes) -> "QemuDriver":
        """A driver that does the same, and gives dom0 an initial RAM disk."""
        other = copy.copy(self)
        other._initrd = initrd
        return other

    def with_plugin(self, plugin: Plugin) -> "QemuDriver":
        """A driver that does the same, with a plugin in each machine."""
        other = copy.copy(self)
        other._plugin = plugin
        return other

    def shared(self, environment: str) -> Hashable | None:
        """See `xenport.port.session.Driver`: dom0 builds the domains, on the same machine."""
        described = self._port.environment(environment)
        domain = described.domain
        if domain is None or domain.build is None:
            return None
        same = described.model_dump_json(include={"machine", "machine_args", "hypervisor_args"})
        return same, domain.console, domain.supervisor, tuple(map(str, described.ends))

    def _built(self, environment: str, command_line: str) -> str | None:
        """The domain that dom0 is to build, in its words: the kind, and the command line."""
        described = self._port.environment(environment)
        if described.domain is None or described.domain.build is None:
            return None
        return f"{described.domain.build} {described.command_line(command_line)}"

    @contextmanager
    def boot(
        self,
        environment: str,
        kernel: Bootable | None,
        command_line: str,
        log: Path,
        limits: Limits,
        *,
        again: Sequence[tuple[str, str]] = (),
        survives_reset: bool = False,
    ) -> Iterator[Boot]:
        """See `xenport.port.session.Driver`."""
        described = self._port.environment(environment)
        machine = self._port.machine(described)
        starts = [(environment, command_line), *again]
        payload = Payload(
            hypervisor=self._hypervisor,
            hypervisor_args=" ".join([*self._port.hypervisor_args, *described.hypervisor_args]),
            kernel=kernel.image().read_bytes() if kernel else None,
            command_line=described.command_line(command_line),
            domain=described.domain,
            built=tuple(filter(None, (self._built(*start) for start in starts))),
            supervisor=self._supervisor.image().read_bytes() if self._supervisor else None,
            initrd=self._initrd,
        )
        program = emulator.find(machine.qemu)
        if program is None:
            why = f"{machine.qemu} is not on this machine; it is in the package {machine.package}"
            yield NoBoot("missing", why, log)
            return
        writers = Writers(
            self._port.console,
            described.domain.console if described.domain else None,
            alone=self._port.is_bare,
        )
        ends = Ends([*described.ends, *self._port.ends])
        ours, theirs = socket.socketpair()
        with ours, theirs, Files() as files, self._plugin(files) as plugged:
            command = program.command(
                machine.args,
                _protocol(machine).options(payload, machine, program, files),
                () if survives_reset else ("-no-reboot",),
                ("-nodefaults", "-display", "none", "-serial", "stdio"),
                # The machine waits for `cont`, so no event is lost before we listen.
                ("-S", "-chardev", f"socket,id=control,fd={theirs.fileno()}"),
                ("-mon", "chardev=control,mode=control"),
                plugged.options,
            )
            try:
                child = spawn(
                    command,
                    pass_fds=(*files.descriptors, *plugged.descriptors, theirs.fileno()),
                    environment=program.environment,
                )
            except OSError as error:
                yield NoBoot("missing", f"{program.program}: {error.strerror}", log)
                return
            theirs.close()
            with (
                child,
                ProcessBoot(
                    child, _Monitor(ours), writers, ends, log, limits, domains=1 + len(again)
                ) as boot,
            ):
                yield boot


def _protocol(machine: Machine) -> BootProtocol:
    return _PROTOCOLS[machine.boot]


class _Monitor:
    """QEMU's machine protocol as a control channel: reports ``EVENT`` or ``EVENT reason``."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._client = QMPClient("xenport")

    async def listen(self, report: Report) -> None:
        """Let the machine go, report its events until QEMU hangs up."""

        wakings = set()  # tasks, which nobody else keeps

        def heard(event: Mapping[str, Any]) -> bool:
            reason = event.get("data", {}).get("reason", "")
            report(f"{event['event']} {reason}".rstrip())
            if event["event"] == "SUSPEND":
                wakings.add(asyncio.ensure_future(self._client.execute("system_wakeup")))
            return False  # nothing is to be kept

        self._client.register_listener(EventListener(event_filter=heard))
        try:
            await asyncio.wait_for(self._client.connect(self._connection), _HANDSHAKE)
            await self._client.execute("cont")
        except TimeoutError:
            raise ControlError("QEMU does not answer on its control socket") from None
        except (QMPError, OSError, EOFError) as error:
            raise ControlError(f"QEMU's control socket: {error}") from None
        while self._client.runstate is Runstate.RUNNING:
            await self._client.runstate_changed()

    async def end_at_reset(self) -> None:
        """As if QEMU had been started with -no-reboot."""
        await self._client.execute("set-action", {"reboot": "shutdown"})

    async def quit(self) -> None:
        """Ask QEMU to end."""
        await self._client.execute("quit")

    async def close(self) -> None:
        """Hang up."""
        await self._client.disconnect()
