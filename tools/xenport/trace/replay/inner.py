"""The hypercalls that are in a multicall."""

from __future__ import annotations

from collections.abc import Iterator

from xenport.abi import Abi
from xenport.trace.reach import MULTICALL_ENTRY, multicall_entry, multicall_result
from xenport.trace.record import Buffer, Record

_NOTHING = Buffer("", 0, None, None)


def inner_calls(abi: Abi, record: Record) -> Iterator[Record]:
    """The hypercalls of a multicall, as records."""
    buffer = next((one for one in record.buffers if one.name == "call_list"), _NOTHING)
    before, after = buffer.before or b"", buffer.after or b""
    size = abi.sizeof(MULTICALL_ENTRY)
    for index, start in enumerate(range(0, len(before) - size + 1, size)):
        number, values = multicall_entry(abi, before, start)
        hypercall = abi.hypercall_by_number.get(number)
        result = None
        if start + size <= len(after):
            result = multicall_result(abi, after, start)
        prefix = f"call_list[{index}]."
        yield record._replace(
            number=number,
            arguments=tuple(values[: len(hypercall.args)] if hypercall else values),
            result=result,
            buffers=tuple(
                one._replace(name=one.name.removeprefix(prefix))
                for one in record.buffers
                if one.name.startswith(prefix)
            ),
        )
