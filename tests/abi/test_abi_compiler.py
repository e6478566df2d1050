"""The layout engine and the C emitter against a compiler, and the comparison against mistakes."""

from pathlib import Path

import pytest

from xenport import architecture, emit
from xenport.abi import Abi, Description, load, load_description
from xenport.abi.check import compare
from xenport.abi.facts import read_tree
from xenport.errors import InputError

SMALL = [
    (arch, release)
    for arch in ("little64", "little32", "big64", "wide32")
    for release in ("4.14", "4.17")
]
OURS = [
    pytest.param(arch, release, marks=() if release in (known[0], known[-1]) else pytest.mark.slow)
    for arch in architecture.names()
    for known in [architecture.load(arch).releases]
    for release in known
]


def compared(abi: Abi, tree: Path) -> list[str]:
    """The differences between ``abi`` and the headers in ``tree``."""
    result = compare(abi, read_tree(tree, abi.architecture), whole=True)
    assert result.broken == {}
    return [str(difference) for difference in result.differences]


def emitted(abi: Abi, folder: Path) -> Path:
    emit.write(abi, "c", folder / "headers")
    return folder / "headers"


@pytest.mark.parametrize(("arch", "release"), SMALL)
def test_small(small: Description, tmp_path: Path, arch: str, release: str) -> None:
    abi = small.abi(arch, release)
    assert compared(abi, emitted(abi, tmp_path)) == []


def test_our_description_has_no_mistake() -> None:
    load_description()


@pytest.mark.parametrize(("arch", "release"), OURS)
def test_ours(tmp_path: Path, arch: str, release: str) -> None:
    abi = load(arch, release)
    assert compared(abi, emitted(abi, tmp_path)) == []


def test_every_kind_of_difference_is_found(small: Description, tmp_path: Path) -> None:
    abi = small.abi("little64", "4.17")
    tree = emitted(abi, tmp_path)
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
        path = tree / header
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
    found = "\n".join(compared(abi, tree))
    for expected in (
        "xen.h: VERSION is 0x12 in C, 0x11 in the description",
        "time_info.version: offset 8 in C, 0 in the description",
        "send.port: 2 bytes in C, 4 in the description",
        "bits.b: bits 3+8 in C, 3+7 in the description",
        "anonymous.inner.x is not in C",
        "anonymous.inner.ex is not described",
        "all_integers.extra is not described",
        "any_of: aligned to 16 bytes in C, 8 in the description",
    ):
        assert expected in found


def test_headers_that_do_not_compile(small: Description, tmp_path: Path) -> None:
    abi = small.abi("little64", "4.17")
    tree = emitted(abi, tmp_path)
    (tree / "xen.h").write_text("int broken broken;\n")
    with pytest.raises(InputError, match=r"the headers do not compile for little64: xen\.h:1:"):
        read_tree(tree, abi.architecture)


def test_one_header_that_does_not_compile(small: Description, tmp_path: Path) -> None:
    abi = small.abi("little64", "4.17")
    tree = emitted(abi, tmp_path)
    (tree / "io/event.h").write_text("int broken broken;\n")
    result = compare(abi, read_tree(tree, abi.architecture), whole=True)
    complaint = "io/event.h:1: expected ';' after top level declarator"
    assert result.broken == {"io/event.h": complaint, "layout.h": complaint}  # includes it
    assert [one for one in result.differences if one.header == "io/event.h"] == []
