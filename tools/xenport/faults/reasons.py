"""Why some faults cannot be noticed: ``conformance/faults.yaml``."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from xenport import content, yamlsource


class _ReasonsFile(yamlsource.Strict):
    reasons: Mapping[str, str]  # by `Fault.name`


@cache
def reasons() -> Mapping[str, str]:
    """By the name of a fault: why no test can notice it. Raises `InputError` for a bad file."""
    return yamlsource.load(path(), _ReasonsFile).reasons


def path() -> Path:
    """The file."""
    return content.folder("conformance") / "faults.yaml"
