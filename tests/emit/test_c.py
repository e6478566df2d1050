"""The generated C headers: they compile everywhere."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from xenport import architecture, emit
from xenport.abi import Abi, Description, load
from xenport.abi.expressions import expression, names, types
from xenport.emit import c

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Wno-unused-command-line-argument"]
SMALL = ["little64", "little32", "big64", "wide32"]
OURS = [(name, architecture.load(name).releases[-1]) for name in architecture.names()]
HOST = [
    name
    for name in (("gcc", "g++"), ("cc", "c++"))
    if shutil.which(name[0]) and shutil.which(name[1])
]
ZIG = [sys.executable, "-m", "ziglang"]


def compile_(command: list[str], source: Path, *options: str) -> None:
    """Compile ``source``; a warning fails the test with the compiler's words."""
    done = subprocess.run(
        [*command, *options, "-c", "-o", str(source.with_suffix(".o")), str(source)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


def zig(abi: Abi, language: str) -> list[str]:
    return [*ZIG, language, "-target", abi.architecture.target, "-ffreestanding", *WARNINGS]


def use_everything(abi: Abi, folder: Path) -> str:
    """A source that includes every header and uses what the headers' macros promise."""
    lines = ["#define __XEN_TOOLS__ 1"]
    lines += [f"#include <{folder.name}/{path}>" for path in c.texts(abi)]
    lines += [
        "struct sample { XEN_GUEST_HANDLE(void) a; XEN_GUEST_HANDLE_64(char) b; };",
        "int use(struct sample *s, XEN_GUEST_HANDLE_PARAM(void) p, char *text);",
        "int use(struct sample *s, XEN_GUEST_HANDLE_PARAM(void) p, char *text)",
        "{",
        "    char *back;",
        "    set_xen_guest_handle(s->a, p.p);",
        "    set_xen_guest_handle(s->b, text);",
        "    get_xen_guest_handle(back, s->b);",
        "    return back == text;",
        "}",
    ]
    return "\n".join(lines) + "\n"


def assembler_source(abi: Abi, folder: Path) -> str:
    """Every constant that is no size of a type, as data."""
    lines = ["#define __ASSEMBLY__ 1", "#define __XEN_TOOLS__ 1", ".data"]
    lines[2:2] = [f"#include <{folder.name}/{path}>" for path in c.texts(abi)]
    for name, constant in abi.constants.items():
        if isinstance(constant.value, int) and not needs_types(abi, name):
            lines.append(f".quad {name}")
    return "\n".join(lines) + "\n"


def needs_types(abi: Abi, name: str) -> bool:
    item = abi.constant_item(name)
    assert item is not None
    value = item.spec.value
    if isinstance(value, int) or value.startswith('"'):
        return False
    tree = expression(value)
    return any(types(tree)) or any(needs_types(abi, inner) for inner in names(tree))


def compiles(abi: Abi, folder: Path) -> None:
    headers = folder / "xen"
    emit.write(abi, "c", headers)
    include = f"-I{folder}"
    source = folder / "all.c"
    source.write_text(use_everything(abi, headers))
    compile_(zig(abi, "cc"), source, include, "-std=c11")
    source = source.with_suffix(".cpp")
    source.write_text(use_everything(abi, headers))
    compile_(zig(abi, "c++"), source, include, "-std=c++17")
    source = folder / "all.S"
    source.write_text(assembler_source(abi, headers))
    compile_(zig(abi, "cc"), source, include)


@pytest.mark.parametrize("arch", SMALL)
def test_small_compiles(small: Description, tmp_path: Path, arch: str) -> None:
    compiles(small.abi(arch, "4.17"), tmp_path)


@pytest.mark.parametrize(("arch", "release"), OURS)
def test_ours_compiles(tmp_path: Path, arch: str, release: str) -> None:
    compiles(load(arch, release), tmp_path)


def test_each_header_compiles_alone_and_first(small: Description, tmp_path: Path) -> None:
    """In one run of the compiler: a header is alone where its guards are not yet defined."""
    for abi in (small.abi("little64", "4.17"), load("x86_64", "4.17"), load("arm64", "4.17")):
        folder = tmp_path / abi.architecture.name
        emit.write(abi, "c", folder / "xen")
        sources = []
        for number, path in enumerate(c.texts(abi)):
            source = folder / f"{number}.c"
            source.write_text(f"#include <xen/{path}>\n#include <xen/{path}>\nint x{number};\n")
            sources.append(str(source))
        done = subprocess.run(
            [*zig(abi, "cc"), "-std=c11", "-D__XEN_TOOLS__", f"-I{folder}", "-c", *sources],
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not HOST, reason="no gcc here")
def test_the_host_compiler_agrees(tmp_path: Path) -> None:
    """As a hosted program includes them: below a folder, beside the C library's headers."""
    emit.write(load("x86_64", "4.17"), "c", tmp_path / "xen")
    options = [*WARNINGS, f"-I{tmp_path}"]
    for compiler, suffix, standard in zip(HOST[0], (".c", ".cpp"), ("c11", "c++17"), strict=True):
        source = tmp_path / f"all{suffix}"
        source.write_text(use_everything(load("x86_64", "4.17"), tmp_path / "xen"))
        compile_([compiler], source, f"-std={standard}", *options)


USES = """
#include <xen/errno.h>
#include <xen/arch-x86/cpufeatureset.h>
#define XEN_ERRNO(name, value) name##_here = (value),
enum {
#include <xen/errno.h>
};
#define XEN_CPUFEATURE(name, value) int has_##name[(value) == XEN_X86_FEATURE_##name ? 1 : -1];
struct once {
#include <xen/arch-x86/cpufeatureset.h>
};
struct again {
#include <xen/arch-x86/cpufeatureset.h>
};
#undef XEN_CPUFEATURE
#include <xen/errno.h>
#include <xen/arch-x86/cpufeatureset.h>
int same[(int)ENOSYS_here == (int)XEN_ENOSYS ? 1 : -1];
"""


@pytest.mark.skipif(not HOST, reason="no gcc here")
@pytest.mark.parametrize("release", ["4.14", "4.23"])
def test_lists_for_a_macro_of_the_includer(release: str, tmp_path: Path) -> None:
    """As Xen's own sources and tools use errno.h and cpufeatureset.h."""
    emit.write(load("x86_64", release), "c", tmp_path / "xen")
    source = tmp_path / "uses.c"
    source.write_text(USES)
    compile_([HOST[0][0]], source, "-std=c11", *WARNINGS, f"-I{tmp_path}")


def test_tools_headers_say_so(small: Description) -> None:
    text = c.texts(small.abi("little64", "4.17"))["layout.h"]
    assert '#error "layout.h is for tool stacks, which define __XEN_TOOLS__"' in text


def test_text(small: Description) -> None:
    text = c.texts(small.abi("little64", "4.17"))["io/event.h"]
    for line in (
        "/* SPDX-License-Identifier: MIT */",
        " * Generated by xenport for little64, release 4.17. Do not edit.",
        "#ifndef XENPORT_IO_EVENT_H",
        '#include "../xen.h"',
        "#define EVENT_status 5",
        "/* A port. */",
        "typedef uint32_t port_t;",
        "DEFINE_XEN_GUEST_HANDLE(port_t);",
        "typedef struct status status_t;",
    ):
        assert line in text.splitlines()
    assert max(map(len, text.splitlines())) <= 100


def test_numbers_of_hypercalls_stand_together(small: Description) -> None:
    texts = c.texts(small.abi("little64", "4.17"))
    assert "#define __HYPERVISOR_event_op 32" in " ".join(texts["xen.h"].split())
    assert "__HYPERVISOR_event_op" not in texts["io/event.h"]


def test_comments_stay_comments(small: Description) -> None:
    text = c.texts(small.abi("little64", "4.17"))["xen.h"]
    assert "even one with * / and / * in it." in " ".join(text.split())
    assert text.count("/*") == text.count("*/")


def test_the_same_every_time(small: Description) -> None:
    folder = Path(__file__).parent.parent / "abi" / "description"
    again = Description(folder / "abi", folder / "arch")
    assert c.texts(small.abi("big64", "4.20")) == c.texts(again.abi("big64", "4.20"))
