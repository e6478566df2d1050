"""The report folder: results.json, results.ktap, index.html, coverage.html, and the consoles.

The folder is made under another name and gets its own at the end, so it is whole or not there.
"""

import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import jinja2

from xenport import __version__
from xenport.errors import InputError
from xenport.suite import ladder
from xenport.suite.coverage import LEGEND, Coverage, by_hypercall
from xenport.suite.results import Outcome, Result, Run

SCHEMA = 1  # raised when a key of results.json changes its meaning or goes
RESULTS = "results.json"
JUNIT = "junit.xml"
CONSOLES = "consoles"


@contextmanager
def report_folder(path: Path) -> Iterator[Path]:
    """A folder to write a report into; becomes ``path`` when the block ends without an error.

    Raises InputError if ``path`` exists and is not the report of an earlier run.
    """
    if path.exists() and not (path / RESULTS).is_file() and not _is_empty_folder(path):
        raise InputError("exists and is not a report of xenport; choose another folder", path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    except OSError as error:
        raise InputError(f"cannot write here: {error.strerror}", path) from error
    try:
        work.chmod(0o755)
        yield work
        if path.exists():
            shutil.rmtree(path)
        work.rename(path)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def write(run: Run, coverage: Coverage, folder: Path) -> None:
    """Writes the reports of ``run``, and what it covers of the ABI, into ``folder``."""
    climbs = ladder.climbs(run)
    (folder / RESULTS).write_text(json.dumps(as_data(run, climbs), indent=1) + "\n")
    (folder / "results.ktap").write_text(as_ktap(run.results))
    (folder / "index.html").write_text(as_html(run, climbs))
    (folder / "coverage.html").write_text(coverage_as_html(coverage))


def as_data(run: Run, climbs: Sequence[ladder.Climb]) -> dict[str, Any]:
    """The run as results.json has it; ``conformance/report.md`` documents the keys."""
    return {
        "schema": SCHEMA,
        "xenport": __version__,
        "started": run.started,
        "seconds": round(run.seconds, 3),
        "results": [
            {
                "port": result.port,
                "release": result.release,
                "environment": result.environment,
                "test": result.test,
                "title": result.title,
                "rung": result.rung,
                "outcome": result.outcome.value,
                "seconds": round(result.seconds, 6),
                "message": result.message,
            }
            for result in run.results
        ],
        "differences": [asdict(difference) for difference in run.differences],
        "ladder": [
            {
                "port": climb.port,
                "grade": climb.grade.name if climb.grade else None,
                "next": climb.next.name if climb.next else None,
                "rungs": [
                    {
                        "rung": step.rung.name,
                        "pass": step.passed,
                        "fail": step.failed,
                        "xfail": step.known,
                        "skip": step.skipped,
                    }
                    for step in climb.steps
                ],
            }
            for climb in climbs
        ],
    }


_KTAP_OK = {Outcome.PASS: "", Outcome.SKIP: " # SKIP {}", Outcome.XFAIL: " # TODO {}"}


def as_ktap(results: Sequence[Result]) -> str:
    """The run as nested KTAP: one subtest a port and environment."""
    groups = list(_columns(results).values())
    lines = ["KTAP version 1", f"1..{len(groups)}"]
    for number, group in enumerate(groups, 1):
        lines.append(f"    KTAP version 1\n    1..{len(group)}")
        lines += (f"    {_ktap_line(index, result)}" for index, result in enumerate(group, 1))
        failed = any(result.outcome.is_failure for result in group)
        name = f"{group[0].port}/{group[0].environment}"
        lines.append(f"{'not ' if failed else ''}ok {number} {name}")
    return "\n".join(lines) + "\n"


def _ktap_line(number: int, result: Result) -> str:
    message = result.message.replace("#", "\\#")
    if result.outcome.is_failure:
        return f"not ok {number} {result.test} # {result.outcome}: {message}"
    word = "not ok" if result.outcome is Outcome.XFAIL else "ok"
    return f"{word} {number} {result.test}{_KTAP_OK[result.outcome].format(message)}"


def _columns(results: Sequence[Result]) -> dict[tuple[str, str], list[Result]]:
    columns: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        columns.setdefault((result.port, result.environment), []).append(result)
    return columns


@dataclass
class _Row:
    """One test over all environments, as the matrix shows it."""

    test: str
    title: str
    cells: dict[tuple[str, str], Result] = field(default_factory=dict)

    @property
    def outcomes(self) -> str:
        return " ".join(sorted({result.outcome.value for result in self.cells.values()}))


def as_html(run: Run, climbs: Sequence[ladder.Climb]) -> str:
    """The run as one HTML page that needs no network."""
    return _template("index.html.j2").render(
        run=run,
        version=__version__,
        climbs=climbs,
        columns=list(_columns(run.results)),
        rungs=_rows_by_rung(run.results),
        outcomes=list(Outcome),
    )


def coverage_as_html(table: Coverage) -> str:
    """The coverage of the ABI as an HTML page beside that of the run."""
    return _template("coverage.html.j2").render(
        table=table, hypercalls=by_hypercall(table.rows), legend=LEGEND
    )


def _template(name: str) -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("xenport.suite"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template(name)


def _rows_by_rung(results: Sequence[Result]) -> list[tuple[ladder.Rung, list[_Row]]]:
    rows: dict[str, dict[str, _Row]] = {rung.name: {} for rung in ladder.rungs()}
    for result in results:
        row = rows[result.rung].setdefault(result.test, _Row(result.test, result.title))
        row.cells[result.port, result.environment] = result
    return [(rung, list(rows[rung.name].values())) for rung in ladder.rungs() if rows[rung.name]]
