"""The file of a trace: a Parquet table with a row for each hypercall; traces/README.md has it.

While a trace is written it is a folder of such files, each finished within a second. They are
joined when the trace is complete. `read` takes both.
"""

import contextlib
import shutil
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from xenport.errors import InputError
from xenport.trace.record import Buffer, CallKind, Metadata, Record

VERSION = "1"
"""Of the format; raised when a column changes its meaning or goes."""

PARTS = ".parts"
"""What the name of the folder ends with while a trace is written."""

PART_SECONDS = 1.0
GROUP_ROWS = 16384  # hypercalls that are in memory at a time
GROUP_BYTES = 64 << 20  # of memory in them, about
LARGEST_GROUP = 1 << 30  # bytes; a group that claims more is an attack or a mistake

_BUFFER = pa.struct(
    [
        pa.field("name", pa.string(), nullable=False),
        pa.field("address", pa.uint64(), nullable=False),
        pa.field("before", pa.binary()),
        pa.field("after", pa.binary()),
    ]
)
SCHEMA = pa.schema(
    [
        pa.field("sequence", pa.uint64(), nullable=False),
        pa.field("boot", pa.string(), nullable=False),
        pa.field("time", pa.uint64()),
        pa.field("returned", pa.uint64()),
        pa.field("domain", pa.uint16()),
        pa.field("vcpu", pa.uint32()),
        pa.field("caller", pa.string(), nullable=False),
        pa.field("number", pa.uint32(), nullable=False),
        pa.field("arguments", pa.list_(pa.field("element", pa.uint64())), nullable=False),
        pa.field("result", pa.int64()),
        pa.field("continued", pa.bool_(), nullable=False),
        pa.field(
            "buffers",
            pa.list_(pa.field("element", _BUFFER)),
            nullable=False,
        ),
    ]
)
_KIND = ("boot", "domain", "vcpu", "caller", "number")  # columns of `CallKind`
_TEXTS = ["boot", "caller", "buffers.list.element.name"]
_FAILURES = (pa.ArrowException, OSError, ValueError)


class Trace:
    """A trace that can be read: its metadata, and how many hypercalls it has."""

    def __init__(self, path: Path, files: Sequence[Path]) -> None:
        """Raises ``InputError`` if it is no trace; see `read`."""
        self.path = path
        self._files = files
        self.metadata = _metadata(files[0])

    def __len__(self) -> int:
        return sum(_opened(path).metadata.num_rows for path in self._files)

    def records(self) -> Iterator[Record]:
        """The hypercalls in order. Raises ``InputError`` where the file is damaged, after all that
        comes before."""
        done = 0
        for path in self._files:
            file = _opened(path)
            for group in range(file.metadata.num_row_groups):
                try:
                    records = list(_records(_group(file, group, path)))
                except _FAILURES as error:
                    raise InputError(
                        f"damaged after {done:,} hypercalls, which are all that can be kept: "
                        f"{_one_line(error)}",
                        path,
                    ) from None
                yield from records
                done += len(records)

    def kinds(self) -> set[CallKind]:
        """The kinds of call that there are, as far as the file is not damaged; much faster than
        `records`."""
        found: set[CallKind] = set()
        for path in self._files:
            file = _opened(path)
            for group in range(file.metadata.num_row_groups):
                with contextlib.suppress(*_FAILURES, InputError):
                    table = _group(file, group, path, [*_KIND, "result"])
                    failed = pc.fill_null(pc.less(table["result"], 0), False)
                    table = table.drop_columns("result").append_column("failed", failed)
                    for row in table.group_by(table.column_names).aggregate([]).to_pylist():
                        values = [row[name] for name in _KIND]
                        found.add(CallKind._make([*values, not row["failed"]]))
        return found


def read(path: Path) -> Trace:
    """The trace at ``path``: a file, or the folder of parts that a cut-off recording left.

    Raises ``InputError`` if it is none.
    """
    if path.is_dir():
        parts = sorted(path.glob("*.parquet"))
        if not parts:
            raise InputError("the folder holds no part of a trace", path)
        return Trace(path, parts)
    if not path.exists():
        left = path.with_name(path.name + PARTS)
        hint = f"; a recording that was cut off left {left}" if left.is_dir() else ""
        raise InputError(f"there is no such trace{hint}", path)
    return Trace(path, [path])


class Writer:
    """Writes a trace to ``path``, which appears when the trace is complete.

    Until then ``path.parts`` holds everything but the last second. As a context manager it
    completes the trace at the end, and removes all of it after an exception. Threads may share it.
    """

    def __init__(self, path: Path, metadata: Metadata) -> None:
        """Raises ``InputError`` if ``path`` or its parts exist already."""
        self._path = path
        self._parts = path.with_name(path.name + PARTS)
        for there in (path, self._parts):
            if there.exists():
                raise InputError("it exists already; remove it or choose another name", there)
        self._schema = _schema(metadata)
        self._records: list[Record] = []
        self._bytes = 0
        self._number = 0
        self._due = 0.0
        self._lock = threading.Lock()
        self._closed = threading.Event()
        try:
            self._parts.mkdir(parents=True)
        except OSError as error:
            raise InputError(f"it cannot be written: {error.strerror}", path) from None
        self._thread = threading.Thread(target=self._each_second, daemon=True)
        self._thread.start()

    def __enter__(self) -> "Writer":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()

    def write(self, record: Record) -> None:
        """Adds a hypercall."""
        with self._lock:
            self._records.append(record)
            for buffer in record.buffers:
                self._bytes += len(buffer.before or b"") + len(buffer.after or b"")
            if len(self._records) >= GROUP_ROWS or self._bytes >= GROUP_BYTES:
                self._flush()

    def close(self) -> None:
        """Completes the trace: joins its parts to one file."""
        self._stop()
        self._flush()
        unfinished = self._parts / "joined.unfinished"
        parts = sorted(self._parts.glob("*.parquet"))
        with pq.ParquetWriter(unfinished, self._schema, **_options(9)) as file:
            for table in _regrouped(parts):
                file.write_table(table, row_group_size=GROUP_ROWS)
        unfinished.replace(self._path)
        shutil.rmtree(self._parts)

    def discard(self) -> None:
        """Removes what was written."""
        self._stop()
        shutil.rmtree(self._parts)

    def _stop(self) -> None:
        self._closed.set()
        self._thread.join()

    def _each_second(self) -> None:
        while not self._closed.wait(PART_SECONDS / 2):
            with self._lock:
                if time.monotonic() >= self._due:
                    self._flush()

    def _flush(self) -> None:
        """Writes what there is as a part."""
        self._due = time.monotonic() + PART_SECONDS / 2
        if not self._records:
            return
        part = self._parts / f"{self._number:06}.parquet"
        unfinished = part.with_suffix(".unfinished")
        pq.write_table(_table(self._records, self._schema), unfinished, **_options(1))
        unfinished.replace(part)
        self._number += 1
        self._records = []
        self._bytes = 0


def _schema(metadata: Metadata) -> pa.Schema:
    return SCHEMA.with_metadata(
        {
            "xenport.trace": VERSION,
            "xenport.architecture": metadata.architecture,
            "xenport.release": metadata.release,
            "xenport.provenance": metadata.provenance,
        }
    )


def _options(level: int) -> dict[str, Any]:
    return {
        "compression": "zstd",
        "compression_level": level,
        "write_page_checksum": True,
        "write_statistics": ["sequence", "time", "domain", "number"],
    }


def _regrouped(parts: Sequence[Path]) -> Iterator[pa.Table]:
    """The content of ``parts`` in tables of about ``GROUP_ROWS``, or ``GROUP_BYTES``."""
    waiting: list[pa.Table] = []
    for part in parts:
        waiting.append(pq.ParquetFile(part).read())
        rows = sum(table.num_rows for table in waiting)
        if rows >= GROUP_ROWS or sum(table.nbytes for table in waiting) >= GROUP_BYTES:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)


def _table(records: Sequence[Record], schema: pa.Schema) -> pa.Table:
    columns = dict(zip(Record._fields, zip(*records, strict=True), strict=True))
    lists = columns.pop("buffers")
    offsets = [0]
    for buffers in lists:
        offsets.append(offsets[-1] + len(buffers))
    members = list(zip(*(one for buffers in lists for one in buffers), strict=True))
    values = pa.StructArray.from_arrays(
        [
            pa.array(members[index] if members else [], member.type)
            for index, member in enumerate(_BUFFER)
        ],
        fields=list(_BUFFER),
    )
    arrays = [pa.array(column, schema.field(name).type) for name, column in columns.items()]
    arrays.append(
        pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values, type=schema.types[-1])
    )
    return pa.Table.from_arrays(arrays, schema=schema)


def _opened(path: Path) -> pq.ParquetFile:
    try:
        schema = pq.read_schema(path)
    except _FAILURES as error:
        with contextlib.suppress(OSError), path.open("rb") as raw:
            if raw.read(4) == b"PAR1":
                raise InputError(
                    "the trace is cut off or damaged at its end, where Parquet keeps the places of "
                    "everything: nothing of it can be kept",
                    path,
                ) from None
        raise InputError(f"no trace: {_one_line(error)}", path) from None
    _check(schema, path)
    try:
        return pq.ParquetFile(path, read_dictionary=_TEXTS, page_checksum_verification=True)
    except (*_FAILURES, KeyError) as error:
        raise InputError(f"no trace: {_one_line(error)}", path) from None


def _check(schema: pa.Schema, path: Path) -> None:
    version = (schema.metadata or {}).get(b"xenport.trace", b"").decode("ascii", "replace")
    if version != VERSION:
        what = f"a trace of format {version!r}" if version else "Parquet, but no trace"
        raise InputError(f"{what}; expected the metadata 'xenport.trace' to be '{VERSION}'", path)
    for field in SCHEMA:
        index = schema.get_field_index(field.name)
        if index < 0:
            raise InputError(f"the trace has no column '{field.name}'", path)
        found = _plain(schema.field(index).type)
        if found != field.type:
            raise InputError(f"column '{field.name}' holds {found}; expected {field.type}", path)


def _plain(kind: pa.DataType) -> pa.DataType:
    """``kind`` with the name that Parquet has for the elements of a list."""
    if pa.types.is_list(kind):
        return pa.list_(pa.field("element", _plain(kind.value_type)))
    if pa.types.is_struct(kind):
        return pa.struct(
            [pa.field(one.name, _plain(one.type), nullable=one.nullable) for one in kind]
        )
    return kind


def _metadata(path: Path) -> Metadata:
    found = _opened(path).schema_arrow.metadata
    values = []
    for key in ("architecture", "release", "provenance"):
        value = found.get(f"xenport.{key}".encode())
        if value is None:
            raise InputError(f"the trace lacks the metadata 'xenport.{key}'", path)
        values.append(value.decode("utf-8", "replace"))
    return Metadata(*values)


def _group(
    file: pq.ParquetFile, group: int, path: Path, columns: Sequence[str] = SCHEMA.names
) -> pa.Table:
    size = file.metadata.row_group(group).total_byte_size
    if not 0 <= size <= LARGEST_GROUP:
        raise InputError(f"row group {group} claims {size:,} bytes; at most 1 GiB is read", path)
    return file.read_row_group(group, columns=columns).combine_chunks()


def _records(table: pa.Table) -> Iterator[Record]:
    columns = {name: _one(table.column(name)) for name in SCHEMA.names}
    buffers = _lists(columns.pop("buffers"), _buffers)
    arguments = _lists(columns.pop("arguments"), _numbers)
    values: dict[str, Sequence[Any]] = {name: _values(array) for name, array in columns.items()}
    values |= {"arguments": arguments, "buffers": buffers}
    return map(Record._make, zip(*(values[name] for name in Record._fields), strict=True))


def _one(column: pa.ChunkedArray) -> pa.Array:
    """``column`` in one piece."""
    if column.num_chunks == 1:
        return column.chunk(0)
    array = column.combine_chunks()
    return pa.concat_arrays(array.chunks) if isinstance(array, pa.ChunkedArray) else array


# pyarrow makes an object of its own of every value before it makes one of Python's: what follows
# takes the values from its memory instead, ten times as fast.


def _values(array: pa.Array) -> Sequence[Any]:
    if pa.types.is_dictionary(array.type):
        names = array.dictionary.to_pylist()
        return [names[index] for index in _numbers(array.indices)]
    if pa.types.is_integer(array.type):
        return _numbers(array)
    if pa.types.is_binary(array.type):
        return _contents(array)
    result: Sequence[Any] = array.to_pylist()
    return result


_LETTERS: Mapping[str, Any] = {
    "uint64": "Q",
    "int64": "q",
    "uint32": "I",
    "int32": "i",
    "uint16": "H",
}


def _numbers(array: pa.Array) -> list[Any]:
    memory = memoryview(array.buffers()[1] or b"").cast("B")
    letter, width = _LETTERS[str(array.type)], array.type.bit_width // 8
    whole = memory[: len(memory) // width * width].cast(letter)
    numbers: list[Any] = whole[array.offset : array.offset + len(array)].tolist()
    _put_nulls(array, numbers)
    return numbers


def _contents(array: pa.Array) -> list[Any]:
    _, places, data = array.buffers()
    content = data.to_pybytes() if data is not None else b""
    offsets = memoryview(places or b"").cast("B")
    offsets = offsets[: len(offsets) // 4 * 4].cast("i")
    found: list[Any] = [
        content[start:end]
        for start, end in pairwise(offsets[array.offset : array.offset + len(array) + 1])
    ]
    _put_nulls(array, found)
    return found


def _put_nulls(array: pa.Array, values: list[Any]) -> None:
    if array.null_count:
        for index in pc.indices_nonzero(pc.is_null(array)).to_pylist():
            values[index] = None


def _lists(array: pa.Array, elements: Any) -> list[Any]:
    """The lists of ``array`` as tuples; ``elements`` takes the flat array of what is in them."""
    flat = elements(array.values)
    return [tuple(flat[start:end]) for start, end in pairwise(_numbers(array.offsets))]


def _buffers(array: pa.StructArray) -> list[Buffer]:
    members = [_values(array.field(member.name)) for member in _BUFFER]
    return list(map(Buffer._make, zip(*members, strict=True)))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
