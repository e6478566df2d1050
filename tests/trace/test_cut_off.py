"""Recordings that are killed: what is lost, and what is left where."""

import os
import signal
import struct
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner
from trace_records import METADATA

import xenport.abi
from xenport import cli
from xenport.port.child import fork
from xenport.trace import read
from xenport.trace.plan import plan
from xenport.trace.qemu import record_stream

_SECONDS = 3.0
_MADE = struct.Struct("<BBHIQQHHI6Q")
_OTHER = struct.Struct("<BBHIQQQ")


def _nanoseconds() -> int:
    return time.monotonic_ns()


def made(number: int) -> bytes:
    """XENVER_version is asked for now."""
    return _MADE.pack(1, 0, 0, 17, number, _nanoseconds(), 0, 0, 0, *[0] * 6)


def returned(number: int) -> bytes:
    return _OTHER.pack(2, 0, 0, 0, number, _nanoseconds(), 0x40011)


def tick() -> bytes:
    return _OTHER.pack(4, 0, 0, 0, 0, _nanoseconds(), 0)


def test_a_killed_recorder_loses_at_most_a_second(tmp_path: Path) -> None:
    """A hypercall that does not return is no reason to lose those after it."""
    ours, theirs = os.pipe()
    words = plan(xenport.abi.load("arm64", "4.17"))
    path = tmp_path / "trace"
    child = fork("the recorder", partial(record_stream, path, "boot", METADATA, words), {0: ours})
    os.close(ours)
    with child:
        os.write(theirs, made(0))  # blocks for ever
        number = 1
        end = time.monotonic() + _SECONDS
        while time.monotonic() < end:
            os.write(theirs, made(number) + returned(number) + tick())
            number += 1
            time.sleep(0.01)
        child.kill()
        killed = _nanoseconds()
    os.close(theirs)
    left = path.with_name("trace.parts")
    records = list(read(left).records())
    assert [one.sequence for one in records] == list(range(len(records)))
    assert records[0].returned is None
    assert records[-1].time is not None
    assert killed - records[-1].time < 1.0e9
    assert {one.result for one in records[1:]} == {0x40011}


def test_a_late_return_gets_into_its_place(tmp_path: Path) -> None:
    """The hypercall was written without a result when it returned."""
    ours, theirs = os.pipe()
    words = plan(xenport.abi.load("arm64", "4.17"))
    path = tmp_path / "trace"
    child = fork("the recorder", partial(record_stream, path, "boot", METADATA, words), {0: ours})
    os.close(ours)
    left = path.with_name("trace.parts")
    with child:
        os.write(theirs, made(0) + made(1) + returned(1))
        deadline = time.monotonic() + 60
        while not list(left.glob("0*.parquet")) and time.monotonic() < deadline:
            time.sleep(0.1)
            os.write(theirs, tick())
        assert [one.result for one in read(left).records()] == [None, 0x40011]
        os.write(theirs, returned(0))
        os.close(theirs)
        assert child.wait(60)
        assert child.status() == 0
    assert [one.result for one in read(left).records()] == [0x40011, 0x40011]
    done = CliRunner().invoke(cli.main, ["trace", "import", str(left), "-o", str(path)])
    assert done.exit_code == 0, done.output
    assert [one.result for one in read(path).records()] == [0x40011, 0x40011]


def _alive(group: int) -> list[str]:
    """What still runs in the session of ``group``, or below it."""
    listed = subprocess.run(
        ["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True
    ).stdout
    return [line for line in listed.splitlines() if int(line.split()[1]) == group]


@pytest.mark.parametrize("port", ["model-arm64", "xen-4.17-arm64"])
def test_a_killed_command_leaves_its_parts_beside_the_trace(tmp_path: Path, port: str) -> None:
    """Of every boot what there was; nothing anywhere else, and nothing keeps running."""
    out, scratch = tmp_path / "trace", tmp_path / "scratch"
    scratch.mkdir()
    command = [sys.executable, "-m", "xenport", "trace", "record", "--port", port]
    with subprocess.Popen(
        [*command, "-k", "not gicv2", "-o", str(out)],
        env={**os.environ, "TMPDIR": str(scratch)},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        left = tmp_path / "trace.parts"
        deadline = time.monotonic() + 200
        while not list(left.glob("*/*/0*.parquet")) and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    assert not out.exists()
    trace = read(left)
    records = list(trace.records())
    assert records
    assert [one.sequence for one in records] == list(range(len(records)))
    assert all(one.boot.startswith("dom") for one in records)
    assert trace.metadata.architecture == "arm64"
    assert not list(scratch.rglob("*.parquet"))
    deadline = time.monotonic() + 30
    while _alive(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _alive(process.pid)
    done = CliRunner().invoke(cli.main, ["trace", "import", str(left), "-o", str(out)])
    assert done.exit_code == 0, done.output
    assert list(read(out).records()) == records
