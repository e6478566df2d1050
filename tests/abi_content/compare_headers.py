"""Compare the description with Xen's own public headers, which this repository does not hold.

    python tests/abi_content/compare_headers.py x86_64 4.17 XEN/xen/include/public

Every structure, member and constant that both have is put into an array of numbers, which a
compiler for the architecture fills in from the headers. What differs, and what only the description
has, is printed; the exit status is 1 if something differs.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

import xenport.abi
from xenport.abi import Abi

ARRAY = "numbers"
UNUSABLE = {"3.2": {"callback.h"}}  # headers that do not compile on every architecture they are for
Number = tuple[str, str, int]  # what it is, C expression, value in the description


def main() -> int:
    """Print the comparison and return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("arch")
    parser.add_argument("release")
    parser.add_argument("headers", type=Path)
    options = parser.parse_args()
    abi = xenport.abi.load(arch=options.arch, release=options.release)
    with tempfile.TemporaryDirectory(prefix="xenport-") as folder:
        compared, differences, only_here = compare(abi, options.headers, Path(folder))
    print(*differences, sep="\n", end="\n" if differences else "")
    print(f"only in the description: {', '.join(only_here) or 'nothing'}")
    print(f"{options.arch} {options.release}: {compared}; {len(differences)} differences")
    return 1 if differences else 0


def compare(abi: Abi, headers: Path, folder: Path) -> tuple[str, list[str], list[str]]:
    """What was compared, what differs, and what the headers do not have."""
    skip = UNUSABLE.get(abi.release, set())
    paths = [h.path for h in abi.headers() if (headers / h.path).exists() and h.path not in skip]
    paths.sort(key=lambda path: (path != "xen.h", path == "errno.h", path))
    start = "#include <stdint.h>\n#include <stddef.h>\n"
    start += "".join(f"#include <{path}>\n" for path in paths)
    source = folder / "probe.c"
    source.write_text(start)
    command = _compiler(abi, headers)
    text = _run([*command, "-E", "-P", str(source)])
    macros = set(re.findall(r"#define (\w+) ", _run([*command, "-E", "-dM", str(source)])))
    known = macros | set(re.findall(r"\b(XEN_E\w+) =", text))

    constants = {
        name: constant.value
        for name, constant in abi.constants.items()
        if isinstance(constant.value, int)
    }
    tags = {tag: kind for kind, tag in re.findall(r"\b(struct|union)\s+(\w+)\s*\{", text)}
    there = [name for name in constants if name in known]
    structures = [name for name in abi.structures if name in tags]
    numbers: list[Number] = [
        (name, f"(unsigned long long)({name})", constants[name] & (1 << 64) - 1) for name in there
    ]
    for name in structures:
        numbers += _of_structure(abi, name, tags[name])
    members = sum(what.endswith(" offset") for what, _, _ in numbers)
    values = _values(start, numbers, command, folder)
    differences = [
        f"{what}: {expected} here, {value} there"
        for (what, _, expected), value in zip(numbers, values, strict=True)
        if value != expected
    ]
    compared = f"{len(there)} constants, {len(structures)} structures, {members} members"
    missing = [name for name in (*constants, *abi.structures) if name not in known | set(tags)]
    return compared, differences, missing


def _of_structure(abi: Abi, name: str, kind: str) -> Iterator[Number]:
    layout, tag = abi.layout(name), f"{kind} {name}"
    if layout.size == 0:
        return  # has no size in C
    yield f"{name} size", f"sizeof({tag})", layout.size
    yield f"{name} alignment", f"_Alignof({tag})", layout.align
    for path, offset, member in layout.walk():
        if member.name is None:
            continue
        yield f"{name}.{path} offset", f"__builtin_offsetof({tag}, {path})", offset
        if member.size:
            yield f"{name}.{path} size", f"sizeof((({tag} *)0)->{path})", member.size


def _values(
    start: str, numbers: list[Number], command: list[str], folder: Path
) -> list[int | None]:
    """What the compiler makes of the expressions; ``None`` where it makes nothing."""
    source, target = folder / "probe.c", folder / "probe.o"
    refused: set[int] = set()
    while True:
        lines = [
            "0," if index in refused else f"{expression},"
            for index, (_, expression, _) in enumerate(numbers)
        ]
        source.write_text(
            f"{start}const unsigned long long {ARRAY}[] = {{\n" + "\n".join(lines) + "\n};\n"
        )
        arguments = [*command, "-ferror-limit=0", "-c", "-o", str(target), str(source)]
        done = subprocess.run(arguments, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            break
        first = start.count("\n") + 2  # the line of the first number
        found = {
            int(line) - first for line in re.findall(r"probe\.c:(\d+):\d+: error", done.stderr)
        }
        if not found - refused:
            raise SystemExit(f"the headers do not compile:\n{done.stderr}")
        refused |= found
    with target.open("rb") as stream:
        elf = ELFFile(stream)
        table = elf.get_section_by_name(".symtab")
        assert isinstance(table, SymbolTableSection)
        symbol = (table.get_symbol_by_name(ARRAY) or [])[0]
        data = elf.get_section(symbol["st_shndx"]).data()[symbol["st_value"] :]
        order: Literal["little", "big"] = "little" if elf.little_endian else "big"
    return [
        None if index in refused else int.from_bytes(data[8 * index : 8 * index + 8], order)
        for index in range(len(numbers))
    ]


def _compiler(abi: Abi, headers: Path) -> list[str]:
    target = abi.architecture.target
    command = [sys.executable, "-m", "ziglang", "cc", "-target", target, "-std=gnu11"]
    return [*command, "-ffreestanding", "-w", "-D__XEN_TOOLS__", f"-I{headers}"]


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"the headers do not compile:\n{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
