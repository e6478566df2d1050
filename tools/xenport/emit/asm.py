"""The ABI for the assembler: one file, ``asm-offsets.h``, of definitions that are plain numbers.

====================================  ==========================================================
``EVTCHN_STATUS_sizeof``              bytes of the structure ``evtchn_status``
``EVTCHN_STATUS_u_unbound_dom``       bytes from its start to ``u.unbound.dom``
``NAME_shift``, ``NAME_bits``         of a bit field: ``NAME`` is the offset of its aligned unit,
                                      read as an integer of its type; the field begins at this bit
``EVTCHNOP_status``                   a constant, as the ABI names it
====================================  ==========================================================

So the tag of a structure is in capitals and the members, joined with underscores, are as they are.
Two things that would get the same name are told apart by an underscore at the end of the later.
"""

from collections.abc import Iterator

from xenport.abi import Abi
from xenport.emit.names import Names, number_text
from xenport.emit.tree import MARK

FILE = "asm-offsets.h"


def texts(abi: Abi) -> dict[str, str]:
    """The one file."""
    return {FILE: "\n".join(_file(abi)) + "\n"}


def _file(abi: Abi) -> Iterator[str]:
    yield "/* SPDX-License-Identifier: MIT */"
    yield "/*"
    yield " * Constants, and the sizes and offsets of structures, for the assembler."
    yield " *"
    yield f" * {MARK} {abi.architecture.name}, release {abi.release}. Do not edit."
    yield " */"
    yield ""
    yield "#ifndef XENPORT_ASM_OFFSETS_H"
    yield "#define XENPORT_ASM_OFFSETS_H"
    names = Names(abi.constants)  # constants keep their names
    for header in abi.headers():
        constants = [
            _number(abi, name, constant.value)
            for name, constant in abi.constants.items()
            if constant.header == header.path
        ]
        if constants:
            yield ""
            yield f"/* {header.path}: constants */"
            yield from _aligned(constants)
        for name, item in header.types.items():
            if item.kind in ("struct", "union"):
                yield ""
                yield f"/* {header.path}: {item.kind} {name} */"
                yield from _aligned(list(_structure(abi, name, names)))
    yield ""
    yield "#endif /* XENPORT_ASM_OFFSETS_H */"


def _number(abi: Abi, name: str, value: int | str) -> tuple[str, str]:
    if isinstance(value, str):
        return name, f'"{value}"'
    text = number_text(abi, name)
    return name, f"({text})" if value < 0 else text


def _structure(abi: Abi, name: str, names: Names) -> Iterator[tuple[str, str]]:
    layout = abi.layout(name)
    prefix = name.upper()
    yield names.take(f"{prefix}_sizeof"), str(layout.size)
    for path, offset, member in layout.walk():
        own = names.take(f"{prefix}_{path.replace('.', '_')}")
        yield own, str(offset)
        if member.bits is not None:
            yield names.take(f"{own}_shift"), str(member.bit_offset)
            yield names.take(f"{own}_bits"), str(member.bits)


def _aligned(definitions: list[tuple[str, str]]) -> Iterator[str]:
    width = max(len(name) for name, _ in definitions)
    for name, value in definitions:
        yield f"#define {name:{width}} {value}"
