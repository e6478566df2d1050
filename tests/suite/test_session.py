"""A whole run, with boots that are scripts."""

import ast
import io
import json
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fakes import HANG, FakeDriver, Script, make_test
from rich.console import Console

from xenport import architecture, port as ports
from xenport.errors import InputError
from xenport.port import Ended
from xenport.suite import plugin, session
from xenport.suite.session import Options

PORT = """\
name: fake
kind: model
doc: A port of the tests.
architecture: arm64
release: "4.17"
environments:
  dom0: {doc: the only one, guest: arm, provides: [dom0]}
"""
TESTS = (
    make_test(0, "alpha", "enter"),
    make_test(1, "beta", "events"),
    make_test(2, "gamma", "events", needs="domu"),
    make_test(3, "delta", "power", needs="slow"),
)


def lines(*results: str) -> list[str]:
    text = ["KTAP version 1", f"1..{len(results)}"]
    for result in results:
        text += [f"# start {result.split()[-1]}", result]
    return [*text, "# end"]


ALL = "tests=0-1"
GOOD = lines("ok 1 alpha", "ok 2 beta")
BAD = lines("ok 1 alpha", "not ok 2 beta")

Runner = Callable[..., tuple[int, str]]


@pytest.fixture
def fake_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runner:
    built = dict.fromkeys(architecture.names(), SimpleNamespace(tests=TESTS))
    for user in (session, plugin):  # the coverage in a report has the port's real ones
        monkeypatch.setattr(user, "kernels", lambda _port, _compiler: built)

    def run(scripts: dict[str, Script], extra: str = "", **options: Any) -> tuple[int, str]:
        file = tmp_path / "fake.yaml"
        file.write_text(PORT + extra)
        driver = FakeDriver(scripts)
        monkeypatch.setattr(ports, "open", lambda *_args, **_options: driver)
        text = io.StringIO()
        try:
            status = session.run(Options([str(file)], **options), Console(file=text, width=200))
        finally:
            assert driver.running == 0
        return status, text.getvalue()

    return run


def test_all_pass(fake_run: Runner, tmp_path: Path) -> None:
    status, text = fake_run({ALL: GOOD}, report=tmp_path / "out")
    assert status == 0
    assert "fake/dom0: 3 pass" in text
    data = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [entry["test"] for entry in data["results"]] == ["boot", "alpha", "beta"]
    assert data["ladder"][0]["grade"] == "events"
    junit = (tmp_path / "out" / "junit.xml").read_text()
    assert 'tests="3"' in junit
    assert 'name="beta"' in junit


def test_a_failure_names_the_next_step(fake_run: Runner) -> None:
    status, text = fake_run({ALL: BAD})
    assert status == 1
    assert "fail fake/dom0/beta" in text
    assert "next step is rung 'events'" in text
    assert "Failing there: dom0/beta" in text


def test_a_known_failure_is_expected(
    fake_run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ast, "parse", None)  # boots run: see ConformanceItem.repr_failure
    known = "known_failures: [{test: beta, reason: not built in}]\n"
    status, _ = fake_run({ALL: BAD}, extra=known, report=tmp_path / "out")
    assert status == 0
    (beta,) = [
        entry
        for entry in json.loads((tmp_path / "out" / "results.json").read_text())["results"]
        if entry["test"] == "beta"
    ]
    assert beta["outcome"] == "xfail"
    assert beta["message"].startswith("not built in")


def test_a_known_failure_that_passes_must_be_struck(fake_run: Runner) -> None:
    known = "known_failures: [{test: beta, reason: not built in}]\n"
    status, text = fake_run({ALL: GOOD}, extra=known)
    assert status == 1
    assert "lists it as a known failure" in text


def test_a_crash_boots_again_for_the_rest(fake_run: Runner) -> None:
    crash = ["KTAP version 1", "1..2", "# start alpha", Ended("crash", "Xen panicked")]
    status, text = fake_run({ALL: crash, "tests=1": lines("ok 1 beta")})
    assert status == 1
    assert "crash fake/dom0/alpha: crash: Xen panicked" in text
    assert "2 pass, 1 crash" in text


def test_a_port_is_compared_with_the_one_it_must_be_the_same_as(
    fake_run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    third = {
        "tests=0-2": lines("ok 1 alpha", "ok 2 beta", "ok 3 gamma"),
        "tests=": lines(),  # an environment that is for other tests
    }
    status, text = fake_run({ALL: GOOD, **third}, extra="same_as: model-arm64\n")
    assert status == 0
    assert "differs" not in text

    good, worse = FakeDriver({ALL: GOOD}), FakeDriver({ALL: BAD, **third})
    monkeypatch.setattr(ports, "open", lambda port, **_: good if port.name == "fake" else worse)
    output = io.StringIO()
    options = Options([str(tmp_path / "fake.yaml")], report=tmp_path / "out")
    assert session.run(options, Console(file=output, width=200)) == 1
    text = output.getvalue()
    assert "differs fake/dom0/beta: pass on fake, fail on model-arm64" in text
    data = json.loads((tmp_path / "out" / "results.json").read_text())
    (difference,) = data["differences"]
    assert (difference["port"], difference["test"]) == ("fake", "beta")
    assert "pass on fake" in (tmp_path / "out" / "index.html").read_text()


def test_one_reason_is_told_once(fake_run: Runner) -> None:
    panic = ["(XEN) panic", Ended("crash", "no image")]
    status, text = fake_run({ALL: panic})
    assert status == 1
    assert text.count("the test kernel did not start: crash: no image") == 1
    assert "and 1 more failures in fake/dom0 that say what others said" in text


def test_an_expression_selects_what_the_boot_runs(fake_run: Runner) -> None:
    status, text = fake_run({"tests=1": lines("ok 1 beta")}, expression="beta")
    assert status == 0
    assert "fake/dom0: 1 pass" in text


def test_an_expression_may_name_a_rung(fake_run: Runner) -> None:
    status, text = fake_run({"tests=1": lines("ok 1 beta")}, expression="events")
    assert status == 0
    assert "fake/dom0: 1 pass" in text


@pytest.mark.parametrize("expression", ["delta", "power and dom0"])
def test_a_slow_test_runs_when_it_is_asked_for(fake_run: Runner, expression: str) -> None:
    status, text = fake_run({"tests=3": lines("ok 1 delta")}, expression=expression)
    assert status == 0
    assert "fake/dom0: 1 pass" in text


@pytest.mark.parametrize("expression", ["dom0", "not gamma"])
def test_a_slow_test_is_not_asked_for_by_where_it_runs(fake_run: Runner, expression: str) -> None:
    status, text = fake_run({ALL: GOOD}, expression=expression)
    assert status == 0
    assert "fake/dom0: 3 pass" in text


def test_names_of_folders_select_nothing(fake_run: Runner, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no test matches"):
        fake_run({}, expression=tmp_path.name)


@pytest.mark.parametrize("expression", ["no_such_test", "alpha and"])
def test_a_useless_expression_is_bad_input(fake_run: Runner, expression: str) -> None:
    with pytest.raises(InputError):
        fake_run({}, expression=expression)


def test_trouble_of_a_driver_is_bad_input(
    fake_run: Runner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def boot(*_args: Any, **_options: Any) -> Any:
        raise InputError("not an image", tmp_path / "xen")

    monkeypatch.setattr(FakeDriver, "boot", boot)
    with pytest.raises(InputError, match="not an image"):
        fake_run({}, report=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_sigterm_ends_the_machine_and_leaves_no_report(fake_run: Runner, tmp_path: Path) -> None:
    main = threading.main_thread().ident
    assert main is not None
    threading.Timer(0.5, lambda: signal.pthread_kill(main, signal.SIGTERM)).start()
    with pytest.raises(KeyboardInterrupt):
        fake_run({ALL: ["KTAP version 1", "# start alpha", HANG]}, report=tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["fake.yaml"]
