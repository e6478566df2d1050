"""Bytes to lines, lines to writers, lines and events to ends."""

import pytest

from xenport.port.console import LONGEST, Lines, Writers, clean
from xenport.port.description import End
from xenport.port.ends import Ends, Seen


def test_lines_come_when_they_are_complete() -> None:
    lines = Lines()
    assert list(lines.feed(b"on")) == []
    assert list(lines.feed(b"e\r\ntwo\n\nth")) == ["one", "two", ""]
    assert list(lines.end()) == ["th"]
    assert list(lines.end()) == []


def test_a_character_may_come_in_two_parts() -> None:
    lines = Lines()
    first, second = "ü".encode()[:1], "ü".encode()[1:]
    assert list(lines.feed(first)) == []
    assert list(lines.feed(second + b"\n")) == ["ü"]


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"plain", "plain"),
        (b"tab\there", "tab\there"),
        (b"\x1b[1;31mred\x1b[0m", "red"),
        (b"\x1bc\x1b[2Jcleared", "cleared"),
        (b"a\x00b\x07c\x7fd\r", "abcd"),
        (b"broken \xff\xfe", "broken \ufffd\ufffd"),
        (b"\xc2\x9bcontrol\xc2\x85", "control"),
        ("\u2028separator".encode(), "separator"),
        (b"", ""),
    ],
)
def test_clean(raw: bytes, text: str) -> None:
    assert clean(raw) == text


def test_a_line_without_end_does_not_grow() -> None:
    lines = Lines()
    for _ in range(100):
        assert list(lines.feed(b"x" * 65536)) == []
    assert list(lines.feed(b"\nnext\n")) == ["x" * LONGEST, "next"]


def test_writers_with_dom0_under_test() -> None:
    writers = Writers("(XEN) ", None)
    assert writers.split("(XEN) Xen version") == ("hypervisor", "Xen version")
    assert writers.split("ok 1 name") == ("guest", "ok 1 name")
    assert writers.split("(XEN)") == ("hypervisor", "")
    assert writers.split("say (XEN) ") == ("guest", "say (XEN) ")


def test_writers_with_a_supervisor() -> None:
    writers = Writers("(XEN) ", "(d1) ")
    assert writers.split("(d1) ok 1 name") == ("guest", "ok 1 name")
    assert writers.split("(d1)") == ("guest", "")
    assert writers.split("# domain 1 shutdown crash") == ("supervisor", "# domain 1 shutdown crash")
    assert writers.split("(d2) other") == ("supervisor", "(d2) other")


def test_writers_of_a_model() -> None:
    assert Writers("", None).split("(XEN) looks like it") == ("guest", "(XEN) looks like it")


HALT = End(kind="poweroff", hypervisor="Dom0 halted", event="SHUTDOWN guest-shutdown")
PANIC = End(kind="crash", hypervisor=r"Panic on CPU \d+:\n(?P<detail>.*)")
CRASH = End(kind="crash", supervisor="domain 1 shutdown crash")


def test_an_end_needs_all_its_parts() -> None:
    for first_event in (True, False):
        ends = Ends([PANIC, HALT])
        if first_event:
            assert ends.event("SHUTDOWN guest-shutdown") is None
            seen = ends.line("hypervisor", " Dom0 halted: halting ")
        else:
            assert ends.line("hypervisor", " Dom0 halted: halting ") is None
            assert "not seen: SHUTDOWN guest-shutdown" in ends.half()
            seen = ends.event("SHUTDOWN guest-shutdown")
        assert seen is not None
        assert (seen.kind, seen.by_event) == ("poweroff", True)


def test_other_events_and_other_writers_are_no_end() -> None:
    ends = Ends([HALT, CRASH])
    assert ends.event("RESUME") is None
    assert ends.event("SHUTDOWN guest-reset") is None
    assert ends.line("guest", "domain 1 shutdown crash") is None
    assert ends.line("hypervisor", "domain 1 shutdown crash") is None
    assert ends.half() == ""
    assert ends.line("supervisor", "# domain 1 shutdown crash") == Seen(
        "crash", "# domain 1 shutdown crash", by_event=False
    )


def test_a_pattern_may_look_at_two_lines() -> None:
    ends = Ends([PANIC])
    assert ends.line("hypervisor", "Panic on CPU 0:") is None
    assert ends.line("guest", "in between") is None
    assert ends.line("hypervisor", "no memory") == Seen("crash", "no memory", by_event=False)
