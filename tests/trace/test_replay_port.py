"""Replaying traces on ports: the agent kernel makes the calls."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from trace_records import record

import xenport.abi
from xenport import cli, port as ports
from xenport.trace import Buffer, Metadata, Record, Writer
from xenport.trace.replay import Outcome, PortReplay
from xenport.trace.replay.translate import Translator

ABI = xenport.abi.load("arm64", "4.17")
X86 = xenport.abi.load("x86_64", "4.17")
SELF = ABI.constant("DOMID_SELF")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli.main, ["trace", "replay", *map(str, arguments)])


def word(*values: int) -> bytes:
    return b"".join(value.to_bytes(4, "little") for value in values)


def event(name: str, before: bytes, after: bytes | None = None, result: int = 0) -> Record:
    """A command of event_channel_op by the control domain."""
    buffers = (Buffer("arg", 0x1008, before, before if after is None else after),)
    number = ABI.constant(name)
    return record(0, domain=0, arguments=(number, 0x1008), result=result, buffers=buffers)


EVENTS = [
    event("EVTCHNOP_bind_ipi", word(0, 0), word(0, 40)),
    event("EVTCHNOP_send", word(40)),
    event("EVTCHNOP_send", word(0x4000), result=-22),
    event("EVTCHNOP_bind_virq", word(0, 5000, 0), result=-2),
    event("EVTCHNOP_close", word(40)),
    event("EVTCHNOP_send", word(40), result=-22),
]


def replayed(records: list[Record], port: str = "model-arm64") -> list[Outcome]:
    replay = PortReplay(ABI, ports.load(port), None)
    return [outcome for _, outcome in replay.outcomes(records)]


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    """Of calls that are as they are on Xen, and of some that were made worse; in one boot."""
    version = record(0, domain=0, number=17, arguments=(0, 0), result=4 << 16 | 18, buffers=())
    features = ABI.constant("XENVER_get_features")
    wrong_byte = record(
        0,
        domain=0,
        number=17,
        arguments=(features, 0x2FFC),  # across a page
        buffers=(Buffer("arg", 0x2FFC, word(0, 0), word(0, 1 << 31)),),
    )
    unmapped = event("EVTCHNOP_send", b"", result=-14)._replace(
        buffers=(Buffer("arg", 0x1008, None, None),)
    )
    return replayed([*EVENTS, version, wrong_byte, unmapped])


def test_calls_are_made(outcomes: list[Outcome]) -> None:
    """The trace's port 40 is another one here."""
    assert [outcome.kind for outcome in outcomes[: len(EVENTS)]] == ["equal"] * len(EVENTS)


def test_a_wrong_result_is_found(outcomes: list[Outcome]) -> None:
    version = outcomes[len(EVENTS)]
    assert version.kind == "different"
    assert version.answer is not None
    assert version.answer.result == 4 << 16 | 17


def test_a_changed_byte_is_found(outcomes: list[Outcome]) -> None:
    features = outcomes[len(EVENTS) + 1]
    assert features.kind == "different"
    assert features.answer is not None
    assert features.answer.result == 0
    after = features.answer.buffers[0].after
    assert after is not None
    assert after[:4] == word(0)
    assert after[7] & 0x80 == 0


def test_unreadable_memory(outcomes: list[Outcome]) -> None:
    assert outcomes[len(EVENTS) + 2].kind == "equal"


def memory(command: str, structure: str, result: int, **fields: int) -> Record:
    """A command of memory_op by the control domain."""
    content = bytearray(ABI.sizeof(structure))
    view = ABI.view(structure, content)
    for name, value in {"domid": SELF, **fields}.items():
        setattr(view, name, value)
    data = bytes(content)
    return record(
        0,
        domain=0,
        number=ABI.hypercalls["memory_op"].number,
        arguments=(ABI.constant(command), 0x1008),
        result=result,
        buffers=(Buffer("arg", 0x1008, data, data),),
    )


def test_the_agent_keeps_its_memory() -> None:
    """A call that was refused for its frame names one that is nowhere, not one of the agent's."""
    kernel = 0x4400_0000 >> 12  # where the model puts it
    frames = range(kernel, kernel + 1024, 64)
    remove = [
        memory("XENMEM_remove_from_physmap", "xen_remove_from_physmap", -2, gpfn=frame)
        for frame in frames
    ]
    outcomes = replayed([*remove, *EVENTS])
    assert {outcome.kind for outcome in outcomes} == {"equal"}


def test_frames_in_a_number_that_is_not_one() -> None:
    """`idx` is a frame if the space is XENMAPSPACE_gmfn, and the agent needs its own."""
    space = ABI.constant("XENMAPSPACE_gmfn_foreign")
    [outcome] = replayed(
        [memory("XENMEM_add_to_physmap", "xen_add_to_physmap", -38, space=space, idx=5, gpfn=6)]
    )
    assert outcome.reason == "it is about memory that the agent does not have"


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (record(0, domain=0, number=99), "the ABI does not have it"),
        (record(0, domain=0, result=None), "it did not return"),
        (record(0, domain=None), "who called"),
        (record(0, domain=0, vcpu=1), "another vcpu"),
        (record(0, domain=0, buffers=()), "its memory was not recorded"),
        (record(0, domain=0, number=29, arguments=(2, 0), buffers=()), "the agent would end"),
        (event("EVTCHNOP_send", word(77)), "a port that nobody gave"),
        (record(0, domain=0, number=26, arguments=(0, 0, 0, 0), buffers=()), "page tables"),
        (record(0, domain=0, number=35, arguments=(0x1000,), buffers=()), "change the machine"),
    ],
)
def test_reasons(one: Record, reason: str) -> None:
    """Nothing is booted for what cannot be replayed."""
    [outcome] = replayed([one])
    assert outcome.kind == "not replayable"
    assert reason in outcome.reason


def test_another_architecture(tmp_path: Path) -> None:
    """What a PV guest on x86 asked of event channels is asked on arm64; what is x86's is not."""
    number = X86.hypercalls["stack_switch"].number
    path = tmp_path / "t"
    with Writer(path, Metadata("x86_64", "4.17", "made by a test")) as writer:
        for one in EVENTS:
            writer.write(one._replace(caller="pv"))
        writer.write(record(0, domain=0, caller="pv", number=number, arguments=(0, 0), buffers=()))
    result = run(path, "--port", "model-arm64")
    assert result.exit_code == 0, result.output
    assert f"equal: {len(EVENTS)} (" in result.stdout
    assert "not replayable: 1 (" in result.stdout
    assert "it is not for 'arm' guests: 1" in result.stdout


def test_another_data_model() -> None:
    """Members are found by their names, and what leads to a buffer that moved leads there still."""
    ppc = xenport.abi.load("ppc64", "3.2")
    one = EVENTS[0]._replace(caller="pv")
    made = Translator(X86, ppc).translate(one)
    [buffer] = made.buffers
    assert made.caller == "ppc"
    assert buffer.before == b"".join(value.to_bytes(4, "big") for value in (0, 0))
    assert buffer.after == b"".join(value.to_bytes(4, "big") for value in (0, 40))


def test_the_console_of_a_guest_is_not_the_agents() -> None:
    """What a guest wrote may look like the agent's own words."""
    text = b"@r 0 -99\n@end 5\n"
    written = record(
        0,
        domain=0,
        number=18,
        arguments=(0, len(text), 0x3000),
        buffers=(Buffer("buffer", 0x3000, text, text),),
    )
    kinds = Counter(outcome.kind for outcome in replayed([written, *EVENTS]))
    assert kinds == {"equal": 1 + len(EVENTS)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--port", "xen-upstream-riscv64"), "runs no guests"),
        (("--port", "model-arm64", "--environment", "nowhere"), "no environment 'nowhere'"),
        (("--environment", "dom0"), "no environments"),
        (("--port", "nothing"), "unknown port"),
    ],
)
def test_bad_options(options: tuple[str, ...], message: str, written: Callable[..., Path]) -> None:
    result = run(written(EVENTS), *options)
    assert result.exit_code == 2
    assert message in result.output
