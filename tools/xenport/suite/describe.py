"""The rung ``describe``: are the port's headers those of the ABI that is described?"""

import functools
import time
from dataclasses import dataclass
from pathlib import Path

import xenport.abi
from xenport.abi.check import Comparison, compare
from xenport.abi.facts import read_tree
from xenport.port import Port
from xenport.suite.results import Outcome, Verdict

RUNG = "describe"
TESTS = {
    "headers_compile": "the port's headers compile",
    "headers_agree": "the port's headers have the layouts and values of the ABI",
}
"""Titles, by the names of the tests. They need no boot and no kernel."""

_LINES = 200  # of what is wrong, that the report keeps


@dataclass(frozen=True)
class _Compared:
    found: Comparison
    described: frozenset[str]  # paths of the headers of the ABI
    seconds: float


def judge(test: str, port: Port, headers: Path | None) -> Verdict:
    """The verdict of one of `TESTS` on a tree of public headers, the folder with ``xen.h``.

    Compiled for the port's architecture the headers must have what the description has, with the
    same sizes, places and values. What only they have is nobody's mistake, nor is a header that
    guests of this architecture have no use for. Raises InputError for a folder that is no tree.
    """
    if headers is None:
        return Verdict(Outcome.SKIP, "no headers to compare; --headers DIR names the folder")
    compared = _compare(port.architecture, port.release, headers)
    wrong = {"headers_compile": _broken, "headers_agree": _different}[test](compared)
    if not wrong:
        return Verdict(Outcome.PASS, "", compared.seconds)
    more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
    return Verdict(Outcome.FAIL, f"{wrong[0]}{more}", compared.seconds, tuple(wrong[:_LINES]))


@functools.cache
def _compare(architecture: str, release: str, headers: Path) -> _Compared:
    begun = time.monotonic()
    abi = xenport.abi.load(arch=architecture, release=release)
    found = compare(abi, read_tree(headers, abi.architecture), whole=True)
    described = frozenset(header.path for header in abi.headers())
    return _Compared(found, described, time.monotonic() - begun)


def _broken(compared: _Compared) -> list[str]:
    return [
        f"{path} does not compile: {text}"
        for path, text in compared.found.broken.items()
        if path in compared.described
    ]


def _different(compared: _Compared) -> list[str]:
    return [str(one) for one in compared.found.differences if one.side != "only in C"]
