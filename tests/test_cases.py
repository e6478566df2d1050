"""Every conformance test says in a page comment what it is about."""

import re
from pathlib import Path

import pytest

from xenport import content

ROOT = content.folder("conformance").parent
FILES = sorted([*ROOT.glob("conformance/cases/*.c"), *ROOT.glob("arch/*/cases/*.c")])
TEST = re.compile(r"^TEST\((\w+), ", re.MULTILINE)
COMMENT = re.compile(r"/\*(?:(?!\*/).)*\*/\n\Z", re.DOTALL)
LABELS = ("Provoked by:", "Expected:", "Source:")


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parents[1].name}/{path.stem}")
def test_page_comments(path: Path) -> None:
    text = path.read_text()
    for test in TEST.finditer(text):
        comment = COMMENT.search(text[: test.start()])
        assert comment is not None, f"{test[1]} has no comment directly above it"
        missing = [label for label in LABELS if label not in comment[0]]
        assert not missing, f"the comment of {test[1]} lacks {missing}"
