"""Facts from ELF files: what compilers make, and what nobody should make."""

import random
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from xenport import emit
from xenport.abi import load
from xenport.abi.check import compare
from xenport.abi.facts import read_elf
from xenport.cli import main
from xenport.errors import InputError

ARCHES = ["x86_64", "x86_32", "arm64", "arm32", "ppc64", "riscv64"]
RELEASE = "4.20"
PROGRAM = """\
#include <xen.h>
#include <event_channel.h>
#include <io/blkif.h>
#include <vm_event.h>
struct shared_info shared; struct evtchn_status status; struct blkif_sring ring;
struct vm_event_st event; struct mine { int unrelated; } mine;
"""


def compiled(folder: Path, arch: str, *flags: str, change: tuple[str, str] = ("", "")) -> Path:
    """An object file of a program that uses the ABI; riscv64's is linked, as its readers need."""
    abi = load(arch, RELEASE)
    emit.write(abi, "c", folder / "h")
    path = folder / "h" / "event_channel.h"
    assert change[0] in path.read_text()
    path.write_text(path.read_text().replace(*change))
    source, target = folder / "program.c", folder / "program.o"
    source.write_text(PROGRAM)
    end = ["-nostdlib", "-Wl,--entry=0"] if arch == "riscv64" else ["-c"]
    command = [sys.executable, "-m", "ziglang", "cc", "-target", abi.architecture.target]
    command += ["-std=gnu11", "-ffreestanding", "-D__XEN_TOOLS__", f"-I{folder / 'h'}"]
    command += [*(flags or ("-g",)), *end]
    subprocess.run([*command, str(source), "-o", str(target)], check=True, timeout=120)
    return target


def check(arch: str, elf: Path, *more: str) -> tuple[int, str]:
    arguments = ["abi", "check", "--arch", arch, "--release", RELEASE, "--elf", str(elf), *more]
    result = CliRunner().invoke(main, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


@pytest.mark.parametrize("arch", ARCHES)
def test_an_elf_of_the_same_abi(tmp_path: Path, arch: str) -> None:
    status, text = check(arch, compiled(tmp_path, arch))
    assert (status, text.splitlines()[-1]) == (0, f"{arch} {RELEASE}: no difference")
    found = compare(load(arch, RELEASE), read_elf(tmp_path / "program.o"), whole=False)
    assert found.structures >= 8 and found.members > 40


@pytest.mark.parametrize("version", ["-gdwarf-3", "-gdwarf-4", "-gdwarf-5"])
def test_every_version_of_dwarf(tmp_path: Path, version: str) -> None:
    elf = compiled(tmp_path, "x86_64", "-g", version, "-gstrict-dwarf")
    assert check("x86_64", elf)[0] == 0


def test_a_difference(tmp_path: Path) -> None:
    elf = compiled(tmp_path, "arm64", change=("    uint32_t vcpu;", "    uint64_t vcpu;"))
    status, text = check("arm64", elf)
    assert status == 1
    assert "event_channel.h: evtchn_status.vcpu: 8 bytes in C, 4 in the description" in text


def test_another_architecture(tmp_path: Path) -> None:
    elf = compiled(tmp_path, "x86_64")
    status, text = check("arm32", elf)
    assert status == 2
    assert "64-bit little endian, and arm32 is 32-bit little endian" in text


def test_what_is_no_elf_of_this_kind(tmp_path: Path) -> None:
    for flags, message in ((("-g0",), "no debugging information"),):
        folder = tmp_path / flags[0]
        folder.mkdir()
        assert message in check("x86_64", compiled(folder, "x86_64", *flags))[1]
    text = tmp_path / "text"
    text.write_text("not an ELF at all")
    assert check("x86_64", text) == (2, f"xenport: {text}: not an ELF file\n")
    both = CliRunner().invoke(main, ["abi", "check", "--arch", "x86_64"])
    assert (both.exit_code, "expected one of --headers and --elf" in both.output) == (2, True)


def test_a_file_without_the_abi(tmp_path: Path) -> None:
    source, target = tmp_path / "a.c", tmp_path / "a.o"
    source.write_text("struct mine { int unrelated; } mine;")
    subprocess.run(
        [sys.executable, "-m", "ziglang", "cc", "-g", "-c", str(source), "-o", str(target)],
        check=True,
        timeout=120,
    )
    status, text = check("x86_64", target)
    assert status == 2 and "has no structure of the ABI" in text


def test_broken_files_end_in_one_message(tmp_path: Path) -> None:
    """Bytes are changed and files cut off: facts come out, or one message, and never for long."""
    whole = compiled(tmp_path, "x86_64").read_bytes()
    random_ = random.Random(4)
    refused = 0
    for number in range(150):
        data = bytearray(whole)
        if number % 3 == 0:
            del data[random_.randrange(len(data)) :]
        else:
            for _ in range(random_.choice((1, 8, 64, 512))):
                data[random_.randrange(4, len(data))] = random_.randrange(256)
        path = tmp_path / "broken"
        path.write_bytes(data)
        try:
            read_elf(path)
        except InputError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 50
