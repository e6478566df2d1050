"""The definitions for the assembler: each is there, once, and has its value when assembled."""

import re
import subprocess
import sys
from pathlib import Path

from elftools.elf.elffile import ELFFile

from xenport import emit
from xenport.abi import Abi
from xenport.emit import asm

DEFINITION = re.compile(r"#define (\w+) +(.+)")


def definitions(abi: Abi) -> dict[str, str]:
    text = asm.texts(abi)[asm.FILE]
    found = [match.groups() for match in map(DEFINITION.fullmatch, text.splitlines()) if match]
    assert len(found) == len(dict(found))
    assert text.count("#define") == len(found) + 1  # the include guard
    return dict(found)


def assembled(abi: Abi, names: list[str], folder: Path) -> list[int]:
    """The values of ``names``, unsigned, as the architecture's assembler sees them."""
    emit.write(abi, "asm", folder / "inc")
    source, to = folder / "all.S", folder / "all.o"
    data = [f".quad {name}" for name in names]
    source.write_text("\n".join([f'#include "{asm.FILE}"', ".data", *data]) + "\n")
    command = [sys.executable, "-m", "ziglang", "cc", "-target", abi.architecture.target]
    done = subprocess.run(
        [*command, f"-I{folder / 'inc'}", "-c", "-o", str(to), str(source)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    with to.open("rb") as stream:
        section = ELFFile(stream).get_section_by_name(".data")
        bytes_ = section.data()
    endian = abi.architecture.data_model.endian
    return [int.from_bytes(bytes_[at : at + 8], endian) for at in range(0, len(bytes_), 8)]


def test_values(every: Abi, tmp_path: Path) -> None:
    found = definitions(every)
    expected = {
        name: constant.value
        for name, constant in every.constants.items()
        if isinstance(constant.value, int)
    }
    for name in every.structures:
        prefix = name.upper()
        layout = every.layout(name)
        things = [(f"{prefix}_sizeof", layout.size)]
        for path, offset, member in layout.walk():
            own = f"{prefix}_{path}".replace(".", "_")
            things.append((own, offset))
            if member.bits is not None and member.bit_offset is not None:
                things += [(f"{own}_shift", member.bit_offset), (f"{own}_bits", member.bits)]
        for own, value in things:
            expected.setdefault(own, value)  # of two the later has an underscore: see below
    values = assembled(every, list(expected), tmp_path)
    mask = (1 << 64) - 1
    assert dict(zip(expected, values, strict=True)) == {
        name: value & mask for name, value in expected.items()
    }
    texts = {
        name: f'"{constant.value}"'
        for name, constant in every.constants.items()
        if isinstance(constant.value, str)
    }
    assert {name: found[name] for name in texts} == texts
    members = sum(
        1 + sum(1 if member.bits is None else 3 for _, _, member in every.layout(name).walk())
        for name in every.structures
    )
    assert len(found) == members + len(every.constants)


def test_collisions(awkward: Abi) -> None:
    found = definitions(awkward)
    assert (found["A_PAIR_x"], found["A_PAIR_x_"]) == ("7", "0")
    assert (found["A_PAIR_u_x_y"], found["A_PAIR_u_x_y_"]) == ("1", "2")
    assert (found["__DUNDER"], found["TOP"]) == ("(-5)", "0xffffffffffffffff")
