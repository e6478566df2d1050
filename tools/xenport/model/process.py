"""A boot of the model as a process: ``python -m xenport.model.process``.

Standard input holds one JSON object:

    {"architecture": "x86_64",      name of the architecture
     "release": "4.17",
     "guest": "pv",                 kind of guest: pv, hvm, arm, ppc
     "control": true,               domain 0, the control domain; false: domain 1
     "vcpus": 2,                    of the domain under test
     "platform": null,              what it finds around its processor, "gicv2"; null: the usual
     "processors": 1,               of the machine
     "peer": null,                  number of another domain with the same kernel; null: none
     "supervised": false,           domain 0 runs the kernel too, as supervisor
     "image": "/path",              what the domain builder loads (Kernel.image())
     "guest_architecture": null,    of the domain under test; null: the same
     "beside": null,                the image for the other domains; null: the same
     "command_line": "tests=1-9",
     "survives_reset": false,       the machine starts again at its first reset
     "record": "/path"}             optional: a file to write the commands to (`recording`)

Standard output gets the console's bytes, unbuffered, and nothing else. File descriptor 3, if open,
gets a line for what the machine does, ``{"event": name}``: SUSPEND, WAKEUP, RESET guest-reset; and
one at the end, ``{"end": kind, "detail": text}``: kind is poweroff, reboot, crash,
suspend, watchdog, soft_reset or unknown (how the domain ended), hang (every vcpu waits for what
cannot happen), or error (the model itself failed, or the image is bad; the detail says how).
Diagnostics of the model go to standard error. The exit status is 0 unless the end is ``error``.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xenport.abi
from xenport import architecture
from xenport.errors import InputError
from xenport.model.errors import ModelError
from xenport.model.machine import End, Guest, Host, Machine
from xenport.model.recording import Recording

if TYPE_CHECKING:
    from xenport.model.handlers import Handler
    from xenport.model.hypervisor import Tap
    from xenport.model.recording import Watch

REPORT = 3
"""The descriptor of the end record."""


def boot(
    spec: dict[str, Any],
    host: Host | None = None,
    tap: Tap | None = None,
    overrides: Mapping[str, Handler] | None = None,
    watch: Watch | None = None,
) -> End:
    """Boot what ``spec`` says, on the processors of ``host`` if it is given; see the module.

    ``tap``, ``overrides`` and ``watch`` are those of the `Machine`.
    """
    end = _life(spec, host, tap, overrides, watch)
    if end.kind == "reboot" and spec["survives_reset"]:
        _report({"event": "RESET guest-reset"})
        end = _life(spec, host, tap, overrides, watch)
    return end


def _life(
    spec: dict[str, Any],
    host: Host | None,
    tap: Tap | None,
    overrides: Mapping[str, Handler] | None,
    watch: Watch | None,
) -> End:
    """From a start of the machine to its next."""
    try:
        release = spec["release"]
        arch = architecture.load(spec["architecture"]).at(release)
        abi = xenport.abi.load_for_model(arch.name, release)
        image = Path(spec["image"]).read_bytes()
        guest = Guest(
            spec["guest"],
            control=spec["control"],
            peer=spec["peer"],
            supervised=spec["supervised"],
            vcpus=spec["vcpus"],
            platform=spec["platform"],
            architecture=spec["guest_architecture"],
            beside=Path(spec["beside"]).read_bytes() if spec["beside"] else None,
        )
        recording = Recording(abi, Path(spec["record"])) if "record" in spec else None
        write = recording.before(_write) if recording else _write
        machine = Machine(
            abi,
            arch,
            guest,
            image,
            spec["command_line"],
            write,
            overrides=overrides,
            host=host,
            watch=recording or watch,
            tap=tap,
            processors=spec["processors"],
        )
    except (InputError, OSError) as error:
        return End("error", str(error))
    machine.hypervisor.happened = lambda name: _report({"event": name})
    try:
        return machine.run()
    except ModelError as error:
        return End("error", str(error))
    finally:
        if recording:
            recording.close()
        for line in machine.hypervisor.diagnostics:
            print(line, file=sys.stderr)


def _write(data: bytes) -> None:
    os.write(sys.stdout.fileno(), data)


def _report(record: dict[str, str]) -> None:
    line = json.dumps(record) + "\n"
    try:
        os.write(REPORT, line.encode())
    except OSError:
        print(line, end="", file=sys.stderr)


def main(how: Callable[[dict[str, Any]], End] = boot) -> int:
    """Read the specification from standard input, boot, report."""
    end = how(json.load(sys.stdin))
    _report({"end": end.kind, "detail": end.detail})
    return int(end.kind == "error")


if __name__ == "__main__":
    sys.exit(main())
