"""The QEMU that runs a machine: one that ``xenport fetch qemu`` got, or the system's."""

import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from xenport import content
from xenport.errors import InputError
from xenport.port import debian

_WANTED = 10
"""The version that `fetch` gets; older ones work too."""


@dataclass(frozen=True)
class Emulator:
    """A QEMU program and what it needs to be started."""

    program: Path
    options: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    def command(self, *options: Iterable[str]) -> list[str]:
        """The command line with ``options``."""
        return [str(self.program), *self.options, *(word for part in options for word in part)]

    def version(self) -> str:
        """``7.2.22``. Raises `InputError` if the program does not tell."""
        try:
            said = subprocess.run(
                [self.program, "--version"],
                env={**self.environment},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=60,
                check=True,
            ).stdout
        except (OSError, subprocess.SubprocessError) as error:
            raise InputError(f"cannot be started: {error}", self.program) from None
        match = re.search(r"version (\d+(?:\.\d+)*)", said)
        if match is None:
            raise InputError("does not tell its version", self.program)
        return match[1]


def find(program: str) -> Emulator | None:
    """The emulator ``program``; ``None`` if this machine has none. What was fetched comes first."""
    root = _fetched()
    if (root / "usr/bin" / program).is_file():
        return _in_cache(root, program)
    path = shutil.which(program)
    return Emulator(Path(path)) if path else None


def fetch(programs: Mapping[str, str], say: debian.Say) -> None:
    """Get a QEMU of version 10 into the cache, unless the machine has one as new.

    ``programs`` tells the package of each program. Raises `InputError` if it cannot be had.
    """
    old = []
    for program in programs:
        emulator = find(program)
        if emulator is None or int(emulator.version().partition(".")[0]) < _WANTED:
            old.append(program)
        else:
            say(f"{emulator.program} is QEMU {emulator.version()}")
    if not old:
        return
    release = debian.release_of_this_machine()
    suites = [release, f"{release}-security", f"{release}-backports"]
    debian.fetch_programs(sorted(set(programs.values())), suites, _fetched(), say)
    for program in programs:
        emulator = find(program)
        if emulator is not None:
            say(f"{emulator.program} is QEMU {emulator.version()}")


def _fetched() -> Path:
    return content.cache_folder() / "qemu"


def _in_cache(root: Path, program: str) -> Emulator:
    """A program of a fetched QEMU, told where its libraries, modules and firmware are."""
    libraries = [
        str(folder)
        for pattern in ("usr/lib/*-linux-gnu*", "lib/*-linux-gnu*")
        for folder in sorted(root.glob(pattern))
    ]
    modules = [str(folder) for folder in root.glob("usr/lib/*-linux-gnu*/qemu")]
    firmware = [root / "usr/share/qemu", root / "usr/share/seabios"]
    return Emulator(
        root / "usr/bin" / program,
        tuple(word for folder in firmware for word in ("-L", str(folder))),
        {"LD_LIBRARY_PATH": ":".join(libraries), "QEMU_MODULE_DIR": ":".join(modules)},
    )
