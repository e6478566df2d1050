"""The files ``arch/FAMILY/NAME.yaml``."""

from pathlib import Path

import pytest

from xenport import architecture
from xenport.errors import InputError

TEXT = """\
name: toy
family: toys
doc: A toy.
releases: ["4.17"]
guests: [hvm]
header: arch-toy.h
target: x86_64-freestanding-none
data_model:
  endian: little
  sizes: {char: 1, short: 2, int: 4, long: 8, pointer: 8}
  guest_handle: {size: 8, align: 8}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "toys" / "toy.yaml"
    path.parent.mkdir()
    path.write_text(text)
    return path


def test_read(tmp_path: Path) -> None:
    toy = architecture.read(write(tmp_path, TEXT))
    assert (toy.name, toy.data_model.page_size, toy.image) == ("toy", 4096, "elf")
    assert toy.folder == tmp_path / "toys"


def test_a_variant_changes_what_it_names_from_its_release_on(tmp_path: Path) -> None:
    text = TEXT.replace('["4.17"]', '["3.2", "4.17", "4.18"]')
    text += 'variants:\n  - {since: "4.17", header: arch-new.h, target: other}\n'
    toy = architecture.read(write(tmp_path, text))
    assert toy.at("3.2").header == "arch-toy.h"
    assert toy.at("4.18").header == "arch-new.h"
    assert (toy.at("4.17").target, toy.at("4.17").data_model) == ("other", toy.data_model)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name: toy", "name: top", ":1:7: expected toy, the name of the file"),
        ("family: toys", "family: toy", ":2:9: expected toys, the name of the folder"),
        ('["4.17"]', "[4.17]", ':4:12: 4.17 is not text here; put it in quotes: "4.17"'),
        (
            "endian: little",
            "endian: middle",
            ":9:11: expected little or big, found the text 'middle'",
        ),
        (", pointer: 8}", "}", ":10:10: the size of pointer is missing"),
        ("long: 8", "long: 0", ":10:44: input should be greater than 0"),
        ("doc: A toy.", "dco: A toy.", ":3:1: unknown key 'dco'; did you mean 'doc'?"),
    ],
)
def test_mistakes(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = write(tmp_path, TEXT.replace(old, new))
    with pytest.raises(InputError) as caught:
        architecture.read(path)
    assert str(caught.value) == f"{path}{message}"


def test_unknown_name() -> None:
    with pytest.raises(InputError, match="unknown architecture 'x86_46'; did you mean 'x86_64'"):
        architecture.load("x86_46")


@pytest.mark.parametrize("name", architecture.names())
def test_ours(name: str) -> None:
    one = architecture.load(name)
    assert one.folder.is_dir()
    assert one.releases
    assert one.guests or not one.toolchain  # a port that runs no guests yet has layouts only
