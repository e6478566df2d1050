"""The rung that needs no boot: headers against the description."""

from pathlib import Path

import pytest

import xenport.abi
from xenport import emit, port as ports
from xenport.errors import InputError
from xenport.suite import describe
from xenport.suite.results import Outcome, Verdict

PORT = ports.load("xen-upstream-riscv64")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The headers that the description makes."""
    folder = tmp_path_factory.mktemp("headers") / "public"
    emit.write(xenport.abi.load(arch=PORT.architecture, release=PORT.release), "c", folder)
    return folder


def judged(test: str, tree: Path) -> Verdict:
    describe._compare.cache_clear()
    return describe.judge(test, PORT, tree)


@pytest.mark.parametrize("test", describe.TESTS)
def test_the_headers_of_the_description_agree_with_it(test: str, tree: Path) -> None:
    assert judged(test, tree).outcome is Outcome.PASS


def test_a_structure_with_another_layout(tree: Path) -> None:
    header = tree / "event_channel.h"
    text = header.read_text()
    try:
        more = "struct evtchn_send {\n    uint64_t more;"
        assert "struct evtchn_send {" in text
        header.write_text(text.replace("struct evtchn_send {", more))
        verdict = judged("headers_agree", tree)
    finally:
        header.write_text(text)
    assert verdict.outcome is Outcome.FAIL
    assert "evtchn_send" in verdict.message
    assert len(verdict.console) > 1 and "more" in verdict.message


def test_a_header_that_does_not_compile(tree: Path) -> None:
    header = tree / "vcpu.h"
    text = header.read_text()
    try:
        header.write_text("#error not yet\n")
        verdict = judged("headers_compile", tree)
    finally:
        header.write_text(text)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.message.startswith("vcpu.h does not compile: ")
    assert "not yet" in verdict.message


def test_nothing_to_compare() -> None:
    verdict = describe.judge("headers_agree", PORT, None)
    assert verdict.outcome is Outcome.SKIP
    assert "--headers" in verdict.message


def test_a_folder_that_is_no_tree(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no folder of Xen's public headers"):
        describe.judge("headers_agree", PORT, tmp_path)
