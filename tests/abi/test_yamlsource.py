"""What YAML means here; mistakes are in ``errors/`` and, where no file can hold them, below."""

from pathlib import Path
from typing import Any, Literal

import pytest

from xenport.errors import InputError
from xenport.yamlsource import Document, Hex, Strict, load, suggestion


class Leaf(Strict):
    number: int
    kind: Literal["a", "b"] = "a"


class Tree(Strict):
    name: str = ""
    leaves: dict[str, list[Leaf] | Leaf] = {}
    flag: bool = False
    pair: tuple[int, int] = (0, 0)


def write(folder: Path, text: str) -> Path:
    path = folder / "file.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12", 12), ("-3", -3), ("0x1f", 31), ("0XEA1", 0xEA1), ("1.5", 1.5), ("true", True),
        ("false", False), ("null", None), ("~", None), ("", None), ("yes", "yes"), ("on", "on"),
        ("010", "010"), ("12:30", "12:30"), ("1 << 2", "1 << 2"), ('"12"', "12"),
        ("4.17.0", "4.17.0"), ("0b1", "0b1"), ("1_000", "1_000"),
        ("2026-11-23", "2026-11-23"), ("a & b * c", "a & b * c"),
    ],
)  # fmt: skip
def test_scalars(tmp_path: Path, text: str, expected: Any) -> None:
    data = Document(write(tmp_path, f"key: {text}\n")).data["key"]
    assert data == expected
    assert type(data) is type(expected) or isinstance(data, Hex)


def test_hexadecimal_keeps_its_text(tmp_path: Path) -> None:
    data = Document(write(tmp_path, "key: 0x00fF\n")).data["key"]
    assert (data, data.text) == (255, "0x00fF")


def test_load(tmp_path: Path) -> None:
    tree = load(write(tmp_path, "leaves: {x: {number: 1}, y: [{number: 0x2, kind: b}]}\n"), Tree)
    assert tree.leaves["y"] == [Leaf(number=2, kind="b")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: [a]", ":1:7: expected text, found a list"),
        ("name: 4.20", ':1:7: 4.20 is not text here; put it in quotes: "4.20"'),
        ("leaves:\n  x: {nmber: 1}", ":2:7: unknown key 'nmber'; did you mean 'number'?"),
        ("leaves:\n  x:\n  - {}", ":3:5: the key 'number' is missing"),
        ("leaves:\n  x: {number: 1, kind: c}", ":2:24: expected a or b, found the text 'c'"),
        ("flag: maybe", ":1:7: expected true or false, found the text 'maybe'"),
        ("pair: 3", ":1:7: expected a list, found the number 3"),
        ("zzz: 3", ":1:1: unknown key 'zzz'; there are: flag, leaves, name, pair"),
        ("leaves: 0x10", ":1:9: expected a mapping, found the number 0x10"),
        (
            "name: 'a",
            ":2:1: not YAML: found unexpected end of stream while scanning a quoted scalar",
        ),
    ],
)
def test_mistakes(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, f"{text}\n")
    with pytest.raises(InputError) as caught:
        load(path, Tree)
    assert str(caught.value) == f"{path}{message}"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.yaml", tmp_path):
        with pytest.raises(InputError, match="cannot read"):
            load(path, Tree)


@pytest.mark.parametrize(
    "text",
    [
        "a: " + "[" * 100_000,
        "a: " + "[b," * 100_000 + "]" * 100_000,
        "a: " + "[{b: " * 50_000,
        "- " * 100_000,
        "? " * 100_000,
        "- ? " * 100_000,
        "\n".join(" " * depth + "a:" for depth in range(2000)),
    ],
)
def test_depth_is_limited(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match="nested deeper than 100 levels"):
        Document(write(tmp_path, text))


def test_error_points_at_what_is_there(tmp_path: Path) -> None:
    document = Document(write(tmp_path, "top:\n  - {a: 1, b: 2}\n"))
    assert str(document.error("m", "top", 0, "b")).endswith(":2:15: m")
    assert str(document.error("m", "top", 0, "b", key=True)).endswith(":2:12: m")
    assert str(document.error("m", "top", 0, "c", 7)).endswith(":2:5: m")
    assert str(document.error("m", "nothing")).endswith(":1:1: m")


def test_suggestion() -> None:
    assert suggestion("evtchn_sned", ["evtchn_send", "x"]) == "; did you mean 'evtchn_send'?"
    assert suggestion("q", ["b", "a"]) == "; there are: a, b"
    assert suggestion("q", []) == ""
    assert suggestion("q", map(str, range(100))) == ""
