"""A release's headers are taken over into the description."""

import re
import shutil
from pathlib import Path

import pytest

from xenport import emit
from xenport.abi import Description
from xenport.abi.check import compare
from xenport.abi.facts import read_tree
from xenport.abi.importer import Import, Importer
from xenport.errors import InputError

DESCRIPTION = Path(__file__).parent / "description"
ARCHES = ("little64", "little32", "big64", "wide32")
NEW, OLD = "4.20", "4.17"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the small description."""
    shutil.copytree(DESCRIPTION, tmp_path / "description")
    return tmp_path / "description"


def described(folder: Path) -> Description:
    return Description(folder / "abi", folder / "arch")


def headers(folder: Path, out: Path) -> Path:
    """Headers of the newest release; what is not of the ABI is where no header is looked for."""
    emit.write(described(folder).abi("little64", NEW), "c", out)
    (out / "foreign").mkdir()
    (out / "xenport.h").rename(out / "foreign" / "xenport.h")
    for path in out.rglob("*.h"):
        path.write_text(
            re.sub(r'"((?:\.\./)*)xenport\.h"', r'"\1foreign/xenport.h"', path.read_text())
        )
    return out


def edit(path: Path, *changes: tuple[str, str]) -> None:
    text = path.read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    path.write_text(text)


def run(folder: Path, tree: Path) -> Import:
    return Importer(folder / "abi", folder / "arch", NEW, tree, lambda _text: None).run()


def only(folder: Path, *names: str) -> None:
    """Leave no architectures but ``names``."""
    for path in (folder / "arch").glob("*/*.yaml"):
        if path.stem not in names:
            path.unlink()


def test_nothing_new(copy: Path, tmp_path: Path) -> None:
    only(copy, "little64")
    found = run(copy, headers(copy, tmp_path / "h"))
    assert (found.files, found.new, found.changed) == ([], {}, {})


def test_what_changed_gets_its_releases(copy: Path, tmp_path: Path) -> None:
    only(copy, "little64")
    before = {release: described(copy).abi("little64", release) for release in ("4.14", OLD)}
    sizes = {release: abi.sizeof("status") for release, abi in before.items()}
    tree = headers(copy, tmp_path / "h")
    edit(
        tree / "io" / "event.h",
        ("#define STATE_closed 0", "#define STATE_closed 7\n#define STATE_fresh (1U << 4)"),
        (
            "struct send {",
            "struct fresh { uint64_aligned_t mask; XEN_GUEST_HANDLE(uint8) to; port_t port[3]; };\n"
            "typedef struct fresh fresh_t;\nstruct send {",
        ),
        ("    uint32_t nr;", "    uint32_t nr;\n    uint32_t more : 5, rest : 27;"),
    )
    found = run(copy, tree)
    assert found.new["io/event.h"] == ["fresh", "STATE_fresh"]
    assert sorted(found.changed["io/event.h"]) == ["STATE_closed", "status"]
    assert [path.name for path in found.files] == ["event.yaml"]
    text = (copy / "abi" / "event.yaml").read_text()
    assert '- {value: 7, since: "4.20"}' in text and f'- {{value: 0, until: "{OLD}"}}' in text
    assert 'STATE_fresh: {value: 1 << 4, suffix: U, since: "4.20"}' in " ".join(text.split())
    assert "doc: State of a port." in text and "count: nr" in text  # what people wrote stays
    new = described(copy)
    abi = new.abi("little64", NEW)
    abi.check()
    assert compare(abi, read_tree(tree, abi.architecture), whole=True).differences == []
    for release, size in sizes.items():
        abi = new.abi("little64", release)
        assert abi.sizeof("status") == size and abi.constant("STATE_closed") == 0
        assert "fresh" not in abi.structures
    assert run(copy, tree).files == []


def test_what_is_gone_ends_with_the_release_before(copy: Path, tmp_path: Path) -> None:
    only(copy, "little64")
    tree = headers(copy, tmp_path / "h")
    edit(tree / "io" / "event.h", ("#define STATE_closed 0\n", ""), ("    uint32_t virq;\n", ""))
    found = run(copy, tree)
    assert found.new == {}
    new = described(copy)
    assert "STATE_closed" in new.abi("little64", OLD).constants
    assert "STATE_closed" not in new.abi("little64", NEW).constants
    assert "virq" in dict(new.abi("little64", OLD).layout("status").find("u")[1].by_name)
    assert "virq" not in dict(new.abi("little64", NEW).layout("status").find("u")[1].by_name)


def test_a_release_that_no_architecture_has(copy: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no architecture has the release 4\.23; add it to"):
        Importer(copy / "abi", copy / "arch", "4.23", headers(copy, tmp_path / "h"), print)


def test_a_folder_that_has_no_headers(copy: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in copy.rglob("*.yaml")}
    with pytest.raises(InputError, match=r"it has no xen\.h"):
        run(copy, tmp_path)
    assert {path: path.read_bytes() for path in copy.rglob("*.yaml")} == before
