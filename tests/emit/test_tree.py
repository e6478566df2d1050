"""A generated tree: written whole or not at all, and never over somebody else's files."""

from pathlib import Path

import pytest

from xenport import emit
from xenport.abi import Description
from xenport.emit import c
from xenport.errors import InputError


def test_own_tree_is_replaced(small: Description, tmp_path: Path) -> None:
    out = tmp_path / "a" / "b"
    emit.write(small.abi("little64", "4.17"), "c", out)
    assert (out / "arch-alpha" / "xen-64.h").is_file()
    emit.write(small.abi("big64", "4.17"), "c", out)
    assert not (out / "arch-alpha").exists() and (out / "arch-beta.h").is_file()
    assert [path.name for path in out.parent.iterdir()] == ["b"]


def test_an_empty_folder_is_taken(small: Description, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    emit.write(small.abi("little64", "4.17"), "c", out)
    assert (out / "xen.h").is_file()


@pytest.mark.parametrize("name", ["notes.txt", "xen.h", "sub/mine.h"])
def test_foreign_files_are_kept(small: Description, tmp_path: Path, name: str) -> None:
    out = tmp_path / "out"
    emit.write(small.abi("little64", "4.17"), "c", out)
    (out / name).parent.mkdir(exist_ok=True)
    (out / name).write_text("mine\n")
    with pytest.raises(InputError, match="what xenport did not generate"):
        emit.write(small.abi("big64", "4.17"), "c", out)
    assert (out / name).read_text() == "mine\n"
    assert (out / "arch-alpha" / "xen.h").is_file()


def test_a_file_is_no_folder(small: Description, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine\n")
    for out in (tmp_path / "out", tmp_path / "out" / "below"):
        with pytest.raises(InputError):
            emit.write(small.abi("big64", "4.17"), "c", out)
    assert (tmp_path / "out").read_text() == "mine\n"


def test_nothing_is_left_of_a_failure(
    small: Description, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    emit.write(small.abi("little64", "4.17"), "c", out)
    before = {path: path.read_bytes() for path in out.rglob("*.h")}
    texts = c.texts(small.abi("big64", "4.17"))
    monkeypatch.setattr(c, "texts", lambda _: {**texts, "xen.h/impossible": ""})
    with pytest.raises(InputError, match="cannot write"):
        emit.write(small.abi("big64", "4.17"), "c", out)
    assert {path: path.read_bytes() for path in out.rglob("*.h")} == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_the_old_tree_comes_back(
    small: Description, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The move of the new tree fails after the old one was moved away."""
    out = tmp_path / "out"
    emit.write(small.abi("little64", "4.17"), "c", out)
    rename = Path.rename

    def fail_once(self: Path, target: Path) -> Path:
        if self.name == "new":
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_once)
    with pytest.raises(KeyboardInterrupt):
        emit.write(small.abi("big64", "4.17"), "c", out)
    assert (out / "arch-alpha" / "xen.h").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_links_are_foreign(small: Description, tmp_path: Path) -> None:
    out, mine = tmp_path / "out", tmp_path / "mine"
    emit.write(small.abi("little64", "4.17"), "c", out)
    mine.write_text("mine\n")
    (out / "link.h").symlink_to(mine)
    with pytest.raises(InputError, match="what xenport did not generate"):
        emit.write(small.abi("big64", "4.17"), "c", out)
    assert mine.read_text() == "mine\n"
