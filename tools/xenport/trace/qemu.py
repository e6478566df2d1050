"""Records what guests ask of a hypervisor under QEMU: the plugin, and a process that takes its
stream beside each machine."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import xenport.abi
from xenport.errors import InputError
from xenport.port import Port, emulator
from xenport.port.child import Child, fork
from xenport.port.files import Files
from xenport.port.qemu import Plugged
from xenport.trace import plugin
from xenport.trace.plan import Plan, plan
from xenport.trace.record import Metadata
from xenport.trace.stream import Stream
from xenport.trace.writer import Writer

_WANTED = 10  # version of QEMU: registers and memory are not documented to be readable before
_PIPE = 1 << 20  # bytes that the recorder may be behind
_PATIENCE = 120.0  # seconds that it gets to write what it has
_CHUNK = 1 << 16


class Recorder:
    """What recording a port under QEMU needs.

    Raises ``InputError`` if the machine's QEMU is too old, or the plugin cannot be built.
    """

    def __init__(self, port: Port) -> None:
        for environment in port.environments.values():
            machine = port.machine(environment)
            program = emulator.find(machine.qemu)
            if program is None or int(program.version().partition(".")[0]) < _WANTED:
                raise InputError(
                    f"recording {port.name} needs QEMU {_WANTED}; get it: xenport fetch qemu"
                )
            self.version = program.version()
        abi = xenport.abi.load(port.architecture, port.release)
        self._metadata = Metadata(port.architecture, port.release, "a boot under QEMU")
        self._plugin = plugin.build()
        self._plan: Plan = plan(abi)
        self.skipped = 0  #: hypercalls of guests of another width, which are left out

    @contextmanager
    def plugged(self, path: Path, boot: str, files: Files) -> Iterator[Plugged]:
        """The plugin for a machine whose hypercalls become parts of a trace at ``path``.

        Raises ``InputError`` at the end if they did not.
        """
        ours, theirs = os.pipe()
        try:
            fcntl.fcntl(theirs, fcntl.F_SETPIPE_SZ, _PIPE)
            work = partial(record_stream, path, boot, self._metadata, self._plan)
            child = fork("the recorder", work, {0: ours})
        except BaseException:
            os.close(theirs)
            raise
        finally:
            os.close(ours)
        with child:
            try:
                words = files.add(self._plan.words)
                option = f"{str(self._plugin).replace(',', ',,')},plan={words},out={theirs}"
                yield Plugged(("-plugin", option), (theirs,))
            finally:
                os.close(theirs)  # QEMU has ended: the stream does too
                self._finish(child)

    def _finish(self, child: Child) -> None:
        if not child.wait(_PATIENCE):
            raise InputError(f"the recorder did not end within {_PATIENCE:g} s")
        if child.status():
            said = os.read(child.stderr, _CHUNK).decode(errors="replace").strip().splitlines()
            raise InputError(f"the recorder failed: {said[-1] if said else 'it said nothing'}")
        self.skipped += int(os.read(child.stdout, _CHUNK) or b"0")


def record_stream(path: Path, boot: str, metadata: Metadata, plan: Plan) -> int:
    """In the process of the recorder: its standard input, the stream, becomes parts at ``path``."""
    abi = xenport.abi.load(metadata.architecture, metadata.release)
    writer = Writer(path, metadata)
    try:
        with open(0, "rb", buffering=_PIPE, closefd=False) as file:
            stream = Stream(file, abi, plan.names, boot)
            stream.run(writer.write, writer.amend)
    finally:
        writer.leave()
    print(stream.skipped)
    return 0
