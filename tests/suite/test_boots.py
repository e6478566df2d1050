"""From console lines to verdicts, over as many boots as it takes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fakes import HANG, FakeDriver, Script, make_test

from xenport.port import Ended, Limits
from xenport.suite.boots import BOOT_TEST, BootPool, EnvironmentRun, start
from xenport.suite.results import Outcome

A, B, C = (make_test(index, name) for index, name in enumerate("abc"))
OFF = make_test(3, "off", ends="poweroff")
HEADER = ["KTAP version 1", "1..3"]
NONE: Any = None  # the fakes do not look at the kernel


def passing(*names: str) -> list[str]:
    return [line for name in names for line in (f"# start {name}", f"ok 1 {name} # time=0.5")]


@contextmanager
def started(
    driver: FakeDriver, path: Path, *tests: Any, shows: str | None = None
) -> Iterator[EnvironmentRun]:
    run = EnvironmentRun(driver, "dom0", NONE, tests, path, Limits(), shows)
    pool = BootPool()
    run.start(pool)
    try:
        yield run
    finally:
        run.close()
        pool.close()
        assert driver.running == 0


def outcomes(path: Path, scripts: dict[str, Script], *tests: Any) -> dict[str, str]:
    with started(FakeDriver(scripts), path, *tests) as run:
        return {test.name: str(run.verdict(test.name).outcome) for test in tests}


def test_one_boot_runs_all(tmp_path: Path) -> None:
    script = [
        *HEADER,
        *passing("a"),
        "# start b",
        "not ok 2 b # why",
        "# start c",
        "ok 3 c # SKIP so",
    ]
    found = outcomes(tmp_path, {"tests=0-2": [*script, "# end"]}, A, B, C)
    assert found == {"a": "pass", "b": "fail", "c": "skip"}


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
    driver = FakeDriver({"tests=0-2": first, "tests=2": second})
    with started(driver, tmp_path, A, B, C) as run:
        assert run.verdict("c").outcome is Outcome.PASS
        verdict = run.verdict("b")
    assert (verdict.outcome, verdict.message) == (outcome, message)
    assert verdict.console == ("# start b", "a note")


def test_nothing_passes_in_another_environment_than_was_meant(tmp_path: Path) -> None:
    rest = [*HEADER, *passing("a", "b"), "# end"]
    for first, outcome in (("(XEN) using: null", "pass"), ("(XEN) using: credit", "fail")):
        driver = FakeDriver({"tests=0-1": [first, "using: null", *rest]})
        with started(driver, tmp_path, A, B, shows="using: null$") as run:
            for name in "ab":
                verdict = run.verdict(name)
                assert verdict.outcome == outcome
                assert verdict.message in ("", "the hypervisor did not show 'using: null$'")
        assert len(driver.command_lines) == 1


def test_an_end_between_tests_is_laid_on_the_next(tmp_path: Path) -> None:
    first = [*HEADER, *passing("a"), Ended("crash", "")]
    second = [*HEADER, *passing("c"), "# end"]
    found = outcomes(tmp_path, {"tests=0-2": first, "tests=2": second}, A, B, C)
    assert found == {"a": "pass", "b": "crash", "c": "pass"}


def test_a_kernel_that_does_not_start_is_not_booted_again(tmp_path: Path) -> None:
    driver = FakeDriver({"tests=0-1": ["(XEN) panic", Ended("crash", "Xen panicked")]})
    with started(driver, tmp_path, A, B, OFF) as run:
        for test in ("a", "b", "off"):
            assert run.verdict(test).message == (
                "the test kernel did not start: crash: Xen panicked"
            )
        assert run.verdict(BOOT_TEST).outcome is Outcome.PASS


def test_nothing_printed_fails_the_boot_itself(tmp_path: Path) -> None:
    driver = FakeDriver({"tests=0": [Ended("timeout", "10 s")]})
    with started(driver, tmp_path, A) as run:
        assert run.verdict(BOOT_TEST).outcome is Outcome.TIMEOUT
        assert run.verdict("a").outcome is Outcome.TIMEOUT


def test_boot_alone_needs_no_tests(tmp_path: Path) -> None:
    driver = FakeDriver({"tests=": ["hello", Ended("poweroff", "")]})
    with started(driver, tmp_path) as run:
        assert run.verdict(BOOT_TEST).outcome is Outcome.PASS


def test_a_test_the_kernel_leaves_out_fails(tmp_path: Path) -> None:
    found = outcomes(tmp_path, {"tests=0-1": [*HEADER, *passing("a"), "# end"]}, A, B)
    assert found == {"a": "pass", "b": "fail"}


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
    staying = [*HEADER, *passing("a"), "# end"]
    found = outcomes(tmp_path, {"tests=0": staying, "tests=3": script}, A, OFF)
    assert found == {"a": "pass", "off": outcome}


SLEEP = make_test(4, "sleep", ends="reboot", events="SUSPEND WAKEUP")
AGAIN = make_test(5, "again", ends="reset")
LIFE = [*HEADER, "# start again", "# found 1"]


@pytest.mark.parametrize(
    ("events", "outcome"),
    [
        ("RESUME SUSPEND WAKEUP SHUTDOWN", "pass"),
        ("SUSPEND SHUTDOWN", "fail"),
        ("WAKEUP SUSPEND", "fail"),
        ("", "fail"),
    ],
)
def test_what_the_machine_did_counts(tmp_path: Path, events: str, outcome: str) -> None:
    end = Ended("reboot", "", events=tuple(events.split()))
    script = [*HEADER, "# start sleep", end]
    assert outcomes(tmp_path, {"tests=4": script}, SLEEP) == {"sleep": outcome}


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        ([*LIFE, *HEADER, "# boot: late", *LIFE[-2:], Ended("reboot", "")], "pass"),
        ([*LIFE, *HEADER, "# start again", "# found 2", Ended("reboot", "")], "fail"),
        ([*LIFE, Ended("reboot", "")], "fail"),
        ([*LIFE, *LIFE, Ended("poweroff", "")], "fail"),
        ([*LIFE, *LIFE, Ended("timeout", "")], "timeout"),
        ([*LIFE, *LIFE, "not ok 1 again # still there", "# end"], "fail"),
    ],
)
def test_a_reset_changes_nothing(tmp_path: Path, script: Script, outcome: str) -> None:
    assert outcomes(tmp_path, {"tests=5": script}, AGAIN) == {"again": outcome}


def test_ending_tests_alone_need_no_other_boot(tmp_path: Path) -> None:
    script = [*HEADER, "# start off", Ended("poweroff", "")]
    assert outcomes(tmp_path, {"tests=3": script}, OFF) == {"off": "pass"}


def test_leaving_early_ends_the_machine(tmp_path: Path) -> None:
    driver = FakeDriver({"tests=0-1": [*HEADER, *passing("a"), HANG]})
    with started(driver, tmp_path, A, B) as run:
        assert run.verdict("a").outcome is Outcome.PASS
        assert driver.running == 1


def test_an_error_of_the_driver_reaches_those_who_wait(tmp_path: Path) -> None:
    with started(FakeDriver({}), tmp_path, A) as run, pytest.raises(KeyError):
        run.verdict("a")


def in_one_boot(
    path: Path, scripts: dict[str, Script], *tests: Any
) -> tuple[dict[str, str], list[str]]:
    """Outcomes, and the command lines of the boots, where a domain is started again."""
    driver = FakeDriver(scripts, again=True)
    with started(driver, path, *tests) as run:
        found = {test.name: str(run.verdict(test.name).outcome) for test in tests}
    return found, driver.command_lines


GONE = Ended("poweroff", "")
LATE = make_test(6, "late", ends="poweroff")


def test_a_domain_that_can_be_started_again_needs_no_other_boot(tmp_path: Path) -> None:
    ending = [*HEADER, "# start off", GONE]
    script = [*HEADER, *passing("a", "b"), "# end", GONE, *ending, *HEADER, "# start late", GONE]
    found, boots = in_one_boot(
        tmp_path, {"tests=0-1 -- dom0 tests=3 -- dom0 tests=6": script}, A, B, OFF, LATE
    )
    assert found == {"a": "pass", "b": "pass", "off": "pass", "late": "pass"}
    assert len(boots) == 1


def test_a_domain_that_dies_leaves_the_others_alone(tmp_path: Path) -> None:
    died = [*HEADER, *passing("a"), "# start b", Ended("crash", "")]
    scripts: dict[str, Script] = {
        "tests=0-2 -- dom0 tests=3": [*died, *HEADER, "# start off", GONE],
        "tests=2": [*HEADER, *passing("c"), "# end"],
    }
    found, command_lines = in_one_boot(tmp_path, scripts, A, B, C, OFF)
    assert found == {"a": "pass", "b": "crash", "c": "pass", "off": "pass"}
    assert command_lines == list(scripts)


def test_a_machine_that_dies_leaves_its_domains_to_the_next(tmp_path: Path) -> None:
    scripts: dict[str, Script] = {
        "tests=0-1 -- dom0 tests=3 -- dom0 tests=6": [*HEADER, "# start a", Ended("timeout", "")],
        "tests=1 -- dom0 tests=3 -- dom0 tests=6": [
            *(*HEADER, *passing("b"), "# end", GONE),
            *(*HEADER, Ended("crash", "the hypervisor's")),
        ],
        "tests=6": [*HEADER, "# start late", GONE],
    }
    found, command_lines = in_one_boot(tmp_path, scripts, A, B, OFF, LATE)
    assert found == {"a": "timeout", "b": "pass", "off": "crash", "late": "pass"}
    assert command_lines == list(scripts)


def test_a_domain_that_ends_in_another_way_fails(tmp_path: Path) -> None:
    script = [*HEADER, "# start off", Ended("reboot", ""), *HEADER, "# start late", GONE]
    found, _ = in_one_boot(tmp_path, {"tests=3 -- dom0 tests=6": script}, OFF, LATE)
    assert found == {"off": "fail", "late": "pass"}


def test_a_domain_that_does_not_start_again_fails(tmp_path: Path) -> None:
    script = [*HEADER, *passing("a"), "# end", GONE, "cannot", Ended("crash", "cannot be built")]
    script += [*HEADER, "# start late", GONE]
    found, _ = in_one_boot(
        tmp_path, {"tests=0 -- dom0 tests=3 -- dom0 tests=6": script}, A, OFF, LATE
    )
    assert found == {"a": "pass", "off": "crash", "late": "pass"}


@contextmanager
def sharing(driver: FakeDriver, path: Path, **tests: list[Any]) -> Iterator[list[EnvironmentRun]]:
    """One run for each environment, with its tests."""
    runs = [
        EnvironmentRun(driver, name, NONE, chosen, path / name, Limits())
        for name, chosen in tests.items()
    ]
    pool = BootPool()
    start(runs, pool)
    try:
        yield runs
    finally:
        for run in runs:
            run.close()
        pool.close()
        assert driver.running == 0


def test_environments_share_a_boot(tmp_path: Path) -> None:
    script = [
        *HEADER,
        "# start a",
        "ok 1 a # time=0.5",
        "# end",
        GONE,
        *HEADER,
        "# start off",
        GONE,
    ]
    script += [*HEADER, "# start a", "not ok 1 a # why", "# end"]
    line = "tests=0 -- pv tests=3 -- hvm tests=0"
    driver = FakeDriver({line: script}, again=True)
    with sharing(driver, tmp_path, pv=[A, OFF], bare=[], hvm=[A]) as (pv, bare, hvm):
        assert [str(pv.verdict(name).outcome) for name in ("boot", "a", "off")] == ["pass"] * 3
        assert [str(hvm.verdict(name).outcome) for name in ("boot", "a")] == ["pass", "fail"]
        assert bare.verdict("boot").outcome is Outcome.PASS
    assert driver.command_lines == [line]
    assert [folder.name for folder in tmp_path.iterdir()] == ["pv+bare+hvm"]


def test_an_environment_whose_kernel_does_not_start_leaves_the_others_alone(tmp_path: Path) -> None:
    cannot = Ended("crash", "cannot be built")
    scripts: dict[str, Script] = {
        "tests=0 -- pv tests=3 -- hvm tests=0 -- hvm tests=6": [
            *("cannot", cannot),
            *("cannot", cannot),
            *(*HEADER, "# start a", Ended("timeout", "")),
        ],
        "tests=6": [*HEADER, "# start late", GONE],
    }
    driver = FakeDriver(scripts, again=True)
    with sharing(driver, tmp_path, pv=[A, OFF], hvm=[A, LATE]) as (pv, hvm):
        assert {str(pv.verdict(name).outcome) for name in ("a", "off")} == {"crash"}
        assert [str(hvm.verdict(name).outcome) for name in ("a", "late")] == ["timeout", "pass"]
    assert driver.command_lines == list(scripts)


def test_an_environment_that_hangs_at_once_is_not_tried_again(tmp_path: Path) -> None:
    scripts: dict[str, Script] = {
        "tests=0 -- pv tests=3 -- hvm tests=0": ["nothing more", Ended("timeout", "no line")],
        "tests=0": [*HEADER, *passing("a"), "# end"],
    }
    driver = FakeDriver(scripts, again=True)
    with sharing(driver, tmp_path, pv=[A, OFF], hvm=[A]) as (pv, hvm):
        assert {str(pv.verdict(name).outcome) for name in ("a", "off")} == {"timeout"}
        assert hvm.verdict("a").outcome is Outcome.PASS
    assert driver.command_lines == list(scripts)


def test_no_domain_of_another_hypervisor_passes(tmp_path: Path) -> None:
    driver = FakeDriver({"tests=0 -- dom0 tests=3": [*HEADER, *passing("a"), "# end"]}, again=True)
    with started(driver, tmp_path, A, OFF, shows="sched") as run:
        assert {str(run.verdict(name).outcome) for name in ("a", "off")} == {"fail"}
