"""Compare the description with what a real compiler makes of a tree of headers.

A probe is compiled against the headers: it points at every structure, so that the debug information
describes them, and holds the alignment of each and the value of every constant in an array.
``differences`` reads both back with pyelftools.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from elftools.dwarf.die import DIE
from elftools.elf.elffile import ELFFile

from xenport.abi.core import Abi
from xenport.abi.layout import Layout
from xenport.errors import InputError

_NUMBERS = "xenport_numbers"
_LIMIT = 120  # seconds for the compiler
_AGGREGATES = ("DW_TAG_structure_type", "DW_TAG_union_type")
_ALIASES = ("DW_TAG_typedef", "DW_TAG_const_type", "DW_TAG_volatile_type")


def check_headers(abi: Abi, headers: Path, compiler: Sequence[str] | None = None) -> list[str]:
    """What differs between ``abi`` and the tree ``headers``, one line each.

    ``compiler`` is the command of a C compiler for the architecture; without it Zig's is used.
    Raises ``InputError`` if the headers do not compile.
    """
    with tempfile.TemporaryDirectory(prefix="xenport-") as folder:
        source, target = Path(folder) / "probe.c", Path(folder) / "probe.o"
        source.write_text(_probe(abi))
        command = [*(compiler or _zig(abi)), "-std=c11", "-D__XEN_TOOLS__", "-ffreestanding"]
        command += ["-g", "-gdwarf-4", "-O0", f"-I{headers}", "-c", "-o", str(target), str(source)]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=_LIMIT, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise InputError(f"cannot run the compiler: {error}") from None
        if done.returncode != 0:
            first = next((line for line in done.stderr.splitlines() if "error:" in line), "")
            raise InputError(f"the headers do not compile: {first.strip()}", headers)
        with target.open("rb") as stream:
            return list(_differences(abi, ELFFile(stream)))


def _zig(abi: Abi) -> list[str]:
    return [sys.executable, "-m", "ziglang", "cc", "-target", abi.architecture.target]


def _numbers(abi: Abi) -> dict[str, int]:
    """C expression to value: what the probe's array holds, in its order."""
    numbers = {}
    for name in abi.structures:
        kind = abi.layout(name).kind
        numbers[f"_Alignof({kind} {name})"] = abi.layout(name).align
    for name, constant in abi.constants.items():
        if isinstance(constant.value, int):
            numbers[name] = constant.value
    return numbers


def _probe(abi: Abi) -> str:
    paths = sorted(
        (header.path for header in abi.headers()), key=lambda path: (path != "xen.h", path)
    )
    lines = [f"#include <{path}>" for path in paths]
    lines += [f"{abi.layout(name).kind} {name} *xenport_{name};" for name in abi.structures]
    lines.append(f"const unsigned long long {_NUMBERS}[] = {{")
    lines += [f"    (unsigned long long)({expression})," for expression in _numbers(abi)]
    lines.append("    0 };")
    return "\n".join(lines) + "\n"


def _differences(abi: Abi, elf: ELFFile) -> Iterator[str]:
    words = _array(elf)
    for (expression, expected), found in zip(_numbers(abi).items(), words, strict=False):
        if found != expected & (1 << 64) - 1:
            yield f"{expression} is {found:#x} in the headers, {expected:#x} in the description"
    types = {
        die.attributes["DW_AT_name"].value.decode(): die
        for unit in elf.get_dwarf_info().iter_CUs()
        for die in unit.get_top_DIE().iter_children()
        if die.tag in _AGGREGATES and "DW_AT_name" in die.attributes
    }
    for name in abi.structures:
        if name in types:
            yield from _compare(abi.layout(name), types[name], name, elf.little_endian)
        else:
            yield f"{name} is not in the headers"


def _array(elf: ELFFile) -> list[int]:
    """The words of the probe's array."""
    table: Any = elf.get_section_by_name(".symtab")
    symbol = table.get_symbol_by_name(_NUMBERS)[0]
    data = elf.get_section(symbol["st_shndx"]).data()
    words = data[symbol["st_value"] : symbol["st_value"] + symbol["st_size"]]
    order: Literal["little", "big"] = "little" if elf.little_endian else "big"
    return [int.from_bytes(words[at : at + 8], order) for at in range(0, len(words) - 8, 8)]


def _compare(layout: Layout, die: DIE, path: str, little: bool) -> Iterator[str]:
    size = _number(die, "DW_AT_byte_size")
    if size != layout.size:
        yield f"{path}: {size} bytes in the headers, {layout.size} in the description"
    theirs = dict(_members(die, 0))
    for field in layout.fields:
        where = f"{path}.{field.name}"
        if field.name not in theirs:
            yield f"{where} is not in the headers"
            continue
        offset, member = theirs.pop(field.name)
        inner = _resolved(member)
        if field.bits is not None and field.bit_offset is not None:
            yield from _compare_bits(where, field, member, offset, little)
        elif offset != field.offset:
            yield f"{where}: offset {offset} in the headers, {field.offset} in the description"
        if _size(inner) != field.size:
            yield f"{where}: {_size(inner)} bytes in the headers, {field.size} in the description"
        if field.layout.fields and inner.tag in _AGGREGATES:
            yield from _compare(field.layout, inner, where, little)
    for name in theirs:
        if name != "xen_nothing":  # what the C emitter puts in an empty structure
            yield f"{path}.{name} is not in the description"


def _compare_bits(where: str, field: Any, member: DIE, base: int, little: bool) -> Iterator[str]:
    """A bit field: where its lowest bit is, counted from the start of the structure."""
    unit = field.size * 8
    start = field.bit_offset if little else unit - field.bit_offset - field.bits
    ours = (field.offset * 8 + start, field.bits)
    bits = _number(member, "DW_AT_bit_size")
    if "DW_AT_data_bit_offset" in member.attributes:
        first = _number(member, "DW_AT_data_bit_offset")
    else:  # DWARF 3: counted from the most significant bit of a unit
        width = _number(member, "DW_AT_byte_size") or field.size
        first = _number(member, "DW_AT_bit_offset")
        first = width * 8 - first - bits if little else first
        first += base * 8
    if (first, bits) != ours:
        yield f"{where}: bits {first}+{bits} in the headers, {ours[0]}+{ours[1]} in the description"


def _members(die: DIE, base: int) -> Iterator[tuple[str, tuple[int, DIE]]]:
    """Name, offset and DIE of the members, those of anonymous ones included."""
    for child in die.iter_children():
        if child.tag != "DW_TAG_member":
            continue
        offset = base + _number(child, "DW_AT_data_member_location")
        if "DW_AT_name" in child.attributes:
            yield child.attributes["DW_AT_name"].value.decode(), (offset, child)
        else:
            yield from _members(_resolved(child), offset)


def _resolved(die: DIE) -> DIE:
    """The type of a member, behind typedefs and qualifiers."""
    die = die.get_DIE_from_attribute("DW_AT_type")
    while die.tag in _ALIASES:
        die = die.get_DIE_from_attribute("DW_AT_type")
    return die


def _size(die: DIE) -> int:
    if die.tag == "DW_TAG_array_type":
        size = _size(_resolved(die))
        for child in die.iter_children():
            if "DW_AT_count" in child.attributes:
                size *= _number(child, "DW_AT_count")
            elif "DW_AT_upper_bound" in child.attributes:
                size *= _number(child, "DW_AT_upper_bound") + 1
            else:
                return 0
        return size
    if die.tag == "DW_TAG_pointer_type":
        return int(die.cu["address_size"])
    return _number(die, "DW_AT_byte_size")


def _number(die: DIE, name: str) -> int:
    attribute = die.attributes.get(name)
    return int(attribute.value) if attribute is not None else 0
