"""The figures of a survey."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from xenport.faults.reasons import Reasons
from xenport.faults.survey import Finding


@dataclass
class Row:
    """The faults of one hypercall."""

    commands: set[str] = field(default_factory=set)
    faults: int = 0
    caught: int = 0
    excused: int = 0
    """Not caught, and there is a reason."""

    @property
    def survivors(self) -> int:
        """Not caught, and nobody knows why."""
        return self.faults - self.caught - self.excused

    def add(self, finding: Finding, reasons: Reasons) -> None:
        """Counts one more."""
        self.commands.add(finding.fault.command)
        self.faults += 1
        if finding.caught is not None:
            self.caught += 1
        elif reasons.of(finding.fault):
            self.excused += 1


def by_hypercall(findings: Iterable[Finding], reasons: Reasons) -> dict[str, Row]:
    """A row for each hypercall, in the order of their names."""
    found: dict[str, Row] = {}
    for finding in findings:
        found.setdefault(finding.fault.hypercall, Row()).add(finding, reasons)
    return dict(sorted(found.items()))


def whole(findings: Iterable[Finding], reasons: Reasons) -> Row:
    """One row for all."""
    row = Row()
    for finding in findings:
        row.add(finding, reasons)
    return row
