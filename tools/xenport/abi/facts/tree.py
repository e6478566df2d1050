"""Facts from a tree of headers: what a compiler for the architecture makes of them.

The preprocessor says which macros there are; a probe that includes every header is compiled, with
the value of every macro and the alignment of every structure in an array, and read as DWARF.
"""

import os.path
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from elftools.elf.elffile import ELFFile

from xenport.abi.facts.dwarf import HANDLE, STANDARD, guarded, open_elf, read_types, words
from xenport.abi.facts.model import Constant, Facts, Macro, Source
from xenport.architecture import Architecture, names as architecture_names
from xenport.errors import InputError

LIMIT = 60
"""Seconds one run of the compiler may take."""

_ARRAY = "xenport_values"
_FIRST = "xen.h"
_MOST = 1000  # headers in a tree: a limit against a folder that is none
_PRELUDE = """\
#include <stddef.h>
#include <stdint.h>
void *memcpy(void *, const void *, size_t);
void *memset(void *, int, size_t);
"""
_FLAGS = (
    *("-std=gnu11", "-ffreestanding", "-w", "-O0", "-ferror-limit=0", "-fno-color-diagnostics"),
    *("-D__XEN_TOOLS__", "-D__XEN_INTERFACE_VERSION__=__XEN_LATEST_INTERFACE_VERSION__"),
)
_CHECK = ("-c", "-o", "probe.o")  # -fsyntax-only confuses zig, which looks for the object file
_DEBUG = ("-g", "-gdwarf-5", "-fno-eliminate-unused-debug-types")
_DEFINE = re.compile(r"#define (\w+)(\(([^)]*)\))?(?: (.*))?$")
_UNDEF = re.compile(r"#undef (\w+)$")
_LINE = re.compile(r'# (\d+) "((?:[^"\\]|\\.)*)"')
_FROM = re.compile(r"^In file included from .*?probe\.c:(\d+):$", re.MULTILINE)
_ERROR = re.compile(r"^(?P<path>[^:\n]+):(?P<line>\d+):\d+: (?:fatal )?error: (?P<text>.*)$")
_TAG = re.compile(r"\b(struct|union)\s+([A-Za-z_]\w*)\s*\{")
_NO_VALUE = re.compile(
    r"[{};?\"']|\*\s*\)|\b(?:do|if|for|while|return|extern|static|typedef|volatile|enum|asm"
    r"|__attribute__|__asm__|__typeof__|_Pragma)\b"
)
_EXPANSION = re.compile(r"@(\d+)@([^@]*)@")
_STRING = re.compile(r'(?:\s*"((?:[^"\\]|\\.)*)")+\s*$')


def read_tree(headers: Path, architecture: Architecture) -> Facts:
    """What the headers below ``headers`` say for ``architecture``, tool stack's part included.

    ``headers`` is the folder with ``xen.h``. A header that does not compile is left out and named
    in ``broken``. Raises ``InputError`` if there is no such folder or nothing compiles.
    """
    headers = headers.resolve()
    if not (headers / _FIRST).is_file():
        raise InputError(f"no folder of Xen's public headers: it has no {_FIRST}", headers)
    with tempfile.TemporaryDirectory(prefix="xenport-") as folder:
        return _Probe(headers, architecture, Path(folder)).facts()


class _Probe:
    """Compiles probes against one tree."""

    def __init__(self, headers: Path, architecture: Architecture, folder: Path) -> None:
        self._headers = headers
        self._architecture = architecture
        self._folder = folder
        (folder / "sys").mkdir()
        (folder / "sys" / "types.h").touch()  # io/libxenvchan.h wants it and uses nothing of it
        for name in ("xen", "public"):  # the headers include each other by these names too
            (folder / name).symlink_to(headers)
        self._paths = list(_candidates(headers, architecture))
        self._facts = Facts()
        self._below: dict[str, str | None] = {}  # what `relative` has found

    def facts(self) -> Facts:
        """Everything."""
        self._find_broken()
        self._read_macros()
        tags = {f"_Alignof({kind} {name})": name for name, kind in self._tags.items()}
        values = self._compilable([*self._values(), *tags])
        lines = [*self._includes(), f"const unsigned long long {_ARRAY}[] = {{"]
        lines += [f"    (unsigned long long)({value})," for value in values]
        lines.append("    0 };")
        target = self._folder / "probe.elf"
        link = ["-nostdlib", "-Wl,--entry=0", "-fno-lto", "-o", str(target)]  # see below
        done = self._run(lines, *_DEBUG, *link)
        if done.returncode != 0:
            raise self._failure(done.stderr)
        with open_elf(target) as stream:
            return guarded(target, lambda: self._read(ELFFile(stream), values, tags, target))

    def _read(self, elf: ELFFile, values: Sequence[str], tags: dict[str, str], path: Path) -> Facts:
        facts = self._facts
        facts.little_endian, facts.bits = elf.little_endian, elf.elfclass
        read_types(elf, facts, path)
        for expression, value in zip(values, words(elf, _ARRAY), strict=False):
            if expression in tags:
                facts.aligns[tags[expression]] = value
            else:
                macro = self._macros[expression]
                facts.constants[expression] = Constant(expression, value, macro.source, macro.text)
        facts.structures = {
            name: found
            for name, found in facts.structures.items()
            if self._is_of_tree(name, found.source)
        }
        facts.typedefs = {
            name: found
            for name, found in facts.typedefs.items()
            if self._is_of_tree(name, found[1])
        }
        facts.enumerations = [
            one for one in facts.enumerations if self.relative(one.source.path) is not None
        ]
        facts.macros = {
            name: macro for name, macro in self._macros.items() if name not in facts.constants
        }
        return self._relative_sources(facts)

    def _relative_sources(self, facts: Facts) -> Facts:
        """``facts`` with paths as they are in the tree."""

        def within(source: Source) -> Source:
            return Source(self.relative(source.path) or source.path, source.line)

        for aggregate in facts.structures.values():
            aggregate.source = within(aggregate.source)
        facts.typedefs = {
            name: (target, within(source)) for name, (target, source) in facts.typedefs.items()
        }
        facts.enumerations = [
            type(one)(one.name, one.size, within(one.source), one.values)
            for one in facts.enumerations
        ]
        facts.constants = {
            name: Constant(name, one.value, within(one.source), one.text, one.enumeration)
            for name, one in facts.constants.items()
        }
        facts.macros = {
            name: Macro(name, one.parameters, one.text, within(one.source))
            for name, one in facts.macros.items()
        }
        return facts

    def _is_of_tree(self, name: str, source: Source) -> bool:
        """Whether the tree defines ``name``, and not for a guest handle or in place of C's own."""
        if name.startswith(HANDLE) or name in STANDARD:
            return False
        return self.relative(source.path) is not None

    def relative(self, path: str) -> str | None:
        """``path`` below the tree of headers, or ``None`` if it is elsewhere."""
        if path not in self._below:
            found = Path(path)
            if not found.is_absolute():
                found = self._folder / found
            self._below[path] = None
            for root in (self._headers, self._folder / "xen", self._folder / "public"):
                if found.is_relative_to(root):
                    self._below[path] = os.path.normpath(found.relative_to(root))
                    break
        return self._below[path]

    # Which headers

    def _includes(self) -> list[str]:
        return [*_PRELUDE.splitlines(), *(f"#include <{path}>" for path in self._paths)]

    def _find_broken(self) -> None:
        """Leave out headers that do not compile, until the rest does."""
        for _ in range(len(self._paths)):
            done = self._run(self._includes(), *_CHECK)
            if done.returncode == 0:
                self._facts.headers = list(self._paths)
                return
            culprits = dict(self._culprits(done.stderr))
            if not culprits or _FIRST in culprits:
                raise self._failure(done.stderr)
            self._facts.broken.update(culprits)
            self._paths = [path for path in self._paths if path not in culprits]
        raise InputError("no header compiles", self._headers)

    def _culprits(self, complaint: str) -> Iterator[tuple[str, str]]:
        """The headers of the probe that errors are in, each with its first error."""
        includes = self._includes()
        seen = set()
        at: int | None = None
        for line in complaint.splitlines():
            start = _FROM.match(line)
            if start is not None:
                at = int(start[1]) - 1
                continue
            error = _ERROR.match(line)
            if error is None:
                continue
            if at is not None and includes[at] not in seen:
                seen.add(includes[at])
                where = self.relative(error["path"]) or error["path"]
                path = includes[at].removeprefix("#include <").removesuffix(">")
                yield path, f"{where}:{error['line']}: {error['text']}"

    # Macros

    def _read_macros(self) -> None:
        """The macros that the headers define, and the tags of their structures."""
        done = self._run(self._includes(), "-E", "-dD")
        if done.returncode != 0:
            raise self._failure(done.stderr)
        self._macros: dict[str, Macro] = {}
        self._tags: dict[str, str] = {}
        path, line = "", 0
        for text in done.stdout.splitlines():
            if text.startswith("# "):
                marker = _LINE.match(text)
                if marker is not None:
                    line, path = int(marker[1]) - 1, self.relative(marker[2]) or ""
                continue
            line += 1
            if not path:
                continue
            defined = _DEFINE.match(text) if text.startswith("#define") else None
            if defined is not None:
                name, _, parameters, body = defined.groups()
                listed = None
                if parameters is not None:
                    listed = tuple(one.strip() for one in parameters.split(",") if one.strip())
                self._macros[name] = Macro(name, listed, body or "", Source(path, line))
            elif text.startswith("#undef"):
                undefined = _UNDEF.match(text)
                if undefined is not None:
                    self._macros.pop(undefined[1], None)
            else:
                for kind, name in _TAG.findall(text):
                    self._tags.setdefault(name, kind)

    def _values(self) -> list[str]:
        """The macros that have a number; those that are a text become constants here."""
        named = [one for one in self._macros.values() if one.parameters is None and one.text]
        lines = [f"@{index}@ {one.name} @" for index, one in enumerate(named)]
        done = self._run([*self._includes(), *lines], "-E", "-P")
        expansions = {int(index): text for index, text in _EXPANSION.findall(done.stdout)}
        numbers = []
        for index, macro in enumerate(named):
            expansion = expansions.get(index, "").strip()
            if _STRING.match(expansion):
                text = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', expansion))
                self._facts.constants[macro.name] = Constant(
                    macro.name, text, macro.source, macro.text
                )
            elif expansion and not _NO_VALUE.search(expansion):
                numbers.append(macro.name)
        return numbers

    def _compilable(self, names: list[str]) -> list[str]:
        """Those of ``names`` that are integer constants to the compiler."""
        includes = self._includes()
        for _ in range(4):
            lines = [f'_Static_assert(((unsigned long long)({name})) | 1, "");' for name in names]
            done = self._run([*includes, *lines], *_CHECK)
            if done.returncode == 0:
                return names
            wrong = {
                int(error["line"]) - len(includes) - 1
                for text in done.stderr.splitlines()
                if (error := _ERROR.match(text)) and error["path"].endswith("probe.c")
            }
            names = [name for index, name in enumerate(names) if index not in wrong]
            if not wrong:
                break
        raise self._failure(done.stderr)

    # Compiler

    def _run(self, lines: Sequence[str], *flags: str) -> subprocess.CompletedProcess[str]:
        source = self._folder / "probe.c"
        source.write_text("\n".join(lines) + "\n", encoding="utf-8")
        command = [sys.executable, "-m", "ziglang", "cc", "-target", self._architecture.target]
        command += [*_FLAGS, *flags, f"-I{self._headers}", f"-I{self._folder}", str(source)]
        try:
            return subprocess.run(
                command,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=LIMIT,
                check=False,
                cwd=self._folder,
            )
        except subprocess.TimeoutExpired:
            raise InputError(
                f"the compiler did not end within {LIMIT} seconds", self._headers
            ) from None
        except OSError as error:
            raise InputError(f"cannot run the compiler: {error}") from None

    def _failure(self, complaint: str) -> InputError:
        for line in complaint.splitlines():
            error = _ERROR.match(line)
            if error is not None:
                where = self.relative(error["path"]) or error["path"]
                return InputError(
                    f"the headers do not compile for {self._architecture.name}:"
                    f" {where}:{error['line']}: {error['text']}",
                    self._headers,
                )
        last = (complaint.strip().splitlines() or ["no message"])[-1]
        return InputError(f"the compiler failed: {last}", self._headers)


def _is_of_linux(path: Path) -> bool:
    return "__LINUX_PUBLIC_" in path.read_text(encoding="utf-8", errors="replace")


def _candidates(headers: Path, architecture: Architecture) -> Iterator[str]:
    """The headers of the tree that are meant for ``architecture``, in an order that compiles.

    An installed tree also has ``foreign/``, the same structures for other architectures under
    other names, and what is about devices of the host's kernel: ``sys/``, and Linux's own headers.
    """
    own = re.match(r"arch-[a-z0-9]+", architecture.header)
    prefix = own[0] if own else ""
    others = [name for name in architecture_names() if name != architecture.name]
    shared, special = [], []
    for path in sorted(headers.rglob("*.h")):
        name = path.relative_to(headers).as_posix()
        if name.startswith(("foreign/", "sys/")) or _is_of_linux(path):
            continue
        if name.startswith("arch-"):
            if name.startswith(prefix) and not any(other in name for other in others):
                special.append(name)
        elif name != _FIRST:
            shared.append(name)
        if len(shared) + len(special) > _MOST:
            raise InputError(f"more than {_MOST} headers; expected Xen's public ones", headers)
    yield _FIRST
    yield from shared
    # Headers of an architecture are mostly parts of others, which know when to include them.
    yield from special
