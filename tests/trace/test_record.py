"""Recording the reference model, and what cannot be recorded."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import xenport.abi
from xenport import cli, port as ports
from xenport.trace import Record, read
from xenport.trace.decode import Decoder

CHOSEN = "evtchn_send_refused or event_of_ipi or poweroff"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli.main, ["trace", *map(str, arguments)])


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tests of sending an event, in every environment, and one that ends the domain."""
    path = tmp_path_factory.mktemp("recorded") / "trace"
    result = run("record", "--port", "model-arm64", "-k", CHOSEN, "-o", path)
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[-1] == f"{path}: {len(read(path)):,} hypercalls"
    return path


def test_metadata(recorded: Path) -> None:
    metadata = read(recorded).metadata
    assert (metadata.architecture, metadata.release) == ("arm64", "4.17")
    assert "model-arm64" in metadata.provenance


def test_boots_are_whole(recorded: Path) -> None:
    """Every boot is there from its first hypercall to the one that ends it."""
    boots: dict[str, list[Record]] = {}
    for number, one in enumerate(read(recorded).records()):
        assert one.sequence == number
        boots.setdefault(one.boot, []).append(one)
    environments = set(ports.load("model-arm64").environments)
    assert {name.partition("/")[0] for name in boots} == environments
    assert {"dom0/tests-1", "domU/tests-1"} < boots.keys()
    decoder = Decoder(xenport.abi.load("arm64", "4.17"))
    for records in boots.values():
        times = [one.time for one in records]
        assert times == sorted(times)
        last = records[-1]
        assert decoder.commands(last) == ["SCHEDOP_shutdown"]
        assert (last.result, last.returned) == (None, None)


def test_what_the_console_got(recorded: Path) -> None:
    """The lines of the test kernel are in the buffers, and so is what the tests are about."""
    console: dict[str, bytes] = {}
    for one in read(recorded).records():
        for buffer in one.buffers:
            if buffer.name == "buffer" and one.result == 0 and buffer.before:
                console[one.boot] = console.get(one.boot, b"") + buffer.before
    for boot in ("dom0/tests-1", "domU/tests-1"):
        assert console[boot].startswith(b"KTAP version 1\n")
        assert b" evtchn_send_refused" in console[boot]
    text = run("show", recorded, "--where", "command == 'EVTCHNOP_send' and error == 'EINVAL'")
    assert "arg: evtchn_send {port=" in text.stdout


def test_memory_before_and_after(recorded: Path) -> None:
    abi = xenport.abi.load("arm64", "4.17")
    sizes = set()
    for one in read(recorded).records():
        if one.number == 32 and one.arguments[0] == abi.constant("EVTCHNOP_bind_ipi"):
            [buffer] = one.buffers
            assert buffer.before is not None
            assert buffer.after is not None
            sizes.add(len(buffer.before))
            if one.result == 0:
                assert abi.view("evtchn_bind_ipi", buffer.after).port > 0
    assert sizes == {abi.sizeof("evtchn_bind_ipi")}


def test_two_recordings_are_the_same(recorded: Path, tmp_path: Path) -> None:
    """The model is deterministic, to the byte."""
    again = tmp_path / "again"
    assert run("record", "--port", "model-arm64", "-k", CHOSEN, "-o", again).exit_code == 0
    assert list(read(again).records()) == list(read(recorded).records())
    assert run("diff", recorded, again).stdout == "No difference.\n"


def test_release(tmp_path: Path) -> None:
    path = tmp_path / "t"
    options = ["--port", "model-x86_64", "--release", "4.14", "-k", "evtchn_send_refused"]
    assert run("record", *options, "-o", path).exit_code == 0
    trace = read(path)
    assert trace.metadata.release == "4.14"
    assert {one.caller for one in trace.records()} == {"pv", "hvm"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--port", "no-such-port"], "no-such-port"),
        (["--port", "model-arm64", "-k", "no_such_test"], "no test matches"),
    ],
)
def test_bad_choice(tmp_path: Path, options: list[str], message: str) -> None:
    result = run("record", *options, "-o", tmp_path / "t")
    assert (result.exit_code, message in result.stderr) == (2, True), result.output
    assert list(tmp_path.iterdir()) == []


def test_out_is_there_already(recorded: Path) -> None:
    before = recorded.read_bytes()
    result = run("record", "--port", "model-arm64", "-o", recorded)
    assert result.exit_code == 2
    assert recorded.read_bytes() == before
