"""The model as a child process: here a small program in its place."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_machine import Kernel

from xenport import port as ports
from xenport.port import Driver, Ended, Limits, Line, model

pytestmark = pytest.mark.usefixtures("clean")

FAKE = """
import json, os, sys, time
task = json.load(sys.stdin)
print(json.dumps(task), flush=True)
def end(kind, detail=""):
    os.write(3, json.dumps({"end": kind, "detail": detail}).encode() + b"\\n")
"""


@pytest.fixture
def fake() -> Callable[[str], Driver]:
    """Makes a driver whose model runs ``body``."""

    def make(body: str) -> Driver:
        def main() -> int:
            exec(compile(FAKE + body, "fake model", "exec"), {})
            return 0

        return model.ModelDriver(ports.load("model-arm64"), main)

    return make


def run(driver: Driver, kernel: Kernel, log: Path, environment: str = "dom0") -> tuple[str, Ended]:
    limits = Limits(silence=60, total=120, output=1 << 20)
    with driver.boot(environment, kernel, "tests=0", log, limits) as boot:
        *lines, ended = boot.events()
    assert isinstance(ended, Ended)
    assert all(isinstance(line, Line) and line.source == "guest" for line in lines)
    return "\n".join(line.text for line in lines if isinstance(line, Line)), ended


@pytest.mark.parametrize(
    ("body", "kind", "detail"),
    [
        ("end('poweroff', 'powered off')", "poweroff", "powered off"),
        ("end('reboot')", "reboot", "reboot"),
        ("end('crash', 'x'); print('after')", "crash", "x"),
        ("end('hang', 'nothing can happen')", "timeout", "nothing can happen"),
        ("end('suspend')", "exited", "suspend"),
        ("end('error', 'bad image'); sys.exit(1)", "exited", "bad image"),
        ("end('poweroff'); time.sleep(1000)", "poweroff", "poweroff"),
        ("raise RuntimeError('why')", "exited", "ended with status 1: RuntimeError: why"),
        ("os.kill(os.getpid(), 9)", "killed", "signal 9"),
        ("os.write(3, b'nonsense\\n')", "exited", "end record is not understood"),
        ("os.write(3, b'[1]\\n'); time.sleep(1000)", "exited", "end record is not understood"),
        ("os.close(3)", "exited", "ended with status 0"),
        ("while True: print('x' * 1000)", "flood", "more than 1048576 bytes"),
    ],
)
def test_ends(
    fake: Callable[[str], Driver],
    kernel: Kernel,
    tmp_path: Path,
    body: str,
    kind: str,
    detail: str,
) -> None:
    _, ended = run(fake(body), kernel, tmp_path / "log")
    assert ended.kind == kind
    assert detail in ended.detail


@pytest.mark.parametrize(
    ("environment", "control", "peer", "command_line"),
    [("dom0", True, None, "tests=0"), ("domU", False, 0, "tests=0 peer=0")],
)
def test_task(
    fake: Callable[[str], Driver],
    kernel: Kernel,
    tmp_path: Path,
    environment: str,
    control: bool,
    peer: int | None,
    command_line: str,
) -> None:
    text, _ = run(fake("end('poweroff')"), kernel, tmp_path / "log", environment)
    assert json.loads(text) == {
        "architecture": "arm64",
        "release": "4.17",
        "guest": "arm",
        "control": control,
        "vcpus": 2,
        "processors": 1,
        "platform": None,
        "peer": peer,
        "supervised": not control,
        "image": str(kernel.image()),
        "guest_architecture": None,
        "beside": None,
        "command_line": command_line,
        "survives_reset": False,
    }
    assert (tmp_path / "log").read_text() == text + "\n"
