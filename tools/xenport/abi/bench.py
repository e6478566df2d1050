"""How long the description takes: each figure is of a new interpreter, so that nothing is warm."""

import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

_LIMIT = 120  # seconds for one run
_LAY_OUT = """
import sys, time
begun = time.perf_counter()
from xenport.abi.load import description
whole = description()
for arch, release in [world.split(":") for world in sys.argv[1:]] or [
    (name, release) for name, one in whole.architectures.items() for release in one.releases
]:
    abi = whole.abi(arch, release)
    abi.constants, abi.hypercalls
    for name in abi.structures:
        abi.layout(name)
print(time.perf_counter() - begun)
"""
_EMIT = """
import sys, time
from pathlib import Path
begun = time.perf_counter()
from xenport import abi, emit
emit.write(abi.load("x86_64", "4.17"), "c", Path(sys.argv[1]))
print(time.perf_counter() - begun)
"""
_CHECK = """
import sys, time
from pathlib import Path
begun = time.perf_counter()
from xenport import abi
from xenport.abi.check import compare
from xenport.abi.facts import read_tree
described = abi.load("x86_64", "4.17")
found = compare(described, read_tree(Path(sys.argv[1]), described.architecture), whole=True)
assert not found.differences
print(time.perf_counter() - begun)
"""


@dataclass(frozen=True)
class Figure:
    """Seconds that something took, and should take at most."""

    what: str
    median: float
    fastest: float
    aim: float | None


def measure(runs: int) -> list[Figure]:
    """The figures, each of so many runs."""
    with tempfile.TemporaryDirectory(prefix="xenport-bench-") as folder:
        tree = str(Path(folder) / "headers")
        return [
            _figure("load and lay out x86_64 4.17", runs, 1.0, _LAY_OUT, "x86_64:4.17"),
            _figure("load and lay out all architectures and releases", runs, 15.0, _LAY_OUT),
            _figure("load and write a tree of headers", runs, 1.0, _EMIT, tree),
            _figure("load and compare with a tree of headers", runs, None, _CHECK, tree),
        ]


def _figure(what: str, runs: int, aim: float | None, program: str, *args: str) -> Figure:
    seconds = []
    for _ in range(runs):
        done = subprocess.run(
            [sys.executable, "-c", program, *args],
            capture_output=True,
            text=True,
            timeout=_LIMIT,
            check=True,
        )
        seconds.append(float(done.stdout))
    return Figure(what, statistics.median(seconds), min(seconds), aim)
