"""Ports that run the same kernels on the same hypervisor must give the same verdicts."""

import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from xenport.port import Port
from xenport.suite.results import Difference, Outcome, Result

_NUMBER = re.compile(r"0x[0-9a-f]+|\d+(\.\d+)?")


def differences(ports: Sequence[Port], results: Sequence[Result]) -> list[Difference]:
    """What differs between ports of one run that are to be the same; nothing if there are none.

    Compared are outcomes, why a test failed or was skipped, and what it remarked on the console
    but for its numbers: times and ticks are nobody's to compare. Known failures count as agreed.
    """
    names = {port.name for port in ports}
    found: list[Difference] = []
    for port in ports:
        if port.same_as is not None and port.same_as in names:
            found += _between(port.name, port.same_as, results)
    return found


def _between(port: str, other: str, results: Sequence[Result]) -> Iterator[Difference]:
    here, there = ({_key(r): r for r in results if r.port == name} for name in (port, other))
    environments = {key[0] for key in here} & {key[0] for key in there}
    for key in dict.fromkeys([*there, *here]):
        if key[0] in environments:
            what = _difference(here.get(key), there.get(key))
            if what:
                yield Difference(*key, port, other, what)


def _key(result: Result) -> tuple[str, str]:
    return result.environment, result.test


def _difference(here: Result | None, there: Result | None) -> str:
    """What is different, or nothing."""
    if here is None or there is None:
        ran = here or there
        assert ran is not None
        return f"was run on {ran.port} only"
    if Outcome.XFAIL in (here.outcome, there.outcome):
        return ""
    if here.outcome is not there.outcome:
        return f"{_verdict(here)}, {_verdict(there)}"
    if here.outcome is not Outcome.PASS and here.message != there.message:
        return f"{_verdict(here)}, {_verdict(there)}"
    for one, other in zip_longest(_remarks(here), _remarks(there), fillvalue="nothing"):
        if one != other:
            return f"{here.port} says: {one}; {there.port} says: {other}"
    return ""


def _verdict(result: Result) -> str:
    reason = f" ({result.message})" if result.message else ""
    return f"{result.outcome} on {result.port}{reason}"


def _remarks(result: Result) -> list[str]:
    """The lines that a test wrote, without its numbers."""
    lines = [line for line in result.console if line.startswith("# ") and line != "# end"]
    return [_NUMBER.sub("N", line.removeprefix("# ")) for line in lines]
