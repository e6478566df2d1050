"""Traces of hypercalls: what a guest asked of a hypervisor, with every byte of it.

trace = xenport.trace.read(Path("traces/linux-domu-amd64.parquet"))
for record in trace.records():
    print(record.number, record.arguments, record.result)

``format`` is the file, ``writer`` makes one, ``record`` is what is in it; ``reach`` finds the
memory that a hypercall reaches by the ABI, ``decode`` says what all of it means.
"""

from xenport.trace.format import Trace, read
from xenport.trace.record import Buffer, CallKind, Metadata, Record
from xenport.trace.writer import Writer

__all__ = ["Buffer", "CallKind", "Metadata", "Record", "Trace", "Writer", "read"]
