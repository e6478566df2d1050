"""Replaying traces on the reference model."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from trace_records import METADATA, record

import xenport.abi
from xenport import cli, content
from xenport.errors import InputError
from xenport.model.core import HANDLERS
from xenport.trace import Buffer, CallKind, Metadata, Record
from xenport.trace.replay import Outcome, Replay, seen_in
from xenport.trace.replay.compare import Comparison

ABI = xenport.abi.load("arm64", "4.17")
TRACES = content.folder("traces")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli.main, ["trace", "replay", *map(str, arguments)])


def replayed(records: list[Record]) -> list[Outcome]:
    replay = Replay(METADATA, seen_in(map(CallKind.of, records), ABI))
    return [outcome for _, outcome in replay.outcomes(records)]


def word(*values: int) -> bytes:
    return b"".join(value.to_bytes(4, "little") for value in values)


def half(*values: int) -> bytes:
    return b"".join(value.to_bytes(2, "little") for value in values)


SELF = ABI.constant("DOMID_SELF")


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


def status(state: int, vcpu: int) -> Record:
    """EVTCHNOP_status of the guest's port 7."""
    asked = half(SELF, 0) + word(7)
    return event("EVTCHNOP_status", asked + bytes(16), asked + word(state, vcpu) + bytes(8))


def test_what_was_written_is_compared() -> None:
    outcomes = replayed(
        [
            event("EVTCHNOP_bind_ipi", word(0, 0), word(0, 7)),
            status(ABI.constant("EVTCHNSTAT_ipi"), 0),
            status(ABI.constant("EVTCHNSTAT_ipi"), 1),
        ]
    )
    assert [outcome.kind for outcome in outcomes] == ["equal", "equal", "different"]


def test_a_difference_that_is_explained() -> None:
    """conformance/differences.yaml says that builds have names of their own."""
    extra = b".7".ljust(16, b"\0")
    one = record(
        0,
        number=17,
        arguments=(ABI.constant("XENVER_extraversion"), 0x1000),
        buffers=(Buffer("arg", 0x1000, bytes(16), extra),),
    )
    [outcome] = replayed([one])
    assert (outcome.kind, outcome.reason) == ("explained", "The name of a build.")
    assert outcome.answer is not None


def test_each_difference_needs_its_explanation() -> None:
    """Two members differ, and only one of them may."""
    asked, answer = status(5, 0), status(1, 1)
    pattern = "EVTCHNOP_status arg.status EVTCHNSTAT_ipi EVTCHNSTAT_unbound"
    comparison = Comparison(ABI, {pattern: "because"})
    assert list(comparison.differences(asked, answer)) == [
        pattern,
        "EVTCHNOP_status arg.vcpu 0 1",
        "EVTCHNOP_status arg.u 00000000 00000000 -",
        "EVTCHNOP_status arg.u.unbound.dom - *",
    ]
    assert comparison.outcome(asked, answer).kind == "different"
    assert comparison.outcome(asked, status(1, 0)).kind == "different"
    assert Comparison(ABI, {"EVTCHNOP_status *": "because"}).outcome(asked, answer).reason == (
        "because"
    )


def test_domains_that_calls_show() -> None:
    """Who is named in a call that succeeded exists, who was not found does not, whatever refused
    the call before Xen looked."""

    def pause(domain: int, result: int) -> Record:
        content = bytearray(ABI.sizeof("xen_domctl"))
        view = ABI.view("xen_domctl", content)
        view.cmd = ABI.constant("XEN_DOMCTL_pausedomain")
        view.interface_version = ABI.constant("XEN_DOMCTL_INTERFACE_VERSION")
        view.domain = domain
        data = bytes(content)
        return record(
            0,
            domain=0,
            number=ABI.hypercalls["domctl"].number,
            arguments=(0x1000,),
            result=result,
            buffers=(Buffer("u_domctl", 0x1000, data, data),),
        )

    outcomes = replayed([pause(4, 0), pause(4, -3), pause(5, -3), pause(4, 0)])
    assert [outcome.kind for outcome in outcomes] == ["equal"] * 4


@pytest.mark.parametrize("result", [0, -2, -16, -22])
@pytest.mark.parametrize("frame", [0, 4095, 4096, (1 << 48) - 1, 1 << 48, (1 << 64) - 1])
def test_any_frame(frame: int, result: int) -> None:
    """Guests write ~0 for none, and what a call names that was refused may be any number."""
    content = bytearray(ABI.sizeof("xen_remove_from_physmap"))
    view = ABI.view("xen_remove_from_physmap", content)
    view.domid, view.gpfn = SELF, frame
    data = bytes(content)
    one = record(
        0,
        number=ABI.hypercalls["memory_op"].number,
        arguments=(ABI.constant("XENMEM_remove_from_physmap"), 0x1000),
        result=result,
        buffers=(Buffer("arg", 0x1000, data, data),),
    )
    [outcome] = replayed([one])
    if result == -2:
        assert outcome.kind == "equal"  # nothing is there


def test_a_command_without_a_handler(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the model does not have is no verdict on the model."""
    monkeypatch.delitem(HANDLERS._handlers, "EVTCHNOP_send")  # which commands have none changes
    [outcome] = replayed([event("EVTCHNOP_send", word(3))])
    assert (outcome.kind, outcome.reason) == ("not replayable", "the model does not have it")


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (
            event("EVTCHNOP_send", word(999))._replace(domain=0),
            "a port that the model did not give",
        ),
        (record(0, number=99), "the ABI does not have it"),
        (record(0, result=None), "it did not return"),
        (record(0, result=None, continued=True), "the trace ends before its result"),
        (record(0, domain=None), "who called"),
        (record(0, arguments=()), "with what arguments"),
        (record(0, vcpu=1 << 31), "no domain has so many vcpus"),
        (record(0, buffers=()), "its memory was not recorded"),
    ],
)
def test_reasons(one: Record, reason: str) -> None:
    [outcome] = replayed([one])
    assert outcome.kind == "not replayable"
    assert reason in outcome.reason


def test_a_port_that_the_builder_made() -> None:
    """A domain that a tool stack built has ports that no hypercall gave it."""
    outcomes = replayed([event("EVTCHNOP_send", word(2)), event("EVTCHNOP_close", word(2))])
    assert [outcome.kind for outcome in outcomes] == ["equal"] * 2


def test_a_port_of_another_domain() -> None:
    """`remote_port` is a number of the remote domain's."""
    calls = [
        event("EVTCHNOP_alloc_unbound", half(SELF, remote) + word(0), half(SELF, remote) + word(to))
        for remote, to in ((5, 3), (1, 9), (0, 9))
    ]
    bind = event("EVTCHNOP_bind_interdomain", half(0, 0) + word(9, 0), half(0, 0) + word(9, 7))
    first, second, third = calls
    outcomes = replayed(
        [
            bind._replace(domain=5, result=-22),  # makes the domain
            first._replace(domain=0),
            second._replace(domain=0),
            third,
            bind,
            event("EVTCHNOP_send", word(7)),
        ]
    )
    assert [outcome.kind for outcome in outcomes] == ["equal"] * 6


def test_a_port_of_a_call_that_was_not_replayed() -> None:
    """It replaces an older port of the same number."""
    foreign = event("EVTCHNOP_bind_virq", word(0, 0, 0), word(0, 0, 7))._replace(
        buffers=(Buffer("arg", 0x1000, None, word(0, 0, 7)),)
    )
    outcomes = replayed(
        [
            event("EVTCHNOP_bind_ipi", word(0, 0), word(0, 7)),
            event("EVTCHNOP_close", word(7)),
            foreign,
            event("EVTCHNOP_send", word(7)),
        ]
    )
    assert [outcome.kind for outcome in outcomes] == [*["equal"] * 2, "not replayable", "equal"]


def multicall(*results: int) -> Record:
    """Two sends of port 7, in the multicall."""
    entry = [32, 0, ABI.constant("EVTCHNOP_send"), 0x2000, 0, 0, 0, 0]
    before = after = b""
    for result in results:
        before += b"".join(value.to_bytes(8, "little") for value in entry)
        entry[1] = result % (1 << 64)
        after += b"".join(value.to_bytes(8, "little") for value in entry)
        entry[1] = 0
    inner = (
        Buffer(f"call_list[{index}].arg", 0x2000, word(7), word(7)) for index in range(len(results))
    )
    return record(
        0,
        number=ABI.hypercalls["multicall"].number,
        arguments=(0x1000, len(results)),
        buffers=(Buffer("call_list", 0x1000, before, after), *inner),
    )


def test_what_is_in_a_multicall() -> None:
    """Each hypercall in it is a record of its own, with its own result."""
    outcomes = replayed(
        [event("EVTCHNOP_bind_ipi", word(0, 0), word(0, 7)), multicall(0, -22), multicall(0)]
    )
    kinds = [outcome.kind for outcome in outcomes]
    assert kinds == ["equal", "equal", "equal", "different", "equal", "equal"]


def test_an_interrupted_call() -> None:
    """Its result, and the rest of what it did, came with the last of its calls."""
    whole = multicall(0, -22)
    [calls, first, second] = whole.buffers
    half_done = calls._replace(after=(calls.after or b"")[:64] + (calls.before or b"")[64:])
    begun = whole._replace(result=None, continued=True, buffers=(half_done, first, second))
    rest = Buffer("call_list", 0x1040, (calls.before or b"")[64:], (calls.after or b"")[64:])
    ended = whole._replace(arguments=(0x1040, 1), buffers=(rest,))
    outcomes = replayed([event("EVTCHNOP_bind_ipi", word(0, 0), word(0, 7)), begun, ended])
    kinds = [outcome.kind for outcome in outcomes]
    assert kinds == ["equal", "equal", "equal", "equal", "different"]


def test_unreadable_memory() -> None:
    one = event("EVTCHNOP_send", b"")._replace(
        result=-14, buffers=(Buffer("arg", 0x1000, None, None),)
    )
    assert [outcome.kind for outcome in replayed([one])] == ["equal"]


def test_no_model() -> None:
    with pytest.raises(InputError, match="no model of"):
        Replay(Metadata("riscv64", "4.20", ""), {})


@pytest.mark.parametrize("name", ["linux-dom0-arm64", "linux-domu-amd64"])
def test_real_traces(name: str) -> None:
    """Of all that can be asked, the model answers one thing otherwise: what its build is called."""
    result = run(TRACES / f"{name}.parquet")
    assert result.exit_code == 0, result.output
    assert "\nexplained: 1 (" in result.stdout
    assert "\n  The name of a build.: 1 (" in result.stdout
    assert "\ndifferent: 0 (" in result.stdout


def test_the_models_own_trace(tmp_path: Path) -> None:
    """What the model answered with a guest it answers without one."""
    path = tmp_path / "t"
    options = ["--port", "model-arm64", "-k", "events and dom0", "-o", path]
    recorded = CliRunner().invoke(cli.main, ["trace", "record", *map(str, options)])
    assert recorded.exit_code == 0, recorded.output
    result = run(path)
    assert result.exit_code == 0, result.output
    assert "different: 0 (0.0 %)" in result.stdout


def test_a_damaged_trace(written: Callable[..., Path]) -> None:
    """One message, with what could be kept."""
    path = written(record(number) for number in range(32_768))
    content = bytearray(path.read_bytes())
    start = len(content) * 3 // 4
    content[start : start + 64] = bytes(64)
    path.write_bytes(content)
    result = run(path)
    assert result.exit_code == 2, result.output
    kept = re.search(r"damaged after ([\d,]+) hypercalls, which are all that", result.output)
    assert kept is not None, result.output
    assert 0 < int(kept[1].replace(",", "")) < 32_768
    assert not isinstance(result.exception, Exception), result.exception


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
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit), result.output
