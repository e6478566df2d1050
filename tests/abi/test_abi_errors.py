"""Every kind of mistake in the description gives one line that says where and what was expected.

A mistake is a file ``errors/NAME.yaml``, added to the small description beside it as the last of
its files; the message it gives is ``errors/NAME.txt``.
"""

import shutil
from pathlib import Path

import pytest

from xenport.abi import Description
from xenport.errors import InputError

HERE = Path(__file__).parent
MISTAKES = sorted(path.stem for path in (HERE / "errors").glob("*.yaml"))


def message(mistake: str, folder: Path) -> str:
    """What is said about ``mistake``."""
    shutil.copytree(HERE / "description", folder, dirs_exist_ok=True)
    last = folder / "abi" / "z"
    last.mkdir()
    shutil.copy(HERE / "errors" / f"{mistake}.yaml", last)
    with pytest.raises(InputError) as caught:
        Description(folder / "abi", folder / "arch").check()
    return str(caught.value).replace(f"{last}/", "").replace(f"{folder}/", "")


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake(mistake: str, tmp_path: Path) -> None:
    expected = (HERE / "errors" / f"{mistake}.txt").read_text().strip()
    assert message(mistake, tmp_path) == expected


def test_every_message_has_a_mistake() -> None:
    texts = sorted(path.stem for path in (HERE / "errors").glob("*.txt"))
    assert texts == MISTAKES
    assert len(MISTAKES) >= 30


@pytest.mark.parametrize("mistake", MISTAKES)
def test_message_points_into_the_file(mistake: str) -> None:
    path, line, column, text = (
        (HERE / "errors" / f"{mistake}.txt").read_text().strip().split(":", 3)
    )
    assert path == f"{mistake}.yaml"
    lines = (HERE / "errors" / f"{mistake}.yaml").read_bytes().split(b"\n")
    assert 1 <= int(line) <= len(lines)
    assert 1 <= int(column) <= len(lines[int(line) - 1]) + 1
    assert text.strip()
