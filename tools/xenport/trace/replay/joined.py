"""Hypercalls that Xen interrupted and made the guest call again, put together to what was asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from xenport.trace.record import Buffer, Record

Parts = tuple[Record, ...]


def joined(records: Iterable[Record]) -> Iterator[tuple[Record | str, Parts]]:
    """Each of ``records`` and no parts; of one that was interrupted, when it is over, what the
    guest asked at first with the result and the memory of the last call, and its other parts. A
    text instead, with parts alone, says why there is no result.
    """
    waiting: dict[tuple[str, int | None, int | None], Parts] = {}
    for record in records:
        if not waiting and not record.continued:
            yield record, ()
            continue
        key = (record.boot, record.domain, record.vcpu)
        parts = waiting.pop(key, ())
        if parts and parts[0].number != record.number:
            yield "Xen interrupted it, and the guest did not call again", parts
            parts = ()
        if record.continued:
            waiting[key] = (*parts, record)
        elif parts:
            yield _whole((*parts, record)), parts
        else:
            yield record, ()
    for parts in waiting.values():
        yield "Xen interrupted it, and the trace ends before its result", parts


def _whole(parts: Parts) -> Record:
    """The first of ``parts`` as it would have been without interruption."""
    first, last = parts[0], parts[-1]
    later = [buffer for part in parts[1:] for buffer in part.buffers]
    buffers = tuple(_with_later(buffer, later) for buffer in first.buffers)
    return last._replace(
        sequence=first.sequence, time=first.time, arguments=first.arguments, buffers=buffers
    )


def _with_later(buffer: Buffer, later: Iterable[Buffer]) -> Buffer:
    """``buffer`` after all of the calls."""
    if buffer.after is None:
        return buffer
    after = bytearray(buffer.after)
    for one in later:
        first = max(buffer.address, one.address)
        last = min(buffer.address + len(after), one.address + len(one.after or b""))
        if one.after is not None and first < last:
            after[first - buffer.address : last - buffer.address] = one.after[
                first - one.address : last - one.address
            ]
    return buffer._replace(after=bytes(after))
