"""Ports that must give the same verdicts, and what a run says when they do not."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from xenport.suite.comparison import differences
from xenport.suite.results import Outcome, Result


def result(
    port: str,
    test: str = "a",
    outcome: Outcome = Outcome.PASS,
    message: str = "",
    console: Sequence[str] = (),
    environment: str = "domU",
) -> Result:
    console = ("# start a", *console, "ok 1 a # time=0.1")
    return Result(port, "3.2", environment, test, "", "enter", outcome, 0.1, message, console)


def port(name: str, same_as: str | None = None) -> Any:
    return SimpleNamespace(name=name, same_as=same_as)


PORTS = [port("real", "model"), port("model")]


def told(*results: Result) -> list[str]:
    return [one.what for one in differences(PORTS, results)]


def test_the_same_is_no_difference() -> None:
    assert not told(
        result("model", console=["# took 12 ns, at 0x10"]),
        result("real", console=["# took 3.5 ns, at 0xffff"]),
        result("model", "b", Outcome.SKIP, "why"),
        result("real", "b", Outcome.SKIP, "why"),
    )


def test_ports_that_are_not_to_be_the_same_are_not_compared() -> None:
    results = [result("model"), result("other", outcome=Outcome.FAIL)]
    assert not differences([port("model"), port("other")], results)
    assert not differences([port("other", "absent"), port("model")], results)


@pytest.mark.parametrize(
    ("real", "what"),
    [
        (result("real", outcome=Outcome.FAIL, message="x"), "fail on real (x), pass on model"),
        (result("real", outcome=Outcome.TIMEOUT), "timeout on real, pass on model"),
        (result("real", console=["# hm"]), "real says: hm; model says: nothing"),
        (result("real", "other"), "was run on model only"),
    ],
)
def test_differences(real: Result, what: str) -> None:
    assert told(result("model"), real)[0] == what


def test_another_reason_is_a_difference() -> None:
    fails = [result(name, outcome=Outcome.FAIL, message=name) for name in ("model", "real")]
    assert told(*fails) == ["fail on real (real), fail on model (model)"]


def test_a_known_failure_is_agreed_upon() -> None:
    assert not told(result("model"), result("real", outcome=Outcome.XFAIL, message="known"))


def test_environments_of_one_port_are_its_own_business() -> None:
    assert not told(result("model"), result("real"), result("real", environment="domU-le"))
