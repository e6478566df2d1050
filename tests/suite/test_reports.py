"""The report folder and what is in it."""

import json
import re
from pathlib import Path

import pytest

from xenport.errors import InputError
from xenport.suite import ladder, reports
from xenport.suite.coverage import Coverage
from xenport.suite.results import Difference, Outcome, Result, Run


def result(
    test: str, outcome: Outcome, rung: str = "events", environment: str = "dom0", message: str = ""
) -> Result:
    return Result(
        "p", "4.17", environment, test, "title", rung, outcome, 0.25, message, ("<line>",)
    )


@pytest.fixture
def run() -> Run:
    return Run(
        "2026-01-01T00:00:00+00:00",
        [
            result("boot", Outcome.PASS, "boot"),
            result("a", Outcome.PASS),
            result("b", Outcome.FAIL, message="</script># rc is -22"),
            result("c", Outcome.SKIP, message="why"),
            result("a", Outcome.XFAIL, environment="domU", message="known"),
        ],
        differences=[Difference("dom0", "a", "p", "q", "<pass> on p, fail on q")],
    )


def test_results_json_holds_every_result_and_the_ladder(run: Run, tmp_path: Path) -> None:
    reports.write(run, Coverage((), ()), tmp_path)
    data = json.loads((tmp_path / "results.json").read_text())
    assert [entry["outcome"] for entry in data["results"]] == [
        "pass", "pass", "fail", "skip", "xfail",
    ]  # fmt: skip
    assert data["results"][2] == {
        "port": "p",
        "release": "4.17",
        "environment": "dom0",
        "test": "b",
        "title": "title",
        "rung": "events",
        "outcome": "fail",
        "seconds": 0.25,
        "message": "</script># rc is -22",
    }
    (climb,) = data["ladder"]
    assert (climb["port"], climb["grade"], climb["next"]) == ("p", "boot", "events")


def test_documented_keys_are_the_keys(run: Run) -> None:
    text = (Path(__file__).parents[2] / "conformance" / "report.md").read_text()
    text = text.partition("# Coverage")[0]
    documented = set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
    climbs = [ladder.climb("p", run.results)]
    data = reports.as_data(run, climbs)
    climb, difference = data["ladder"][0], data["differences"][0]
    used = {*data, *data["results"][0], *difference, *climb, *climb["rungs"][0]}
    assert documented == used


def test_ktap_is_nested_and_escapes_the_hash(run: Run) -> None:
    text = reports.as_ktap(run.results)
    assert text.splitlines() == [
        "KTAP version 1",
        "1..2",
        "    KTAP version 1",
        "    1..4",
        "    ok 1 boot",
        "    ok 2 a",
        "    not ok 3 b # fail: </script>\\# rc is -22",
        "    ok 4 c # SKIP why",
        "not ok 1 p/dom0",
        "    KTAP version 1",
        "    1..1",
        "    not ok 1 a # TODO known",
        "ok 2 p/domU",
    ]


def test_html_is_one_file_and_escapes(run: Run) -> None:
    page = reports.as_html(run, [ladder.climb("p", run.results)])
    assert "&lt;/script&gt;# rc is -22" in page
    assert "&lt;line&gt;" in page
    assert page.count("</script>") == 1
    assert not re.search(r"""(src|href)=["'](https?:)?//""", page)
    for missing in ("domU", "not ok"):
        assert (missing in page) == (missing == "domU")


def test_a_folder_that_is_no_report_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    with pytest.raises(InputError, match="not a report"), reports.report_folder(tmp_path):
        pass
    assert (tmp_path / "mine").read_text() == "x"


def test_an_old_report_is_replaced_whole(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "out"
    for name in ("first", "second"):
        with reports.report_folder(path) as work:
            reports.write(run, Coverage((), ()), work)
            (work / name).touch()
    assert not (path / "first").exists()
    assert (path / "second").exists()
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), reports.report_folder(tmp_path / "out") as work:
        (work / "results.json").touch()
        raise RuntimeError
    assert not list(tmp_path.iterdir())
