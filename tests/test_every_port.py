"""Every port that comes with xenport passes its own suite: the models, and real Xen under QEMU.

These are the runs that ``xenport run`` makes. ``make test`` fetches what a port needs; where that
is missing the test fails and says how to get it.
"""

import fnmatch
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from xenport import port as ports
from xenport.kernel import build

RUNGS = {"boot", "enter", "identify", "memory", "events", "time", "power"}


def run(port: str, report: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "xenport", "run", "--port", port, "--report", str(report), *options],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


WITH_GUESTS = [name for name in ports.names() if not ports.load(name).is_bare]
WHOLE = "4.17"  #: the release of Debian's Xen whose tests that take long run every time
QUICK = {"xen-4.20-arm64"}  #: of another release, and run every time without such tests


def runs() -> Iterator[pytest.ParameterSet]:
    """Every port with the tests that take long, slow but for one release."""
    for port in map(ports.load, WITH_GUESTS):
        whole = port.is_model or port.release == WHOLE
        if port.name in QUICK:
            yield pytest.param(port.name, [], id=port.name)
        slow = [] if whole else [pytest.mark.slow]
        yield pytest.param(port.name, ["--slow"], id=f"{port.name}-whole", marks=slow)


@pytest.mark.parametrize(("name", "options"), [*runs()])
def test_port_passes(name: str, options: list[str], tmp_path: Path) -> None:
    report = tmp_path / "report"
    done = run(name, report, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    data = json.loads((report / "results.json").read_text())
    assert data["differences"] == []
    results = [result for result in data["results"] if result["port"] == name]
    port = ports.load(name)
    assert {result["environment"] for result in results} == set(port.environments)
    assert {result["rung"] for result in results} >= RUNGS
    assert {result["outcome"] for result in results} <= {"pass", "xfail"}
    assert next(c for c in data["ladder"] if c["port"] == name)["next"] is None
    for environment, described in port.environments.items():
        own = [result for result in results if result["environment"] == environment]
        assert len(own) >= 40
        for pattern in described.tests:
            assert fnmatch.filter([result["test"] for result in own], pattern), pattern
    consoles = list((report / "consoles" / name).iterdir())  # several names: a boot of them all
    assert {one for folder in consoles for one in folder.name.split("+")} == set(port.environments)
    assert all((folder / "tests-1.log").stat().st_size > 1000 for folder in consoles)
    suite = ElementTree.parse(report / "junit.xml").find("testsuite")
    assert suite is not None
    assert int(suite.attrib["tests"]) == len(data["results"])
    assert (report / "results.ktap").read_text().startswith("KTAP version 1\n1..")
    page = (report / "coverage.html").read_text()
    for environment in port.environments:
        assert f"<td>{name}/{environment}</td>" in page


def modelled() -> list[str]:
    """The real ports of architectures that the model has."""
    real = [port for port in map(ports.load, WITH_GUESTS) if not port.is_model]
    return [port.name for port in real if f"model-{port.architecture}" in ports.names()]


@pytest.mark.parametrize("name", modelled())
def test_the_model_has_what_xen_offers(name: str) -> None:
    """The kinds of guest, of which the model has them under one scheduler, for the same tests; and
    both get the same kernel. A guest of another architecture may be that one's model's."""
    xen = ports.load(name)
    model = ports.load(f"model-{xen.architecture}", xen.release)
    assert build(model.arch, model.release).elf == build(xen.arch, xen.release).elf
    assert set(model.environments) <= set(xen.environments)
    for kind, environment in xen.environments.items():
        if environment.shows:
            continue
        other = ports.load(f"model-{xen.guest_arch(environment).name}")
        same = model.environments.get(kind) or other.environments[kind]
        assert same.tests == environment.tests
        assert what_all_builds_have(same, environment) == what_all_builds_have(environment, same)


def what_all_builds_have(environment: ports.Environment, other: ports.Environment) -> set[str]:
    """The words of ``environment``, but for those by which the builds of Xen differ."""
    words = environment.words | other.words
    lacking = {word.removeprefix("no-") for word in words if word.startswith("no-")}
    return {word for word in environment.words if word.removeprefix("no-") not in lacking}


def other_releases() -> set[tuple[str, str]]:
    """Models, and the releases of real ports that are not their own."""
    found = {(f"model-{xen.architecture}", xen.release) for xen in map(ports.load, modelled())}
    return {(model, release) for model, release in found if ports.load(model).release != release}


@pytest.mark.slow  # tests/model/test_conformance.py has the most of it
@pytest.mark.parametrize(("name", "release"), sorted(other_releases()))
def test_the_model_passes_what_xen_passes(name: str, release: str, tmp_path: Path) -> None:
    report = tmp_path / "report"
    done = run(name, report, "--release", release)
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads((report / "results.json").read_text())["results"]
    assert {result["release"] for result in results} == {release}
    assert {result["outcome"] for result in results} == {"pass"}
    assert {result["environment"] for result in results} == set(ports.load(name).environments)
