"""The one style of the description's files: what it looks like, and that nothing is lost to it.

``style/NAME.yaml`` is a file as somebody might write it, ``style/NAME.txt`` the same in style.
"""

import random
import time
from pathlib import Path
from typing import Any

import pytest

from xenport import content
from xenport.abi import style
from xenport.abi.schema import FileSpec
from xenport.errors import InputError
from xenport.yamlsource import Document, Hex

HERE = Path(__file__).parent
CONSTRUCTS = sorted((HERE / "style").glob("*.yaml"))
REAL = sorted(
    [
        *content.folder("abi").rglob("*.yaml"),
        *content.folder("arch").glob("*/abi/**/*.yaml"),
    ]
)
NOWHERE = Path("text.yaml")


def parsed(text: str) -> Any:
    return Document(NOWHERE, text).data


def formatted(text: str) -> str:
    return style.format_text(Document(NOWHERE, text))


def spelled(data: Any) -> Any:
    """``data`` such that what differs in spelling, type or order differs."""
    if isinstance(data, dict):
        return [(spelled(key), spelled(value)) for key, value in data.items()]
    if isinstance(data, list):
        return ["list", *map(spelled, data)]
    return type(data).__name__, getattr(data, "text", str(data))


def test_there_are_files() -> None:
    assert len(REAL) > 15
    assert len(CONSTRUCTS) >= 5


@pytest.mark.parametrize("path", CONSTRUCTS, ids=lambda path: path.stem)
def test_construct(path: Path) -> None:
    expected = path.with_suffix(".txt").read_text()
    assert style.format_text(path) == expected
    assert formatted(expected) == expected


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.name)
def test_real_file_is_in_style(path: Path) -> None:
    text = path.read_text()
    assert style.format_text(path) == text, "run `xenport abi fmt`"
    assert max(map(len, text.splitlines())) <= style.WIDTH


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.name)
def test_data_gives_the_same_text_as_the_file(path: Path) -> None:
    lines = path.read_text().splitlines(keepends=True)
    bare = "".join(line for line in lines if not line.lstrip().startswith("# "))
    assert style.dump(parsed(bare)) == bare


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.name)
def test_order_and_layout_do_not_matter(path: Path) -> None:
    """Every mapping of the grammar turned around, in a layout of its own, is brought back."""
    data = Document(path).data
    assert style.dump(turned(data, top=True)) == style.dump(data)


def turned(data: Any, name: str = "", top: bool = False, table: bool = False) -> Any:
    """``data`` with the keys of every mapping in reverse, where their order says nothing."""
    if isinstance(data, list):
        return [turned(item, name) for item in data]
    if not isinstance(data, dict) or name == "when":
        return data
    items = [
        (key, turned(value, name if table else key, table=top or key in ("values", "commands")))
        for key, value in data.items()
    ]
    return dict(items if table else reversed(items))


def test_short_forms_mean_the_same() -> None:
    """What is made short reads, through the grammar, as what was written."""
    before = Document(HERE / "style" / "short.yaml")
    after = Document(NOWHERE, style.format_text(before))
    assert spelled(before.data) != spelled(after.data)

    def meaning(document: Document) -> Any:
        spec = document.parse(FileSpec).model_dump()
        for kind in ("structs", "unions"):
            for name, alternatives in spec[kind].items():
                for one in alternatives:
                    one["typedef"] = f"{name}_t" if one["typedef"] is None else one["typedef"]
        return spec

    assert meaning(before) == meaning(after)


TEXTS = (
    *("a", "an_identifier", "some words", "two  spaces", "comma, here", "colon: here", "end:", ""),
    *(
        "#a",
        "a #b",
        "a#b",
        "'",
        '"',
        "\\",
        "a 'b' \"c\"",
        "-",
        "- a",
        "-a",
        "--- a",
        "... a",
        "...",
    ),
    *("? a", "?a", "a?b", ":a", "a:b", "::", "[a]", "a]", "{a", "a}b", "&a", "*a b", "a &b", "!a"),
    *("|", ">", ">-", "%a", "@a", "`a", "~", "~0", "null", "true", "false", "yes", "on", "Null"),
    *("0", "-0", "007", "1.5", "4.20", "0x1F", "-0X1f", "1e3", "12:30", "+1", ".5", "1.", "0x"),
    *(" a", "a ", "a\n", "a\nb", "a\n\nb\n", "a\n b", "\na", "a \nb", "a\n\n", "a\tb", "a\n\tb"),
    *("é", "a\u00a0b", "\u2028", "\x85", "\x01", "\U0001f600", "\ufeff", "a\rb", "= a", "<<"),
    *("word " * 30 + "end", "w" * 130, "a  b " * 30 + "c", "x, " * 50 + "y", "# " * 60 + "#"),
    *("a: " + "long " * 25 + "b", "line " * 30 + "\n" + "line " * 30 + "end", '"quoted text"'),
)
NAMES = (
    *("header", "doc", "name", "type", "value", "values", "fields", "union", "struct", "when"),
    *("since", "until", "errno", "callers", "args", "arg", "errors", "commands", "constants"),
    *("types", "structs", "hypercalls", "rules", "macros", "unknown_command", "typedef", "odd"),
)


def anything(random_: random.Random, depth: int) -> Any:
    """Data of any shape: mappings, lists and scalars where nothing in the grammar expects them."""
    kind = random_.random()
    if depth == 0 or kind < 0.4:
        return random_.choice(
            [
                random_.choice(TEXTS),
                random_.choice(TEXTS),
                random_.randint(-300, 300),
                Hex(random_.choice(["0x00ff", "0XAb", "-0x1"])),
                random_.choice([True, False, None]),
            ]
        )
    if kind < 0.6:
        return [anything(random_, depth - 1) for _ in range(random_.randint(0, 4))]
    keys = [*random_.sample(NAMES, random_.randint(0, 5)), *random_.sample(TEXTS, 1)]
    return {
        key: anything(random_, depth - 1)
        for key in (*keys, random_.randint(0, 9))
        if len(str(key)) < 60
    }


def without_short_forms(data: Any) -> Any:
    """A mapping has more than one key and a list other than one item: no other form stands in."""
    if isinstance(data, dict):
        data = {key: without_short_forms(value) for key, value in data.items() if key != "typedef"}
        return {**data, "more": 1, "most": 2}
    if isinstance(data, list):
        items = [without_short_forms(item) for item in data]
        return [*items, *items] if len(items) == 1 else items
    return data


def in_any_order(data: Any) -> Any:
    if isinstance(data, dict):
        return sorted(((spelled(key), in_any_order(value)) for key, value in data.items()), key=str)
    return ["list", *map(in_any_order, data)] if isinstance(data, list) else spelled(data)


@pytest.mark.parametrize("seed", range(300))
def test_random_data_comes_back(seed: int) -> None:
    data = without_short_forms(anything(random.Random(seed), 6))
    text = style.dump(data)
    again = parsed(text)
    assert in_any_order(again) == in_any_order(data)
    assert style.dump(again) == text
    assert formatted(text) == text
    assert not [line for line in text.splitlines() if line != line.rstrip(" ")]


@pytest.mark.parametrize("seed", range(100))
def test_random_data_with_short_forms_is_stable(seed: int) -> None:
    text = style.dump(anything(random.Random(seed), 5))
    assert style.dump(parsed(text)) == text
    assert formatted(text) == text


@pytest.mark.parametrize("value", TEXTS)
def test_text_comes_back(value: str) -> None:
    for data in (
        {"header": value},
        {"a": [{"b": value, "c": [value, 1]}]},
        [value],
        {"k": [value]},
    ):
        assert parsed(style.dump(data)) == data


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.name)
def test_comments_stay_before_what_they_are_about(path: Path) -> None:
    """A comment before every line that begins a key or an item: all are kept, with what follows."""
    random_ = random.Random(path.name)
    lines: list[str] = []
    expected: list[tuple[str, str]] = []
    inside_fold = -1
    for line in path.read_text().splitlines():
        indent = len(line) - len(line.lstrip())
        if line and indent <= inside_fold:
            inside_fold = -1
        begins = line.lstrip().startswith("- ") or line.split(":")[0].strip().isidentifier()
        broken = bool(lines) and lines[-1].endswith(",")
        if begins and not broken and inside_fold < 0 and random_.random() < 0.3:
            comment = f"# about {len(expected)}"
            lines.append(" " * indent + comment)
            expected.append((comment, line))
        if line.endswith(">-"):
            inside_fold = indent
        lines.append(line)
    text = "\n".join(lines) + "\n"
    assert formatted(text) == text
    assert expected or len(lines) < 30


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.name)
def test_comments_behind_something_are_kept(path: Path) -> None:
    """They move before it, and stay there."""
    random_ = random.Random(path.name)
    lines = path.read_text().splitlines()
    count = 0
    for index, line in enumerate(lines):
        no_fold = "{" in line or line[:-1].strip().isidentifier() or line.endswith((">-", "]"))
        if no_fold and line.endswith(("}", "]", ":", ",", ">-")) and random_.random() < 0.5:
            lines[index] += f"  # number {count}"
            count += 1
    text = formatted("\n".join(lines) + "\n")
    assert formatted(text) == text
    kept = [line.strip() for line in text.splitlines() if line.lstrip().startswith("# number")]
    assert sorted(kept) == sorted(f"# number {number}" for number in range(count))
    assert count or text.count("\n") < 30


def test_comment_of_what_becomes_short_is_kept() -> None:
    text = "header: x.h\ntypes:\n  a:\n    # About the type.\n    type: uint8\n"
    assert formatted(text) == "header: x.h\n\ntypes:\n  # About the type.\n  a: uint8\n"


def test_spelling_of_numbers_is_kept() -> None:
    text = "header: x.h\n\nconstants:\n  - name: g\n    values:\n      A: 0x00aB\n      B: 10\n"
    assert formatted(text) == text


def test_fractions_keep_their_spelling_in_a_file_and_are_refused_as_data() -> None:
    assert formatted("since: 4.20\n") == "since: 4.20\n"
    with pytest.raises(TypeError, match="float"):
        style.dump({"since": 4.20})


def test_lost_data_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check behind the layout sees it when the layout is wrong."""
    monkeypatch.setattr(style.scalars, "text", lambda value, _flow: value.replace("b", "c"))
    with pytest.raises(AssertionError, match="would change"):
        formatted("header:   x.h\ndoc: ab\n")


def test_bad_yaml_is_an_input_error(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("header: x.h\n\tdoc: a\n")
    with pytest.raises(InputError, match="tab"):
        style.format_text(path)


def test_speed() -> None:
    """15,000 lines take well under the two seconds that a person would notice."""
    lines = sum(path.read_text().count("\n") for path in REAL)
    start = time.process_time()
    for path in REAL:
        style.format_text(path)
    assert (time.process_time() - start) * 15_000 / lines < 4
