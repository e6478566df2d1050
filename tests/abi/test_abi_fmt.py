"""``xenport abi fmt`` as a person types it."""

import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from xenport.cli import main

UNTIDY = "doc: A file.\nheader:   x.h\n"
TIDY = "header: x.h\ndoc: A file.\n"


def fmt(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["abi", "fmt", *map(str, arguments)], catch_exceptions=False)


def test_description_is_in_style() -> None:
    done = fmt("--check")
    assert (done.exit_code, done.output) == (0, "")


def test_check_lists_and_writes_nothing(tmp_path: Path) -> None:
    untidy, tidy = tmp_path / "untidy.yaml", tmp_path / "tidy.yaml"
    untidy.write_text(UNTIDY)
    tidy.write_text(TIDY)
    done = fmt("--check", untidy, tidy)
    assert (done.exit_code, done.output) == (1, f"{untidy}\n")
    assert untidy.read_text() == UNTIDY


def test_files_are_rewritten(tmp_path: Path) -> None:
    untidy, tidy = tmp_path / "untidy.yaml", tmp_path / "tidy.yaml"
    untidy.write_text(UNTIDY)
    untidy.chmod(0o640)
    tidy.write_text(TIDY)
    before = tidy.stat().st_ino
    done = fmt(untidy, tidy)
    assert (done.exit_code, done.output) == (0, f"formatted {untidy}\n")
    assert untidy.read_text() == TIDY
    assert stat.S_IMODE(untidy.stat().st_mode) == 0o640
    assert tidy.stat().st_ino == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tidy.yaml", "untidy.yaml"]
    assert fmt("--check", untidy, tidy).exit_code == 0


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.yaml").write_text(UNTIDY)
    link = tmp_path / "link.yaml"
    link.symlink_to("real.yaml")
    assert fmt(link).exit_code == 0
    assert link.is_symlink()
    assert (tmp_path / "real.yaml").read_text() == TIDY


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("header: x.h\n\tdoc: a\n", ":2:1: a tab; indent with spaces"),
        ("header: x.h\nheader: y.h\n", ":2:1: the key 'header' is here a second time"),
        ("", ":1:1: the file is empty"),
        ("name: x86_64\n", ":1:1: no file of the description"),
        ("[header]\n", ":1:1: no file of the description"),
    ],
)
@pytest.mark.parametrize("check", [[], ["--check"]])
def test_bad_file_stops_all(tmp_path: Path, text: str, message: str, check: list[str]) -> None:
    untidy, bad = tmp_path / "a.yaml", tmp_path / "b.yaml"
    untidy.write_text(UNTIDY)
    bad.write_text(text)
    done = fmt(*check, untidy, bad)
    assert done.exit_code == 2
    assert f"{bad}{message}" in done.output
    assert done.output.count("\n") == 1
    assert untidy.read_text() == UNTIDY


def test_file_that_is_not_there(tmp_path: Path) -> None:
    done = fmt(tmp_path / "none.yaml")
    assert done.exit_code == 2
    assert "none.yaml: cannot read: No such file or directory" in done.output
