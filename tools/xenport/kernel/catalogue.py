"""The catalogue of tests in a test kernel: section ``xenport_tests`` of its ELF file.

An entry is ``struct test`` of ``conformance/kernel/include/test.h``: texts of fixed size, then a
pointer to the code, which has the size of the ELF's class.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.construct import ConstructError
from elftools.elf.elffile import ELFFile

from xenport.errors import InputError

SECTION = "xenport_tests"

#: Names and sizes, in bytes, of the texts of an entry.
TEXTS = {"name": 56, "rung": 16, "needs": 32, "ends": 16, "events": 32, "title": 120}

#: The end of a test after which the machine starts again.
RESET = "reset"

#: What a test may do to its domain.
ENDS = ("", "poweroff", "reboot", "crash", "watchdog", "soft_reset", RESET)

#: What pyelftools raises, depending on where in a broken file it stumbles.
_BROKEN = (
    ELFError,
    ConstructError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    OSError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True)
class Test:
    """One test of a kernel."""

    __test__ = False  # not one of pytest's

    index: int  # in the catalogue; what the kernel's command line speaks of
    name: str
    rung: str
    title: str
    needs: tuple[str, ...]  # each to be provided; "a|b" is either, "!a" is not to be
    ends: str  # how the test ends its domain: one of ENDS
    events: tuple[str, ...] = ()  # of the machine, that it brings about: SUSPEND, WAKEUP


def read_catalogue(elf: Path) -> tuple[Test, ...]:
    """The tests of the kernel ``elf``, in the order of the section.

    Raises ``InputError`` for a file that is no ELF file, has no catalogue, or a broken one.
    """
    data, pointer = _section(elf)
    size = sum(TEXTS.values()) + pointer
    if len(data) % size:
        raise InputError(
            f"section {SECTION} is {len(data)} bytes long, expected a multiple of {size}", elf
        )
    tests = tuple(
        _test(elf, index, data[start : start + size])
        for index, start in enumerate(range(0, len(data), size))
    )
    seen: dict[str, int] = {}
    for test in tests:
        if test.name in seen:
            raise InputError(
                f"tests {seen[test.name]} and {test.index} have the same name '{test.name}'", elf
            )
        seen[test.name] = test.index
    return tests


def _section(elf: Path) -> tuple[bytes, int]:
    """The bytes of the section, and the size of a pointer."""
    try:
        with elf.open("rb") as file:
            parsed = ELFFile(file)
            section = parsed.get_section_by_name(SECTION)
            data = section.data() if section is not None else b""
            size = section["sh_size"] if section is not None else 0
            pointer = parsed.elfclass // 8
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", elf) from error
    except _BROKEN as error:
        raise InputError(f"not a usable ELF file: {error or type(error).__name__}", elf) from error
    if section is None:
        raise InputError(f"no test kernel: it has no section {SECTION}", elf)
    if len(data) != size:
        raise InputError(f"section {SECTION} is cut off: the file ends in it", elf)
    return data, pointer


def _test(elf: Path, index: int, entry: bytes) -> Test:
    texts = dict(zip(TEXTS, _texts(elf, index, entry), strict=True))
    if not re.fullmatch(r"[a-z][a-z0-9_]*", texts["name"]):
        raise InputError(f"test {index} has no usable name: {texts['name']!r}", elf)
    if not re.fullmatch(r"[a-z]+", texts["rung"]):
        raise InputError(f"test {texts['name']} has no usable rung: {texts['rung']!r}", elf)
    if texts["ends"] not in ENDS:
        raise InputError(
            f"test {texts['name']} ends its domain by {texts['ends']!r},"
            f" expected one of {', '.join(ENDS[1:])}",
            elf,
        )
    return Test(
        index=index,
        name=texts["name"],
        rung=texts["rung"],
        title=texts["title"],
        needs=tuple(texts["needs"].split()),
        ends=texts["ends"],
        events=tuple(texts["events"].split()),
    )


def _texts(elf: Path, index: int, entry: bytes) -> Iterator[str]:
    start = 0
    for name, size in TEXTS.items():
        text, end, _ = entry[start : start + size].partition(b"\0")
        if not end:
            raise InputError(f"the {name} of test {index} has no end", elf)
        try:
            yield text.decode()
        except UnicodeDecodeError as error:
            raise InputError(f"the {name} of test {index} is not UTF-8: {text!r}", elf) from error
        start += size
