"""How fast traces are read and replayed, and with how much memory."""

import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from xenport import content
from xenport.trace import Writer, read

RECORDS = 500_000
READING = 3.0  # seconds for so many records, at most
REPLAYING = 50_000  # hypercalls a second that the model answers, at least
_LIMIT = 300  # seconds for one run
_TRACE = "linux-domu-amd64.parquet"
_READ = """
import sys, time
from pathlib import Path
from xenport.trace import read
begun = time.perf_counter()
count = sum(1 for _ in read(Path(sys.argv[1])).records())
print(time.perf_counter() - begun, count)
"""
_REPLAY = """
import sys, time
from pathlib import Path
import xenport.abi
from xenport.trace import read
from xenport.trace.replay import Replay, seen_in
trace = read(Path(sys.argv[1]))
abi = xenport.abi.load_for_model(trace.metadata.architecture, trace.metadata.release)
replay = Replay(trace.metadata, seen_in(trace.kinds(), abi))
begun = time.perf_counter()
count = sum(1 for _ in replay.outcomes(trace.records()))
print(time.perf_counter() - begun, count)
"""


@dataclass(frozen=True)
class Speed:
    """Medians of several runs, each of a new interpreter."""

    reading: float
    """Seconds for `RECORDS` records with their buffers."""
    replaying: float
    """Hypercalls a second, reading them included."""
    longer: float
    """The same of a trace six times as long."""
    memory: tuple[int, int]
    """MiB that replaying the one and the other takes at most."""


def measure(runs: int) -> Speed:
    """Reads and replays the trace of a Linux domU, and one of `RECORDS` records made of it."""
    short = content.folder("traces") / _TRACE
    with tempfile.TemporaryDirectory(prefix="xenport-bench-") as folder:
        long = Path(folder) / "long"
        _repeat(short, long)
        reading = [_run(_READ, long)[0] for _ in range(runs)]
        replays = [[_run(_REPLAY, path) for _ in range(runs)] for path in (short, long)]
    rates = [statistics.median(count / seconds for seconds, count, _ in some) for some in replays]
    memory = [max(mebibytes for _, _, mebibytes in some) for some in replays]
    return Speed(statistics.median(reading), rates[0], rates[1], (memory[0], memory[1]))


def _repeat(source: Path, to: Path) -> None:
    """A trace of `RECORDS` records: those of ``source`` again and again, each in a new boot."""
    trace = read(source)
    count = 0
    with Writer(to, trace.metadata) as writer:
        while count < RECORDS:
            boot = f"boot-{count}"
            for record in trace.records():
                if count < RECORDS:
                    writer.write(record._replace(sequence=count, boot=boot))
                    count += 1


def _run(program: str, path: Path) -> tuple[float, int, int]:
    """Seconds, records, and MiB at most."""
    done = subprocess.run(
        [sys.executable, "-c", program + _MEMORY, str(path)],
        capture_output=True,
        text=True,
        timeout=_LIMIT,
        check=True,
    )
    seconds, count, kibibytes = done.stdout.split()
    return float(seconds), int(count), int(kibibytes) >> 10


_MEMORY = """
import resource
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
