"""ELF files with a catalogue of tests and nothing else, of any class and byte order."""

import struct
from collections.abc import Sequence

from xenport.kernel.catalogue import SECTION, TEXTS


def entry(*, order: str = "<", bits: int = 64, **texts: str | bytes) -> bytes:
    """A ``struct test``; texts that are not given are those of a good test."""
    good = dict.fromkeys(TEXTS, "") | {"name": "some_test", "rung": "enter", "title": "a test"}
    parts = []
    for name, size in TEXTS.items():
        text = texts.get(name, good[name])
        data = text.encode() if isinstance(text, str) else text
        parts.append(data.ljust(size, b"\0"))
    pointer = struct.pack(order + ("Q" if bits == 64 else "I"), 0x200000)
    return b"".join(parts) + pointer


def elf(
    section: bytes,
    *,
    order: str = "<",
    bits: int = 64,
    name: str = SECTION,
    size: int | None = None,
) -> bytes:
    """An ELF file with ``section`` and a table of names. ``size`` is what it says the size is."""
    names = b"\0" + name.encode() + b"\0.shstrtab\0"
    header_size, entry_size = (64, 64) if bits == 64 else (52, 40)
    start = header_size
    names_start = start + len(section)
    table = names_start + len(names)
    word = "Q" if bits == 64 else "I"

    def section_header(at: int, kind: int, offset: int, length: int) -> bytes:
        return struct.pack(
            f"{order}II{word}{word}{word}{word}II{word}{word}",
            *(at, kind, 0, 0, offset, length, 0, 0, 1, 0),
        )

    identity = b"\x7fELF" + bytes([bits // 32, 1 if order == "<" else 2, 1]) + bytes(9)
    header = identity + struct.pack(
        f"{order}HHI{word}{word}{word}IHHHHHH",
        *(2, 0, 1, 0, 0, table, 0, header_size, 0, 0, entry_size, 3, 2),
    )
    headers: Sequence[bytes] = (
        section_header(0, 0, 0, 0),
        section_header(1, 1, start, len(section) if size is None else size),
        section_header(2 + len(name), 3, names_start, len(names)),
    )
    return header + section + names + b"".join(headers)
