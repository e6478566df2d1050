"""The kernel's formatted text, compiled for this machine and called from here."""

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

from xenport import content

RUNTIME = content.folder("conformance") / "kernel"


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    folder = tmp_path_factory.mktemp("runtime")
    library = folder / "runtime.so"
    sources = [RUNTIME / "print.c", RUNTIME / "string.c", Path(__file__).parent / "host/console.c"]
    subprocess.run(
        [
            *(sys.executable, "-m", "ziglang", "cc", "-shared", "-nostdlib", "-fPIC", "-O2"),
            *("-ffreestanding", "-fno-sanitize=undefined", f"-I{RUNTIME / 'include'}"),
            *(*map(str, sources), "-o", str(library)),
        ],
        check=True,
    )
    return ctypes.CDLL(str(library))


def text(runtime: ctypes.CDLL, form: str, *arguments: object, size: int = 64) -> str:
    buffer = ctypes.create_string_buffer(b"\xee" * size, size)
    length = runtime.format_text(buffer, ctypes.c_size_t(size), form.encode(), *arguments)
    assert length == len(buffer.value)
    return buffer.value.decode()


@pytest.mark.parametrize(
    ("form", "arguments", "expected"),
    [
        ("plain", [], "plain"),
        ("%s|%s", [b"one", b"two"], "one|two"),
        ("%s", [None], "(null)"),
        ("%.3s|%.*s", [b"abcdef", 2, b"xyz"], "abc|xy"),
        ("%5s|%-5s|", [b"ab", b"ab"], "   ab|ab   |"),
        ("%c%c", [65, 66], "AB"),
        ("%d %i", [-1, 2147483647], "-1 2147483647"),
        ("%d", [-2147483648], "-2147483648"),
        ("%u", [0xFFFFFFFF], "4294967295"),
        ("%5d|%-5d|%05d|%05d", [42, 42, 42, -42], "   42|42   |00042|-0042"),
        ("%x %X %#x %08x", [0xBEEF, 0xBEEF, 0xBEEF, 0xBEEF], "beef BEEF 0xbeef 0000beef"),
        ("%ld", [ctypes.c_long(-(2**63))], "-9223372036854775808"),
        ("%llu", [ctypes.c_ulonglong(2**64 - 1)], "18446744073709551615"),
        ("%llx", [ctypes.c_ulonglong(2**64 - 1)], "ffffffffffffffff"),
        ("%zu", [ctypes.c_size_t(7)], "7"),
        ("%p", [ctypes.c_void_p(0x1234)], "0x1234"),
        ("100%%", [], "100%"),
        ("%y %", [], "%y %"),
        ("%099d", [1], "0" * 69 + "1"),
    ],
)
def test_formats(runtime: ctypes.CDLL, form: str, arguments: list[object], expected: str) -> None:
    assert text(runtime, form, *arguments, size=128).lstrip() == expected.lstrip()


def test_what_does_not_fit_is_cut(runtime: ctypes.CDLL) -> None:
    assert text(runtime, "%s", b"0123456789", size=5) == "0123"
    assert text(runtime, "x", size=1) == ""
    assert runtime.format_text(None, ctypes.c_size_t(0), b"x") == 0


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0, "0"),
        (-22, "-22 (EINVAL)"),
        (-23, "-23"),
        (4095, "4095"),
        (0x12345678, "305419896 (0x12345678)"),
        (-(2**63), "-9223372036854775808 (0x8000000000000000)"),
    ],
)
def test_numbers_in_reports(runtime: ctypes.CDLL, number: int, expected: str) -> None:
    buffer = ctypes.create_string_buffer(56)
    runtime.number_text(buffer, ctypes.c_size_t(56), ctypes.c_longlong(number))
    assert buffer.value.decode() == expected


def printed(runtime: ctypes.CDLL, form: bytes, *arguments: object) -> bytes:
    calls = ctypes.c_uint.in_dll(runtime, "console_calls")
    before = calls.value
    runtime.print_line(form, *arguments)
    assert calls.value == before + 1
    size = ctypes.c_size_t.in_dll(runtime, "console_size").value
    return bytes((ctypes.c_char * size).in_dll(runtime, "console_text"))


def test_a_line_is_one_write(runtime: ctypes.CDLL) -> None:
    assert printed(runtime, b"ok %d %s", 1, b"name") == b"ok 1 name\n"
    assert printed(runtime, b"two\nlines") == b"two lines\n"
    assert printed(runtime, b"%s", b"x" * 1000) == b"x" * 239 + b"\n"
