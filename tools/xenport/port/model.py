"""Driver of the reference model: a child process, so that nothing it does can hold us up."""

import asyncio
import copy
import json
import os
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import xenport.abi
from xenport.abi import Abi
from xenport.errors import InputError
from xenport.model import process
from xenport.model.adapters import cpu_class
from xenport.model.hypervisor import Hypervisor
from xenport.port.boot import ControlError, ProcessBoot, Report
from xenport.port.child import fork
from xenport.port.console import Writers
from xenport.port.description import Port
from xenport.port.ends import Ends
from xenport.port.files import Files
from xenport.port.session import Boot, Bootable, Ended, EndKind, Limits

_KINDS: Mapping[str, EndKind] = {
    "poweroff": "poweroff",
    "reboot": "reboot",
    "crash": "crash",
    "watchdog": "watchdog",
    "soft_reset": "soft_reset",
    "hang": "timeout",
}


class ModelDriver:
    """Starts the reference model, in a new process for each boot.

    The process is a copy of this one (``main`` runs in it), so the model and the description of the
    ABI are loaded once, not for each boot. With ``record`` every boot writes beside its log which
    commands were called (`record_path`). ``supervisor`` is as for `xenport.port.open`.
    """

    def __init__(
        self,
        port: Port,
        main: Callable[[], int] = process.main,
        *,
        record: bool = False,
        supervisor: Bootable | None = None,
    ) -> None:
        self._port = port
        self._main = main
        self._record = record
        self._supervisor = supervisor
        abi = xenport.abi.load_for_model(port.architecture, port.release)
        if port.kind == "model":
            _prepare(abi, port)

    def shared(self, environment: str) -> Hashable | None:  # noqa: ARG002
        """See `xenport.port.session.Driver`: a new model is started as fast."""
        return None

    def with_main(self, main: Callable[[], int]) -> "ModelDriver":
        """A driver that does the same, with another ``main``."""
        other = copy.copy(self)
        other._main = main
        return other

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
        assert not again
        described = self._port.environment(environment)
        beside = self._supervisor if described.architecture else None
        if kernel is None:
            raise InputError("a model has nothing to boot but a kernel")
        task = {
            "architecture": self._port.architecture,
            "release": self._port.release,
            "guest": described.guest,
            "control": "dom0" in described.provides,
            "vcpus": described.model.vcpus,
            "platform": described.model.platform,
            "processors": 2 if "second-processor" in described.provides else 1,
            "peer": described.peer,
            "supervised": "supervised" in described.provides,
            "image": str(kernel.image()),
            "guest_architecture": described.architecture,
            "beside": str(beside.image()) if beside else None,
            "command_line": described.command_line(command_line),
            "survives_reset": survives_reset,
        }
        if self._record:
            task["record"] = str(record_path(log).absolute())
        ours, theirs = os.pipe()
        with os.fdopen(ours, "rb") as record, os.fdopen(theirs, "wb") as end, Files() as files:
            files.add(json.dumps(task).encode())
            descriptors = {0: files.descriptors[0], process.REPORT: end.fileno()}
            child = fork("the model", self._main, descriptors)
            end.close()
            control = _EndRecord(record.fileno())
            writers = Writers(self._port.console, None)
            with child, ProcessBoot(child, control, writers, Ends([]), log, limits) as boot:
                yield boot


def _prepare(abi: Abi, port: Port) -> None:
    """Load what the copies of this process would each load again: CPU adapters, and all of the ABI
    that their handlers are tied to."""
    hypervisor = Hypervisor(abi, port.arch, console=lambda _: None)
    for environment in port.environments.values():
        other = environment.architecture
        adapter = cpu_class(port.arch, environment.guest, other, environment.model.platform)
        hypervisor.runners(environment.guest, adapter)


def record_path(log: Path) -> Path:
    """Where the commands of the boot with this log are; see `xenport.model.recording`."""
    return log.with_suffix(".commands")


class _EndRecord:
    """What the model writes beside the console: what the machine does, and how the boot ended."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    async def listen(self, report: Report) -> None:
        """Report events, and the end, if one is told."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader),
            os.fdopen(os.dup(self._descriptor), "rb", buffering=0),
        )
        try:
            while line := await reader.readline():
                report(_reported(line))
        except ValueError:  # no end of line within any reason
            raise ControlError("the model's end record is too long") from None
        finally:
            transport.close()

    async def end_at_reset(self) -> None:
        """The model does so by itself."""

    async def quit(self) -> None:
        """The model does not listen."""
        raise ControlError("the model takes no orders")

    async def close(self) -> None:
        """Nothing to let go of."""


def _reported(line: bytes) -> str | Ended:
    """A line of the model's, as a `Control` reports it."""
    try:
        record = json.loads(line)
        if "event" in record:
            return str(record["event"])
        kind, detail = str(record["end"]), str(record["detail"])
    except (ValueError, KeyError, TypeError):
        raise ControlError(f"the model's end record is not understood: {line!r}") from None
    return Ended(_KINDS.get(kind, "exited"), detail or kind)
