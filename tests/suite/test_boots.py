"""From console lines to verdicts, over as many boots as it takes."""

from pathlib import Path
from typing import Any

import pytest
from fakes import FakeDriver, Script, make_test

from xenport.port import Ended, Limits
from xenport.suite.boots import BOOT_TEST, EnvironmentRun
from xenport.suite.results import Outcome

A, B, C = (make_test(index, name) for index, name in enumerate("abc"))
HEADER = ["KTAP version 1", "1..3"]
NONE: Any = None  # the fakes do not look at the kernel


def passing(*names: str) -> list[str]:
    return [line for name in names for line in (f"# start {name}", f"ok 1 {name} # time=0.5")]


def environment(driver: FakeDriver, path: Path, *tests: Any) -> EnvironmentRun:
    return EnvironmentRun(driver, "dom0", NONE, tests, path, Limits())


def outcomes(path: Path, scripts: list[Script], *tests: Any) -> tuple[dict[str, str], FakeDriver]:
    driver = FakeDriver(scripts)
    run = environment(driver, path, *tests)
    found = {test.name: str(run.verdict(test.name).outcome) for test in tests}
    run.close()
    assert driver.running == 0
    return found, driver


def test_one_boot_runs_all(tmp_path: Path) -> None:
    script = [
        *HEADER,
        *passing("a"),
        "# start b",
        "not ok 2 b # why",
        "# start c",
        "ok 3 c # SKIP so",
    ]
    found, driver = outcomes(tmp_path, [[*script, "# end"]], A, B, C)
    assert found == {"a": "pass", "b": "fail", "c": "skip"}
    assert driver.command_lines == ["tests=0-2"]


@pytest.mark.parametrize(
    ("end", "outcome", "message"),
    [
        (Ended("crash", "Xen panicked"), "crash", "crash: Xen panicked"),
        (Ended("killed", "signal 9"), "crash", "killed: signal 9"),
        (Ended("poweroff", ""), "crash", "poweroff"),
        (Ended("flood", "16 MiB"), "crash", "flood: 16 MiB"),
        (Ended("timeout", "30 s without a line"), "timeout", "timeout: 30 s without a line"),
    ],
)
def test_an_end_costs_the_running_test_only(
    tmp_path: Path, end: Ended, outcome: str, message: str
) -> None:
    first = [*HEADER, *passing("a"), "# start b", "a note", end]
    second = [*HEADER, *passing("c"), "# end"]
    driver = FakeDriver([first, second])
    run = environment(driver, tmp_path, A, B, C)
    assert run.verdict("c").outcome is Outcome.PASS
    verdict = run.verdict("b")
    assert (verdict.outcome, verdict.message) == (outcome, message)
    assert verdict.console == ("# start b", "a note")
    assert driver.command_lines == ["tests=0-2", "tests=2"]


def test_an_end_between_tests_is_laid_on_the_next(tmp_path: Path) -> None:
    first = [*HEADER, *passing("a"), Ended("crash", "")]
    found, driver = outcomes(tmp_path, [first, [*HEADER, *passing("c"), "# end"]], A, B, C)
    assert found == {"a": "pass", "b": "crash", "c": "pass"}
    assert driver.command_lines == ["tests=0-2", "tests=2"]


def test_a_kernel_that_does_not_start_is_not_booted_again(tmp_path: Path) -> None:
    driver = FakeDriver([["(XEN) panic", Ended("crash", "Xen panicked")]])
    run = environment(driver, tmp_path, A, B, C)
    for test in "abc":
        assert run.verdict(test).message == ("the test kernel did not start: crash: Xen panicked")
    assert run.verdict(BOOT_TEST).outcome is Outcome.PASS


def test_nothing_printed_fails_the_boot_itself(tmp_path: Path) -> None:
    run = environment(FakeDriver([[Ended("timeout", "10 s")]]), tmp_path, A)
    assert run.verdict(BOOT_TEST).outcome is Outcome.TIMEOUT
    assert run.verdict("a").outcome is Outcome.TIMEOUT


def test_boot_alone_needs_no_tests(tmp_path: Path) -> None:
    driver = FakeDriver([["hello", Ended("poweroff", "")]])
    assert environment(driver, tmp_path).verdict(BOOT_TEST).outcome is Outcome.PASS


def test_a_test_the_kernel_leaves_out_fails(tmp_path: Path) -> None:
    found, _ = outcomes(tmp_path, [[*HEADER, *passing("a"), "# end"]], A, B)
    assert found == {"a": "pass", "b": "fail"}


OFF = make_test(3, "off", ends="poweroff")


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        ([*HEADER, "# start off", Ended("poweroff", "halted")], "pass"),
        ([*HEADER, "# start off", Ended("reboot", "")], "fail"),
        ([*HEADER, "# start off", Ended("timeout", "")], "timeout"),
        ([*HEADER, "# start off", "not ok 1 off # it came back", "# end"], "fail"),
        ([*HEADER, "# start off", "# end"], "fail"),
        ([*HEADER, Ended("poweroff", "")], "crash"),
    ],
)
def test_an_ending_test_is_judged_from_outside(
    tmp_path: Path, script: Script, outcome: str
) -> None:
    found, driver = outcomes(tmp_path, [[*HEADER, *passing("a"), "# end"], script], A, OFF)
    assert found == {"a": "pass", "off": outcome}
    assert driver.command_lines == ["tests=0", "tests=3"]


def test_the_machine_is_ended_when_a_run_is_left_early(tmp_path: Path) -> None:
    driver = FakeDriver([[*HEADER, *passing("a", "b"), "# end"]])
    run = environment(driver, tmp_path, A, B)
    assert run.verdict("a").outcome is Outcome.PASS
    assert driver.running == 1
    run.close()
    assert driver.running == 0
