"""Driver of the reference model: a child process, so that nothing it does can hold us up."""

import asyncio
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from xenport.port.boot import ControlError, NoBoot, ProcessBoot, Report
from xenport.port.child import Child
from xenport.port.console import Writers
from xenport.port.description import Port
from xenport.port.ends import Ends
from xenport.port.files import Files
from xenport.port.session import Boot, Bootable, Ended, EndKind, Limits

_MODULE = "xenport.model.process"

# The model tells how the boot ended on descriptor 3, which cannot be chosen from here: the number
# may be taken in our own process.
_START = """\
import os, runpy, sys
module, descriptor = sys.argv[1:]
os.dup2(int(descriptor), 3)
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""

_KINDS: Mapping[str, EndKind] = {
    "poweroff": "poweroff",
    "reboot": "reboot",
    "watchdog": "reboot",  # what Xen makes of it
    "crash": "crash",
    "hang": "timeout",
}


class ModelDriver:
    """Starts the reference model, in a new process for each boot."""

    def __init__(self, port: Port) -> None:
        self._port = port

    @contextmanager
    def boot(
        self,
        environment: str,
        kernel: Bootable,
        command_line: str,
        log: Path,
        limits: Limits,
    ) -> Iterator[Boot]:
        """See `xenport.port.session.Driver`."""
        described = self._port.environment(environment)
        task = {
            "architecture": self._port.architecture,
            "release": self._port.release,
            "guest": described.guest,
            "control": "dom0" in described.provides,
            "image": str(kernel.image()),
            "command_line": command_line,
        }
        ours, theirs = os.pipe()
        with os.fdopen(ours, "rb") as record, os.fdopen(theirs, "wb") as end, Files() as files:
            files.add(json.dumps(task).encode())
            try:
                child = Child(
                    [sys.executable, "-c", _START, _MODULE, str(end.fileno())],
                    pass_fds=(end.fileno(),),
                    stdin=files.descriptors[0],
                )
            except OSError as error:
                yield NoBoot("missing", f"{sys.executable}: {error.strerror}", log)
                return
            end.close()
            control = _EndRecord(record.fileno())
            writers = Writers(self._port.console, None)
            with child, ProcessBoot(child, control, writers, Ends([]), log, limits) as boot:
                yield boot


class _EndRecord:
    """The one line that the model writes beside the console: how the boot ended."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    async def listen(self, report: Report) -> None:
        """Report the end, if one is told."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader),
            os.fdopen(os.dup(self._descriptor), "rb", buffering=0),
        )
        try:
            line = await reader.readline()
        except ValueError:  # no end of line within any reason
            raise ControlError("the model's end record is too long") from None
        finally:
            transport.close()
        if not line:
            return
        try:
            record = json.loads(line)
            kind, detail = str(record["end"]), str(record["detail"])
        except (ValueError, KeyError, TypeError):
            raise ControlError(f"the model's end record is not understood: {line!r}") from None
        report(Ended(_KINDS.get(kind, "exited"), detail or kind))

    async def quit(self) -> None:
        """The model does not listen."""
        raise ControlError("the model takes no orders")

    async def close(self) -> None:
        """Nothing to let go of."""
