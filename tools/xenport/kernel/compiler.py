"""C compilers: how one is called, and what it said when it failed."""

import functools
import importlib.metadata
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from xenport import content
from xenport.architecture import Architecture
from xenport.errors import InputError

#: What every test kernel is compiled with: no library behind it, no code that needs one, and no
#: address of its own that means "nothing is there" (NULL is a valid address to a kernel).
FLAGS = (
    "-std=gnu11",
    "-O2",
    "-g0",
    "-ffreestanding",
    "-fno-asynchronous-unwind-tables",
    "-fno-common",
    "-fno-delete-null-pointer-checks",
    "-fno-sanitize=undefined",  # zig's default
    "-fno-stack-protector",
    "-fno-unwind-tables",
    "-fvisibility=hidden",
    "-Wall",
    "-Wextra",
    "-Wno-array-bounds",  # fixed addresses are fine here
    "-Werror",
    "-D__XEN_TOOLS__",
)

_LIMIT = 300  # seconds for one file; the first makes zig's cache too

_ZIG = (sys.executable, "-m", "ziglang")

#: "file.c:3:14: error: text" (clang, gcc) and the same without a place.
_ERROR = re.compile(
    r"^(?:(?P<path>[^:\n]+):(?P<line>\d+):(?:(?P<column>\d+):)? )?(?:fatal )?error: (?P<text>.*)$",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Compiler:
    """A C compiler for one architecture."""

    command: tuple[str, ...]  # with what makes it compile for the architecture
    identity: str  # changes when its output may change

    @classmethod
    def find(cls, arch: Architecture, name: str | None) -> "Compiler":
        """The compiler ``name``: a command, which has to know by itself what to compile for.

        Default is the zig of the ``ziglang`` package. Raises ``InputError`` if it does not run.
        """
        if name is None:
            return cls.zig(arch.target, arch.toolchain.cpu if arch.toolchain else None)
        command = tuple(shlex.split(name))
        return cls(command=command, identity=_version(command))

    @classmethod
    def zig(cls, target: str, cpu: str | None) -> "Compiler":
        """The one of the ``ziglang`` package, for a target and a kind of processor of its."""
        return cls(
            command=(*_ZIG, "cc", "-target", target, *([f"-mcpu={cpu}"] if cpu else [])),
            identity=_zig_version(),
        )

    @classmethod
    def native(cls) -> "Compiler":
        """The one of the ``ziglang`` package, for machines of this kind."""
        return cls(command=(*_ZIG, "cc", "-mcpu=baseline"), identity=_zig_version())

    def compile(self, source: Path, to: Path, flags: Sequence[str]) -> None:
        """Compile ``source`` (.c, .S) to the object file ``to``.

        Raises ``InputError`` with the first error, and where all of them are.
        """
        assembly = ["-D__ASSEMBLY__"] if source.suffix == ".S" else []
        _run([*self.command, *flags, *assembly, "-c", str(source), "-o", str(to)], source)

    def link_shared(self, objects: Sequence[Path], to: Path) -> None:
        """Link ``objects`` to a shared library; whoever loads it has the symbols that it lacks."""
        _run([*self.command, "-shared", "-s", "-o", str(to), *map(str, objects)], to)


def link(objects: Sequence[Path], script: Path, to: Path, flags: Sequence[str]) -> None:
    """Link ``objects`` as ``script`` says; always by the linker of the ``ziglang`` package."""
    _run(
        [
            *(*_ZIG, "ld.lld", *flags, "--build-id=none", "--fatal-warnings"),
            *("-T", str(script), "-o", str(to)),
            *map(str, objects),
        ],
        script,
    )


def _run(command: Sequence[str], source: Path) -> None:
    cache = str(content.cache_folder() / "zig")
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=_LIMIT,
            check=False,
            env={**os.environ, "ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": cache},
        )
    except subprocess.TimeoutExpired:
        raise InputError(f"the compiler did not end within {_LIMIT} s", source) from None
    if done.returncode:
        raise _failure(command, source, done.stdout)


def _failure(command: Sequence[str], source: Path, output: str) -> InputError:
    log = content.cache_folder() / "logs" / f"{source.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(f"{shlex.join(command)}\n{output}")
    errors = list(_ERROR.finditer(output))
    if not errors:
        said = next(iter(output.strip().splitlines()), "nothing")
        return InputError(f"the compiler failed and said: {said} (all of it: {log})", source)
    first = errors[0]
    more = f"and {len(errors) - 1} more, " if len(errors) > 1 else ""
    return InputError(
        f"error: {first['text']} ({more}all of it: {log})",
        first["path"] or source,
        int(first["line"]) if first["line"] else None,
        int(first["column"]) if first["column"] else None,
    )


def _zig_version() -> str:
    return f"ziglang {importlib.metadata.version('ziglang')}"


@functools.cache
def _version(command: tuple[str, ...]) -> str:
    """What the compiler says of itself. Raises ``InputError`` if it cannot be run."""
    name = shlex.join(command)
    try:
        done = subprocess.run(
            [*command, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_LIMIT,
            check=False,
        )
    except (OSError, IndexError) as error:
        raise InputError(f"C compiler '{name}' cannot be run: {error}") from error
    except subprocess.TimeoutExpired:
        raise InputError(f"C compiler '{name}' did not end within {_LIMIT} s") from None
    if done.returncode:
        said = next(iter(done.stderr.strip().splitlines()), "nothing")
        raise InputError(f"C compiler '{name}' does not answer --version; it said: {said}")
    return f"{name}\n{done.stdout}"
