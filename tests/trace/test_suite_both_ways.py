"""The conformance suite as real Xen answered it, asked of the model; and the other way."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from xenport import cli

#: Ports of real Xen and environments, the model that has the same.
ENVIRONMENTS = [
    ("xen-4.17-amd64", "pv64-dom0", "model-x86_64"),
    ("xen-4.17-amd64", "pvh64-dom0", "model-x86_64"),
    ("xen-4.17-arm64", "dom0", "model-arm64"),
    ("xen-4.17-arm64", "domU", "model-arm64"),
]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli.main, ["trace", *map(str, arguments)])


def recorded(path: Path, port: str, environment: str) -> Path:
    """The suite in one environment; those whose names begin alike are others."""
    others = "not (credit or 1vcpu or 2cpu or gicv2 or 32)"
    result = run("record", "--port", port, "-k", f"{environment} and {others}", "-o", path)
    assert result.exit_code == 0, result.output
    return path


def nothing_differs(*arguments: object) -> None:
    result = run("replay", *arguments)
    assert result.exit_code == 0, result.output
    assert "\ndifferent: 0 (" in result.output


@pytest.mark.slow
@pytest.mark.parametrize(("port", "environment", "model"), ENVIRONMENTS)
def test_real_xen_on_the_model(tmp_path: Path, port: str, environment: str, model: str) -> None:
    del model
    nothing_differs(recorded(tmp_path / "t", port, environment))


@pytest.mark.slow
@pytest.mark.parametrize(("port", "environment", "model"), ENVIRONMENTS)
def test_the_model_on_real_xen(tmp_path: Path, port: str, environment: str, model: str) -> None:
    path = recorded(tmp_path / "t", model, environment)
    nothing_differs(path, "--port", port, "--environment", environment)


def test_events_of_32_bits(tmp_path: Path) -> None:
    """Results are signed numbers of the width of the hypervisor's registers."""
    path = tmp_path / "t"
    result = run("record", "--port", "xen-4.17-armhf", "-k", "evtchn_send and dom0", "-o", path)
    assert result.exit_code == 0, result.output
    said = run("show", path, "--where", "error == 'EINVAL'")
    assert "EVTCHNOP_send" in said.output
    nothing_differs(path)
