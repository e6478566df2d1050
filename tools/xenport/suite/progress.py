"""What a person sees while a run goes on and at its end; plain lines without a terminal."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table

from xenport.suite import ladder
from xenport.suite.recording import Watch
from xenport.suite.results import Outcome, Result, Run
from xenport.tables import put

STYLES = {
    Outcome.PASS: "green",
    Outcome.FAIL: "bold red",
    Outcome.CRASH: "bold magenta",
    Outcome.TIMEOUT: "bold yellow",
    Outcome.SKIP: "dim",
    Outcome.XFAIL: "yellow",
}
_NAMES = 10  # failing tests that the next step names
_CONSOLE_LINES = 12  # of a failing test, the last ones; the report has them all

Place = tuple[str, str]  # port, environment


class Display:
    """Follows a run: a bar per environment on a terminal, a line per environment elsewhere."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("[dim]{task.fields[test]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._tasks: dict[Place, TaskID] = {}
        self._expected: Counter[Place] = Counter()
        self._results: dict[Place, list[Result]] = {}
        self._told: set[tuple[Place, str]] = set()  # messages of failures
        self._untold: Counter[Place] = Counter()  # failures whose message was told before

    def __enter__(self) -> "Display":
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def expect(self, places: Sequence[Place]) -> None:
        """The items to come, one place an item."""
        self._expected = Counter(places)
        for place, count in self._expected.items():
            self._tasks[place] = self._bars.add_task("/".join(place), total=count, test="")

    def begin(self, place: Place, test: str) -> None:
        """A test is about to be judged."""
        self._bars.update(self._tasks[place], test=test)

    def finish(self, result: Result) -> None:
        """A test has its verdict."""
        place = (result.port, result.environment)
        self._bars.update(self._tasks[place], advance=1, test="")
        done = self._results.setdefault(place, [])
        done.append(result)
        if result.outcome.is_failure:
            self._tell_failure(place, result)
        if len(done) == self._expected[place]:
            self._tell_end(place, done)

    def _tell_failure(self, place: Place, result: Result) -> None:
        if (place, result.message) in self._told:
            self._untold[place] += 1
        else:
            self._told.add((place, result.message))
            self._print_failure(result)

    def _tell_end(self, place: Place, done: Sequence[Result]) -> None:
        name = "/".join(place)
        if self._untold[place]:
            more = f"and {self._untold[place]} more failures in {name} that say what others said"
            self._print(f"[dim]{more}[/]")
        if not self.console.is_terminal:
            seconds = sum(item.seconds for item in done)
            self._print(f"{name}: {_counts(done)} in {seconds:.2f} s")

    def _print_failure(self, result: Result) -> None:
        name = f"{result.port}/{result.environment}/{result.test}"
        self._print(
            f"[{STYLES[result.outcome]}]{result.outcome}[/] [bold]{escape(name)}[/]: "
            f"{escape(result.message)}"
        )
        for line in result.console[-_CONSOLE_LINES:]:
            self._print(f"[dim]  | {escape(line)}[/]")

    def _print(self, text: str) -> None:
        self.console.print(text, highlight=False, soft_wrap=True)


@contextmanager
def recordings_bar(console: Console) -> Iterator[Watch]:
    """On a terminal, shows how many recordings there are until the block ends."""
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    ) as bar:
        task = bar.add_task("finding out which test calls what", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _counts(results: Sequence[Result]) -> str:
    counts = Counter(result.outcome for result in results)
    return ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome if counts[outcome])


def print_summary(console: Console, run: Run) -> None:
    """The verdict: counts, the ladder of each port, and each port's next step."""
    climbs = ladder.climbs(run)
    if not climbs:
        return
    console.print()
    put(console, _ladder_table(climbs))
    for climb in climbs:
        _print_next(console, climb, run)
    _print_differences(console, run)
    console.print(f"{_counts(run.results)} in {run.seconds:.1f} s", highlight=False)


def _print_differences(console: Console, run: Run) -> None:
    for one in run.differences[:_NAMES]:
        name = f"{one.port}/{one.environment}/{one.test}"
        console.print(
            f"[bold red]differs[/] [bold]{escape(name)}[/]: {escape(one.what)}",
            highlight=False,
            soft_wrap=True,
        )
    more = len(run.differences) - _NAMES
    if more > 0:
        console.print(f"and {more} more differences", highlight=False)


def _ladder_table(climbs: Sequence[ladder.Climb]) -> Table:
    table = Table(title="Ladder (passed / tests)", title_justify="left", box=None, pad_edge=False)
    table.add_column("rung")
    for climb in climbs:
        table.add_column(climb.port, justify="right", overflow="fold")
    for steps in reversed(list(zip(*(climb.steps for climb in climbs), strict=True))):
        table.add_row(steps[0].rung.name, *(_cell(step) for step in steps))
    grades = [climb.grade.name if climb.grade else "none" for climb in climbs]
    table.add_section()
    table.add_row("grade", *(f"[bold]{grade}[/]" for grade in grades))
    return table


def _cell(step: ladder.Step) -> str:
    if not step.measured:
        return "[dim]-[/]"
    style = "red" if step.failed else "green"
    return f"[{style}]{step.passed}/{step.passed + step.failed + step.known}[/]"


def _print_next(console: Console, climb: ladder.Climb, run: Run) -> None:
    rung = climb.next
    if rung is None:
        return
    console.print(f"\n[bold]{climb.port}: next step is rung '{rung.name}'[/] ({rung.title})")
    console.print(rung.next.strip(), highlight=False)
    if climb.outlook is not None:
        console.print(f"There is: {climb.outlook.has.strip()}", highlight=False)
        console.print(f"Lacking: {climb.outlook.lacks.strip()}", highlight=False)
    failing = [
        f"{result.environment}/{result.test}"
        for result in run.failures
        if result.port == climb.port and result.rung == rung.name
    ]
    if not failing:
        console.print()
        return
    more = len(failing) - _NAMES
    names = ", ".join(failing[:_NAMES]) + (f" and {more} more" if more > 0 else "")
    console.print(f"Failing there: {names}\n", highlight=False)
