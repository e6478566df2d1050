"""Traces to work on."""

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from trace_records import METADATA

from xenport.trace import Record, Writer


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    """Writes a trace and gives its path."""

    def write(records: Iterable[Record], name: str = "trace.parquet") -> Path:
        with Writer(tmp_path / name, METADATA) as writer:
            for one in records:
                writer.write(one)
        return tmp_path / name

    return write
