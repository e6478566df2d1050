"""Recordings of other tools become traces, whole or as far as they go."""

import lzma
import struct
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hcrec_file import call, half
from trace_records import METADATA, record

from xenport import cli
from xenport.trace import Buffer, Record, Writer, read

SEND, MULTICALL, MEMORY = 32, 13, 12


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli.main, ["trace", "import", *map(str, arguments)])


def imported(tmp_path: Path, content: bytes, arch: str = "x86_64") -> list[Record]:
    source, out = tmp_path / "raw", tmp_path / "trace"
    source.write_bytes(content)
    result = run(source, "-o", out, "--arch", arch, "--release", "4.17")
    assert result.exit_code == 0, result.output
    return list(read(out).records())


def test_memory_is_cut_to_what_the_abi_says(tmp_path: Path) -> None:
    """The recorder kept 32 bytes; evtchn_alloc_unbound has 8."""
    before = bytes(range(32))
    after = b"\xff" * 32
    [one] = imported(
        tmp_path,
        call(SEND, 7, [6, 0x5000, 9, 9], [(0x5000, 1, before)], [(0x5000, 1, after)], result=-22),
    )
    assert one == Record(
        0, "", 7_000_000_000, 7_500_000_000, 1, 0, "pv", 32, (6, 0x5000), -22, False,
        (Buffer("arg", 0x5000, before[:8], after[:8]),),
    )  # fmt: skip


def test_nested_buffers(tmp_path: Path) -> None:
    """The extents of a memory reservation have a name by their path."""
    reservation = struct.pack("<QQIIHxxxxxx", 0x9000, 3, 0, 0, 0x7FF0)
    extents = struct.pack("<QQQ", 1, 2, 3)
    memory = [(0x5000, 1, reservation), (0x9000, 6, extents)]
    [one] = imported(tmp_path, call(MEMORY, 0, [0, 0x5000], memory, memory, result=3))
    assert [(buffer.name, buffer.before) for buffer in one.buffers] == [
        ("arg", reservation),
        ("arg.extent_start", extents),
    ]


def test_continued_memory_op_is_known_by_its_lower_bits(tmp_path: Path) -> None:
    """A continued call has the number of extents done above the command."""
    reservation = struct.pack("<QQIIHxxxxxx", 0, 3, 0, 0, 0x7FF0)
    memory = [(0x5000, 1, reservation)]
    [one] = imported(tmp_path, call(MEMORY, 0, [2 << 6, 0x5000], memory, memory, flags=1))
    assert one.continued
    assert one.result is None
    assert [buffer.name for buffer in one.buffers] == ["arg"]


def test_inside_a_multicall(tmp_path: Path) -> None:
    entries = struct.pack("<8Q", SEND, 0, 4, 0x6000, 0, 0, 0, 0)
    memory = [(0x5000, 0, entries), (0x6000, 1, b"\5\0\0\0")]
    [one] = imported(tmp_path, call(MULTICALL, 0, [0x5000, 1], memory, memory))
    assert [(buffer.name, buffer.before) for buffer in one.buffers] == [
        ("call_list", entries),
        ("call_list[0].arg", b"\5\0\0\0"),
    ]


def test_list_up_to_a_zero(tmp_path: Path) -> None:
    traps = (b"\1" * 16) * 3 + b"\0" * 16 + b"\2" * 16
    [one] = imported(tmp_path, call(0, 0, [0x5000], [(0x5000, 0, traps)]))
    assert one.buffers == (Buffer("traps", 0x5000, traps[:64], None),)


def test_unreadable_memory(tmp_path: Path) -> None:
    memory = [(0x5000, 1, None)]
    [one] = imported(tmp_path, call(SEND, 0, [4, 0x5000], memory, memory, result=-14))
    assert one.buffers == (Buffer("arg", 0x5000, None, None),)


def test_order_and_calls_that_never_return(tmp_path: Path) -> None:
    """The order is that of the entries, also where a later one returns first."""
    content = half(1, 29, 5, [2, 0]) + half(1, 24, 6, [3, 0, 0]) + half(2, 24, 6, [1])
    content += half(2, 99, 77, [1])  # a return of nothing that is recorded
    records = imported(tmp_path, content)
    assert [(one.number, one.result, one.returned) for one in records] == [
        (29, None, None),
        (24, 1, 0),
    ]


def test_guests_of_another_width_are_left_out(tmp_path: Path) -> None:
    source, out = tmp_path / "raw", tmp_path / "trace"
    source.write_bytes(call(24, 0, [3, 0, 0], mode=3) + call(24, 1, [3, 0, 0], mode=1))
    result = run(source, "-o", out, "--arch", "x86_64", "--release", "4.17")
    assert result.exit_code == 0
    assert "1 hypercalls of guests of another width are left out" in result.stderr
    assert [one.caller for one in read(out).records()] == ["hvm"]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("cut", [1, 30, 90])
def test_cut_off(tmp_path: Path, cut: int, packed: bool) -> None:
    """What comes before the cut is kept, and the one message says how much."""
    memory = [(0x5000, 1, b"\3\0\0\0")]
    whole = b"".join(call(SEND, n, [4, 0x5000], memory, memory) for n in range(200))
    source, out = tmp_path / "raw", tmp_path / "trace"
    source.write_bytes(lzma.compress(whole)[:-cut] if packed else whole[:-cut])
    result = run(source, "-o", out, "--arch", "arm64", "--release", "4.17")
    assert result.exit_code == 2
    kept = list(read(out).records())
    assert f"has the {len(kept)} hypercalls before" in result.stderr
    assert result.stderr.count("\n") == 1
    if not packed:
        assert len(kept) == 200
        assert kept[-1].result is None
    assert all(one.result == 0 for one in kept[:-1])


def test_nonsense_in_the_middle(tmp_path: Path) -> None:
    source, out = tmp_path / "raw", tmp_path / "trace"
    source.write_bytes(call(24, 0, [3, 0, 0]) + b"\x07" * 300)
    result = run(source, "-o", out, "--arch", "x86_64", "--release", "4.17")
    assert result.exit_code == 2
    assert "at byte 160; " in result.stderr
    assert "has the 1 hypercalls before" in result.stderr


def test_huge_claims(tmp_path: Path) -> None:
    """A count that a guest made up costs neither memory nor time."""
    source, out = tmp_path / "raw", tmp_path / "trace"
    memory = [(0x5000, 0, b"\1" * 64)]
    source.write_bytes(call(MULTICALL, 0, [0x5000, 2**64 - 1], memory))
    assert run(source, "-o", out, "--arch", "x86_64", "--release", "4.17").exit_code == 0
    [one] = read(out).records()
    assert one.buffers[0].before == b"\1" * 64


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (b"", ["--arch", "arm64", "--release", "4.17"], "neither a recording"),
        (b"some text\n" * 50, ["--arch", "arm64", "--release", "4.17"], "neither a recording"),
        (b"PAR1" + b"x" * 200, ["--arch", "arm64", "--release", "4.17"], "a trace already"),
        (call(24, 0, []), [], "--arch and --release"),
        (call(24, 0, []), ["--arch", "vax", "--release", "4.17"], "vax"),
        (b"\xfd7zXZ\x00broken", ["--arch", "arm64", "--release", "4.17"], "xz cannot unpack"),
    ],
)
def test_bad_source(tmp_path: Path, content: bytes, options: list[str], message: str) -> None:
    source, out = tmp_path / "raw", tmp_path / "trace"
    source.write_bytes(content)
    result = run(source, "-o", out, *options)
    assert (result.exit_code, message in result.stderr) == (2, True), result.output
    assert list(tmp_path.iterdir()) == [source]


def test_parts_are_joined(tmp_path: Path) -> None:
    """What a cut-off recording left becomes a trace."""
    writer = Writer(tmp_path / "t", METADATA)
    for number in range(20):
        writer.write(record(number))
        writer._flush()
    result = run(tmp_path / "t.parts", "-o", tmp_path / "joined")
    writer.discard()
    assert result.exit_code == 0, result.output
    trace = read(tmp_path / "joined")
    assert trace.metadata == METADATA
    assert list(trace.records()) == [record(number) for number in range(20)]


def event(number: int, words: list[int], stamp: int | None = None) -> bytes:
    """A record of xentrace."""
    header = number | len(words) << 28 | (stamp is not None) << 31
    return (
        struct.pack("<I", header)
        + (struct.pack("<Q", stamp) if stamp is not None else b"")
        + struct.pack(f"<{len(words)}I", *words)
    )


XENTRACE = (
    event(0x1F003, [0, 4096])
    + event(0x20100D, [1 | 1 << 22, 7], stamp=1_000_000)  # mmu_update, its count
    + event(0x201104, [1, 2, 3, 4])
    + event(0x1F001, [12, 0, 0, 0], stamp=1)
    + event(0x20200E, [14])
    + event(0x20100D, [20 | 1 << 20 | 2 << 24, 5, 1, 2], stamp=1_002_000)
)


@pytest.mark.parametrize("mhz", [None, 2000])
def test_xentrace(tmp_path: Path, mhz: int | None) -> None:
    source, out = tmp_path / "raw", tmp_path / "trace"
    source.write_bytes(XENTRACE)
    more = ["--tsc-mhz", mhz] if mhz else []
    result = run(source, "-o", out, "--arch", "x86_64", "--release", "4.17", *more)
    assert result.exit_code == 0, result.output
    assert "no room for 12 records" in result.stderr
    assert "1 hypercalls inside multicalls" in result.stderr
    first, second = read(out).records()
    assert (first.number, first.arguments) == (1, (None, 7, None, None))
    assert (second.number, second.arguments) == (20, (5, None, 1 | 2 << 32))
    assert (first.time, second.time) == ((0, 1000) if mhz else (None, None))
    assert (first.domain, first.result, first.buffers) == (None, None, ())


def test_cut_xentrace(tmp_path: Path) -> None:
    source, out = tmp_path / "raw", tmp_path / "trace"
    source.write_bytes(XENTRACE[:-4])
    result = run(source, "-o", out, "--arch", "x86_64", "--release", "4.17")
    assert result.exit_code == 2
    assert "cut off in the middle of a record" in result.stderr
    assert "has the 1 hypercalls before" in result.stderr
    assert Counter(one.number for one in read(out).records()) == {1: 1}
