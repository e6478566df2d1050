"""Writing a trace: in parts, each finished within a second, which are joined at the end."""

import shutil
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from xenport.errors import InputError
from xenport.trace import format as form
from xenport.trace.format import BUFFER, LATE, PARTS, SCHEMA, VERSION, Trace, parts
from xenport.trace.record import Metadata, Record

PART_SECONDS = 1.0


class Writer:
    """Writes a trace to ``path``, which appears when the trace is complete.

    Until then ``path.parts`` holds everything but the last second. As a context manager it
    completes the trace at the end, and removes all of it after an exception. Threads may share it.
    """

    def __init__(self, path: Path, metadata: Metadata) -> None:
        """Raises ``InputError`` if ``path`` or its parts exist already."""
        self._path = path
        self._parts = _new_folder(path)
        self._metadata = metadata
        self._records: list[Record] = []
        self._late: list[Record] = []
        self._bytes = 0
        self._number = 0
        self._due = 0.0
        self._lock = threading.Lock()
        self._closed = threading.Event()
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
            if len(self._records) >= form.GROUP_ROWS or self._bytes >= form.GROUP_BYTES:
                self._flush()

    def amend(self, record: Record) -> None:
        """Puts ``record`` in the place of the one of the same number that was written before."""
        with self._lock:
            self._late.append(record)

    def leave(self) -> None:
        """Ends the writing and leaves the parts, which somebody else is going to `join`."""
        self._stop()
        self._flush()

    def close(self) -> None:
        """Completes the trace: joins its parts to one file."""
        self.leave()
        join(self._parts, self._path, self._metadata)

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
        """Writes what there is as parts."""
        self._due = time.monotonic() + PART_SECONDS / 2
        for prefix, records in (("", self._records), (LATE, self._late)):
            if records:
                part = self._parts / f"{prefix}{self._number:06}.parquet"
                unfinished = part.with_suffix(".unfinished")
                table = _table(records, _schema(self._metadata))
                pq.write_table(table, unfinished, **_options(1))
                unfinished.replace(part)
        self._number += 1
        self._records, self._late = [], []
        self._bytes = 0


@dataclass
class Parts:
    """Where the boots of a recording put their parts; then how many hypercalls these have."""

    folder: Path
    count: int = 0


@contextmanager
def collected(out: Path, metadata: Metadata) -> Iterator[Parts]:
    """A folder whose parts become the trace ``out`` at the end of the block.

    After an interrupt they stay there; after an error they are removed. Raises ``InputError`` if
    ``out`` or the folder exist already.
    """
    parts = Parts(_new_folder(out))
    try:
        yield parts
    except KeyboardInterrupt:
        raise
    except BaseException:
        shutil.rmtree(parts.folder)
        raise
    parts.count = join(parts.folder, out, metadata)


def _new_folder(path: Path) -> Path:
    """The folder for the parts of ``path``; neither may be there."""
    folder = path.with_name(path.name + PARTS)
    for there in (path, folder):
        if there.exists():
            raise InputError("it exists already; remove it or choose another name", there)
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise InputError(f"it cannot be written: {error.strerror}", path) from None
    return folder


def join(folder: Path, out: Path, metadata: Metadata) -> int:
    """Make the trace ``out`` of the parts in ``folder``, and remove it; how many hypercalls."""
    schema = _schema(metadata)
    sources = list(parts(folder))
    count = 0
    unfinished = folder / "joined.unfinished"
    with pq.ParquetWriter(unfinished, schema, **_options(9)) as file:
        for table in _regrouped(Trace(folder, sources).tables() if sources else []):
            file.write_table(table.cast(schema), row_group_size=form.GROUP_ROWS)
            count += table.num_rows
    unfinished.replace(out)
    shutil.rmtree(folder)
    return count


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


def _regrouped(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """``tables`` in new ones of about ``GROUP_ROWS``, or ``GROUP_BYTES``."""
    waiting: list[pa.Table] = []
    for one in tables:
        waiting.append(one)
        rows = sum(table.num_rows for table in waiting)
        if rows >= form.GROUP_ROWS or sum(table.nbytes for table in waiting) >= form.GROUP_BYTES:
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
            for index, member in enumerate(BUFFER)
        ],
        fields=list(BUFFER),
    )
    arrays = [pa.array(column, schema.field(name).type) for name, column in columns.items()]
    arrays.append(
        pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values, type=schema.types[-1])
    )
    return pa.Table.from_arrays(arrays, schema=schema)
