"""C headers for guests of older interfaces, and what an includer can define."""

from pathlib import Path

import pytest
from test_c import compile_, zig

from xenport import architecture, emit
from xenport.abi import Abi, Description, load
from xenport.emit import c
from xenport.errors import InputError

FOLDER = Path(__file__).parent.parent / "abi" / "description"
OLD = """\
header: old.h
includes: [xen.h, version.h]
types:
  narrow_t: {type: uint16, interface_version: below 0x00030000}
constants:
  - name: numbers
    values:
      ALWAYS: 1
      NAME:
        - {value: 2, interface_version: from 0x00030000}
        - {value: 1, interface_version: below 0x00030000}
      MINE: {value: 5, default: true}
  - name: gone
    interface_version: below 0x00030000
    values: {GONE: 4}
  - name: kinds
    kind: enum
    each: {macro: KIND, prefix: KIND_}
    values:
      KIND_a: 3
      KIND_b: {value: 4, doc: The other.}
structs:
  thing:
    fields:
      - {name: first, type: uint32}
      - {name: narrow, type: narrow_t, interface_version: below 0x00030000}
      - {name: wide, type: uint32, interface_version: from 0x00030000}
      - {name: tail, type: "uint8[2]", interface_version: below 0x00020000}
  gone:
    interface_version: below 0x00030000
    fields: [{name: a, type: narrow_t}]
macros:
  alias: {value: thing, interface_version: below 0x00030000}
  later: thing
  KEPT: {value: "7", default: true}
"""
VERSION = """\
header: version.h
constants:
  - name: version
    values:
      __XEN_LATEST_INTERFACE_VERSION__:
        - {value: 0x00020000, until: "4.14"}
        - {value: 0x00040000, since: "4.15"}
      __XEN_INTERFACE_VERSION__: {value: __XEN_LATEST_INTERFACE_VERSION__, default: true}
"""


@pytest.fixture
def old(tmp_path: Path) -> Description:
    folder = tmp_path / "abi"
    folder.mkdir()
    (folder / "old.yaml").write_text(OLD)
    (folder / "version.yaml").write_text(VERSION)
    for name in ("xen", "errno"):
        (folder / f"{name}.yaml").write_text((FOLDER / "abi" / f"{name}.yaml").read_text())
    description = Description(folder, FOLDER / "arch")
    description.check()
    return description


def build(abi: Abi, folder: Path, code: str, *options: str) -> None:
    emit.write(abi, "c", folder / "xen")
    source = folder / "guest.c"
    source.write_text(code)
    compile_(zig(abi, "cc"), source, f"-I{folder}", "-std=c11", *options)


def holds(*conditions: str) -> str:
    return "#include <xen/old.h>\n" + "".join(f'_Static_assert({one}, "");\n' for one in conditions)


def test_xen_speaks_the_newest(old: Description) -> None:
    abi = old.abi("little64", "4.17")
    assert (abi.constant("NAME"), abi.sizeof("thing")) == (2, 8)
    assert abi.layout("thing").by_name.keys() == {"first", "wide"}
    assert "GONE" not in abi.constants
    with pytest.raises(InputError, match="unknown type 'narrow_t'"):
        abi.sizeof("narrow_t")


def test_what_the_newest_is_depends_on_the_release(old: Description) -> None:
    abi = old.abi("little64", "4.14")
    assert (abi.constant("NAME"), abi.constant("GONE"), abi.sizeof("thing")) == (1, 4, 8)
    assert abi.layout("thing").by_name.keys() == {"first", "narrow"}
    text = c.texts(abi)["old.h"]
    assert "wide" not in text  # no guest of this release sees it
    assert "0x00030000" not in text  # every one sees the rest


@pytest.mark.parametrize(
    ("version", "conditions"),
    [
        (
            None,
            ["NAME == 2", "sizeof(struct thing) == 8", "sizeof(((struct thing *)0)->wide) == 4"],
        ),
        (
            "0x00030000",
            ["NAME == 2", "sizeof(((struct later *)0)->wide) == 4"],
        ),
        ("__XEN_LATEST_INTERFACE_VERSION__", ["NAME == 2"]),
        (
            "0x00020000",
            [
                "NAME == 1 && GONE == 4",
                "sizeof(((struct alias *)0)->narrow) == sizeof(narrow_t)",
                "sizeof(struct gone) == 2",
            ],
        ),
        ("0x00010000", ["sizeof(((struct thing *)0)->tail) == 2", "sizeof(struct thing) == 8"]),
    ],
)
def test_a_guest_sees_its_interface(
    old: Description, tmp_path: Path, version: str | None, conditions: list[str]
) -> None:
    options = [] if version is None else [f"-D__XEN_INTERFACE_VERSION__={version}"]
    build(old.abi("little64", "4.17"), tmp_path, holds(*conditions), *options)


def test_tools_speak_the_newest(tmp_path: Path) -> None:
    options = ["-D__XEN_TOOLS__", "-D__XEN_INTERFACE_VERSION__=0x00010000"]
    build(load("x86_64", "4.17"), tmp_path, "#include <xen/xen.h>\n" + FULL, *options)


FULL = '_Static_assert(__XEN_INTERFACE_VERSION__ == __XEN_LATEST_INTERFACE_VERSION__, "");\n'


def test_a_version_there_is_not(old: Description, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="has no such interface version"):
        build(
            old.abi("little64", "4.17"),
            tmp_path,
            holds(),
            "-D__XEN_INTERFACE_VERSION__=0x00050000",
        )


def test_an_includer_may_define(old: Description, tmp_path: Path) -> None:
    abi = old.abi("little64", "4.17")
    build(abi, tmp_path, holds("MINE == 5 && KEPT == 7"))
    build(abi, tmp_path, "#define MINE 6\n#define KEPT 8\n" + holds("MINE == 6 && KEPT == 8"))


def test_each_value_by_a_macro(old: Description, tmp_path: Path) -> None:
    code = """
    #define KIND(name, value) own_##name = (value),
    enum {
    #include <xen/old.h>
    };
    #ifdef KIND
    #error "still defined"
    #endif
    #ifdef ALWAYS
    #error "more than the list"
    #endif
    """
    code = "\n".join(line.strip() for line in code.splitlines())
    build(
        old.abi("little64", "4.17"),
        tmp_path,
        code + '\n_Static_assert(own_a == 3 && own_b == 4, "");\n' + holds("KIND_b == 4"),
    )


@pytest.mark.usefixtures("old")
def test_two_whole_structures(tmp_path: Path) -> None:
    (tmp_path / "abi" / "twice.yaml").write_text(
        "header: twice.h\nincludes: [xen.h]\nstructs:\n  twice:\n"
        "    - {interface_version: below 0x00030000, fields: []}\n"
        "    - {interface_version: from 0x00030000, fields: [{name: a, type: int}]}\n"
    )
    with pytest.raises(InputError, match="let its fields differ"):
        Description(tmp_path / "abi", FOLDER / "arch").abi("little64", "4.17")


@pytest.mark.parametrize("arch", ["x86_64", "x86_32", "arm64"])
@pytest.mark.parametrize("version", ["0x00030201", "0x00030205", "0x00040300"])
def test_ours_for_old_guests(tmp_path: Path, arch: str, version: str) -> None:
    """Every header that a guest may include, as one written for an old interface does."""
    abi = load(arch, architecture.load(arch).releases[-1])
    paths = [header.path for header in abi.headers() if not header.tools]
    code = "".join(f"#include <xen/{path}>\n" for path in paths)
    code += "xen_memory_reservation_t memory;\nunsigned int *bits = &memory.address_bits;\n"
    code = code if version < "0x00030209" else code.replace("address_bits", "mem_flags")
    build(abi, tmp_path, code, f"-D__XEN_INTERFACE_VERSION__={version}")


def test_ours_lists_errors_and_features(tmp_path: Path) -> None:
    code = """
    #define XEN_ERRNO(name, value) name = (value),
    enum {
    #include <xen/errno.h>
    };
    #define XEN_CPUFEATURE(name, value) X86_FEATURE_##name = (value),
    enum {
    #include <xen/arch-x86/cpufeatureset.h>
    };
    _Static_assert(EINVAL == 22 && X86_FEATURE_SSE3 == 32, "");
    #include <xen/io/xs_wire.h>
    """
    code = "\n".join(line.strip() for line in code.splitlines())
    build(load("x86_64", "4.17"), tmp_path, code + "\n#include <xen/io/netif.h>\n")
