"""Figures of speed: ``make bench``, or ``python -m xenport.bench``.

Machines differ and are noisy, so what counts are the ratios, and medians of several runs on an
otherwise idle machine; the load average stands beside them.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from xenport import port as ports
from xenport.abi import bench as description
from xenport.kernel import build
from xenport.model.bench import hosted, measure
from xenport.model.hosted.host import Host
from xenport.port import Limits, Line
from xenport.port.hosted import machine
from xenport.suite.reports import RESULTS
from xenport.trace import bench as traces

RUNS = 3
_LIMIT = 300.0  # seconds for one run
_AIM = 20.0  # seconds that the environments of one port should take at most
_AIM_OF_MODEL = 10.0  # all architectures together
_AIM_OF_XEN = 180.0  # all ports with a real Xen together
_XTF = "XTF: 1,900 ms a test, by its runner and xl in a Linux dom0 under QEMU, measured once"
_RATE = 20_000  # hypercalls a second of a hosted port, at least
_FIRST_VERDICT = 2.0  # seconds to the first verdict of a hosted port, at most


@dataclass(frozen=True)
class _Timing:
    """Runs of one group of ports."""

    seconds: tuple[float, ...]
    tests: int
    failures: int


def main() -> int:
    """Measures and prints; 1 if a run failed."""
    console = Console()
    console.print(f"load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} processors\n")
    console.print(_description())
    console.print()
    console.print(_hypercalls())
    console.print()
    console.print(_traces())
    for name in ports.names():
        port = ports.load(name)
        if port.kind == "hosted" and port.like is None:
            console.print()
            console.print(_hosting(name))
    table = Table(
        title="xenport run, warm",
        title_justify="left",
        caption=_XTF,
        caption_justify="left",
        box=None,
        pad_edge=False,
    )
    for heading in ("ports", "median s", "fastest s", "aim s", "tests", "ms a test", "failures"):
        table.add_column(heading, justify="left" if heading == "ports" else "right")
    failures = 0
    for group, names, aim in _groups():
        lacking = [lack for name in names for lack in ports.missing(ports.load(name))]
        if lacking:
            console.print(f"{group} left out: {lacking[0].what} missing; {lacking[0].command}")
            continue
        timing = _time(names)
        failures += timing.failures
        median = statistics.median(timing.seconds)
        table.add_row(
            group,
            f"{median:.1f}",
            f"{min(timing.seconds):.1f}",
            f"{aim:.0f}",
            str(timing.tests),
            f"{1000 * median / timing.tests:.1f}",
            str(timing.failures),
        )
    console.print()
    console.print(table)
    return int(failures > 0)


def _groups() -> Iterator[tuple[str, tuple[str, ...], float]]:
    """What is run together, and how many seconds it should take."""
    kinds = {name: ports.load(name).kind for name in ports.names()}
    models = tuple(name for name, kind in kinds.items() if kind == "model")
    yield "model, all architectures", models, _AIM_OF_MODEL
    for name in kinds:
        if name not in models:
            yield name, (name,), _AIM
    real = tuple(name for name, kind in kinds.items() if kind == "qemu")
    yield "real Xen, all ports", real, _AIM_OF_XEN


def _description() -> Table:
    """The ABI's description: reading it and writing headers."""
    table = Table(title="The ABI, cold", title_justify="left", box=None, pad_edge=False)
    for heading in ("what", "median s", "fastest s", "aim s"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    for figure in description.measure(RUNS):
        aim = "" if figure.aim is None else f"{figure.aim:g}"
        table.add_row(figure.what, f"{figure.median:.2f}", f"{figure.fastest:.2f}", aim)
    return table


def _hypercalls() -> Table:
    """The model's dispatch against a hook that does nothing."""
    table = Table(title="Hypercalls per second", title_justify="left", box=None, pad_edge=False)
    for heading in ("architecture", "model", "empty hook", "ratio", "empty ctypes hook"):
        table.add_column(heading, justify="left" if heading == "architecture" else "right")
    for speed in measure():
        table.add_row(
            speed.architecture,
            f"{speed.model:,.0f}",
            f"{speed.wrapper_hook:,.0f}",
            f"{speed.ratio:.2f}",
            f"{speed.raw_hook:,.0f}",
        )
    return table


def _traces() -> str:
    """Reading and replaying traces."""
    speed = traces.measure(RUNS)
    return (
        f"traces: {traces.RECORDS:,} records with buffers read in {speed.reading:.2f} s (aim"
        f" {traces.READING:g}); the model answers {speed.replaying:,.0f} hypercalls a second (aim"
        f" {traces.REPLAYING:,}), {speed.longer:,.0f} of a trace six times as long;"
        f" {speed.memory[0]} and {speed.memory[1]} MiB at most"
    )


def _hosting(name: str) -> str:
    """How fast a machine is that hosts the model."""
    port = ports.load(name)
    lacking = ports.missing(port)
    if lacking:
        return f"{name} left out: {lacking[0].what} missing; {lacking[0].command}"
    rates, verdicts = [], []
    for _ in range(RUNS):
        with machine(port.architecture) as started:
            rates.append(hosted(port.architecture, Host(started)))
        verdicts.append(_first_verdict(port))
    return (
        f"{name}: {statistics.median(rates):,.0f} hypercalls a second, answered by the model"
        f" (aim {_RATE:,}); first verdict {statistics.median(verdicts):.2f} s after the start"
        f" (aim {_FIRST_VERDICT:g})"
    )


def _first_verdict(port: ports.Port) -> float:
    """Seconds from the start of a boot to the first test's result."""
    driver = ports.open(port)
    kernel = build(port.arch, port.release)
    with tempfile.TemporaryDirectory(prefix="xenport-bench-") as folder:
        log = Path(folder) / "log"
        with driver.boot(next(iter(port.environments)), kernel, "", log, Limits()) as boot:
            for event in boot.events():
                if isinstance(event, Line) and event.text.startswith("ok "):
                    return event.seconds
    raise RuntimeError(f"{port.name} gave no verdict")


def _time(names: tuple[str, ...]) -> _Timing:
    """Runs the ports together: once to warm up, then RUNS times."""
    command = [sys.executable, "-m", "xenport", "run"]
    for name in names:
        command += ["--port", name]
    seconds = []
    with tempfile.TemporaryDirectory(prefix="xenport-bench-") as folder:
        report = Path(folder) / "report"
        for _ in range(RUNS + 1):
            begun = time.monotonic()
            subprocess.run(
                [*command, "--report", str(report)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                timeout=_LIMIT,
                check=False,
            )
            seconds.append(time.monotonic() - begun)
        results = json.loads((report / RESULTS).read_text())["results"]
    failed = sum(result["outcome"] in ("fail", "crash", "timeout") for result in results)
    return _Timing(tuple(seconds[1:]), len(results), failed)


if __name__ == "__main__":
    sys.exit(main())
