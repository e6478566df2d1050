"""Grades and next steps."""

import pytest

from xenport.port import Outlook
from xenport.suite import ladder
from xenport.suite.results import Outcome, Result

PASS, FAIL, XFAIL, SKIP = Outcome.PASS, Outcome.FAIL, Outcome.XFAIL, Outcome.SKIP


def results(**outcomes: Outcome) -> list[Result]:
    return [
        Result("p", "4.17", "dom0", rung, rung, rung, outcome, 0.0, "")
        for rung, outcome in outcomes.items()
    ]


@pytest.mark.parametrize(
    ("outcomes", "grade", "stuck"),
    [
        ({}, None, None),
        ({"boot": FAIL}, None, "boot"),
        ({"boot": PASS, "enter": FAIL, "time": PASS}, "boot", "enter"),
        ({"boot": PASS, "enter": PASS, "time": PASS}, "time", None),
        ({"boot": PASS, "enter": XFAIL, "time": FAIL}, "enter", "time"),
        ({"boot": PASS, "enter": SKIP}, "boot", None),
    ],
)
def test_grade_is_the_highest_rung_without_failure_below(
    outcomes: dict[str, Outcome], grade: str | None, stuck: str | None
) -> None:
    climb = ladder.climb("p", results(**outcomes))
    assert (climb.grade.name if climb.grade else None) == grade
    assert (climb.stuck.name if climb.stuck else None) == stuck


def test_results_of_other_ports_do_not_count() -> None:
    climb = ladder.climb("q", results(boot=FAIL))
    assert climb.stuck is None


def test_the_rungs_are_those_of_the_design() -> None:
    assert [rung.name for rung in ladder.rungs()] == [
        "describe", "boot", "enter", "identify", "memory", "events", "time", "grants", "vcpus",
        "power", "devices", "control",
    ]  # fmt: skip


OUTLOOKS = {"enter": Outlook(has="a", lacks="b"), "events": Outlook(has="c", lacks="d")}


@pytest.mark.parametrize(
    ("outcomes", "rung", "has"),
    [
        ({"describe": PASS, "boot": PASS}, "enter", "a"),
        ({"describe": FAIL, "boot": PASS}, "describe", None),
        ({"boot": PASS, "enter": FAIL}, "enter", "a"),
        ({"boot": PASS, "enter": PASS}, "events", "c"),
        ({"events": PASS}, None, None),
        ({}, "enter", "a"),
    ],
)
def test_next_step_of_a_port_with_an_outlook(
    outcomes: dict[str, Outcome], rung: str | None, has: str | None
) -> None:
    climb = ladder.climb("p", results(**outcomes), OUTLOOKS)
    assert (climb.next.name if climb.next else None) == rung
    assert (climb.outlook.has if climb.outlook else None) == has
