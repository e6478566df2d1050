"""A trace for timeline viewers: Chrome's trace event format, which Perfetto reads too."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from xenport.trace.decode import Decoder
from xenport.trace.record import Record

_NO_DURATION_US = 0.5  # of calls whose times are not known: long enough to be clicked at


def events(decoder: Decoder, records: Iterable[Record]) -> Iterator[dict[str, Any]]:
    """An event for each record, on a track for each vcpu of each domain (of each boot).

    Records without a time stand side by side, a microsecond each.
    """
    processes: dict[tuple[str, int | None], int] = {}
    for record in records:
        place = record.boot, record.domain
        if place not in processes:
            processes[place] = len(processes)
            domain = "domain ?" if record.domain is None else f"domain {record.domain}"
            name = f"{record.boot} {domain}".strip()
            yield {
                "name": "process_name",
                "ph": "M",
                "pid": processes[place],
                "args": {"name": name},
            }
        yield _event(decoder, record, processes[place])


def _event(decoder: Decoder, record: Record, process: int) -> dict[str, Any]:
    commands = decoder.commands(record)
    event: dict[str, Any] = {
        "name": ", ".join(dict.fromkeys(commands)) or decoder.hypercall(record),
        "cat": decoder.hypercall(record),
        "ph": "X",
        "ts": record.sequence if record.time is None else record.time / 1000,
        "pid": process,
        "tid": record.vcpu or 0,
        "args": {
            "sequence": record.sequence,
            "arguments": decoder.arguments(record),
            "result": decoder.result(record),
            **{name: f"{kind} {text}" for name, kind, text in decoder.memory(record)},
        },
    }
    if record.time is not None and record.returned is not None:
        event["dur"] = (record.returned - record.time) / 1000
    elif record.time is not None:
        event |= {"ph": "i", "s": "t"}  # it never returned
    else:
        event["dur"] = _NO_DURATION_US
    return event


def lines(decoder: Decoder, records: Iterable[Record]) -> Iterator[str]:
    """The JSON file, piece by piece."""
    yield '{"displayTimeUnit": "ns", "traceEvents": [\n'
    for number, event in enumerate(events(decoder, records)):
        yield (",\n" if number else "") + json.dumps(event)
    yield "\n]}\n"
