"""The generated C headers: they compile everywhere, and are written whole or not at all."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from xenport import architecture
from xenport.abi import Abi, Description, load
from xenport.abi.expressions import expression, names, types
from xenport.emit import c
from xenport.emit.c import header_texts, write_headers
from xenport.errors import InputError

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
    toolchain = abi.architecture.toolchain
    assert toolchain is not None
    return [*ZIG, language, "-target", toolchain.target, "-ffreestanding", *WARNINGS]


def use_everything(abi: Abi, folder: Path) -> str:
    """A source that includes every header and uses what the headers' macros promise."""
    lines = ["#define __XEN_TOOLS__ 1"]
    lines += [f"#include <{folder.name}/{path}>" for path in header_texts(abi)]
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
    lines[2:2] = [f"#include <{folder.name}/{path}>" for path in header_texts(abi)]
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
    write_headers(abi, headers)
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
        write_headers(abi, folder / "xen")
        sources = []
        for number, path in enumerate(header_texts(abi)):
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
    write_headers(load("x86_64", "4.17"), tmp_path / "xen")
    options = [*WARNINGS, f"-I{tmp_path}"]
    for compiler, suffix, standard in zip(HOST[0], (".c", ".cpp"), ("c11", "c++17"), strict=True):
        source = tmp_path / f"all{suffix}"
        source.write_text(use_everything(load("x86_64", "4.17"), tmp_path / "xen"))
        compile_([compiler], source, f"-std={standard}", *options)


def test_tools_headers_say_so(small: Description) -> None:
    text = header_texts(small.abi("little64", "4.17"))["layout.h"]
    assert '#error "layout.h is for tool stacks, which define __XEN_TOOLS__"' in text


def test_text(small: Description) -> None:
    text = header_texts(small.abi("little64", "4.17"))["io/event.h"]
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
    texts = header_texts(small.abi("little64", "4.17"))
    assert "#define __HYPERVISOR_event_op 32" in " ".join(texts["xen.h"].split())
    assert "__HYPERVISOR_event_op" not in texts["io/event.h"]


def test_comments_stay_comments(small: Description) -> None:
    text = header_texts(small.abi("little64", "4.17"))["xen.h"]
    assert "even one with * / and / * in it." in " ".join(text.split())
    assert text.count("/*") == text.count("*/")


def test_the_same_every_time(small: Description) -> None:
    folder = Path(__file__).parent.parent / "abi" / "description"
    again = Description(folder / "abi", folder / "arch")
    assert header_texts(small.abi("big64", "4.20")) == header_texts(again.abi("big64", "4.20"))


def test_own_tree_is_replaced(small: Description, tmp_path: Path) -> None:
    out = tmp_path / "a" / "b"
    write_headers(small.abi("little64", "4.17"), out)
    assert (out / "arch-alpha" / "xen-64.h").is_file()
    write_headers(small.abi("big64", "4.17"), out)
    assert not (out / "arch-alpha").exists() and (out / "arch-beta.h").is_file()
    assert [path.name for path in out.parent.iterdir()] == ["b"]


def test_an_empty_folder_is_taken(small: Description, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    write_headers(small.abi("little64", "4.17"), out)
    assert (out / "xen.h").is_file()


@pytest.mark.parametrize("name", ["notes.txt", "xen.h", "sub/mine.h"])
def test_foreign_files_are_kept(small: Description, tmp_path: Path, name: str) -> None:
    out = tmp_path / "out"
    write_headers(small.abi("little64", "4.17"), out)
    (out / name).parent.mkdir(exist_ok=True)
    (out / name).write_text("mine\n")
    with pytest.raises(InputError, match="what xenport did not generate"):
        write_headers(small.abi("big64", "4.17"), out)
    assert (out / name).read_text() == "mine\n"
    assert (out / "arch-alpha" / "xen.h").is_file()


def test_a_file_is_no_folder(small: Description, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine\n")
    for out in (tmp_path / "out", tmp_path / "out" / "below"):
        with pytest.raises(InputError):
            write_headers(small.abi("big64", "4.17"), out)
    assert (tmp_path / "out").read_text() == "mine\n"


def test_nothing_is_left_of_a_failure(
    small: Description, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    write_headers(small.abi("little64", "4.17"), out)
    before = {path: path.read_bytes() for path in out.rglob("*.h")}
    texts = header_texts(small.abi("big64", "4.17"))
    monkeypatch.setattr(c, "header_texts", lambda _: {**texts, "xen.h/impossible": ""})
    with pytest.raises(InputError, match="cannot write"):
        write_headers(small.abi("big64", "4.17"), out)
    assert {path: path.read_bytes() for path in out.rglob("*.h")} == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_the_old_tree_comes_back(
    small: Description, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The move of the new tree fails after the old one was moved away."""
    out = tmp_path / "out"
    write_headers(small.abi("little64", "4.17"), out)
    rename = Path.rename

    def fail_once(self: Path, target: Path) -> Path:
        if self.name == "new":
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_once)
    with pytest.raises(KeyboardInterrupt):
        write_headers(small.abi("big64", "4.17"), out)
    assert (out / "arch-alpha" / "xen.h").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_links_are_foreign(small: Description, tmp_path: Path) -> None:
    out, mine = tmp_path / "out", tmp_path / "mine"
    write_headers(small.abi("little64", "4.17"), out)
    mine.write_text("mine\n")
    (out / "link.h").symlink_to(mine)
    with pytest.raises(InputError, match="what xenport did not generate"):
        write_headers(small.abi("big64", "4.17"), out)
    assert mine.read_text() == "mine\n"
