"""The HTML reference: whole, well-formed, and every link leads somewhere."""

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner

from xenport.abi import Description
from xenport.abi.history import History
from xenport.abi.load import description
from xenport.abi.rows import rows
from xenport.cli import main
from xenport.emit import docs
from xenport.emit.drawing import draw
from xenport.emit.tree import MARK

VOID = {"br", "hr", "img", "input", "link", "meta"}


class Page(HTMLParser):
    """Ids and links of a page; a tag that is not closed, or not open, fails."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self._open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("href", "src"):
                self.links.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self._open and self._open[-1] == tag, (tag, self._open, self.getpos())
        self._open.pop()

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture(scope="module")
def ours() -> dict[str, str]:
    return docs.texts(description().abis())


@pytest.fixture(scope="module")
def pages(ours: dict[str, str]) -> dict[str, Page]:
    return {path: Page(text) for path, text in ours.items() if path.endswith(".html")}


def search_index(texts: dict[str, str]) -> list[list[str]]:
    text = texts["index.js"]
    return json.loads(text[text.index("[") : text.rindex("]") + 1])


def test_every_link_leads_somewhere(ours: dict[str, str], pages: dict[str, Page]) -> None:
    links = [(path, link) for path, page in pages.items() for link in page.links]
    links += [("index.js", entry[2]) for entry in search_index(ours)]
    assert len(links) > 1000
    for path, link in links:
        file, _, anchor = link.partition("#")
        assert (file or path) in ours, (path, link)
        if anchor:
            assert anchor in pages[file or path].ids, (path, link)


def test_ids_are_unique(pages: dict[str, Page]) -> None:
    for path, page in pages.items():
        assert len(set(page.ids)) == len(page.ids), path


def test_everything_is_there(ours: dict[str, str], pages: dict[str, Page]) -> None:
    history = History(description().abis())
    files = {entry[0]: entry[2] for entry in search_index(ours) if entry[1] == "header"}
    found = {(entry[1], entry[0]) for entry in search_index(ours)}
    for thing, places in history.things.items():
        if thing.kind == "group":
            continue
        assert (thing.kind, thing.name) in found
        for path in {place.things[thing].header.path for place in places}:
            if thing.kind != "header":
                assert f"{thing.kind}-{thing.name}" in pages[files[path]].ids
    assert any(thing.kind == "command" for thing in history.things)


def test_search_finds_members(ours: dict[str, str]) -> None:
    members = {entry[0]: entry[4].split() for entry in search_index(ours)}
    assert "evtchn_upcall_pending" in members["vcpu_info"]


def test_nothing_comes_from_a_network(ours: dict[str, str]) -> None:
    for path, text in ours.items():
        assert not re.search(r"(https?:)?//[a-z0-9-]+\.[a-z]", text), path


def test_every_bar_has_its_style(ours: dict[str, str]) -> None:
    styles = set(re.findall(r"^\.(b\d+)\{", ours["style.css"], re.MULTILINE))
    used = {style for text in ours.values() for style in re.findall(r'class="bar (b\d+)"', text)}
    assert used == styles != set()


def test_the_same_every_time(small: Description) -> None:
    assert docs.texts(small.abis()) == docs.texts(small.abis())


def test_contract_of_a_command(small: Description) -> None:
    text = docs.texts(small.abis())["io_event.html"]
    entry = text[text.index('id="command-EVENT_status">') :].split("</section>")[0]
    words = " ".join(" ".join(Page(f"<p {entry}</p>").words).split())
    assert "number 5 of event_op" in words and "pv, hvm on little32, little64" in words
    assert "ESRCH dom names no domain" in words
    assert "in dom, port" in words


def boxes(small: Description, arch: str, name: str) -> Iterator[tuple[int, int, str]]:
    """Start and end (bits) of every box that is drawn, with the member's name."""
    abi = small.abi(arch, "4.17")
    layout = abi.layout(name)
    table = rows(layout, abi.architecture.data_model.endian, expand=False)
    offset = 0
    for line in draw(table, layout.size, union=layout.kind == "union"):
        if line.offset is not None:
            offset = line.offset
        at = offset * 8
        for box in line.boxes:
            if box.row is not None:
                yield at, at + box.width + line.left_out * 8, box.row.name
            at += box.width
        assert at <= offset * 8 + line.scale


@pytest.mark.parametrize("arch", ["little64", "big64"])
def test_drawings_are_to_scale(small: Description, arch: str) -> None:
    for name in small.abi(arch, "4.17").structures:
        abi = small.abi(arch, "4.17")
        layout = abi.layout(name)
        drawn: dict[str, int] = {}
        covered: set[int] = set()
        for start, end, member in boxes(small, arch, name):
            drawn[member] = drawn.get(member, 0) + end - start
            covered |= set(range(start, end))
        assert covered == set(range(layout.size * 8)), name
        for member in layout.fields:
            bits = member.size * 8 if member.bits is None else member.bits
            assert drawn.get(member.name, 0) == bits, f"{name}.{member.name}"


def test_the_command(tmp_path: Path) -> None:
    out = tmp_path / "docs"
    arguments = ["abi", "docs", "--arch", "x86_64", "--release", "4.17", "-o", str(out)]
    for _ in range(2):  # the second time it is replaced
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, result.output
    files = list(out.iterdir())
    assert len(files) > 10 and (out / "index.html") in files
    for file in files:
        assert MARK in file.read_text()[:1000]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--arch", "vax"], "unknown architecture 'vax'"),
        (["--release", "4.99"], "release '4.99' is not described"),
    ],
)
def test_what_is_not_there(tmp_path: Path, arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(main, ["abi", "docs", *arguments, "-o", str(tmp_path / "docs")])
    assert result.exit_code == 2
    assert message in result.output and result.output.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_somebody_else(tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("dear")
    result = CliRunner().invoke(main, ["abi", "docs", "-o", str(tmp_path)])
    assert result.exit_code == 2 and "did not generate" in result.output
    assert [file.name for file in tmp_path.iterdir()] == ["letter"]
