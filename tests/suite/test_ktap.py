"""The lines of a test kernel and the records they are."""

import pytest

from xenport.suite import ktap
from xenport.suite.results import Outcome


@pytest.mark.parametrize(
    ("line", "record"),
    [
        ("KTAP version 1", ktap.Header()),
        ("1..62", ktap.Plan(62)),
        ("# start evtchn_send", ktap.Start("evtchn_send")),
        (
            "ok 1 evtchn_send # time=0.000123",
            ktap.Finish("evtchn_send", Outcome.PASS, "", 0.000123),
        ),
        ("ok 2 evtchn_send", ktap.Finish("evtchn_send", Outcome.PASS, "", None)),
        (
            "ok 3 wallclock # SKIP no clock",
            ktap.Finish("wallclock", Outcome.SKIP, "no clock", None),
        ),
        (
            "not ok 4 x # cases/events.c:41: rc is -22 (EINVAL), expected 0",
            ktap.Finish(
                "x", Outcome.FAIL, "cases/events.c:41: rc is -22 (EINVAL), expected 0", None
            ),
        ),
        ("not ok 5 x", ktap.Finish("x", Outcome.FAIL, "", None)),
        ("# end", ktap.End()),
    ],
)
def test_record(line: str, record: ktap.Record) -> None:
    assert ktap.parse(line) == record


@pytest.mark.parametrize(
    "line", ["", "# a note", "okay 1 x", "ok x", "ok 1", " ok 1 x", "1..", "1..x", "# started x"]
)
def test_anything_else_is_no_record(line: str) -> None:
    assert ktap.parse(line) is None
