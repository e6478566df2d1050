"""A port whose QEMU is a small Python program that misbehaves as told."""

import contextlib
import os
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_machine import BUILT, FAKE_QEMU, MULTIBOOT, PORT, Kernel, marked_processes

from xenport import port as ports
from xenport.port import Driver


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    path = tmp_path / "kernel.elf"
    path.write_bytes(b"kernel")
    return Kernel(path)


@pytest.fixture
def port_file(tmp_path: Path) -> Path:
    """A port file of a port that boots by multiboot."""
    (tmp_path / "xen").write_bytes(MULTIBOOT)
    path = tmp_path / "fake.yaml"
    path.write_text(PORT)
    return path


def open_files() -> dict[str, str]:
    """This process's descriptors."""
    found = {}
    for path in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the one that lists them
            found[path.name] = str(path.readlink())
    return found


@pytest.fixture
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """At the end nothing is left: no process with this mark, no temporary file, no descriptor."""
    mark = uuid.uuid4().hex
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("FAKE_MARK", mark)
    before = open_files()
    yield mark
    # A process that was killed, and is not our child, is there until it has run once more.
    end = time.monotonic() + 2
    while marked_processes(mark) and time.monotonic() < end:
        time.sleep(0.01)
    assert not marked_processes(mark)
    assert not list(temporary.iterdir())
    assert open_files() == before


@pytest.fixture
def fake(
    tmp_path: Path, port_file: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Driver]:
    """Makes a driver whose QEMU behaves as named; see fake_qemu.py."""
    port_file.write_text(PORT + BUILT)
    programs = tmp_path / "bin"
    programs.mkdir()
    program = programs / "qemu-system-x86_64"
    program.write_text(f"#!{sys.executable} -ISB\n{FAKE_QEMU.read_text()}")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)

    def make(behaviour: str) -> Driver:
        monkeypatch.setenv("FAKE_QEMU", behaviour)
        return ports.open(ports.load(port_file))

    return make
