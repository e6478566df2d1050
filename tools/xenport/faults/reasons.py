"""Why some faults cannot be noticed: ``conformance/faults.yaml``."""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from functools import cache

from xenport import content, yamlsource
from xenport.faults.kinds import Fault


class _ReasonsFile(yamlsource.Strict):
    reasons: Mapping[str, str]  # by `Fault.name`, or a pattern of names as in a shell


class Reasons:
    """Why some faults cannot be noticed, by pattern."""

    def __init__(self, by_pattern: Mapping[str, str]) -> None:
        self._by_pattern = by_pattern

    def of(self, fault: Fault) -> str | None:
        """Why no test can notice ``fault``; None if there is no reason."""
        for pattern, reason in self._by_pattern.items():
            if fnmatchcase(fault.name, pattern):
                return reason
        return None

    def idle(self, faults: Iterable[Fault]) -> list[str]:
        """The patterns that match none of ``faults``."""
        names = [fault.name for fault in faults]
        return [
            pattern
            for pattern in self._by_pattern
            if not any(fnmatchcase(name, pattern) for name in names)
        ]


@cache
def reasons() -> Reasons:
    """The reasons that are known. Raises `InputError` for a bad file."""
    path = content.folder("conformance") / "faults.yaml"
    return Reasons(yamlsource.load(path, _ReasonsFile).reasons)
