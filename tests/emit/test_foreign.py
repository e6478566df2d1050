"""Structures in another architecture's layout: as the compiler sees them, and what has none."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from xenport import architecture, emit
from xenport.abi import Layout, load
from xenport.emit import foreign
from xenport.errors import InputError

FOREIGN = [
    (arch, release, other, name)
    for arch in architecture.names()
    for release in (architecture.load(arch).releases[0], architecture.load(arch).releases[-1])
    for other, names in architecture.load(arch).foreign.items()
    for name in names
]


def places(layout: Layout, prefix: str = "", base: int = 0) -> Iterator[tuple[str, int]]:
    """Path and offset of the members that the header has: the widest where there are several."""
    for member in layout.fields:
        beside = [m for m in layout.fields if m.offset == member.offset]
        if member is not max(beside, key=lambda other: other.size):
            continue
        if any(m.offset < member.offset < m.offset + m.size for m in layout.fields):
            continue
        yield prefix + member.name, base + member.offset
        yield from places(member.layout, f"{prefix}{member.name}.", base + member.offset)


@pytest.mark.parametrize(("arch", "release", "other", "name"), FOREIGN)
def test_layout(arch: str, release: str, other: str, name: str, tmp_path: Path) -> None:
    abi = load(arch, release)
    layout = load(other, release).layout(name)
    tag = f"{layout.kind} {name}_{other}"
    emit.write(abi, "c", tmp_path / "xen")
    found = list(places(layout))
    source = tmp_path / "layout.c"
    source.write_text(
        "\n".join(
            [
                f'#include "xen/{foreign.path(other)}"',
                f'_Static_assert(sizeof({tag}) == {layout.size}, "size");',
                *(
                    f'_Static_assert(offsetof({tag}, {path}) == {offset}, "{path}");'
                    for path, offset in found
                ),
            ]
        )
    )
    done = subprocess.run(
        [
            *(sys.executable, "-m", "ziglang", "cc", "-target", abi.architecture.target),
            *("-ffreestanding", "-c", "-o", str(source.with_suffix(".o")), str(source)),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert len(found) >= len(layout.fields)
    assert done.returncode == 0, done.stderr


def test_each_once_and_after_what_it_needs() -> None:
    texts = foreign.definitions("x86_64", "4.17", ["vcpu_guest_context", "cpu_user_regs"])

    assert [text.split()[1] for text in texts] == [
        "cpu_user_regs_x86_64",
        "trap_info_x86_64",
        "vcpu_guest_context_x86_64",
    ]


def test_an_alignment_of_its_own_is_refused() -> None:
    with pytest.raises(InputError, match=r"vcpu_time_info\.tsc_timestamp has no foreign form"):
        foreign.definitions("x86_32", "4.17", ["vcpu_time_info"])
