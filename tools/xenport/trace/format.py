"""The file of a trace: a Parquet table with a row for each hypercall; traces/README.md has it.

While a trace is written it is a folder of such files: `xenport.trace.writer`. `read` takes both.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from xenport.errors import InputError
from xenport.trace.record import Buffer, CallKind, Metadata, Record

VERSION = "1"
"""Of the format; raised when a column changes its meaning or goes."""

PARTS = ".parts"
"""What the name of the folder ends with while a trace is written."""

LATE = "late-"
"""What the name of a part begins with whose rows take the place of earlier ones."""

GROUP_ROWS = 16384  # hypercalls that are in memory at a time
GROUP_BYTES = 64 << 20  # of memory in them, about
LARGEST_GROUP = 1 << 30  # bytes; a group that claims more is an attack or a mistake

BUFFER = pa.struct(
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
            pa.list_(pa.field("element", BUFFER)),
            nullable=False,
        ),
    ]
)
_KIND = ("boot", "domain", "vcpu", "caller", "number")  # columns of `CallKind`
_TEXTS = ["boot", "caller", "buffers.list.element.name"]
_FAILURES = (pa.ArrowException, OSError, ValueError)


class Source(NamedTuple):
    """The files of one boot in their order. Rows of ``late`` take the place of those with the same
    sequence number."""

    files: Sequence[Path]
    late: Sequence[Path] = ()


class Trace:
    """A trace that can be read: its metadata, and how many hypercalls it has."""

    def __init__(self, path: Path, sources: Sequence[Source]) -> None:
        """Raises ``InputError`` if it is no trace; see `read`."""
        self.path = path
        self._sources = sources
        self.metadata = _metadata(sources[0].files[0])

    def __len__(self) -> int:
        return sum(_opened(path).metadata.num_rows for one in self._sources for path in one.files)

    def records(self) -> Iterator[Record]:
        """The hypercalls in order. Raises ``InputError`` where the file is damaged, after all that
        comes before."""
        for _, records in self._groups(_records):
            yield from records

    def tables(self) -> Iterator[pa.Table]:
        """The same in tables of the schema ``SCHEMA``."""
        for table, _ in self._groups(lambda table: range(table.num_rows)):
            yield table.cast(SCHEMA)

    def _groups(
        self, rows: Callable[[pa.Table], Iterable[Any]]
    ) -> Iterator[tuple[pa.Table, list[Any]]]:
        """Row groups, and what ``rows`` makes of each; where that fails the file is damaged."""
        done = 0
        for source in self._sources:
            late = _late(source)
            for path in source.files:
                file = _opened(path)
                for group in range(file.metadata.num_row_groups):
                    try:
                        table = _group(file, group, path)
                        if late is not None:
                            table = _replaced(table, late)
                        if len(self._sources) > 1:
                            table = _numbered(table, done)
                        found = list(rows(table))
                    except _FAILURES as error:
                        raise InputError(
                            f"damaged after {done:,} hypercalls, which are all that can be kept: "
                            f"{_one_line(error)}",
                            path,
                        ) from None
                    yield table, found
                    done += len(found)

    def kinds(self) -> set[CallKind]:
        """The kinds of call that there are, as far as the file is not damaged; much faster than
        `records`."""
        found: set[CallKind] = set()
        for path in (path for one in self._sources for path in (*one.files, *one.late)):
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
        sources = list(parts(path))
        if not sources:
            raise InputError("the folder holds no part of a trace", path)
        return Trace(path, sources)
    if not path.exists():
        left = path.with_name(path.name + PARTS)
        hint = f"; a recording that was cut off left {left}" if left.is_dir() else ""
        raise InputError(f"there is no such trace{hint}", path)
    return Trace(path, [Source([path])])


def parts(folder: Path) -> Iterator[Source]:
    """The parts of a trace in ``folder``, and in the folders of boots inside it."""
    for one in (folder, *sorted(folder.rglob(f"*{PARTS}"), key=_order)):
        files = sorted(one.glob("[0-9]*.parquet"))
        if files:
            yield Source(files, sorted(one.glob(f"{LATE}*.parquet")))


def _order(folder: Path) -> tuple[str, bool, int, str]:
    """The same for every run: boots of many tests first, and those of one by its name."""
    return folder.parent.name, not folder.name.startswith("tests-"), len(folder.name), folder.name


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


def _late(source: Source) -> pa.Table | None:
    """The rows that take the place of others, the last ones of each number."""
    if not source.late:
        return None
    table = pa.concat_tables(
        _group(_opened(path), group, path)
        for path in source.late
        for group in range(_opened(path).metadata.num_row_groups)
    )
    last = {number: row for row, number in enumerate(table.column("sequence").to_pylist())}
    return table.take(sorted(last.values()))


def _replaced(table: pa.Table, late: pa.Table) -> pa.Table:
    number = table.column("sequence")
    there = pc.is_in(number, late.column("sequence").combine_chunks())
    if not pc.any(there).as_py():
        return table
    wanted = pc.is_in(late.column("sequence"), number.combine_chunks())
    whole = pa.concat_tables(
        [table.filter(pc.invert(there)).cast(SCHEMA), late.filter(wanted).cast(SCHEMA)]
    )
    return whole.sort_by("sequence").combine_chunks()


def _numbered(table: pa.Table, start: int) -> pa.Table:
    """``table`` with sequence numbers from ``start``."""
    numbers = pa.array(range(start, start + table.num_rows), pa.uint64())
    return table.set_column(0, SCHEMA.field("sequence"), numbers)


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
    members = [_values(array.field(member.name)) for member in BUFFER]
    return list(map(Buffer._make, zip(*members, strict=True)))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
