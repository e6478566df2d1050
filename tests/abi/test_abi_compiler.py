"""The layout engine and the C emitter against a compiler, and the comparison against mistakes."""

from pathlib import Path

import pytest

from xenport import architecture, emit
from xenport.abi import Abi, Description, load, load_description
from xenport.abi.check import check_headers
from xenport.errors import InputError

SMALL = [
    (arch, release)
    for arch in ("little64", "little32", "big64", "wide32")
    for release in ("4.14", "4.17")
]
OURS = [
    (arch, release) for arch in architecture.names() for release in architecture.load(arch).releases
]


def differences(abi: Abi, folder: Path) -> list[str]:
    emit.write(abi, "c", folder / "headers")
    return check_headers(abi, folder / "headers")


@pytest.mark.parametrize(("arch", "release"), SMALL)
def test_small(small: Description, tmp_path: Path, arch: str, release: str) -> None:
    assert differences(small.abi(arch, release), tmp_path) == []


def test_our_description_has_no_mistake() -> None:
    load_description()


@pytest.mark.parametrize(("arch", "release"), OURS)
def test_ours(tmp_path: Path, arch: str, release: str) -> None:
    assert differences(load(arch, release), tmp_path) == []


def test_every_kind_of_difference_is_found(small: Description, tmp_path: Path) -> None:
    abi = small.abi("little64", "4.17")
    emit.write(abi, "c", tmp_path / "h")
    for header, old, new in (
        ("xen.h", "VERSION    17", "VERSION    18"),
        ("xen.h", "uint32_t version;", ""),
        ("xen.h", "uint64_t system_time;", "uint64_t system_time; uint32_t version;"),
        ("io/event.h", "port_t port;", "uint16_t port;"),
        ("layout.h", "uint32_t b : 7", "uint32_t b : 8"),
        ("layout.h", "uint16_t x;", "uint16_t ex;"),
        ("layout.h", "size_t l;", "size_t l; size_t extra;"),
        ("layout.h", "time_info time;", "time_info time __attribute__((aligned(16)));"),
    ):
        path = tmp_path / "h" / header
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
    found = "\n".join(check_headers(abi, tmp_path / "h"))
    for expected in (
        "VERSION is 0x12 in the headers, 0x11 in the description",
        "time_info.version: offset 8 in the headers, 0 in the description",
        "send.port: 2 bytes in the headers, 4 in the description",
        "bits.b: bits 3+8 in the headers, 3+7 in the description",
        "anonymous.inner.x is not in the headers",
        "anonymous.inner.ex is not in the description",
        "all_integers.extra is not in the description",
        "_Alignof(union any_of) is 0x10 in the headers, 0x8 in the description",
    ):
        assert expected in found


def test_headers_that_do_not_compile(small: Description, tmp_path: Path) -> None:
    abi = small.abi("little64", "4.17")
    emit.write(abi, "c", tmp_path / "h")
    (tmp_path / "h" / "xen.h").write_text("int broken broken;\n")
    with pytest.raises(InputError, match=r"the headers do not compile: .*xen\.h:1:"):
        check_headers(abi, tmp_path / "h")
    with pytest.raises(InputError, match="cannot run the compiler"):
        check_headers(abi, tmp_path / "h", ["/no/such/compiler"])
