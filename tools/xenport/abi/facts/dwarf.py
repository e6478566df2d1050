"""Types, enumerators and data from an ELF with DWARF debugging information."""

import os
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Literal

from elftools.common.exceptions import DWARFError, ELFError, ELFParseError
from elftools.construct import ConstructError
from elftools.dwarf.compileunit import CompileUnit
from elftools.dwarf.die import DIE
from elftools.elf.elffile import ELFFile

from xenport.abi.facts.model import Aggregate, Constant, Enumeration, Facts, Member, Source, Type
from xenport.errors import InputError

_AGGREGATES: dict[str, Literal["struct", "union"]] = {
    "DW_TAG_structure_type": "struct",
    "DW_TAG_class_type": "struct",
    "DW_TAG_union_type": "union",
}
_QUALIFIERS = ("DW_TAG_const_type", "DW_TAG_volatile_type", "DW_TAG_restrict_type")
_BASE = {
    "char": "char",
    "signed char": "int8",
    "unsigned char": "uint8",
    "short": "short",
    "short int": "short",
    "unsigned short": "ushort",
    "short unsigned int": "ushort",
    "int": "int",
    "unsigned int": "uint",
    "unsigned": "uint",
    "long": "long",
    "long int": "long",
    "unsigned long": "ulong",
    "long unsigned int": "ulong",
    "long long": "int64",
    "long long int": "int64",
    "unsigned long long": "uint64",
    "long long unsigned int": "uint64",
}
STANDARD = {
    **{f"{sign}int{bits}_t": f"{sign}int{bits}" for bits in (8, 16, 32, 64) for sign in ("", "u")},
    "size_t": "size_t",
    "int64_aligned_t": "int64_aligned",
    "uint64_aligned_t": "uint64_aligned",
}
HANDLE = "__guest_handle_"
"""How the typedef of a guest handle begins."""

_WIDE, _CONST = "64_", "const_"
_DEEPEST = 64
_LARGEST = 1 << 28  # bytes of ELF: a limit against mistakes
_BROKEN = (
    *(DWARFError, ELFError, ELFParseError, ConstructError),
    *(AssertionError, AttributeError, IndexError, KeyError, OverflowError, RecursionError),
    *(TypeError, UnicodeDecodeError, ValueError, MemoryError, NotImplementedError, OSError),
    *(EOFError, StopIteration, struct.error, zlib.error),
)
"""What pyelftools raises for a file that is not what it says."""


def read_elf(path: Path) -> Facts:
    """The types and enumerators in the debugging information of ``path``.

    Raises ``InputError`` for a file that is no ELF, has no DWARF, or breaks its rules.
    """
    with open_elf(path) as stream:
        return guarded(path, lambda: _facts(ELFFile(stream), path))


def open_elf(path: Path) -> IO[bytes]:
    """The file, if it can be an ELF. Raises ``InputError``."""
    try:
        stream = path.open("rb")
        if os.fstat(stream.fileno()).st_size > _LARGEST:
            raise InputError(f"larger than {_LARGEST >> 20} MiB", path)
    except OSError as error:
        raise InputError(f"cannot read: {error.strerror}", path) from None
    if stream.read(4) != b"\x7fELF":
        raise InputError("not an ELF file", path)
    stream.seek(0)
    return stream


def guarded(path: Path, read: Callable[[], Facts]) -> Facts:
    """What ``read`` returns. Raises ``InputError`` where the file breaks a rule."""
    try:
        return read()
    except _BROKEN as error:
        detail = str(error) or type(error).__name__
        raise InputError(f"broken ELF or DWARF: {detail}", path) from None


def _facts(elf: ELFFile, path: Path) -> Facts:
    facts = Facts(little_endian=elf.little_endian, bits=elf.elfclass)
    read_types(elf, facts, path)
    return facts


def read_types(elf: ELFFile, facts: Facts, path: Path) -> None:
    """Put the types and enumerators of ``elf`` into ``facts``; of two of a name the first counts.

    Raises ``InputError`` if there is no debugging information.
    """
    if not elf.has_dwarf_info():
        raise InputError("no debugging information (DWARF); compile with -g", path)
    for unit in elf.get_dwarf_info().iter_CUs():
        _Unit(unit, facts).read()


class _Unit:
    """One compilation unit."""

    def __init__(self, unit: CompileUnit, facts: Facts) -> None:
        self._unit = unit
        self._facts = facts
        self._files = _file_names(unit)
        self._types: dict[int, Type] = {}
        self._depth = 0

    def read(self) -> None:
        """Read everything at the top of the unit."""
        named: dict[int, str] = {}  # an aggregate without a tag by its offset: its typedef
        children = list(self._unit.get_top_DIE().iter_children())
        for die in children:
            if die.tag == "DW_TAG_typedef" and "DW_AT_type" in die.attributes:
                target = die.get_DIE_from_attribute("DW_AT_type")
                if _name(target) is None:
                    named.setdefault(target.offset, _name(die) or "")
        for die in children:
            name = _name(die) or named.get(die.offset)
            if _is_declaration(die):
                continue
            if die.tag in _AGGREGATES and name is not None:
                if name not in self._facts.structures:
                    self._facts.structures[name] = self._aggregate(die, name)
            elif die.tag == "DW_TAG_enumeration_type":
                self._enumeration(die, name)
            elif die.tag == "DW_TAG_typedef" and name is not None:
                target_type = self._type_of(die)
                self._facts.typedefs.setdefault(name, (target_type, self._source(die)))

    def _enumeration(self, die: DIE, name: str | None) -> None:
        values = {}
        source = self._source(die)
        for child in die.iter_children():
            if child.tag == "DW_TAG_enumerator":
                value = _number(child, "DW_AT_const_value")
                enumerator = _name(child) or ""
                values[enumerator] = value
                self._facts.constants.setdefault(
                    enumerator, Constant(enumerator, value & (1 << 64) - 1, source, "", name or "")
                )
        self._facts.enumerations.append(
            Enumeration(name, _number(die, "DW_AT_byte_size"), source, values)
        )

    def _aggregate(self, die: DIE, name: str | None) -> Aggregate:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ValueError("structures are nested too deeply")
        found = Aggregate(
            _AGGREGATES[str(die.tag)], name, _number(die, "DW_AT_byte_size"), self._source(die)
        )
        for child in die.iter_children():
            if child.tag == "DW_TAG_member":
                found.members.append(self._member(child))
        self._depth -= 1
        return found

    def _member(self, die: DIE) -> Member:
        member_type = self._type_of(die)
        align = _number(die, "DW_AT_alignment") or None
        bits = _number(die, "DW_AT_bit_size") if "DW_AT_bit_size" in die.attributes else None
        offset = _number(die, "DW_AT_data_member_location") * 8
        if "DW_AT_data_bit_offset" in die.attributes:
            offset = _number(die, "DW_AT_data_bit_offset")
        elif "DW_AT_bit_offset" in die.attributes and bits is not None:
            # Before DWARF 4: counted from the most significant bit of a unit.
            first = _number(die, "DW_AT_bit_offset")
            if self._facts.little_endian:
                unit = (_number(die, "DW_AT_byte_size") or member_type.size) * 8
                first = unit - first - bits
            offset += first
        return Member(_name(die), offset, member_type, bits, align)

    def _type_of(self, die: DIE) -> Type:
        """The type that ``die`` refers to."""
        if "DW_AT_type" not in die.attributes:
            return Type("void", 0, base="void")
        target = die.get_DIE_from_attribute("DW_AT_type")
        found = self._types.get(target.offset)
        if found is None:
            self._depth += 1
            if self._depth > _DEEPEST:
                raise ValueError("types refer to each other in a circle")
            found = self._types[target.offset] = self._type(target)
            self._depth -= 1
        return found

    def _type(self, die: DIE) -> Type:
        if die.tag in _QUALIFIERS:
            return self._type_of(die)
        if die.tag == "DW_TAG_typedef":
            return self._typedef(die)
        if die.tag in _AGGREGATES:
            name = _name(die)
            inner = self._aggregate(die, None) if name is None else None
            size = _number(die, "DW_AT_byte_size")
            return Type(name or "", size, inner, _AGGREGATES[str(die.tag)])
        if die.tag == "DW_TAG_array_type":
            return self._array(die)
        if die.tag == "DW_TAG_pointer_type":
            return Type("pointer", int(die.cu["address_size"]), base="pointer")
        size = _number(die, "DW_AT_byte_size")
        if die.tag == "DW_TAG_enumeration_type":
            return Type(_name(die) or "uint", size)
        if die.tag == "DW_TAG_base_type":
            signed = _number(die, "DW_AT_encoding") in (0x05, 0x06)  # signed, signed char
            name = _name(die) or ""
            return Type(_BASE.get(name, name), size, signed=signed)
        return Type("void", 0, base="void")  # a function

    def _typedef(self, die: DIE) -> Type:
        """A typedef, by the name that the description has for it."""
        name, target = _name(die) or "", self._type_of(die)
        if name in STANDARD:
            return Type(STANDARD[name], target.size, base=target.base, signed=target.signed)
        if name.startswith(HANDLE):
            rest = name.removeprefix(HANDLE)
            wide = rest.startswith(_WIDE)
            rest = rest.removeprefix(_WIDE)
            const = "const " if rest.startswith(_CONST) else ""
            rest = rest.removeprefix(_CONST)
            text = f"handle{'64' if wide else ''}({const}{self._handle_target(rest)})"
            return Type(text, target.size, base="pointer")
        if target.base in ("struct", "union") and target.text:
            return target  # the description names structures by their tags
        return Type(name, target.size, None, target.base, target.signed)

    def _handle_target(self, name: str) -> str:
        """What a guest handle of this name points to, as a type expression."""
        if name in STANDARD:
            return STANDARD[name]
        fixed = {"uchar": "uint8", "ulonglong": "uint64", **{text: text for text in _BASE.values()}}
        return fixed.get(name, name)

    def _array(self, die: DIE) -> Type:
        element = self._type_of(die)
        lengths, size = "", element.size
        for child in die.iter_children():
            if child.tag != "DW_TAG_subrange_type":
                continue
            count = None
            if "DW_AT_count" in child.attributes:
                count = _number(child, "DW_AT_count")
            elif "DW_AT_upper_bound" in child.attributes:
                count = _number(child, "DW_AT_upper_bound") + 1
            size *= count or 0
            lengths += f"[{count or ''}]"
        text = f"{element.text}{lengths}" if element.text else lengths
        return Type(text, size, element.inner, "array")

    def _source(self, die: DIE) -> Source:
        number = _number(die, "DW_AT_decl_file")
        return Source(self._files(number), _number(die, "DW_AT_decl_line"))


def _file_names(unit: CompileUnit) -> Callable[[int], str]:
    """The path of a file by its number in the unit."""
    program = unit.dwarfinfo.line_program_for_CU(unit)
    if program is None:
        return lambda _: ""
    header = program.header
    entries, folders = header["file_entry"], header["include_directory"]
    first = 0 if header["version"] >= 5 else 1

    def path(number: int) -> str:
        index = number - first
        if not 0 <= index < len(entries):
            return ""
        name = _text(entries[index].name)
        folder = entries[index].dir_index - first
        if name.startswith("/") or not 0 <= folder < len(folders):
            return name
        return os.path.normpath(f"{_text(folders[folder])}/{name}")

    return path


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _name(die: DIE) -> str | None:
    attribute = die.attributes.get("DW_AT_name")
    return _text(attribute.value) if attribute is not None else None


def _is_declaration(die: DIE) -> bool:
    return "DW_AT_declaration" in die.attributes


def _number(die: DIE, name: str) -> int:
    """The value of an attribute; 0 if it has none, or one that is no constant."""
    attribute = die.attributes.get(name)
    return attribute.value if attribute is not None and isinstance(attribute.value, int) else 0


def words(elf: ELFFile, symbol: str) -> Iterator[int]:
    """The 64-bit words of the array ``symbol``."""
    table: Any = elf.get_section_by_name(".symtab")
    entry = table.get_symbol_by_name(symbol)[0]
    section = elf.get_section(entry["st_shndx"])
    start = entry["st_value"] - section["sh_addr"]
    data = section.data()[start : start + entry["st_size"]]
    order: Literal["little", "big"] = "little" if elf.little_endian else "big"
    for at in range(0, len(data) - 7, 8):
        yield int.from_bytes(data[at : at + 8], order)
