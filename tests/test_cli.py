"""The command as a person types it: bad input gets one clear line and status 2."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest


def xenport(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "xenport", *arguments],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def refused(*arguments: str, cwd: Path | None = None) -> str:
    """The one line that a bad command gets."""
    done = xenport(*arguments, cwd=cwd)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    return done.stderr


def test_unknown_port() -> None:
    assert "unknown port 'model-arm46'" in refused("run", "--port", "model-arm46")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("name: x\n\tkind: model\n", "port.yaml:2:1: "),
        ("name: x\nkind: modle\n", "port.yaml:2:7: "),
        ("", "port.yaml:1:1: "),
    ],
)
def test_broken_port_file(tmp_path: Path, text: str, place: str) -> None:
    (tmp_path / "port.yaml").write_text(text)
    assert place in refused("run", "--port", "./port.yaml", cwd=tmp_path)


def test_missing_port_file(tmp_path: Path) -> None:
    assert "port.yaml" in refused("run", "--port", "./port.yaml", cwd=tmp_path)


def test_image_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "xen").write_bytes(b"\0" * 100)
    said = refused("run", "--port", "xen-4.17-amd64", "--hypervisor", str(tmp_path / "xen"))
    assert str(tmp_path / "xen") in said


def test_model_takes_no_image(tmp_path: Path) -> None:
    (tmp_path / "xen").write_bytes(b"\0" * 100)
    said = refused("run", "--port", "model-arm64", "--hypervisor", str(tmp_path / "xen"))
    assert "takes no hypervisor image" in said


def test_no_test_of_that_name() -> None:
    said = refused("run", "--port", "model-arm64", "-k", "no_such_test")
    assert "no test matches" in said


def test_release_that_is_not_described() -> None:
    assert "4.17" in refused("run", "--port", "model-arm64", "--release", "4.99")
    assert "there are: 3.2, 4.14" in refused("run", "--release", "4.99")


def test_models_of_a_release() -> None:
    """All that have a test kernel there: not ppc64, newer releases of which are another port."""
    done = xenport("run", "--release", "4.20", "-k", "boot")
    assert done.returncode == 0, done.stderr
    assert "model-arm64/dom0" in done.stdout
    assert "model-ppc64" not in done.stdout


def test_expression_that_is_none() -> None:
    assert "-k" in refused("run", "--port", "model-arm64", "-k", "a and (")


def test_compiler_that_is_none() -> None:
    said = refused("run", "--port", "model-arm64", "--compiler", "no-such-cc")
    assert "no-such-cc" in said


def test_report_folder_of_somebody_else(tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("dear")
    said = refused("run", "--port", "model-arm64", "-k", "boot", "--report", str(tmp_path))
    assert "not a report" in said
    assert [path.name for path in tmp_path.iterdir()] == ["letter"]


@pytest.mark.parametrize(
    ("arch", "release", "message"),
    [("arm46", "4.17", "arm64"), ("arm64", "4.1", "4.17"), ("arm64", "4.13", "4.17")],
)
def test_headers_of_what_is_not_described(
    tmp_path: Path, arch: str, release: str, message: str
) -> None:
    out = tmp_path / "inc"
    said = refused("headers", "--arch", arch, "--release", release, "-o", str(out))
    assert message in said
    assert not out.exists()


def test_headers(tmp_path: Path) -> None:
    out = tmp_path / "inc"
    done = xenport("headers", "--arch", "arm64", "--release", "4.17", "--lang", "c", "-o", str(out))
    assert done.returncode == 0
    assert "EVTCHNOP_send" in (out / "event_channel.h").read_text()


@pytest.mark.parametrize(
    ("language", "file"),
    [("asm", "asm-offsets.h"), ("rust", "src/event_channel.rs"), ("python", "__init__.py")],
)
def test_headers_of_other_languages(tmp_path: Path, language: str, file: str) -> None:
    out = tmp_path / "out"
    what = ("--arch", "arm64", "--release", "4.17", "--lang", language)
    for _ in range(2):  # its own is replaced
        assert xenport("headers", *what, "-o", str(out)).returncode == 0
    assert "EVTCHNOP_send" in (out / file).read_text()
    (out / "mine").write_text("mine")
    assert "did not generate" in refused("headers", *what, "-o", str(out))


def test_headers_in_no_such_language(tmp_path: Path) -> None:
    what = ("--arch", "arm64", "--release", "4.17", "--lang", "ada")
    done = xenport("headers", *what, "-o", str(tmp_path / "out"))
    assert done.returncode == 2 and "'ada'" in done.stderr and "'rust'" in done.stderr


def test_coverage_of_a_port() -> None:
    done = xenport("coverage", "--port", "model-ppc64")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^  EVTCHNOP_send +\+\d+ -\d+ pass *$", done.stdout, re.MULTILINE)
    assert "\x1b" not in done.stdout


def test_coverage_as_data() -> None:
    done = xenport("coverage", "--port", "model-ppc64", "--json")
    assert done.returncode == 0, done.stderr
    commands = {row["command"]: row for row in json.loads(done.stdout)["commands"]}
    (cell,) = commands["EVTCHNOP_send"]["cells"]
    assert cell["negative"]["evtchn_send_refused"] == ["EINVAL"]
    assert commands["mmu_update"]["cells"][0]["reason"] == "not callable by ppc guests"


def test_coverage_of_a_port_that_is_none() -> None:
    assert "unknown port" in refused("coverage", "--port", "xen-9.9")


def test_ports_lists_them_all() -> None:
    done = xenport("ports")
    assert done.returncode == 0
    for name in ("model-ppc64", "xen-4.17-amd64"):
        assert name in done.stdout


def test_fetch_of_an_unknown_port() -> None:
    assert "unknown port" in refused("fetch", "xen-9.9")


def test_nobody_reads_on() -> None:
    """As with ``xenport run | head -n 1``."""
    with subprocess.Popen(
        [sys.executable, "-m", "xenport", "run", "--port", "model-arm64", "-k", "clock"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        assert run.stdout.readline().startswith("model-arm64/dom0: ")
        run.stdout.close()
        assert run.stderr.read() == ""
        assert run.wait(60) == 1


def test_model_is_every_model() -> None:
    every = xenport("coverage", "--port", "model", "--port", "model-arm64", "--json")
    assert every.returncode == 0, every.stderr
    assert every.stdout == xenport("coverage", "--json").stdout
