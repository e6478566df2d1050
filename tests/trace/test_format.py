"""The file of a trace: what is written is read, by others too, and damage is told."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from trace_records import METADATA, record

from xenport import content
from xenport.errors import InputError
from xenport.trace import Buffer, Record, Writer, format as trace_format, read

Write = Callable[[Iterable[Record]], Path]

ODD = [
    record(0),
    record(1, time=None, returned=None, domain=None, vcpu=None, result=None, buffers=()),
    record(2, arguments=(), result=-22, boot="tests-1", buffers=()),
    record(
        3,
        arguments=(2**64 - 1, None),
        result=-(2**63),
        continued=True,
        buffers=(
            Buffer("a", 2**64 - 1, None, b""),
            Buffer("a.b[1].c", 0, bytes(range(256)) * 300, None),
        ),
    ),
]


def test_what_is_written_is_read(written: Write) -> None:
    path = written(ODD)
    trace = read(path)
    assert trace.metadata == METADATA
    assert len(trace) == 4
    assert list(trace.records()) == ODD
    assert not path.with_name(path.name + ".parts").exists()


def test_empty_trace(written: Write) -> None:
    trace = read(written([]))
    assert trace.metadata == METADATA
    assert list(trace.records()) == []


def test_many_row_groups(written: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_format, "GROUP_ROWS", 10)
    records = [record(number, result=number if number % 7 else None) for number in range(95)]
    path = written(records)
    assert pq.ParquetFile(path).num_row_groups >= 10
    assert list(read(path).records()) == records


def test_duckdb_opens_it(written: Write) -> None:
    path = written(ODD)
    query = f"""SELECT sequence, result, arguments[1], buffers[2].name,
                octet_length(buffers[2].before) FROM '{path}' WHERE result < 0 ORDER BY 1"""
    assert duckdb.sql(query).fetchall() == [
        (2, -22, None, None, None),
        (3, -(2**63), 2**64 - 1, "a.b[1].c", 76800),
    ]
    metadata = duckdb.sql(f"SELECT key, value FROM parquet_kv_metadata('{path}')").fetchall()
    assert (b"xenport.architecture", b"arm64") in metadata


def test_another_program_may_write_it_again(written: Write, tmp_path: Path) -> None:
    """A table that pyarrow filtered is still a trace."""
    table = pq.read_table(written(ODD))
    again = tmp_path / "again.parquet"
    pq.write_table(table.slice(1, 3), again, row_group_size=2)
    assert list(read(again).records()) == ODD[1:]


def test_a_cut_off_recording_loses_at_most_a_second(tmp_path: Path) -> None:
    path = tmp_path / "trace.parquet"
    writer = Writer(path, METADATA)
    for number in range(5):
        writer.write(record(number))
    parts = tmp_path / "trace.parquet.parts"
    deadline = time.monotonic() + 10
    while not list(parts.glob("*.parquet")) and time.monotonic() < deadline:
        time.sleep(0.05)
    writer.write(record(5))  # not there yet when the process dies
    (parts / "000001.unfinished").write_bytes(b"PAR1")
    assert list(read(parts).records()) == [record(number) for number in range(5)]
    with pytest.raises(InputError, match=r"cut off left .*trace\.parquet\.parts"):
        read(path)
    writer.discard()
    assert not parts.exists()


def test_an_existing_trace_is_not_overwritten(written: Write) -> None:
    path = written(ODD)
    before = path.read_bytes()
    with pytest.raises(InputError, match="exists already"):
        Writer(path, METADATA)
    assert path.read_bytes() == before


def test_nothing_is_left_after_an_exception(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), Writer(tmp_path / "t", METADATA) as writer:
        writer.write(record(0))
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_cut_file(written: Write) -> None:
    path = written(ODD)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"cut off or damaged at its end.*nothing of it"):
        read(path)


def test_damaged_page(written: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checksum finds a flipped bit; the row groups before it are kept."""
    monkeypatch.setattr(trace_format, "GROUP_ROWS", 100)
    path = written(record(number) for number in range(300))
    column = pq.ParquetFile(path).metadata.row_group(2).column(0)
    data = bytearray(path.read_bytes())
    data[column.data_page_offset + column.total_compressed_size - 3] ^= 0x10
    path.write_bytes(data)
    kept = []
    with pytest.raises(InputError, match="damaged after 200 hypercalls"):
        kept.extend(read(path).records())


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pa.table({"a": [1]}), "Parquet, but no trace"),
        (pa.table({"a": [1]}).replace_schema_metadata({"xenport.trace": "9"}), "format '9'"),
        (
            pa.table({"sequence": pa.array([1], pa.uint64())}).replace_schema_metadata(
                {"xenport.trace": "1"}
            ),
            "no column 'boot'",
        ),
        (
            pa.table({"sequence": ["x"]}).replace_schema_metadata({"xenport.trace": "1"}),
            "'sequence' holds string",
        ),
    ],
)
def test_other_parquet(tmp_path: Path, table: pa.Table, message: str) -> None:
    path = tmp_path / "other.parquet"
    pq.write_table(table, path)
    with pytest.raises(InputError, match=message):
        read(path)


def test_no_parquet(tmp_path: Path) -> None:
    path = tmp_path / "other"
    path.write_text("nothing of the kind")
    with pytest.raises(InputError, match="no trace"):
        read(path)
    with pytest.raises(InputError, match="no part of a trace"):
        read(tmp_path)


@pytest.mark.parametrize("path", sorted(content.folder("traces").glob("*.parquet")))
def test_traces_of_the_repository(path: Path) -> None:
    """They can be read to the end, and each is in the table with its size."""
    trace = read(path)
    number = -1
    for number, one in enumerate(trace.records()):
        assert one.sequence == number
    assert number + 1 == len(trace)
    readme = (path.parent / "README.md").read_text()
    assert f"| `{path.name}` | {len(trace):,} |" in readme
