"""Building test kernels: the cache, other compilers, mistakes, the same bytes every time."""

import multiprocessing
import platform
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from xenport import architecture, content
from xenport.errors import InputError
from xenport.kernel import Kernel, build, compiler as compilers

CASES = Path(__file__).parent / "cases"
RELEASE = "4.17"

#: The tests in `CASES`, in the order of the catalogue.
SAMPLES = ["sample_passes", "sample_powers_off", "second_fails"]

#: Registers that the vectors do not save.
VECTOR_REGISTERS = {
    "x86_64": r"%[xyz]mm\d",
    "x86_32": r"%[xyz]?mm\d",
    "arm64": r"\b[qvd]\d+\b",
    "arm32": r"\b[qds]\d+\b",
    "ppc64": r"\b(lvx|stvx|lxv\w*|stxv\w*|lfd|stfd)\b",
}

gcc = pytest.mark.skipif(
    platform.machine() != "x86_64" or shutil.which("gcc") is None, reason="needs an x86-64 gcc"
)


def build_x86(cases: Path = CASES, compiler: str | None = None) -> Kernel:
    return build(architecture.load("x86_64"), RELEASE, cases=cases, compiler=compiler)


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all tests that do not mind what is in it already."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _own_cache(shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(shared_cache))


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    """A copy of the sample tests, to be changed."""
    return Path(shutil.copytree(CASES, tmp_path / "cases"))


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were compiled, or linked, so far."""
    names: list[str] = []
    run = compilers._run

    def record(command: list[str], source: Path) -> None:
        names.append(source.name)
        run(command, source)

    monkeypatch.setattr(compilers, "_run", record)
    return names


def test_kernel(cases: Path) -> None:
    kernel = build_x86(cases)

    assert [test.name for test in kernel.tests] == SAMPLES
    assert kernel.tests[1].needs == ("pv|hvm", "dom0")
    assert kernel.tests[1].ends == "poweroff"
    assert kernel.release == RELEASE
    assert kernel.image() == kernel.elf
    with kernel.elf.open("rb") as file:
        assert ELFFile(file).get_section_by_name(".note.Xen") is not None


@pytest.mark.parametrize("compiler", [None, pytest.param("gcc", marks=gcc)])
def test_places_in_messages(cases: Path, compiler: str | None) -> None:
    """The source's path as a kernel prints it, wherever the source was."""
    elf = build_x86(cases, compiler).elf.read_bytes()

    assert b"\0cases/second.c\0" in elf


def test_unchanged_kernel_is_not_built_again(compiled: list[str]) -> None:
    first = build_x86()
    compiled.clear()

    assert build_x86() == first
    assert compiled == []


def test_only_what_changed_is_compiled(cases: Path, compiled: list[str]) -> None:
    first = build_x86(cases)
    compiled.clear()
    with (cases / "second.c").open("a") as file:
        file.write('TEST(third, EVENTS, "one more") {}\n')

    second = build_x86(cases)

    assert second.elf != first.elf
    assert [test.name for test in second.tests][3:] == ["third"]
    assert compiled == ["second.c", "x86_64.lds"]


def test_changed_header_is_noticed(cases: Path) -> None:
    first = build_x86(cases)
    (cases / "number.h").write_text("#define NUMBER 43\n")

    assert build_x86(cases).elf != first.elf


def test_releases_have_kernels_of_their_own() -> None:
    arch = architecture.load("x86_64")

    assert build(arch, "4.14", cases=CASES).elf != build(arch, "4.20", cases=CASES).elf


WITH_KERNELS = [name for name in architecture.names() if architecture.load(name).toolchain]


@pytest.mark.parametrize("name", WITH_KERNELS)
def test_all_architectures(name: str) -> None:
    arch = architecture.load(name)
    kernel = build(arch, arch.releases[-1], cases=CASES)

    assert [test.name for test in kernel.tests] == SAMPLES
    assert kernel.image().stat().st_size > 0


def test_tests_of_the_architecture_come_with_those_of_conformance() -> None:
    arch = architecture.load("ppc64")
    sources = [path.name for path in (arch.folder / "cases").glob("*.c")]
    names = {test.name for test in build(arch, "3.2").tests}

    assert sources
    for source in sources:
        text = (arch.folder / "cases" / source).read_text()
        assert set(re.findall(r"^TEST\((\w+)", text, re.MULTILINE)) <= names


@pytest.mark.parametrize("name", VECTOR_REGISTERS)
def test_only_general_registers(name: str, tmp_path: Path) -> None:
    """A copy that the compiler would like to make with vector registers."""
    source = tmp_path / "copy.c"
    source.write_text(
        "struct big { long x[8]; };\n"
        "void copy(struct big *a, struct big *b) { *a = *b; }\n"
        "void clear(struct big *a) { *a = (struct big){0}; }\n"
    )
    arch = architecture.load(name)
    toolchain = arch.toolchain
    assert toolchain is not None
    command = compilers.Compiler.find(arch, None).command
    to = tmp_path / "copy.s"
    flags = [*compilers.FLAGS, *toolchain.cflags, "-Wno-error", "-S"]
    subprocess.run([*command, *flags, str(source), "-o", str(to)], check=True)
    text = to.read_text()

    assert "copy:" in text
    assert not re.search(VECTOR_REGISTERS[name], text)


def test_flat_image(cases: Path) -> None:
    """From the first loaded byte to the last, at the distance that the ELF file says."""
    kernel = build(architecture.load("arm64"), RELEASE, cases=cases)
    image = kernel.image().read_bytes()

    with kernel.elf.open("rb") as file:
        segments = [
            segment for segment in ELFFile(file).iter_segments("PT_LOAD") if segment["p_filesz"]
        ]
        start = min(segment["p_paddr"] for segment in segments)
        for segment in segments:
            offset = segment["p_paddr"] - start
            assert image[offset:].startswith(segment.data())
    assert image[0x38:0x3C] == b"ARM\x64"


def test_same_bytes_wherever_it_is_built(
    cases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = build_x86(cases).elf.read_bytes()

    elsewhere = tmp_path / "elsewhere"
    for name in ("abi", "arch", "conformance"):
        shutil.copytree(content.folder(name), elsewhere / "checkout" / name)
    shutil.copytree(cases, elsewhere / "deep" / "er" / "cases")
    monkeypatch.setattr(content, "_root", lambda: elsewhere / "checkout")
    monkeypatch.setenv("XDG_CACHE_HOME", str(elsewhere / "cache"))
    there = build_x86(elsewhere / "deep" / "er" / "cases").elf

    assert there.is_relative_to(elsewhere)
    assert there.read_bytes() == here
    assert str(tmp_path).encode() not in here


@gcc
def test_gcc(cases: Path) -> None:
    kernel = build_x86(cases, compiler="gcc")

    assert kernel.tests == build_x86(cases).tests
    assert kernel.elf != build_x86(cases).elf


@gcc
def test_gcc_too_builds_the_same_bytes_everywhere(cases: Path, tmp_path: Path) -> None:
    shutil.copytree(cases, tmp_path / "other" / "cases")
    here = build_x86(cases, compiler="gcc").elf
    (tmp_path / "other" / "cases" / "unused.h").write_text("/* another kernel to the cache */\n")
    there = build_x86(tmp_path / "other" / "cases", compiler="gcc").elf

    assert here != there
    assert here.read_bytes() == there.read_bytes()


@pytest.mark.parametrize("compiler", [None, pytest.param("gcc", marks=gcc)])
def test_error_in_a_test(cases: Path, compiler: str | None) -> None:
    (cases / "wrong.c").write_text(
        '#include <test.h>\n\nTEST(wrong, ENTER, "wrong")\n{\n    CHECK(nothing == nowhere);\n}\n'
    )

    with pytest.raises(InputError) as caught:
        build_x86(cases, compiler)

    error = caught.value
    assert error.path == str(cases / "wrong.c")
    assert error.line == 5
    assert "nothing" in error.message
    log = re.search(r"all of it: (.*)\)", error.message)
    assert log
    assert "nowhere" in Path(log[1]).read_text()


def test_warning_is_an_error(cases: Path) -> None:
    (cases / "wrong.c").write_text("int unused(void);\nint unused(void) { int x; return 0; }\n")

    with pytest.raises(InputError, match="unused variable 'x'"):
        build_x86(cases)


def test_text_that_does_not_fit_is_an_error(cases: Path) -> None:
    (cases / "wrong.c").write_text(
        f'#include <test.h>\nTEST(wrong, ENTER, "{"x" * 120}")\n{{\n}}\n'
    )

    with pytest.raises(InputError, match="title is too long"):
        build_x86(cases)


def test_error_of_the_linker(cases: Path) -> None:
    (cases / "wrong.c").write_text("void missing(void);\nvoid caller(void) { missing(); }\n")

    with pytest.raises(InputError, match=r"undefined (hidden )?symbol: missing"):
        build_x86(cases)


def test_failure_leaves_nothing_behind(
    cases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (cases / "wrong.c").write_text("#error stop\n")

    with pytest.raises(InputError, match="stop"):
        build_x86(cases)

    cache = tmp_path / "cache" / "xenport"
    assert list((cache / "kernels").iterdir()) == []
    assert not [path for path in (cache / "objects").iterdir() if path.suffix != ".o"]


@pytest.mark.parametrize(
    ("compiler", "message"),
    [
        ("no-such-compiler", "C compiler 'no-such-compiler' cannot be run"),
        ("false", "C compiler 'false' does not answer --version"),
        ("", "C compiler '' cannot be run"),
    ],
)
def test_compiler_that_is_none(compiler: str, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        build_x86(compiler=compiler)


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ("exec sleep 60", "did not end within 1 s"),
        ("[ $1 = --version ] || exec sleep 60", "the compiler did not end within 1 s"),
    ],
)
def test_compiler_that_hangs(
    answers: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compilers, "_LIMIT", 1)
    script = tmp_path / "hangs"
    script.write_text(f"#!/bin/sh\n{answers}\n")
    script.chmod(0o755)

    with pytest.raises(InputError, match=message):
        build_x86(compiler=str(script))


def test_unknown_release() -> None:
    with pytest.raises(InputError, match=r"release '2.0' of x86_64 is not described; there are: 4"):
        build(architecture.load("x86_64"), "2.0")


def _build_in_process(cases: Path) -> bytes:
    return build_x86(cases).elf.read_bytes()


def test_two_processes_at_once(
    cases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        first, second = pool.map(_build_in_process, [cases, cases])

    assert first == second
    left = [path.name for path in (tmp_path / "cache").rglob(".*")]
    assert left == []
