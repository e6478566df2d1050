"""The commands that look at traces, as a user runs them."""

import json
import struct
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from trace_records import record

from xenport import cli, content
from xenport.errors import InputError
from xenport.trace import Buffer, Record
from xenport.trace.stats import Durations
from xenport.trace.where import condition

Write = Callable[..., Path]
TRACES = content.folder("traces")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli.main, ["trace", *map(str, arguments)])


def records(changed: int | None = None) -> Iterable[Record]:
    for number in range(50):
        one = record(number)
        yield one._replace(result=-22) if number == changed else one


# ---- show ----


def test_show(written: Write) -> None:
    path = written([record(0), record(1, time=None, returned=None, domain=None, vcpu=None)])
    result = run("show", path)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "      0     0.000000 d1v0 event_channel_op EVTCHNOP_send(arg=0x1000) = 0",
        "                     arg: evtchn_send {port=3}",
        "      1              d?v? event_channel_op EVTCHNOP_send(arg=0x1000) = 0",
        "                     arg: evtchn_send {port=3}",
    ]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("error == 'EINVAL'", [7]),
        ("error", [7]),
        ("not error and sequence < 3", [0, 1, 2]),
        ("command == 'EVTCHNOP_send' and sequence in (1, 48)", [1, 48]),
        ("hypercall == 'sched_op'", []),
        ("arguments[0] == 4 and sequence == 2", [2]),
        ("arguments[9] == 4", []),
        ("duration > 299 and time >= 49000", [49]),
        ("result == -20 - 2", [7]),
        ("boot < 3", []),
    ],
)
def test_where(written: Write, where: str, expected: list[int]) -> None:
    result = run("show", written(records(changed=7)), "--where", where)
    assert result.exit_code == 0, result.output
    assert [int(line.split()[0]) for line in result.stdout.splitlines()[::2]] == expected


@pytest.mark.parametrize(
    "text",
    [
        "().__class__",
        "__import__('os')",
        "9 ** 9 ** 9",
        "'a' * 10 ** 9",
        "[x for x in (1,)]",
        "lambda: 1",
        "seqence == 1",
        "a b",
        "",
        "(" * 500,
        "sequence == 1 or " * 100 + "1",
        "f'{sequence}'",
    ],
)
def test_bad_conditions(text: str) -> None:
    with pytest.raises(InputError, match="--where"):
        condition(text)


def test_bad_condition_says_what_there_is(written: Write) -> None:
    result = run("show", written(records()), "--where", "seqence == 1")
    assert result.exit_code == 2
    assert "did you mean 'sequence'" in result.stderr


def test_trace_of_an_abi_that_is_not_described(tmp_path: Path) -> None:
    from xenport.trace import Metadata, Writer

    with Writer(tmp_path / "t", Metadata("vax", "4.17", "")) as writer:
        writer.write(record(0))
    result = run("show", tmp_path / "t")
    assert result.exit_code == 2
    assert "vax" in result.stderr


# ---- stats ----


def test_stats_counts(written: Write) -> None:
    entry = struct.pack("<8Q", 32, 0, 4, 0x6000, 0, 0, 0, 0)
    failed = struct.pack("<8Q", 32, 2**64 - 22, 4, 0x6000, 0, 0, 0, 0)
    multicall = record(
        50,
        number=13,
        arguments=(0x5000, 2),
        buffers=(Buffer("call_list", 0x5000, entry * 2, entry + failed),),
    )
    path = written([*records(changed=3), multicall, record(51, result=None, returned=None)])
    lines = [line.split() for line in run("stats", path).stdout.splitlines()]
    assert ["event_channel_op", "51", "98.08", "%", "2", "296", "ns", "300", "ns",
            "2", "EINVAL,", "1", "no", "return"] in lines  # fmt: skip
    assert ["EVTCHNOP_send", *lines[5][1:]] == lines[6]
    assert ["multicall", "1", "1.92", "%", "296", "ns", "300", "ns"] in lines


def test_stats_of_an_empty_trace(written: Write) -> None:
    result = run("stats", written([]))
    assert result.exit_code == 0
    assert "0 hypercalls" in result.stdout


@pytest.mark.parametrize("values", [[0], [1, 2, 3], [31, 32, 33], range(1000), [10**9, 7, 10**6]])
def test_medians(values: Iterable[int]) -> None:
    durations = Durations()
    ordered = sorted(values)
    for value in ordered:
        durations.add(value)
    median = ordered[(len(ordered) - 1) // 2]
    assert durations.median() == pytest.approx(median, rel=0.05)


def test_stats_of_the_recorded_domu() -> None:
    """The figures that a count of the raw recording gave."""
    result = run("stats", TRACES / "linux-domu-amd64.parquet")
    assert result.exit_code == 0
    found = {line.split()[0]: line.split()[1] for line in result.stdout.splitlines()[5:]}
    expected = {
        "mmu_update": "47,251", "mmuext_op": "17,305", "vcpu_op": "10,264", "iret": "2,406",
    }  # fmt: skip
    assert expected.items() <= found.items()


# ---- diff ----


def test_no_difference(written: Write) -> None:
    path = written(records())
    other = written((one._replace(time=7, returned=9) for one in records()), "other")
    result = run("diff", path, other, "--exit-code")
    assert (result.exit_code, result.stdout) == (0, "No difference.\n")


def test_a_different_result(written: Write) -> None:
    result = run("diff", written(records()), written(records(changed=9), "other"), "--exit-code")
    assert result.exit_code == 1
    assert result.stdout.count("@@") == 1
    assert "-       9     0.000009 d1v0 event_channel_op EVTCHNOP_send(arg=0x1000) = 0\n" in (
        result.stdout
    )
    assert (
        "+       9     0.000009 d1v0 event_channel_op EVTCHNOP_send(arg=0x1000) = -22 EINVAL"
        in (result.stdout)
    )


def test_a_call_that_only_one_has(written: Write) -> None:
    """The traces are compared on after it."""
    more = list(records())
    more.insert(20, record(99, number=29, arguments=(0, 0), buffers=()))
    result = run("diff", written(records()), written(more, "other"))
    assert result.stdout.splitlines() == [
        "@@",
        "+      99     0.000099 d1v0 sched_op SCHEDOP_yield(arg=NULL) = 0",
    ]


def test_one_ends_before_the_other(written: Write) -> None:
    result = run("diff", written(records()), written(list(records())[:40], "other"))
    assert [line[0] for line in result.stdout.splitlines()] == ["@", *"-" * 17]
    assert "and 2 more calls" in result.stdout


def test_first_differences_only(written: Write) -> None:
    different = (record(number, result=-22) for number in range(50))
    result = run("diff", written(records()), written(different, "other"), "--max", 3)
    assert result.stdout.count("@@") == 3
    assert "There are more" in result.stdout


# ---- export ----


def test_export(written: Write, tmp_path: Path) -> None:
    path = written([record(0), record(1, domain=0), record(2, returned=None, result=None)])
    out = tmp_path / "out.json"
    assert run("export", path, "-o", out).exit_code == 0
    events = json.loads(out.read_text())["traceEvents"]
    assert [event["ph"] for event in events] == ["M", "X", "M", "X", "i"]
    assert events[0]["args"] == {"name": "domain 1"}
    assert events[1]["name"] == "EVTCHNOP_send"
    assert (events[1]["ts"], events[1]["dur"], events[1]["args"]["result"]) == (0, 0.3, "0")
    assert events[1]["pid"] == events[4]["pid"] != events[3]["pid"]


def test_export_without_times(written: Write, tmp_path: Path) -> None:
    path = written(record(number, time=None, returned=None) for number in range(3))
    out = tmp_path / "out.json"
    assert run("export", path, "-o", out).exit_code == 0
    events = json.loads(out.read_text())["traceEvents"]
    assert [event["ts"] for event in events if event["ph"] == "X"] == [0, 1, 2]


@pytest.mark.parametrize("command", [["show"], ["stats"], ["diff"], ["export"]])
def test_damaged_trace(written: Write, tmp_path: Path, command: list[str]) -> None:
    path = written(records())
    path.write_bytes(path.read_bytes()[:-20])
    more = {"diff": [path], "export": ["-o", tmp_path / "out"]}.get(command[0], [])
    result = run(*command, path, *more)
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "nothing of it can be kept" in result.stderr
    assert not (tmp_path / "out").exists()
