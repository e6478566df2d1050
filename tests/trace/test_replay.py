"""Replaying traces on the reference model."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from trace_records import METADATA, record

import xenport.abi
from xenport import cli, content
from xenport.errors import InputError
from xenport.trace import Buffer, Metadata, Record
from xenport.trace.replay import Outcome, Replay, seen_in

ABI = xenport.abi.load("arm64", "4.17")
TRACES = content.folder("traces")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli.main, ["trace", "replay", *map(str, arguments)])


def replayed(records: list[Record]) -> list[Outcome]:
    replay = Replay(METADATA, seen_in(records, ABI))
    return [outcome for _, outcome in replay.outcomes(records)]


def word(*values: int) -> bytes:
    return b"".join(value.to_bytes(4, "little") for value in values)


def event(name: str, before: bytes, after: bytes | None = None, result: int = 0) -> Record:
    """A command of event_channel_op."""
    buffers = (Buffer("arg", 0x1000, before, before if after is None else after),)
    return record(0, arguments=(ABI.constant(name), 0x1000), result=result, buffers=buffers)


def test_ports_have_the_models_numbers() -> None:
    """The trace's port 7 is another one in the model, from its first call to its last."""
    outcomes = replayed(
        [
            event("EVTCHNOP_bind_ipi", word(0, 99), word(0, 7)),
            event("EVTCHNOP_send", word(7)),
            event("EVTCHNOP_close", word(7)),
            event("EVTCHNOP_send", word(7), result=-22),
        ]
    )
    assert [outcome.kind for outcome in outcomes] == ["equal"] * 4


def test_a_wrong_answer_is_different() -> None:
    [outcome] = replayed([event("EVTCHNOP_bind_ipi", word(5000, 0), word(5000, 4))])
    assert outcome.kind == "different"
    assert outcome.answer is not None
    assert outcome.answer.result == -ABI.errno("ENOENT")


def test_what_was_written_is_compared() -> None:
    """xen_version's answer lies in memory alone."""
    extra = b".7".ljust(16, b"\0")
    one = record(
        0,
        number=17,
        arguments=(ABI.constant("XENVER_extraversion"), 0x1000),
        buffers=(Buffer("arg", 0x1000, bytes(16), extra),),
    )
    assert [outcome.kind for outcome in replayed([one])] == ["different"]


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (event("EVTCHNOP_send", word(1)), "a port that the model did not give"),
        (record(0, number=99), "the ABI does not have it"),
        (record(0, result=None), "it did not return"),
        (record(0, result=None, continued=True), "it was continued"),
        (record(0, domain=None), "who called"),
        (record(0, buffers=()), "its memory was not recorded"),
        (record(0, number=13, arguments=(0x1000, 1)), "it holds other hypercalls"),
        (
            record(
                0,
                number=35,
                arguments=(0x1000,),
                buffers=(Buffer("u_sysctl", 0x1000, word(1, 21) + bytes(128), None),),
            ),
            "the model does not have it",
        ),
    ],
)
def test_reasons(one: Record, reason: str) -> None:
    [outcome] = replayed([one])
    assert outcome.kind == "not replayable"
    assert reason in outcome.reason


def test_a_port_of_a_call_that_was_not_replayed() -> None:
    """It replaces an older port of the same number."""
    foreign = event("EVTCHNOP_bind_interdomain", b"\5\0\0\0" + word(9, 0), b"\5\0\0\0" + word(9, 7))
    outcomes = replayed(
        [
            event("EVTCHNOP_bind_ipi", word(0, 0), word(0, 7)),
            event("EVTCHNOP_close", word(7)),
            foreign,
            event("EVTCHNOP_send", word(7)),
        ]
    )
    assert [outcome.kind for outcome in outcomes] == ["equal", "equal", *["not replayable"] * 2]


def test_unreadable_memory() -> None:
    one = event("EVTCHNOP_send", b"")._replace(
        result=-14, buffers=(Buffer("arg", 0x1000, None, None),)
    )
    assert [outcome.kind for outcome in replayed([one])] == ["equal"]


def test_no_model() -> None:
    with pytest.raises(InputError, match="no model of"):
        Replay(Metadata("x86_32", "4.17", ""), {})


@pytest.mark.parametrize("name", ["linux-dom0-arm64", "linux-domu-amd64"])
def test_real_traces(name: str) -> None:
    """Of all that can be asked, the model answers one thing otherwise: what its build is called."""
    result = run(TRACES / f"{name}.parquet", "--exit-code")
    assert result.exit_code == 1, result.output
    calls = Counter(
        (line[0], line.split()[4])
        for line in result.stdout.splitlines()
        if line[:1] in "+-" and "xen_version" in line
    )
    assert calls == {
        ("-", "xen_version"): 1, ("+", "xen_version"): 1,
    }  # fmt: skip
    assert result.stdout.count("XENVER_extraversion") == 2
    assert "\ndifferent: 1 (" in result.stdout


def test_the_models_own_trace(tmp_path: Path) -> None:
    """What the model answered with a guest it answers without one."""
    path = tmp_path / "t"
    options = ["--port", "model-arm64", "-k", "events and dom0", "-o", path]
    recorded = CliRunner().invoke(cli.main, ["trace", "record", *map(str, options)])
    assert recorded.exit_code == 0, recorded.output
    result = run(path, "--exit-code")
    assert result.exit_code == 0, result.output
    assert "different: 0 (0.0 %)" in result.stdout


def test_any_bytes_can_be_replayed(written: Callable[..., Path]) -> None:
    """Nothing that a trace holds ends in an exception."""
    records = []
    for hypercall in ABI.hypercalls.values():
        commands = [command.number for command in hypercall.commands.values()] or [0]
        for command in commands:
            for fill in (b"\0", b"\xff", b"\x01"):
                arguments = [0x1000] * len(hypercall.args)
                for index, arg in enumerate(hypercall.args):
                    if arg.role == "command":
                        arguments[index] = command
                buffers = tuple(
                    Buffer(arg.name, 0x1000, fill * 4096, fill * 4096) for arg in hypercall.args
                )
                records.append(
                    record(
                        0,
                        domain=len(records) % 2,
                        number=hypercall.number,
                        arguments=tuple(arguments),
                        buffers=buffers,
                    )
                )
    result = run(written(records))
    assert result.exit_code == 0, result.output
